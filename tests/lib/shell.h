/* shell.h - children of a test that are scripts of the shell; fibers and plain threads. */
#ifndef SKUA_TESTS_SHELL_H
#define SKUA_TESTS_SHELL_H

#include "harness.h"

/* Starts a script; the options are those of skua_process_spawn. Never NULL. */
#define shell_start(script, ...) shell_start_with((script), SKUA_PROCESS_OPTIONS(__VA_ARGS__))
skua_process *shell_start_with(const char *script, const skua_process_options *options);
/* Reads its standard output to the end, if it is a pipe; waits; closes the handle. The exit code,
 * or -1 for a signal. */
int shell_finish(skua_process *process, char *text, size_t size);
/* Both, without and with the output. */
int shell_run(const char *script);
#define shell_text(text, size, script, ...)                                                        \
    shell_finish(shell_start((script), .out = SKUA_STDIO_PIPE, __VA_ARGS__), (text), (size))
/* How many children of this process there are, once it has no zombies any more, or 2
 * TEST_LATE passed; a zombie counts 1,000. */
int shell_children(void);
/* Waits up to 2 TEST_LATE until there are `count`: one that was killed takes its time to end. */
int shell_children_settle(int count);
/* Waits until the thread that reaps has left, and counts descriptors. */
int shell_quiet_fds(void);

#endif
