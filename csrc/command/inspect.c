/* Commands that look. */
#include "base/check.h"
#include "command/handlers.h"

static const char *state_of(const struct mq_job *job)
{
    static const char *const names[] = {
        [MQ_JOB_READY] = "waiting", [MQ_JOB_DELAYED] = "delayed",  [MQ_JOB_ACTIVE] = "active",
        [MQ_JOB_DEAD] = "failed",   [MQ_JOB_DONE] = "completed",
    };
    return names[job->state];
}

enum mq_outcome mq_do_getjob(struct mq_call *call)
{
    uint64_t id = call->request->number[MQ_F_ID];
    struct mq_shard *shard = mq_call_lock(call, id);
    struct mq_job *job = mq_slot_job(mq_shard_slot(shard, id), id);
    if (job) {
        struct mq_job_view view = mq_view_job(job);
        mq_reply_job_state(call->reply, &view, state_of(job));
    } else {
        mq_reply_job_state(call->reply, NULL, "unknown");
    }
    mq_call_unlock(call, shard);
    return MQ_ANSWERED;
}

enum mq_outcome mq_do_getresult(struct mq_call *call)
{
    uint64_t id = call->request->number[MQ_F_ID];
    struct mq_shard *shard = mq_call_lock(call, id);
    const struct mq_job *job = mq_slot_job(mq_shard_slot(shard, id), id);
    mq_slice result = {NULL, 0};
    if (job && job->state == MQ_JOB_DONE && job->extra)
        result = mq_slice_of(job->extra->result, job->extra->result_n);
    mq_reply_result(call->reply, id, result);
    mq_call_unlock(call, shard);
    return MQ_ANSWERED;
}

static void list_slot_locked(struct mq_call *call, const struct mq_slot *slot)
{
    const struct mq_queue *queue;
    for (size_t at = 0; (queue = mq_map_next(&slot->queues, &at));) {
        if (!queue->known)
            continue; /* only a waiting pull has named it */
        struct mq_queue_view view = {
            .name_json = mq_queue_name_json(queue),
            .pending = queue->ready.n,
            .processing = queue->active_n,
            .delayed = queue->delayed.n,
            .dlq = queue->dead_n,
            .completed = queue->completed,
            .paused = queue->paused,
            .rate_limit = queue->limits.rate,
            .rate_duration_ms = queue->limits.duration_ms,
            .concurrency = queue->limits.concurrency,
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
