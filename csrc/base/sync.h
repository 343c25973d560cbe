/* What threads share: a mutex that spins a little before it sleeps, and an eventfd to wake a sleeping poll.
 *
 * Lock order: a thread holds at most one mutex of this library at any time (csrc/README.md has the table).
 */
#ifndef MQ_SYNC_H
#define MQ_SYNC_H

#include <pthread.h>
#include <stdint.h>

struct mq_mutex {
    pthread_mutex_t m;
};

void mq_mutex_init(struct mq_mutex *mutex);
void mq_mutex_close(struct mq_mutex *mutex);

static inline void mq_mutex_lock(struct mq_mutex *mutex) { pthread_mutex_lock(&mutex->m); }
static inline void mq_mutex_unlock(struct mq_mutex *mutex) { pthread_mutex_unlock(&mutex->m); }

/* A non-blocking eventfd, or -errno. */
int mq_event_open(void);
/* Async-signal-safe. */
void mq_event_signal(int fd);
/* Back to unsignalled. */
void mq_event_clear(int fd);

#endif
