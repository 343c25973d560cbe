/* Jobs come in and go out: PUSH, PUSHB, PULL, PULLB. */
#include "base/check.h"
#include "base/hash.h"
#include "command/handlers.h"
#include "queue/depend.h"

#include <inttypes.h>
#include <stdio.h>

/* --- push --- */

#define LINK_SLICE 100000u /* dependencies linked by whoever pushes them */

#define ITEM_REQUIRED MQ_BIT(MQ_F_DATA)
#define ITEM_OPTIONAL                                                                                                   \
    (MQ_BIT(MQ_F_PRIORITY) | MQ_BIT(MQ_F_DELAY) | MQ_BIT(MQ_F_TTL) | MQ_BIT(MQ_F_TIMEOUT) | MQ_BIT(MQ_F_MAX_ATTEMPTS) | \
     MQ_BIT(MQ_F_BACKOFF) | MQ_BIT(MQ_F_MAX_BACKOFF) | MQ_BIT(MQ_F_UNIQUE_KEY) | MQ_BIT(MQ_F_DEPENDS_ON))

/* The ids of a push's depends_on. 0 or an error with its text. */
static int read_parents(const struct mq_engine *engine, struct mq_request *request, uint64_t *ids, mq_slice *parents)
{
    struct mq_json element = {0};
    uint32_t n = 0;
    while (mq_request_element(request, MQ_F_DEPENDS_ON, &element)) {
        int error = mq_request_id(request, &element, MQ_F_DEPENDS_ON, &ids[n]);
        if (error < 0)
            return error;
        if (!mq_depend_known(engine, ids[n]))
            return mq_request_refuse(request, MQ_E_NOT_FOUND, "Job %" PRIu64 " not found", ids[n]);
        n++;
    }
    *parents = mq_slice_of((const char *)ids, n * sizeof *ids);
    return MQ_OK;
}

int mq_call_read_push(const struct mq_engine *engine, struct mq_request *request, struct mq_push *push, uint64_t *parents)
{
    size_t limit = engine->config.max_job_bytes;
    *push = (struct mq_push){
        .data = request->text[MQ_F_DATA],
        .has_key = mq_has(request, MQ_F_UNIQUE_KEY),
        .priority = (int32_t)mq_number_or(request, MQ_F_PRIORITY, 0),
        .delay_ms = mq_number_or(request, MQ_F_DELAY, 0),
        .ttl_ms = mq_number_or(request, MQ_F_TTL, 0),
        .timeout_ms = mq_number_or(request, MQ_F_TIMEOUT, 0),
        .max_attempts = mq_number_or(request, MQ_F_MAX_ATTEMPTS, 0),
        .backoff_ms = mq_number_or(request, MQ_F_BACKOFF, 0),
        .max_backoff_ms = mq_number_or(request, MQ_F_MAX_BACKOFF, MQ_DEFAULT_MAX_BACKOFF_MS),
    };
    if (push->has_key)
        push->key = request->text[MQ_F_UNIQUE_KEY];
    if (MQ_UNLIKELY(push->data.n > limit)) {
        return mq_request_refuse(request, MQ_E_PAYLOAD_TOO_LARGE,
                                 "Payload too large: data has %zu bytes, at most %zu are allowed", push->data.n, limit);
    }
    if (MQ_UNLIKELY(mq_has(request, MQ_F_DEPENDS_ON)))
        return read_parents(engine, request, parents, &push->parents);
    return MQ_OK;
}

int mq_call_duplicate(struct mq_request *request, mq_slice key)
{
    mq_request_refuse(request, MQ_E_DUPLICATE, "Duplicate job with key: ");
    memcpy(request->why + request->why_n, key.p, key.n); /* at most 1 KiB, and may contain any character */
    request->why_n += (uint32_t)key.n;
    return MQ_E_DUPLICATE;
}

/* Turns a refused push into an error and its text. */
static int push_error(struct mq_request *request, int refusal)
{
    request->why_n = 0;
    if (refusal == MQ_FULL)
        return mq_request_refuse(request, MQ_E_QUEUE_FULL, "Queue full: as many jobs wait as its max_length allows");
    if (refusal != MQ_KEY_TAKEN)
        return refusal == MQ_NO_ROOM ? MQ_E_STORAGE_FULL : MQ_E_OUT_OF_MEMORY;
    return mq_call_duplicate(request, request->text[MQ_F_UNIQUE_KEY]);
}

/* What was pushed knows its parents before it is answered, unless there is no memory for that now. */
static void link_parents(struct mq_call *call, struct mq_shard *shard)
{
    if (MQ_UNLIKELY(mq_shard_is_due(shard, MQ_DUE_DEPENDENCIES, call->now_ms)))
        mq_depend_sweep(call->engine, shard, call->now_ms, LINK_SLICE);
}

