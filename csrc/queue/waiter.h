/* Who waits for jobs and who holds them: the two ways in which a connection is known to the queues.
 *
 * A waiter is a parked pull, which stands in its queue's list in order of arrival, or a WAITJOB, which stands in its job's;
 * both guarded by the shard's mutex. When jobs can be given, or the job ends, the waiter is unlinked and `deliver` and then
 * `send` are called with the mutex held, from whatever thread was at work (net/ supplies both, so that nothing here knows
 * sockets).
 *
 * A holder owns jobs for as long as a connection lives: one list for each shard, each guarded by that shard's mutex.
 */
#ifndef MQ_WAITER_H
#define MQ_WAITER_H

#include "queue/job.h"

#include <stdatomic.h>
#include <stdint.h>

struct mq_shard;
struct mq_queue;

struct mq_pull {
    uint64_t lease_ms; /* 0 = held by the holder */
    uint32_t count;    /* jobs at most */
    bool batch;        /* PULLB: the answer is a list */
};

struct mq_holder {
    struct mq_list held[MQ_SHARDS];
    _Atomic uint32_t shards; /* bit n: something was held in shard n at some time */
};

/* How a job ended, for those who waited for that. */
struct mq_ending {
    enum { MQ_ENDED_COMPLETED, MQ_ENDED_FAILED, MQ_ENDED_GONE } how;
    mq_slice text; /* COMPLETED: the result; FAILED: the last error; as written, p NULL = none */
};

struct mq_waiter {
    struct mq_list node;    /* in queue->waiters or the job's extra->waiters */
    struct mq_queue *queue; /* valid while a pull is parked; WAITJOB: NULL */
    uint64_t hash;          /* of the queue's name, or the job's id: leads to the shard without touching either */
    const struct mq_ending *ending; /* WAITJOB: valid within deliver */
    struct mq_holder *holder;
    struct mq_pull pull;
    bool parked;
    /* Takes the jobs and writes the answer. */
    void (*deliver)(struct mq_waiter *waiter, struct mq_shard *shard, int64_t now_ms);
    /* Sends the answer off, still under the mutex, once the log has numbered what was decided: the answer may be told when
     * the log is committed up to `seq`. The waiter belongs to the queues no longer. */
    void (*send)(struct mq_waiter *waiter, uint64_t seq);
};

void mq_holder_init(struct mq_holder *holder);

#endif
