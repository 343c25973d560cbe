/* Format 1, byte by byte: what was written once must be read for ever. */
#include "base/crc32c.h"
#include "log/frame.h"
#include "log/segment.h"
#include "tests/test.h"

#include <stdio.h>

static void check_hex(mq_slice bytes, const char *wanted)
{
    char hex[2048];
    CHECK(bytes.n * 2 < sizeof hex);
    for (size_t i = 0; i < bytes.n; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bytes.p[i]);
    CHECK_TEXT(hex, wanted);
}

TEST(records_of_format_1)
{
    struct mq_frame frame;
    mq_frame_init(&frame);
    mq_frame_add(&frame, &(struct mq_record){.type = MQ_REC_PUSHED, .slot = 589, .at_ms = 1700000000000, .id = 1613,
                                             .run_at_ms = 1700000000500, .priority = -2, .queue = MQ_SLICE("q"),
                                             .data = MQ_SLICE("{\"a\":1}"), .max_backoff_ms = MQ_DEFAULT_MAX_BACKOFF_MS});
    check_hex(mq_ring_peek(&frame.bytes), "01004d022c0000000068e5cf8b0100004d06000000000000f469e5cf8b010000"
                                   "feffffff0100000071070000007b2261223a317d00000000");
    mq_frame_clear(&frame);
    mq_frame_add(&frame, &(struct mq_record){.type = MQ_REC_ACKED, .slot = 589, .at_ms = 1700000000000, .id = 1613, .keep = true,
                                             .text = MQ_SLICE("42")});
    check_hex(mq_ring_peek(&frame.bytes), "04034d02160000000068e5cf8b0100004d060000000000000200000034320000");
    mq_frame_close(&frame);
}

TEST(batch_of_format_1)
{
    struct mq_frame frame;
    struct mq_record job = {.type = MQ_REC_PUSHED, .slot = 589, .at_ms = 1700000000000, .id = 1613, .run_at_ms = 1700000000500, .queue = MQ_SLICE("q"),
                            .data = MQ_SLICE("1"), .max_backoff_ms = MQ_DEFAULT_MAX_BACKOFF_MS};
    mq_frame_init(&frame);
    mq_frame_add(&frame, &job);
    size_t first_n = mq_ring_used(&frame.bytes);
    job.id += 1024;
    job.data = MQ_SLICE("22");
    mq_frame_add(&frame, &job);
    job.id += 2048;
    mq_frame_add(&frame, &job);
    mq_slice bytes = mq_ring_peek(&frame.bytes);
    check_hex(mq_slice_of(bytes.p + first_n, bytes.n - first_n), "18004d0206000000020000003232000018084d020e0000004d120000000000000200000032320000");
    mq_frame_close(&frame);
}

TEST(header_of_format_1)
{
    char head[MQ_FRAME_HEAD];
    struct mq_frame_head read;
    mq_frame_head_put(&(struct mq_frame_head){.shard = 13, .records = 1, .epoch = 2, .number = 77, .time_ms = 1700000000000,
                                              .body_n = 56, .body_crc = 0x01020304, .chain = 0xA0B0C0D0}, head);
    check_hex(mq_slice_of(head, sizeof head), "4d514631010000000d0000000100000002000000000000004d00000000000000"
                                              "0068e5cf8b0100003800000004030201d0c0b0a00000000000000000f4538113");
    CHECK(mq_frame_head_get(head, &read) && read.number == 77 && read.chain == 0xA0B0C0D0);
}
