#include "queue/snapshot.h"

#include "base/check.h"
#include "base/hash.h"
#include "queue/cron.h"
#include "queue/decide.h"

struct writing {
    mq_snapshot_write *write;
    void *context;
    int status;
};

static void put(struct writing *w, const struct mq_record *record)
{
    if (w->status >= 0)
        w->status = w->write(w->context, record);
}

/* --- writing --- */

struct runs {
    uint64_t *pairs;
    size_t n, cap;
    bool no_memory;
};

static void note_run(void *context, uint64_t first, uint64_t n)
{
    struct runs *runs = context;
    if (runs->n + 2 > runs->cap) {
        size_t cap = runs->cap ? runs->cap * 2 : 64;
        uint64_t *pairs = mq_resize(runs->pairs, cap * sizeof *pairs);
        if (!pairs) {
            runs->no_memory = true;
            return;
        }
        runs->pairs = pairs;
        runs->cap = cap;
    }
    runs->pairs[runs->n++] = first;
    runs->pairs[runs->n++] = n;
}

#define RUNS_A_RECORD 100000u /* numbers in one record */

static void put_slot(struct writing *w, const struct mq_slot *slot)
{
    struct runs runs = {0};
    mq_idset_runs(&slot->dropped, note_run, &runs);
    if (runs.no_memory)
        w->status = MQ_NO_MEMORY;
    for (size_t at = 0; at == 0 || at < runs.n; at += RUNS_A_RECORD) {
        size_t n = runs.n - at < RUNS_A_RECORD ? runs.n - at : RUNS_A_RECORD;
        struct mq_record record = {
            .type = MQ_REC_STATE_SLOT, .slot = slot->number, .id = mq_slot_counter(slot) * MQ_SLOTS + slot->number,
            .parents = mq_slice_of((const char *)(n ? runs.pairs + at : NULL), n * sizeof *runs.pairs)};
        put(w, &record);
    }
    mq_free(runs.pairs);
}

static void put_queue(struct writing *w, const struct mq_queue *queue)
{
    struct mq_record record = {
        .type = MQ_REC_STATE_QUEUE, .slot = queue->slot->number, .queue = mq_queue_name(queue), .paused = queue->paused,
        .rate_limit = queue->limits.rate, .rate_duration_ms = queue->limits.duration_ms, .concurrency = queue->limits.concurrency,
        .length = queue->limits.length, .completed = queue->completed};
    put(w, &record);
}

static void put_job(struct writing *w, const struct mq_job *job)
{
    const struct mq_options *options = mq_job_options(job);
    const struct mq_extra *extra = job->extra;
    uint8_t outcomes[1024];
    struct mq_record record = {
        .type = MQ_REC_STATE_JOB, .slot = job->queue->slot->number, .at_ms = job->created_ms, .id = job->id,
        .run_at_ms = job->run_at_ms, .priority = job->priority, .queue = mq_queue_name(job->queue), .data = mq_job_data(job),
        .has_key = job->has_key, .key = mq_job_key(job), .max_backoff_ms = MQ_DEFAULT_MAX_BACKOFF_MS, .state = job->state,
        .attempts = job->attempts, .deliveries = job->deliveries, .losses = job->losses, .started_ms = job->started_ms,
        .ended_ms = job->ended_ms, .pulled = job->pulled};
    if (options) {
        record.max_attempts = options->max_attempts;
        record.backoff_ms = options->backoff_ms;
        record.max_backoff_ms = options->max_backoff_ms;
        record.ttl_ms = options->ttl_ms;
        record.timeout_ms = options->timeout_ms;
        record.ttl_runs = options->ttl_index != MQ_HEAP_NONE;
    }
    if (job->state == MQ_JOB_ACTIVE) {
        const struct mq_hold *hold = job->at.hold;
        record.token = hold->token;
        record.lease_ms = hold->lease_ms;
        record.lease_until_ms = hold->lease_until_ms;
        record.timeout_at_ms = hold->timeout_at_ms;
    }
    if (extra) {
        record.reason = extra->reason;
        record.progress = extra->progress;
        record.error = mq_slice_of(extra->error, extra->error_n);
        record.message = mq_slice_of(extra->message, extra->message_n);
        record.result = mq_slice_of(extra->result, extra->result_n);
        record.history = mq_slice_of(extra->history, extra->history_n);
    }
    if (extra && extra->deps) {
        MQ_ASSERT(extra->deps->n <= sizeof outcomes);
        for (uint32_t i = 0; i < extra->deps->n; i++)
            outcomes[i] = extra->deps->links[i].outcome;
        record.parents = mq_slice_of((const char *)extra->deps->ids, extra->deps->n * sizeof *extra->deps->ids);
        record.outcomes = mq_slice_of((const char *)outcomes, extra->deps->n);
    }
    put(w, &record);
}

