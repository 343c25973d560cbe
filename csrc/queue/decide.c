#include "queue/decide.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

/* Why what was to be reserved is not there. */
static int no_room(const struct mq_shard *shard)
{
    return atomic_load_explicit(&shard->log->full, memory_order_relaxed) ? MQ_NO_ROOM : MQ_NO_MEMORY;
}

/* Room for a record that must not wait for the disk: deliveries and losses, which a restart undoes anyway, and the ends of TTLs, which
 * it finds out again. */
static int reserve_frame_anyway(struct mq_shard *shard, size_t text_n)
{
    return mq_shard_reserve_record_locked(shard, text_n) < 0 ? MQ_NO_MEMORY : MQ_DONE;
}

static int reserve_frame(struct mq_shard *shard, size_t text_n)
{
    if (MQ_UNLIKELY(atomic_load_explicit(&shard->log->full, memory_order_relaxed)))
        return MQ_NO_ROOM;
    return reserve_frame_anyway(shard, text_n);
}

/* A job is to end without having been completed. */
static int reserve_drop(struct mq_shard *shard, const struct mq_job *job)
{
    return reserve_frame(shard, 0) < 0 || mq_slot_drop_reserve(job->queue->slot, job->id) < 0 ? no_room(shard) : MQ_DONE;
}

static int reserve_delayed(struct mq_shard *shard, struct mq_queue *queue)
{
    if (mq_heap_reserve(&queue->delayed, (size_t)queue->delayed.n + 1) < 0 ||
        mq_heap_reserve(&shard->due, (size_t)shard->due.n + 1) < 0)
        return no_room(shard);
    return MQ_DONE;
}

static int reserve_ttl(struct mq_shard *shard)
{
    return mq_heap_reserve(&shard->ttls, (size_t)shard->ttls.n + 1) < 0 ? no_room(shard) : MQ_DONE;
}

static int reserve_ready(struct mq_queue *queue)
{
    return mq_ready_reserve(&queue->ready, queue->active_n + 1) < 0 ? MQ_NO_MEMORY : MQ_DONE;
}

/* Builds what a record's text and the job's extra need. */
static int reserve_text(const struct mq_job *job, bool needs_extra, mq_slice text, struct mq_record *record)
{
    record->text = text;
    if (text.n && !(record->text_hint = mq_text_copy(text)))
        return MQ_NO_MEMORY;
    if (needs_extra && !job->extra && !(record->extra_hint = mq_extra_create())) {
        mq_free(record->text_hint);
        return MQ_NO_MEMORY;
    }
    return MQ_DONE;
}

/* Builds what the end of an attempt needs that failed, with this error. */
static int reserve_failure(const struct mq_job *job, mq_slice error, struct mq_record *record)
{
    if (reserve_text(job, true, error, record) < 0)
        return MQ_NO_MEMORY;
    mq_slice history = job->extra ? mq_slice_of(job->extra->history, job->extra->history_n) : (mq_slice){NULL, 0};
    struct mq_history_entry entry = mq_decide_history_entry(job, record);
    record->history_hint = mq_history_add(history, &entry, &record->history_hint_n);
    if (record->history_hint)
        return MQ_DONE;
    mq_free(record->text_hint);
    mq_extra_free(record->extra_hint);
    return MQ_NO_MEMORY;
}

static struct mq_record about(const struct mq_job *job, enum mq_record_type type, int64_t now_ms)
{
    return (struct mq_record){
        .type = (uint8_t)type,
        .slot = (uint16_t)(job->id % MQ_SLOTS),
        .at_ms = now_ms,
        .id = job->id,
        .run_at_ms = job->run_at_ms,
        .job_hint = (struct mq_job *)job,
    };
}

int mq_decide_push_reserve_locked(struct mq_shard *shard, struct mq_queue *queue, const struct mq_job *job)
{
    const struct mq_options *options = mq_job_options(job);
    if (reserve_ready(queue) < 0 || mq_index_reserve(&queue->slot->jobs, job->id / MQ_SLOTS) < 0)
        return no_room(shard);
    if (job->run_at_ms > job->created_ms && reserve_delayed(shard, queue) < 0)
        return no_room(shard);
    if (job->has_key && mq_map_reserve(&queue->keys) < 0)
        return no_room(shard);
    if (options && options->ttl_ms && reserve_ttl(shard) < 0)
        return no_room(shard);
    return MQ_DONE;
}

