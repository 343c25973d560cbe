/* What is done with a job that is held: ACK, FAIL, RELEASE, HEARTBEAT, PROGRESS; and CANCEL, in any state. */
#include "base/check.h"
#include "command/handlers.h"

static bool result_too_large(const struct mq_call *call, size_t n) { return n > call->engine->config.max_job_bytes; }

/* Does one thing with the held job that the call names, under its shard's mutex. */
typedef int act_on_held(struct mq_call *call, struct mq_shard *shard, struct mq_job *job);

static int on_held(struct mq_call *call, act_on_held *act)
{
    struct mq_claim claim = mq_call_claim(call);
    struct mq_job *job;
    struct mq_shard *shard = mq_call_lock(call, claim.id);
    int refusal = mq_decide_find_held_locked(shard, &claim, &job);
    if (MQ_LIKELY(refusal == MQ_DONE))
        refusal = act(call, shard, job);
    mq_call_unlock(call, shard);
    return refusal;
}

static enum mq_outcome answer_held(struct mq_call *call, act_on_held *act)
{
    return mq_answer_job(call, on_held(call, act), call->request->number[MQ_F_ID]);
}

static mq_slice text_or_none(const struct mq_call *call, enum mq_field field)
{
    return mq_call_has(call, field) ? call->request->text[field] : (mq_slice){NULL, 0};
}

static int act_ack(struct mq_call *call, struct mq_shard *shard, struct mq_job *job)
{
    return mq_decide_ack_locked(shard, job, text_or_none(call, MQ_F_RESULT), call->now_ms);
}

enum mq_outcome mq_do_ack(struct mq_call *call)
{
    if (result_too_large(call, text_or_none(call, MQ_F_RESULT).n))
        return mq_refuse(call, MQ_E_PAYLOAD_TOO_LARGE, "Payload too large: result is over MAX_JOB_BYTES");
    return answer_held(call, act_ack);
}

static int act_fail(struct mq_call *call, struct mq_shard *shard, struct mq_job *job)
{
    bool unrecoverable = mq_number_or(call->request, MQ_F_UNRECOVERABLE, 0);
    return mq_decide_fail_locked(shard, job, text_or_none(call, MQ_F_ERROR), unrecoverable, call->now_ms);
}

enum mq_outcome mq_do_fail(struct mq_call *call) { return answer_held(call, act_fail); }

/* Walks ids with their tokens and results side by side. */
struct batch {
    struct mq_json id, token, result;
};

static size_t array_size(const struct mq_request *request, enum mq_field field)
{
    struct mq_json element = {0};
    size_t n = 0;
    while (mq_request_element(request, field, &element))
        n++;
    return n;
}

/* 0, or an error: tokens and results must be as many as ids. */
static int batch_check(struct mq_call *call)
{
    if (mq_call_disk_is_full(call))
        return mq_request_refuse(call->request, MQ_E_STORAGE_FULL, "Storage full");
    static const struct {
        enum mq_field field;
        const char *why;
    } sides[] = {{MQ_F_TOKENS, "Invalid: tokens must have as many items as ids"},
                 {MQ_F_RESULTS, "Invalid: results must have as many items as ids"}};
    for (int i = 0; i < 2; i++)
        if (mq_call_has(call, sides[i].field) &&
            array_size(call->request, sides[i].field) != array_size(call->request, MQ_F_IDS)) {
            return mq_request_refuse(call->request, MQ_E_INVALID, "%s", sides[i].why);
        }
    return MQ_OK;
}

static bool batch_next(struct mq_call *call, struct batch *batch, struct mq_claim *claim)
{
    if (!mq_request_element(call->request, MQ_F_IDS, &batch->id))
        return false;
    *claim = (struct mq_claim){0};
    mq_request_id(call->request, &batch->id, MQ_F_IDS, &claim->id);
    if (mq_call_has(call, MQ_F_TOKENS)) {
        mq_request_element(call->request, MQ_F_TOKENS, &batch->token);
        mq_claim_token(claim, &batch->token);
    }
    if (mq_call_has(call, MQ_F_RESULTS))
        mq_request_element(call->request, MQ_F_RESULTS, &batch->result);
    return true;
}

/* Moves the lock to the id's shard; neighbouring ids mostly share it. */
static struct mq_shard *relock(struct mq_call *call, struct mq_shard *held, uint64_t id)
{
    struct mq_shard *wanted = mq_engine_shard(call->engine, id);
    if (wanted == held)
        return held;
    if (held)
        mq_call_unlock(call, held);
    return mq_call_lock(call, id);
}

