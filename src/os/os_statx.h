/* os_statx.h - <sys/stat.h> with struct statx, for what asks a file's state.
 *
 * glibc has it since 2.28, musl since 1.2.5; the kernel's own header has had it since Linux 4.11,
 * with the same layout and constants, and the call itself is made without the C library.
 */
#ifndef SKUA_OS_OS_STATX_H
#define SKUA_OS_OS_STATX_H

#include <sys/stat.h>

#ifndef STATX_BASIC_STATS
#include <linux/stat.h>
#endif

#endif
