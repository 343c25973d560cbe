/* Jobs and what hangs on them. Everything here is guarded by the mutex of the job's shard.
 *
 * A waiting job is one allocation: this header, the options if any was given, the payload, the unique key. What only
 * some jobs have at some time stands apart: a hold while a worker has it, an extra after its first failure.
 */
#ifndef MQ_JOB_H
#define MQ_JOB_H

#include "base/list.h"
#include "base/slab.h"
#include "base/slice.h"
#include "log/record.h"

struct mq_queue;
struct mq_holder;

#define MQ_SLOTS 1024u /* id = counter << 10 | slot */
#define MQ_SHARDS 32u

#define MQ_TIME_MAX_MS 9007199254740991 /* saturated times end here */
#define MQ_NEVER INT64_MAX

enum mq_job_state {
    MQ_JOB_NEW, /* between two states, or not yet in one */
    MQ_JOB_READY,
    MQ_JOB_DELAYED, /* or in backoff */
    MQ_JOB_PARENT,  /* waits for the jobs it depends on */
    MQ_JOB_ACTIVE,
    MQ_JOB_DEAD, /* in the dead-letter queue */
    MQ_JOB_DONE, /* completed, kept to be looked at */
};
#define MQ_JOB_STATES 7u
#define MQ_JOB_ANY MQ_JOB_NEW /* where a state is asked for */

/* One of the jobs that another depends on. `node` and `dropped` are guarded by the mutex of the parent's shard, `outcome`
 * by that of the dependent's and engine->depend_mutex together: either is enough to read it. */
enum mq_outcome_of_parent { MQ_PARENT_OPEN, MQ_PARENT_COMPLETED, MQ_PARENT_DROPPED };

struct mq_link {
    struct mq_list node; /* in the parent's extra->dependents, then in its shard's `settled`; else unlinked */
    struct mq_deps *deps;
    bool dropped;        /* settled: how the parent ended */
    uint8_t outcome;     /* enum mq_outcome_of_parent: what the dependent has been told */
};

/* What a job depends on, as it was pushed. It outlives the job: the sweep of dependencies frees it, when no parent knows it. */
struct mq_deps {
    struct mq_list node; /* in its shard's `unlinked` or `orphans`, or in none */
    uint64_t job_id;     /* the dependent */
    uint64_t *ids;       /* of the parents, as written: n of them, behind the links */
    uint32_t n, open;    /* all; those not yet told */
    struct mq_link links[];
};

/* What a job has after its first failure, progress report or result, or once another waits for it: freed with the job. */
struct mq_extra {
    struct mq_job *job;  /* whose extra this is */
    struct mq_list dead; /* in queue->dead while in the dead-letter queue */
    struct mq_list dependents; /* struct mq_link of jobs that wait for this one */
    struct mq_list waiters;    /* struct mq_waiter: those who wait for its end */
    struct mq_deps *deps;      /* what it depends on; NULL = nothing */
    char *error;         /* the last one, quoted as written; NULL = none */
    char *message;       /* of the last progress report, quoted as written; NULL = none */
    char *result;        /* DONE: JSON as written; NULL = none */
    char *history;       /* how the last attempts failed, queue/history; NULL = none did */
    uint32_t error_n, message_n, result_n, history_n;
    uint8_t reason;      /* enum mq_reason; valid in the dead-letter queue */
    uint8_t progress;    /* 0..100 */
};

/* One delivery, while it lasts. */
struct mq_hold {
    struct mq_list node; /* in holder->held[shard]; unlinked when held by lease */
    struct mq_job *job;
    uint64_t token;
    uint64_t lease_ms;      /* 0 = held by its connection */
    int64_t lease_until_ms; /* MQ_NEVER without a lease */
    int64_t timeout_at_ms;  /* MQ_NEVER without a timeout */
    uint32_t deadline_index; /* in shard->deadlines, by the earlier of the two; MQ_HEAP_NONE without any */
};

/* Inline behind the header when any differs from its default. */
struct mq_options {
    uint64_t max_attempts; /* 0 = no limit */
    uint64_t backoff_ms, max_backoff_ms;
    uint64_t ttl_ms, timeout_ms; /* 0 = none */
    uint32_t ttl_index;          /* in shard->ttls until first pulled; MQ_HEAP_NONE without a TTL */
};

