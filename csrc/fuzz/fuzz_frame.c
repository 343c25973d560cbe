/* Any bytes as a frame of the log: what is read from it can be written again and read back the same. */
#include "log/frame.h"
#include "tests/test.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    struct mq_record record = {0};
    struct mq_frame frame, twin;
    test_aborts = true;
    if (size)
        memcpy(copy, data, size);
    mq_slice bytes = mq_slice_of(copy, size);
    mq_frame_init(&frame);
    while (mq_frame_next(&bytes, &record)) {
        CHECK(bytes.n < size);
        mq_frame_add(&frame, &record);
        mq_slice written = mq_ring_peek(&frame.bytes), first = written;
        struct mq_record again = {0};
        CHECK(mq_frame_next(&written, &again) && written.n == 0);
        mq_frame_init(&twin);
        mq_frame_add(&twin, &again);
        mq_slice second = mq_ring_peek(&twin.bytes);
        CHECK(mq_slice_eq(first, second));
        mq_frame_close(&twin);
        mq_frame_clear(&frame);
    }
    mq_frame_close(&frame);
    free(copy);
    return 0;
}
