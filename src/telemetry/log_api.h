/* log_api.h - logs without an SDK: levels, and lines on standard error.
 *
 *   log.c          the functions of log.h: levels, then an SDK's table, or a line
 *   log_levels.c   "info,skua.net=debug": which level a logger has
 *   log_line.c     a record as a line of text, for standard error
 *   log_bridge.c   records of what others log: syslog's calls, streams of text
 */
#ifndef SKUA_TELEMETRY_LOG_API_H
#define SKUA_TELEMETRY_LOG_API_H

#include <skua/telemetry.h>

#include "os/os.h"
#include "task/task_impl.h"

#define SKUA__LOG_OFF 255 /* a level that nothing passes */

/* What of a record is kept: bytes of its text at most. */
#define SKUA__LOG_TEXT ((size_t)64 * 1024)

/* ---- levels (log_levels.c) ------------------------------------------------------------------- */

/* Whether levels can be read. */
bool skua__log_levels_valid(const char *levels);
/* The level of a logger; 0: nothing is said of it. */
uint8_t skua__log_level_of(const char *levels, const char *name);

/* ---- a line (log_line.c) --------------------------------------------------------------------- */

/* The line of a record, with its "\n", cut to `size` bytes. Returns its length. */
size_t skua__log_line(char *out, size_t size, const skua_logger *logger,
                      const skua_log_record *record);

#endif
