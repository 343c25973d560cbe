#include "queue/shard.h"

#include "base/check.h"
#include "base/hash.h"
#include "queue/decide.h"

#define FRAME_BYTES (1u << 20) /* a frame that has come so far takes no further decision */

void mq_shard_init(struct mq_shard *shard, unsigned number, uint64_t seed, const struct mq_shard_world *world)
{
    memset(shard, 0, sizeof *shard);
    mq_mutex_init(&shard->mutex);
    mq_heap_init(&shard->due, offsetof(struct mq_queue, due_index));
    mq_heap_init(&shard->deadlines, offsetof(struct mq_hold, deadline_index));
    mq_heap_init(&shard->ttls, offsetof(struct mq_options, ttl_index));
    mq_slab_init(&shard->jobs);
    mq_pool_init(&shard->holds, sizeof(struct mq_hold), 256);
    mq_frame_init(&shard->frame);
    mq_list_init(&shard->delivered);
    shard->log = world->log;
    shard->number = number;
    shard->config = world->config;
    shard->kept = world->kept;
    shard->crons = world->crons;
    shard->hub = world->hub;
    shard->on_due = world->on_due;
    shard->on_due_context = world->on_due_context;
    mq_list_init(&shard->done);
    mq_list_init(&shard->unlinked);
    mq_list_init(&shard->settled);
    mq_list_init(&shard->orphans);
    mq_ring_init_sized(&shard->outbox.bytes, 4096);
    shard->token_state = mq_hash_u64(seed + number * 0x9E3779B97F4A7C15u);
    for (unsigned i = 0; i < MQ_SLOTS_A_SHARD; i++)
        mq_slot_init(&shard->slots[i], (uint16_t)(i * MQ_SHARDS + number), &shard->jobs, &shard->bytes);
    for (unsigned i = 0; i < MQ_DUES; i++)
        atomic_init(&shard->due_ms[i], MQ_NEVER);
    atomic_init(&shard->bytes_seen, 0);
}

void mq_shard_close(struct mq_shard *shard)
{
    /* holds without a holder's connection: those by lease */
    for (unsigned i = 0; i < MQ_SLOTS_A_SHARD; i++) {
        struct mq_job *job;
        for (uint64_t from = 0; (job = mq_index_up(&shard->slots[i].jobs, MQ_JOB_ACTIVE, from));) {
            from = job->id / MQ_SLOTS + 1;
            mq_free(job->at.hold);
        }
        mq_slot_close(&shard->slots[i]);
    }
    for (struct mq_list *node; (node = mq_list_pop(&shard->orphans));)
        mq_free(mq_list_entry(node, struct mq_deps, node));
    mq_ring_close(&shard->outbox.bytes);
    mq_heap_close(&shard->due);
    mq_heap_close(&shard->deadlines);
    mq_heap_close(&shard->ttls);
    mq_pool_close(&shard->holds);
    mq_slab_close(&shard->jobs);
    mq_frame_close(&shard->frame);
    mq_mutex_close(&shard->mutex);
}

static inline int64_t top_time(const struct mq_heap *heap)
{
    return heap->n ? (int64_t)heap->entries[0].high : MQ_NEVER;
}

/* When the oldest of the completed jobs has been kept long enough. */
static inline int64_t done_due(const struct mq_shard *shard)
{
    if (mq_list_empty(&shard->done))
        return MQ_NEVER;
    const struct mq_job *oldest = mq_list_entry(shard->done.next, struct mq_job, at.done);
    bool ahead = oldest->ended_ms > shard->now_ms; /* by a clock that was put back before the start */
    return mq_time_add(ahead ? shard->began_ms : oldest->ended_ms, shard->config->result_ttl_ms);
}

/* What was due and could not be done for want of memory is not due again before some time has passed. */
static inline int64_t or_retry(const struct mq_shard *shard, int64_t due)
{
    return due < shard->retry_ms && due != MQ_NEVER ? shard->retry_ms : due;
}

static inline int64_t ready_due(const struct mq_shard *shard) { return or_retry(shard, top_time(&shard->due)); }

static inline int64_t timeouts_due(const struct mq_shard *shard)
{
    int64_t due = top_time(&shard->deadlines), ttl = top_time(&shard->ttls), done = done_due(shard);
    due = ttl < due ? ttl : due;
    return or_retry(shard, done < due ? done : due);
}

static inline int64_t dependencies_due(const struct mq_shard *shard)
{
    bool any = !mq_list_empty(&shard->settled) || !mq_list_empty(&shard->unlinked) || !mq_list_empty(&shard->orphans);
    return MQ_UNLIKELY(any) ? or_retry(shard, 0) : MQ_NEVER;
}

static inline int64_t memory_due(const struct mq_shard *shard) { return MQ_UNLIKELY(shard->jobs.wants) ? 0 : MQ_NEVER; }

