#include "base/sync.h"

#include "base/check.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

void mq_mutex_init(struct mq_mutex *mutex)
{
    pthread_mutexattr_t attr;
    MQ_ASSERT(pthread_mutexattr_init(&attr) == 0);
    MQ_ASSERT(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP) == 0);
    MQ_ASSERT(pthread_mutex_init(&mutex->m, &attr) == 0);
    pthread_mutexattr_destroy(&attr);
}

void mq_mutex_close(struct mq_mutex *mutex) { pthread_mutex_destroy(&mutex->m); }

int mq_event_open(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void mq_event_signal(int fd)
{
    uint64_t one = 1;
    int saved = errno; /* may run inside a signal handler */
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved;
}

void mq_event_clear(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}
