/* The supervisor's loop for ordinary runs: takes one from the server, has a child started, asks it everything, reads its
   answers, ends it, and tells the server what came of each.

   Whatever is out of the ordinary (output, a limit that may be reached, an answer that is none, a child that ends, a
   server that cancels) is left to supervisor.py and exchange.py, which do all of this themselves where this file was not
   compiled. Here it is only found that there is none of it: the child's socket alone was ready, and what it held are the
   answers that were asked for. What is read of a child was written by an enemy. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { NONCE_BYTES = 8, HEADER_BYTES = 4, HEAD_BYTES = 56, FORK_BYTES = 29, TOLD_BYTES = 17, EVENT_BYTES = 29 };
enum { MOST_ASKED = 1 << 17, MOST_KEPT = 1 << 20, PAGE = 1 << 16 };
enum { MOST_QUESTIONS = 256, MOST_ZYGOTES = 8, PROFILE_BYTES = 32, BUFFER_BYTES = 1 << 18, FIXED_BLOBS = 5 };
enum { NAME, PROFILE, SETUP, SOURCE, STDIN };
/* Why the loop returns: the server is gone; a run that nothing was done of; one that was begun; the zygote is gone. */
enum { SERVER_GONE, NOT_BEGUN, BEGUN, ZYGOTE_GONE };
/* A run that takes longer is left, so that its events are told as they come. */
static const double MOST_S = 0.02;

struct blob {
    const unsigned char *bytes;
    uint32_t size;
};

struct answer {
    uint32_t start, size; /* in the buffer: the letter, the nonce, the answer */
    double cpu_s, wall_s;
};

struct supervising {
    int32_t server, no_input;
    int32_t num_zygotes;
    struct {
        char profile[PROFILE_BYTES];
        int32_t socket;
        uint32_t last; /* number of its children, which count on */
    } zygotes[MOST_ZYGOTES];
    uint32_t child; /* the number of the one that is asked */
    int32_t zygote, control, out, error;
    int32_t pid; /* 0 until the child has said something */
    int32_t greeted, closed;
    double fresh_cpu_s, later_cpu_s, wall_factor;
    unsigned char *frame; /* the run as the server asks for it */
    int64_t frame_size, frame_room;
    unsigned char *asked; /* its questions, one frame each */
    int64_t asked_size, asked_room, sent;
    unsigned char nonces[MOST_QUESTIONS * NONCE_BYTES];
    int64_t num_questions, at;  /* loading, the cells, and whether there is anything else to say; which is answered next */
    double cpu_start_s, start_s; /* of that one */
    double greeted_cpu_s;        /* when the child was seen to be confined, which is when the first one's wall clock starts */
    struct answer answers[MOST_QUESTIONS];
    unsigned char *buffer; /* what the child wrote */
    int64_t buffer_room, taken, used;
    unsigned char *events;
    int64_t events_room;
};

long roundsmith_supervising_bytes(void)
{
    return sizeof(struct supervising);
}

static uint32_t read_u32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

static uint64_t read_u64(const unsigned char *bytes)
{
    return (uint64_t)read_u32(bytes) << 32 | read_u32(bytes + 4);
}

