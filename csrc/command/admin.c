/* Commands on the server and on queues as a whole. */
#include "base/check.h"
#include "command/handlers.h"

static enum mq_outcome set_paused(struct mq_call *call, bool paused)
{
    struct mq_shard *shard;
    int refusal = MQ_DONE;
    struct mq_queue *queue = mq_call_queue(call, paused, &shard);
    if (queue && queue->paused != paused)
        refusal = mq_decide_pause_locked(shard, queue, paused, call->now_ms);
    else if (paused && !queue)
        refusal = MQ_NO_MEMORY;
    mq_call_unlock(call, shard);
    return mq_answer_job(call, refusal, 0);
}

enum mq_outcome mq_do_pause(struct mq_call *call) { return set_paused(call, true); }

enum mq_outcome mq_do_resume(struct mq_call *call) { return set_paused(call, false); }

enum mq_outcome mq_do_ispaused(struct mq_call *call)
{
    struct mq_shard *shard;
    struct mq_queue *queue = mq_call_queue(call, false, &shard);
    bool paused = queue && queue->paused;
    mq_call_unlock(call, shard);
    mq_reply_paused(call->reply, paused);
    return MQ_ANSWERED;
}

/* Takes as long whatever the guess: over the whole of the longer text, without a branch on its bytes. */
static bool same_secret(mq_slice guess, const char *secret)
{
    size_t n = strlen(secret);
    unsigned char different = (unsigned char)(guess.n != n);
    for (size_t i = 0; i < guess.n; i++)
        different |= (unsigned char)((unsigned char)guess.p[i] ^ (unsigned char)(n ? secret[i % n] : 0));
    return !different;
}

enum mq_outcome mq_do_auth(struct mq_call *call)
{
    const struct mq_engine *engine = call->engine;
    bool right = engine->config.auth_token_n == 0;
    for (size_t i = 0; i < engine->config.auth_token_n; i++)
        right |= same_secret(call->request->text[MQ_F_TOKEN], engine->tokens[i]);
    if (!right)
        return mq_refuse(call, MQ_E_AUTH_FAILED, NULL);
    call->session->authenticated = true;
    mq_reply_ok(call->reply);
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
        .lease_ms = config->lease_ms,
    };
    mq_reply_hello(call->reply, &hello);
    return MQ_ANSWERED;
}