static uint64_t release_or_ack_batch(struct mq_call *call, bool ack)
{
    struct batch batch = {0};
    struct mq_claim claim;
    struct mq_shard *shard = NULL;
    uint64_t count = 0, delay = mq_number_or(call->request, MQ_F_DELAY, 0);
    while (batch_next(call, &batch, &claim)) {
        struct mq_job *job;
        shard = relock(call, shard, claim.id);
        if (mq_decide_find_held_locked(shard, &claim, &job) != MQ_DONE || result_too_large(call, batch.result.n))
            continue;
        bool has_result = batch.result.p && batch.result.kind != MQ_JSON_NULL;
        mq_slice result = has_result ? mq_slice_of(batch.result.p, batch.result.n) : (mq_slice){NULL, 0};
        int refusal = ack ? mq_decide_ack_locked(shard, job, result, call->now_ms)
                          : mq_decide_release_locked(shard, job, delay, false, call->now_ms);
        count += refusal == MQ_DONE;
    }
    if (shard)
        mq_call_unlock(call, shard);
    return count;
}

enum mq_outcome mq_do_ackb(struct mq_call *call)
{
    int error = batch_check(call);
    if (error < 0)
        return mq_refuse_request(call, error);
    mq_reply_count_listed(call->reply, release_or_ack_batch(call, true));
    return MQ_ANSWERED;
}

static int act_release(struct mq_call *call, struct mq_shard *shard, struct mq_job *job)
{
    return mq_decide_release_locked(shard, job, mq_number_or(call->request, MQ_F_DELAY, 0), false, call->now_ms);
}

enum mq_outcome mq_do_release(struct mq_call *call)
{
    bool one = mq_call_has(call, MQ_F_ID), many = mq_call_has(call, MQ_F_IDS);
    if (one == many)
        return mq_refuse(call, MQ_E_INVALID, "Invalid: either id or ids is required");
    if (many) {
        int error = batch_check(call);
        if (error < 0)
            return mq_refuse_request(call, error);
        mq_reply_count(call->reply, release_or_ack_batch(call, false));
        return MQ_ANSWERED;
    }
    int refusal = on_held(call, act_release);
    if (refusal != MQ_DONE)
        return mq_refuse_job(call, refusal, call->request->number[MQ_F_ID]);
    mq_reply_count(call->reply, 1);
    return MQ_ANSWERED;
}

enum mq_outcome mq_do_cancel(struct mq_call *call)
{
    uint64_t id = call->request->number[MQ_F_ID];
    struct mq_shard *shard = mq_call_lock(call, id);
    int refusal = mq_decide_cancel_locked(shard, id, call->now_ms);
    mq_call_unlock(call, shard);
    return mq_answer_job(call, refusal, id);
}

static int act_heartbeat(struct mq_call *call, struct mq_shard *shard, struct mq_job *job)
{
    return mq_decide_extend_locked(shard, job, mq_number_or(call->request, MQ_F_LEASE, 0), call->now_ms);
}

enum mq_outcome mq_do_heartbeat(struct mq_call *call) { return answer_held(call, act_heartbeat); }

static int act_progress(struct mq_call *call, struct mq_shard *shard, struct mq_job *job)
{
    uint8_t progress = (uint8_t)call->request->number[MQ_F_PROGRESS];
    return mq_decide_progress_locked(shard, job, progress, text_or_none(call, MQ_F_MESSAGE), call->now_ms);
}

enum mq_outcome mq_do_progress(struct mq_call *call) { return answer_held(call, act_progress); }

enum mq_outcome mq_do_getprogress(struct mq_call *call)
{
    struct mq_claim claim = mq_call_claim(call);
    struct mq_job *job;
    struct mq_shard *shard = mq_call_lock(call, claim.id);
    int refusal = mq_decide_find_held_locked(shard, &claim, &job);
    if (refusal == MQ_NO_JOB) { /* a completed one is looked at as long as it is kept */
        job = mq_slot_job(mq_shard_slot(shard, claim.id), claim.id);
        refusal = job ? MQ_DONE : MQ_NO_JOB;
    }
    if (refusal == MQ_DONE) {
        struct mq_job_view view = mq_view_job(job);
        mq_reply_progress(call->reply, &view);
    }
    mq_call_unlock(call, shard);
    return refusal == MQ_DONE ? MQ_ANSWERED : mq_refuse_job(call, refusal, claim.id);
}
