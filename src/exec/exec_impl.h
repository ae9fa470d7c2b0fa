/* exec_impl.h - what the files of this folder share. */
#ifndef SKUA_EXEC_EXEC_IMPL_H
#define SKUA_EXEC_EXEC_IMPL_H

#include <skua/executor.h>

/* Drops the oldest work that has not begun, if there is any. */
void skua__executor_drop_one(skua_executor *executor);

#endif
