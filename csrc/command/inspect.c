/* Commands that look, and those on the dead-letter queue. */
#include "base/check.h"
#include "command/handlers.h"

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

enum mq_outcome mq_do_retrydlq(struct mq_call *call)
{
    struct mq_shard *shard;
    uint64_t count = 0;
    if (mq_call_has(call, MQ_F_ID))
        return retry_one(call, call->request->number[MQ_F_ID]);
    struct mq_queue *queue = mq_call_queue(call, false, &shard);
    if (queue) {
        struct mq_list *node = queue->dead.next;
        while (node != &queue->dead) {
            struct mq_job *job = mq_list_entry(node, struct mq_extra, dead)->job;
            node = node->next; /* whose key is in use by now stays */
            count += mq_decide_retry_dead_locked(shard, job, call->now_ms) == MQ_DONE;
        }
        mq_shard_serve_locked(shard, queue, call->now_ms);
    }
    mq_call_unlock(call, shard);
    mq_reply_count_listed(call->reply, count);
    return MQ_ANSWERED;
}

static void list_slot_locked(struct mq_call *call, const struct mq_slot *slot)
{
    const struct mq_queue *queue;
    for (size_t at = 0; (queue = mq_map_next(&slot->queues, &at));) {
        struct mq_queue_view view = {
            .name_json = mq_queue_name_json(queue),
            .pending = queue->ready.n,
            .processing = queue->active_n,
            .delayed = queue->delayed.n,
            .dlq = queue->dead_n,
            .completed = queue->completed,
            .paused = queue->paused,
        };
        mq_reply_list_queue(call->reply, &view);
    }
}

enum mq_outcome mq_do_listqueues(struct mq_call *call)
{
    mq_reply_list(call->reply, MQ_RESULT_QUEUES);
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        struct mq_shard *shard = mq_call_lock(call, i);
        for (unsigned j = 0; j < MQ_SLOTS_A_SHARD; j++)
            list_slot_locked(call, &shard->slots[j]);
        mq_call_unlock(call, shard);
    }
    mq_reply_list_end(call->reply);
    return MQ_ANSWERED;
}

enum mq_outcome mq_do_stats(struct mq_call *call)
{
    struct mq_stats_view stats = {0};
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        struct mq_shard *shard = mq_call_lock(call, i);
        stats.queued += shard->counts.ready;
        stats.processing += shard->counts.active;
        stats.delayed += shard->counts.delayed;
        stats.dlq += shard->counts.dead;
        stats.completed += shard->counts.completed;
        mq_call_unlock(call, shard);
    }
    mq_reply_stats(call->reply, &stats);
    return MQ_ANSWERED;
}
