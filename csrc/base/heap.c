#include "base/heap.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdbool.h>

#define ARITY 4u
#define MIN_CAP 8u

static inline bool before(const struct mq_heap_entry *a, const struct mq_heap_entry *b)
{
    return a->high < b->high || (a->high == b->high && a->low < b->low);
}

static inline void set_index(const struct mq_heap *heap, const struct mq_heap_entry *entry, uint32_t index)
{
    *(uint32_t *)((char *)entry->item + heap->index_offset) = index;
}

static inline void place(struct mq_heap *heap, uint32_t index, struct mq_heap_entry entry)
{
    heap->entries[index] = entry;
    set_index(heap, &entry, index);
}

void mq_heap_init(struct mq_heap *heap, size_t index_offset)
{
    *heap = (struct mq_heap){.index_offset = (uint32_t)index_offset};
}

void mq_heap_close(struct mq_heap *heap)
{
    mq_free(heap->entries);
    heap->entries = NULL;
    heap->n = heap->cap = 0;
}

int mq_heap_reserve(struct mq_heap *heap, size_t total)
{
    if (total <= heap->cap)
        return 0;
    if (total >= MQ_HEAP_NONE)
        return -1;
    size_t cap = heap->cap + heap->cap / 2;
    if (cap < total)
        cap = total < MIN_CAP ? MIN_CAP : total;
    if (cap >= MQ_HEAP_NONE)
        cap = MQ_HEAP_NONE - 1;
    struct mq_heap_entry *entries = mq_resize(heap->entries, cap * sizeof *entries);
    if (!entries)
        return -1;
    heap->entries = entries;
    heap->cap = (uint32_t)cap;
    return 0;
}

void mq_heap_shrink(struct mq_heap *heap, size_t total)
{
    size_t cap = heap->cap / 2;
    if (heap->cap <= 64 || heap->n > heap->cap / 4 || total > cap)
        return;
    struct mq_heap_entry *entries = mq_resize(heap->entries, cap * sizeof *entries);
    if (!entries)
        return;
    heap->entries = entries;
    heap->cap = (uint32_t)cap;
}

static void sift_up(struct mq_heap *heap, uint32_t index, struct mq_heap_entry entry)
{
    while (index) {
        uint32_t parent = (index - 1) / ARITY;
        if (!before(&entry, &heap->entries[parent]))
            break;
        place(heap, index, heap->entries[parent]);
        index = parent;
    }
    place(heap, index, entry);
}

static inline uint32_t least_child(const struct mq_heap *heap, uint32_t first)
{
    const struct mq_heap_entry *e = heap->entries;
    if (MQ_LIKELY(first + ARITY <= heap->n)) {
        uint32_t a = before(&e[first + 1], &e[first]) ? first + 1 : first;
        uint32_t b = before(&e[first + 3], &e[first + 2]) ? first + 3 : first + 2;
        return before(&e[b], &e[a]) ? b : a;
    }
    uint32_t least = first;
    for (uint32_t i = first + 1; i < heap->n; i++)
        if (before(&e[i], &e[least]))
            least = i;
    return least;
}

static void sift_down(struct mq_heap *heap, uint32_t index, struct mq_heap_entry entry)
{
    for (;;) {
        uint32_t first = index * ARITY + 1;
        if (first >= heap->n)
            break;
        uint32_t child = least_child(heap, first);
        if (!before(&heap->entries[child], &entry))
            break;
        place(heap, index, heap->entries[child]);
        index = child;
    }
    place(heap, index, entry);
}

void mq_heap_push(struct mq_heap *heap, uint64_t high, uint64_t low, void *item)
{
    MQ_ASSERT(heap->n < heap->cap);
    sift_up(heap, heap->n++, (struct mq_heap_entry){high, low, item});
}

static void reseat(struct mq_heap *heap, uint32_t index, struct mq_heap_entry entry)
{
    if (index && before(&entry, &heap->entries[(index - 1) / ARITY]))
        sift_up(heap, index, entry);
    else
        sift_down(heap, index, entry);
}

void mq_heap_remove(struct mq_heap *heap, uint32_t index)
{
    MQ_ASSERT(index < heap->n);
    set_index(heap, &heap->entries[index], MQ_HEAP_NONE);
    struct mq_heap_entry last = heap->entries[--heap->n];
    if (index < heap->n)
        reseat(heap, index, last);
}

void mq_heap_update(struct mq_heap *heap, uint32_t index, uint64_t high, uint64_t low)
{
    MQ_ASSERT(index < heap->n);
    reseat(heap, index, (struct mq_heap_entry){high, low, heap->entries[index].item});
}
