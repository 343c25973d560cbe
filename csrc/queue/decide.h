/* decide: what a command does, given the state and the time, as records with every choice made.
 *
 * A decide function checks, reserves everything that apply will need, and emits its records; when it refuses (a negative
 * error) nothing has changed. All of them need the shard's mutex. They serve parked pulls where jobs became ready, except
 * push, whose caller serves once for a whole batch.
 */
#ifndef MQ_DECIDE_H
#define MQ_DECIDE_H

#include "queue/history.h"
#include "queue/shard.h"

struct mq_push {
    mq_slice data, key;
    mq_slice parents; /* ids (u64) of jobs it depends on; each has been given out */
    bool has_key;
    int32_t priority;
    int64_t slot_ms;  /* what a delay counts from, if not from now: the time of a cron; 0 = now */
    uint64_t delay_ms, ttl_ms, timeout_ms, max_attempts, backoff_ms, max_backoff_ms;
};

/* Errors of decide functions, mapped onto errors.def by command/. */
enum mq_refusal {
    MQ_DONE = 0,
    MQ_NO_MEMORY = -1,
    MQ_KEY_TAKEN = -2,
    MQ_NO_JOB = -3,     /* never given out, or ended */
    MQ_NOT_HELD = -4,   /* exists, but nobody holds it */
    MQ_STALE_TOKEN = -5, /* exists, but this delivery is over */
    MQ_NO_ROOM = -6,     /* the disk is full */
    MQ_FULL = -7,        /* the queue is as long as it may be */
};

/* Reserves what adding this job takes; 0 or MQ_NO_MEMORY. */
int mq_decide_push_reserve_locked(struct mq_shard *shard, struct mq_queue *queue, const struct mq_job *job);

/* Reserves whatever any record about this job may take: for replay, which has no decide before it. 0 or MQ_NO_MEMORY. */
int mq_decide_replay_reserve_locked(struct mq_shard *shard, struct mq_job *job);

/* The attempt that this RETRIED or DEAD record ends. */
static inline struct mq_history_entry mq_decide_history_entry(const struct mq_job *job, const struct mq_record *record)
{
    return (struct mq_history_entry){.started_ms = job->started_ms, .ended_ms = record->at_ms, .delivery = job->deliveries,
                                     .reason = record->reason, .error = record->text};
}

/* Adds a job; *id is set. MQ_KEY_TAKEN, MQ_FULL or MQ_NO_MEMORY otherwise. */
int mq_decide_push_locked(struct mq_shard *shard, struct mq_queue *queue, const struct mq_push *push, int64_t now_ms,
                          uint64_t *id);

/* A ready job may be given to a worker now. Ends those at the front whose TTL has run out; of a great number of them only
 * a slice, and then nothing can be given until the sweep has come past them. */
bool mq_decide_can_give_locked(struct mq_shard *shard, struct mq_queue *queue, int64_t now_ms);

/* Nothing can be given, but only because there are more of those at the front than a slice. */
bool mq_decide_is_behind_locked(struct mq_queue *queue, int64_t now_ms);

/* Reserves what giving one job takes; 0 or MQ_NO_MEMORY. */
int mq_decide_lease_reserve_locked(struct mq_shard *shard, struct mq_queue *queue);

/* An extra for a job that others wait for; NULL when there is no memory. */
struct mq_extra *mq_decide_extra_locked(struct mq_shard *shard, struct mq_job *job);

/* Gives the first ready job, which can be given, to a holder (or by lease). NULL: there is none, or no memory. */
struct mq_job *mq_decide_lease_locked(struct mq_shard *shard, struct mq_queue *queue, struct mq_holder *holder,
                                      uint64_t lease_ms, int64_t now_ms);

/* How a command names a held job: by id, perhaps with its delivery's token. */
struct mq_claim {
    uint64_t id;
    bool has_token;
    bool bad_token; /* a token was given that never was one */
    uint64_t token;
};

/* The held job, or a refusal. */
int mq_decide_find_held_locked(struct mq_shard *shard, const struct mq_claim *claim, struct mq_job **job);

/* `result` JSON as written, p NULL = none. The job is kept to be looked at, within RESULT_MAX. */
int mq_decide_ack_locked(struct mq_shard *shard, struct mq_job *job, mq_slice result, int64_t now_ms);
/* Gives up the oldest kept job of this shard. 1, or 0: there is none, or no memory to say so. */
unsigned mq_decide_trim_locked(struct mq_shard *shard, int64_t now_ms);
/* Gives up this kept job. */
int mq_decide_trim_job_locked(struct mq_shard *shard, struct mq_job *job, int64_t now_ms);
/* `error` quoted, p NULL = none. */
int mq_decide_fail_locked(struct mq_shard *shard, struct mq_job *job, mq_slice error, bool unrecoverable, int64_t now_ms);
/* `unsent`: the delivery never reached anybody and does not count. */
int mq_decide_release_locked(struct mq_shard *shard, struct mq_job *job, uint64_t delay_ms, bool unsent, int64_t now_ms);
/* By id, in any state but the dead-letter queue. */
int mq_decide_cancel_locked(struct mq_shard *shard, uint64_t id, int64_t now_ms);
/* One of the dead-letter queue. */
int mq_decide_retry_dead_locked(struct mq_shard *shard, struct mq_job *job, int64_t now_ms);
/* A job of the dead-letter queue is gone for good. */
int mq_decide_purge_dead_locked(struct mq_shard *shard, struct mq_job *job, int64_t now_ms);

/* A job that waits for others is told how one of them ended: it goes on, waits for the rest, or is dead. */
int mq_decide_parent_ended_locked(struct mq_shard *shard, struct mq_job *job, uint64_t parent, bool dropped, int64_t now_ms);
/* A queue without jobs is forgotten, unless somebody waits on it: then only what is known of it. Not to be used afterwards. */
int mq_decide_forget_queue_locked(struct mq_shard *shard, struct mq_queue *queue, int64_t now_ms);

/* A heartbeat: the lease of a leased job ends lease_ms from now (0 = as long as it was pulled with), a timeout counts from now. */
int mq_decide_extend_locked(struct mq_shard *shard, struct mq_job *job, uint64_t lease_ms, int64_t now_ms);
/* `message` quoted, p NULL = none. */
int mq_decide_progress_locked(struct mq_shard *shard, struct mq_job *job, uint8_t progress, mq_slice message, int64_t now_ms);

int mq_decide_settings_locked(struct mq_shard *shard, struct mq_queue *queue, const struct mq_queue_settings *settings,
                              int64_t now_ms);

/* The holder is gone: all it holds in this shard is lost. */
void mq_decide_lost_locked(struct mq_shard *shard, struct mq_holder *holder, int64_t now_ms);
/* A hold's timeout or lease has ended. 1, or 0 when there is no memory to say so. */
unsigned mq_decide_deadline_locked(struct mq_shard *shard, struct mq_hold *hold, int64_t now_ms);
/* A job's TTL has ended. 1, or 0 when there is no memory to say so. */
unsigned mq_decide_expire_locked(struct mq_shard *shard, struct mq_job *job, int64_t now_ms);

#endif