int mq_decide_replay_reserve_locked(struct mq_shard *shard, struct mq_job *job)
{
    struct mq_queue *queue = job->queue;
    if (mq_decide_lease_reserve_locked(shard, queue) < 0 || reserve_delayed(shard, queue) < 0 || reserve_ttl(shard) < 0 ||
        (job->has_key && mq_map_reserve(&queue->keys) < 0) || mq_slot_drop_reserve(queue->slot, job->id) < 0)
        return no_room(shard);
    return MQ_DONE;
}

/* The record of a job that comes back to its old place. It was ready once and is at once again, though the clock was set back
 * across a restart: nobody has reserved a place among the delayed ones. */
static struct mq_record released(const struct mq_job *job, int64_t now_ms)
{
    struct mq_record record = about(job, MQ_REC_RELEASED, now_ms);
    if (record.run_at_ms > now_ms)
        record.run_at_ms = now_ms;
    return record;
}

static int64_t run_at(const struct mq_push *push, int64_t now_ms)
{
    return mq_time_add(push->slot_ms ? push->slot_ms : now_ms, push->delay_ms);
}

int mq_decide_push_locked(struct mq_shard *shard, struct mq_queue *queue, const struct mq_push *push, int64_t now_ms,
                          uint64_t *id)
{
    if (push->has_key && mq_queue_key_find(queue, push->key))
        return MQ_KEY_TAKEN;
    if (MQ_UNLIKELY(queue->limits.length && mq_queue_length(queue) >= queue->limits.length))
        return MQ_FULL;
    struct mq_record record = {
        .type = MQ_REC_PUSHED,
        .has_key = push->has_key,
        .slot = queue->slot->number,
        .priority = push->priority,
        .at_ms = now_ms,
        .id = mq_slot_next_id(queue->slot),
        .run_at_ms = MQ_LIKELY(!push->delay_ms && !push->slot_ms) ? now_ms : run_at(push, now_ms),
        .queue = mq_queue_name(queue),
        .data = push->data,
        .key = push->key,
        .parents = push->parents,
        .max_attempts = push->max_attempts,
        .backoff_ms = push->backoff_ms,
        .max_backoff_ms = push->max_backoff_ms,
        .ttl_ms = push->ttl_ms,
        .timeout_ms = push->timeout_ms,
        .queue_hint = queue,
    };
    record.job_hint = mq_job_create(&shard->jobs, &record);
    if (!record.job_hint)
        return no_room(shard);
    if (mq_decide_push_reserve_locked(shard, queue, record.job_hint) < 0 ||
        reserve_frame(shard, record.queue.n + record.data.n + record.key.n + record.parents.n) < 0) {
        mq_job_free(&shard->jobs, record.job_hint);
        return no_room(shard);
    }
    mq_shard_emit_locked(shard, &record);
    *id = record.id;
    return MQ_DONE;
}

static bool is_expired(const struct mq_job *job, int64_t now_ms)
{
    const struct mq_options *options = mq_job_options(job);
    return options && options->ttl_index != MQ_HEAP_NONE && mq_time_add(job->created_ms, options->ttl_ms) <= now_ms;
}

static inline bool within_limits(struct mq_queue *queue, int64_t now_ms)
{
    struct mq_limits *limits = &queue->limits;
    return (MQ_LIKELY(!limits->concurrency) || queue->active_n < limits->concurrency) &&
           (MQ_LIKELY(!limits->rate) || mq_limits_has_token(limits, now_ms));
}

bool mq_decide_can_give_locked(struct mq_shard *shard, struct mq_queue *queue, int64_t now_ms)
{
    for (unsigned i = 0; i <= MQ_DUE_FIRST && queue->ready.n && !queue->paused && within_limits(queue, now_ms); i++) {
        struct mq_job *job = mq_ready_first(&queue->ready);
        if (MQ_LIKELY(!is_expired(job, now_ms)))
            return true;
        if (!mq_decide_expire_locked(shard, job, now_ms))
            return false;
    }
    return false;
}

bool mq_decide_is_behind_locked(struct mq_queue *queue, int64_t now_ms)
{
    return queue->ready.n && !queue->paused && within_limits(queue, now_ms) && is_expired(mq_ready_first(&queue->ready), now_ms);
}

