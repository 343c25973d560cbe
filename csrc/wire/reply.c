#include "wire/put.h"

struct error_row {
    const char *code, *text;
    bool retryable;
};

static const struct error_row errors[] = {
#define MQ_ERROR(id, number, code, text, status, retryable) [number] = {code, text, retryable},
#include "errors.def"
#undef MQ_ERROR
};

/* --- room --- */

#define END_ROOM 160u /* ,"reqId":"..."} and a newline: what every reply needs at its end */

void mq_reply_fail(struct mq_reply *reply)
{
    if (reply->failed)
        return;
    reply->failed = true;
    mq_ring_truncate(reply->out, reply->start);
}

char *mq_reply_room(struct mq_reply *reply, size_t n)
{
    char *o = reply->failed ? NULL : mq_ring_reserve(reply->out, n + END_ROOM);
    if (MQ_UNLIKELY(!o))
        mq_reply_fail(reply);
    return o;
}

static inline char *put_end(const struct mq_reply *reply, char *o)
{
    if (reply->req_id.p) {
        o = PUT(o, ",\"reqId\":");
        o = put_slice(o, reply->req_id);
    }
    return PUT(o, "}\n");
}

void mq_reply_finish(struct mq_reply *reply, char *o) { mq_reply_commit(reply, put_end(reply, o)); }

void mq_reply_init(struct mq_reply *reply, struct mq_ring *out)
{
    reply->out = out;
    reply->req_id = (mq_slice){NULL, 0};
    reply->start = mq_ring_used(out);
    reply->listed = 0;
    reply->failed = false;
}

void mq_reply_object_end(struct mq_reply *reply)
{
    char *o = mq_reply_room(reply, 8);
    if (o)
        mq_reply_finish(reply, PUT(o, "}"));
}

/* --- whole answers --- */

void mq_reply_ok(struct mq_reply *reply)
{
    char *o = mq_reply_room(reply, 16);
    if (o)
        mq_reply_finish(reply, PUT(o, "{\"ok\":true"));
}

void mq_reply_id(struct mq_reply *reply, uint64_t id)
{
    char *o = mq_reply_room(reply, 48);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"id\":");
    mq_reply_finish(reply, put_number(o, id));
}

void mq_reply_count(struct mq_reply *reply, uint64_t count)
{
    char *o = mq_reply_room(reply, 48);
    if (o)
        mq_reply_finish(reply, put_number(PUT(o, "{\"ok\":true,\"count\":"), count));
}

void mq_reply_count_listed(struct mq_reply *reply, uint64_t count)
{
    char *o = mq_reply_room(reply, 96);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"ids\":[");
    o = put_number(o, count);
    o = PUT(o, "],\"count\":");
    mq_reply_finish(reply, put_number(o, count));
}

void mq_reply_paused(struct mq_reply *reply, bool paused)
{
    char *o = mq_reply_room(reply, 48);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"paused\":");
    mq_reply_finish(reply, put_flag(o, paused));
}

void mq_reply_pong(struct mq_reply *reply)
{
    char *o = mq_reply_room(reply, 48);
    if (o)
        mq_reply_finish(reply, PUT(o, "{\"ok\":true,\"pong\":true"));
}

void mq_reply_stats(struct mq_reply *reply, const struct mq_stats_view *stats)
{
    char *o = mq_reply_room(reply, 256);
    if (!o)
        return;
    o = put_number(PUT(o, "{\"ok\":true,\"queued\":"), stats->queued);
    o = put_number(PUT(o, ",\"processing\":"), stats->processing);
    o = put_number(PUT(o, ",\"delayed\":"), stats->delayed);
    o = put_number(PUT(o, ",\"dlq\":"), stats->dlq);
    o = put_number(PUT(o, ",\"completed\":"), stats->completed);
    mq_reply_finish(reply, put_number(PUT(o, ",\"waiting\":"), stats->waiting));
}

