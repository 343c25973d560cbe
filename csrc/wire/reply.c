#include "wire/reply.h"

#include "base/check.h"
#include "base/quote.h"

static const char *const digit_pairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                       "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                       "8081828384858687888990919293949596979899";

struct error_row {
    const char *code, *text;
    bool retryable;
};

static const struct error_row errors[] = {
#define MQ_ERROR(id, number, code, text, status, retryable) [number] = {code, text, retryable},
#include "errors.def"
#undef MQ_ERROR
};

/* --- writing into room that is already reserved --- */

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
        memcpy(d, digit_pairs + 2 * (n % 100), 2);
        n /= 100;
    }
    if (n >= 10) {
        d -= 2;
        memcpy(d, digit_pairs + 2 * n, 2);
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

static inline char *put_flag(char *o, bool flag) { return flag ? PUT(o, "true") : PUT(o, "false"); }

/* --- room --- */

#define END_ROOM 160u /* ,"reqId":"..."} and a newline: what every reply needs at its end */

static inline char *room(struct mq_reply *reply, size_t n)
{
    char *o = reply->failed ? NULL : mq_ring_reserve(reply->out, n + END_ROOM);
    if (MQ_UNLIKELY(!o) && !reply->failed) {
        reply->failed = true;
        mq_ring_truncate(reply->out, reply->start);
    }
    return o;
}

static inline void commit(struct mq_reply *reply, const char *o)
{
    mq_ring_commit(reply->out, (size_t)(o - (reply->out->mem + reply->out->tail)));
}

static inline char *put_end(const struct mq_reply *reply, char *o)
{
    if (reply->req_id.p) {
        o = PUT(o, ",\"reqId\":");
        o = put_slice(o, reply->req_id);
    }
    return PUT(o, "}\n");
}

static inline void finish(struct mq_reply *reply, char *o) { commit(reply, put_end(reply, o)); }

void mq_reply_init(struct mq_reply *reply, struct mq_ring *out)
{
    reply->out = out;
    reply->req_id = (mq_slice){NULL, 0};
    reply->start = mq_ring_used(out);
    reply->listed = 0;
    reply->failed = false;
}

/* --- whole answers --- */

void mq_reply_ok(struct mq_reply *reply)
{
    char *o = room(reply, 16);
    if (o)
        finish(reply, PUT(o, "{\"ok\":true"));
}

void mq_reply_id(struct mq_reply *reply, uint64_t id)
{
    char *o = room(reply, 48);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"id\":");
    finish(reply, put_number(o, id));
}

void mq_reply_count(struct mq_reply *reply, uint64_t count)
{
    char *o = room(reply, 48);
    if (o)
        finish(reply, put_number(PUT(o, "{\"ok\":true,\"count\":"), count));
}

void mq_reply_count_listed(struct mq_reply *reply, uint64_t count)
{
    char *o = room(reply, 96);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"ids\":[");
    o = put_number(o, count);
    o = PUT(o, "],\"count\":");
    finish(reply, put_number(o, count));
}

void mq_reply_paused(struct mq_reply *reply, bool paused)
{
    char *o = room(reply, 48);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"paused\":");
    finish(reply, put_flag(o, paused));
}

void mq_reply_pong(struct mq_reply *reply)
{
    char *o = room(reply, 48);
    if (o)
        finish(reply, PUT(o, "{\"ok\":true,\"pong\":true"));
}

void mq_reply_stats(struct mq_reply *reply, const struct mq_stats_view *stats)
{
    char *o = room(reply, 256);
    if (!o)
        return;
    o = put_number(PUT(o, "{\"ok\":true,\"queued\":"), stats->queued);
    o = put_number(PUT(o, ",\"processing\":"), stats->processing);
    o = put_number(PUT(o, ",\"delayed\":"), stats->delayed);
    o = put_number(PUT(o, ",\"dlq\":"), stats->dlq);
    o = put_number(PUT(o, ",\"completed\":"), stats->completed);
    finish(reply, put_number(PUT(o, ",\"waiting\":"), stats->waiting));
}

void mq_reply_hello(struct mq_reply *reply, const struct mq_hello_view *hello)
{
    size_t version_n = strlen(hello->version);
    char *o = room(reply, 512 + version_n);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"server\":\"mqfast\",\"version\":\"");
    o = put_slice(o, mq_slice_of(hello->version, version_n));
    o = put_shown(PUT(o, "\",\"protocol\":1,\"limits\":{\"max_line\":"), hello->max_line);
    o = put_shown(PUT(o, ",\"max_job_bytes\":"), hello->max_job_bytes);
    o = put_shown(PUT(o, ",\"max_output\":"), hello->max_output);
    o = put_shown(PUT(o, ",\"max_deliveries\":"), hello->max_deliveries);
    o = put_shown(PUT(o, ",\"lease\":"), hello->lease_ms);
    o = put_shown(PUT(o, ",\"max_batch\":"), MQ_BATCH_MAX);
    finish(reply, PUT(o, "}"));
}

