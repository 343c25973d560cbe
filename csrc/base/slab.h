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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MQ_SLAB_STEP 16u
#define MQ_SLAB_MAX 1024u /* larger objects are the allocator's */

struct mq_slab {
    struct mq_list open[MQ_SLAB_MAX / MQ_SLAB_STEP + 1]; /* spans with room, by class */
    struct mq_list empty;                                /* spans without objects, of any class */
    unsigned warm_n;                                     /* of them, how many kept their pages */
    char *region, *region_end;                           /* address space not yet made into spans */
    bool region_populated;                               /* all of it has its pages */
    bool wants;                                          /* it grows so fast that the next region should be made ready */
    struct mq_list regions;
    struct mq_region *next;  /* made ready; NULL = not */
    int64_t grown_ms;        /* when the last region was begun, by the coarse monotonic clock */
    unsigned small_left, small_next; /* regions that are to have small pages; how many after the next dear huge page */
};

void mq_slab_init(struct mq_slab *slab);
/* All small objects are gone with it; large ones must have been freed. */
void mq_slab_close(struct mq_slab *slab);
/* NULL when there is no memory. */
void *mq_slab_get(struct mq_slab *slab, size_t size);
void mq_slab_put(struct mq_slab *slab, void *object, size_t size);

/* Fresh memory is a good part of what a push costs. While a slab grows fast, another thread may get the next region ready:
 * whether it wants one (and of huge pages) is asked with the slab's mutex, and the region is given with it, but made without. */
bool mq_slab_wants(const struct mq_slab *slab, bool *huge);
/* NULL when there is no memory. */
struct mq_region *mq_region_make(bool huge);
/* NULL: there is none; the slab helps itself. */
void mq_slab_give(struct mq_slab *slab, struct mq_region *region);
/* Bytes that an object of this size takes. */
static inline size_t mq_slab_bytes(size_t size)
{
    return size <= MQ_SLAB_MAX ? (size + MQ_SLAB_STEP - 1) / MQ_SLAB_STEP * MQ_SLAB_STEP : size + 2 * sizeof(void *);
}

#endif
