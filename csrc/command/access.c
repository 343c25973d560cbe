/* What a session may do: its token, and the queues that is for. */
#include "command/handlers.h"
#include "queue/cron.h"

void mq_session_begin(struct mq_session *session, struct mq_engine *engine)
{
    struct mq_access *access = mq_engine_access(engine);
    session->planes = access->n ? 1u << MQ_PLANE_open : MQ_PLANES_ALL;
    mq_access_drop(access);
}

void mq_session_end(struct mq_session *session)
{
    mq_access_drop(session->access);
    session->access = NULL;
    session->right = NULL;
}

bool mq_session_give_token(struct mq_session *session, struct mq_engine *engine, mq_slice token)
{
    struct mq_access *access = mq_engine_access(engine);
    const struct mq_right *right = mq_access_find(access, token);
    if (!right) {
        bool none_needed = access->n == 0;
        mq_access_drop(access);
        return none_needed;
    }
    mq_session_end(session);
    session->access = access;
    session->right = right;
    session->planes = right->planes;
    return true;
}

bool mq_session_renew(struct mq_session *session, struct mq_engine *engine)
{
    if (session->right) {
        if (mq_session_give_token(session, engine, session->right->token))
            return true;
        mq_session_end(session); /* what it has asked for and is run again must not be done any more */
        session->planes = 1u << MQ_PLANE_open;
        return false;
    }
    bool was_unknown = mq_session_is_unknown(session);
    mq_session_begin(session, engine);
    return was_unknown || !mq_session_is_unknown(session);
}

enum mq_outcome mq_do_auth(struct mq_call *call)
{
    struct mq_session *session = call->session;
    if (session->may_try && !session->may_try(session))
        return mq_refuse(call, MQ_E_RATE_LIMITED, "Rate limited: too many wrong tokens came from your address; wait a minute");
    if (!mq_session_give_token(session, call->engine, call->request->text[MQ_F_TOKEN])) {
        if (session->wrong)
            session->wrong(session);
        return mq_refuse(call, MQ_E_AUTH_FAILED, NULL);
    }
    mq_reply_ok(call->reply);
    return MQ_ANSWERED;
}

/* --- a token for some queues --- */

/* A job that there is not is not found, whoever asks. */
static bool covers_job(struct mq_call *call, uint64_t id)
{
    struct mq_shard *shard = mq_engine_shard(call->engine, id);
    mq_mutex_lock(&shard->mutex);
    const struct mq_job *job = mq_slot_job(mq_shard_slot(shard, id), id);
    bool covers = !job || mq_right_covers(call->session->right, mq_queue_name(job->queue));
    mq_mutex_unlock(&shard->mutex);
    return covers;
}

static bool covers_jobs(struct mq_call *call)
{
    struct mq_json element = {0};
    uint64_t id;
    while (mq_request_element(call->request, MQ_F_IDS, &element))
        if (mq_request_id(call->request, &element, MQ_F_IDS, &id) == MQ_OK && !covers_job(call, id))
            return false;
    return true;
}

static bool covers_cron(struct mq_call *call)
{
    struct mq_crons *crons = &call->engine->crons;
    mq_mutex_lock(&crons->mutex);
    const struct mq_cron *cron = mq_cron_find(crons, call->request->text[MQ_F_NAME]);
    bool covers = !cron || mq_right_covers(call->session->right, cron->def.queue);
    mq_mutex_unlock(&crons->mutex);
    return covers;
}

bool mq_call_is_covered(struct mq_call *call)
{
    const struct mq_request *request = call->request;
    bool queue = mq_call_has(call, MQ_F_QUEUE), name = mq_call_has(call, MQ_F_NAME), id = mq_call_has(call, MQ_F_ID),
         ids = mq_call_has(call, MQ_F_IDS);
    return (!queue || mq_right_covers(call->session->right, request->text[MQ_F_QUEUE])) && (!name || covers_cron(call)) &&
           (queue || !id || covers_job(call, request->number[MQ_F_ID])) && (queue || !ids || covers_jobs(call)) &&
           (queue || name || id || ids);
}

/* --- for callers in the process --- */

int mq_engine_may(struct mq_engine *engine, const char *token, size_t token_n, const char *command)
{
    struct mq_access *access = mq_engine_access(engine);
    const struct mq_right *right = mq_access_find(access, mq_slice_of(token, token_n));
    int error = MQ_OK, plane = mq_command_plane(engine, mq_slice_of(command, strlen(command)));
    if (access->n && !right)
        error = MQ_E_AUTH_FAILED;
    else if (right && plane != MQ_PLANE_open && (plane < 0 || right->queue_n || !(right->planes >> plane & 1)))
        error = MQ_E_FORBIDDEN;
    mq_access_drop(access);
    return error;
}
