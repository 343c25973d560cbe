/* The engine: 32 shards and what all threads only read. */
#ifndef MQ_ENGINE_H
#define MQ_ENGINE_H

#include "base/clock.h"
#include "mqfast.h"
#include "queue/access.h"
#include "queue/shard.h"

#define MQ_WORKS 6u /* enum mq_work */

/* queue/cron.h says what they are. */
struct mq_crons {
    struct mq_mutex mutex;
    struct mq_map by_name;
    struct mq_heap due;        /* by next run */
    struct mq_list questions;
    uint64_t last_token;
    uint64_t log_seq;          /* of the last frame about a cron: to be committed before anything about crons is told */
    unsigned untaken;          /* questions that nobody works at yet */
    int64_t retry_ms;          /* a fire was put off for want of memory: not again before */
    _Atomic int64_t due_ms;    /* when there is work; readable without the mutex */
};

/* A connection, as CLIENTS shows it. */
struct mq_client {
    uint64_t id; /* first */
    char peer[MQ_PEER_BYTES];
    int64_t since_ms;
    uint64_t commands, unsent, dropped;
    uint64_t holds;
    int64_t oldest_held_ms; /* since when; 0 = it holds nothing */
    uint32_t waits;         /* pulls and WAITJOBs that wait */
    uint64_t waits_hash;    /* the queue of the last of them that began; 0 = of none */
    bool pulls, subscribes;
};

struct mq_engine {
    struct mq_shard shards[MQ_SHARDS];
    struct mq_clock clock;
    struct mq_config config; /* without its grants */
    struct mq_mutex access_mutex;
    struct mq_access *access; /* guarded by it; never NULL */
    _Atomic uint64_t access_number; /* counts its changes */
    struct mq_hub hub;
    struct mq_mutex depend_mutex;    /* queue/depend */
    struct mq_crons crons;
    struct mq_hook hooks[MQ_WORKS];  /* where the control loops sleep, by enum mq_work */
    _Atomic bool waiting_over;       /* the loops are to end */
    _Atomic int64_t report_ms;       /* when the net wants to report; MQ_NEVER = it does not */
    _Alignas(64) _Atomic uint64_t kept; /* completed jobs kept, over all shards */
    struct mq_log *log;
    pthread_mutex_t writer_mutex; /* the first of the order */
    pid_t writer; /* a snapshot's child; 0 = there is none. Guarded by it */
    pthread_mutex_t commit_mutex; /* for callers in the process that wait until what they did is committed */
    pthread_cond_t committed;
    _Atomic unsigned commit_waiters;
    const void *tables;      /* command/'s lookup tables */
    /* The net's: something has changed that reactors look at in each turn, as the time moved by hand; a shard's READY came nearer. NULL = no
     * reactor sleeps. */
    void (*wake)(void *context);
    void (*on_commit)(void *context);
    void (*on_ready)(void *context, unsigned shard);
    /* Fills in at most `limit` connections of ids above `after`, lowest first; how many. */
    size_t (*clients)(void *context, uint64_t after, size_t limit, struct mq_client *clients);
    void *net_context;
};

/* As mq_engine_create; the engine takes over the log. NULL: no memory, and the log is still the caller's. */
struct mq_engine *mq_engine_open(const struct mq_config *config, struct mq_log *log);

static inline struct mq_shard *mq_engine_shard(struct mq_engine *engine, uint64_t hash_or_id)
{
    return &engine->shards[hash_or_id % MQ_SHARDS];
}

/* The access that counts, for the caller to drop. */
struct mq_access *mq_engine_access(struct mq_engine *engine);

/* Bytes of all jobs. */
uint64_t mq_engine_bytes(const struct mq_engine *engine);

/* Brings the number of kept completed jobs back to its bound, from the shards that have most. No lock may be held. */
void mq_engine_trim_done(struct mq_engine *engine, int64_t now_ms);
/* Gives up all kept completed jobs: memory is short. No lock may be held. */
void mq_engine_forget_done(struct mq_engine *engine, int64_t now_ms);

/* The connection behind this holder is gone: everything it holds is lost. No lock may be held. */
void mq_engine_lose_holder(struct mq_engine *engine, struct mq_holder *holder, int64_t now_ms);

#endif
