/* Commands whose answer comes later, or again and again: WAITJOB, SUBSCRIBE. */
#include "base/check.h"
#include "base/hash.h"
#include "base/quote.h"
#include "command/handlers.h"

#include <inttypes.h>
#include <stdio.h>

#define WAITJOB_MS 30000u

/* --- WAITJOB --- */

void mq_tell_ending(struct mq_reply *reply, const struct mq_ending *ending, uint64_t id)
{
    char why[64];
    switch (ending->how) {
    case MQ_ENDED_COMPLETED:
        mq_reply_ending(reply, ending->text);
        break;
    case MQ_ENDED_FAILED:
        if (ending->text.p)
            mq_reply_refuse_quoted(reply, MQ_E_FAILED, ending->text);
        else
            mq_reply_refuse(reply, MQ_E_FAILED, (mq_slice){NULL, 0});
        break;
    case MQ_ENDED_GONE:
        mq_reply_refuse(reply, MQ_E_NOT_FOUND,
                        mq_slice_of(why, (size_t)snprintf(why, sizeof why, "Job %" PRIu64 " not found", id)));
        break;
    }
}

void mq_tell_no_ending(struct mq_reply *reply, uint64_t id)
{
    char why[64];
    mq_reply_refuse(reply, MQ_E_TIMEOUT,
                    mq_slice_of(why, (size_t)snprintf(why, sizeof why, "Timeout waiting for job %" PRIu64, id)));
}

/* True if the job has ended: then *ending says how. */
static bool has_ended(const struct mq_job *job, struct mq_ending *ending)
{
    *ending = (struct mq_ending){.how = MQ_ENDED_GONE};
    if (!job)
        return true;
    if (job->state == MQ_JOB_DONE) {
        ending->how = MQ_ENDED_COMPLETED;
        if (job->extra)
            ending->text = mq_slice_of(job->extra->result, job->extra->result_n);
    } else if (job->state == MQ_JOB_DEAD) {
        ending->how = MQ_ENDED_FAILED;
        ending->text = mq_slice_of(job->extra->error, job->extra->error_n);
    } else {
        return false;
    }
    return true;
}

/* 0, or an error with its text. */
static int park_locked(struct mq_call *call, struct mq_shard *shard, struct mq_job *job, int64_t until_ms)
{
    int error = mq_call_may_park(call);
    if (error < 0)
        return error;
    struct mq_extra *extra = mq_decide_extra_locked(shard, job);
    struct mq_waiter *waiter = extra ? call->session->park(call->session, call, NULL, until_ms) : NULL;
    if (!waiter)
        return mq_request_refuse(call->request, MQ_E_OUT_OF_MEMORY, "Out of memory");
    waiter->hash = job->id;
    waiter->parked = true;
    mq_list_append(&extra->waiters, &waiter->node);
    return MQ_OK;
}

enum mq_outcome mq_do_waitjob(struct mq_call *call)
{
    uint64_t id = call->request->number[MQ_F_ID], timeout = mq_number_or(call->request, MQ_F_TIMEOUT, WAITJOB_MS);
    bool may_wait = call->session->park && !call->session->may_not_wait && timeout;
    struct mq_ending ending;
    int error = MQ_OK;
    enum mq_outcome outcome = MQ_ANSWERED;
    struct mq_shard *shard = mq_call_lock(call, id);
    struct mq_job *job = mq_slot_job(mq_shard_slot(shard, id), id);
    if (has_ended(job, &ending)) {
        mq_tell_ending(call->reply, &ending, id);
    } else if (!may_wait) {
        mq_tell_no_ending(call->reply, id);
    } else {
        error = park_locked(call, shard, job, mq_time_add(call->now_ms, timeout));
        outcome = MQ_PARKED;
    }
    mq_call_unlock(call, shard);
    return error < 0 ? mq_refuse_request(call, error) : outcome;
}

/* --- events --- */

/* The events named, all if none is; 0: an unknown name, with its text. */
static uint32_t read_events(struct mq_call *call)
{
    struct mq_json element = {0};
    uint32_t events = 0;
    while (mq_call_has(call, MQ_F_EVENTS) && mq_request_element(call->request, MQ_F_EVENTS, &element)) {
        char name[16];
        int64_t n = element.kind == MQ_JSON_NULL ? -1 : mq_json_decode(&element, name, sizeof name);
        int event = n < 0 ? -1 : mq_event_find(mq_slice_of(name, (size_t)n));
        if (event < 0) {
            mq_request_refuse(call->request, MQ_E_INVALID,
                              "Invalid: events may be pushed, active, completed, failed, retrying, timeout, expired, "
                              "cancelled, progress and stalled");
            return 0;
        }
        events |= 1u << event;
    }
    return events ? events : MQ_EVENTS_ALL;
}

/* Hands the subscription, or its end, to the session. */
static enum mq_outcome subscribe(struct mq_call *call, bool on)
{
    struct mq_session *session = call->session;
    mq_slice name = call->request->text[MQ_F_QUEUE];
    char json[MQ_QUOTED_MAX(MQ_QUEUE_NAME_MAX)];
    uint32_t events = read_events(call);
    if (!events)
        return mq_refuse_request(call, MQ_E_INVALID);
    if (!session->subscribe)
        return mq_refuse(call, MQ_E_NOT_SUPPORTED, "Not supported: events need a connection of their own");
    struct mq_subscription wanted = {
        .all = mq_slice_eq(name, MQ_SLICE("*")),
        .queue = name,
        .queue_hash = mq_hash_bytes(name.p, name.n),
        .queue_json = mq_slice_of(json, mq_quote(name, json)),
        .events = events,
    };
    int error = session->subscribe(session, &wanted, on);
    if (error == MQ_E_UNAVAILABLE)
        return mq_refuse(call, MQ_E_UNAVAILABLE, "Unavailable: a connection may have at most 1000 subscriptions");
    if (error < 0)
        return mq_refuse(call, (enum mq_error)error, NULL);
    mq_reply_ok(call->reply);
    return MQ_ANSWERED;
}

enum mq_outcome mq_do_subscribe(struct mq_call *call) { return subscribe(call, true); }

enum mq_outcome mq_do_unsubscribe(struct mq_call *call) { return subscribe(call, false); }