/* Dead and completed jobs stand in lists whose order counts: they are written in that order. */
static void put_jobs(struct writing *w, struct mq_slot *slot)
{
    const struct mq_job *job;
    const struct mq_queue *queue;
    for (uint64_t from = 0; w->status >= 0 && (job = mq_index_up(&slot->jobs, MQ_JOB_ANY, from)); from = job->id / MQ_SLOTS + 1)
        if (job->state != MQ_JOB_DEAD && job->state != MQ_JOB_DONE)
            put_job(w, job);
    for (size_t at = 0; (queue = mq_map_next(&slot->queues, &at));)
        for (const struct mq_list *node = queue->dead.next; node != &queue->dead; node = node->next)
            put_job(w, mq_list_entry(node, struct mq_extra, dead)->job);
}

static void put_shard(struct writing *w, struct mq_shard *shard)
{
    for (unsigned i = 0; i < MQ_SLOTS_A_SHARD && w->status >= 0; i++) {
        struct mq_slot *slot = &shard->slots[i];
        const struct mq_queue *queue;
        if (!mq_slot_counter(slot) && !mq_map_size(&slot->queues))
            continue;
        put_slot(w, slot);
        for (size_t at = 0; (queue = mq_map_next(&slot->queues, &at));)
            if (queue->known)
                put_queue(w, queue);
        put_jobs(w, slot);
    }
    for (const struct mq_list *node = shard->done.next; node != &shard->done; node = node->next)
        put_job(w, mq_list_entry(node, struct mq_job, at.done));
    struct mq_record totals = {.type = MQ_REC_STATE_TOTALS, .slot = (uint16_t)shard->number,
                               .parents = mq_slice_of((const char *)&shard->totals, sizeof shard->totals)};
    put(w, &totals);
}

int mq_snapshot_records(struct mq_engine *engine, mq_snapshot_write *write, void *context)
{
    struct writing w = {.write = write, .context = context};
    const struct mq_cron *cron;
    for (unsigned i = 0; i < MQ_SHARDS; i++)
        put_shard(&w, &engine->shards[i]);
    for (size_t at = 0; (cron = mq_map_next(&engine->crons.by_name, &at));) {
        struct mq_record set = mq_cron_record(cron), fired = {.type = MQ_REC_CRON_FIRED, .slot = set.slot, .at_ms = cron->set_ms,
            .run_at_ms = cron->next_run_ms, .last_run_ms = cron->last_run_ms, .cron_job = cron->last_job, .name = cron->def.name};
        put(&w, &set);
        put(&w, &fired);
    }
    return w.status;
}

/* --- applying --- */

static void apply_slot(struct mq_slot *slot, const struct mq_record *record)
{
    atomic_store_explicit(&slot->counter, record->id / MQ_SLOTS, memory_order_relaxed);
    for (size_t at = 0; at + 16 <= record->parents.n; at += 16) {
        uint64_t first, n;
        memcpy(&first, record->parents.p + at, 8);
        memcpy(&n, record->parents.p + at + 8, 8);
        for (; n--; first++) {
            MQ_ASSERT(mq_idset_reserve(&slot->dropped, first) == 0);
            mq_slot_drop(slot, first * MQ_SLOTS + slot->number);
        }
    }
}

static struct mq_queue *queue_of(struct mq_shard *shard, mq_slice name)
{
    uint64_t hash = mq_hash_bytes(name.p, name.n);
    struct mq_queue *queue = mq_slot_queue_make(mq_shard_slot(shard, hash), name, hash);
    MQ_ASSERT(queue);
    queue->known = true;
    return queue;
}

static void apply_queue(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_queue *queue = queue_of(shard, record->queue);
    queue->paused = record->paused;
    queue->completed = record->completed;
    queue->limits.concurrency = record->concurrency;
    queue->limits.length = record->length;
    shard->counts.completed += record->completed;
    if (record->rate_limit) /* the level is volatile: the bucket is full */
        mq_limits_set_rate(&queue->limits, record->rate_limit, record->rate_duration_ms, shard->now_ms);
}

static char *copy_of(mq_slice text)
{
    char *copy = mq_text_copy(text);
    MQ_ASSERT(copy || !text.n);
    return copy;
}

static void add_extra(struct mq_job *job, const struct mq_record *record)
{
    bool needed = record->error.n || record->message.n || record->result.n || record->history.n || record->progress || record->state == MQ_JOB_DEAD;
    if (!job->extra && !needed)
        return;
    struct mq_extra *extra = job->extra ? job->extra : mq_extra_create();
    MQ_ASSERT(extra);
    job->extra = extra;
    extra->job = job;
    extra->reason = record->reason;
    extra->progress = record->progress;
    extra->error = copy_of(record->error);
    extra->error_n = (uint32_t)record->error.n;
    extra->message = copy_of(record->message);
    extra->message_n = (uint32_t)record->message.n;
    extra->result = copy_of(record->result);
    extra->result_n = (uint32_t)record->result.n;
    extra->history = copy_of(record->history);
    extra->history_n = (uint32_t)record->history.n;
    for (uint32_t i = 0; extra->deps && i < extra->deps->n && i < record->outcomes.n; i++) {
        extra->deps->links[i].outcome = (uint8_t)record->outcomes.p[i];
        extra->deps->open -= extra->deps->links[i].outcome != MQ_PARENT_OPEN;
    }
}

