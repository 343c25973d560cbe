/* A queue: its ready and delayed jobs, its dead letters, its parked pulls. Guarded by the mutex of its shard.
 *
 * Room in ready and delayed is reserved by whoever decides, so that entering them cannot fail. The invariant for jobs that
 * come back unasked (a worker dies): ready always has room for all active jobs.
 */
#ifndef MQ_QUEUE_H
#define MQ_QUEUE_H

#include "base/heap.h"
#include "base/map.h"
#include "queue/job.h"
#include "queue/limits.h"
#include "queue/metrics.h"
#include "queue/ready.h"
#include "queue/waiter.h"

struct mq_slot;

struct mq_queue {
    uint64_t hash; /* XXH64 of the name */
    struct mq_slot *slot;
    struct mq_ready ready;
    struct mq_heap delayed; /* by run_at, priority, id */
    struct mq_map keys;     /* unique keys in use, to their jobs */
    struct mq_list waiters; /* parked pulls, oldest first */
    struct mq_list dead;    /* the dead-letter queue, oldest first, by extra->dead */
    uint64_t dead_n, active_n, parent_n, completed;
    uint64_t dead_by[MQ_REASONS]; /* dead_n by enum mq_reason */
    struct mq_recent in, out;     /* pushed, completed; volatile */
    uint32_t due_index; /* in shard->due, by the first delayed job or the token a waiter needs; MQ_HEAP_NONE without any */
    struct mq_limits limits;
    bool paused;
    bool known; /* something durable names it; else it lives only as long as a pull waits */
    uint32_t name_n, name_json_n;
    char text[]; /* the name, then the name as a JSON string */
};

/* `name_json` is the name as a JSON string. NULL when there is no memory. */
struct mq_queue *mq_queue_create(mq_slice name, mq_slice name_json, uint64_t hash, struct mq_slot *slot);
/* Its jobs are not freed with it (they are the slot's). No waiter may be left. */
void mq_queue_free(struct mq_queue *queue);

/* Bytes it takes, as MAX_MEMORY counts them, without its jobs. */
static inline size_t mq_queue_bytes(const struct mq_queue *queue)
{
    return sizeof *queue + queue->name_n + queue->name_json_n;
}

static inline mq_slice mq_queue_name(const struct mq_queue *queue) { return mq_slice_of(queue->text, queue->name_n); }

static inline mq_slice mq_queue_name_json(const struct mq_queue *queue)
{
    return mq_slice_of(queue->text + queue->name_n, queue->name_json_n);
}

/* A queue's settings, always written whole: read, change, write. */
struct mq_queue_settings {
    bool paused;
    uint64_t rate_limit, rate_duration_ms; /* jobs a duration; 0 = no limit */
    uint64_t concurrency, length;          /* 0 = no limit */
};
struct mq_queue_settings mq_queue_settings_of(const struct mq_queue *queue);
bool mq_queue_settings_equal(const struct mq_queue_settings *a, const struct mq_queue_settings *b);

/* Jobs that have been pushed, or come back, and are not held. */
static inline uint64_t mq_queue_length(const struct mq_queue *queue)
{
    return queue->ready.n + queue->delayed.n + queue->parent_n;
}

/* The job's queue must be this one. */
void mq_queue_add_ready(struct mq_queue *queue, struct mq_job *job);
void mq_queue_add_delayed(struct mq_queue *queue, struct mq_job *job);
/* Waits for the jobs it depends on: stands in no list of the queue. */
static inline void mq_queue_add_parent(struct mq_queue *queue, struct mq_job *job)
{
    job->state = MQ_JOB_PARENT;
    queue->parent_n++;
}
/* Out of ready, delayed or waiting for parents. */
void mq_queue_take_waiting(struct mq_queue *queue, struct mq_job *job);

/* The job that holds this unique key, or NULL. */
struct mq_job *mq_queue_key_find(const struct mq_queue *queue, mq_slice key);
void mq_queue_key_hold(struct mq_queue *queue, struct mq_job *job);
void mq_queue_key_drop(struct mq_queue *queue, struct mq_job *job);

#endif