int mq_decide_lease_reserve_locked(struct mq_shard *shard, struct mq_queue *queue)
{
    /* room for its way back, too: nobody can be refused when a worker dies; and any hold may get a deadline */
    if (mq_pool_reserve(&shard->holds, 1) < 0 || reserve_frame_anyway(shard, 0) < 0 || reserve_ready(queue) < 0 ||
        mq_heap_reserve(&shard->deadlines, shard->counts.active + 1) < 0)
        return no_room(shard);
    return MQ_DONE;
}

struct mq_job *mq_decide_lease_locked(struct mq_shard *shard, struct mq_queue *queue, struct mq_holder *holder,
                                      uint64_t lease_ms, int64_t now_ms)
{
    struct mq_job *job = mq_ready_first(&queue->ready);
    if (!job || mq_decide_lease_reserve_locked(shard, queue) < 0)
        return NULL;
    struct mq_record record = about(job, MQ_REC_LEASED, now_ms);
    record.token = mq_hash_u64(shard->token_state += 0x9E3779B97F4A7C15u);
    record.lease_ms = lease_ms;
    record.holder_hint = lease_ms ? NULL : holder;
    if (record.holder_hint) {
        uint32_t bit = (uint32_t)1 << shard->number;
        if (!(atomic_load_explicit(&holder->shards, memory_order_relaxed) & bit))
            atomic_fetch_or(&holder->shards, bit);
    }
    mq_shard_emit_locked(shard, &record);
    if (MQ_UNLIKELY(queue->limits.rate))
        mq_limits_spend(&queue->limits);
    return job;
}

int mq_decide_find_held_locked(struct mq_shard *shard, const struct mq_claim *claim, struct mq_job **job)
{
    struct mq_job *found = mq_slot_job(mq_shard_slot(shard, claim->id), claim->id);
    if (!found || found->state == MQ_JOB_DONE)
        return MQ_NO_JOB;
    bool held = found->state == MQ_JOB_ACTIVE;
    if (claim->has_token && found->state != MQ_JOB_DEAD &&
        (!held || claim->bad_token || found->at.hold->token != claim->token))
        return MQ_STALE_TOKEN;
    if (!held)
        return MQ_NOT_HELD;
    *job = found;
    return MQ_DONE;
}

/* A job is held no more: a bound on held jobs may let another go. */
static inline void after_hold(struct mq_shard *shard, struct mq_queue *queue, int64_t now_ms)
{
    if (MQ_UNLIKELY(queue->limits.concurrency))
        mq_shard_serve_locked(shard, queue, now_ms);
}

int mq_decide_trim_job_locked(struct mq_shard *shard, struct mq_job *job, int64_t now_ms)
{
    if (reserve_frame(shard, 0) < 0)
        return no_room(shard);
    struct mq_record record = about(job, MQ_REC_TRIMMED, now_ms);
    mq_shard_emit_locked(shard, &record);
    atomic_fetch_sub_explicit(shard->kept, 1, memory_order_relaxed);
    return MQ_DONE;
}

unsigned mq_decide_trim_locked(struct mq_shard *shard, int64_t now_ms)
{
    struct mq_list *node = mq_list_first(&shard->done);
    return node && mq_decide_trim_job_locked(shard, mq_list_entry(node, struct mq_job, at.done), now_ms) == MQ_DONE;
}

/* Makes room for one more completed job. At the bound this shard's oldest goes, if the shard has its share; if not, there
 * is one too many for a moment, and the caller, who then holds no lock, has one of another shard given up. */
static void make_room_for_done(struct mq_shard *shard, int64_t now_ms)
{
    uint64_t most = shard->config->result_max, kept = atomic_load_explicit(shard->kept, memory_order_relaxed);
    struct mq_list *node = mq_list_first(&shard->done);
    if (kept < most || !node || atomic_load_explicit(&shard->done_n, memory_order_relaxed) < most / MQ_SHARDS) {
        atomic_fetch_add_explicit(shard->kept, 1, memory_order_relaxed);
        return;
    }
    __builtin_prefetch(mq_list_entry(node->next, struct mq_job, at.done)); /* the next to go: cold by now */
    struct mq_record record = about(mq_list_entry(node, struct mq_job, at.done), MQ_REC_TRIMMED, now_ms);
    mq_shard_emit_locked(shard, &record);
}

