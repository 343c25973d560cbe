/* A connection's buffer: bytes go in at the end and out at the front, and what is in it is always one contiguous run.
 *
 * Four functions: reserve, commit, peek, consume. Behind them is a window that slides through one block: it returns to
 * the start of the block whenever it runs empty (nearly every time, so the same few cache lines serve all requests), and
 * is moved to the front only when its end reaches the end of the block. A block mapped twice would promise the same (nothing
 * is copied to parse a line), but costs a file, two mappings and page faults, and does not start over in warm lines.
 *
 * MQ_RING_SLACK readable bytes follow whatever was reserved, so that scanners may load whole vectors. Slices into the
 * ring are valid until the next reserve. One thread owns a ring.
 */
#ifndef MQ_RING_H
#define MQ_RING_H

#include "base/slice.h"

#include <stdint.h>

#define MQ_RING_BYTES (128u << 10)
#define MQ_RING_SLACK 64u

struct mq_ring {
    char *mem;        /* NULL until the first reserve */
    size_t head, tail; /* the bytes are mem[head..tail) */
    size_t cap;       /* without the slack */
    size_t first_cap; /* of its first block */
};

static inline void mq_ring_init_sized(struct mq_ring *ring, size_t first_cap)
{
    *ring = (struct mq_ring){.first_cap = first_cap};
}

static inline void mq_ring_init(struct mq_ring *ring) { mq_ring_init_sized(ring, MQ_RING_BYTES); }
void mq_ring_close(struct mq_ring *ring);

/* The slow part of reserve: slides or grows. 0, or -1 when there is no memory (the contents are kept). */
int mq_ring_make_room(struct mq_ring *ring, size_t n);

/* Where n more bytes may be written; NULL when there is no memory. */
static inline char *mq_ring_reserve(struct mq_ring *ring, size_t n)
{
    if (__builtin_expect(ring->cap - ring->tail < n, 0) && mq_ring_make_room(ring, n) < 0)
        return NULL;
    return ring->mem + ring->tail;
}

/* n bytes, at most what was reserved, now count. */
static inline void mq_ring_commit(struct mq_ring *ring, size_t n) { ring->tail += n; }

static inline mq_slice mq_ring_peek(const struct mq_ring *ring)
{
    return (mq_slice){ring->mem + ring->head, ring->tail - ring->head};
}

static inline size_t mq_ring_used(const struct mq_ring *ring) { return ring->tail - ring->head; }

/* The first n bytes are done with. */
static inline void mq_ring_consume(struct mq_ring *ring, size_t n)
{
    ring->head += n;
    if (ring->head == ring->tail)
        ring->head = ring->tail = 0;
}

/* Drops everything after the first n bytes: takes back what was committed. */
static inline void mq_ring_truncate(struct mq_ring *ring, size_t n) { ring->tail = ring->head + n; }

#endif
