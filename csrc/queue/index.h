/* The jobs of one slot: by id, and for each state in the order of their ids.
 *
 * A radix tree over the ids' counters, 32 ways at each step. A node knows for every state below which of its children there
 * is a job in that state, so "the next delayed job from this id on" is one way down, however many jobs there are. A leaf
 * stands for 32 neighbouring counters: jobs pushed in a row cost about 9 bytes each here, and a leaf goes with its last job.
 * Changing a job's state needs no memory. Guarded by the shard's mutex.
 */
#ifndef MQ_INDEX_H
#define MQ_INDEX_H

#include "queue/job.h"

#define MQ_INDEX_WAYS 32u

struct mq_node {
    uint32_t in[MQ_JOB_STATES]; /* bit n: under child n there is a job in this state; [MQ_JOB_ANY]: in any */
    union {
        struct mq_node *node[MQ_INDEX_WAYS];
        struct mq_job *job[MQ_INDEX_WAYS]; /* of a leaf */
    } child;
};

struct mq_index {
    struct mq_node *root;
    unsigned levels;      /* of nodes from the root to a leaf; 0 = empty */
    unsigned spare_n;
    struct mq_node *spare; /* nodes reserved, linked through child 0 */
    struct mq_node *last;  /* the leaf looked at last; NULL or valid */
    uint64_t last_number;  /* its counters / 32 */
    struct mq_slab *slab;  /* where nodes come from */
};

void mq_index_init(struct mq_index *index, struct mq_slab *slab);
/* Gives its nodes back, not the jobs. */
void mq_index_close(struct mq_index *index);

/* The job with this counter, or NULL. */
struct mq_job *mq_index_find(struct mq_index *index, uint64_t counter);
/* The next mq_index_add of this counter cannot fail; 0, or -1 when there is no memory. */
int mq_index_reserve(struct mq_index *index, uint64_t counter);
void mq_index_add(struct mq_index *index, struct mq_job *job);
void mq_index_remove(struct mq_index *index, struct mq_job *job);
/* Takes note of the state that the job has by now. */
void mq_index_note(struct mq_index *index, struct mq_job *job);

/* The job in this state (or MQ_JOB_ANY) with the lowest counter that is not below `from`; NULL = none. */
struct mq_job *mq_index_up(const struct mq_index *index, enum mq_job_state state, uint64_t from);
/* The same with the highest counter that is not above `from`. */
struct mq_job *mq_index_down(const struct mq_index *index, enum mq_job_state state, uint64_t from);

/* Bytes that its nodes take. */
size_t mq_index_bytes(const struct mq_index *index);
/* For tests: every mask against the jobs below; aborts on a difference. Returns how many jobs there are. */
uint64_t mq_index_check(const struct mq_index *index);

#endif
