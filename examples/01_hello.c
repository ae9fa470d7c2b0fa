/* 01_hello.c - the smallest program: a runtime, one fiber in it, an exit status.
 *
 * skua_main makes a runtime with a worker per processor, runs the fiber `app` to its end and stops
 * the runtime. What the fiber returns becomes the exit status: 0 is success, a negative code is
 * told on standard error. */
#include <skua/skua.h>

#include <stdio.h>

static int app(void *arg)
{
    printf("hello from %s, task %llu of Skua %s\n", skua_task_current_name(),
           (unsigned long long)skua_task_current_id(), skua_version());
    puts(arg);
    return 0;
}

int main(void)
{
    return skua_main(app, "the argument arrived", NULL);
}
