#include "base/slab.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <sys/mman.h>

#define SPAN_BYTES ((size_t)64 << 10)
#define FIRST_REGION_BYTES ((size_t)1 << 20)
#define REGION_BYTES ((size_t)2 << 20) /* a huge page, and aligned like one */
#define PAGE_BYTES ((size_t)4096)
#define DEAR_US 1000   /* CPU time to zero a huge page above which the small pages it replaces would have been cheaper */
#define SMALL_FIRST 4u /* regions of small pages after a dear huge page; four times as many after each further one */
#define SMALL_MOST 256u
#define FAST_MS 100    /* a slab that has filled a region in less is to find the next one ready */
#define STRIDE_BYTES ((size_t)256 << 10) /* populated in one call: others map memory in between */
#define WARM_SPANS 8u /* empty spans that keep their pages, so that a queue that breathes does not fault */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older kernels refuse it and fault page by page */
#endif

struct span {
    struct mq_list node; /* in open[class] while it has room, in empty while it has no object */
    void *freed;         /* linked through their first word */
    char *fresh;         /* never given out from here on */
    char *populated;     /* asked of the kernel up to here */
    uint32_t used;
    uint32_t size; /* of its objects */
};

struct mq_region {
    struct mq_list node;
    void *mapped;
    size_t mapped_n;
    char *begin, *end; /* of the spans */
    bool populated;    /* all of it */
    bool huge;         /* a huge page was asked for */
    bool dear;         /* and took long */
};

#if defined(__SANITIZE_ADDRESS__)
#define PASS_THROUGH 1
#else
#define PASS_THROUGH 0
#endif

static inline char *span_end(const struct span *span) { return (char *)span + SPAN_BYTES; }

static inline struct span *span_of(void *object)
{
    return (struct span *)((uintptr_t)object & ~(uintptr_t)(SPAN_BYTES - 1));
}

void mq_slab_init(struct mq_slab *slab)
{
    for (unsigned i = 0; i < sizeof slab->open / sizeof *slab->open; i++)
        mq_list_init(&slab->open[i]);
    mq_list_init(&slab->empty);
    mq_list_init(&slab->regions);
    slab->warm_n = 0;
    slab->region = slab->region_end = NULL;
    slab->region_populated = slab->wants = false;
    slab->next = NULL;
    slab->small_left = slab->small_next = 0;
    slab->grown_ms = 0;
}

static void free_region(struct mq_region *region)
{
    if (region)
        munmap(region->mapped, region->mapped_n);
    mq_free(region);
}

void mq_slab_close(struct mq_slab *slab)
{
    struct mq_list *node;
    while ((node = mq_list_pop(&slab->regions)))
        free_region(mq_list_entry(node, struct mq_region, node));
    free_region(slab->next);
}

/* Asks for a huge page there. Zeroing it at once takes a fifth of what the faults of its 512 small pages do, and fresh memory is
 * the largest part of what a push costs beside the system calls. But where a virtual machine gives free memory back to its host,
 * the host must find all of a huge page anew, which takes five times as long as small pages do that were in use before. So one
 * that was dear is the slab's last for some regions, and for more if the next is dear, too. */
static void make_huge(struct mq_region *region)
{
    region->huge = true;
    madvise(region->begin, REGION_BYTES, MADV_HUGEPAGE);
    int64_t begin_us = mq_clock_read_us(CLOCK_THREAD_CPUTIME_ID);
    *(volatile char *)region->begin = 0;
    region->dear = mq_clock_read_us(CLOCK_THREAD_CPUTIME_ID) - begin_us > DEAR_US;
}

/* Address space for n bytes of spans. */
static struct mq_region *map_region(size_t n, size_t align)
{
    struct mq_region *region = mq_alloc_zero(sizeof *region);
    if (!region)
        return NULL;
    region->mapped_n = n + align;
    region->mapped = mmap(NULL, region->mapped_n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region->mapped == MAP_FAILED) {
        mq_free(region);
        return NULL;
    }
    region->begin = (char *)(((uintptr_t)region->mapped + align - 1) & ~(uintptr_t)(align - 1));
    region->end = region->begin + n;
    return region;
}

struct mq_region *mq_region_make(bool huge)
{
    struct mq_region *region = map_region(REGION_BYTES, REGION_BYTES);
    if (!region)
        return NULL;
    if (huge)
        make_huge(region);
    region->populated = true;
    for (char *at = region->begin; at < region->end && region->populated; at += STRIDE_BYTES)
        region->populated = madvise(at, STRIDE_BYTES, MADV_POPULATE_WRITE) == 0;
    return region;
}

bool mq_slab_wants(const struct mq_slab *slab, bool *huge)
{
    *huge = !slab->small_left;
    return slab->wants;
}

void mq_slab_give(struct mq_slab *slab, struct mq_region *region)
{
    slab->wants = false;
    free_region(slab->next); /* another thread was faster */
    slab->next = region;
}