int mq_decide_ack_locked(struct mq_shard *shard, struct mq_job *job, mq_slice result, int64_t now_ms)
{
    struct mq_queue *queue = job->queue;
    struct mq_record record = about(job, MQ_REC_ACKED, now_ms);
    bool keep = shard->config->result_max > 0;
    /* room for two records: another completed job may have to go first */
    if (reserve_frame(shard, MQ_FRAME_RECORD_MAX + result.n) < 0 || (keep && reserve_text(job, result.p != NULL, result, &record) < 0))
        return no_room(shard);
    record.keep = keep;
    record.text = result; /* not kept, it is told to those who wait */
    if (keep)
        make_room_for_done(shard, now_ms);
    mq_shard_emit_locked(shard, &record);
    after_hold(shard, queue, now_ms);
    return MQ_DONE;
}

int mq_decide_extend_locked(struct mq_shard *shard, struct mq_job *job, uint64_t lease_ms, int64_t now_ms)
{
    const struct mq_hold *hold = job->at.hold;
    if (reserve_frame(shard, 0) < 0)
        return no_room(shard);
    struct mq_record record = about(job, MQ_REC_EXTENDED, now_ms);
    if (hold->lease_ms)
        record.lease_ms = lease_ms ? lease_ms : hold->lease_ms;
    mq_shard_emit_locked(shard, &record);
    return MQ_DONE;
}

int mq_decide_progress_locked(struct mq_shard *shard, struct mq_job *job, uint8_t progress, mq_slice message, int64_t now_ms)
{
    struct mq_record record = about(job, MQ_REC_PROGRESS, now_ms);
    if (reserve_frame(shard, message.n) < 0 || reserve_text(job, true, message, &record) < 0)
        return no_room(shard);
    record.progress = progress;
    mq_shard_emit_locked(shard, &record);
    return MQ_DONE;
}

/* backoff x 2^(attempts - 1), at most max_backoff; saturating. */
static uint64_t backoff_after(const struct mq_options *options, uint32_t attempts)
{
    if (!options || !options->backoff_ms)
        return 0;
    unsigned doublings = attempts - 1;
    if (doublings >= 64 || options->backoff_ms > UINT64_MAX >> doublings)
        return options->max_backoff_ms;
    uint64_t wait = options->backoff_ms << doublings;
    return wait < options->max_backoff_ms ? wait : options->max_backoff_ms;
}

/* Into the dead-letter queue. */
static int bury(struct mq_shard *shard, struct mq_job *job, enum mq_reason reason, mq_slice error, int64_t now_ms)
{
    struct mq_record record = about(job, MQ_REC_DEAD, now_ms);
    if (reserve_frame(shard, error.n) < 0)
        return no_room(shard);
    record.reason = (uint8_t)reason;
    bool held = reason != MQ_REASON_DEPENDENCY;
    if ((held ? reserve_failure(job, error, &record) : reserve_text(job, true, error, &record)) < 0)
        return no_room(shard);
    mq_shard_emit_locked(shard, &record);
    return MQ_DONE;
}

static int fail_with(struct mq_shard *shard, struct mq_job *job, enum mq_reason reason, mq_slice error, bool unrecoverable,
                     int64_t now_ms)
{
    struct mq_queue *queue = job->queue;
    const struct mq_options *options = mq_job_options(job);
    uint32_t attempts = job->attempts + 1;
    if (unrecoverable || (options && options->max_attempts && attempts >= options->max_attempts)) {
        int status = bury(shard, job, reason, error, now_ms);
        after_hold(shard, queue, now_ms);
        return status;
    }
    struct mq_record record = about(job, MQ_REC_RETRIED, now_ms);
    record.reason = (uint8_t)reason;
    record.run_at_ms = mq_time_add(now_ms, backoff_after(options, attempts));
    if (reserve_frame(shard, error.n) < 0 || reserve_delayed(shard, queue) < 0 ||
        reserve_failure(job, error, &record) < 0)
        return no_room(shard);
    mq_shard_emit_locked(shard, &record);
    mq_shard_serve_locked(shard, queue, now_ms);
    return MQ_DONE;
}

int mq_decide_fail_locked(struct mq_shard *shard, struct mq_job *job, mq_slice error, bool unrecoverable, int64_t now_ms)
{
    return fail_with(shard, job, MQ_REASON_FAILED, error, unrecoverable, now_ms);
}

