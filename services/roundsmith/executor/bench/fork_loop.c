/* The peer that the executor is measured against: a loop in C that forks, confines the child by the same steps as the
   executor's (launch.c is compiled in), runs one program with its tests in it, and waits. No question, no answer, no
   judge, no limit on time. */

#define _GNU_SOURCE
#include <sched.h>
#include <sys/wait.h>
#include <time.h>

#include "launch.c"

extern void *PyObject_CallNoArgs(void *);

struct loop {
    const struct step *steps;
    long num_steps;
    void *work;        /* the callable that runs the program at *at, and ends the process */
    long *at;          /* which program the next child runs */
    long num_programs;
    long own_pidfd;    /* -1 without pid namespaces */
    double seconds;
};

static double now(void)
{
    struct timespec clock;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    return clock.tv_sec + clock.tv_nsec / 1e9;
}

/* How many programs ran, in whole passes; -1 when one of them failed. */
long roundsmith_fork_loop(const struct loop *loop)
{
    double start = now();
    long count = 0, failed = 0;
    do {
        for (*loop->at = 0; *loop->at < loop->num_programs; ++*loop->at, count++) {
            if (loop->own_pidfd >= 0
                && (setns(loop->own_pidfd, CLONE_NEWPID) || unshare(CLONE_NEWPID)))
                return -1;
            long pid = roundsmith_fork(loop->steps, loop->num_steps, &failed);
            if (!pid) {
                if (!failed)
                    PyObject_CallNoArgs(loop->work);
                _exit(1);
            }
            int status;
            if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
                return -1;
        }
    } while (now() - start < loop->seconds);
    return count;
}
