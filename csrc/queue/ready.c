#include "queue/ready.h"

#include "base/check.h"
#include "base/mem.h"

#define ORDER_TIME_MAX (((int64_t)1 << 48) - 1) /* run_at in the key; later ones are never ready anyway */

/* The whole order as one number of 128 bits: 32 of priority, 48 of run_at, 48 of the id's counter. */
struct key {
    uint64_t high, low;
};

static inline struct key key_of(const struct mq_job *job)
{
    uint64_t time = (uint64_t)(job->run_at_ms < ORDER_TIME_MAX ? job->run_at_ms : ORDER_TIME_MAX);
    uint64_t rank = (uint64_t)((int64_t)INT32_MAX - job->priority); /* 0 is the highest priority */
    return (struct key){rank << 32 | time >> 16, time << 48 | job->id >> 10};
}

static inline bool before(struct key a, struct key b) { return a.high < b.high || (a.high == b.high && a.low < b.low); }

static inline struct mq_job *job_at(const struct mq_list *node) { return mq_list_entry(node, struct mq_job, at.lane); }

void mq_ready_init(struct mq_ready *ready)
{
    *ready = (struct mq_ready){0};
    mq_heap_init(&ready->heap, offsetof(struct mq_job, at.heap_index));
}

void mq_ready_close(struct mq_ready *ready)
{
    mq_heap_close(&ready->heap);
    for (uint32_t i = 0; i < ready->lane_cap; i++)
        mq_free(ready->lanes[i]);
    mq_free(ready->lanes);
}

/* Makes another lane for later use: lanes[lane_n..lane_cap) are spare. Without memory the heap serves. */
static void reserve_lane(struct mq_ready *ready)
{
    if (ready->lane_n < ready->lane_cap || ready->lane_cap == MQ_LANES)
        return;
    struct mq_lane **lanes = mq_resize(ready->lanes, (ready->lane_cap + 1) * sizeof *lanes);
    if (!lanes)
        return;
    ready->lanes = lanes;
    struct mq_lane *lane = mq_alloc(sizeof *lane);
    if (lane)
        lanes[ready->lane_cap++] = lane;
}

int mq_ready_reserve(struct mq_ready *ready, uint64_t more)
{
    if (MQ_UNLIKELY(ready->lane_n == ready->lane_cap))
        reserve_lane(ready);
    return mq_heap_reserve(&ready->heap, ready->heap.n + more);
}

void mq_ready_shrink(struct mq_ready *ready, uint64_t more) { mq_heap_shrink(&ready->heap, ready->heap.n + more); }

/* The first lane whose priority is not above this one; lane_n if there is none. */
static inline uint32_t lane_place(const struct mq_ready *ready, int32_t priority)
{
    uint32_t low = 0, high = ready->lane_n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (ready->lanes[middle]->priority > priority)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct mq_lane *lane_open(struct mq_ready *ready, uint32_t place, int32_t priority)
{
    struct mq_lane *lane = ready->lanes[ready->lane_n];
    memmove(&ready->lanes[place + 1], &ready->lanes[place], (ready->lane_n - place) * sizeof *ready->lanes);
    ready->lanes[place] = lane;
    ready->lane_n++;
    mq_list_init(&lane->jobs);
    lane->priority = priority;
    return lane;
}

static void lane_close(struct mq_ready *ready, uint32_t place)
{
    struct mq_lane *lane = ready->lanes[place];
    ready->lane_n--;
    memmove(&ready->lanes[place], &ready->lanes[place + 1], (ready->lane_n - place) * sizeof *ready->lanes);
    ready->lanes[ready->lane_n] = lane;
}

/* False if the job fits no lane. */
static bool enter_lane(struct mq_ready *ready, struct mq_job *job, struct key key)
{
    uint32_t place = lane_place(ready, job->priority);
    struct mq_lane *lane;
    if (place < ready->lane_n && ready->lanes[place]->priority == job->priority)
        lane = ready->lanes[place];
    else if (ready->lane_n < ready->lane_cap)
        lane = lane_open(ready, place, job->priority);
    else
        return false;
    if (mq_list_empty(&lane->jobs) || before(key_of(job_at(lane->jobs.prev)), key))
        mq_list_append(&lane->jobs, &job->at.lane);
    else if (before(key, key_of(job_at(lane->jobs.next))))
        mq_list_prepend(&lane->jobs, &job->at.lane);
    else
        return false;
    return true;
}

void mq_ready_push(struct mq_ready *ready, struct mq_job *job)
{
    struct key key = key_of(job);
    job->in_lane = enter_lane(ready, job, key);
    if (MQ_UNLIKELY(!job->in_lane))
        mq_heap_push(&ready->heap, key.high, key.low, job);
    ready->n++;
}

void mq_ready_remove(struct mq_ready *ready, struct mq_job *job)
{
    ready->n--;
    if (!job->in_lane) {
        mq_heap_remove(&ready->heap, job->at.heap_index);
        return;
    }
    bool alone = job->at.lane.next == job->at.lane.prev;
    mq_list_remove(&job->at.lane);
    if (alone)
        lane_close(ready, lane_place(ready, job->priority));
}

struct mq_job *mq_ready_first(const struct mq_ready *ready)
{
    const struct mq_heap_entry *top = mq_heap_top(&ready->heap);
    struct mq_job *job = ready->lane_n ? job_at(ready->lanes[0]->jobs.next) : NULL;
    if (MQ_LIKELY(!top))
        return job;
    return job && before(key_of(job), (struct key){top->high, top->low}) ? job : top->item;
}

void mq_ready_check(const struct mq_ready *ready)
{
    uint64_t n = ready->heap.n;
    for (uint32_t i = 0; i < ready->lane_n; i++) {
        const struct mq_list *jobs = &ready->lanes[i]->jobs;
        MQ_ASSERT(!mq_list_empty(jobs));
        MQ_ASSERT(i == 0 || ready->lanes[i - 1]->priority > ready->lanes[i]->priority);
        for (const struct mq_list *node = jobs->next; node != jobs; node = node->next, n++) {
            MQ_ASSERT(job_at(node)->in_lane && job_at(node)->priority == ready->lanes[i]->priority);
            if (node->prev != jobs)
                MQ_ASSERT(before(key_of(job_at(node->prev)), key_of(job_at(node))));
        }
    }
    MQ_ASSERT(n == ready->n);
}
