/* os_mem.c - memory: the heap, mappings, and guards.
 *
 * The heap functions are the library's only malloc. Mappings are made without reservation, so
 * that only touched pages are charged, and without huge pages: a fiber's stack that is touched in
 * one place must cost one page of 4 KiB, not one of 2 MiB.
 *
 * Guards     MADV_GUARD_INSTALL (Linux 6.13) marks pages in the page table: no mapping is split,
 *            a million guards fit. Before that, mprotect, and each guard in the middle of a
 *            mapping costs two more mappings of the vm.max_map_count (65,530) that the process
 *            may have. A runtime that used them all up would break mmap, and with it malloc, for
 *            the whole process; so it stops at 45 %. How many there are is not counted along,
 *            since unmapping gives an unknown number back: it is read from /proc/self/maps, and
 *            again only when the allowance computed from it is spent.
 * Not here   stacks (task/stack.c), the arena of the tasks (task/cell.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/check.h"
#include "os/os.h"

enum {
    MEM_ADVICE_GUARD = 102, /* MADV_GUARD_INSTALL, which older headers do not have */
    MEM_SHARE_PERCENT = 45,
    MEM_MAPS_DEFAULT = 65530,
    MEM_MAPS_PER_GUARD = 2,
    MEM_REFUSALS = 4096 /* guards refused before the mappings are counted again */
};

enum mem_guard_way { MEM_GUARD_UNKNOWN, MEM_GUARD_ADVISE, MEM_GUARD_PROTECT };

/* What the kernel said to the first guard; any thread, relaxed: all would learn the same. */
static _Atomic int mem_guard_way;
/* Guards by mprotect that are still allowed (> 0), or refusals until the next count (< 0). Any
 * thread, relaxed: the limit has slack for more threads than there can be. */
static _Atomic long mem_allowance;

void *skua__os_alloc(size_t size)
{
    if (skua__fault_hit(SKUA__FAULT_MALLOC) != 0)
        return NULL;
    return calloc(1, size);
}

void *skua__os_alloc_unset(size_t size)
{
    if (skua__fault_hit(SKUA__FAULT_MALLOC) != 0)
        return NULL;
    return malloc(size);
}

void *skua__os_alloc_aligned(size_t size, size_t align)
{
    void *ptr;

    skua__assert_slow(align != 0 && (align & (align - 1)) == 0);
    if (skua__fault_hit(SKUA__FAULT_MALLOC) != 0)
        return NULL;
    size = skua__round_up(size, align); /* C11 asks for a multiple */
    ptr = aligned_alloc(align, size);
    if (ptr != NULL)
        memset(ptr, 0, size);
    return ptr;
}

void skua__os_free(void *ptr)
{
    free(ptr);
}

size_t skua__os_page_size(void)
{
    static _Atomic size_t known; /* any thread, relaxed: a constant that each may compute */
    size_t size = skua__load_relaxed(&known);

    if (skua__unlikely(size == 0)) {
        size = (size_t)sysconf(_SC_PAGESIZE);
        skua__store_relaxed(&known, size);
    }
    return size;
}

