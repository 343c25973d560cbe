/* Memory: the allocator's four calls under our names, and a pool of equal objects.
 *
 * All heap memory of the library goes through here, so that the out-of-memory tests have one place to fail. Nothing
 * here aborts: every caller handles NULL. A pool keeps freed objects for reuse, at most `keep` of them; it has no lock
 * of its own (a shard's pools are guarded by the shard's mutex).
 */
#ifndef MQ_MEM_H
#define MQ_MEM_H

#include <stddef.h>

/* At least `size` bytes, aligned for any object; NULL when there is no memory. */
void *mq_alloc(size_t size);
/* As mq_alloc, zeroed. */
void *mq_alloc_zero(size_t size);
/* As mq_alloc_zero, aligned to 64 bytes: for what threads share. */
void *mq_alloc_lines(size_t size);
/* Grows or shrinks; on NULL the old block is untouched and still owned by the caller. */
void *mq_resize(void *block, size_t size);
void mq_free(void *block);

struct mq_pool {
    size_t size; /* bytes of an object */
    size_t keep; /* spare objects kept at most */
    size_t spare_n;
    void *spare; /* linked through their first word */
};

void mq_pool_init(struct mq_pool *pool, size_t size, size_t keep);
void mq_pool_close(struct mq_pool *pool);
/* Not zeroed; NULL when there is no memory. */
void *mq_pool_get(struct mq_pool *pool);
/* Makes the next `n` gets succeed without the allocator; 0, or -1 when there is no memory. */
int mq_pool_reserve(struct mq_pool *pool, size_t n);
void mq_pool_put(struct mq_pool *pool, void *object);

#endif
