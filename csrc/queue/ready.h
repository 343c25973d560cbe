/* The ready jobs of a queue, in the order in which they are given: priority down, run_at up, id up.
 *
 * Jobs nearly always arrive in the order of their run_at, from a few priorities. So each priority, up to MQ_LANES of them,
 * has a lane: a list that is sorted because a job enters it only behind its last or before its first. Pushing, giving and
 * cancelling then touch the job and its neighbour, however many wait. What fits no lane (a job that comes back into the
 * middle, a priority too many) goes into a heap; the next job is the better of the first lane's first and the heap's top.
 * With a million jobs waiting a heap alone made a cycle a third slower: each pop wrote to ten cold jobs.
 */
#ifndef MQ_READY_H
#define MQ_READY_H

#include "base/heap.h"
#include "queue/job.h"

#define MQ_LANES 32u

struct mq_lane {
    struct mq_list jobs; /* by job->at.lane */
    int32_t priority;
};

struct mq_ready {
    uint64_t n;            /* all of them */
    struct mq_heap heap;   /* those in no lane */
    struct mq_lane **lanes; /* highest priority first; each has a job */
    uint32_t lane_n, lane_cap;
};

void mq_ready_init(struct mq_ready *ready);
/* Frees what it owns, not the jobs. */
void mq_ready_close(struct mq_ready *ready);
/* Room for `more` jobs, wherever they belong; 0, or -1 when there is no memory. */
int mq_ready_reserve(struct mq_ready *ready, uint64_t more);
/* Gives memory back, keeping room for `more` jobs. */
void mq_ready_shrink(struct mq_ready *ready, uint64_t more);
/* Room must be reserved. */
void mq_ready_push(struct mq_ready *ready, struct mq_job *job);
void mq_ready_remove(struct mq_ready *ready, struct mq_job *job);
/* The next to be given, or NULL. */
struct mq_job *mq_ready_first(const struct mq_ready *ready);
/* For tests: the order within, and every index; aborts on a difference. */
void mq_ready_check(const struct mq_ready *ready);

#endif
