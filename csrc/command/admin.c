/* Commands on the server and on queues as a whole. */
#include "base/check.h"
#include "command/handlers.h"

/* Changes one of a queue's settings. `clear`: it goes back to its default, so an unknown queue needs nothing. */
static enum mq_outcome set_queue(struct mq_call *call, void change(struct mq_queue_settings *, const struct mq_request *),
                                 bool clear)
{
    struct mq_shard *shard;
    int refusal = MQ_DONE;
    bool full = !clear && mq_call_memory_room(call) == 0; /* then only queues that exist are set */
    struct mq_queue *queue = mq_call_queue(call, !clear && !full, &shard);
    if (queue) {
        struct mq_queue_settings before = mq_queue_settings_of(queue), settings = before;
        change(&settings, call->request);
        if (!mq_queue_settings_equal(&before, &settings))
            refusal = mq_decide_settings_locked(shard, queue, &settings, call->now_ms);
        mq_slot_queue_release(queue->slot, queue);
    } else if (!clear) {
        refusal = MQ_NO_MEMORY;
    }
    mq_call_unlock(call, shard);
    return mq_answer_job(call, refusal, 0);
}

static void pause_on(struct mq_queue_settings *settings, const struct mq_request *request)
{
    (void)request;
    settings->paused = true;
}

static void pause_off(struct mq_queue_settings *settings, const struct mq_request *request)
{
    (void)request;
    settings->paused = false;
}

static void rate_on(struct mq_queue_settings *settings, const struct mq_request *request)
{
    settings->rate_limit = request->number[MQ_F_LIMIT];
    settings->rate_duration_ms = mq_number_or(request, MQ_F_DURATION, 1000);
}

static void rate_off(struct mq_queue_settings *settings, const struct mq_request *request)
{
    (void)request;
    settings->rate_limit = settings->rate_duration_ms = 0;
}

static void concurrency_on(struct mq_queue_settings *settings, const struct mq_request *request)
{
    settings->concurrency = request->number[MQ_F_LIMIT];
}

static void concurrency_off(struct mq_queue_settings *settings, const struct mq_request *request)
{
    (void)request;
    settings->concurrency = 0;
}

/* What is given. */
static void some_settings(struct mq_queue_settings *settings, const struct mq_request *request)
{
    settings->length = mq_number_or(request, MQ_F_MAX_LENGTH, settings->length);
}

enum mq_outcome mq_do_setqueue(struct mq_call *call)
{
    return set_queue(call, some_settings, mq_number_or(call->request, MQ_F_MAX_LENGTH, 0) == 0);
}

enum mq_outcome mq_do_pause(struct mq_call *call) { return set_queue(call, pause_on, false); }
enum mq_outcome mq_do_resume(struct mq_call *call) { return set_queue(call, pause_off, true); }
enum mq_outcome mq_do_ratelimit(struct mq_call *call) { return set_queue(call, rate_on, false); }
enum mq_outcome mq_do_ratelimitclear(struct mq_call *call) { return set_queue(call, rate_off, true); }
enum mq_outcome mq_do_setconcurrency(struct mq_call *call) { return set_queue(call, concurrency_on, false); }
enum mq_outcome mq_do_clearconcurrency(struct mq_call *call) { return set_queue(call, concurrency_off, true); }

enum mq_outcome mq_do_ispaused(struct mq_call *call)
{
    struct mq_shard *shard;
    struct mq_queue *queue = mq_call_queue(call, false, &shard);
    bool paused = queue && queue->paused;
    mq_call_unlock(call, shard);
    mq_reply_paused(call->reply, paused);
    return MQ_ANSWERED;
}

enum mq_outcome mq_do_topology(struct mq_call *call)
{
    mq_reply_topology(call->reply, MQ_SLOTS, MQ_SHARDS);
    return MQ_ANSWERED;
}

enum mq_outcome mq_do_ping(struct mq_call *call)
{
    mq_reply_pong(call->reply);
    return MQ_ANSWERED;
}

enum mq_outcome mq_do_hello(struct mq_call *call)
{
    const struct mq_config *config = &call->engine->config;
    struct mq_hello_view hello = {
        .version = config->version,
        .max_line = config->max_line,
        .max_job_bytes = config->max_job_bytes,
        .max_output = config->max_output,
        .max_deliveries = config->max_deliveries,
        .max_batch = config->max_batch,
        .lease_ms = config->lease_ms,
    };
    mq_reply_hello(call->reply, &hello);
    return MQ_ANSWERED;
}