int mq_decide_release_locked(struct mq_shard *shard, struct mq_job *job, uint64_t delay_ms, bool unsent, int64_t now_ms)
{
    struct mq_queue *queue = job->queue;
    struct mq_record record = released(job, now_ms);
    if (delay_ms)
        record.run_at_ms = mq_time_add(now_ms, delay_ms);
    record.unsent = unsent;
    int room = unsent ? reserve_frame_anyway(shard, 0) : reserve_frame(shard, 0); /* who was never told of a job cannot try again */
    if (room < 0 || (record.run_at_ms > now_ms && reserve_delayed(shard, queue) < 0) ||
        (unsent && reserve_ttl(shard) < 0))
        return no_room(shard);
    mq_shard_emit_locked(shard, &record);
    mq_shard_serve_locked(shard, queue, now_ms);
    return MQ_DONE;
}

int mq_decide_cancel_locked(struct mq_shard *shard, uint64_t id, int64_t now_ms)
{
    struct mq_job *job = mq_slot_job(mq_shard_slot(shard, id), id);
    if (!job || job->state == MQ_JOB_DEAD || job->state == MQ_JOB_DONE)
        return MQ_NO_JOB;
    if (reserve_drop(shard, job) < 0)
        return no_room(shard);
    struct mq_queue *queue = job->queue;
    struct mq_record record = about(job, MQ_REC_CANCELLED, now_ms);
    mq_shard_emit_locked(shard, &record);
    after_hold(shard, queue, now_ms);
    return MQ_DONE;
}

int mq_decide_purge_dead_locked(struct mq_shard *shard, struct mq_job *job, int64_t now_ms)
{
    if (reserve_drop(shard, job) < 0)
        return no_room(shard);
    struct mq_record record = about(job, MQ_REC_DLQ_PURGED, now_ms);
    mq_shard_emit_locked(shard, &record);
    return MQ_DONE;
}

int mq_decide_retry_dead_locked(struct mq_shard *shard, struct mq_job *job, int64_t now_ms)
{
    struct mq_queue *queue = job->queue;
    if (job->has_key && mq_queue_key_find(queue, mq_job_key(job)))
        return MQ_KEY_TAKEN;
    if (reserve_frame(shard, 0) < 0 || reserve_ready(queue) < 0 || (job->has_key && mq_map_reserve(&queue->keys) < 0) ||
        reserve_delayed(shard, queue) < 0 || reserve_ttl(shard) < 0)
        return no_room(shard);
    struct mq_record record = about(job, MQ_REC_DLQ_RETRIED, now_ms);
    /* one that was never let run may have a delay to go; the others run now */
    if (job->extra->reason != MQ_REASON_DEPENDENCY || job->run_at_ms < now_ms || mq_job_is_undelayed(job))
        record.run_at_ms = now_ms;
    mq_shard_emit_locked(shard, &record);
    return MQ_DONE;
}

static bool waits_for(const struct mq_deps *deps, uint64_t parent)
{
    for (uint32_t i = 0; i < deps->n; i++)
        if (deps->ids[i] == parent && deps->links[i].outcome == MQ_PARENT_OPEN)
            return true;
    return false;
}

int mq_decide_parent_ended_locked(struct mq_shard *shard, struct mq_job *job, uint64_t parent, bool dropped, int64_t now_ms)
{
    struct mq_queue *queue = job->queue;
    char why[80];
    bool waits = job->state == MQ_JOB_PARENT;
    if (!waits_for(job->extra->deps, parent))
        return MQ_DONE; /* given twice, and told already */
    if (reserve_frame(shard, 0) < 0 || reserve_ready(queue) < 0 || reserve_delayed(shard, queue) < 0)
        return no_room(shard);
    if (dropped && waits) { /* first: this may be refused, what follows not */
        int n = snprintf(why, sizeof why, "\"Dependency %" PRIu64 " was cancelled or dropped\"", parent);
        if (reserve_frame(shard, 2 * MQ_FRAME_RECORD_MAX + (size_t)n) < 0)
            return no_room(shard);
        int status = bury(shard, job, MQ_REASON_DEPENDENCY, mq_slice_of(why, (size_t)n), now_ms);
        if (status < 0)
            return status;
    }
    struct mq_record record = about(job, MQ_REC_DEP_DONE, now_ms);
    record.parent = parent;
    record.dropped = dropped;
    mq_shard_emit_locked(shard, &record);
    mq_shard_serve_locked(shard, queue, now_ms);
    return MQ_DONE;
}

