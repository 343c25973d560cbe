/* Records as bytes.
 *
 * A record: u8 type, u8 flags, u16 slot, u32 length of the body, the body, zeros up to a multiple of 8. All numbers are
 * little-endian. The body's fields stand in the order of their type's row below; a field with a condition is there only if that
 * bit of the flags is set. A reader takes fields that the writer did not know yet for zero, and passes over those that it does not
 * know itself: fields are only ever appended to a row.
 */
#include "log/frame.h"

#include "base/check.h"

#include <stddef.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they are");

#define HEAD 8u
#define ID_STEP 1024u /* from one id of a slot to the next */
#define FIELDS_MAX 40u

/* A PUSHED as the one right before it in the frame, but for id and data, and without key and parents. Only its bytes are so: who reads
 * the frame gets a PUSHED. */
#define PUSHED_MORE 24u

enum kind { END, U64, I64, I32, U32, U8, TEXT };

struct field {
    uint8_t kind;      /* enum kind */
    uint8_t condition; /* a bit of the flags; 0 = always there */
    uint16_t offset;   /* in struct mq_record */
};

/* The bits of the flags byte; which of them a type has is in its row. */
enum {
    HAS_KEY = 1, HAS_OPTIONS = 2, HAS_PARENTS = 4, PAUSED = 8, SKIP_OVERLAP = 16, SKIP_MISFIRE = 32, /* PUSHED, CRON_SET */
    TTL_RUNS = 64, PULLED = 128,                                                                                    /* STATE_JOB */
    HAS_ID = 8,                                                                                                     /* PUSHED_MORE */
    HAS_TEXT = 1, KEEP = 2, LOST = 2, UNSENT = 4, DROPPED = 2,                                        /* others */
};

#define AT(member) offsetof(struct mq_record, member)
#define BASE {I64, 0, AT(at_ms)}, {U64, 0, AT(id)}
#define OPTIONS                                                                                                         \
    {U64, HAS_OPTIONS, AT(max_attempts)}, {U64, HAS_OPTIONS, AT(backoff_ms)}, {U64, HAS_OPTIONS, AT(max_backoff_ms)},   \
        {U64, HAS_OPTIONS, AT(ttl_ms)}, {U64, HAS_OPTIONS, AT(timeout_ms)}
#define ERROR_TEXT {TEXT, HAS_TEXT, AT(text)}

