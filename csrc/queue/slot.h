/* A slot: one of 1,024 into which queue names are hashed for ever. Holds its queues, its id counter and its jobs by id.
 *
 * slot = XXH64(queue name) & 1023, id = counter << 10 | slot: any id leads to its slot without a global map. Guarded by the
 * shard's mutex; the counter may be read without it.
 */
#ifndef MQ_SLOT_H
#define MQ_SLOT_H

#include "base/map.h"
#include "base/idset.h"
#include "queue/index.h"
#include "queue/queue.h"

struct mq_slot {
    _Atomic uint64_t counter; /* of the last id given out */
    struct mq_map queues;     /* by name */
    struct mq_index jobs;     /* by id */
    struct mq_idset dropped;  /* counters of jobs that ended without being completed: what a dependent must know for ever */
    uint64_t *bytes;          /* the shard's count, to which queues are added */
    uint16_t number;
};

void mq_slot_init(struct mq_slot *slot, uint16_t number, struct mq_slab *slab, uint64_t *bytes);
/* Frees all its queues and jobs. */
void mq_slot_close(struct mq_slot *slot);

struct mq_queue *mq_slot_queue(const struct mq_slot *slot, mq_slice name, uint64_t hash);
/* Finds or makes it. NULL when there is no memory. */
struct mq_queue *mq_slot_queue_make(struct mq_slot *slot, mq_slice name, uint64_t hash);
/* Forgets a queue that nothing durable names and nobody waits on; leaves any other alone. */
void mq_slot_queue_release(struct mq_slot *slot, struct mq_queue *queue);

static inline uint64_t mq_slot_counter(const struct mq_slot *slot)
{
    return atomic_load_explicit(&slot->counter, memory_order_relaxed);
}

static inline uint64_t mq_slot_next_id(const struct mq_slot *slot)
{
    return (mq_slot_counter(slot) + 1) * MQ_SLOTS + slot->number;
}

/* Room to note that this job was dropped; 0, or -1 when there is no memory. */
static inline int mq_slot_drop_reserve(struct mq_slot *slot, uint64_t id)
{
    return mq_idset_reserve(&slot->dropped, id / MQ_SLOTS);
}
void mq_slot_drop(struct mq_slot *slot, uint64_t id);

/* The job with this id, or NULL. */
static inline struct mq_job *mq_slot_job(struct mq_slot *slot, uint64_t id)
{
    return mq_index_find(&slot->jobs, id / MQ_SLOTS);
}

#endif