void *skua__os_map(size_t size)
{
    void *addr;

    skua__assert_slow(size != 0 && size % skua__os_page_size() == 0);
    if (skua__fault_hit(SKUA__FAULT_MMAP) != 0)
        return NULL;
    addr = mmap(NULL, size, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (addr == MAP_FAILED)
        return NULL;
    /* MAP_STACK alone keeps huge pages away since Linux 6.7; a kernel without them says EINVAL. */
    (void)madvise(addr, size, MADV_NOHUGEPAGE);
    return addr;
}

static char *mem_reserve_at(void *hint, size_t size)
{
    char *addr = mmap(hint, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return addr != MAP_FAILED ? addr : NULL;
}

/* Aligned by taking more and giving the rest back. */
static void *mem_reserve_cut(size_t size, size_t align)
{
    size_t page = skua__os_page_size();
    size_t spare = align > page ? align - page : 0;
    size_t before;
    char *addr;

    if (size + spare < size)
        return NULL;
    addr = mem_reserve_at(NULL, size + spare);
    if (addr == NULL)
        return NULL;
    if (spare == 0)
        return addr;
    before = skua__round_up((size_t)(uintptr_t)addr, align) - (size_t)(uintptr_t)addr;
    if (before != 0)
        munmap(addr, before);
    if (before != spare)
        munmap(addr + before + size, spare - before);
    return addr + before;
}

void *skua__os_reserve(size_t size, size_t align)
{
    /* Where the last one was; relaxed: a hint to the kernel, which takes it if it is free again. */
    static _Atomic(char *) last;
    char *hint = skua__load_relaxed(&last);
    char *addr;

    skua__assert_slow(size % skua__os_page_size() == 0 && (align & (align - 1)) == 0);
    if (skua__fault_hit(SKUA__FAULT_MMAP) != 0)
        return NULL;
    addr = hint != NULL ? mem_reserve_at(hint, size) : NULL;
    if (addr != NULL && (uintptr_t)addr % align != 0) {
        munmap(addr, size);
        addr = NULL;
    }
    if (addr == NULL)
        addr = mem_reserve_cut(size, align);
    skua__store_relaxed(&last, addr);
    return addr;
}

int skua__os_commit(void *addr, size_t size)
{
    if (skua__fault_hit(SKUA__FAULT_MMAP) != 0)
        return -ENOMEM;
    return mprotect(addr, size, PROT_READ | PROT_WRITE) == 0 ? 0 : -ENOMEM;
}

void skua__os_unmap(void *addr, size_t size)
{
    int rc = munmap(addr, size);

    /* It may fail for want of mappings, when a part is cut out of one; ours are taken whole. */
    skua__assert_slow(rc == 0);
    (void)rc;
}

void skua__os_decommit(void *addr, size_t size)
{
    /* Locked memory (mlockall) stays resident whatever is asked for: it is zeroed at least. */
    if (madvise(addr, size, MADV_DONTNEED) != 0)
        memset(addr, 0, size);
}

/* ---- guards ---------------------------------------------------------------------------------- */

/* The number in a small file, or `fallback`. */
static long mem_read_number(const char *path, long fallback)
{
    char text[32];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len;
    long value;

    if (fd < 0)
        return fallback;
    len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0)
        return fallback;
    text[len] = '\0';
    value = strtol(text, NULL, 10);
    return value > 0 ? value : fallback;
}

/* How many mappings the process holds, or -1 when that cannot be told. */
static long mem_count_mappings(void)
{
    char text[4096];
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    ssize_t len;
    long lines = 0;

    if (fd < 0)
        return -1;
    do {
        len = read(fd, text, sizeof text);
        for (ssize_t i = 0; i < len; i++)
            lines += text[i] == '\n';
    } while (len > 0 || (len < 0 && errno == EINTR));
    close(fd);
    return len < 0 ? -1 : lines;
}

/* How many guards mprotect may still make. */
static long mem_count_allowance(void)
{
    long max = mem_read_number("/proc/sys/vm/max_map_count", MEM_MAPS_DEFAULT);
    long held = mem_count_mappings();

    if (held < 0)
        return 0;
    return (max / 100 * MEM_SHARE_PERCENT - held) / MEM_MAPS_PER_GUARD;
}

/* Takes one guard from the allowance; false when there is none. */
static bool mem_allow_guard(void)
{
    long left = skua__load_relaxed(&mem_allowance);

    if (left < 0) {
        skua__add_relaxed(&mem_allowance, 1);
        return false;
    }
    if (left == 0) {
        left = mem_count_allowance();
        skua__store_relaxed(&mem_allowance, left > 0 ? left - 1 : -MEM_REFUSALS);
        return left > 0;
    }
    skua__sub_relaxed(&mem_allowance, 1);
    return true;
}

static int mem_guard_protect(void *addr, size_t size)
{
    if (!mem_allow_guard() || mprotect(addr, size, PROT_NONE) != 0)
        return -ENOSPC;
    return 0;
}

/* Installs the guard as new kernels do; false when this one cannot. */
static bool mem_guard_advise(void *addr, size_t size, int way)
{
    if (way == MEM_GUARD_PROTECT)
        return false;
    if (madvise(addr, size, MEM_ADVICE_GUARD) != 0) {
        /* EINVAL: an old kernel, or locked memory. Where it has worked once, this mapping is
         * special and the next is tried again. */
        if (way == MEM_GUARD_UNKNOWN && errno == EINVAL)
            skua__store_relaxed(&mem_guard_way, MEM_GUARD_PROTECT);
        return false;
    }
    if (way == MEM_GUARD_ADVISE)
        return true;
    /* Emulators (qemu-user) nod at advice that they do not know. So the first guard is tried: a
     * system call that writes a little to it must say EFAULT. */
    way = uname(addr) != 0 && errno == EFAULT ? MEM_GUARD_ADVISE : MEM_GUARD_PROTECT;
    skua__store_relaxed(&mem_guard_way, way);
    return way == MEM_GUARD_ADVISE;
}

int skua__os_guard(void *addr, size_t size)
{
    int way = skua__load_relaxed(&mem_guard_way);
    int rc = skua__fault_hit(SKUA__FAULT_MMAP);

    if (rc == -EINVAL) /* a test plays the kernel that has no guards */
        return mem_guard_protect(addr, size);
    if (rc != 0)
        return -ENOSPC;
    if (mem_guard_advise(addr, size, way))
        return 0;
    return mem_guard_protect(addr, size);
}
