/* METRICS: written once a second or so, and longer than all other answers. */
#include "wire/reply.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define TEXT_ROOM 2048u

/* Adds formatted text; false without memory. */
static bool add(struct mq_reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool add(struct mq_reply *reply, const char *format, ...)
{
    char *room = reply->failed ? NULL : mq_ring_reserve(reply->out, TEXT_ROOM);
    if (!room) {
        mq_reply_fail(reply);
        return false;
    }
    va_list args;
    va_start(args, format);
    int n = vsnprintf(room, TEXT_ROOM, format, args);
    va_end(args);
    mq_ring_commit(reply->out, n < (int)TEXT_ROOM ? (size_t)n : TEXT_ROOM - 1);
    return true;
}

static void add_ms(struct mq_reply *reply, const char *name, int64_t ms)
{
    if (ms < 0)
        add(reply, "%s:null", name);
    else
        add(reply, "%s:%" PRId64, name, ms);
}

static void add_timing(struct mq_reply *reply, const char *name, const struct mq_timing_view *view)
{
    add(reply, ",\"%s\":{", name);
    add_ms(reply, "\"p50\"", view->p50);
    add_ms(reply, ",\"p90\"", view->p90);
    add_ms(reply, ",\"p95\"", view->p95);
    add_ms(reply, ",\"p99\"", view->p99);
    add_ms(reply, ",\"max\"", view->max);
    add(reply, "}");
}

void mq_reply_metrics(struct mq_reply *reply, const struct mq_metrics_view *m)
{
    add(reply,
        "{\"ok\":true,\"metrics\":{\"total_pushed\":%" PRIu64 ",\"total_completed\":%" PRIu64 ",\"total_failed\":%" PRIu64
        ",\"total_timed_out\":%" PRIu64 ",\"total_expired\":%" PRIu64 ",\"total_cancelled\":%" PRIu64
        ",\"total_retried\":%" PRIu64 ",\"total_stalled\":%" PRIu64,
        m->pushed, m->completed, m->failed, m->timed_out, m->expired, m->cancelled, m->retried, m->stalled);
    add(reply, ",\"jobs_per_second\":%" PRIu64, m->rates[1].last_second);
    if (m->average_ms < 0)
        add(reply, ",\"avg_latency_ms\":null");
    else
        add(reply, ",\"avg_latency_ms\":%.3f", m->average_ms);
    for (unsigned i = 0; i < 3; i++)
        add_timing(reply, m->timings[i].name, &m->timings[i].view);
    add(reply, ",\"rates\":{");
    for (unsigned i = 0; i < 3; i++)
        add(reply, "%s\"%s\":{\"1s\":%" PRIu64 ",\"1m\":%.3f}", i ? "," : "", m->rates[i].name, m->rates[i].last_second,
            (double)m->rates[i].last_minute / 60);
    add(reply, "},\"memory\":{\"used\":%" PRIu64 ",\"limit\":", m->memory);
    add(reply, m->memory_max ? "%" PRIu64 "}" : "null}", m->memory_max);
    if (m->log.fsync)
        add(reply,
            ",\"log\":{\"fsync\":\"%s\",\"full\":%s,\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"syncs\":%" PRIu64
            ",\"sync_ms\":%.3f,\"snapshots\":%" PRIu64 "}",
            m->log.fsync, m->log.full ? "true" : "false", m->log.frames, m->log.bytes, m->log.syncs, (double)m->log.sync_us / 1000,
            m->log.snapshots);
    else
        add(reply, ",\"log\":null");
    add(reply, ",\"queues\":[");
    reply->listed = 0;
}

void mq_reply_metrics_queue(struct mq_reply *reply, const struct mq_queue_view *queue)
{
    char limits[4][24];
    uint64_t numbers[4] = {queue->rate_limit, queue->rate_limit ? queue->rate_duration_ms : 0, queue->concurrency, queue->length};
    for (unsigned i = 0; i < 4; i++)
        snprintf(limits[i], sizeof limits[i], numbers[i] ? "%" PRIu64 : "null",
                 numbers[i] > MQ_SHOWN_MAX ? MQ_SHOWN_MAX : numbers[i]);
    add(reply, "%s{\"name\":", reply->listed++ ? "," : "");
    if (reply->failed || !mq_ring_reserve(reply->out, queue->name_json.n)) {
        mq_reply_fail(reply);
        return;
    }
    memcpy(mq_ring_reserve(reply->out, queue->name_json.n), queue->name_json.p, queue->name_json.n);
    mq_ring_commit(reply->out, queue->name_json.n);
    add(reply,
        ",\"pending\":%" PRIu64 ",\"processing\":%" PRIu64 ",\"delayed\":%" PRIu64 ",\"waiting\":%" PRIu64 ",\"dlq\":%" PRIu64
        ",\"completed\":%" PRIu64 ",\"paused\":%s,\"rate_limit\":%s,\"rate_duration\":%s,\"concurrency_limit\":%s,\"max_length\":%s}",
        queue->pending, queue->processing, queue->delayed, queue->parents, queue->dlq, queue->completed,
        queue->paused ? "true" : "false", limits[0], limits[1], limits[2], limits[3]);
}

void mq_reply_metrics_end(struct mq_reply *reply)
{
    add(reply, "]");
    mq_reply_object_end(reply);
}
