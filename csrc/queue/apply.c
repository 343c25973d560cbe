/* apply: the only code that changes jobs and queues; a pure function of state and record.
 *
 * It calls no clock and draws no random number, and it cannot fail: on the live path everything was reserved by decide; on
 * replay it reserves for itself and there is nobody to refuse to, so running out of memory ends the start.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "queue/cron.h"
#include "queue/decide.h"
#include "queue/history.h"
#include "queue/shard.h"
#include "queue/snapshot.h"

static struct mq_job *job_of(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = record->job_hint;
    if (!job) {
        job = mq_slot_job(mq_shard_slot(shard, record->id), record->id);
        MQ_ASSERT(job);
    }
    return job;
}

/* The job is in another state now. */
static inline void note(struct mq_job *job) { mq_index_note(&job->queue->slot->jobs, job); }

/* Waits for its parents, its time, or a worker. */
static void wait_until(struct mq_shard *shard, struct mq_job *job, int64_t run_at_ms, int64_t at_ms)
{
    struct mq_queue *queue = job->queue;
    job->run_at_ms = run_at_ms;
    if (MQ_UNLIKELY(job->extra && job->extra->deps && job->extra->deps->open)) {
        mq_queue_add_parent(queue, job);
        shard->counts.parents++;
    } else if (run_at_ms <= at_ms) {
        mq_queue_add_ready(queue, job);
        shard->counts.ready++;
    } else {
        mq_queue_add_delayed(queue, job);
        shard->counts.delayed++;
        mq_shard_retime_locked(shard, queue);
    }
    note(job);
}

static void start_ttl(struct mq_shard *shard, struct mq_job *job)
{
    struct mq_options *options = mq_job_options(job);
    if (options && options->ttl_ms)
        mq_heap_push(&shard->ttls, (uint64_t)mq_time_add(job->created_ms, options->ttl_ms), job->id, options);
}

static void end_ttl(struct mq_shard *shard, struct mq_job *job)
{
    struct mq_options *options = mq_job_options(job);
    if (options && options->ttl_index != MQ_HEAP_NONE)
        mq_heap_remove(&shard->ttls, options->ttl_index);
}

static void end_waiting(struct mq_shard *shard, struct mq_job *job)
{
    enum mq_job_state state = job->state;
    mq_queue_take_waiting(job->queue, job);
    if (MQ_LIKELY(state == MQ_JOB_READY)) {
        shard->counts.ready--;
    } else if (state == MQ_JOB_PARENT) {
        shard->counts.parents--;
    } else {
        shard->counts.delayed--;
        mq_shard_retime_locked(shard, job->queue);
    }
    job->state = MQ_JOB_NEW;
}

static void end_hold(struct mq_shard *shard, struct mq_job *job)
{
    struct mq_hold *hold = job->at.hold;
    MQ_ASSERT(job->state == MQ_JOB_ACTIVE);
    mq_list_remove(&hold->node);
    if (hold->deadline_index != MQ_HEAP_NONE)
        mq_heap_remove(&shard->deadlines, hold->deadline_index);
    mq_pool_put(&shard->holds, hold);
    job->queue->active_n--;
    shard->counts.active--;
    job->state = MQ_JOB_NEW;
}

static void end_dead(struct mq_shard *shard, struct mq_job *job)
{
    mq_list_remove(&job->extra->dead);
    job->queue->dead_by[job->extra->reason]--;
    job->extra->reason = MQ_REASON_NONE;
    job->queue->dead_n--;
    shard->counts.dead--;
    job->state = MQ_JOB_NEW;
}

/* Those that wait for this job will be told. Nobody waits on replay: the links are made anew after it. */
static void settle(struct mq_shard *shard, struct mq_job *job, bool dropped)
{
    struct mq_list *dependents = &job->extra->dependents;
    for (struct mq_list *node = dependents->next; node != dependents; node = node->next)
        mq_list_entry(node, struct mq_link, node)->dropped = dropped;
    mq_list_splice(&shard->settled, dependents);
}

static void end_job(struct mq_shard *shard, struct mq_job *job)
{
    struct mq_deps *deps = job->extra ? job->extra->deps : NULL;
    if (MQ_UNLIKELY(deps != NULL)) { /* its parents, or whoever links it just now, may still know of it */
        shard->bytes -= mq_deps_bytes(deps);
        job->extra->deps = NULL;
        mq_list_remove(&deps->node);
        mq_list_append(&shard->orphans, &deps->node);
    }
    mq_queue_key_drop(job->queue, job);
    mq_index_remove(&mq_shard_slot(shard, job->id)->jobs, job);
    shard->bytes -= mq_job_bytes(job);
    mq_job_free(&shard->jobs, job);
}