static double read_double(const unsigned char *bytes)
{
    uint64_t bits = read_u64(bytes);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static unsigned char *put_number(unsigned char *to, uint64_t value, int size)
{
    for (int at = 0; at < size; at++)
        to[at] = value >> 8 * (size - 1 - at);
    return to + size;
}

static unsigned char *put_double(unsigned char *to, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_number(to, bits, 8);
}

static unsigned char *put_bytes(unsigned char *to, const void *bytes, size_t size)
{
    memcpy(to, bytes, size);
    return to + size;
}

/* Has at least so many bytes at *memory, of which none is what it was; whether they were to be had. No fork inherits them:
   what a run holds must not be found in a zygote that is made later. */
static int make_room(unsigned char **memory, int64_t *room, int64_t size)
{
    if (size <= *room)
        return 1;
    int64_t whole = (size + PAGE - 1) / PAGE * PAGE;
    void *made = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        return 0;
    if (madvise(made, whole, MADV_DONTFORK)) {
        munmap(made, whole);
        return 0;
    }
    if (*room)
        munmap(*memory, *room);
    *memory = made;
    *room = whole;
    return 1;
}

/* Gives back what one large run took. */
static void shrink(unsigned char **memory, int64_t *room)
{
    if (*room <= MOST_KEPT)
        return;
    munmap(*memory, *room);
    *memory = NULL;
    *room = 0;
}

static int close_all(const int *fds, int count)
{
    while (count--)
        close(fds[count]);
    return 0;
}

static int read_exactly(int fd, unsigned char *to, int64_t size)
{
    while (size) {
        ssize_t got = read(fd, to, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return 0;
        to += got;
        size -= got;
    }
    return 1;
}

static int write_all(int fd, const unsigned char *from, int64_t size)
{
    while (size) {
        ssize_t sent = send(fd, from, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return 0;
        from += sent;
        size -= sent;
    }
    return 1;
}

static double seconds(clockid_t id)
{
    struct timespec at;
    return clock_gettime(id, &at) ? 0.0 : at.tv_sec + at.tv_nsec / 1e9;
}

/* CPU time of the child so far, by the clock that the kernel has for each process; 0 where it tells none. */
static double used_s(const struct supervising *s)
{
    return s->pid ? seconds((clockid_t)(~(uint32_t)s->pid << 3 | 2)) : 0.0;
}

/* The parts of the frame; how many cells, -1 for a run that is left. */
static int64_t parts(struct supervising *s, struct blob *found)
{
    const unsigned char *at = s->frame + 1, *end = s->frame + s->frame_size;
    if (s->frame_size < 1 + HEAD_BYTES + 4 || *s->frame != 'R')
        return -1;
    s->fresh_cpu_s = read_double(at);
    s->later_cpu_s = read_double(at + 8);
    s->wall_factor = read_double(at + 16);
    int64_t num_cells = read_u32(at + HEAD_BYTES - 4), count = read_u32(at + HEAD_BYTES);
    at += HEAD_BYTES + 4;
    /* With loading, and with what else there is to say. */
    if (num_cells < 1 || num_cells + 2 > MOST_QUESTIONS || count != num_cells + FIXED_BLOBS || end - at < 4 * count)
        return -1;
    const unsigned char *sizes = at;
    at += 4 * count;
    for (int64_t i = 0; i < count; i++, sizes += 4) {
        found[i] = (struct blob){at, read_u32(sizes)};
        if (end - at < found[i].size)
            return -1;
        at += found[i].size;
    }
    if (at != end || found[NAME].size != 8 || memcmp(found[NAME].bytes, "solution", 8) || found[STDIN].size)
        return -1;
    for (int64_t i = FIXED_BLOBS; i < count; i++)
        if (!found[i].size || *found[i].bytes == 'T')
            return -1;
    return num_cells;
}

/* Whose child it will be; whether that zygote is known. */
static int choose(struct supervising *s, struct blob profile)
{
    for (int at = 0; at < s->num_zygotes; at++)
        if (strlen(s->zygotes[at].profile) == profile.size
            && !memcmp(s->zygotes[at].profile, profile.bytes, profile.size)) {
            s->zygote = s->zygotes[at].socket;
            s->child = ++s->zygotes[at].last;
            return 1;
        }
    return 0;
}

/* All questions, each in a frame: its kind, its nonce, its body. */
static int write_questions(struct supervising *s, const struct blob *found, int64_t num_cells)
{
    s->num_questions = num_cells + 2;
    s->at = s->sent = 0;
    if (getrandom(s->nonces, s->num_questions * NONCE_BYTES, 0) != s->num_questions * NONCE_BYTES)
        return 0;
    /* Loading: a tuple of three texts as marshal has them. */
    int64_t program = 5 + 3 * 5 + (int64_t)found[NAME].size + found[SETUP].size + found[SOURCE].size;
    int64_t size = s->num_questions * (HEADER_BYTES + 1 + NONCE_BYTES) + program;
    for (int64_t i = 0; i < num_cells; i++)
        size += found[FIXED_BLOBS + i].size - 1;
    /* More than a socket takes at once is sent by exchange.py. */
    if (size > MOST_ASKED || !make_room(&s->asked, &s->asked_room, size)
        || !make_room(&s->buffer, &s->buffer_room, BUFFER_BYTES))
        return 0;
    unsigned char *to = put_number(s->asked, 1 + NONCE_BYTES + program, HEADER_BYTES);
    *to++ = 'P';
    to = put_bytes(to, s->nonces, NONCE_BYTES);
    to = put_bytes(to, "(\3\0\0\0", 5);
    for (int at = 0; at < 3; at++) {
        const struct blob *text = found + (at == 0 ? NAME : at == 1 ? SETUP : SOURCE);
        *to++ = 'u';
        for (int byte = 0; byte < 4; byte++)
            *to++ = text->size >> 8 * byte;
        to = put_bytes(to, text->bytes, text->size);
    }
    for (int64_t i = 0; i <= num_cells; i++) {
        struct blob cell = i < num_cells ? found[FIXED_BLOBS + i] : (struct blob){(const unsigned char *)"Q", 1};
        to = put_number(to, NONCE_BYTES + cell.size, HEADER_BYTES);
        *to++ = *cell.bytes;
        to = put_bytes(to, s->nonces + (i + 1) * NONCE_BYTES, NONCE_BYTES);
        to = put_bytes(to, cell.bytes + 1, cell.size - 1);
    }
    s->asked_size = to - s->asked;
    return 1;
}

/* Asks the zygote for a child; whether it could be asked. */
static int start(struct supervising *s, int64_t num_cells)
{
    unsigned char fork[FORK_BYTES] = {'F'};
    /* The kernel's limit only stands behind the clock: few different ones, as what starts a child is made for each. */
    double most_s = s->fresh_cpu_s * 2 + s->later_cpu_s * num_cells;
    uint64_t cpu_s = 1;
    if (!(most_s >= 0 && most_s < 1 << 30))
        return 0;
    while (cpu_s < (uint64_t)most_s + 5)
        cpu_s *= 2;
    const unsigned char *limits = s->frame + 1 + 24;
    unsigned char *to = put_number(fork + 1, s->child, 4);
    to = put_number(to, cpu_s, 4);
    to = put_bytes(to, limits, 8);      /* memory */
    to = put_bytes(to, limits + 16, 8); /* of a file; output lies between */
    put_bytes(to, limits + 24, 4);      /* processes */
    int on = 1, fds[6];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
        return 0;
    if (pipe2(fds + 2, O_CLOEXEC))
        return close_all(fds, 2);
    if (pipe2(fds + 4, O_CLOEXEC))
        return close_all(fds, 4);
    int given[] = {s->no_input, fds[3], fds[5], fds[1]};
    union {
        char bytes[CMSG_SPACE(sizeof given)];
        struct cmsghdr aligned;
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = {fork, sizeof fork};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *message = CMSG_FIRSTHDR(&header);
    message->cmsg_level = SOL_SOCKET;
    message->cmsg_type = SCM_RIGHTS;
    message->cmsg_len = CMSG_LEN(sizeof given);
    memcpy(CMSG_DATA(message), given, sizeof given);
    if (setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) || ioctl(fds[0], FIONBIO, &on)
        || ioctl(fds[2], FIONBIO, &on) || ioctl(fds[4], FIONBIO, &on) || sendmsg(s->zygote, &header, MSG_NOSIGNAL) < 0)
        return close_all(fds, 6);
    close(fds[1]);
    close(fds[3]);
    close(fds[5]);
    s->control = fds[0];
    s->out = fds[2];
    s->error = fds[4];
    s->pid = s->greeted = s->closed = 0;
    s->taken = s->used = 0;
    s->cpu_start_s = 0;
    s->start_s = seconds(CLOCK_MONOTONIC);
    return 1;
}

/* Everything that is there to read; whether there was room for it, and the child's end is still open. */
static int read_all(struct supervising *s)
{
    while (s->used < BUFFER_BYTES) {
        struct iovec part = {s->buffer + s->used, BUFFER_BYTES - s->used};
        union {
            char bytes[CMSG_SPACE(sizeof(struct ucred))];
            struct cmsghdr aligned;
        } control;
        struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
        if (!s->pid) {
            header.msg_control = &control;
            header.msg_controllen = sizeof control;
        }
        ssize_t size = recvmsg(s->control, &header, MSG_DONTWAIT);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 1;
        if (size <= 0) {
            s->closed = 1;
            return 0;
        }
        s->used += size;
        struct cmsghdr *message = s->pid ? NULL : CMSG_FIRSTHDR(&header);
        if (message && message->cmsg_level == SOL_SOCKET && message->cmsg_type == SCM_CREDENTIALS) {
            /* The kernel translates the sender's number into this process's own namespace. */
            struct ucred sender;
            memcpy(&sender, CMSG_DATA(message), sizeof sender);
            s->pid = sender.pid;
        }
    }
    return 0;
}

/* The answers that are whole in the buffer and not taken yet, of which nothing is taken; -1 where there is anything else
   in it but the begin of another one. `greeting` is where a first greeting ends, 0 without one. */
static int64_t ordinary(struct supervising *s, int64_t *greeting)
{
    int64_t at = s->taken, next = s->at;
    *greeting = 0;
    while (s->used - at >= HEADER_BYTES) {
        const unsigned char *bytes = s->buffer + at + HEADER_BYTES;
        uint32_t size = read_u32(s->buffer + at);
        if (size > BUFFER_BYTES)
            return -1;
        if (s->used - at - HEADER_BYTES < size)
            break;
        if (!s->greeted && !*greeting) {
            if (size != 1 || *bytes != 'H')
                return -1;
            *greeting = at + HEADER_BYTES + size;
        } else {
            if (next == s->num_questions || size < 1 + NONCE_BYTES || (*bytes != 'A' && *bytes != 'E')
                || memcmp(bytes + 1, s->nonces + next * NONCE_BYTES, NONCE_BYTES))
                return -1;
            s->answers[next].start = at + HEADER_BYTES;
            s->answers[next++].size = size;
        }
        at += HEADER_BYTES + size;
    }
    return next == s->num_questions && at != s->used ? -1 : next - s->at;
}

/* Takes so many answers, which came at once and share their CPU time. Where that is more than one question may use, nobody
   knows whose it was: then each is charged all of it, so that none seems cheap. */
static void take(struct supervising *s, int64_t count)
{
    double cpu_s = used_s(s), now_s = seconds(CLOCK_MONOTONIC), spent_s = cpu_s - s->cpu_start_s, each_s;
    int64_t first = s->at, last = first + count, quiet = last == s->num_questions, using = count - quiet;
    /* The first two and the last may use what a fresh child may, the others what a later question may. */
    int fresh = first < 2 || quiet, later = (first < 2 ? 2 : first) < last - quiet;
    double least_s = later && !(fresh && s->fresh_cpu_s < s->later_cpu_s) ? s->later_cpu_s : s->fresh_cpu_s;
    if (spent_s < 0)
        spent_s = 0;
    each_s = using > 1 && spent_s <= least_s ? spent_s / using : spent_s;
    for (int64_t at = first; at < last; at++) {
        s->answers[at].cpu_s = each_s;
        s->answers[at].wall_s = now_s - s->start_s;
    }
    s->taken = s->answers[last - 1].start + s->answers[last - 1].size;
    s->at = last;
    s->cpu_start_s = cpu_s;
    s->start_s = now_s;
}

/* Sends the questions and takes the answers; whether all of them came, or loading failed, after which none comes. */
static int ask(struct supervising *s)
{
    double until_s = s->start_s + MOST_S;
    while (s->sent < s->asked_size) {
        ssize_t sent = send(s->control, s->asked + s->sent, s->asked_size - s->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            return 0;
        s->sent += sent;
    }
    while (s->at < s->num_questions) {
        int fresh = s->at < 2 || s->at + 1 == s->num_questions;
        double limit_s = fresh ? s->fresh_cpu_s : s->later_cpu_s, now_s = seconds(CLOCK_MONOTONIC);
        double left_s = limit_s - (used_s(s) - s->cpu_start_s);
        double wall_s = s->wall_factor * limit_s - (s->greeted ? now_s - s->start_s : 0.0);
        if (wall_s < left_s)
            left_s = wall_s;
        if (s->at && until_s - now_s < left_s)
            left_s = until_s - now_s;
        if (left_s <= 0)
            return 0;
        struct pollfd ready[] = {{s->control, POLLIN, 0}, {s->zygote, POLLIN, 0}, {s->server, POLLIN, 0},
                                 {s->out, POLLIN, 0}, {s->error, POLLIN, 0}};
        if (poll(ready, 5, left_s < 1e5 ? (int)(left_s * 1000) + 1 : 100000000) != 1 || !(ready[0].revents & POLLIN))
            return 0;
        int64_t greeting, count;
        if (!read_all(s) || (count = ordinary(s, &greeting)) < 0)
            return 0;
        if (greeting) {
            /* How long a busy machine took to start it is not the program's. */
            s->greeted = 1;
            s->greeted_cpu_s = used_s(s);
            s->start_s = seconds(CLOCK_MONOTONIC);
            s->taken = greeting;
        }
        if (count)
            take(s, count);
        if (count && s->at == count && s->buffer[s->answers[0].start] == 'E')
            return 1;
    }
    return 1;
}

/* Has the child killed and everything below it, and waits until the zygote has reaped it. */
static int end_child(struct supervising *s)
{
    unsigned char message[1 + 4] = {'K'}, told[TOLD_BYTES];
    put_number(message + 1, s->child, 4);
    int fds[] = {s->control, s->out, s->error}, sent = send(s->zygote, message, sizeof message, MSG_NOSIGNAL) > 0;
    close_all(fds, 3);
    ssize_t size;
    do
        size = sent ? recv(s->zygote, told, sizeof told, 0) : -1;
    while (size < 0 && sent && errno == EINTR);
    return size == sizeof told && *told == 'x' && read_u32(told + 1) == s->child;
}

/* Tells the server of every answer, as `pack_events` does: all that there are. */
static int tell(struct supervising *s)
{
    int failed = s->buffer[s->answers[0].start] == 'E';
    int64_t count = failed ? 1 : s->num_questions - 1, bodies = 0;
    for (int64_t at = 0; at < count; at++)
        bodies += s->answers[at].size - 1 - NONCE_BYTES;
    int64_t size = 5 + count * EVENT_BYTES + bodies;
    if (!make_room(&s->events, &s->events_room, HEADER_BYTES + size))
        return 0;
    unsigned char *to = put_number(s->events, size, HEADER_BYTES);
    *to++ = 1;
    to = put_number(to, count, 4);
    for (int64_t at = 0; at < count; at++) {
        const struct answer *one = s->answers + at;
        to = put_number(to, (uint32_t)(at - 1), 4);
        *to++ = s->buffer[one->start] == 'E';
        to = put_number(to, 0, 4);
        to = put_number(to, one->size - 1 - NONCE_BYTES, 4);
        to = put_double(put_double(to, one->cpu_s), one->wall_s);
    }
    for (int64_t at = 0; at < count; at++) {
        const struct answer *one = s->answers + at;
        to = put_bytes(to, s->buffer + one->start + 1 + NONCE_BYTES, one->size - 1 - NONCE_BYTES);
    }
    return write_all(s->server, s->events, to - s->events);
}

/* Serves until something is left to supervisor.py, which calls again when that is done. */
long roundsmith_supervise(struct supervising *s)
{
    struct blob found[MOST_QUESTIONS + FIXED_BLOBS];
    for (;;) {
        unsigned char header[HEADER_BYTES];
        shrink(&s->frame, &s->frame_room);
        if (!read_exactly(s->server, header, HEADER_BYTES))
            return SERVER_GONE;
        s->frame_size = read_u32(header);
        if (!make_room(&s->frame, &s->frame_room, s->frame_size) || !read_exactly(s->server, s->frame, s->frame_size))
            return SERVER_GONE;
        int64_t num_cells = parts(s, found);
        if (num_cells < 0 || !choose(s, found[PROFILE]) || !write_questions(s, found, num_cells) || !start(s, num_cells))
            return NOT_BEGUN;
        if (!ask(s))
            return BEGUN;
        if (!end_child(s))
            return ZYGOTE_GONE;
        if (!tell(s))
            return SERVER_GONE;
    }
}