void mq_reply_hello(struct mq_reply *reply, const struct mq_hello_view *hello)
{
    size_t version_n = strlen(hello->version);
    char *o = mq_reply_room(reply, 512 + version_n);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"server\":\"mqfast\",\"version\":\"");
    o = put_slice(o, mq_slice_of(hello->version, version_n));
    o = put_shown(PUT(o, "\",\"protocol\":1,\"limits\":{\"max_line\":"), hello->max_line);
    o = put_shown(PUT(o, ",\"max_job_bytes\":"), hello->max_job_bytes);
    o = put_shown(PUT(o, ",\"max_output\":"), hello->max_output);
    o = put_shown(PUT(o, ",\"max_deliveries\":"), hello->max_deliveries);
    o = put_shown(PUT(o, ",\"lease\":"), hello->lease_ms);
    o = put_shown(PUT(o, ",\"max_batch\":"), hello->max_batch);
    mq_reply_finish(reply, PUT(o, "}"));
}

void mq_reply_topology(struct mq_reply *reply, unsigned slots, unsigned shards)
{
    char *o = mq_reply_room(reply, 160);
    if (!o)
        return;
    o = put_number(PUT(o, "{\"ok\":true,\"slots\":"), slots);
    o = put_number(PUT(o, ",\"shards\":"), shards);
    mq_reply_finish(reply, PUT(o, ",\"nodes\":[{\"id\":\"self\",\"self\":true}]"));
}

void mq_reply_ending(struct mq_reply *reply, mq_slice result)
{
    char *o = mq_reply_room(reply, 80 + result.n);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"result\":");
    o = result.p ? put_slice(o, result) : PUT(o, "null");
    mq_reply_finish(reply, PUT(o, ",\"state\":\"completed\""));
}

mq_slice mq_error_text(enum mq_error error, mq_slice why)
{
    return why.n ? why : mq_slice_of(errors[-error].text, strlen(errors[-error].text));
}

char *mq_put_error(char *o, enum mq_error error, mq_slice why)
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
    mq_slice text = mq_error_text(error, why);
    char *o = mq_reply_room(reply, MQ_QUOTED_MAX(text.n) + 128);
    if (!o)
        return;
    o = mq_put_error(PUT(o, "{\"ok\":false,"), error, text);
    mq_reply_finish(reply, put_flag(PUT(o, ",\"retryable\":"), errors[-error].retryable));
}

void mq_reply_refuse_quoted(struct mq_reply *reply, enum mq_error error, mq_slice why_json)
{
    const struct error_row *row = &errors[-error];
    char *o = mq_reply_room(reply, why_json.n + 128);
    if (!o)
        return;
    o = PUT(put_slice(PUT(o, "{\"ok\":false,\"error\":"), why_json), ",\"code\":\"");
    o = PUT(put_text(o, row->code), "\",\"retryable\":");
    mq_reply_finish(reply, put_flag(o, row->retryable));
}

/* --- events --- */

bool mq_reply_event(struct mq_ring *out, const char *event, mq_slice queue_json, uint64_t job, uint64_t seq)
{
    char *start = mq_ring_reserve(out, 128 + queue_json.n), *o = start;
    if (!o)
        return false;
    o = put_text(PUT(o, "{\"event\":\""), event);
    o = put_slice(PUT(o, "\",\"queue\":"), queue_json);
    o = put_number(PUT(o, ",\"job\":"), job);
    o = PUT(put_number(PUT(o, ",\"seq\":"), seq), "}\n");
    mq_ring_commit(out, (size_t)(o - start));
    return true;
}