enum mq_outcome mq_do_push(struct mq_call *call)
{
    struct mq_push push;
    struct mq_shard *shard;
    uint64_t id = 0, parents[MQ_PARENTS_MAX];
    int error = mq_call_read_push(call->engine, call->request, &push, parents);
    if (MQ_UNLIKELY(error < 0))
        return mq_refuse_request(call, error);
    if (MQ_UNLIKELY(mq_call_memory_room(call) == 0))
        return mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    struct mq_queue *queue = mq_call_queue(call, true, &shard);
    int refusal = queue ? mq_decide_push_locked(shard, queue, &push, call->now_ms, &id) : MQ_NO_MEMORY;
    if (MQ_LIKELY(refusal == MQ_DONE))
        mq_shard_serve_locked(shard, queue, call->now_ms);
    else if (queue)
        mq_slot_queue_release(queue->slot, queue);
    mq_call_unlock(call, shard);
    link_parents(call, shard);
    if (MQ_UNLIKELY(refusal != MQ_DONE)) {
        return mq_refuse_request(call, push_error(call->request, refusal));
    }
    mq_reply_id(call->reply, id);
    return MQ_ANSWERED;
}

/* The items of a batch that were refused. */
struct refused {
    struct mq_item_error *rows;
    size_t n, cap;
    bool no_memory;
};

static void refused_add(struct refused *refused, uint32_t index, int error, mq_slice why)
{
    if (refused->n == refused->cap) {
        size_t cap = refused->cap ? refused->cap * 2 : 16;
        struct mq_item_error *rows = mq_resize(refused->rows, cap * sizeof *rows);
        if (!rows) {
            refused->no_memory = true;
            return;
        }
        refused->rows = rows;
        refused->cap = cap;
    }
    char *copy = why.n ? mq_alloc(why.n) : NULL; /* without memory the error's own text must do */
    if (copy)
        memcpy(copy, why.p, why.n);
    refused->rows[refused->n++] = (struct mq_item_error){
        .index = index,
        .error = (enum mq_error)error,
        .why = mq_slice_of(copy, copy ? why.n : 0),
    };
}

static void refused_free(struct refused *refused)
{
    for (size_t i = 0; i < refused->n; i++)
        mq_free((char *)refused->rows[i].why.p);
    mq_free(refused->rows);
}

/* One item: its id, or 0 and a row in `refused`. */
static uint64_t push_item(struct mq_call *call, struct mq_shard *shard, struct mq_queue *queue, struct mq_request *item,
                          bool is_object, uint32_t index, uint64_t bytes_max, struct refused *refused)
{
    struct mq_push push;
    uint64_t id = 0, parents[MQ_PARENTS_MAX];
    if (MQ_UNLIKELY(!is_object)) {
        refused_add(refused, index, MQ_E_INVALID, MQ_SLICE("Invalid: a job must be an object"));
        return 0;
    }
    int error = mq_request_bind(item, ITEM_REQUIRED, ITEM_OPTIONAL);
    if (error == MQ_OK)
        error = mq_call_read_push(call->engine, item, &push, parents);
    if (error == MQ_OK && MQ_UNLIKELY(shard->bytes >= bytes_max))
        error = push_error(item, MQ_NO_MEMORY);
    if (MQ_LIKELY(error == MQ_OK)) {
        int refusal = mq_decide_push_locked(shard, queue, &push, call->now_ms, &id);
        if (MQ_LIKELY(refusal == MQ_DONE))
            return id;
        error = push_error(item, refusal);
    }
    refused_add(refused, index, error, mq_request_why(item));
    return 0;
}

static void push_items(struct mq_call *call, struct mq_shard *shard, struct mq_queue *queue, struct mq_request *item,
                       uint64_t room, struct refused *refused)
{
    uint32_t n = call->request->item_count, at = 0;
    uint64_t bytes_max = room < UINT64_MAX - shard->bytes ? shard->bytes + room : UINT64_MAX;
    mq_reply_list(call->reply, MQ_RESULT_IDS);
    for (uint32_t i = 0; i < n; i++) {
        bool is_object = mq_request_item(call->request, &at, item);
        mq_reply_list_id(call->reply, push_item(call, shard, queue, item, is_object, i, bytes_max, refused));
    }
    mq_shard_serve_locked(shard, queue, call->now_ms);
}

