/* The dead-letter queue, and dropping jobs by the thousand: DLQ, RETRYDLQ, PURGEDLQ, DRAIN, OBLITERATE. */
#include "base/check.h"
#include "command/handlers.h"

#define SLICE 512u /* jobs dropped before others get at the shard */

enum mq_outcome mq_do_dlq(struct mq_call *call)
{
    struct mq_shard *shard;
    uint64_t count = mq_number_or(call->request, MQ_F_COUNT, 100);
    struct mq_queue *queue = mq_call_queue(call, false, &shard);
    mq_reply_list(call->reply, MQ_RESULT_JOBS);
    if (queue) {
        for (struct mq_list *node = queue->dead.next; node != &queue->dead && count--; node = node->next) {
            struct mq_job_view view = mq_view_job(mq_list_entry(node, struct mq_extra, dead)->job);
            mq_reply_list_job(call->reply, &view);
            if (mq_reply_used(call->reply) >= call->engine->config.max_output)
                break;
        }
    }
    mq_call_unlock(call, shard);
    mq_reply_list_end(call->reply);
    return MQ_ANSWERED;
}

static enum mq_outcome retry_one(struct mq_call *call, uint64_t id)
{
    struct mq_shard *shard;
    struct mq_queue *queue = mq_call_queue(call, false, &shard);
    struct mq_job *job = queue && queue->slot->number == id % MQ_SLOTS ? mq_slot_job(queue->slot, id) : NULL;
    int refusal = MQ_NO_JOB;
    if (job && job->queue == queue && job->state == MQ_JOB_DEAD) {
        refusal = mq_decide_retry_dead_locked(shard, job, call->now_ms);
        if (refusal == MQ_DONE)
            mq_shard_serve_locked(shard, queue, call->now_ms);
        else if (refusal == MQ_KEY_TAKEN)
            mq_call_duplicate(call->request, mq_job_key(job));
    }
    mq_call_unlock(call, shard);
    if (refusal == MQ_KEY_TAKEN)
        return mq_refuse_request(call, MQ_E_DUPLICATE);
    if (refusal != MQ_DONE)
        return mq_refuse_job(call, refusal, id);
    mq_reply_count_listed(call->reply, 1);
    return MQ_ANSWERED;
}

/* Retries a slice of the dead-letter queue, from the job behind *after on (0 = the oldest). A job whose unique key is in use
 * by now stays, and *after becomes its id. Returns how many were looked at. */
static unsigned retry_slice(struct mq_call *call, struct mq_shard *shard, struct mq_queue *queue, uint64_t *after,
                            uint64_t *retried)
{
    struct mq_job *stayed = *after ? mq_slot_job(queue->slot, *after) : NULL;
    bool still_there = stayed && stayed->queue == queue && stayed->state == MQ_JOB_DEAD;
    struct mq_list *node = still_there ? stayed->extra->dead.next : queue->dead.next;
    unsigned n = 0;
    for (; n < SLICE && node != &queue->dead; n++) {
        struct mq_job *job = mq_list_entry(node, struct mq_extra, dead)->job;
        node = node->next;
        if (mq_decide_retry_dead_locked(shard, job, call->now_ms) == MQ_DONE)
            ++*retried;
        else
            *after = job->id;
    }
    mq_shard_serve_locked(shard, queue, call->now_ms);
    return n;
}

enum mq_outcome mq_do_retrydlq(struct mq_call *call)
{
    uint64_t retried = 0, after = 0, left = UINT64_MAX;
    if (mq_call_disk_is_full(call))
        return mq_refuse(call, MQ_E_STORAGE_FULL, NULL);
    if (mq_call_has(call, MQ_F_ID))
        return retry_one(call, call->request->number[MQ_F_ID]);
    while (left) { /* at most as many as there were when it began: what dies meanwhile stays */
        struct mq_shard *shard;
        struct mq_queue *queue = mq_call_queue(call, false, &shard);
        if (!queue)
            left = 0;
        else if (left == UINT64_MAX)
            left = queue->dead_n;
        unsigned n = left ? retry_slice(call, shard, queue, &after, &retried) : 0;
        mq_call_unlock(call, shard);
        left = n && n < left ? left - n : 0;
    }
    mq_reply_count_listed(call->reply, retried);
    return MQ_ANSWERED;
}

/* Drops one job; false when there is none left, or no memory to say so. */
typedef bool drop_one(struct mq_shard *shard, struct mq_queue *queue, int64_t now_ms);

static bool drop_dead(struct mq_shard *shard, struct mq_queue *queue, int64_t now_ms)
{
    struct mq_list *node = mq_list_first(&queue->dead);
    return node && mq_decide_purge_dead_locked(shard, mq_list_entry(node, struct mq_extra, dead)->job, now_ms) == MQ_DONE;
}

static bool drop_waiting(struct mq_shard *shard, struct mq_queue *queue, int64_t now_ms)
{
    struct mq_job *job = mq_ready_first(&queue->ready);
    if (!job && queue->delayed.n)
        job = mq_heap_top(&queue->delayed)->item;
    return job && mq_decide_cancel_locked(shard, job->id, now_ms) == MQ_DONE;
}

