#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void *mq_alloc(size_t size) { return malloc(size); }

void *mq_alloc_zero(size_t size) { return calloc(1, size); }

void *mq_alloc_lines(size_t size)
{
    void *block = aligned_alloc(64, (size + 63) / 64 * 64);
    if (block)
        memset(block, 0, size);
    return block;
}

void *mq_resize(void *block, size_t size) { return realloc(block, size); }

void mq_free(void *block) { free(block); }

void mq_pool_init(struct mq_pool *pool, size_t size, size_t keep)
{
    *pool = (struct mq_pool){.size = size < sizeof(void *) ? sizeof(void *) : size, .keep = keep};
}

void mq_pool_close(struct mq_pool *pool)
{
    while (pool->spare) {
        void *next = *(void **)pool->spare;
        mq_free(pool->spare);
        pool->spare = next;
    }
    pool->spare_n = 0;
}

void *mq_pool_get(struct mq_pool *pool)
{
    void *object = pool->spare;
    if (!object)
        return mq_alloc(pool->size);
    pool->spare = *(void **)object;
    pool->spare_n--;
    return object;
}

int mq_pool_reserve(struct mq_pool *pool, size_t n)
{
    while (pool->spare_n < n) {
        void *object = mq_alloc(pool->size);
        if (!object)
            return -1;
        *(void **)object = pool->spare;
        pool->spare = object;
        pool->spare_n++;
    }
    return 0;
}

void mq_pool_put(struct mq_pool *pool, void *object)
{
    if (pool->spare_n >= pool->keep) {
        mq_free(object);
        return;
    }
    *(void **)object = pool->spare;
    pool->spare = object;
    pool->spare_n++;
}