/* It ends without having been completed. */
static void drop_job(struct mq_shard *shard, struct mq_job *job)
{
    if (job->extra)
        settle(shard, job, true);
    mq_slot_drop(mq_shard_slot(shard, job->id), job->id);
    end_job(shard, job);
}

/* The job's extra, made of the hint if it had none. */
static struct mq_extra *extra_of(struct mq_shard *shard, struct mq_job *job, const struct mq_record *record)
{
    if (!job->extra) {
        shard->bytes += sizeof *job->extra;
        job->extra = record->extra_hint ? record->extra_hint : mq_extra_create();
        MQ_ASSERT(job->extra); /* replay; the live path has built it */
        job->extra->job = job;
    }
    return job->extra;
}

/* Replaces an owned text of the job's extra by the record's. */
static void set_text(struct mq_shard *shard, char **text, uint32_t *text_n, const struct mq_record *record)
{
    shard->bytes += record->text.n;
    shard->bytes -= *text_n;
    mq_free(*text);
    *text = record->text_hint ? record->text_hint : mq_text_copy(record->text);
    MQ_ASSERT(*text || !record->text.n);
    *text_n = (uint32_t)record->text.n;
}

static void set_error(struct mq_shard *shard, struct mq_job *job, const struct mq_record *record)
{
    if (!record->text.p)
        return;
    struct mq_extra *extra = extra_of(shard, job, record);
    set_text(shard, &extra->error, &extra->error_n, record);
}

/* Notes an attempt that failed. The job is held no more, and its counts are those of after it. */
static void add_history(struct mq_shard *shard, struct mq_job *job, const struct mq_record *record)
{
    struct mq_extra *extra = extra_of(shard, job, record);
    uint32_t n = record->history_hint_n;
    char *history = record->history_hint;
    if (!history) { /* replay */
        struct mq_history_entry entry = mq_decide_history_entry(job, record);
        history = mq_history_add(mq_slice_of(extra->history, extra->history_n), &entry, &n);
        MQ_ASSERT(history);
    }
    shard->bytes += n;
    shard->bytes -= extra->history_n;
    mq_free(extra->history);
    extra->history = history;
    extra->history_n = n;
}

static void apply_pushed(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_slot *slot = mq_shard_slot(shard, record->id);
    struct mq_queue *queue = record->queue_hint;
    struct mq_job *job = record->job_hint;
    if (!job) { /* replay */
        queue = mq_slot_queue_make(slot, record->queue, mq_hash_bytes(record->queue.p, record->queue.n));
        job = mq_job_create(&shard->jobs, record);
        MQ_ASSERT(queue && job);
        MQ_ASSERT(mq_decide_push_reserve_locked(shard, queue, job) == 0);
    }
    job->queue = queue;
    queue->known = true;
    if (mq_slot_counter(slot) < job->id / MQ_SLOTS)
        atomic_store_explicit(&slot->counter, job->id / MQ_SLOTS, memory_order_relaxed);
    mq_index_add(&slot->jobs, job);
    shard->bytes += mq_job_bytes(job);
    if (job->has_key)
        mq_queue_key_hold(queue, job);
    if (job->extra)
        mq_list_append(&shard->unlinked, &job->extra->deps->node);
    start_ttl(shard, job);
    wait_until(shard, job, record->run_at_ms, record->at_ms);
}

static int64_t hold_deadline(const struct mq_hold *hold)
{
    return hold->lease_until_ms < hold->timeout_at_ms ? hold->lease_until_ms : hold->timeout_at_ms;
}

/* Sets when lease and timeout end, counted from the record. */
static void hold_start(struct mq_hold *hold, const struct mq_record *record)
{
    const struct mq_options *options = mq_job_options(hold->job);
    hold->lease_until_ms = record->lease_ms ? mq_time_add(record->at_ms, record->lease_ms) : MQ_NEVER;
    hold->timeout_at_ms = options && options->timeout_ms ? mq_time_add(record->at_ms, options->timeout_ms) : MQ_NEVER;
}

static void apply_leased(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = job_of(shard, record);
    struct mq_hold *hold = mq_pool_get(&shard->holds);
    MQ_ASSERT(hold);
    end_waiting(shard, job);
    end_ttl(shard, job);
    *hold = (struct mq_hold){
        .job = job,
        .token = record->token,
        .lease_ms = record->lease_ms,
        .deadline_index = MQ_HEAP_NONE,
    };
    hold_start(hold, record);
    mq_list_init(&hold->node);
    if (record->holder_hint)
        mq_list_append(&record->holder_hint->held[shard->number], &hold->node);
    if (hold_deadline(hold) != MQ_NEVER)
        mq_heap_push(&shard->deadlines, (uint64_t)hold_deadline(hold), job->id, hold);
    job->state = MQ_JOB_ACTIVE;
    job->at.hold = hold;
    job->started_ms = record->at_ms;
    job->deliveries++;
    job->queue->active_n++;
    shard->counts.active++;
    note(job);
}

