/* Answers with lists: jobs, ids, queues, crons, refused items. */
#include "wire/put.h"

void mq_reply_list(struct mq_reply *reply, enum mq_result_kind kind)
{
    char *o = mq_reply_room(reply, 48);
    if (!o)
        return;
    o = PUT(o, "{\"ok\":true,");
    if (kind == MQ_RESULT_JOBS || kind == MQ_RESULT_JOBS_PAGE)
        o = PUT(o, "\"jobs\":[");
    else if (kind == MQ_RESULT_IDS)
        o = PUT(o, "\"ids\":[");
    else if (kind == MQ_RESULT_CLIENTS)
        o = PUT(o, "\"connections\":[");
    else if (kind == MQ_RESULT_CRONS)
        o = PUT(o, "\"crons\":[");
    else
        o = PUT(o, "\"queues\":[");
    reply->listed = 0;
    mq_reply_commit(reply, o);
}

static inline char *put_comma(struct mq_reply *reply, char *o)
{
    if (reply->listed++)
        *o++ = ',';
    return o;
}

void mq_reply_list_job(struct mq_reply *reply, const struct mq_job_view *job)
{
    char *o = mq_reply_room(reply, mq_job_room(job));
    if (o)
        mq_reply_commit(reply, mq_put_job(put_comma(reply, o), job));
}

void mq_reply_list_id(struct mq_reply *reply, uint64_t id)
{
    char *o = mq_reply_room(reply, 32);
    if (o)
        mq_reply_commit(reply, put_number(put_comma(reply, o), id));
}

static char *put_queue(char *o, const struct mq_queue_view *queue)
{
    o = put_slice(PUT(o, "{\"name\":"), queue->name_json);
    o = put_number(PUT(o, ",\"pending\":"), queue->pending);
    o = put_number(PUT(o, ",\"processing\":"), queue->processing);
    o = put_number(PUT(o, ",\"dlq\":"), queue->dlq);
    o = put_flag(PUT(o, ",\"paused\":"), queue->paused);
    o = put_limit(PUT(o, ",\"rate_limit\":"), queue->rate_limit);
    o = put_limit(PUT(o, ",\"concurrency_limit\":"), queue->concurrency);
    o = put_number(PUT(o, ",\"delayed\":"), queue->delayed);
    o = put_number(PUT(o, ",\"completed\":"), queue->completed);
    return put_limit(PUT(o, ",\"rate_duration\":"), queue->rate_limit ? queue->rate_duration_ms : 0);
}

void mq_reply_list_queue(struct mq_reply *reply, const struct mq_queue_view *queue)
{
    char *o = mq_reply_room(reply, 320 + queue->name_json.n);
    if (o)
        mq_reply_commit(reply, PUT(put_queue(put_comma(reply, o), queue), "}"));
}

/* n in so many seconds, as a rate with one decimal. */
static char *put_rate(char *o, uint64_t n, unsigned seconds)
{
    uint64_t tenths = n * 10 / (seconds ? seconds : 1);
    o = put_number(o, tenths / 10);
    *o++ = '.';
    *o++ = (char)('0' + tenths % 10);
    return o;
}

void mq_reply_list_queue_page(struct mq_reply *reply, const struct mq_queue_view *queue)
{
    char *o = mq_reply_room(reply, 480 + queue->name_json.n);
    if (!o)
        return;
    o = put_queue(put_comma(reply, o), queue);
    o = put_number(PUT(o, ",\"waiting\":"), queue->parents);
    o = put_limit(PUT(o, ",\"max_length\":"), queue->length);
    o = put_time_or_null(PUT(o, ",\"head_age\":"), queue->head_age_ms);
    o = put_rate(PUT(o, ",\"in\":"), queue->in, queue->recent_s);
    o = put_rate(PUT(o, ",\"out\":"), queue->out, queue->recent_s);
    mq_reply_commit(reply, PUT(put_flag(PUT(o, ",\"parked\":"), queue->parked), "}"));
}

void mq_reply_queue_page_end(struct mq_reply *reply, uint64_t total, int64_t value, mq_slice name)
{
    char *o = mq_reply_room(reply, 128 + MQ_QUOTED_MAX(name.n));
    if (!o)
        return;
    o = put_number(PUT(o, "],\"total\":"), total);
    o = PUT(o, ",\"cursor\":");
    if (!name.p) {
        mq_reply_finish(reply, PUT(o, "null"));
        return;
    }
    *o++ = '"';
    if (value < 0)
        *o++ = '-';
    o = put_number(o, value < 0 ? (uint64_t)-value : (uint64_t)value);
    char *tilde = o;
    o += mq_quote(name, o);
    *tilde = '~'; /* in place of the name's own opening quote */
    mq_reply_finish(reply, o);
}

