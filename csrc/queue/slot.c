#include "queue/slot.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/quote.h"

void mq_slot_init(struct mq_slot *slot, uint16_t number, struct mq_slab *slab, uint64_t *bytes)
{
    *slot = (struct mq_slot){.number = number, .bytes = bytes};
    mq_map_init(&slot->queues);
    mq_index_init(&slot->jobs, slab);
    mq_idset_init(&slot->dropped);
}

void mq_slot_close(struct mq_slot *slot)
{
    struct mq_queue *queue;
    struct mq_job *job;
    for (uint64_t from = 0; (job = mq_index_up(&slot->jobs, MQ_JOB_ANY, from));) {
        from = job->id / MQ_SLOTS + 1;
        mq_job_free(slot->jobs.slab, job);
    }
    mq_index_close(&slot->jobs);
    mq_idset_close(&slot->dropped);
    for (size_t at = 0; (queue = mq_map_next(&slot->queues, &at));)
        mq_queue_free(queue);
    mq_map_close(&slot->queues);
}

static bool name_matches(const void *item, const void *name)
{
    return mq_slice_eq(mq_queue_name(item), *(const mq_slice *)name);
}

struct mq_queue *mq_slot_queue(const struct mq_slot *slot, mq_slice name, uint64_t hash)
{
    return mq_map_find(&slot->queues, hash, name_matches, &name);
}

struct mq_queue *mq_slot_queue_make(struct mq_slot *slot, mq_slice name, uint64_t hash)
{
    struct mq_queue *queue = mq_slot_queue(slot, name, hash);
    if (queue)
        return queue;
    char json[MQ_QUOTED_MAX(255)];
    MQ_ASSERT(name.n <= 255);
    mq_slice name_json = mq_slice_of(json, mq_quote(name, json));
    if (mq_map_reserve(&slot->queues) < 0 || !(queue = mq_queue_create(name, name_json, hash, slot)))
        return NULL;
    mq_map_insert(&slot->queues, hash, queue);
    *slot->bytes += mq_queue_bytes(queue);
    return queue;
}

void mq_slot_queue_release(struct mq_slot *slot, struct mq_queue *queue)
{
    if (queue->known || !mq_list_empty(&queue->waiters))
        return;
    mq_map_remove(&slot->queues, queue->hash, queue);
    *slot->bytes -= mq_queue_bytes(queue);
    mq_queue_free(queue);
}

void mq_slot_drop(struct mq_slot *slot, uint64_t id)
{
    *slot->bytes -= slot->dropped.bytes;
    mq_idset_add(&slot->dropped, id / MQ_SLOTS);
    *slot->bytes += slot->dropped.bytes;
}