/* As many as there were when it began, in slices: what is pushed meanwhile may stay. Returns how many. */
static uint64_t drop_all(struct mq_call *call, drop_one *drop, bool dead)
{
    uint64_t dropped = 0, wanted = UINT64_MAX;
    bool more = true;
    while (more && dropped < wanted) {
        struct mq_shard *shard;
        struct mq_queue *queue = mq_call_queue(call, false, &shard);
        if (queue && wanted == UINT64_MAX)
            wanted = dead ? queue->dead_n : queue->ready.n + queue->delayed.n;
        more = queue != NULL;
        for (unsigned i = 0; more && i < SLICE && dropped < wanted; i++) {
            more = drop(shard, queue, call->now_ms);
            dropped += more;
        }
        mq_call_unlock(call, shard);
        mq_mutex_let_in(&shard->mutex);
    }
    return dropped;
}

enum mq_outcome mq_do_purgedlq(struct mq_call *call)
{
    if (mq_call_disk_is_full(call))
        return mq_refuse(call, MQ_E_STORAGE_FULL, NULL);
    mq_reply_count(call->reply, drop_all(call, drop_dead, true));
    return MQ_ANSWERED;
}

/* --- by id --- */

/* Ends one job, whatever its state; 0 or a refusal. */
static int end_any(struct mq_shard *shard, struct mq_job *job, int64_t now_ms)
{
    if (job->state == MQ_JOB_DONE)
        return mq_decide_trim_job_locked(shard, job, now_ms);
    if (job->state == MQ_JOB_DEAD)
        return mq_decide_purge_dead_locked(shard, job, now_ms);
    return mq_decide_cancel_locked(shard, job->id, now_ms);
}

/* A walk over a queue's jobs, in slices. Those that wait for others are ended first and from the last id down: what depends on a
 * job has a higher id, so no job of the queue fails because another one of it is dropped. */
struct by_id {
    enum mq_job_state state; /* or MQ_JOB_ANY */
    bool down;
    uint64_t from;  /* counter: where to go on */
    uint64_t ended; /* so far; completed ones not counted */
    bool no_memory;
};

/* Ends some jobs of the queue; false when there is none left. */
static bool end_slice(struct mq_shard *shard, struct mq_queue *queue, struct by_id *walk, int64_t now_ms)
{
    for (unsigned i = 0; i < SLICE; i++) {
        const struct mq_index *jobs = &queue->slot->jobs;
        struct mq_job *job = walk->down ? mq_index_down(jobs, walk->state, walk->from) : mq_index_up(jobs, walk->state, walk->from);
        if (!job)
            return false;
        walk->from = walk->down ? job->id / MQ_SLOTS - 1 : job->id / MQ_SLOTS + 1;
        if (job->queue != queue)
            continue;
        bool counts = job->state != MQ_JOB_DONE;
        if (end_any(shard, job, now_ms) < 0) {
            walk->no_memory = true;
            return false;
        }
        walk->ended += counts;
    }
    return true;
}

/* Drops the jobs that wait for others; those pushed meanwhile may stay. */
static uint64_t drop_parents(struct mq_call *call)
{
    struct by_id walk = {.state = MQ_JOB_PARENT, .down = true, .from = UINT64_MAX / MQ_SLOTS};
    for (bool more = true; more;) {
        struct mq_shard *shard;
        struct mq_queue *queue = mq_call_queue(call, false, &shard);
        more = queue && queue->parent_n && end_slice(shard, queue, &walk, call->now_ms);
        mq_call_unlock(call, shard);
        mq_mutex_let_in(&shard->mutex);
    }
    return walk.ended;
}

enum mq_outcome mq_do_drain(struct mq_call *call)
{
    if (mq_call_disk_is_full(call))
        return mq_refuse(call, MQ_E_STORAGE_FULL, NULL);
    uint64_t dropped = drop_parents(call);
    mq_reply_count(call->reply, dropped + drop_all(call, drop_waiting, false));
    return MQ_ANSWERED;
}

/* Ids only grow: when the walk comes to the end under the lock, the queue has no job. */
enum mq_outcome mq_do_obliterate(struct mq_call *call)
{
    if (mq_call_disk_is_full(call))
        return mq_refuse(call, MQ_E_STORAGE_FULL, NULL);
    struct by_id walk = {.state = MQ_JOB_ANY};
    walk.ended = drop_parents(call);
    for (bool more = true; more;) {
        struct mq_shard *shard;
        struct mq_queue *queue = mq_call_queue(call, false, &shard);
        more = queue && end_slice(shard, queue, &walk, call->now_ms);
        if (queue && !more && !walk.no_memory && queue->known)
            walk.no_memory = mq_decide_forget_queue_locked(shard, queue, call->now_ms) < 0;
        mq_call_unlock(call, shard);
        mq_mutex_let_in(&shard->mutex);
    }
    if (walk.no_memory)
        return mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    mq_reply_count(call->reply, walk.ended);
    return MQ_ANSWERED;
}