static mq_slice error_text(enum mq_error error, mq_slice why)
{
    return why.n ? why : mq_slice_of(errors[-error].text, strlen(errors[-error].text));
}

static char *put_error(char *o, enum mq_error error, mq_slice why)
{
    const struct error_row *row = &errors[-error];
    o = PUT(o, "\"error\":");
    o += mq_quote(why, o);
    o = PUT(o, ",\"code\":\"");
    o = put_slice(o, mq_slice_of(row->code, strlen(row->code)));
    return PUT(o, "\"");
}

void mq_reply_refuse(struct mq_reply *reply, enum mq_error error, mq_slice why)
{
    mq_slice text = error_text(error, why);
    char *o = room(reply, MQ_QUOTED_MAX(text.n) + 128);
    if (!o)
        return;
    o = put_error(PUT(o, "{\"ok\":false,"), error, text);
    finish(reply, put_flag(PUT(o, ",\"retryable\":"), errors[-error].retryable));
}

/* --- jobs --- */

void mq_token_text(uint64_t token, char out[MQ_TOKEN_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    for (unsigned i = MQ_TOKEN_BYTES; i--; token >>= 4)
        out[i] = hex[token & 15];
}

bool mq_token_parse(mq_slice text, uint64_t *token)
{
    uint64_t value = 0;
    if (text.n != MQ_TOKEN_BYTES)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *token = value;
    return true;
}

#define ID_ROOM 18u /* an id and a comma */

static size_t job_room(const struct mq_job_view *job)
{
    return 640 + job->queue_json.n + job->data.n + job->last_error.n + job->message.n + job->parent_n * ID_ROOM +
           (job->has_key ? MQ_QUOTED_MAX(job->unique_key.n) : 0);
}

size_t mq_reply_job_room(const struct mq_job_view *job) { return job_room(job) + END_ROOM + 64; }

static inline char *put_text_or_null(char *o, mq_slice text) { return text.p ? put_slice(o, text) : PUT(o, "null"); }

static char *put_job_tail(char *o, const struct mq_job_view *job)
{
    o = PUT(o, ",\"unique_key\":");
    if (job->has_key)
        o += mq_quote(job->unique_key, o);
    else
        o = PUT(o, "null");
    o = PUT(o, ",\"depends_on\":[");
    for (uint32_t i = 0; i < job->parent_n; i++) {
        if (i)
            *o++ = ',';
        o = put_number(o, job->parents[i]);
    }
    o = put_number(PUT(o, "],\"progress\":"), job->progress);
    o = PUT(put_text_or_null(PUT(o, ",\"progress_msg\":"), job->message), ",\"deliveries\":");
    o = put_number(o, job->deliveries);
    if (job->has_token) {
        o = PUT(o, ",\"token\":\"");
        mq_token_text(job->token, o);
        o = PUT(o + MQ_TOKEN_BYTES, "\",\"last_error\":");
    } else {
        o = PUT(o, ",\"token\":null,\"last_error\":");
    }
    o = put_text_or_null(o, job->last_error);
    if (job->reason) {
        o = PUT(o, ",\"reason\":\"");
        o = PUT(put_slice(o, mq_slice_of(job->reason, strlen(job->reason))), "\"");
    }
    return PUT(o, "}");
}

static char *put_job(char *o, const struct mq_job_view *job)
{
    o = put_number(PUT(o, "{\"id\":"), job->id);
    o = put_slice(PUT(o, ",\"queue\":"), job->queue_json);
    o = put_slice(PUT(o, ",\"data\":"), job->data);
    o = put_int(PUT(o, ",\"priority\":"), job->priority);
    o = put_time(PUT(o, ",\"created_at\":"), job->created_ms);
    o = put_time(PUT(o, ",\"run_at\":"), job->run_at_ms);
    o = put_time(PUT(o, ",\"started_at\":"), job->started_ms);
    o = put_shown(PUT(o, ",\"attempts\":"), job->attempts);
    o = put_shown(PUT(o, ",\"max_attempts\":"), job->max_attempts);
    o = put_shown(PUT(o, ",\"backoff\":"), job->backoff_ms);
    o = put_shown(PUT(o, ",\"max_backoff\":"), job->max_backoff_ms);
    o = put_shown(PUT(o, ",\"ttl\":"), job->ttl_ms);
    o = put_shown(PUT(o, ",\"timeout\":"), job->timeout_ms);
    return put_job_tail(o, job);
}

void mq_reply_job(struct mq_reply *reply, const struct mq_job_view *job)
{
    char *o = room(reply, job ? job_room(job) : 48);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"job\":");
    finish(reply, job ? put_job(o, job) : PUT(o, "null"));
}

