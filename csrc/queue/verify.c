/* The invariants, written down as a full scan: for tests and for `mq_engine_check`. */
#include "base/check.h"
#include "queue/shard.h"

static void check_heap(const struct mq_heap *heap)
{
    for (uint32_t i = 0; i < heap->n; i++) {
        const struct mq_heap_entry *entry = &heap->entries[i], *parent = &heap->entries[i ? (i - 1) / 4 : 0];
        MQ_ASSERT(parent->high < entry->high || (parent->high == entry->high && parent->low <= entry->low));
        MQ_ASSERT(*(const uint32_t *)((const char *)entry->item + heap->index_offset) == i);
    }
}

struct found {
    struct mq_counts counts;
    uint64_t done;
};

static void check_deps(const struct mq_deps *deps, bool waits)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < deps->n; i++)
        open += deps->links[i].outcome == MQ_PARENT_OPEN;
    MQ_ASSERT(open == deps->open && (!waits || open));
}

static void check_job(const struct mq_job *job, struct found *found)
{
    const struct mq_queue *queue = job->queue;
    const struct mq_options *options = mq_job_options(job);
    MQ_ASSERT(queue->known);
    MQ_ASSERT(job->id % MQ_SLOTS == queue->slot->number);
    MQ_ASSERT(job->id / MQ_SLOTS <= mq_slot_counter(queue->slot));
    MQ_ASSERT(job->key_held == (job->has_key && job->state != MQ_JOB_DEAD && job->state != MQ_JOB_DONE));
    if (job->key_held)
        MQ_ASSERT(mq_queue_key_find(queue, mq_job_key(job)) == job);
    if (options && options->ttl_index != MQ_HEAP_NONE)
        MQ_ASSERT(job->state == MQ_JOB_READY || job->state == MQ_JOB_DELAYED || job->state == MQ_JOB_PARENT);
    switch ((enum mq_job_state)job->state) {
    case MQ_JOB_READY:
        MQ_ASSERT(job->in_lane || queue->ready.heap.entries[job->at.heap_index].item == job);
        found->counts.ready++;
        break;
    case MQ_JOB_DELAYED:
        MQ_ASSERT(queue->delayed.entries[job->at.heap_index].item == job);
        found->counts.delayed++;
        break;
    case MQ_JOB_ACTIVE:
        MQ_ASSERT(job->at.hold->job == job);
        found->counts.active++;
        break;
    case MQ_JOB_DEAD:
        MQ_ASSERT(job->extra && job->extra->job == job);
        found->counts.dead++;
        break;
    case MQ_JOB_DONE:
        found->done++;
        break;
    case MQ_JOB_PARENT:
        check_deps(job->extra->deps, true);
        found->counts.parents++;
        break;
    case MQ_JOB_NEW:
        MQ_ASSERT(!"a job in no state");
    }
}

static void check_queues(const struct mq_slot *slot, const struct mq_heap *due, struct mq_counts *counts, uint64_t *bytes)
{
    const struct mq_queue *queue;
    for (size_t at = 0; (queue = mq_map_next(&slot->queues, &at));) {
        check_heap(&queue->ready.heap);
        mq_ready_check(&queue->ready);
        check_heap(&queue->delayed);
        MQ_ASSERT(queue->ready.heap.cap >= queue->ready.heap.n + queue->active_n);
        MQ_ASSERT(!queue->delayed.n || queue->due_index != MQ_HEAP_NONE);
        if (queue->delayed.n)
            MQ_ASSERT(due->entries[queue->due_index].high <= queue->delayed.entries[0].high);
        uint64_t dead = 0, by[MQ_REASONS] = {0};
        for (const struct mq_list *node = queue->dead.next; node != &queue->dead; node = node->next, dead++)
            by[mq_list_entry(node, struct mq_extra, dead)->reason]++;
        MQ_ASSERT(dead == queue->dead_n);
        MQ_ASSERT(memcmp(by, queue->dead_by, sizeof by) == 0);
        MQ_ASSERT(queue->known || !mq_list_empty(&queue->waiters));
        *bytes += mq_queue_bytes(queue);
        counts->ready += queue->ready.n;
        counts->delayed += queue->delayed.n;
        counts->active += queue->active_n;
        counts->parents += queue->parent_n;
        counts->dead += queue->dead_n;
        counts->completed += queue->completed;
    }
}

static void check_equal(const struct mq_counts *a, const struct mq_counts *b)
{
    MQ_ASSERT(a->ready == b->ready);
    MQ_ASSERT(a->delayed == b->delayed);
    MQ_ASSERT(a->active == b->active);
    MQ_ASSERT(a->parents == b->parents);
    MQ_ASSERT(a->dead == b->dead);
}

void mq_shard_check_locked(struct mq_shard *shard)
{
    struct mq_counts by_queue = {0};
    struct found by_job = {0};
    uint64_t bytes = 0;
    for (unsigned i = 0; i < MQ_SLOTS_A_SHARD; i++) {
        const struct mq_job *job;
        mq_index_check(&shard->slots[i].jobs);
        bytes += shard->slots[i].dropped.bytes;
        for (uint64_t from = 0; (job = mq_index_up(&shard->slots[i].jobs, MQ_JOB_ANY, from)); from = job->id / MQ_SLOTS + 1) {
            check_job(job, &by_job);
            bytes += mq_job_bytes(job);
        }
        check_queues(&shard->slots[i], &shard->due, &by_queue, &bytes);
    }
    check_heap(&shard->due);
    check_heap(&shard->deadlines);
    check_heap(&shard->ttls);
    check_equal(&by_job.counts, &shard->counts);
    MQ_ASSERT(by_job.done == atomic_load(&shard->done_n));
    check_equal(&by_queue, &shard->counts);
    MQ_ASSERT(by_queue.completed == shard->counts.completed);
    MQ_ASSERT(bytes == shard->bytes);
}
