/* Memory for many small objects of mixed sizes that come and go in the millions: the jobs.
 *
 * Objects of one size class (steps of 16 bytes) share spans of 64 KiB; an object has no header of its own, so its owner
 * says its size again when it frees it. A span is carved from its start and its pages are asked of the kernel many at a
 * time, which costs a fraction of one fault for each page; an empty span gives its pages back. Larger objects go to the
 * allocator. No lock of its own: one slab for each shard, under the shard's mutex.
 *
 * With AddressSanitizer every object comes from the allocator, so that misuse of a freed job is seen.
 */
#ifndef MQ_SLAB_H
#define MQ_SLAB_H

#include "base/list.h"

#include <stddef.h>
#include <stdint.h>

#define MQ_SLAB_STEP 16u
#define MQ_SLAB_MAX 1024u /* larger objects are the allocator's */

struct mq_slab {
    struct mq_list open[MQ_SLAB_MAX / MQ_SLAB_STEP + 1]; /* spans with room, by class */
    struct mq_list empty;                                /* spans without objects, of any class */
    unsigned warm_n;                                     /* of them, how many kept their pages */
    char *region, *region_end;                           /* address space not yet made into spans */
    struct mq_list regions;
    int64_t small_until_ms; /* no huge page is asked for before, by the coarse monotonic clock */
};

void mq_slab_init(struct mq_slab *slab);
/* All small objects are gone with it; large ones must have been freed. */
void mq_slab_close(struct mq_slab *slab);
/* NULL when there is no memory. */
void *mq_slab_get(struct mq_slab *slab, size_t size);
void mq_slab_put(struct mq_slab *slab, void *object, size_t size);
/* Bytes that an object of this size takes. */
static inline size_t mq_slab_bytes(size_t size)
{
    return size <= MQ_SLAB_MAX ? (size + MQ_SLAB_STEP - 1) / MQ_SLAB_STEP * MQ_SLAB_STEP : size + 2 * sizeof(void *);
}

#endif