struct mq_job {
    uint64_t id;
    struct mq_queue *queue;
    int64_t run_at_ms, created_ms;
    int64_t started_ms; /* of the last delivery; 0 before the first */
    int64_t ended_ms;   /* DONE, DEAD: since when; else 0 */
    int32_t priority;
    uint32_t attempts, deliveries, losses;
    union {
        struct mq_list lane;  /* READY and in_lane: among those of its priority */
        uint32_t heap_index;  /* READY otherwise: in queue->ready.heap; DELAYED: in queue->delayed */
        struct mq_hold *hold; /* ACTIVE */
        struct mq_list done;  /* DONE: in shard->done */
    } at;
    struct mq_extra *extra; /* NULL before the first failure or progress report */
    uint32_t data_n;
    uint16_t key_n;
    uint8_t state; /* enum mq_job_state */
    bool has_options : 1;
    bool has_key : 1;  /* a key was given */
    bool key_held : 1; /* and it stands in queue->keys */
    bool in_lane : 1;  /* READY: which of the two places */
    uint8_t noted : 3; /* the state that the index knows */
    bool pulled : 1;   /* at some time before its deliveries began anew: its TTL is over for good */
};

/* Builds a job from a PUSHED record, linked nowhere. NULL when there is no memory. */
struct mq_job *mq_job_create(struct mq_slab *slab, const struct mq_record *record);
/* The job must be linked nowhere. */
void mq_job_free(struct mq_slab *slab, struct mq_job *job);

/* `parents`: ids as bytes, as a PUSHED record has them. NULL when there is no memory. */
struct mq_deps *mq_deps_create(uint64_t job_id, mq_slice parents);
static inline size_t mq_deps_bytes(const struct mq_deps *deps)
{
    return sizeof *deps + deps->n * (sizeof *deps->links + sizeof *deps->ids);
}

/* Empty; NULL when there is no memory. */
struct mq_extra *mq_extra_create(void);
void mq_extra_free(struct mq_extra *extra);
/* A copy for an extra to own; NULL when there is no memory, or nothing to copy. */
char *mq_text_copy(mq_slice text);

static inline struct mq_options *mq_job_options(const struct mq_job *job)
{
    return job->has_options ? (struct mq_options *)(job + 1) : NULL;
}

static inline char *mq_job_bytes_at(const struct mq_job *job)
{
    return (char *)(job + 1) + (job->has_options ? sizeof(struct mq_options) : 0);
}

static inline mq_slice mq_job_data(const struct mq_job *job) { return mq_slice_of(mq_job_bytes_at(job), job->data_n); }

static inline mq_slice mq_job_key(const struct mq_job *job)
{
    return mq_slice_of(mq_job_bytes_at(job) + job->data_n, job->key_n);
}

static inline size_t mq_job_size(const struct mq_job *job)
{
    return sizeof *job + (job->has_options ? sizeof(struct mq_options) : 0) + job->data_n + job->key_n;
}

#define MQ_BYTES_AN_ID 10u  /* a job's place among the ids */
#define MQ_BYTES_A_KEY 32u  /* a unique key's place in its table */

/* Bytes it takes, as MAX_MEMORY counts them: itself, what hangs on it, its places in indexes. */
static inline size_t mq_job_bytes(const struct mq_job *job)
{
    const struct mq_extra *extra = job->extra;
    return mq_slab_bytes(mq_job_size(job)) + MQ_BYTES_AN_ID + (job->has_key ? MQ_BYTES_A_KEY : 0) +
           (extra ? sizeof *extra + extra->error_n + extra->message_n + extra->result_n + extra->history_n +
                        (extra->deps ? mq_deps_bytes(extra->deps) : 0) : 0);
}

/* Pushed to be run at once, whatever the clock says by now: it may have been put back. */
static inline bool mq_job_is_undelayed(const struct mq_job *job) { return job->run_at_ms <= job->created_ms; }

/* a + b, at most MQ_TIME_MAX_MS. */
static inline int64_t mq_time_add(int64_t at_ms, uint64_t duration_ms)
{
    if (at_ms >= MQ_TIME_MAX_MS || duration_ms > (uint64_t)(MQ_TIME_MAX_MS - at_ms))
        return MQ_TIME_MAX_MS;
    return at_ms + (int64_t)duration_ms;
}

#endif
