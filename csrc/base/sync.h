/* What threads share: a mutex that spins a little before it sleeps, an eventfd to wake a sleeping poll, and a hook, which
 * wakes a thread that sleeps until some time when something nearer comes up. csrc/README.md has the order of locks. */
#ifndef MQ_SYNC_H
#define MQ_SYNC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mq_mutex {
    pthread_mutex_t m;
    _Atomic unsigned waiting; /* threads that found it taken */
};

void mq_mutex_init(struct mq_mutex *mutex);
void mq_mutex_close(struct mq_mutex *mutex);

static inline void mq_mutex_lock(struct mq_mutex *mutex)
{
    if (pthread_mutex_trylock(&mutex->m) == 0)
        return;
    atomic_fetch_add_explicit(&mutex->waiting, 1, memory_order_relaxed);
    pthread_mutex_lock(&mutex->m);
    atomic_fetch_sub_explicit(&mutex->waiting, 1, memory_order_relaxed);
}

static inline bool mq_mutex_try(struct mq_mutex *mutex) { return pthread_mutex_trylock(&mutex->m) == 0; }
static inline void mq_mutex_unlock(struct mq_mutex *mutex) { pthread_mutex_unlock(&mutex->m); }

/* For who works in slices, between them and without the mutex: whoever waits for it gets it first (or a moment passes). */
void mq_mutex_let_in(struct mq_mutex *mutex);

/* A non-blocking eventfd, or -errno. */
int mq_event_open(void);
/* Async-signal-safe. */
void mq_event_signal(int fd);
/* Back to unsignalled. */
void mq_event_clear(int fd);

/* One thread sleeps, any thread wakes it. */
#define MQ_HOOK_AWAKE INT64_MIN

struct mq_hook {
    _Alignas(64) _Atomic int64_t until_ms; /* when the sleeper will look again by itself; MQ_HOOK_AWAKE = it is awake */
    int event_fd;
};

/* 0 or -errno. */
int mq_hook_init(struct mq_hook *hook);
void mq_hook_close(struct mq_hook *hook);
/* Wakes the sleeper if there is one. */
void mq_hook_wake(struct mq_hook *hook);
/* Something is due at this time: wakes a sleeper that would sleep longer. */
static inline void mq_hook_due(struct mq_hook *hook, int64_t due_ms)
{
    if (due_ms < atomic_load(&hook->until_ms))
        mq_hook_wake(hook);
}
/* The sleeper announces until when it means to sleep; what is due must be looked at once more before mq_hook_sleep. */
static inline void mq_hook_plan(struct mq_hook *hook, int64_t until_ms) { atomic_store(&hook->until_ms, until_ms); }
/* Sleeps at most so many milliseconds, -1 = until woken; 0 does not sleep. Awake afterwards. */
void mq_hook_sleep(struct mq_hook *hook, int timeout_ms);

#endif
