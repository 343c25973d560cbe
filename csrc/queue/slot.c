#include "queue/slot.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/quote.h"

void mq_slot_init(struct mq_slot *slot, uint16_t number, struct mq_slab *slab, uint64_t *bytes)
{
    *slot = (struct mq_slot){.number = number, .slab = slab, .bytes = bytes};
    mq_map_init(&slot->queues);
    mq_map_init(&slot->pages);
}

static void page_free(struct mq_slot *slot, struct mq_page *page) { mq_slab_put(slot->slab, page, sizeof *page); }

void mq_slot_close(struct mq_slot *slot)
{
    size_t at = 0;
    struct mq_page *page;
    struct mq_queue *queue;
    while ((page = mq_map_next(&slot->pages, &at))) {
        for (unsigned i = 0; i < MQ_PAGE_JOBS; i++)
            if (page->jobs[i])
                mq_job_free(slot->slab, page->jobs[i]);
        page_free(slot, page);
    }
    if (slot->spare)
        page_free(slot, slot->spare);
    mq_map_close(&slot->pages);
    for (at = 0; (queue = mq_map_next(&slot->queues, &at));)
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

static bool page_matches(const void *item, const void *number)
{
    return ((const struct mq_page *)item)->number == *(const uint64_t *)number;
}

static inline struct mq_page *find_page(struct mq_slot *slot, uint64_t number)
{
    if (slot->last && slot->last->number == number)
        return slot->last;
    struct mq_page *page = mq_map_find(&slot->pages, mq_hash_u64(number), page_matches, &number);
    if (page)
        slot->last = page;
    return page;
}

struct mq_job *mq_slot_job(struct mq_slot *slot, uint64_t id)
{
    uint64_t counter = id / MQ_SLOTS;
    struct mq_page *page = find_page(slot, counter / MQ_PAGE_JOBS);
    return page ? page->jobs[counter % MQ_PAGE_JOBS] : NULL;
}

int mq_slot_reserve(struct mq_slot *slot, uint64_t id)
{
    if (find_page(slot, id / MQ_SLOTS / MQ_PAGE_JOBS))
        return 0;
    if (mq_map_reserve(&slot->pages) < 0)
        return -1;
    if (!slot->spare)
        slot->spare = mq_slab_get(slot->slab, sizeof *slot->spare);
    if (!slot->spare)
        return -1;
    memset(slot->spare, 0, sizeof *slot->spare);
    return 0;
}

void mq_slot_add(struct mq_slot *slot, struct mq_job *job)
{
    uint64_t counter = job->id / MQ_SLOTS, number = counter / MQ_PAGE_JOBS;
    struct mq_page *page = find_page(slot, number);
    if (!page) {
        page = slot->spare;
        MQ_ASSERT(page);
        slot->spare = NULL;
        page->number = number;
        mq_map_insert(&slot->pages, mq_hash_u64(number), page);
        slot->last = page;
    }
    MQ_ASSERT(!page->jobs[counter % MQ_PAGE_JOBS]);
    page->jobs[counter % MQ_PAGE_JOBS] = job;
    page->used++;
}

void mq_slot_remove(struct mq_slot *slot, const struct mq_job *job)
{
    uint64_t counter = job->id / MQ_SLOTS;
    struct mq_page *page = find_page(slot, counter / MQ_PAGE_JOBS);
    MQ_ASSERT(page && page->jobs[counter % MQ_PAGE_JOBS] == job);
    page->jobs[counter % MQ_PAGE_JOBS] = NULL;
    if (--page->used)
        return;
    MQ_ASSERT(mq_map_remove(&slot->pages, mq_hash_u64(page->number), page));
    slot->last = NULL;
    if (slot->spare)
        page_free(slot, page);
    else
        slot->spare = page;
}