static const struct field rows[MQ_REC_TYPES][FIELDS_MAX] = {
    [MQ_REC_PUSHED] = {BASE, {I64, 0, AT(run_at_ms)}, {I32, 0, AT(priority)}, {TEXT, 0, AT(queue)}, {TEXT, 0, AT(data)},
                       {TEXT, HAS_KEY, AT(key)}, OPTIONS, {TEXT, HAS_PARENTS, AT(parents)}},
    [MQ_REC_LEASED] = {BASE, {U64, 0, AT(token)}, {U64, 0, AT(lease_ms)}},
    [MQ_REC_EXTENDED] = {BASE, {U64, 0, AT(lease_ms)}},
    [MQ_REC_ACKED] = {BASE, ERROR_TEXT},
    [MQ_REC_RETRIED] = {BASE, {I64, 0, AT(run_at_ms)}, {U8, 0, AT(reason)}, ERROR_TEXT},
    [MQ_REC_DEAD] = {BASE, {U8, 0, AT(reason)}, ERROR_TEXT},
    [MQ_REC_EXPIRED] = {BASE},
    [MQ_REC_RELEASED] = {BASE, {I64, 0, AT(run_at_ms)}},
    [MQ_REC_CANCELLED] = {BASE},
    [MQ_REC_PROGRESS] = {BASE, {U8, 0, AT(progress)}, ERROR_TEXT},
    [MQ_REC_QUEUE_SET] = {{I64, 0, AT(at_ms)}, {TEXT, 0, AT(queue)}, {U64, 0, AT(rate_limit)}, {U64, 0, AT(rate_duration_ms)},
                          {U64, 0, AT(concurrency)}, {U64, 0, AT(length)}},
    [MQ_REC_CRON_SET] = {{I64, 0, AT(at_ms)}, {I64, 0, AT(run_at_ms)}, {I32, 0, AT(priority)}, {TEXT, 0, AT(name)},
                         {TEXT, 0, AT(queue)}, {TEXT, 0, AT(schedule)}, {TEXT, 0, AT(timezone)}, {TEXT, 0, AT(data)},
                         {U64, 0, AT(delay_ms)}, {TEXT, HAS_KEY, AT(key)}, OPTIONS, {TEXT, HAS_PARENTS, AT(parents)}},
    [MQ_REC_CRON_DEL] = {{I64, 0, AT(at_ms)}, {TEXT, 0, AT(name)}},
    [MQ_REC_CRON_FIRED] = {{I64, 0, AT(at_ms)}, {I64, 0, AT(run_at_ms)}, {I64, 0, AT(last_run_ms)}, {U64, 0, AT(cron_job)},
                           {TEXT, 0, AT(name)}},
    [MQ_REC_DEP_DONE] = {BASE, {U64, 0, AT(parent)}},
    [MQ_REC_DLQ_RETRIED] = {BASE, {I64, 0, AT(run_at_ms)}},
    [MQ_REC_DLQ_PURGED] = {BASE},
    [MQ_REC_TRIMMED] = {BASE},
    [MQ_REC_QUEUE_GONE] = {{I64, 0, AT(at_ms)}, {TEXT, 0, AT(queue)}},
    [MQ_REC_STATE_SLOT] = {{U64, 0, AT(id)}, {TEXT, 0, AT(parents)}},
    [MQ_REC_STATE_QUEUE] = {{TEXT, 0, AT(queue)}, {U64, 0, AT(rate_limit)}, {U64, 0, AT(rate_duration_ms)}, {U64, 0, AT(concurrency)},
                            {U64, 0, AT(completed)}, {U64, 0, AT(length)}},
    [MQ_REC_STATE_JOB] = {BASE, {I64, 0, AT(run_at_ms)}, {I32, 0, AT(priority)}, {TEXT, 0, AT(queue)}, {TEXT, 0, AT(data)},
                          {TEXT, HAS_KEY, AT(key)}, OPTIONS, {TEXT, HAS_PARENTS, AT(parents)}, {TEXT, HAS_PARENTS, AT(outcomes)},
                          {U8, 0, AT(state)}, {U8, 0, AT(reason)}, {U8, 0, AT(progress)}, {U32, 0, AT(attempts)},
                          {U32, 0, AT(deliveries)}, {U32, 0, AT(losses)}, {I64, 0, AT(started_ms)}, {I64, 0, AT(ended_ms)},
                          {U64, 0, AT(token)}, {U64, 0, AT(lease_ms)}, {I64, 0, AT(lease_until_ms)}, {I64, 0, AT(timeout_at_ms)},
                          {TEXT, 0, AT(error)}, {TEXT, 0, AT(message)}, {TEXT, 0, AT(result)}, {TEXT, 0, AT(history)}},
    [MQ_REC_STATE_TOTALS] = {{TEXT, 0, AT(parents)}},
    [PUSHED_MORE] = {{U64, HAS_ID, AT(id)}, {TEXT, 0, AT(data)}},
};

static unsigned flags_of(const struct mq_record *r)
{
    switch ((enum mq_record_type)r->type) {
    case MQ_REC_PUSHED: case MQ_REC_CRON_SET: case MQ_REC_STATE_JOB:
        return (r->ttl_runs ? TTL_RUNS : 0u) | (r->pulled ? PULLED : 0u) | (r->has_key ? HAS_KEY : 0u) | (mq_record_has_options(r) ? HAS_OPTIONS : 0u) | (r->parents.n ? HAS_PARENTS : 0u) |
               (r->paused ? PAUSED : 0u) | (r->skip_overlap ? SKIP_OVERLAP : 0u) | (r->skip_misfire ? SKIP_MISFIRE : 0u);
    case MQ_REC_QUEUE_SET: case MQ_REC_STATE_QUEUE:
        return r->paused ? PAUSED : 0u;
    case MQ_REC_ACKED:
        return (r->text.p ? HAS_TEXT : 0u) | (r->keep ? KEEP : 0u);
    case MQ_REC_RELEASED:
        return (r->lost ? LOST : 0u) | (r->unsent ? UNSENT : 0u);
    case MQ_REC_DEP_DONE:
        return r->dropped ? DROPPED : 0u;
    case MQ_REC_RETRIED: case MQ_REC_DEAD: case MQ_REC_PROGRESS:
        return r->text.p ? HAS_TEXT : 0u;
    default:
        return 0;
    }
}

