/* The dead-letter queue, and dropping jobs by the thousand: DLQ, RETRYDLQ, PURGEDLQ, DRAIN. */
#include "base/check.h"
#include "command/handlers.h"

#define SLICE 4096u /* jobs dropped before others get at the shard */

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
    }
    mq_call_unlock(call, shard);
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

/* As many as there were when it began, in slices: what is pushed meanwhile may stay. */
static enum mq_outcome drop_all(struct mq_call *call, drop_one *drop, bool dead)
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
    }
    mq_reply_count(call->reply, dropped);
    return MQ_ANSWERED;
}

enum mq_outcome mq_do_purgedlq(struct mq_call *call) { return drop_all(call, drop_dead, true); }

enum mq_outcome mq_do_drain(struct mq_call *call) { return drop_all(call, drop_waiting, false); }
