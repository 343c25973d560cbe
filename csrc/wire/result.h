/* What commands answer with, as values: filled in by command/, written by wire/reply. No state behind them. */
#ifndef MQ_RESULT_H
#define MQ_RESULT_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum mq_result_kind {
    MQ_RESULT_OK,
    MQ_RESULT_ID,
    MQ_RESULT_IDS,
    MQ_RESULT_COUNT,
    MQ_RESULT_JOB,
    MQ_RESULT_JOB_STATE,
    MQ_RESULT_PROGRESS,
    MQ_RESULT_RESULT,
    MQ_RESULT_JOBS,
    MQ_RESULT_PAUSED,
    MQ_RESULT_QUEUES,
    MQ_RESULT_STATS,
    MQ_RESULT_PONG,
    MQ_RESULT_HELLO,
    MQ_RESULT_TOPOLOGY,
    MQ_RESULT_JOBS_PAGE,
    MQ_RESULT_ENDING,
    MQ_RESULT_METRICS,
    MQ_RESULT_CRONS,
    MQ_RESULT_COUNTS,
    MQ_RESULT_CLIENTS,
};

/* A job that another waits for. */
struct mq_parent_view {
    uint64_t id;
    const char *state; /* as GETJOB names it */
};

/* An attempt that failed. error: a JSON string, p NULL = none */
struct mq_attempt_view {
    uint64_t number;
    int64_t started_ms, ended_ms;
    const char *reason;
    mq_slice error;
};

/* A job as clients see it. Times are ms since the epoch, 0 = not yet; durations ms. Slices borrow from the job. */
struct mq_job_view {
    uint64_t id;
    mq_slice queue_json; /* quoted */
    mq_slice data;       /* JSON, verbatim */
    int64_t created_ms, run_at_ms, started_ms;
    uint64_t attempts, max_attempts, backoff_ms, max_backoff_ms, ttl_ms, timeout_ms, deliveries;
    uint64_t token;         /* of the present delivery; valid if has_token */
    mq_slice unique_key;    /* decoded; valid if has_key */
    const uint64_t *parents; /* ids of depends_on: parent_n of them */
    uint32_t parent_n;
    const struct mq_parent_view *waits_for; /* those that have not ended: waits_n of them; NULL = not said */
    uint32_t waits_n;
    const struct mq_attempt_view *errors; /* errors_n of them, oldest first; NULL = not said */
    uint32_t errors_n;
    int64_t ended_ms;        /* completed or failed; 0 = not yet; told if has_end */
    uint64_t preview_n;      /* show so many bytes of the data, as a string; 0 = all of it, as it is */
    mq_slice last_error;    /* quoted as written; p NULL = none */
    mq_slice message;       /* of the last progress report, quoted as written; p NULL = none */
    uint8_t progress;       /* 0..100 */
    const char *reason;     /* in the dead-letter queue; else NULL */
    int32_t priority;
    bool has_key, has_token, has_end;
};

struct mq_queue_view {
    mq_slice name_json;
    uint64_t pending, processing, delayed, parents, dlq, completed;
    uint64_t rate_limit, rate_duration_ms, concurrency, length; /* 0 = no limit */
    int64_t head_age_ms;  /* how long the next job has been ready; -1 = there is none */
    uint64_t in, out;     /* pushed and completed in the last recent_s seconds */
    unsigned recent_s;
    bool paused;
    bool parked;          /* a pull waits for a job */
};

/* Dead letters of one reason. */
struct mq_reason_count {
    const char *reason;
    uint64_t n;
};

struct mq_stats_view {
    uint64_t queued, processing, delayed, dlq, completed, waiting;
};

/* Milliseconds; -1 = nothing was timed. */
struct mq_timing_view {
    int64_t p50, p90, p95, p99, max;
};

struct mq_metrics_view {
    uint64_t pushed, completed, failed, timed_out, expired, cancelled, retried, stalled; /* since the start */
    struct {
        const char *name;
        uint64_t last_second, last_minute; /* how many */
    } rates[3];
    struct {
        const char *name;
        struct mq_timing_view view;
    } timings[3];
    double average_ms; /* of the latency; below 0 = none */
    uint64_t memory, memory_max; /* bytes of all jobs; 0 = no limit */
    struct {
        const char *fsync; /* NULL = there is no log */
        bool full;
        uint64_t frames, bytes, syncs, sync_us, snapshots;
    } log;
};

struct mq_cron_view {
    mq_slice name, queue, schedule, timezone; /* decoded */
    mq_slice data;                            /* JSON */
    int64_t next_run_ms, last_run_ms;         /* below 0 = none */
    int32_t priority;
    bool paused;
};

struct mq_client_view {
    uint64_t id;
    const char *peer, *kind;
    int64_t since_ms, oldest_held_ms; /* oldest_held_ms below 0 = it holds nothing */
    uint64_t commands, holds, unsent, dropped;
    uint32_t waits;
    mq_slice waits_for; /* quoted; p NULL = for no queue */
};

struct mq_hello_view {
    const char *version;
    uint64_t max_line, max_job_bytes, max_output, max_deliveries, max_batch, lease_ms;
};

#endif
