/* Records: what a command decided, with every choice resolved. Applying them is the only way state changes.
 *
 * Times are absolute (ms since the epoch), random choices are already made, and each record touches one slot. Slices
 * borrow. The hints at the end are not part of a record's meaning and are never written to a log: the live path fills
 * them in so that apply need not look things up again; on replay they are NULL.
 */
#ifndef MQ_RECORD_H
#define MQ_RECORD_H

#include "base/slice.h"

#include <stdint.h>

enum mq_record_type { /* numbers are part of the durable format */
    MQ_REC_PUSHED = 1,
    MQ_REC_LEASED = 2,
    MQ_REC_EXTENDED = 3,   /* a heartbeat: lease and timeout start again */
    MQ_REC_ACKED = 4,
    MQ_REC_RETRIED = 5,    /* failed or timed out; waits again until run_at_ms */
    MQ_REC_DEAD = 6,       /* into the dead-letter queue */
    MQ_REC_EXPIRED = 7,    /* its TTL ended before it was pulled */
    MQ_REC_RELEASED = 8,   /* held no more, waits again; `lost` tells a loss from a RELEASE */
    MQ_REC_CANCELLED = 9,
    MQ_REC_PROGRESS = 10,
    MQ_REC_QUEUE_SET = 11, /* the queue's settings, whole */
    MQ_REC_CRON_SET = 12,  /* a cron, whole; of one name the later counts */
    MQ_REC_CRON_DEL = 13,
    MQ_REC_CRON_FIRED = 14, /* it has moved on; the job it pushed has a record of its own in the same frame */
    MQ_REC_DEP_DONE = 15,  /* a job is told how one that it depends on has ended */
    MQ_REC_DLQ_RETRIED = 16,
    MQ_REC_DLQ_PURGED = 17,
    MQ_REC_TRIMMED = 18,   /* a completed job's record is given up */
    MQ_REC_QUEUE_GONE = 19, /* an empty queue is forgotten: its settings, its counts, its name */
    /* of snapshots: what stands there */
    MQ_REC_STATE_SLOT = 20,  /* id = the last one given out; `parents` = pairs of first and count of dropped counters */
    MQ_REC_STATE_QUEUE = 21, /* its settings and how many it has completed */
    MQ_REC_STATE_JOB = 22,   /* a job with all it has */
    MQ_REC_STATE_TOTALS = 23, /* a shard's totals, in `parents`; slot = any of the shard's */
    /* 24 is taken: log/frame.c */
};
#define MQ_REC_TYPES 25u

#define MQ_DEFAULT_MAX_BACKOFF_MS 3600000u

enum mq_reason { /* why a job is in the dead-letter queue; numbers are part of the durable format */
    MQ_REASON_NONE = 0,
    MQ_REASON_FAILED = 1,
    MQ_REASON_TIMEOUT = 2,
    MQ_REASON_WORKER_LOST = 3,
    MQ_REASON_EXPIRED_LEASE = 4,
    MQ_REASON_DEPENDENCY = 5,
};
#define MQ_REASONS 6u

struct mq_record {
    uint8_t type;   /* enum mq_record_type */
    uint8_t reason; /* DEAD; RETRIED: FAILED or TIMEOUT */
    bool lost;      /* RELEASED: counts as a loss */
    bool has_key;   /* PUSHED */
    bool paused;    /* QUEUE_SET, CRON_SET */
    bool keep;      /* ACKED: the job is kept to be looked at */
    bool dropped;   /* DEP_DONE: the parent was cancelled, expired or dropped, not completed */
    bool unsent;    /* RELEASED: the delivery never reached a worker and is not counted */
    uint8_t progress; /* PROGRESS: 0..100 */
    uint16_t slot;
    int32_t priority;     /* PUSHED */
    int64_t at_ms;        /* when it was decided */
    uint64_t id;          /* of the job; 0 for QUEUE_SET */
    int64_t run_at_ms;    /* PUSHED, RETRIED, RELEASED, DLQ_RETRIED */
    uint64_t token;       /* LEASED */
    uint64_t lease_ms;    /* LEASED, EXTENDED; 0 = held by its connection */
    mq_slice queue, data, key; /* PUSHED; queue of QUEUE_SET and QUEUE_GONE too */
    mq_slice parents;     /* PUSHED: ids (u64) of the jobs it depends on */
    uint64_t parent;      /* DEP_DONE */
    mq_slice name;        /* CRON_*; CRON_SET has all of PUSHED's fields too, and queue, run_at_ms = the next run */
    mq_slice schedule, timezone; /* CRON_SET */
    uint64_t delay_ms;    /* CRON_SET */
    bool skip_overlap, skip_misfire; /* CRON_SET; and paused */
    int64_t last_run_ms;  /* CRON_FIRED; and run_at_ms = the next run */
    uint64_t cron_job;    /* CRON_FIRED: the job; 0 = none was pushed */
    uint64_t max_attempts, backoff_ms, max_backoff_ms, ttl_ms, timeout_ms; /* PUSHED */
    mq_slice text;        /* RETRIED, DEAD: the error; PROGRESS: the message; ACKED: the result; as written; p NULL = none */
    uint64_t rate_limit, rate_duration_ms; /* QUEUE_SET: jobs a duration; 0 = no limit */
    uint64_t concurrency, length;          /* QUEUE_SET: jobs held at most, jobs that wait at most; 0 = no limit */

    /* STATE_QUEUE: completed. STATE_JOB, with all fields of PUSHED (at_ms = created), token, lease_ms, reason, progress: */
    uint64_t completed;
    uint8_t state;   /* enum mq_job_state */
    bool pulled;     /* its TTL is over for good */
    bool ttl_runs;   /* it is among those whose TTL counts */
    uint32_t attempts, deliveries, losses;
    int64_t started_ms, ended_ms, lease_until_ms, timeout_at_ms;
    mq_slice error, message, result; /* n 0 = none */
    mq_slice outcomes;               /* a byte for each of `parents` */
    mq_slice history;                /* queue/history */

    /* hints */
    struct mq_queue *queue_hint;
    struct mq_job *job_hint;       /* PUSHED: already built, apply takes it over */
    struct mq_holder *holder_hint; /* LEASED by a connection */
    struct mq_extra *extra_hint;   /* RETRIED, DEAD, PROGRESS, ACKED: for a job that has none; apply takes it over */
    struct mq_cron *cron_hint;     /* CRON_SET: already built, apply takes it over */
    char *text_hint;               /* a copy of `text`; apply takes it over */
    char *history_hint;            /* RETRIED, DEAD: the job's history with this attempt; apply takes it over */
    uint32_t history_hint_n;
};

/* A push with anything but the defaults in its numbers. */
static inline bool mq_record_has_options(const struct mq_record *r)
{
    return r->max_attempts || r->backoff_ms || r->ttl_ms || r->timeout_ms || r->max_backoff_ms != MQ_DEFAULT_MAX_BACKOFF_MS;
}

#endif
