/* Where Python's memory lies, settled before the interpreter starts, when this library is preloaded: arenas one beside
   the other, and the heap, from a place on at which huge pages begin. A fork copies one entry of a huge page where it
   would copy 512, and only memory that fills a whole one can be put there (layout.py). */

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

struct arena_allocator {
    void *context;
    void *(*allocate)(void *, size_t);
    void (*release)(void *, void *, size_t);
};

/* Python's own; weak, because this file may be loaded where there is none. */
extern void PyObject_SetArenaAllocator(struct arena_allocator *) __attribute__((weak));
extern int Py_IsInitialized(void) __attribute__((weak));

enum { HUGE_PAGE = 2 << 20, ARENA = 1 << 20, ROOM = 64 << 20 };

static char *arenas, *arenas_end; /* what is left for them */

static uintptr_t to_huge_page(const void *at)
{
    return -(uintptr_t)at & (HUGE_PAGE - 1);
}

static void *allocate(void *context, size_t size)
{
    (void)context;
    if (size <= (size_t)(arenas_end - arenas)) {
        arenas += size;
        return arenas - size;
    }
    void *made = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return made == MAP_FAILED ? NULL : made;
}

static void release(void *context, void *arena, size_t size)
{
    (void)context;
    munmap(arena, size);
}

__attribute__((constructor)) static void settle(void)
{
    if (!PyObject_SetArenaAllocator || !Py_IsInitialized || Py_IsInitialized())
        return;
    char *made = mmap(NULL, ROOM + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (made == MAP_FAILED)
        return;
    arenas = made + to_huge_page(made);
    arenas_end = arenas + ROOM;
    PyObject_SetArenaAllocator(&(struct arena_allocator){NULL, allocate, release});
    sbrk(to_huge_page(sbrk(0)));
}

/* Gives back what no arena needs, but for one or two more; later ones are anywhere, as Python has them. */
void roundsmith_end_arenas(void)
{
    if (!arenas || (size_t)(arenas_end - arenas) < ARENA + HUGE_PAGE)
        return;
    char *last = arenas + ARENA;
    last += to_huge_page(last);
    munmap(last, arenas_end - last);
    arenas_end = last;
}