void mq_reply_job_state(struct mq_reply *reply, const struct mq_job_view *job, const char *state)
{
    char *o = room(reply, job ? job_room(job) : 96);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"job\":");
    o = job ? put_job(o, job) : PUT(o, "null");
    o = PUT(o, ",\"state\":\"");
    finish(reply, PUT(put_slice(o, mq_slice_of(state, strlen(state))), "\""));
}

void mq_reply_progress(struct mq_reply *reply, const struct mq_job_view *job)
{
    char *o = room(reply, 128 + job->message.n);
    if (!o)
        return;
    o = put_number(PUT(o, "{\"ok\":true,\"progress\":{\"id\":"), job->id);
    o = put_number(PUT(o, ",\"progress\":"), job->progress);
    o = put_text_or_null(PUT(o, ",\"message\":"), job->message);
    finish(reply, PUT(o, "}"));
}

void mq_reply_result(struct mq_reply *reply, uint64_t id, mq_slice result)
{
    char *o = room(reply, 64 + result.n);
    if (!o)
        return;
    o = put_number(PUT(o, "{\"ok\":true,\"id\":"), id);
    finish(reply, put_text_or_null(PUT(o, ",\"result\":"), result));
}

/* --- lists --- */

void mq_reply_list(struct mq_reply *reply, enum mq_result_kind kind)
{
    char *o = room(reply, 48);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,");
    if (kind == MQ_RESULT_JOBS)
        o = PUT(o, "\"jobs\":[");
    else if (kind == MQ_RESULT_IDS)
        o = PUT(o, "\"ids\":[");
    else
        o = PUT(o, "\"queues\":[");
    reply->listed = 0;
    commit(reply, o);
}

static inline char *put_comma(struct mq_reply *reply, char *o)
{
    if (reply->listed++)
        *o++ = ',';
    return o;
}

void mq_reply_list_job(struct mq_reply *reply, const struct mq_job_view *job)
{
    char *o = room(reply, job_room(job));
    if (o)
        commit(reply, put_job(put_comma(reply, o), job));
}

void mq_reply_list_id(struct mq_reply *reply, uint64_t id)
{
    char *o = room(reply, 32);
    if (o)
        commit(reply, put_number(put_comma(reply, o), id));
}

static inline char *put_limit(char *o, uint64_t limit) { return limit ? put_shown(o, limit) : PUT(o, "null"); }

void mq_reply_list_queue(struct mq_reply *reply, const struct mq_queue_view *queue)
{
    char *o = room(reply, 320 + queue->name_json.n);
    if (!o)
        return;
    o = put_comma(reply, o);
    o = put_slice(PUT(o, "{\"name\":"), queue->name_json);
    o = put_number(PUT(o, ",\"pending\":"), queue->pending);
    o = put_number(PUT(o, ",\"processing\":"), queue->processing);
    o = put_number(PUT(o, ",\"dlq\":"), queue->dlq);
    o = put_flag(PUT(o, ",\"paused\":"), queue->paused);
    o = put_limit(PUT(o, ",\"rate_limit\":"), queue->rate_limit);
    o = put_limit(PUT(o, ",\"concurrency_limit\":"), queue->concurrency);
    o = put_number(PUT(o, ",\"delayed\":"), queue->delayed);
    o = put_number(PUT(o, ",\"completed\":"), queue->completed);
    o = put_limit(PUT(o, ",\"rate_duration\":"), queue->rate_limit ? queue->rate_duration_ms : 0);
    commit(reply, PUT(o, "}"));
}

void mq_reply_list_end(struct mq_reply *reply)
{
    char *o = room(reply, 8);
    if (o)
        finish(reply, PUT(o, "]"));
}

void mq_reply_item_errors_end(struct mq_reply *reply, const struct mq_item_error *items, size_t n)
{
    char *o = room(reply, 32);
    if (!o)
        return;
    commit(reply, PUT(o, "],\"errors\":["));
    reply->listed = 0;
    for (size_t i = 0; i < n; i++) {
        mq_slice why = error_text(items[i].error, items[i].why);
        if (!(o = room(reply, MQ_QUOTED_MAX(why.n) + 128)))
            return;
        o = put_number(PUT(put_comma(reply, o), "{\"index\":"), items[i].index);
        commit(reply, PUT(put_error(PUT(o, ","), items[i].error, why), "}"));
    }
    mq_reply_list_end(reply);
}
