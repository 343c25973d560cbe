#include "log/frame.h"

#include "base/check.h"

/* A record: u32 length of what follows; u8 type, u8 flags, u16 slot; then numbers, then texts with u32 lengths. All
 * numbers of all types stand in one order, so that a reader needs no table; a record ends where its writer's fields end. */
#define FIXED_NUMBERS 20u
#define TEXTS 8u
#define HEAD 8u
#define FIXED (HEAD + FIXED_NUMBERS * 8u + TEXTS * 4u)

_Static_assert(FIXED <= MQ_FRAME_RECORD_MAX, "");

enum { FLAG_LOST = 1, FLAG_HAS_KEY = 2, FLAG_PAUSED = 4, FLAG_HAS_TEXT = 8, FLAG_UNSENT = 16, FLAG_KEEP = 32, FLAG_DROPPED = 64 };

void mq_frame_init(struct mq_frame *frame)
{
    mq_ring_init(&frame->bytes);
    frame->records = 0;
}

void mq_frame_close(struct mq_frame *frame) { mq_ring_close(&frame->bytes); }

void mq_frame_clear(struct mq_frame *frame)
{
    mq_ring_consume(&frame->bytes, mq_ring_used(&frame->bytes));
    frame->records = 0;
}

int mq_frame_reserve(struct mq_frame *frame, size_t text_n)
{
    return mq_ring_reserve(&frame->bytes, FIXED + text_n) ? 0 : -1;
}

static inline char *put64(char *o, uint64_t v)
{
    memcpy(o, &v, 8);
    return o + 8;
}

static inline char *put32(char *o, uint32_t v)
{
    memcpy(o, &v, 4);
    return o + 4;
}

static char *put_text(char *o, mq_slice text)
{
    o = put32(o, (uint32_t)text.n);
    if (text.n)
        memcpy(o, text.p, text.n);
    return o + text.n;
}

void mq_frame_add(struct mq_frame *frame, const struct mq_record *r)
{
    size_t size = FIXED + r->queue.n + r->data.n + r->key.n + r->text.n + r->parents.n +
                  r->name.n + r->schedule.n + r->timezone.n;
    char *start = mq_ring_reserve(&frame->bytes, size), *o = start;
    MQ_ASSERT(start); /* reserved by whoever decided */
    unsigned flags = (r->lost ? FLAG_LOST : 0u) | (r->has_key ? FLAG_HAS_KEY : 0u) | (r->paused ? FLAG_PAUSED : 0u) |
                     (r->text.p ? FLAG_HAS_TEXT : 0u) | (r->unsent ? FLAG_UNSENT : 0u) | (r->keep ? FLAG_KEEP : 0u) |
                     (r->dropped ? FLAG_DROPPED : 0u);
    o = put32(o, (uint32_t)(size - 4));
    *o++ = (char)r->type;
    *o++ = (char)flags;
    *o++ = (char)(r->slot & 0xFF);
    *o++ = (char)(r->slot >> 8);
    o = put64(o, r->id);
    o = put64(o, (uint64_t)r->at_ms);
    o = put64(o, (uint64_t)r->run_at_ms);
    o = put64(o, (uint64_t)(int64_t)r->priority);
    o = put64(o, r->reason | (uint64_t)r->skip_overlap << 8 | (uint64_t)r->skip_misfire << 9);
    o = put64(o, r->token);
    o = put64(o, r->lease_ms);
    o = put64(o, r->max_attempts);
    o = put64(o, r->backoff_ms);
    o = put64(o, r->max_backoff_ms);
    o = put64(o, r->ttl_ms);
    o = put64(o, r->timeout_ms);
    o = put64(o, r->rate_limit);
    o = put64(o, r->rate_duration_ms);
    o = put64(o, r->concurrency);
    o = put64(o, r->progress);
    o = put64(o, r->parent);
    o = put64(o, r->delay_ms);
    o = put64(o, (uint64_t)r->last_run_ms);
    o = put64(o, r->cron_job);
    o = put_text(o, r->queue);
    o = put_text(o, r->data);
    o = put_text(o, r->key);
    o = put_text(o, r->text);
    o = put_text(o, r->parents);
    o = put_text(o, r->name);
    o = put_text(o, r->schedule);
    o = put_text(o, r->timezone);
    MQ_ASSERT((size_t)(o - start) == size);
    mq_ring_commit(&frame->bytes, size);
    frame->records++;
}

static inline uint64_t get64(const char **p)
{
    uint64_t v;
    memcpy(&v, *p, 8);
    *p += 8;
    return v;
}

static bool get_text(const char **p, const char *end, mq_slice *text)
{
    uint32_t n;
    if (end - *p < 4)
        return false;
    memcpy(&n, *p, 4);
    *p += 4;
    if ((size_t)(end - *p) < n)
        return false;
    *text = mq_slice_of(*p, n);
    *p += n;
    return true;
}

bool mq_frame_next(mq_slice *bytes, struct mq_record *r)
{
    uint32_t size;
    if (bytes->n < 4)
        return false;
    memcpy(&size, bytes->p, 4);
    if (size < FIXED - 4 || size > bytes->n - 4)
        return false;
    const char *p = bytes->p + 4, *end = p + size;
    unsigned flags = (unsigned char)p[1];
    *r = (struct mq_record){
        .type = (uint8_t)p[0],
        .slot = (uint16_t)((unsigned char)p[2] | (unsigned char)p[3] << 8),
        .lost = flags & FLAG_LOST,
        .has_key = flags & FLAG_HAS_KEY,
        .paused = flags & FLAG_PAUSED,
        .unsent = flags & FLAG_UNSENT,
        .keep = flags & FLAG_KEEP,
        .dropped = flags & FLAG_DROPPED,
    };
    p += 4;
    r->id = get64(&p);
    r->at_ms = (int64_t)get64(&p);
    r->run_at_ms = (int64_t)get64(&p);
    r->priority = (int32_t)get64(&p);
    uint64_t reason = get64(&p);
    r->reason = (uint8_t)reason;
    r->skip_overlap = reason >> 8 & 1;
    r->skip_misfire = reason >> 9 & 1;
    r->token = get64(&p);
    r->lease_ms = get64(&p);
    r->max_attempts = get64(&p);
    r->backoff_ms = get64(&p);
    r->max_backoff_ms = get64(&p);
    r->ttl_ms = get64(&p);
    r->timeout_ms = get64(&p);
    r->rate_limit = get64(&p);
    r->rate_duration_ms = get64(&p);
    r->concurrency = get64(&p);
    r->progress = (uint8_t)get64(&p);
    r->parent = get64(&p);
    r->delay_ms = get64(&p);
    r->last_run_ms = (int64_t)get64(&p);
    r->cron_job = get64(&p);
    if (!get_text(&p, end, &r->queue) || !get_text(&p, end, &r->data) || !get_text(&p, end, &r->key) ||
        !get_text(&p, end, &r->text) || !get_text(&p, end, &r->parents) || !get_text(&p, end, &r->name) || !get_text(&p, end, &r->schedule) ||
        !get_text(&p, end, &r->timezone))
        return false;
    if (!(flags & FLAG_HAS_TEXT))
        r->text = (mq_slice){NULL, 0};
    *bytes = mq_slice_of(end, bytes->n - 4 - size);
    return true;
}
