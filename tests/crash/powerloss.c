/* A preloaded layer that writes down what a process does to one folder, in order, for tests/crash/disk.py to play back.
 *
 * POWERLOSS_FOLDER: the folder that is watched, absolute. POWERLOSS_JOURNAL: where the records go, outside of it.
 * POWERLOSS_KILL_AT: the number, from 1, of the operation before which the whole process group is killed; 0 or none: never.
 * POWERLOSS_KILL_AT_NAMES: likewise, of the syncs of the folder alone.
 *
 * Order: an operation and its record happen under one lock in memory shared with forked children, so the journal's order is the
 * order of the operations over all processes. A sync takes two records, its begin and its end, with the sync between them and
 * outside the lock: what was written before the begin is on the disk from the end on. The kill happens under the lock, so no
 * operation is without its record. powerloss_note lets the process put in lines of its own, in the same order.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096

enum op {
    CREATE = 'C', OPEN = 'O', WRITE = 'W', TRUNCATE = 'T', ALLOCATE = 'A', SYNC_BEGIN = 'S', SYNC_END = 'E', RENAME = 'R', UNLINK = 'U',
    MKDIR = 'M', NOTE = 'N',
};

/* A record: this, the name (of a rename: two, with a zero between), the data. Host byte order. */
struct record {
    uint8_t op; /* enum op */
    uint8_t spare;
    uint16_t name_n;
    uint32_t data_n;
    uint64_t inode;  /* 0 = the folder, UINT64_MAX = the folder that it is in */
    uint64_t offset; /* WRITE, ALLOCATE; SYNC_BEGIN, SYNC_END: the sync's number */
    uint64_t size;   /* TRUNCATE, ALLOCATE */
};

#define FOLDER 0u
#define PARENT UINT64_MAX

static struct shared {
    pthread_mutex_t mutex;
    uint64_t operations, syncs, name_syncs;
} *shared;

static char folder[4096], parent[4096];
static int journal_fd = -1;
static uint64_t kill_at, kill_at_names;

/* What a descriptor is to us. Per process, copied by fork like the descriptors themselves. */
static struct watch { bool on; uint64_t inode; } watches[FDS];

#define REAL(type, name) ((type)real_of(name))

static void *real_of(const char *name)
{
    void *real = dlsym(RTLD_NEXT, name);
    if (!real)
        abort();
    return real;
}

static int (*real_openat)(int, const char *, int, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fallocate)(int, int, off_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_renameat)(int, const char *, int, const char *);
static int (*real_unlinkat)(int, const char *, int);
static int (*real_mkdir)(const char *, mode_t);
static int (*real_close)(int);