enum mq_outcome mq_do_pushb(struct mq_call *call)
{
    struct refused refused = {0};
    struct mq_shard *shard;
    uint64_t room = mq_call_memory_room(call);
    size_t most = call->engine->config.max_batch;
    if (call->request->item_count > most)
        return mq_refuse_request(call, mq_request_refuse(call->request, MQ_E_INVALID, "Invalid: jobs may have at most %zu elements", most));
    struct mq_request *item = mq_alloc(sizeof *item);
    /* room for every id first: once jobs are accepted, the answer must not fail */
    if (!item || !mq_ring_reserve(call->reply->out, (size_t)call->request->item_count * 18 + 512)) {
        mq_free(item);
        return mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    }
    mq_request_init(item, call->request->names);
    struct mq_queue *queue = mq_call_queue(call, true, &shard);
    if (queue) {
        push_items(call, shard, queue, item, room, &refused);
        mq_slot_queue_release(queue->slot, queue);
    }
    mq_call_unlock(call, shard);
    link_parents(call, shard);
    mq_free(item);
    if (!queue)
        return mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    if (refused.no_memory)
        call->reply->failed = true;
    if (refused.n)
        mq_reply_item_errors_end(call->reply, refused.rows, refused.n);
    else
        mq_reply_list_end(call->reply);
    refused_free(&refused);
    return MQ_ANSWERED;
}

/* --- pull --- */

static const char *const reasons[] = {NULL, "failed", "timeout", "worker_lost", "expired_lease", "dependency_failed"};

const char *mq_reason_name(unsigned reason) { return reasons[reason]; }

int mq_reason_find(mq_slice name)
{
    for (int i = 1; i < (int)(sizeof reasons / sizeof *reasons); i++)
        if (mq_slice_eq(name, mq_slice_of(reasons[i], strlen(reasons[i]))))
            return i;
    return -1;
}

struct mq_job_view mq_view_job(const struct mq_job *job)
{
    const struct mq_options *options = mq_job_options(job);
    const struct mq_extra *extra = job->extra;
    struct mq_job_view view = {
        .id = job->id,
        .queue_json = mq_queue_name_json(job->queue),
        .data = mq_job_data(job),
        .created_ms = job->created_ms,
        .run_at_ms = job->run_at_ms,
        .started_ms = job->started_ms,
        .attempts = job->attempts,
        .max_backoff_ms = MQ_DEFAULT_MAX_BACKOFF_MS,
        .deliveries = job->deliveries,
        .priority = job->priority,
        .has_key = job->has_key,
        .unique_key = mq_job_key(job),
        .has_token = job->state == MQ_JOB_ACTIVE,
    };
    if (view.has_token)
        view.token = job->at.hold->token;
    if (options) {
        view.max_attempts = options->max_attempts;
        view.backoff_ms = options->backoff_ms;
        view.max_backoff_ms = options->max_backoff_ms;
        view.ttl_ms = options->ttl_ms;
        view.timeout_ms = options->timeout_ms;
    }
    if (extra) {
        view.last_error = mq_slice_of(extra->error, extra->error_n);
        view.message = mq_slice_of(extra->message, extra->message_n);
        view.progress = extra->progress;
        if (extra->deps)
            view.parents = extra->deps->ids, view.parent_n = extra->deps->n;
    }
    if (job->state == MQ_JOB_DEAD)
        view.reason = mq_reason_name(extra->reason);
    return view;
}

/* What being delivered changes in a job's view. */
static void view_delivery(struct mq_job_view *view, const struct mq_job *job)
{
    view->started_ms = job->started_ms;
    view->deliveries = job->deliveries;
    view->has_token = true;
    view->token = job->at.hold->token;
}

void mq_give_nothing(struct mq_reply *reply, bool batch)
{
    if (!batch) {
        mq_reply_job(reply, NULL);
        return;
    }
    mq_reply_list(reply, MQ_RESULT_JOBS);
    mq_reply_list_end(reply);
}

uint32_t mq_give_locked(struct mq_shard *shard, struct mq_queue *queue, struct mq_holder *holder, const struct mq_pull *pull,
                        struct mq_reply *reply, struct mq_given *given, size_t max_bytes, int64_t now_ms)
{
    uint32_t n = 0;
    bool no_room = false;
    if (MQ_UNLIKELY(mq_decide_lease_reserve_locked(shard, queue) < 0)) {
        mq_reply_refuse(reply, MQ_E_OUT_OF_MEMORY, (mq_slice){NULL, 0});
        return 0;
    }
    if (pull->batch)
        mq_reply_list(reply, MQ_RESULT_JOBS);
    while (n < pull->count && !reply->failed && (n == 0 || mq_reply_used(reply) < max_bytes)) {
        if (!mq_decide_can_give_locked(shard, queue, now_ms))
            break;
        struct mq_job_view view = mq_view_job(mq_ready_first(&queue->ready));
        if (!mq_ring_reserve(reply->out, mq_reply_job_room(&view))) { /* first: a job given must also be told */
            no_room = true;
            break;
        }
        struct mq_job *job = mq_decide_lease_locked(shard, queue, holder, pull->lease_ms, now_ms);
        if (!job)
            break;
        view_delivery(&view, job);
        if (pull->batch)
            mq_reply_list_job(reply, &view);
        else
            mq_reply_job(reply, &view);
        if (given)
            given[n] = (struct mq_given){view.id, view.token};
        n++;
    }
    if (pull->batch)
        mq_reply_list_end(reply);
    else if (n == 0 && no_room)
        mq_reply_refuse(reply, MQ_E_OUT_OF_MEMORY, (mq_slice){NULL, 0});
    else if (n == 0)
        mq_reply_job(reply, NULL);
    return n;
}

