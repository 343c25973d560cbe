/* A slot: one of 1,024 into which queue names are hashed for ever. Holds its queues, its id counter and its jobs by id.
 *
 * slot = XXH64(queue name) & 1023, id = counter << 10 | slot: any id leads to its slot without a global map. Jobs are found by
 * id through pages of 32 neighbouring counters, so a million jobs pushed in a row cost about 9 bytes each here, and a
 * page goes with its last job. Guarded by the shard's mutex.
 */
#ifndef MQ_SLOT_H
#define MQ_SLOT_H

#include "base/map.h"
#include "queue/queue.h"

#define MQ_PAGE_JOBS 32u

struct mq_page {
    uint64_t number; /* counter / MQ_PAGE_JOBS */
    uint32_t used;
    struct mq_job *jobs[MQ_PAGE_JOBS];
};

struct mq_slot {
    uint64_t counter;     /* of the last id given out */
    struct mq_map queues; /* by name */
    struct mq_map pages;  /* by number */
    struct mq_page *last; /* looked at last; NULL or valid */
    struct mq_page *spare; /* an empty page kept for the next reserve, or NULL */
    struct mq_slab *slab;  /* the shard's: pages come from it */
    uint64_t *bytes;       /* the shard's count, to which queues are added */
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

static inline uint64_t mq_slot_next_id(const struct mq_slot *slot) { return (slot->counter + 1) * MQ_SLOTS + slot->number; }

/* The job with this id, or NULL. */
struct mq_job *mq_slot_job(struct mq_slot *slot, uint64_t id);
/* The next mq_slot_add of this id cannot fail; 0, or -1 when there is no memory. */
int mq_slot_reserve(struct mq_slot *slot, uint64_t id);
void mq_slot_add(struct mq_slot *slot, struct mq_job *job);
void mq_slot_remove(struct mq_slot *slot, const struct mq_job *job);

#endif