static inline void publish_due(struct mq_shard *shard, enum mq_due which, int64_t due, bool wake)
{
    int64_t seen = atomic_load_explicit(&shard->due_ms[which], memory_order_relaxed);
    if (MQ_LIKELY(due == seen))
        return;
    atomic_store(&shard->due_ms[which], due);
    if (due < seen && wake)
        shard->on_due(shard->on_due_context, shard->number, which, due);
}

static unsigned run_ready(struct mq_shard *shard, int64_t now_ms, unsigned limit);
static unsigned run_timeouts(struct mq_shard *shard, int64_t now_ms, unsigned limit);

static inline void lock_at(struct mq_shard *shard, int64_t now_ms)
{
    mq_mutex_lock(&shard->mutex);
    if (shard->now_ms < now_ms)
        shard->now_ms = now_ms;
}

int64_t mq_shard_lock(struct mq_shard *shard, int64_t now_ms)
{
    lock_at(shard, now_ms);
    if (MQ_UNLIKELY(ready_due(shard) <= shard->now_ms))
        run_ready(shard, shard->now_ms, MQ_DUE_FIRST);
    if (MQ_UNLIKELY(timeouts_due(shard) <= shard->now_ms))
        run_timeouts(shard, shard->now_ms, MQ_DUE_FIRST);
    return shard->now_ms;
}

/* What was decided so far goes to the log, and counts as a whole or not at all. */
static void seal_frame(struct mq_shard *shard)
{
    int64_t number = shard->log->ops->append(shard->log, shard->number, &shard->frame);
    MQ_ASSERT(number >= 0); /* a log that can fail says so before anything is decided */
    shard->log_seq = (uint64_t)number;
    mq_frame_clear(&shard->frame);
}

int mq_shard_reserve_record_locked(struct mq_shard *shard, size_t text_n)
{
    if (!shard->log->wants_records)
        return 0;
    if (MQ_UNLIKELY(mq_ring_used(&shard->frame.bytes) >= FRAME_BYTES))
        seal_frame(shard);
    return mq_frame_reserve(&shard->frame, text_n);
}

static uint64_t unlock(struct mq_shard *shard, bool wake)
{
    if (shard->frame.records)
        seal_frame(shard);
    while (MQ_UNLIKELY(!mq_list_empty(&shard->delivered))) {
        struct mq_waiter *waiter = mq_list_entry(mq_list_pop(&shard->delivered), struct mq_waiter, node);
        waiter->send(waiter, shard->log_seq);
    }
    if (MQ_UNLIKELY(mq_ring_used(&shard->outbox.bytes)))
        mq_outbox_send(&shard->outbox, shard->hub, shard->log_seq);
    if (atomic_load_explicit(&shard->bytes_seen, memory_order_relaxed) != shard->bytes)
        atomic_store_explicit(&shard->bytes_seen, shard->bytes, memory_order_relaxed);
    publish_due(shard, MQ_DUE_READY, ready_due(shard), true);
    publish_due(shard, MQ_DUE_TIMEOUTS, timeouts_due(shard), true);
    publish_due(shard, MQ_DUE_DEPENDENCIES, dependencies_due(shard), wake);
    publish_due(shard, MQ_DUE_MEMORY, memory_due(shard), true);
    uint64_t seq = shard->log_seq;
    mq_mutex_unlock(&shard->mutex);
    return seq;
}

uint64_t mq_shard_unlock(struct mq_shard *shard) { return unlock(shard, true); }

uint64_t mq_shard_unlock_to_sweep(struct mq_shard *shard) { return unlock(shard, false); }

unsigned mq_shard_extend(struct mq_shard *shard)
{
    bool huge;
    mq_mutex_lock(&shard->mutex);
    bool wants = mq_slab_wants(&shard->jobs, &huge);
    mq_mutex_unlock(&shard->mutex);
    if (!wants)
        return 0;
    struct mq_region *region = mq_region_make(huge);
    mq_mutex_lock(&shard->mutex);
    mq_slab_give(&shard->jobs, region);
    mq_shard_unlock(shard);
    return region != NULL;
}

unsigned mq_shard_sweep(struct mq_shard *shard, enum mq_due due, int64_t now_ms)
{
    lock_at(shard, now_ms);
    unsigned done = due == MQ_DUE_READY ? run_ready(shard, shard->now_ms, MQ_DUE_SLICE)
                                        : run_timeouts(shard, shard->now_ms, MQ_DUE_SLICE);
    mq_shard_unlock(shard);
    mq_mutex_let_in(&shard->mutex);
    return done;
}

void mq_shard_emit_locked(struct mq_shard *shard, const struct mq_record *record)
{
    if (shard->log->wants_records)
        mq_frame_add(&shard->frame, record); /* first: apply may free what the slices borrow from */
    mq_notify_locked(shard, record);
    mq_apply_locked(shard, record);
}