static void hold_again(struct mq_shard *shard, struct mq_job *job, const struct mq_record *record)
{
    struct mq_hold *hold = mq_pool_get(&shard->holds);
    MQ_ASSERT(hold);
    *hold = (struct mq_hold){.job = job, .token = record->token, .lease_ms = record->lease_ms, .lease_until_ms = record->lease_until_ms,
                             .timeout_at_ms = record->timeout_at_ms, .deadline_index = MQ_HEAP_NONE};
    mq_list_init(&hold->node);
    job->state = MQ_JOB_ACTIVE;
    job->at.hold = hold;
    job->queue->active_n++;
    shard->counts.active++;
    int64_t due = hold->lease_until_ms < hold->timeout_at_ms ? hold->lease_until_ms : hold->timeout_at_ms;
    if (due != MQ_NEVER)
        mq_heap_push(&shard->deadlines, (uint64_t)due, job->id, hold);
}

static void place(struct mq_shard *shard, struct mq_job *job, const struct mq_record *record)
{
    struct mq_queue *queue = job->queue;
    switch ((enum mq_job_state)record->state) {
    case MQ_JOB_READY:
        mq_queue_add_ready(queue, job);
        shard->counts.ready++;
        break;
    case MQ_JOB_DELAYED:
        mq_queue_add_delayed(queue, job);
        shard->counts.delayed++;
        mq_shard_retime_locked(shard, queue);
        break;
    case MQ_JOB_PARENT:
        mq_queue_add_parent(queue, job);
        shard->counts.parents++;
        break;
    case MQ_JOB_ACTIVE:
        hold_again(shard, job, record);
        break;
    case MQ_JOB_DEAD:
        job->state = MQ_JOB_DEAD;
        mq_list_append(&queue->dead, &job->extra->dead);
        queue->dead_n++;
        queue->dead_by[job->extra->reason]++;
        shard->counts.dead++;
        break;
    case MQ_JOB_DONE:
        job->state = MQ_JOB_DONE;
        mq_list_append(&shard->done, &job->at.done);
        atomic_fetch_add_explicit(&shard->done_n, 1, memory_order_relaxed);
        break;
    case MQ_JOB_NEW:
        MQ_ASSERT(!"a job in no state");
    }
}

static void apply_job(struct mq_shard *shard, const struct mq_record *record)
{
    struct mq_queue *queue = queue_of(shard, record->queue);
    struct mq_job *job = mq_job_create(&shard->jobs, record);
    MQ_ASSERT(job && mq_decide_push_reserve_locked(shard, queue, job) == MQ_DONE);
    job->queue = queue;
    MQ_ASSERT(mq_decide_replay_reserve_locked(shard, job) == MQ_DONE);
    job->attempts = record->attempts;
    job->deliveries = record->deliveries;
    job->losses = record->losses;
    job->started_ms = record->started_ms;
    job->ended_ms = record->ended_ms;
    job->pulled = record->pulled;
    add_extra(job, record);
    mq_index_add(&queue->slot->jobs, job);
    shard->bytes += mq_job_bytes(job);
    if (job->has_key && record->state != MQ_JOB_DEAD && record->state != MQ_JOB_DONE)
        mq_queue_key_hold(queue, job);
    if (job->extra && job->extra->deps && job->extra->deps->open)
        mq_list_append(&shard->unlinked, &job->extra->deps->node);
    struct mq_options *options = mq_job_options(job);
    if (options && record->ttl_runs)
        mq_heap_push(&shard->ttls, (uint64_t)mq_time_add(job->created_ms, options->ttl_ms), job->id, options);
    place(shard, job, record);
    mq_index_note(&queue->slot->jobs, job);
}

void mq_snapshot_apply(struct mq_shard *shard, const struct mq_record *record)
{
    if (record->type == MQ_REC_STATE_SLOT)
        apply_slot(&shard->slots[record->slot / MQ_SHARDS], record);
    else if (record->type == MQ_REC_STATE_QUEUE)
        apply_queue(shard, record);
    else if (record->type == MQ_REC_STATE_JOB)
        apply_job(shard, record);
    else if (record->parents.n) /* of another version, there may be fewer or more of them */
        memcpy(&shard->totals, record->parents.p,
               record->parents.n < sizeof shard->totals ? record->parents.n : sizeof shard->totals);
}
