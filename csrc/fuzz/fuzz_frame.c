/* Any bytes as a frame of the log: what is read from it can be written again and read back the same. */
#include "log/frame.h"
#include "tests/test.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct mq_record *a, const struct mq_record *b)
{
    return a->type == b->type && a->reason == b->reason && a->slot == b->slot && a->id == b->id && a->at_ms == b->at_ms &&
           a->run_at_ms == b->run_at_ms && a->priority == b->priority && a->token == b->token && a->lease_ms == b->lease_ms &&
           a->max_attempts == b->max_attempts && a->backoff_ms == b->backoff_ms && a->max_backoff_ms == b->max_backoff_ms &&
           a->ttl_ms == b->ttl_ms && a->timeout_ms == b->timeout_ms && a->lost == b->lost && a->unsent == b->unsent &&
           a->has_key == b->has_key && a->paused == b->paused && mq_slice_eq(a->queue, b->queue) &&
           mq_slice_eq(a->data, b->data) && mq_slice_eq(a->key, b->key) && mq_slice_eq(a->text, b->text) && !a->text.p == !b->text.p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    struct mq_record record, again;
    struct mq_frame frame;
    test_aborts = true;
    if (size)
        memcpy(copy, data, size);
    mq_slice bytes = mq_slice_of(copy, size);
    mq_frame_init(&frame);
    while (mq_frame_next(&bytes, &record)) {
        CHECK(bytes.n < size);
        CHECK_INT(mq_frame_reserve(&frame, record.queue.n + record.data.n + record.key.n + record.text.n), 0);
        mq_frame_add(&frame, &record);
        mq_slice written = mq_ring_peek(&frame.bytes);
        CHECK(mq_frame_next(&written, &again) && written.n == 0 && same(&record, &again));
        mq_frame_clear(&frame);
    }
    mq_frame_close(&frame);
    free(copy);
    return 0;
}