static uint64_t number_of(const char *setting)
{
    const char *value = getenv(setting);
    return value ? strtoull(value, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *watched = getenv("POWERLOSS_FOLDER"), *journal = getenv("POWERLOSS_JOURNAL");
    pthread_mutexattr_t attributes;
    if (real_close)
        return;
    real_openat = REAL(int (*)(int, const char *, int, ...), "openat");
    real_write = REAL(ssize_t(*)(int, const void *, size_t), "write");
    real_pwrite = REAL(ssize_t(*)(int, const void *, size_t, off_t), "pwrite");
    real_ftruncate = REAL(int (*)(int, off_t), "ftruncate");
    real_fallocate = REAL(int (*)(int, int, off_t, off_t), "fallocate");
    real_fsync = REAL(int (*)(int), "fsync");
    real_fdatasync = REAL(int (*)(int), "fdatasync");
    real_renameat = REAL(int (*)(int, const char *, int, const char *), "renameat");
    real_unlinkat = REAL(int (*)(int, const char *, int), "unlinkat");
    real_mkdir = REAL(int (*)(const char *, mode_t), "mkdir");
    real_close = REAL(int (*)(int), "close");
    if (!watched || !journal)
        return;
    snprintf(folder, sizeof folder, "%s", watched);
    snprintf(parent, sizeof parent, "%s", watched);
    if (strrchr(parent, '/'))
        *strrchr(parent, '/') = 0;
    kill_at = number_of("POWERLOSS_KILL_AT");
    kill_at_names = number_of("POWERLOSS_KILL_AT_NAMES");
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    journal_fd = real_openat(AT_FDCWD, journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (shared == MAP_FAILED || journal_fd < 0 || pthread_mutexattr_init(&attributes) != 0 ||
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) != 0 || pthread_mutex_init(&shared->mutex, &attributes) != 0)
        abort();
}

/* --- the journal --- */

static void lock(void)
{
    pthread_mutex_lock(&shared->mutex);
}

static void unlock(void)
{
    int error = errno;
    pthread_mutex_unlock(&shared->mutex);
    errno = error;
}

static void die(void)
{
    kill(0, SIGKILL);
    for (;;)
        pause();
}

/* One more operation is about to happen, or this is the end. */
static void count_locked(void)
{
    if (++shared->operations == kill_at)
        die();
}

static void put_locked(struct record record, const char *name, size_t name_n, const void *data, size_t data_n)
{
    int error = errno;
    record.name_n = (uint16_t)name_n;
    record.data_n = (uint32_t)data_n;
    struct iovec parts[] = {{&record, sizeof record}, {(void *)name, name_n}, {(void *)data, data_n}};
    if (writev(journal_fd, parts, 3) != (ssize_t)(sizeof record + name_n + data_n))
        abort();
    errno = error;
}

void powerloss_note(const char *text, size_t n)
{
    lock();
    put_locked((struct record){.op = NOTE}, NULL, 0, text, n);
    unlock();
}

/* --- what is watched --- */

static const struct watch *watch_of(int fd)
{
    static const struct watch none;
    return journal_fd >= 0 && fd >= 0 && fd < FDS ? &watches[fd] : &none;
}

static bool is_folder(int fd) { return watch_of(fd)->on && watches[fd].inode == FOLDER; }

/* The name in the folder that a path means, "." for the folder itself, ".." for the one it is in; NULL: another place. */
static const char *name_of(int dir_fd, const char *path)
{
    size_t n = strlen(folder);
    if (journal_fd < 0)
        return NULL;
    if (path[0] != '/')
        return is_folder(dir_fd) && !strchr(path, '/') ? path : NULL;
    if (strcmp(path, parent) == 0)
        return "..";
    if (strncmp(path, folder, n) != 0 || (path[n] && path[n] != '/'))
        return NULL;
    path += n;
    path += *path == '/';
    return *path ? path : ".";
}

/* --- opening and closing --- */

static int watched_open(int dir_fd, const char *path, const char *name, int flags, mode_t mode)
{
    struct stat stat;
    lock();
    bool is_new = flags & O_CREAT && fstatat(dir_fd, path, &stat, AT_SYMLINK_NOFOLLOW) < 0;
    if (is_new || flags & O_TRUNC)
        count_locked();
    int fd = real_openat(dir_fd, path, flags, mode);
    if (fd >= FDS || (fd >= 0 && fstat(fd, &stat) < 0))
        abort();
    if (fd >= 0) {
        bool itself = strcmp(name, ".") == 0, above = strcmp(name, "..") == 0;
        watches[fd] = (struct watch){true, itself ? FOLDER : above ? PARENT : (uint64_t)stat.st_ino};
        if (!itself && !above)
            put_locked((struct record){.op = is_new ? CREATE : OPEN, .inode = watches[fd].inode}, name, strlen(name), NULL, 0);
        if (!is_new && flags & O_TRUNC)
            put_locked((struct record){.op = TRUNCATE, .inode = watches[fd].inode}, NULL, 0, NULL, 0);
    }
    unlock();
    return fd;
}

static int any_open(int dir_fd, const char *path, int flags, va_list args)
{
    mode_t mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
    begin();
    const char *name = name_of(dir_fd, path);
    return name ? watched_open(dir_fd, path, name, flags, mode) : real_openat(dir_fd, path, flags, mode);
}

#define OPEN_BODY(dir_fd)                                                                                              \
    va_list args;                                                                                                       \
    va_start(args, flags);                                                                                              \
    int fd = any_open(dir_fd, path, flags, args);                                                                       \
    va_end(args);                                                                                                       \
    return fd

int open(const char *path, int flags, ...) { OPEN_BODY(AT_FDCWD); }
int open64(const char *path, int flags, ...) { OPEN_BODY(AT_FDCWD); }
int openat(int dir_fd, const char *path, int flags, ...) { OPEN_BODY(dir_fd); }
int openat64(int dir_fd, const char *path, int flags, ...) { OPEN_BODY(dir_fd); }

int close(int fd)
{
    begin();
    if (watch_of(fd)->on)
        watches[fd].on = false; /* before the number can be another's */
    return real_close(fd);
}

/* --- changes of a file --- */

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset)
{
    if (!watch_of(fd)->on)
        return real_pwrite(fd, data, n, offset);
    lock();
    count_locked();
    ssize_t done = real_pwrite(fd, data, n, offset);
    if (done > 0)
        put_locked((struct record){.op = WRITE, .inode = watches[fd].inode, .offset = (uint64_t)offset}, NULL, 0, data, (size_t)done);
    unlock();
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t n, off_t offset) { return pwrite(fd, data, n, offset); }

