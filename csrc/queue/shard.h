/* A shard: 32 slots under one mutex, with the timers of their jobs. 32 shards make the state.
 *
 * Everything reachable from a shard is guarded by its mutex; functions that need it end in _locked. A thread holds at most
 * one shard's mutex. What will need attention is of four kinds (enum mq_due), each with its next time in `due_ms`, which anyone
 * may read without the mutex; `on_due` tells whoever sleeps that it came nearer:
 * READY: `due` (queues, by their first delayed job, or the next token of a rate limit that a waiter needs), for the reactors;
 * TIMEOUTS: `deadlines` (holds, by the end of lease or timeout), `ttls` (jobs not yet pulled), `done` (completed jobs, kept for a
 * while); DEPENDENCIES: `unlinked`, `settled`, `orphans`; MEMORY: `jobs`, if it grows fast. The control loops sweep the last three.
 */
#ifndef MQ_SHARD_H
#define MQ_SHARD_H

#include "base/mem.h"
#include "base/sync.h"
#include "log/log.h"
#include "mqfast.h"
#include "queue/events.h"
#include "queue/metrics.h"
#include "queue/slot.h"

#include <stdatomic.h>

#define MQ_SLOTS_A_SHARD (MQ_SLOTS / MQ_SHARDS)
#define MQ_RETRY_MS 100   /* until what could not be done for want of memory is tried again */
#define MQ_DUE_FIRST 64u  /* timers that whoever comes with a command handles first */
#define MQ_DUE_SLICE 256u /* timers handled in one go by those whose work it is */

enum mq_due { MQ_DUE_READY, MQ_DUE_TIMEOUTS, MQ_DUE_DEPENDENCIES, MQ_DUE_MEMORY };
#define MQ_DUES 4u

struct mq_counts {
    uint64_t ready, delayed, parents, active, dead, completed;
};

/* Since the beginning; never fall. */
struct mq_totals {
    uint64_t pushed, completed, failed, timed_out, retried, expired, cancelled, stalled;
};

struct mq_shard {
    _Alignas(64) struct mq_mutex mutex;
    struct mq_heap due;       /* struct mq_queue, by first delayed run_at */
    struct mq_heap deadlines; /* struct mq_hold */
    struct mq_heap ttls;      /* struct mq_options (inside a job) */
    struct mq_slab jobs;
    struct mq_pool holds;
    struct mq_counts counts;
    struct mq_totals totals;
    int64_t now_ms;       /* the latest time that anyone brought: never goes back */
    int64_t began_ms;     /* when the engine came back, or 0 */
    int64_t retry_ms;     /* what is due could not be done for want of memory: not again before */
    uint64_t bytes;       /* of all jobs and queues */
    uint64_t token_state; /* of the sequence that delivery tokens come from */
    uint64_t log_seq;     /* of the last frame appended; 0 = none */
    struct mq_log *log;
    struct mq_frame frame;
    struct mq_list delivered; /* waiters to be sent off when the lock is given back */
    const struct mq_config *config; /* the engine's */
    struct mq_list unlinked; /* struct mq_deps whose parents do not know of them yet */
    struct mq_list settled;  /* struct mq_link of parents that ended: the dependents must be told */
    struct mq_list orphans;  /* struct mq_deps of dependents that ended first: to be unlinked and freed */
    struct mq_crons *crons;  /* the engine's */
    struct mq_hub *hub;      /* the engine's */
    struct mq_outbox outbox; /* events not yet handed to it */
    struct mq_metrics metrics;
    _Atomic uint64_t *kept;         /* the engine's count of completed jobs kept */
    struct mq_list done;            /* this shard's of them, oldest first, by job->at.done */
    _Atomic uint64_t done_n;        /* how many; changed under the mutex, read without it */
    unsigned number;
    struct mq_slot slots[MQ_SLOTS_A_SHARD];

