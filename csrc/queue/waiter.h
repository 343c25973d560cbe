/* Who waits for jobs and who holds them: the two ways in which a connection is known to the queues.
 *
 * A waiter is a parked pull. It stands in its queue's list, in order of arrival, guarded by the shard's mutex. When jobs
 * can be given, the queue unlinks it and calls `deliver` and then `send` with the mutex held, from whatever thread made the
 * jobs ready (net/ supplies both, so that nothing here knows sockets).
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

struct mq_waiter {
    struct mq_list node;    /* in queue->waiters */
    struct mq_queue *queue; /* valid while parked */
    uint64_t hash;          /* of the queue's name: leads to the shard without touching the queue */
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