/* When the queue needs attention: its first delayed job, or the token that its waiters wait for. */
static int64_t queue_due(const struct mq_queue *queue)
{
    int64_t due = top_time(&queue->delayed);
    const struct mq_limits *limits = &queue->limits;
    if (MQ_LIKELY(!limits->rate) || mq_list_empty(&queue->waiters) || !queue->ready.n || queue->paused ||
        limits->level >= limits->duration_ms || (limits->concurrency && queue->active_n >= limits->concurrency))
        return due;
    int64_t token = mq_limits_next_ms(limits);
    return token < due ? token : due;
}

void mq_shard_retime_locked(struct mq_shard *shard, struct mq_queue *queue)
{
    int64_t due = queue_due(queue);
    if (due == MQ_NEVER) {
        if (queue->due_index != MQ_HEAP_NONE)
            mq_heap_remove(&shard->due, queue->due_index);
    } else if (queue->due_index != MQ_HEAP_NONE) {
        if ((int64_t)shard->due.entries[queue->due_index].high != due)
            mq_heap_update(&shard->due, queue->due_index, (uint64_t)due, queue->hash);
    } else if (mq_heap_reserve(&shard->due, (size_t)shard->due.n + 1) == 0) {
        mq_heap_push(&shard->due, (uint64_t)due, queue->hash, queue);
    } else {
        MQ_ASSERT(!queue->delayed.n);
    }
}

void mq_shard_serve_locked(struct mq_shard *shard, struct mq_queue *queue, int64_t now_ms)
{
    if (MQ_LIKELY(mq_list_empty(&queue->waiters)))
        return;
    while (!mq_list_empty(&queue->waiters) && mq_decide_can_give_locked(shard, queue, now_ms)) {
        struct mq_list *node = mq_list_pop(&queue->waiters);
        struct mq_waiter *waiter = mq_list_entry(node, struct mq_waiter, node);
        waiter->parked = false;
        waiter->deliver(waiter, shard, now_ms);
        mq_list_append(&shard->delivered, &waiter->node);
    }
    if (MQ_UNLIKELY(queue->limits.rate))
        mq_shard_retime_locked(shard, queue);
}

/* Moves due jobs of one queue from delayed to ready and serves who waits. 0: no memory. */
static unsigned ripen(struct mq_shard *shard, struct mq_queue *queue, int64_t now_ms, unsigned limit)
{
    unsigned done = 0;
    while (done < limit && top_time(&queue->delayed) <= now_ms) {
        if (mq_ready_reserve(&queue->ready, queue->active_n + 1) < 0)
            break;
        struct mq_job *job = mq_heap_top(&queue->delayed)->item;
        mq_queue_take_waiting(queue, job);
        mq_queue_add_ready(queue, job);
        mq_index_note(&queue->slot->jobs, job);
        shard->counts.delayed--;
        shard->counts.ready++;
        done++;
    }
    mq_shard_serve_locked(shard, queue, now_ms);
    mq_shard_retime_locked(shard, queue);
    return done ? done : top_time(&queue->delayed) > now_ms; /* the token for a waiter counts too */
}

/* It is due, but there is no memory to do it. */
static unsigned put_off(struct mq_shard *shard, int64_t now_ms)
{
    shard->retry_ms = now_ms + MQ_RETRY_MS;
    return 0;
}

static unsigned run_ready(struct mq_shard *shard, int64_t now_ms, unsigned limit)
{
    unsigned done = 0, more = 1;
    for (; more && done < limit && top_time(&shard->due) <= now_ms; done += more)
        more = ripen(shard, mq_heap_top(&shard->due)->item, now_ms, limit - done);
    return more ? done : put_off(shard, now_ms);
}

static unsigned expire(struct mq_shard *shard, int64_t now_ms)
{
    struct mq_job *job = (struct mq_job *)mq_heap_top(&shard->ttls)->item - 1;
    struct mq_queue *queue = job->queue;
    unsigned done = mq_decide_expire_locked(shard, job, now_ms);
    mq_shard_serve_locked(shard, queue, now_ms); /* one that can be given may stand behind it */
    return done;
}

static unsigned run_timeouts(struct mq_shard *shard, int64_t now_ms, unsigned limit)
{
    unsigned done = 0;
    while (done < limit) {
        unsigned before = done;
        if (top_time(&shard->deadlines) <= now_ms)
            done += mq_decide_deadline_locked(shard, mq_heap_top(&shard->deadlines)->item, now_ms);
        if (top_time(&shard->ttls) <= now_ms)
            done += expire(shard, now_ms);
        if (done_due(shard) <= now_ms)
            done += mq_decide_trim_locked(shard, now_ms);
        if (done == before)
            return timeouts_due(shard) <= now_ms ? put_off(shard, now_ms) : done;
    }
    return done;
}