void mq_reply_list_client(struct mq_reply *reply, const struct mq_client_view *client)
{
    mq_slice peer = mq_slice_of(client->peer, strlen(client->peer));
    char *o = mq_reply_room(reply, 400 + MQ_QUOTED_MAX(peer.n) + client->waits_for.n);
    if (!o)
        return;
    o = put_number(PUT(put_comma(reply, o), "{\"id\":"), client->id);
    o = PUT(o, ",\"peer\":");
    o += mq_quote(peer, o);
    o = put_time(PUT(o, ",\"since\":"), client->since_ms);
    o = PUT(put_text(PUT(o, ",\"kind\":\""), client->kind), "\"");
    o = put_number(PUT(o, ",\"commands\":"), client->commands);
    o = put_number(PUT(o, ",\"holds\":"), client->holds);
    o = put_time_or_null(PUT(o, ",\"oldest_held\":"), client->oldest_held_ms);
    o = put_number(PUT(o, ",\"waits\":"), client->waits);
    o = PUT(o, ",\"waits_for\":");
    o = client->waits_for.p ? put_slice(o, client->waits_for) : PUT(o, "null");
    o = put_number(PUT(o, ",\"unsent\":"), client->unsent);
    mq_reply_commit(reply, PUT(put_number(PUT(o, ",\"dropped\":"), client->dropped), "}"));
}

void mq_reply_counts(struct mq_reply *reply)
{
    char *o = mq_reply_room(reply, 32);
    if (!o)
        return;
    reply->listed = 0;
    mq_reply_commit(reply, PUT(o, "{\"ok\":true,\"counts\":{"));
}

void mq_reply_list_counts(struct mq_reply *reply, mq_slice queue_json, const struct mq_reason_count *counts, unsigned n)
{
    char *o = mq_reply_room(reply, 32 + queue_json.n + n * 64);
    if (!o)
        return;
    o = PUT(put_slice(put_comma(reply, o), queue_json), ":{");
    for (unsigned i = 0; i < n; i++) {
        o = PUT(put_text(PUT(o, "\""), counts[i].reason), "\":");
        o = PUT(put_number(o, counts[i].n), ",");
    }
    o[-1] = '}'; /* a queue without any is not told */
    mq_reply_commit(reply, o);
}

void mq_reply_counts_end(struct mq_reply *reply)
{
    char *o = mq_reply_room(reply, 8);
    if (o)
        mq_reply_finish(reply, PUT(o, "}"));
}

void mq_reply_list_cron(struct mq_reply *reply, const struct mq_cron_view *cron)
{
    char *o = mq_reply_room(reply, 256 + cron->data.n + MQ_QUOTED_MAX(cron->name.n + cron->queue.n + cron->schedule.n + cron->timezone.n + 8));
    if (!o)
        return;
    o = PUT(put_comma(reply, o), "{\"name\":");
    o += mq_quote(cron->name, o);
    o = PUT(o, ",\"queue\":");
    o += mq_quote(cron->queue, o);
    o = PUT(put_slice(PUT(o, ",\"data\":"), cron->data), ",\"schedule\":");
    o += mq_quote(cron->schedule, o);
    o = put_int(PUT(o, ",\"priority\":"), cron->priority);
    o = PUT(put_time_or_null(PUT(o, ",\"next_run\":"), cron->next_run_ms), ",\"timezone\":");
    o += mq_quote(cron->timezone, o);
    o = put_flag(PUT(o, ",\"paused\":"), cron->paused);
    o = put_time_or_null(PUT(o, ",\"last_run\":"), cron->last_run_ms);
    mq_reply_commit(reply, PUT(o, "}"));
}

void mq_reply_list_end(struct mq_reply *reply)
{
    char *o = mq_reply_room(reply, 8);
    if (o)
        mq_reply_finish(reply, PUT(o, "]"));
}

void mq_reply_page_end(struct mq_reply *reply, const uint64_t *cursor)
{
    char *o = mq_reply_room(reply, 64);
    if (!o)
        return;
    o = PUT(o, "],\"cursor\":");
    if (!cursor) {
        mq_reply_finish(reply, PUT(o, "null"));
        return;
    }
    mq_token_text(*cursor, o + 1);
    *o = '"';
    mq_reply_finish(reply, PUT(o + 1 + MQ_TOKEN_BYTES, "\""));
}

bool mq_cursor_parse(mq_slice text, uint64_t *cursor) { return mq_token_parse(text, cursor); }

void mq_reply_item_errors_end(struct mq_reply *reply, const struct mq_item_error *items, size_t n)
{
    char *o = mq_reply_room(reply, 32);
    if (!o)
        return;
    mq_reply_commit(reply, PUT(o, "],\"errors\":["));
    reply->listed = 0;
    for (size_t i = 0; i < n; i++) {
        mq_slice why = mq_error_text(items[i].error, items[i].why);
        if (!(o = mq_reply_room(reply, MQ_QUOTED_MAX(why.n) + 128)))
            return;
        o = put_number(PUT(put_comma(reply, o), "{\"index\":"), items[i].index);
        mq_reply_commit(reply, PUT(mq_put_error(PUT(o, ","), items[i].error, why), "}"));
    }
    mq_reply_list_end(reply);
}
