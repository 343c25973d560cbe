#include "base/sync.h"

#include "base/check.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

void mq_mutex_init(struct mq_mutex *mutex)
{
    pthread_mutexattr_t attr;
    MQ_ASSERT(pthread_mutexattr_init(&attr) == 0);
    MQ_ASSERT(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP) == 0);
    MQ_ASSERT(pthread_mutex_init(&mutex->m, &attr) == 0);
    pthread_mutexattr_destroy(&attr);
    atomic_init(&mutex->waiting, 0);
}

void mq_mutex_let_in(struct mq_mutex *mutex)
{
    for (int i = 0; i < 1000 && atomic_load_explicit(&mutex->waiting, memory_order_relaxed); i++)
        sched_yield();
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

int mq_hook_init(struct mq_hook *hook)
{
    atomic_init(&hook->until_ms, MQ_HOOK_AWAKE);
    hook->event_fd = mq_event_open();
    return hook->event_fd < 0 ? hook->event_fd : 0;
}

void mq_hook_close(struct mq_hook *hook)
{
    if (hook->event_fd >= 0)
        close(hook->event_fd);
}

void mq_hook_wake(struct mq_hook *hook)
{
    if (atomic_exchange(&hook->until_ms, MQ_HOOK_AWAKE) != MQ_HOOK_AWAKE)
        mq_event_signal(hook->event_fd);
}

void mq_hook_sleep(struct mq_hook *hook, int timeout_ms)
{
    struct pollfd fd = {.fd = hook->event_fd, .events = POLLIN};
    int signalled = 0;
    if (timeout_ms && atomic_load(&hook->until_ms) != MQ_HOOK_AWAKE)
        signalled = poll(&fd, 1, timeout_ms);
    if (atomic_exchange(&hook->until_ms, MQ_HOOK_AWAKE) == MQ_HOOK_AWAKE || signalled > 0)
        mq_event_clear(hook->event_fd); /* somebody has signalled, or does so just now: then the next sleep is short, once */
}