static void apply_extended(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = job_of(shard, record);
    struct mq_hold *hold = job->at.hold;
    hold_start(hold, record);
    if (hold->deadline_index != MQ_HEAP_NONE)
        mq_heap_update(&shard->deadlines, hold->deadline_index, (uint64_t)hold_deadline(hold), job->id);
}

static void apply_progress(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = job_of(shard, record);
    struct mq_extra *extra = extra_of(shard, job, record);
    extra->progress = record->progress;
    set_text(shard, &extra->message, &extra->message_n, record);
}

static void apply_dead(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = job_of(shard, record);
    struct mq_queue *queue = job->queue;
    if (record->reason == MQ_REASON_DEPENDENCY) {
        end_waiting(shard, job);
        end_ttl(shard, job);
    } else {
        end_hold(shard, job);
        if (record->reason == MQ_REASON_FAILED || record->reason == MQ_REASON_TIMEOUT)
            job->attempts++;
        else
            job->losses++;
        add_history(shard, job, record);
    }
    mq_queue_key_drop(queue, job);
    set_error(shard, job, record);
    struct mq_extra *extra = extra_of(shard, job, record);
    extra->reason = record->reason;
    job->state = MQ_JOB_DEAD;
    job->ended_ms = record->at_ms;
    mq_list_append(&queue->dead, &extra->dead);
    queue->dead_n++;
    queue->dead_by[extra->reason]++;
    shard->counts.dead++;
    note(job);
}

static void apply_retried(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = job_of(shard, record);
    end_hold(shard, job);
    job->attempts++;
    add_history(shard, job, record);
    set_error(shard, job, record);
    wait_until(shard, job, record->run_at_ms, record->at_ms);
}

static void apply_released(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = job_of(shard, record);
    end_hold(shard, job);
    if (record->lost)
        job->losses++;
    if (record->unsent && --job->deliveries == 0 && !job->pulled)
        start_ttl(shard, job); /* never pulled, after all */
    wait_until(shard, job, record->run_at_ms, record->at_ms);
}

static void apply_ended(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = job_of(shard, record);
    if (job->state == MQ_JOB_ACTIVE) {
        end_hold(shard, job);
    } else {
        end_waiting(shard, job);
        end_ttl(shard, job);
    }
    drop_job(shard, job);
}

static void apply_acked(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = job_of(shard, record);
    end_hold(shard, job);
    job->queue->completed++;
    shard->counts.completed++;
    if (job->extra)
        settle(shard, job, false);
    if (!record->keep) {
        end_job(shard, job);
        return;
    }
    mq_queue_key_drop(job->queue, job);
    if (record->text.p) {
        struct mq_extra *extra = extra_of(shard, job, record);
        set_text(shard, &extra->result, &extra->result_n, record);
    }
    job->state = MQ_JOB_DONE;
    job->ended_ms = record->at_ms;
    mq_list_append(&shard->done, &job->at.done);
    atomic_fetch_add_explicit(&shard->done_n, 1, memory_order_relaxed);
    note(job);
}

static void apply_trimmed(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = job_of(shard, record);
    mq_list_remove(&job->at.done);
    atomic_fetch_sub_explicit(&shard->done_n, 1, memory_order_relaxed);
    end_job(shard, job);
}

static void apply_dlq_retried(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = job_of(shard, record);
    if (job->extra->reason == MQ_REASON_DEPENDENCY)
        start_ttl(shard, job); /* it was never pulled */
    else
        job->pulled = true;
    end_dead(shard, job);
    job->attempts = job->deliveries = job->losses = 0;
    job->ended_ms = 0;
    if (job->has_key)
        mq_queue_key_hold(job->queue, job);
    wait_until(shard, job, record->run_at_ms, record->at_ms);
}

static void apply_queue_set(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_queue *queue = record->queue_hint;
    if (!queue) {
        uint64_t hash = mq_hash_bytes(record->queue.p, record->queue.n);
        queue = mq_slot_queue_make(mq_shard_slot(shard, hash), record->queue, hash);
        MQ_ASSERT(queue);
    }
    queue->known = true;
    queue->paused = record->paused;
    queue->limits.concurrency = record->concurrency;
    queue->limits.length = record->length;
    if (queue->limits.rate != record->rate_limit || queue->limits.duration_ms != record->rate_duration_ms)
        mq_limits_set_rate(&queue->limits, record->rate_limit, record->rate_duration_ms, record->at_ms);
    mq_shard_retime_locked(shard, queue);
}

