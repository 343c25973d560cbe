#include "queue/queue.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

void mq_holder_init(struct mq_holder *holder)
{
    for (unsigned i = 0; i < MQ_SHARDS; i++)
        mq_list_init(&holder->held[i]);
    atomic_init(&holder->shards, 0);
}

struct mq_queue *mq_queue_create(mq_slice name, mq_slice name_json, uint64_t hash, struct mq_slot *slot)
{
    struct mq_queue *queue = mq_alloc_zero(sizeof *queue + name.n + name_json.n);
    if (!queue)
        return NULL;
    queue->hash = hash;
    queue->slot = slot;
    mq_ready_init(&queue->ready);
    mq_heap_init(&queue->delayed, offsetof(struct mq_job, at.heap_index));
    mq_map_init(&queue->keys);
    mq_list_init(&queue->waiters);
    mq_list_init(&queue->dead);
    queue->due_index = MQ_HEAP_NONE;
    queue->name_n = (uint32_t)name.n;
    queue->name_json_n = (uint32_t)name_json.n;
    memcpy(queue->text, name.p, name.n);
    memcpy(queue->text + name.n, name_json.p, name_json.n);
    return queue;
}

void mq_queue_free(struct mq_queue *queue)
{
    MQ_ASSERT(mq_list_empty(&queue->waiters));
    mq_ready_close(&queue->ready);
    mq_heap_close(&queue->delayed);
    mq_map_close(&queue->keys);
    mq_free(queue);
}

void mq_queue_add_ready(struct mq_queue *queue, struct mq_job *job)
{
    job->state = MQ_JOB_READY;
    mq_ready_push(&queue->ready, job);
}

void mq_queue_add_delayed(struct mq_queue *queue, struct mq_job *job)
{
    job->state = MQ_JOB_DELAYED;
    /* of those due in one millisecond the highest priority first: a slice of them then begins with the right ones */
    uint64_t rank = (uint64_t)((int64_t)INT32_MAX - job->priority);
    mq_heap_push(&queue->delayed, (uint64_t)job->run_at_ms, rank << 32 | (uint32_t)(job->id / MQ_SLOTS), job);
}

void mq_queue_take_waiting(struct mq_queue *queue, struct mq_job *job)
{
    if (job->state == MQ_JOB_READY) {
        mq_ready_remove(&queue->ready, job);
        mq_ready_shrink(&queue->ready, queue->active_n + 1);
    } else if (job->state == MQ_JOB_PARENT) {
        queue->parent_n--;
    } else {
        MQ_ASSERT(job->state == MQ_JOB_DELAYED);
        mq_heap_remove(&queue->delayed, job->at.heap_index);
        mq_heap_shrink(&queue->delayed, queue->delayed.n);
    }
}

static bool key_matches(const void *item, const void *key)
{
    return mq_slice_eq(mq_job_key(item), *(const mq_slice *)key);
}

struct mq_job *mq_queue_key_find(const struct mq_queue *queue, mq_slice key)
{
    if (mq_map_size(&queue->keys) == 0)
        return NULL;
    return mq_map_find(&queue->keys, mq_hash_bytes(key.p, key.n), key_matches, &key);
}

void mq_queue_key_hold(struct mq_queue *queue, struct mq_job *job)
{
    mq_slice key = mq_job_key(job);
    mq_map_insert(&queue->keys, mq_hash_bytes(key.p, key.n), job);
    job->key_held = true;
}

void mq_queue_key_drop(struct mq_queue *queue, struct mq_job *job)
{
    if (!job->key_held)
        return;
    mq_slice key = mq_job_key(job);
    MQ_ASSERT(mq_map_remove(&queue->keys, mq_hash_bytes(key.p, key.n), job));
    job->key_held = false;
}

struct mq_queue_settings mq_queue_settings_of(const struct mq_queue *queue)
{
    return (struct mq_queue_settings){
        .paused = queue->paused,
        .rate_limit = queue->limits.rate,
        .rate_duration_ms = queue->limits.duration_ms,
        .concurrency = queue->limits.concurrency,
        .length = queue->limits.length,
    };
}

bool mq_queue_settings_equal(const struct mq_queue_settings *a, const struct mq_queue_settings *b)
{
    return a->paused == b->paused && a->rate_limit == b->rate_limit && a->rate_duration_ms == b->rate_duration_ms &&
           a->concurrency == b->concurrency && a->length == b->length;
}
