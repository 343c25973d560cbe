/* Records as bytes: log/frame.c says how. */
#ifndef MQ_FRAME_H
#define MQ_FRAME_H

#include "base/ring.h"
#include "log/record.h"

struct mq_frame {
    struct mq_ring bytes;
    uint32_t records;
    struct { /* of the last record, if that was a PUSHED: one that is like it is written shorter */
        bool any;
        uint16_t slot;
        int32_t priority;
        uint64_t id;
        int64_t at_ms, run_at_ms;
        uint64_t max_attempts, backoff_ms, max_backoff_ms, ttl_ms, timeout_ms;
        size_t queue_at, queue_n; /* its name in `bytes` */
    } last;
};

void mq_frame_init(struct mq_frame *frame);
void mq_frame_close(struct mq_frame *frame);
void mq_frame_clear(struct mq_frame *frame);
/* What a record takes at most beside its text. */
#define MQ_FRAME_RECORD_MAX 256u

/* Room for a record with this much text. 0, or -1 when there is no memory; the next add then cannot fail. */
int mq_frame_reserve(struct mq_frame *frame, size_t text_n);
void mq_frame_add(struct mq_frame *frame, const struct mq_record *record);
/* Reads the record at the front of `bytes` and moves on; `record` is the one before it in the frame, zeros before the first. False
 * if what stands there is no whole record. Slices borrow. */
bool mq_frame_next(mq_slice *bytes, struct mq_record *record);

#endif
