/* The three calls of the hot path, straight to the kernel.
 *
 * libc's wrappers are cancellation points: in a process with several threads each costs two atomic operations that nobody
 * here has a use for (threads are stopped by mq_net_stop, never cancelled). Otherwise as the wrappers: -1 and errno.
 */
#ifndef MQ_SYSCALLS_H
#define MQ_SYSCALLS_H

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline ssize_t mq_recv(int fd, void *buffer, size_t n)
{
    return syscall(SYS_recvfrom, fd, buffer, n, 0, NULL, NULL);
}

static inline ssize_t mq_send(int fd, const void *buffer, size_t n)
{
    return syscall(SYS_sendto, fd, buffer, n, MSG_NOSIGNAL, NULL, 0);
}

static inline int mq_epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms)
{
    return (int)syscall(SYS_epoll_pwait, fd, events, n, timeout_ms, NULL, 0);
}

#endif