ssize_t write(int fd, const void *data, size_t n)
{
    begin();
    if (!watch_of(fd)->on)
        return real_write(fd, data, n);
    lock();
    count_locked();
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = real_write(fd, data, n);
    if (done > 0)
        put_locked((struct record){.op = WRITE, .inode = watches[fd].inode, .offset = (uint64_t)offset}, NULL, 0, data, (size_t)done);
    unlock();
    return done;
}

int ftruncate(int fd, off_t size)
{
    if (!watch_of(fd)->on)
        return real_ftruncate(fd, size);
    lock();
    count_locked();
    int status = real_ftruncate(fd, size);
    if (status == 0)
        put_locked((struct record){.op = TRUNCATE, .inode = watches[fd].inode, .size = (uint64_t)size}, NULL, 0, NULL, 0);
    unlock();
    return status;
}

int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

/* The log keeps a file's size when it asks for room ahead; with another mode the player could not know what is there. */
int fallocate(int fd, int mode, off_t offset, off_t size)
{
    if (!watch_of(fd)->on)
        return real_fallocate(fd, mode, offset, size);
    if (mode != FALLOC_FL_KEEP_SIZE)
        abort();
    lock();
    count_locked();
    int status = real_fallocate(fd, mode, offset, size);
    if (status == 0)
        put_locked((struct record){.op = ALLOCATE, .inode = watches[fd].inode, .offset = (uint64_t)offset, .size = (uint64_t)size}, NULL, 0,
                   NULL, 0);
    unlock();
    return status;
}

int fallocate64(int fd, int mode, off_t offset, off_t size) { return fallocate(fd, mode, offset, size); }

/* --- syncs --- */

static int sync_by(int (*real)(int), int fd)
{
    if (!watch_of(fd)->on)
        return real(fd);
    struct record record = {.op = SYNC_BEGIN, .inode = watches[fd].inode};
    lock();
    count_locked();
    if (record.inode == FOLDER && ++shared->name_syncs == kill_at_names)
        die();
    record.offset = ++shared->syncs;
    put_locked(record, NULL, 0, NULL, 0);
    unlock();
    int status = real(fd);
    lock();
    record.op = SYNC_END;
    if (status == 0)
        put_locked(record, NULL, 0, NULL, 0);
    unlock();
    return status;
}

int fsync(int fd) { return sync_by(real_fsync, fd); }
int fdatasync(int fd) { return sync_by(real_fdatasync, fd); }

/* --- changes of the folder --- */

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    const char *old = name_of(from_fd, from), *new = name_of(to_fd, to);
    char names[2 * 256];
    if (!old && !new)
        return real_renameat(from_fd, from, to_fd, to);
    if (!old || !new) /* in or out of the folder: nothing that is tested does that */
        abort();
    lock();
    count_locked();
    int status = real_renameat(from_fd, from, to_fd, to);
    int n = snprintf(names, sizeof names, "%s%c%s", old, 0, new);
    if (status == 0)
        put_locked((struct record){.op = RENAME}, names, (size_t)n, NULL, 0);
    unlock();
    return status;
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int unlinkat(int dir_fd, const char *path, int flags)
{
    const char *name = name_of(dir_fd, path);
    if (!name)
        return real_unlinkat(dir_fd, path, flags);
    lock();
    count_locked();
    int status = real_unlinkat(dir_fd, path, flags);
    if (status == 0)
        put_locked((struct record){.op = UNLINK}, name, strlen(name), NULL, 0);
    unlock();
    return status;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int mkdir(const char *path, mode_t mode)
{
    const char *name = name_of(AT_FDCWD, path);
    if (!name || strcmp(name, ".") != 0)
        return real_mkdir(path, mode);
    lock();
    count_locked();
    int status = real_mkdir(path, mode);
    if (status == 0)
        put_locked((struct record){.op = MKDIR}, NULL, 0, NULL, 0);
    unlock();
    return status;
}
