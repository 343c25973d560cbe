/* What the world is told of a record: events, metrics, and the end of a job to those who wait for it.
 *
 * Called on the live path, before the record is applied, so that the job is still as it was. Nothing durable changes here.
 */
#include "base/check.h"
#include "queue/decide.h"

static void tell(struct mq_shard *shard, const struct mq_job *job, enum mq_event event)
{
    if (MQ_UNLIKELY(mq_hub_wants(shard->hub, event)))
        mq_outbox_add(&shard->outbox, shard->hub, event, job->id, job->queue->hash, mq_queue_name_json(job->queue));
}

static void tell_pushed(struct mq_shard *shard, const struct mq_record *record)
{
    if (MQ_UNLIKELY(mq_hub_wants(shard->hub, MQ_EVENT_PUSHED)))
        mq_outbox_add(&shard->outbox, shard->hub, MQ_EVENT_PUSHED, record->id, record->queue_hint->hash,
                      mq_queue_name_json(record->queue_hint));
    mq_metrics_count(&shard->metrics, MQ_RATE_PUSHED, record->at_ms);
    mq_recent_count(&record->queue_hint->in, record->at_ms);
}

static void tell_waiters(struct mq_shard *shard, struct mq_job *job, int how, mq_slice text, int64_t now_ms)
{
    struct mq_ending ending = {.how = how, .text = text};
    struct mq_list *node;
    if (MQ_LIKELY(!job->extra))
        return;
    while ((node = mq_list_pop(&job->extra->waiters))) {
        struct mq_waiter *waiter = mq_list_entry(node, struct mq_waiter, node);
        waiter->parked = false;
        waiter->ending = &ending;
        waiter->deliver(waiter, shard, now_ms);
        waiter->ending = NULL;
        mq_list_append(&shard->delivered, &waiter->node);
    }
}

static void tell_acked(struct mq_shard *shard, struct mq_job *job, const struct mq_record *record)
{
    mq_metrics_count(&shard->metrics, MQ_RATE_COMPLETED, record->at_ms);
    mq_recent_count(&job->queue->out, record->at_ms);
    mq_metrics_time(&shard->metrics, MQ_RUN, record->at_ms - job->started_ms, record->at_ms);
    mq_metrics_time(&shard->metrics, MQ_LATENCY, record->at_ms - job->run_at_ms, record->at_ms);
    tell(shard, job, MQ_EVENT_COMPLETED);
    tell_waiters(shard, job, MQ_ENDED_COMPLETED, record->text, record->at_ms);
}

/* An attempt is over and was no success. */
static void tell_failure(struct mq_shard *shard, const struct mq_job *job, const struct mq_record *record)
{
    if (record->reason == MQ_REASON_FAILED)
        mq_metrics_count(&shard->metrics, MQ_RATE_FAILED, record->at_ms);
    else if (record->reason == MQ_REASON_TIMEOUT)
        tell(shard, job, MQ_EVENT_TIMEOUT);
    else if (record->reason != MQ_REASON_DEPENDENCY)
        tell(shard, job, MQ_EVENT_STALLED);
}

static void tell_dead(struct mq_shard *shard, struct mq_job *job, const struct mq_record *record)
{
    mq_slice error = record->text;
    if (!error.p && job->extra)
        error = mq_slice_of(job->extra->error, job->extra->error_n);
    tell_failure(shard, job, record);
    tell(shard, job, MQ_EVENT_FAILED);
    tell_waiters(shard, job, MQ_ENDED_FAILED, error, record->at_ms);
}

static void tell_gone(struct mq_shard *shard, struct mq_job *job, enum mq_event event, int64_t now_ms)
{
    tell(shard, job, event);
    tell_waiters(shard, job, MQ_ENDED_GONE, (mq_slice){NULL, 0}, now_ms);
}

void mq_notify_locked(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = record->job_hint;
    switch ((enum mq_record_type)record->type) {
    case MQ_REC_PUSHED:
        tell_pushed(shard, record);
        break;
    case MQ_REC_LEASED:
        if (!job->deliveries)
            mq_metrics_time(&shard->metrics, MQ_WAIT, record->at_ms - job->run_at_ms, record->at_ms);
        tell(shard, job, MQ_EVENT_ACTIVE);
        break;
    case MQ_REC_ACKED:
        tell_acked(shard, job, record);
        break;
    case MQ_REC_RETRIED:
        tell_failure(shard, job, record);
        tell(shard, job, MQ_EVENT_RETRYING);
        break;
    case MQ_REC_DEAD:
        tell_dead(shard, job, record);
        break;
    case MQ_REC_EXPIRED:
        tell_gone(shard, job, MQ_EVENT_EXPIRED, record->at_ms);
        break;
    case MQ_REC_CANCELLED:
        tell_gone(shard, job, MQ_EVENT_CANCELLED, record->at_ms);
        break;
    case MQ_REC_RELEASED:
        if (record->lost)
            tell(shard, job, MQ_EVENT_STALLED);
        break;
    case MQ_REC_PROGRESS:
        tell(shard, job, MQ_EVENT_PROGRESS);
        break;
    default:
        break;
    }
}
