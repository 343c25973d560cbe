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

void mq_reply_list_queue(struct mq_reply *reply, const struct mq_queue_view *queue)
{
    char *o = mq_reply_room(reply, 320 + queue->name_json.n);
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
    mq_reply_commit(reply, PUT(o, "}"));
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
