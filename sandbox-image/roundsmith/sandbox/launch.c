/* Forks a child that carries out its steps, each one system call, before anything else runs in it.

   The steps are made by launcher.py, which carries them out itself where this file was not compiled. In C a child
   touches few pages of its parent's memory, and each page touched is one that the kernel must copy. */

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct step {
    long number; /* of a system call, or STORE_PID: the child's own process number goes to address arguments[0] */
    long arguments[6];
};

enum { STORE_PID = -1 };

static long carry_out(const struct step *step)
{
    const long *a = step->arguments;
    if (step->number != STORE_PID)
        return syscall(step->number, a[0], a[1], a[2], a[3], a[4], a[5]);
    *(uint32_t *)a[0] = (uint32_t)getpid();
    return 0;
}

/* In the parent the child's process number, or -1 with errno. In the child 0, and in *failed the place, from 1, of the
   step that the kernel refused, with its errno; later steps were not tried then. */
long roundsmith_fork(const struct step *steps, long count, long *failed)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    for (long at = 0; at < count; at++)
        if (carry_out(steps + at) < 0) {
            *failed = at + 1;
            break;
        }
    return 0;
}