    _Alignas(64) _Atomic int64_t due_ms[MQ_DUES]; /* when this shard needs attention; MQ_NEVER */
    _Atomic uint64_t bytes_seen;         /* `bytes`, readable without the mutex */
    void (*on_due)(void *context, unsigned shard, enum mq_due due, int64_t due_ms); /* called with the mutex held */
    void *on_due_context;
};

/* What all shards share. */
struct mq_shard_world {
    struct mq_log *log;
    struct mq_crons *crons;
    struct mq_hub *hub;
    const struct mq_config *config;
    _Atomic uint64_t *kept;
    void (*on_due)(void *context, unsigned shard, enum mq_due due, int64_t due_ms);
    void *on_due_context;
};

void mq_shard_init(struct mq_shard *shard, unsigned number, uint64_t seed, const struct mq_shard_world *world);
void mq_shard_close(struct mq_shard *shard);

/* Locks, and first does what is due, so that what the caller sees is as of now; of more than MQ_DUE_FIRST timers that
 * ended at once, the rest follows within milliseconds. Returns the shard's time: the caller's, or a later one that another
 * thread brought. Whatever is decided under this lock is decided at that time. */
int64_t mq_shard_lock(struct mq_shard *shard, int64_t now_ms);
/* Seals the frame of what was decided, publishes when attention is needed next, unlocks. Returns the number of the last
 * frame, which must be committed before anything learnt under this lock may be told. */
uint64_t mq_shard_unlock(struct mq_shard *shard);
/* The same without waking the loop for DEPENDENCIES: the caller sweeps them, and calls the next if it leaves some. */
uint64_t mq_shard_unlock_to_sweep(struct mq_shard *shard);
static inline void mq_shard_wake_for_dependencies(struct mq_shard *shard)
{
    shard->on_due(shard->on_due_context, shard->number, MQ_DUE_DEPENDENCIES, 0);
}

/* One slice of what is due of READY or TIMEOUTS, under the lock for as long as it takes, and letting in who waits for it
 * afterwards. Returns how many timers were handled. */
unsigned mq_shard_sweep(struct mq_shard *shard, enum mq_due due, int64_t now_ms);

/* Makes memory ready that the shard will soon need, without its mutex. Returns how much of it there is now: 1 or 0. */
unsigned mq_shard_extend(struct mq_shard *shard);

static inline bool mq_shard_is_due(const struct mq_shard *shard, enum mq_due due, int64_t now_ms)
{
    return atomic_load_explicit(&shard->due_ms[due], memory_order_acquire) <= now_ms;
}

static inline struct mq_slot *mq_shard_slot(struct mq_shard *shard, uint64_t hash_or_id)
{
    return &shard->slots[(hash_or_id % MQ_SLOTS) / MQ_SHARDS];
}

/* Before a decision: room for its record with this much text. A frame that has grown past 1 MiB is closed first, so a long batch is
 * several frames, cut between decisions and never inside one. 0, or -1 when there is no memory. */
int mq_shard_reserve_record_locked(struct mq_shard *shard, size_t text_n);
/* Adds a record to the shard's frame, tells those who asked, applies it. */
void mq_shard_emit_locked(struct mq_shard *shard, const struct mq_record *record);

/* Before a record is applied on the live path: events, metrics, and those who wait for a job's end. */
void mq_notify_locked(struct mq_shard *shard, const struct mq_record *record);

/* The only code that changes jobs and queues. Cannot fail: what it needs was reserved. */
void mq_apply_locked(struct mq_shard *shard, const struct mq_record *record);

/* Gives ready jobs to parked pulls, oldest first, as long as there are both. */
void mq_shard_serve_locked(struct mq_shard *shard, struct mq_queue *queue, int64_t now_ms);

/* Sets the queue's place in `due` after its delayed heap or what its waiters wait for changed. Without room (which those
 * who delay a job have reserved) a waiter's wake-up by the rate limit is put off to the queue's next event. */
void mq_shard_retime_locked(struct mq_shard *shard, struct mq_queue *queue);

/* Every count, index and list against a full scan; aborts with a message on a difference. */
void mq_shard_check_locked(struct mq_shard *shard);

#endif