bool mq_reply_dropped(struct mq_ring *out, uint64_t count, uint64_t seq)
{
    char *start = mq_ring_reserve(out, 128), *o = start;
    if (!o)
        return false;
    o = put_number(PUT(o, "{\"event\":\"dropped\",\"count\":"), count);
    o = PUT(put_number(PUT(o, ",\"seq\":"), seq), "}\n");
    mq_ring_commit(out, (size_t)(o - start));
    return true;
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

#define ID_ROOM 18u     /* an id and a comma */
#define PARENT_ROOM 64u /* {"id":,"state":""} */
#define ATTEMPT_ROOM 192u /* without the error */

size_t mq_job_room(const struct mq_job_view *job)
{
    size_t data_n = job->preview_n ? MQ_QUOTED_MAX(job->preview_n < job->data.n ? job->preview_n : job->data.n) : job->data.n;
    size_t errors_n = 0;
    for (uint32_t i = 0; i < job->errors_n; i++)
        errors_n += ATTEMPT_ROOM + job->errors[i].error.n;
    return 768 + errors_n + job->queue_json.n + data_n + job->waits_n * PARENT_ROOM + job->last_error.n + job->message.n + job->parent_n * ID_ROOM +
           (job->has_key ? MQ_QUOTED_MAX(job->unique_key.n) : 0);
}

size_t mq_reply_job_room(const struct mq_job_view *job) { return mq_job_room(job) + END_ROOM + 64; }

static inline char *put_text_or_null(char *o, mq_slice text) { return text.p ? put_slice(o, text) : PUT(o, "null"); }

static char *put_errors(char *o, const struct mq_job_view *job)
{
    o = PUT(o, ",\"errors\":[");
    for (uint32_t i = 0; i < job->errors_n; i++) {
        const struct mq_attempt_view *error = &job->errors[i];
        o = put_number(PUT(i ? PUT(o, ",") : o, "{\"n\":"), error->number);
        o = put_time(PUT(o, ",\"started_at\":"), error->started_ms);
        o = put_time(PUT(o, ",\"ended_at\":"), error->ended_ms);
        o = put_text(PUT(o, ",\"reason\":\""), error->reason);
        o = PUT(put_text_or_null(PUT(o, "\",\"error\":"), error->error), "}");
    }
    return PUT(o, "]");
}

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
        o = PUT(put_text(o, job->reason), "\"");
    }
    if (job->waits_for) {
        o = PUT(o, ",\"waits_for\":[");
        for (uint32_t i = 0; i < job->waits_n; i++) {
            o = put_number(PUT(i ? PUT(o, ",") : o, "{\"id\":"), job->waits_for[i].id);
            o = PUT(put_text(PUT(o, ",\"state\":\""), job->waits_for[i].state), "\"}");
        }
        o = PUT(o, "]");
    }
    if (job->has_end)
        o = put_time_or_null(PUT(o, ",\"ended_at\":"), job->ended_ms ? job->ended_ms : -1);
    if (job->errors)
        o = put_errors(o, job);
    return PUT(o, "}");
}

/* The beginning of the data's text, cut at a character, and its size. */
static char *put_preview(char *o, const struct mq_job_view *job)
{
    size_t n = job->preview_n < job->data.n ? job->preview_n : job->data.n;
    while (n < job->data.n && n && ((unsigned char)job->data.p[n] & 0xC0) == 0x80)
        n--;
    o += mq_quote(mq_slice_of(job->data.p, n), o);
    return put_number(PUT(o, ",\"data_size\":"), job->data.n);
}

char *mq_put_job(char *o, const struct mq_job_view *job)
{
    o = put_number(PUT(o, "{\"id\":"), job->id);
    o = put_slice(PUT(o, ",\"queue\":"), job->queue_json);
    o = PUT(o, ",\"data\":");
    o = job->preview_n ? put_preview(o, job) : put_slice(o, job->data);
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
    char *o = mq_reply_room(reply, job ? mq_job_room(job) : 48);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"job\":");
    mq_reply_finish(reply, job ? mq_put_job(o, job) : PUT(o, "null"));
}

void mq_reply_job_state(struct mq_reply *reply, const struct mq_job_view *job, const char *state)
{
    char *o = mq_reply_room(reply, job ? mq_job_room(job) : 96);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,\"job\":");
    o = job ? mq_put_job(o, job) : PUT(o, "null");
    o = PUT(o, ",\"state\":\"");
    mq_reply_finish(reply, PUT(put_slice(o, mq_slice_of(state, strlen(state))), "\""));
}

void mq_reply_progress(struct mq_reply *reply, const struct mq_job_view *job)
{
    char *o = mq_reply_room(reply, 128 + job->message.n);
    if (!o)
        return;
    o = put_number(PUT(o, "{\"ok\":true,\"progress\":{\"id\":"), job->id);
    o = put_number(PUT(o, ",\"progress\":"), job->progress);
    o = put_text_or_null(PUT(o, ",\"message\":"), job->message);
    mq_reply_finish(reply, PUT(o, "}"));
}

void mq_reply_result(struct mq_reply *reply, uint64_t id, mq_slice result)
{
    char *o = mq_reply_room(reply, 64 + result.n);
    if (!o)
        return;
    o = put_number(PUT(o, "{\"ok\":true,\"id\":"), id);
    mq_reply_finish(reply, put_text_or_null(PUT(o, ",\"result\":"), result));
}
