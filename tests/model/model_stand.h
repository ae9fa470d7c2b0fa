/* model_stand.h - what stands in for the library below the sources that a model test includes. */
#ifndef SKUA_MODEL_STAND_H
#define SKUA_MODEL_STAND_H

#include <stddef.h>

/* The arena of a runtime: its first `size` bytes, zeroed; the same address each time. */
void *model_arena(size_t size);

#endif