/* What a region was like says whether the next ones should be huge. */
static void note_price(struct mq_slab *slab, const struct mq_region *region)
{
    if (region->dear) {
        slab->small_next = !slab->small_next ? SMALL_FIRST : slab->small_next < SMALL_MOST ? slab->small_next * 4 : SMALL_MOST;
        slab->small_left = slab->small_next;
    } else if (region->huge) {
        slab->small_next = 0;
    } else if (slab->small_left) {
        slab->small_left--;
    }
}

/* More room for spans. The first region of a slab is small and costs nothing until it is touched. Those of a slab that needs more
 * may be a huge page each; one that needs more soon asks for the next to be made ready by another thread. */
static int add_region(struct mq_slab *slab)
{
    struct mq_region *region = slab->next;
    bool first = mq_list_empty(&slab->regions);
    if (!region) {
        region = first ? map_region(FIRST_REGION_BYTES, SPAN_BYTES) : map_region(REGION_BYTES, REGION_BYTES);
        if (!region)
            return -1;
        if (!first && !slab->small_left)
            make_huge(region);
    }
    note_price(slab, region);
    int64_t now_ms = mq_clock_read_ms(CLOCK_MONOTONIC_COARSE);
    slab->wants = !first && now_ms - slab->grown_ms < FAST_MS;
    slab->grown_ms = now_ms;
    slab->next = NULL;
    mq_list_append(&slab->regions, &region->node);
    slab->region = region->begin;
    slab->region_end = region->end;
    slab->region_populated = region->populated;
    return 0;
}

static struct span *open_span(struct mq_slab *slab, uint32_t size)
{
    struct mq_list *node = mq_list_pop(&slab->empty);
    struct span *span;
    if (node) {
        span = mq_list_entry(node, struct span, node);
        if (span->populated > (char *)span + PAGE_BYTES)
            slab->warm_n--;
    } else {
        if (slab->region == slab->region_end && add_region(slab) < 0)
            return NULL;
        span = (struct span *)(void *)slab->region;
        slab->region += SPAN_BYTES;
        span->populated = slab->region_populated ? span_end(span) : (char *)span + PAGE_BYTES;
    }
    span->freed = NULL;
    span->fresh = (char *)span + (sizeof *span + MQ_SLAB_STEP - 1) / MQ_SLAB_STEP * MQ_SLAB_STEP;
    span->used = 0;
    span->size = size;
    mq_list_init(&span->node);
    mq_list_append(&slab->open[size / MQ_SLAB_STEP], &span->node);
    return span;
}

/* Twice as many pages each time: a class that is hardly used stays small. */
static void populate(struct span *span)
{
    size_t have = (size_t)(span->populated - (char *)span), more = have;
    if (more > SPAN_BYTES - have)
        more = SPAN_BYTES - have;
    madvise(span->populated, more, MADV_POPULATE_WRITE);
    span->populated += more;
}

static void *take(struct span *span)
{
    void *object = span->freed;
    if (object) {
        span->freed = *(void **)object;
    } else {
        object = span->fresh;
        span->fresh += span->size;
        if (MQ_UNLIKELY(span->fresh > span->populated))
            populate(span);
    }
    span->used++;
    if (!span->freed && (size_t)(span_end(span) - span->fresh) < span->size)
        mq_list_remove(&span->node); /* full */
    return object;
}

void *mq_slab_get(struct mq_slab *slab, size_t size)
{
    if (PASS_THROUGH || size > MQ_SLAB_MAX)
        return mq_alloc(size);
    uint32_t rounded = (uint32_t)mq_slab_bytes(size);
    struct mq_list *node = mq_list_first(&slab->open[rounded / MQ_SLAB_STEP]);
    struct span *span = node ? mq_list_entry(node, struct span, node) : open_span(slab, rounded);
    return span ? take(span) : NULL;
}

static void close_span(struct mq_slab *slab, struct span *span)
{
    mq_list_remove(&span->node);
    if (slab->warm_n < WARM_SPANS) {
        slab->warm_n += span->populated > (char *)span + PAGE_BYTES;
    } else if (span->populated > (char *)span + PAGE_BYTES) {
        madvise((char *)span + PAGE_BYTES, SPAN_BYTES - PAGE_BYTES, MADV_DONTNEED);
        span->populated = (char *)span + PAGE_BYTES;
    }
    if (span->populated > (char *)span + PAGE_BYTES) { /* warm ones first */
        mq_list_prepend(&slab->empty, &span->node);
    } else {
        mq_list_append(&slab->empty, &span->node);
    }
}

void mq_slab_put(struct mq_slab *slab, void *object, size_t size)
{
    if (PASS_THROUGH || size > MQ_SLAB_MAX) {
        mq_free(object);
        return;
    }
    struct span *span = span_of(object);
    MQ_ASSERT(span->size == mq_slab_bytes(size));
    *(void **)object = span->freed;
    span->freed = object;
    if (--span->used == 0)
        close_span(slab, span);
    else if (mq_list_empty(&span->node))
        mq_list_append(&slab->open[span->size / MQ_SLAB_STEP], &span->node);
}