static void set_flags(struct mq_record *r, unsigned flags)
{
    switch ((enum mq_record_type)r->type) {
    case MQ_REC_PUSHED: case MQ_REC_CRON_SET: case MQ_REC_STATE_JOB:
        r->ttl_runs = flags & TTL_RUNS;
        r->pulled = flags & PULLED;
        r->has_key = flags & HAS_KEY;
        r->paused = flags & PAUSED;
        r->skip_overlap = flags & SKIP_OVERLAP;
        r->skip_misfire = flags & SKIP_MISFIRE;
        if (!(flags & HAS_OPTIONS))
            r->max_backoff_ms = MQ_DEFAULT_MAX_BACKOFF_MS;
        break;
    case MQ_REC_QUEUE_SET: case MQ_REC_STATE_QUEUE:
        r->paused = flags & PAUSED;
        break;
    case MQ_REC_ACKED:
        r->keep = flags & KEEP;
        break;
    case MQ_REC_RELEASED:
        r->lost = flags & LOST;
        r->unsent = flags & UNSENT;
        break;
    case MQ_REC_DEP_DONE:
        r->dropped = flags & DROPPED;
        break;
    default:
        break;
    }
}

void mq_frame_init(struct mq_frame *frame)
{
    mq_ring_init(&frame->bytes);
    frame->records = 0;
    frame->last.any = false;
}

void mq_frame_close(struct mq_frame *frame) { mq_ring_close(&frame->bytes); }

void mq_frame_clear(struct mq_frame *frame)
{
    mq_ring_consume(&frame->bytes, mq_ring_used(&frame->bytes));
    frame->records = 0;
    frame->last.any = false;
}

int mq_frame_reserve(struct mq_frame *frame, size_t text_n)
{
    return mq_ring_reserve(&frame->bytes, MQ_FRAME_RECORD_MAX + text_n) ? 0 : -1;
}

/* Bytes of a number of this kind; 0 = it is no number. */
static unsigned width(enum kind kind) { return kind == U64 || kind == I64 ? 8 : kind == I32 || kind == U32 ? 4 : kind == U8 ? 1 : 0; }

static char *put_field(char *o, const struct field *field, const struct mq_record *r)
{
    const char *member = (const char *)r + field->offset;
    unsigned n = width(field->kind);
    if (n) {
        memcpy(o, member, n);
        return o + n;
    }
    const mq_slice *text = (const mq_slice *)(const void *)member;
    uint32_t size = (uint32_t)text->n;
    memcpy(o, &size, sizeof size);
    if (size)
        memcpy(o + sizeof size, text->p, size);
    return o + sizeof size + size;
}

/* What a batch has in common is written once. */
static bool is_more(const struct mq_frame *frame, const struct mq_record *r)
{
    const __typeof__(frame->last) *last = &frame->last;
    return last->any && r->type == MQ_REC_PUSHED && !r->has_key && !r->parents.n && r->at_ms == last->at_ms && r->run_at_ms == last->run_at_ms &&
           r->slot == last->slot && r->priority == last->priority && r->max_attempts == last->max_attempts &&
           r->backoff_ms == last->backoff_ms && r->max_backoff_ms == last->max_backoff_ms && r->ttl_ms == last->ttl_ms &&
           r->timeout_ms == last->timeout_ms && mq_slice_eq(r->queue, mq_slice_of(mq_ring_peek(&frame->bytes).p + last->queue_at, last->queue_n));
}

/* Where the name of the queue stands in a PUSHED: behind the fields of fixed width before it, and its own length. */
#define QUEUE_AT (HEAD + 8 + 8 + 8 + 4 + 4)