int mq_call_may_park(struct mq_call *call)
{
    const struct mq_session *session = call->session;
    size_t most = call->engine->config.max_parked;
    if (session->parked_n && session->parked_n(session) >= most)
        return mq_request_refuse(call->request, MQ_E_UNAVAILABLE, "Unavailable: %zu commands of this connection wait already", most);
    return MQ_OK;
}

/* Nothing can be given now. 0: the pull waits; else why it cannot. */
static int wait_locked(struct mq_call *call, struct mq_shard *shard, struct mq_queue *queue, const struct mq_pull *pull)
{
    int64_t until = MQ_NEVER;
    int error = mq_call_may_park(call);
    if (error < 0)
        return error;
    if (mq_call_has(call, MQ_F_TIMEOUT))
        until = mq_time_add(call->now_ms, call->request->number[MQ_F_TIMEOUT]);
    struct mq_waiter *waiter = queue ? call->session->park(call->session, call, pull, until) : NULL;
    if (!waiter)
        return mq_request_refuse(call->request, MQ_E_OUT_OF_MEMORY, "Out of memory");
    waiter->queue = queue;
    waiter->hash = queue->hash;
    waiter->parked = true;
    mq_list_append(&queue->waiters, &waiter->node);
    if (MQ_UNLIKELY(queue->limits.rate))
        mq_shard_retime_locked(shard, queue); /* the next token wakes it */
    return MQ_OK;
}

#define EXPIRED_SLICES 4u /* of jobs at the front whose TTL has run out: how many of them a pull clears away itself */

/* The queue, locked; NULL: unknown. *give: it has a job to give. */
static struct mq_queue *find_to_pull(struct mq_call *call, bool make, struct mq_shard **shard, bool *give)
{
    struct mq_queue *queue = mq_call_queue(call, make, shard);
    *give = queue && mq_decide_can_give_locked(*shard, queue, call->now_ms);
    for (unsigned i = 0; i < EXPIRED_SLICES && queue && MQ_UNLIKELY(!*give) &&
                         mq_decide_is_behind_locked(queue, call->now_ms); i++) {
        mq_call_unlock(call, *shard);
        mq_mutex_let_in(&(*shard)->mutex);
        queue = mq_call_queue(call, make, shard);
        *give = queue && mq_decide_can_give_locked(*shard, queue, call->now_ms);
    }
    return queue;
}

static enum mq_outcome pull(struct mq_call *call, uint32_t count, bool batch)
{
    struct mq_session *session = call->session;
    struct mq_holder *holder = session->holder ? session->holder(session) : NULL;
    struct mq_pull pull = {
        .count = count,
        .batch = batch,
        .lease_ms = mq_number_or(call->request, MQ_F_LEASE, session->holder ? 0 : call->engine->config.lease_ms),
    };
    bool may_wait = session->park && !session->may_not_wait && mq_number_or(call->request, MQ_F_TIMEOUT, 1) > 0;
    struct mq_shard *shard;
    int error = MQ_OK;
    enum mq_outcome outcome = MQ_ANSWERED;
    if (MQ_UNLIKELY(session->holder && !holder))
        return mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    bool give;
    struct mq_queue *queue = find_to_pull(call, may_wait, &shard, &give);
    if (give) {
        mq_give_locked(shard, queue, holder, &pull, call->reply, NULL, call->engine->config.max_output, call->now_ms);
    } else if (may_wait) {
        error = wait_locked(call, shard, queue, &pull);
        if (error < 0 && queue)
            mq_slot_queue_release(queue->slot, queue);
        outcome = MQ_PARKED;
    } else {
        mq_give_nothing(call->reply, batch);
    }
    mq_call_unlock(call, shard);
    return error < 0 ? mq_refuse_request(call, error) : outcome;
}

enum mq_outcome mq_do_pull(struct mq_call *call) { return pull(call, 1, false); }

enum mq_outcome mq_do_pullb(struct mq_call *call)
{
    uint64_t count = call->request->number[MQ_F_COUNT];
    if (count == 0) {
        mq_give_nothing(call->reply, true);
        return MQ_ANSWERED;
    }
    return pull(call, count < MQ_PULLB_MAX ? (uint32_t)count : MQ_PULLB_MAX, true);
}
