/* A priority queue of (128-bit key, item) entries: a 4-ary heap, smallest key first.
 *
 * The key stands in the entry, so ordering never touches an item; only the item's index (a uint32_t inside the item, at
 * `index_offset`) is written when its entry moves, which makes removal of any item O(log n). Keys are unique in practice
 * (they end in an id), so the order is total and a heap gives the same sequence every time. No lock of its own.
 */
#ifndef MQ_HEAP_H
#define MQ_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define MQ_HEAP_NONE UINT32_MAX

struct mq_heap_entry {
    uint64_t high, low; /* the key: high first */
    void *item;
};

struct mq_heap {
    struct mq_heap_entry *entries;
    uint32_t n, cap;
    uint32_t index_offset; /* bytes from an item's start to its uint32_t index */
};

void mq_heap_init(struct mq_heap *heap, size_t index_offset);
void mq_heap_close(struct mq_heap *heap);
/* Room for `total` entries in all; 0, or -1 when there is no memory. Pushes up to there cannot fail. */
int mq_heap_reserve(struct mq_heap *heap, size_t total);
/* Gives memory back when under a quarter of it is used; never below `total` entries. */
void mq_heap_shrink(struct mq_heap *heap, size_t total);
/* Room must be reserved. */
void mq_heap_push(struct mq_heap *heap, uint64_t high, uint64_t low, void *item);
/* Removes the entry at `index`; the item's index becomes MQ_HEAP_NONE. */
void mq_heap_remove(struct mq_heap *heap, uint32_t index);
/* Gives the entry at `index` another key. */
void mq_heap_update(struct mq_heap *heap, uint32_t index, uint64_t high, uint64_t low);

static inline const struct mq_heap_entry *mq_heap_top(const struct mq_heap *heap)
{
    return heap->n ? &heap->entries[0] : NULL;
}

#endif