static void remember(struct mq_frame *frame, const struct mq_record *r)
{
    if (r->type != MQ_REC_PUSHED) {
        frame->last.any = false;
        return;
    }
    frame->last = (__typeof__(frame->last)){
        .any = true, .slot = r->slot, .priority = r->priority, .at_ms = r->at_ms, .run_at_ms = r->run_at_ms, .max_attempts = r->max_attempts,
        .backoff_ms = r->backoff_ms, .max_backoff_ms = r->max_backoff_ms, .ttl_ms = r->ttl_ms, .timeout_ms = r->timeout_ms,
        .queue_at = mq_ring_used(&frame->bytes) + QUEUE_AT, .queue_n = r->queue.n};
}

void mq_frame_add(struct mq_frame *frame, const struct mq_record *r)
{
    uint8_t type = is_more(frame, r) ? PUSHED_MORE : r->type;
    unsigned flags = type != PUSHED_MORE ? flags_of(r) : r->id == frame->last.id + ID_STEP ? 0u : HAS_ID;
    size_t text_n = r->queue.n + r->data.n + r->key.n + r->text.n + r->parents.n + r->name.n + r->schedule.n + r->timezone.n +
                    r->error.n + r->message.n + r->result.n + r->outcomes.n + r->history.n;
    char *start = mq_ring_reserve(&frame->bytes, MQ_FRAME_RECORD_MAX + text_n), *o = start + HEAD;
    MQ_ASSERT(start && type < MQ_REC_TYPES); /* reserved by whoever decided */
    if (type != PUSHED_MORE)
        remember(frame, r);
    frame->last.id = r->id;
    for (const struct field *field = rows[type]; field->kind != END; field++)
        if (!field->condition || flags & field->condition)
            o = put_field(o, field, r);
    uint32_t size = (uint32_t)(o - start - HEAD);
    start[0] = (char)type;
    start[1] = (char)flags;
    memcpy(start + 2, &r->slot, sizeof r->slot);
    memcpy(start + 4, &size, sizeof size);
    for (; (o - start) % 8; o++)
        *o = 0;
    mq_ring_commit(&frame->bytes, (size_t)(o - start));
    frame->records++;
}

/* Reads a field; false if it does not stand there whole. */
static bool get_field(const char **p, const char *end, const struct field *field, struct mq_record *r)
{
    char *member = (char *)r + field->offset;
    unsigned n = width(field->kind);
    if ((size_t)(end - *p) < (n ? n : sizeof(uint32_t)))
        return false;
    if (n) {
        memcpy(member, *p, n);
        *p += n;
        return true;
    }
    uint32_t size;
    memcpy(&size, *p, sizeof size);
    *p += sizeof size;
    if ((size_t)(end - *p) < size)
        return false;
    *(mq_slice *)(void *)member = mq_slice_of(*p, size);
    *p += size;
    return true;
}

bool mq_frame_next(mq_slice *bytes, struct mq_record *r)
{
    uint32_t size;
    if (bytes->n < HEAD || (unsigned char)bytes->p[0] >= MQ_REC_TYPES)
        return false;
    memcpy(&size, bytes->p + 4, sizeof size);
    size_t whole = ((size_t)HEAD + size + 7) / 8 * 8;
    if (whole > bytes->n || rows[(unsigned char)bytes->p[0]][0].kind == END)
        return false;
    uint8_t type = (uint8_t)bytes->p[0];
    unsigned flags = (unsigned char)bytes->p[1];
    const char *p = bytes->p + HEAD, *end = p + size;
    if (type == PUSHED_MORE) {
        if (r->type != MQ_REC_PUSHED)
            return false;
        r->id += ID_STEP;
        r->has_key = false;
        r->key = r->parents = r->data = (mq_slice){NULL, 0};
    } else {
        *r = (struct mq_record){.type = type};
        set_flags(r, flags);
    }
    memcpy(&r->slot, bytes->p + 2, sizeof r->slot);
    for (const struct field *field = rows[type]; field->kind != END && p < end; field++)
        if ((!field->condition || flags & field->condition) && !get_field(&p, end, field, r))
            return false;
    *bytes = mq_slice_of(bytes->p + whole, bytes->n - whole);
    return true;
}