int mq_decide_forget_queue_locked(struct mq_shard *shard, struct mq_queue *queue, int64_t now_ms)
{
    if (reserve_frame(shard, mq_queue_name(queue).n) < 0)
        return no_room(shard);
    struct mq_record record = {
        .type = MQ_REC_QUEUE_GONE,
        .slot = queue->slot->number,
        .at_ms = now_ms,
        .queue = mq_queue_name(queue),
        .queue_hint = queue,
    };
    mq_shard_emit_locked(shard, &record);
    return MQ_DONE;
}

struct mq_extra *mq_decide_extra_locked(struct mq_shard *shard, struct mq_job *job)
{
    if (!job->extra && (job->extra = mq_extra_create())) {
        job->extra->job = job;
        shard->bytes += sizeof *job->extra;
    }
    return job->extra;
}

int mq_decide_settings_locked(struct mq_shard *shard, struct mq_queue *queue, const struct mq_queue_settings *settings,
                              int64_t now_ms)
{
    if (reserve_frame(shard, mq_queue_name(queue).n) < 0)
        return no_room(shard);
    struct mq_record record = {
        .type = MQ_REC_QUEUE_SET,
        .paused = settings->paused,
        .slot = queue->slot->number,
        .at_ms = now_ms,
        .queue = mq_queue_name(queue),
        .rate_limit = settings->rate_limit,
        .rate_duration_ms = settings->rate_duration_ms,
        .concurrency = settings->concurrency,
        .length = settings->length,
        .queue_hint = queue,
    };
    mq_shard_emit_locked(shard, &record);
    mq_shard_serve_locked(shard, queue, now_ms);
    return MQ_DONE;
}

/* Not given back by its worker: pending again in its old place, or dead after too many such losses. */
static int lose(struct mq_shard *shard, struct mq_job *job, enum mq_reason reason, int64_t now_ms)
{
    struct mq_queue *queue = job->queue;
    if (job->losses + 1 >= shard->config->max_deliveries && bury(shard, job, reason, (mq_slice){NULL, 0}, now_ms) == MQ_DONE) {
        after_hold(shard, queue, now_ms);
        return MQ_DONE;
    }
    if (reserve_frame_anyway(shard, 0) < 0)
        return no_room(shard);
    struct mq_record record = released(job, now_ms);
    record.lost = true;
    mq_shard_emit_locked(shard, &record); /* ready has room for all active jobs */
    mq_shard_serve_locked(shard, queue, now_ms);
    return MQ_DONE;
}

void mq_decide_lost_locked(struct mq_shard *shard, struct mq_holder *holder, int64_t now_ms)
{
    struct mq_list *held = &holder->held[shard->number], *node;
    while ((node = mq_list_first(held))) {
        struct mq_hold *hold = mq_list_entry(node, struct mq_hold, node);
        if (lose(shard, hold->job, MQ_REASON_WORKER_LOST, now_ms) == MQ_DONE)
            continue;
        /* No memory even to write it down: a lease that has just ended makes the timer try again. */
        mq_list_remove(node);
        hold->lease_until_ms = now_ms;
        if (hold->deadline_index != MQ_HEAP_NONE)
            mq_heap_update(&shard->deadlines, hold->deadline_index, (uint64_t)now_ms, hold->job->id);
        else
            mq_heap_push(&shard->deadlines, (uint64_t)now_ms, hold->job->id, hold);
    }
}

unsigned mq_decide_deadline_locked(struct mq_shard *shard, struct mq_hold *hold, int64_t now_ms)
{
    static const mq_slice timed_out = {"\"Timed out\"", 11};
    if (hold->timeout_at_ms <= hold->lease_until_ms) /* the earlier one counts, however late it is noticed */
        return fail_with(shard, hold->job, MQ_REASON_TIMEOUT, timed_out, false, now_ms) == MQ_DONE;
    return lose(shard, hold->job, MQ_REASON_EXPIRED_LEASE, now_ms) == MQ_DONE;
}

unsigned mq_decide_expire_locked(struct mq_shard *shard, struct mq_job *job, int64_t now_ms)
{
    if (reserve_frame_anyway(shard, 0) < 0 || mq_slot_drop_reserve(job->queue->slot, job->id) < 0)
        return 0;
    struct mq_record record = about(job, MQ_REC_EXPIRED, now_ms);
    mq_shard_emit_locked(shard, &record);
    return 1;
}
