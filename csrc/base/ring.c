#include "base/ring.h"

#include "base/mem.h"

void mq_ring_close(struct mq_ring *ring)
{
    mq_free(ring->mem);
    mq_ring_init_sized(ring, ring->first_cap);
}

int mq_ring_make_room(struct mq_ring *ring, size_t n)
{
    size_t used = mq_ring_used(ring);
    /* Slide only when at least half of the block is free: each byte is then moved at most once for each byte written. */
    if (ring->mem && ring->cap - used >= n && used <= ring->cap / 2) {
        memmove(ring->mem, ring->mem + ring->head, used);
        ring->head = 0;
        ring->tail = used;
        return 0;
    }
    size_t cap = ring->cap ? ring->cap : ring->first_cap;
    while (cap - used < n || (ring->mem && cap == ring->cap)) {
        if (cap > SIZE_MAX / 4)
            return -1;
        cap *= 2;
    }
    char *mem = mq_alloc(cap + MQ_RING_SLACK);
    if (!mem)
        return -1;
    memset(mem + cap, 0, MQ_RING_SLACK);
    if (used)
        memcpy(mem, ring->mem + ring->head, used);
    mq_free(ring->mem);
    *ring = (struct mq_ring){.mem = mem, .head = 0, .tail = used, .cap = cap, .first_cap = ring->first_cap};
    return 0;
}