static void apply_dlq_purged(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = job_of(shard, record);
    end_dead(shard, job);
    drop_job(shard, job);
}

static void apply_dep_done(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_job *job = job_of(shard, record);
    struct mq_deps *deps = job->extra->deps;
    for (uint32_t i = 0; i < deps->n; i++)
        if (deps->ids[i] == record->parent && deps->links[i].outcome == MQ_PARENT_OPEN) {
            deps->links[i].outcome = record->dropped ? MQ_PARENT_DROPPED : MQ_PARENT_COMPLETED;
            deps->open--;
        }
    if (!deps->open && job->state == MQ_JOB_PARENT) {
        end_waiting(shard, job);
        wait_until(shard, job, job->run_at_ms, mq_job_is_undelayed(job) ? job->run_at_ms : record->at_ms);
    }
}

static void apply_queue_gone(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_queue *queue = record->queue_hint;
    if (!queue) {
        uint64_t hash = mq_hash_bytes(record->queue.p, record->queue.n);
        queue = mq_slot_queue(mq_shard_slot(shard, hash), record->queue, hash);
        MQ_ASSERT(queue);
    }
    shard->counts.completed -= queue->completed;
    queue->completed = 0;
    queue->paused = queue->known = false;
    queue->limits = (struct mq_limits){0};
    mq_shard_retime_locked(shard, queue);
    mq_slot_queue_release(queue->slot, queue);
}

/* What happened, as numbers that only rise. */
static void count(struct mq_totals *totals, const struct mq_record *record)
{
    switch ((enum mq_record_type)record->type) {
    case MQ_REC_PUSHED:
        totals->pushed++;
        break;
    case MQ_REC_ACKED:
        totals->completed++;
        break;
    case MQ_REC_RETRIED:
        totals->retried++; /* fall through */
    case MQ_REC_DEAD:
        totals->failed += record->reason == MQ_REASON_FAILED;
        totals->timed_out += record->reason == MQ_REASON_TIMEOUT;
        totals->stalled += record->reason == MQ_REASON_WORKER_LOST || record->reason == MQ_REASON_EXPIRED_LEASE;
        break;
    case MQ_REC_RELEASED:
        totals->stalled += record->lost;
        break;
    case MQ_REC_EXPIRED:
        totals->expired++;
        break;
    case MQ_REC_CANCELLED:
        totals->cancelled++;
        break;
    default:
        break;
    }
}

void mq_apply_locked(struct mq_shard *shard, const struct mq_record *record)
{
    if (MQ_UNLIKELY(record->type >= MQ_REC_STATE_SLOT)) {
        mq_snapshot_apply(shard, record);
        return;
    }
    if (MQ_UNLIKELY(record->id && !record->job_hint && record->type != MQ_REC_PUSHED)) /* replay: nobody has reserved */
        MQ_ASSERT(mq_decide_replay_reserve_locked(shard, job_of(shard, record)) == MQ_DONE);
    count(&shard->totals, record);
    switch ((enum mq_record_type)record->type) {
    case MQ_REC_PUSHED:
        apply_pushed(shard, record);
        break;
    case MQ_REC_LEASED:
        apply_leased(shard, record);
        break;
    case MQ_REC_EXTENDED:
        apply_extended(shard, record);
        break;
    case MQ_REC_PROGRESS:
        apply_progress(shard, record);
        break;
    case MQ_REC_RETRIED:
        apply_retried(shard, record);
        break;
    case MQ_REC_DEAD:
        apply_dead(shard, record);
        break;
    case MQ_REC_RELEASED:
        apply_released(shard, record);
        break;
    case MQ_REC_ACKED:
        apply_acked(shard, record);
        break;
    case MQ_REC_TRIMMED:
        apply_trimmed(shard, record);
        break;
    case MQ_REC_EXPIRED: case MQ_REC_CANCELLED:
        apply_ended(shard, record);
        break;
    case MQ_REC_QUEUE_SET:
        apply_queue_set(shard, record);
        break;
    case MQ_REC_DLQ_RETRIED:
        apply_dlq_retried(shard, record);
        break;
    case MQ_REC_DLQ_PURGED:
        apply_dlq_purged(shard, record);
        break;
    case MQ_REC_DEP_DONE:
        apply_dep_done(shard, record);
        break;
    case MQ_REC_CRON_SET: case MQ_REC_CRON_DEL: case MQ_REC_CRON_FIRED:
        mq_cron_apply(shard->crons, record);
        break;
    case MQ_REC_STATE_SLOT: case MQ_REC_STATE_QUEUE: case MQ_REC_STATE_JOB: case MQ_REC_STATE_TOTALS:
        break;
    case MQ_REC_QUEUE_GONE:
        apply_queue_gone(shard, record);
        break;
    }
}
