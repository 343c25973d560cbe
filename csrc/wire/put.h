/* Writing answers: for wire/reply*.c only. Everything writes into room that was reserved, and returns where it ended. */
#ifndef MQ_PUT_H
#define MQ_PUT_H

#include "base/check.h"
#include "base/quote.h"
#include "wire/reply.h"

#include <string.h>

static const char mq_digit_pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                       "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                       "8081828384858687888990919293949596979899";

static inline char *put_bytes(char *o, const char *bytes, size_t n)
{
    memcpy(o, bytes, n);
    return o + n;
}

#define PUT(o, literal) put_bytes((o), (literal), sizeof(literal) - 1)

static inline char *put_slice(char *o, mq_slice s)
{
    if (s.n)
        memcpy(o, s.p, s.n);
    return o + s.n;
}

static inline char *put_number(char *o, uint64_t n)
{
    char digits[20];
    char *d = digits + sizeof digits;
    if (n < 10) {
        *o = (char)('0' + n);
        return o + 1;
    }
    while (n >= 100) {
        d -= 2;
        memcpy(d, mq_digit_pairs + 2 * (n % 100), 2);
        n /= 100;
    }
    if (n >= 10) {
        d -= 2;
        memcpy(d, mq_digit_pairs + 2 * n, 2);
    } else {
        *--d = (char)('0' + n);
    }
    size_t size = (size_t)(digits + sizeof digits - d);
    memcpy(o, d, size);
    return o + size;
}

/* What clients are shown never passes 2^53 - 1. */
static inline char *put_shown(char *o, uint64_t n) { return put_number(o, n > MQ_SHOWN_MAX ? MQ_SHOWN_MAX : n); }

static inline char *put_time(char *o, int64_t ms) { return put_shown(o, ms < 0 ? 0 : (uint64_t)ms); }

static inline char *put_int(char *o, int32_t n)
{
    if (n < 0)
        *o++ = '-';
    return put_number(o, n < 0 ? (uint64_t)(-(int64_t)n) : (uint64_t)n);
}

static inline char *put_text(char *o, const char *text) { return put_slice(o, mq_slice_of(text, strlen(text))); }

static inline char *put_flag(char *o, bool flag) { return flag ? PUT(o, "true") : PUT(o, "false"); }

static inline char *put_time_or_null(char *o, int64_t ms) { return ms < 0 ? PUT(o, "null") : put_time(o, ms); }

static inline char *put_limit(char *o, uint64_t limit) { return limit ? put_shown(o, limit) : PUT(o, "null"); }

/* Room for n bytes and the end of an answer; NULL when there is no memory: the reply has failed. */
char *mq_reply_room(struct mq_reply *reply, size_t n);

/* What was written up to here counts. */
static inline void mq_reply_commit(struct mq_reply *reply, const char *o)
{
    mq_ring_commit(reply->out, (size_t)(o - (reply->out->mem + reply->out->tail)));
}

/* The reqId, the closing brace, the newline. */
void mq_reply_finish(struct mq_reply *reply, char *o);

/* A job as an object, and the room it needs. */
char *mq_put_job(char *o, const struct mq_job_view *job);
size_t mq_job_room(const struct mq_job_view *job);

/* "error" and "code" of a refusal; the error's own text if `why` is empty. */
char *mq_put_error(char *o, enum mq_error error, mq_slice why);
mq_slice mq_error_text(enum mq_error error, mq_slice why);

#endif
