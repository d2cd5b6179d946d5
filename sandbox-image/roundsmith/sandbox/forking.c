/* The zygote's loop: forks, kills and reaps as the supervisor asks, and touches few pages of its memory for that, since
   each page that a zygote writes after a fork is one that the kernel must copy.

   Whatever is out of the ordinary is left to zygote.py, which does all of this itself where this file was not compiled. */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "arenas.c"
#include "launch.c"
#include "supervising.c"

enum { MOST_KINDS = 16, MOST_CHILDREN = 8, MOST_DESCRIPTORS = 8, LIMITS_BYTES = 24 };

/* Why the loop returns. */
enum { CHILD, ENDED, FAILED, REFUSED, NEW_LIMITS, UNTIDY };

struct place {
    long *argument; /* of a step, that is the descriptor given at this place */
    long at;
};

/* What starts children of some limits, which are told by their bytes in a message. */
struct kind {
    unsigned char limits[LIMITS_BYTES];
    const struct step *steps;
    long num_steps;
    const struct place *places;
    long num_places;
};

struct child {
    uint32_t id;
    int32_t pid;
    int32_t pidfd;
};

struct zygote {
    int32_t control;
    int32_t num_descriptors;    /* that a child is given */
    const struct step *before;  /* steps that the zygote itself does before each fork */
    long num_before;
    const char *scratch;        /* must be empty when no child is left; NULL where it goes with the child */
    struct kind kinds[MOST_KINDS];
    long num_kinds;
    struct child children[MOST_CHILDREN];
    long num_children;
    long failed;                /* in a child: the place, from 1, of the step that was refused */
    long errno_;
    /* A FORK that was received and not yet obeyed. */
    uint32_t asked_id;
    unsigned char asked_limits[LIMITS_BYTES];
    int32_t descriptors[MOST_DESCRIPTORS];
    int32_t num_received;
    /* A child that was reaped and not yet told of. */
    struct child reaped;
    int32_t status;
    uint64_t cpu_us;
};

long roundsmith_zygote_bytes(void)
{
    return sizeof(struct zygote);
}

/* EXITED: id, wait status, CPU microseconds. */
long roundsmith_zygote_tell(struct zygote *z)
{
    unsigned char told[17] = {'x'};
    put_number(told + 1, z->reaped.id, 4);
    put_number(told + 5, (uint32_t)z->status, 4);
    put_number(told + 9, z->cpu_us, 8);
    if (send(z->control, told, sizeof told, 0) < 0) {
        z->errno_ = errno;
        return FAILED;
    }
    return -1;
}

/* Whether no process is left of those whose zygote has no child any more, and nothing in their directory. */
static int tidy(const struct zygote *z)
{
    if (!z->scratch)
        return 1;
    siginfo_t info;
    if (z->num_children || !waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) || errno != ECHILD)
        return 0;
    int found = 0, fd = -1;
    if (chmod(z->scratch, 0700) || (fd = open(z->scratch, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        return 0;
    /* Entries come in portions: it has no more than the directory itself and the one above it when a portion is empty. */
    char entries[1024];
    long size = 0;
    while (found >= 0 && (size = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0)
        for (long at = 0; at < size && found >= 0;) {
            const char *name = entries + at + 19;
            found = !strcmp(name, ".") || !strcmp(name, "..") ? found + 1 : -1;
            unsigned short length;
            memcpy(&length, entries + at + 16, sizeof length);
            at += length;
        }
    close(fd);
    return !size && found == 2;
}

static long reap(struct zygote *z, long at)
{
    struct rusage used;
    z->reaped = z->children[at];
    while (wait4(z->reaped.pid, &z->status, 0, &used) < 0)
        if (errno != EINTR) {
            z->errno_ = errno;
            return FAILED;
        }
    close(z->reaped.pidfd);
    z->children[at] = z->children[--z->num_children];
    z->cpu_us = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000ul + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
    return tidy(z) ? roundsmith_zygote_tell(z) : UNTIDY;
}

static void close_received(struct zygote *z)
{
    while (z->num_received)
        close(z->descriptors[--z->num_received]);
}

static long failed(struct zygote *z)
{
    z->errno_ = errno;
    close_received(z);
    return FAILED;
}

/* Obeys the FORK that was received. */
static long obey(struct zygote *z)
{
    const struct kind *kind = z->kinds;
    while (kind < z->kinds + z->num_kinds && memcmp(kind->limits, z->asked_limits, LIMITS_BYTES))
        kind++;
    if (kind == z->kinds + z->num_kinds)
        return NEW_LIMITS;
    if (z->num_children == MOST_CHILDREN) {
        errno = EAGAIN;
        return failed(z);
    }
    for (long at = 0; at < kind->num_places; at++)
        *kind->places[at].argument = z->descriptors[kind->places[at].at];
    for (long at = 0; at < z->num_before; at++)
        if (carry_out(z->before + at) < 0)
            return failed(z);
    long pid = roundsmith_fork(kind->steps, kind->num_steps, &z->failed);
    if (pid < 0)
        return failed(z);
    if (!pid)
        return z->failed ? REFUSED : CHILD;
    close_received(z);
    int pidfd = syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return failed(z);
    z->children[z->num_children++] = (struct child){z->asked_id, pid, pidfd};
    return -1;
}

static long hear(struct zygote *z)
{
    unsigned char message[256];
    union {
        char bytes[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec part = {message, sizeof message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    long size = recvmsg(z->control, &header, MSG_CMSG_CLOEXEC);
    if (size <= 0)
        return size ? failed(z) : ENDED;
    if (size < 5) {
        errno = EPROTO;
        return failed(z);
    }
    uint32_t id = read_u32(message + 1);
    if (message[0] == 'K') {
        for (long at = 0; at < z->num_children; at++)
            if (z->children[at].id == id) {
                /* No other process can have its number before it is reaped, which happens here alone. */
                kill(z->children[at].pid, SIGKILL);
                return reap(z, at);
            }
        return -1;
    }
    struct cmsghdr *given = CMSG_FIRSTHDR(&header);
    if (message[0] != 'F' || size != 5 + LIMITS_BYTES || !given || given->cmsg_type != SCM_RIGHTS
        || given->cmsg_len != CMSG_LEN(z->num_descriptors * sizeof(int))) {
        errno = EPROTO;
        return failed(z);
    }
    z->asked_id = id;
    memcpy(z->asked_limits, message + 5, LIMITS_BYTES);
    z->num_received = z->num_descriptors;
    memcpy(z->descriptors, CMSG_DATA(given), z->num_received * sizeof(int));
    return obey(z);
}

/* Serves until something is left to zygote.py, which calls again. What was received and not obeyed comes first. */
long roundsmith_zygote(struct zygote *z)
{
    long why = z->num_received ? obey(z) : -1;
    while (why < 0) {
        struct pollfd ready[1 + MOST_CHILDREN] = {{z->control, POLLIN, 0}};
        long count = z->num_children;
        for (long at = 0; at < count; at++)
            ready[1 + at] = (struct pollfd){z->children[at].pidfd, POLLIN, 0};
        if (count && poll(ready, 1 + count, -1) < 0) {
            if (errno == EINTR)
                continue;
            return failed(z);
        }
        if (!count || ready[0].revents)
            why = hear(z);
        else
            for (long at = count - 1; at >= 0 && why < 0; at--)
                if (ready[1 + at].revents)
                    why = reap(z, at);
    }
    return why;
}
