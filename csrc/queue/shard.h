/* A shard: 32 slots under one mutex, with the timers of their jobs. 32 shards make the state.
 *
 * Everything reachable from a shard is guarded by its mutex; functions that need it end in _locked. A thread holds at most
 * one shard's mutex. Three heaps tell when the shard needs attention next: `due` (queues, by their first delayed job or next token of
 * a rate limit that a waiter needs), `deadlines` (holds, by the end of lease or timeout), `ttls` (jobs not yet pulled); and the list
 * `done` (completed jobs, kept for a while). The earliest of them is published in
 * `due_ms`, which anyone may read without the mutex; `on_due` tells whoever sleeps that it came nearer.
 */
#ifndef MQ_SHARD_H
#define MQ_SHARD_H

#include "base/mem.h"
#include "base/sync.h"
#include "log/log.h"
#include "mqfast.h"
#include "queue/slot.h"

#include <stdatomic.h>

#define MQ_SLOTS_A_SHARD (MQ_SLOTS / MQ_SHARDS)
#define MQ_DUE_SLICE 4096u /* timers handled in one go before other work gets its turn */

struct mq_counts {
    uint64_t ready, delayed, active, dead, completed;
};

struct mq_shard {
    _Alignas(64) struct mq_mutex mutex;
    struct mq_heap due;       /* struct mq_queue, by first delayed run_at */
    struct mq_heap deadlines; /* struct mq_hold */
    struct mq_heap ttls;      /* struct mq_options (inside a job) */
    struct mq_slab jobs;
    struct mq_pool holds;
    struct mq_counts counts;
    int64_t now_ms;       /* the latest time that anyone brought: never goes back */
    int64_t retry_ms;     /* what is due could not be done for want of memory: not again before */
    uint64_t bytes;       /* of all jobs and queues */
    uint64_t token_state; /* of the sequence that delivery tokens come from */
    uint64_t log_seq;     /* of the last frame appended; 0 = none */
    struct mq_log *log;
    struct mq_frame frame;
    struct mq_list delivered; /* waiters to be sent off when the lock is given back */
    const struct mq_config *config; /* the engine's */
    _Atomic uint64_t *kept;         /* the engine's count of completed jobs kept */
    struct mq_list done;            /* this shard's of them, oldest first, by job->at.done */
    _Atomic uint64_t done_n;        /* how many; changed under the mutex, read without it */
    unsigned number;
    struct mq_slot slots[MQ_SLOTS_A_SHARD];

    _Alignas(64) _Atomic int64_t due_ms; /* when this shard needs attention; MQ_NEVER */
    _Atomic uint64_t bytes_seen;         /* `bytes`, readable without the mutex */
    void (*on_due)(void *context, unsigned shard); /* called with the mutex held; NULL = nobody sleeps */
    void *on_due_context;
};

void mq_shard_init(struct mq_shard *shard, unsigned number, uint64_t seed, struct mq_log *log, const struct mq_config *config,
                   _Atomic uint64_t *kept);
void mq_shard_close(struct mq_shard *shard);

/* Locks, and first does what is due, so that what the caller sees is as of now; of more than MQ_DUE_SLICE timers that
 * ended at once, the rest follows within milliseconds. Returns the shard's time: the caller's, or a later one that another
 * thread brought. Whatever is decided under this lock is decided at that time. */
int64_t mq_shard_lock(struct mq_shard *shard, int64_t now_ms);
/* Seals the frame of what was decided, publishes when attention is needed next, unlocks. Returns the number of the last
 * frame, which must be committed before anything learnt under this lock may be told. */
uint64_t mq_shard_unlock(struct mq_shard *shard);

/* Does at most `limit` of what is due: delayed jobs, TTLs, timeouts, leases. Returns how many were done. */
unsigned mq_shard_run_due_locked(struct mq_shard *shard, int64_t now_ms, unsigned limit);

static inline struct mq_slot *mq_shard_slot(struct mq_shard *shard, uint64_t hash_or_id)
{
    return &shard->slots[(hash_or_id % MQ_SLOTS) / MQ_SHARDS];
}

/* Applies a record and adds it to the shard's frame. */
void mq_shard_emit_locked(struct mq_shard *shard, const struct mq_record *record);

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
