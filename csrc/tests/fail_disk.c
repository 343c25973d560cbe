#include "tests/fail_disk.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/types.h>

static _Atomic int armed;
static _Atomic unsigned countdown, left;
static _Atomic unsigned long long unsynced;

ssize_t __real_pwrite64(int fd, const void *bytes, size_t n, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off_t at);
ssize_t __real_pwrite(int fd, const void *bytes, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t at);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n);

void fail_disk_arm(enum fault fault, unsigned nth, unsigned times)
{
    atomic_store(&countdown, nth);
    atomic_store(&left, times);
    atomic_store(&armed, fault);
}

bool fail_disk_disarm(void)
{
    bool hit = atomic_load(&countdown) == 0;
    atomic_store(&armed, FAULT_NONE);
    return hit;
}

unsigned long long fail_disk_unsynced(void) { return atomic_load(&unsynced); }

/* The fault of this call, if it is its turn. */
static enum fault turn(void)
{
    enum fault fault = (enum fault)atomic_load(&armed);
    if (fault == FAULT_NONE)
        return FAULT_NONE;
    unsigned n = atomic_load(&countdown);
    while (n && !atomic_compare_exchange_weak(&countdown, &n, n - 1))
        ;
    if (n > 1)
        return FAULT_NONE;
    if (n == 0 && atomic_load(&left) == 0)
        return FAULT_NONE;
    atomic_fetch_sub(&left, 1);
    return fault;
}

static bool fails(enum fault fault, bool interruptible)
{
    if (fault == FAULT_NONE || fault == FAULT_SHORT || (fault == FAULT_EINTR && !interruptible))
        return false;
    errno = fault == FAULT_ENOSPC ? ENOSPC : fault == FAULT_EIO ? EIO : EINTR;
    return true;
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    enum fault fault = turn();
    if (fails(fault, true))
        return -1;
    ssize_t written = __real_pwrite(fd, bytes, fault == FAULT_SHORT && n > 1 ? n / 2 : n, at);
    if (written > 0)
        atomic_fetch_add(&unsynced, (unsigned long long)written);
    return written;
}

int __wrap_fdatasync(int fd)
{
    if (fails(turn(), false))
        return -1;
    atomic_store(&unsynced, 0);
    return __real_fdatasync(fd);
}

int __wrap_fsync(int fd) { return fails(turn(), false) ? -1 : __real_fsync(fd); }

int __wrap_fallocate(int fd, int mode, off_t at, off_t n) { return fails(turn(), true) ? -1 : __real_fallocate(fd, mode, at, n); }
