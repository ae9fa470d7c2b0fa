/* disk_folder.c - the folder of a queue: whose it is, and which files are in it.
 *
 * Lock       fcntl's, which goes with the process and is not the child's after a fork. Within a
 *            process it holds nobody off, and a second descriptor of the file that is closed would
 *            end it: so a list of the folders that are open is asked first.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "otel/disk/disk_impl.h"

#define FOLDER_NAME 17 /* 16 digits and a NUL */

static struct {
    pthread_mutex_t mutex;
    struct skua__disk *first; /* mutex */
} folder_all = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Enters a queue; -EBUSY: its folder is there. */
static int folder_enter(struct skua__disk *self)
{
    struct stat stat;
    int rc = 0;

    if (fstat(self->folder, &stat) != 0)
        return -errno;
    self->device = stat.st_dev;
    self->inode = stat.st_ino;
    pthread_mutex_lock(&folder_all.mutex);
    for (struct skua__disk *at = folder_all.first; at != NULL; at = at->others)
        if (at->device == self->device && at->inode == self->inode && at->process == getpid())
            rc = -EBUSY;
    if (rc == 0) {
        self->others = folder_all.first;
        folder_all.first = self;
        self->process = getpid();
    }
    pthread_mutex_unlock(&folder_all.mutex);
    return rc;
}

static void folder_leave(struct skua__disk *self)
{
    pthread_mutex_lock(&folder_all.mutex);
    for (struct skua__disk **at = &folder_all.first; *at != NULL; at = &(*at)->others) {
        if (*at == self) {
            *at = self->others;
            break;
        }
    }
    pthread_mutex_unlock(&folder_all.mutex);
}

static int folder_lock(struct skua__disk *self)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    self->lock = openat(self->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock < 0)
        return -errno;
    if (fcntl(self->lock, F_SETLK, &lock) == 0)
        return 0;
    return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
}

/* ---- segments -------------------------------------------------------------------------------- */

static void folder_name(char *name, uint64_t number)
{
    (void)snprintf(name, FOLDER_NAME, "%016llx", (unsigned long long)number);
}

/* 0: it is none. */
static uint64_t folder_number(const char *name)
{
    if (strlen(name) != FOLDER_NAME - 1 || strspn(name, "0123456789abcdef") != FOLDER_NAME - 1)
        return 0;
    return strtoull(name, NULL, 16);
}

static int folder_segment(struct skua__disk *self, uint64_t number, int flags,
                          struct skua__disk_segment **ret)
{
    struct skua__disk_segment *segment = skua__otel_malloc(sizeof *segment);
    char name[FOLDER_NAME];
    struct stat stat;

    if (segment == NULL)
        return -ENOMEM;
    folder_name(name, number);
    segment->number = number;
    segment->fd = openat(self->folder, name, O_RDWR | O_CLOEXEC | flags, 0600);
    if (segment->fd < 0 || fstat(segment->fd, &stat) != 0) {
        int rc = -errno;

        if (segment->fd >= 0)
            (void)close(segment->fd);
        skua__otel_free(segment);
        return rc;
    }
    segment->size = (uint64_t)stat.st_size;
    *ret = segment;
    return 0;
}

/* Into its place by age. */
static void folder_insert(struct skua__disk *self, struct skua__disk_segment *segment)
{
    struct skua__disk_segment **at = &self->oldest;

    while (*at != NULL && (*at)->number < segment->number)
        at = &(*at)->next;
    segment->next = *at;
    *at = segment;
    if (segment->next == NULL)
        self->youngest = segment;
    self->stats.bytes += segment->size;
    self->stats.queued += segment->queued;
}

static int folder_found(struct skua__disk *self, uint64_t number)
{
    struct skua__disk_segment *segment;
    uint64_t torn = 0;
    int rc = folder_segment(self, number, 0, &segment);

    if (rc != 0)
        return rc;
    rc = skua__disk_scan(segment, &torn);
    if (rc != 0) {
        (void)close(segment->fd);
        skua__otel_free(segment);
        return rc;
    }
    self->stats.torn += torn;
    folder_insert(self, segment);
    return 0;
}

static int folder_read(struct skua__disk *self)
{
    int fd = openat(self->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (dir == NULL) {
        rc = -errno;
        if (fd >= 0)
            (void)close(fd);
        return rc;
    }
    while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL)
        if (folder_number(entry->d_name) != 0)
            rc = folder_found(self, folder_number(entry->d_name));
    if (rc == 0 && errno != 0)
        rc = -errno;
    (void)closedir(dir);
    self->stats.found = self->stats.queued;
    while (self->oldest != NULL && self->oldest->queued == 0)
        skua__disk_remove(self);
    return rc;
}

int skua__disk_open(struct skua__disk *self)
{
    int rc;

    self->folder = self->lock = -1;
    if (mkdir(self->path, 0700) != 0 && errno != EEXIST)
        return -errno;
    self->folder = open(self->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->folder < 0)
        return -errno;
    rc = folder_enter(self);
    if (rc != 0) {
        (void)close(self->folder);
        return rc;
    }
    rc = folder_lock(self);
    if (rc == 0)
        rc = folder_read(self);
    if (rc != 0)
        skua__disk_close(self);
    return rc;
}

void skua__disk_close(struct skua__disk *self)
{
    while (self->oldest != NULL) {
        struct skua__disk_segment *segment = self->oldest;

        self->oldest = segment->next;
        (void)close(segment->fd);
        skua__otel_free(segment);
    }
    if (self->lock >= 0)
        (void)close(self->lock); /* and with it the lock, if it is this process' */
    (void)close(self->folder);
    folder_leave(self);
}

int skua__disk_grow(struct skua__disk *self)
{
    struct skua__disk_segment *segment;
    uint64_t number = self->youngest != NULL ? self->youngest->number + 1 : 1;
    int rc = folder_segment(self, number, O_CREAT | O_TRUNC, &segment);

    if (rc == 0 && self->sync && fsync(self->folder) != 0) {
        rc = -errno;
        (void)close(segment->fd);
        skua__otel_free(segment);
    }
    if (rc == 0)
        folder_insert(self, segment);
    return rc;
}

void skua__disk_remove(struct skua__disk *self)
{
    struct skua__disk_segment *segment = self->oldest;
    char name[FOLDER_NAME];

    folder_name(name, segment->number);
    if (unlinkat(self->folder, name, 0) != 0) /* then it is at least empty at the next start */
        (void)!ftruncate(segment->fd, 0);
    (void)close(segment->fd);
    self->oldest = segment->next;
    if (self->oldest == NULL)
        self->youngest = NULL;
    self->stats.bytes -= segment->size;
    self->stats.queued -= segment->queued;
    skua__otel_free(segment);
}

#undef FOLDER_NAME
