/* The dead-letter queue, and dropping jobs by the thousand: DLQ, RETRYDLQ, PURGEDLQ, DRAIN, OBLITERATE. */
#include "base/check.h"
#include "command/handlers.h"

#define SLICE 512u /* jobs dropped before others get at the shard */

enum mq_outcome mq_do_dlq(struct mq_call *call)
{
    struct mq_shard *shard;
    uint64_t count = mq_number_or(call->request, MQ_F_COUNT, 100);
    struct mq_queue *queue = mq_call_queue(call, false, &shard);
    mq_reply_list(call->reply, MQ_RESULT_JOBS);
    if (queue) {
        for (struct mq_list *node = queue->dead.next; node != &queue->dead && count--; node = node->next) {
            struct mq_job_view view = mq_view_job(mq_list_entry(node, struct mq_extra, dead)->job);
            mq_reply_list_job(call->reply, &view);
            if (mq_reply_used(call->reply) >= call->engine->config.max_output)
                break;
        }
    }
    mq_call_unlock(call, shard);
    mq_reply_list_end(call->reply);
    return MQ_ANSWERED;
}

/* --- some of them, by id --- */

/* What is done to a dead job of `queue`. MQ_DONE or a refusal. */
typedef int act_on_dead(struct mq_call *call, struct mq_shard *shard, struct mq_queue *queue, struct mq_job *job);

static int retry_dead(struct mq_call *call, struct mq_shard *shard, struct mq_queue *queue, struct mq_job *job)
{
    int refusal = mq_decide_retry_dead_locked(shard, job, call->now_ms);
    if (refusal == MQ_DONE)
        mq_shard_serve_locked(shard, queue, call->now_ms);
    return refusal;
}

static int purge_dead(struct mq_call *call, struct mq_shard *shard, struct mq_queue *queue, struct mq_job *job)
{
    (void)queue;
    return mq_decide_purge_dead_locked(shard, job, call->now_ms);
}

static enum mq_outcome answer_done(struct mq_call *call, act_on_dead *act, uint64_t done)
{
    if (act == retry_dead)
        mq_reply_count_listed(call->reply, done);
    else
        mq_reply_count(call->reply, done);
    return MQ_ANSWERED;
}

/* The queue's dead job of that id, or NULL. */
static struct mq_job *dead_job(const struct mq_queue *queue, uint64_t id)
{
    struct mq_job *job = queue && queue->slot->number == id % MQ_SLOTS ? mq_slot_job(queue->slot, id) : NULL;
    return job && job->queue == queue && job->state == MQ_JOB_DEAD ? job : NULL;
}

/* Those of `ids` that are dead letters of the queue; the others are skipped. */
static enum mq_outcome act_on_ids(struct mq_call *call, act_on_dead *act)
{
    struct mq_json element = {0};
    uint64_t done = 0, id = 0;
    bool more = true;
    while (more) {
        struct mq_shard *shard;
        struct mq_queue *queue = mq_call_queue(call, false, &shard);
        for (unsigned i = 0; i < SLICE && (more = mq_request_element(call->request, MQ_F_IDS, &element)); i++) {
            mq_request_id(call->request, &element, MQ_F_IDS, &id);
            struct mq_job *job = dead_job(queue, id);
            done += job && act(call, shard, queue, job) == MQ_DONE;
        }
        mq_call_unlock(call, shard);
        mq_mutex_let_in(&shard->mutex);
    }
    return answer_done(call, act, done);
}

static enum mq_outcome retry_one(struct mq_call *call, uint64_t id)
{
    struct mq_shard *shard;
    struct mq_queue *queue = mq_call_queue(call, false, &shard);
    struct mq_job *job = dead_job(queue, id);
    int refusal = job ? retry_dead(call, shard, queue, job) : MQ_NO_JOB;
    if (refusal == MQ_KEY_TAKEN)
        mq_call_duplicate(call->request, mq_job_key(job));
    mq_call_unlock(call, shard);
    if (refusal == MQ_KEY_TAKEN)
        return mq_refuse_request(call, MQ_E_DUPLICATE);
    if (refusal != MQ_DONE)
        return mq_refuse_job(call, refusal, id);
    mq_reply_count_listed(call->reply, 1);
    return MQ_ANSWERED;
}

/* --- all of them, or those of one reason --- */

/* A walk over a dead-letter queue, in slices: at most as many as there were when it began, so what dies meanwhile stays. */
struct dead_walk {
    int reason;     /* 0 = any */
    uint64_t after; /* id of the last job that was looked at and stays; 0 = none yet */
    uint64_t left;  /* to be looked at */
    uint64_t done;
};

static void walk_slice(struct mq_call *call, struct mq_shard *shard, struct mq_queue *queue, struct dead_walk *walk, act_on_dead *act)
{
    struct mq_job *stayed = walk->after ? dead_job(queue, walk->after) : NULL;
    struct mq_list *node = stayed ? stayed->extra->dead.next : queue->dead.next;
    for (unsigned n = 0; n < SLICE && walk->left; n++, walk->left--) {
        if (node == &queue->dead) {
            walk->left = 0;
            return;
        }
        struct mq_job *job = mq_list_entry(node, struct mq_extra, dead)->job;
        node = node->next;
        if ((!walk->reason || job->extra->reason == walk->reason) && act(call, shard, queue, job) == MQ_DONE)
            walk->done++;
        else
            walk->after = job->id;
    }
}

/* 0, or an error with its text. */
static int read_reason(struct mq_call *call, int *reason)
{
    *reason = mq_call_has(call, MQ_F_REASON) ? mq_reason_find(call->request->text[MQ_F_REASON]) : 0;
    return *reason < 0 ? mq_request_refuse(call->request, MQ_E_INVALID, MQ_REASON_WRONG) : MQ_OK;
}

static enum mq_outcome act_on_all(struct mq_call *call, act_on_dead *act)
{
    struct dead_walk walk = {.left = UINT64_MAX};
    int error = read_reason(call, &walk.reason);
    if (error < 0)
        return mq_refuse_request(call, error);
    while (walk.left) {
        struct mq_shard *shard;
        struct mq_queue *queue = mq_call_queue(call, false, &shard);
        if (!queue)
            walk.left = 0;
        else if (walk.left == UINT64_MAX)
            walk.left = queue->dead_n;
        if (walk.left)
            walk_slice(call, shard, queue, &walk, act);
        mq_call_unlock(call, shard);
        mq_mutex_let_in(&shard->mutex);
    }
    return answer_done(call, act, walk.done);
}

static enum mq_outcome act_on_some(struct mq_call *call, act_on_dead *act)
{
    bool one = mq_call_has(call, MQ_F_ID), ids = mq_call_has(call, MQ_F_IDS), reason = mq_call_has(call, MQ_F_REASON);
    if (mq_call_disk_is_full(call))
        return mq_refuse(call, MQ_E_STORAGE_FULL, NULL);
    if (one + ids + reason > 1)
        return mq_refuse(call, MQ_E_INVALID, "Invalid: only one of id, ids and reason may be given");
    if (one)
        return retry_one(call, call->request->number[MQ_F_ID]);
    return ids ? act_on_ids(call, act) : act_on_all(call, act);
}

enum mq_outcome mq_do_retrydlq(struct mq_call *call) { return act_on_some(call, retry_dead); }

enum mq_outcome mq_do_purgedlq(struct mq_call *call) { return act_on_some(call, purge_dead); }

/* --- those that wait --- */

/* Drops the next job to be delivered; false when there is none left, or no memory to say so. */
static bool drop_waiting(struct mq_shard *shard, struct mq_queue *queue, int64_t now_ms)
{
    struct mq_job *job = mq_ready_first(&queue->ready);
    if (!job && queue->delayed.n)
        job = mq_heap_top(&queue->delayed)->item;
    return job && mq_decide_cancel_locked(shard, job->id, now_ms) == MQ_DONE;
}

/* As many as there were when it began, in slices: what is pushed meanwhile may stay. Returns how many. */
static uint64_t drop_all_waiting(struct mq_call *call)
{
    uint64_t dropped = 0, wanted = UINT64_MAX;
    bool more = true;
    while (more && dropped < wanted) {
        struct mq_shard *shard;
        struct mq_queue *queue = mq_call_queue(call, false, &shard);
        if (queue && wanted == UINT64_MAX)
            wanted = queue->ready.n + queue->delayed.n;
        more = queue != NULL;
        for (unsigned i = 0; more && i < SLICE && dropped < wanted; i++) {
            more = drop_waiting(shard, queue, call->now_ms);
            dropped += more;
        }
        mq_call_unlock(call, shard);
        mq_mutex_let_in(&shard->mutex);
    }
    return dropped;
}

/* --- all of a queue, by id --- */

/* Ends one job, whatever its state; 0 or a refusal. */
static int end_any(struct mq_shard *shard, struct mq_job *job, int64_t now_ms)
{
    if (job->state == MQ_JOB_DONE)
        return mq_decide_trim_job_locked(shard, job, now_ms);
    if (job->state == MQ_JOB_DEAD)
        return mq_decide_purge_dead_locked(shard, job, now_ms);
    return mq_decide_cancel_locked(shard, job->id, now_ms);
}

/* A walk over a queue's jobs, in slices. Those that wait for others are ended first and from the last id down: what depends on a
 * job has a higher id, so no job of the queue fails because another one of it is dropped. */
struct by_id {
    enum mq_job_state state; /* or MQ_JOB_ANY */
    bool down;
    uint64_t from;  /* counter: where to go on */
    uint64_t ended; /* so far; completed ones not counted */
    bool no_memory;
};

/* Ends some jobs of the queue; false when there is none left. */
static bool end_slice(struct mq_shard *shard, struct mq_queue *queue, struct by_id *walk, int64_t now_ms)
{
    for (unsigned i = 0; i < SLICE; i++) {
        const struct mq_index *jobs = &queue->slot->jobs;
        struct mq_job *job = walk->down ? mq_index_down(jobs, walk->state, walk->from) : mq_index_up(jobs, walk->state, walk->from);
        if (!job)
            return false;
        walk->from = walk->down ? job->id / MQ_SLOTS - 1 : job->id / MQ_SLOTS + 1;
        if (job->queue != queue)
            continue;
        bool counts = job->state != MQ_JOB_DONE;
        if (end_any(shard, job, now_ms) < 0) {
            walk->no_memory = true;
            return false;
        }
        walk->ended += counts;
    }
    return true;
}

/* Drops the jobs that wait for others; those pushed meanwhile may stay. */
static uint64_t drop_parents(struct mq_call *call)
{
    struct by_id walk = {.state = MQ_JOB_PARENT, .down = true, .from = UINT64_MAX / MQ_SLOTS};
    for (bool more = true; more;) {
        struct mq_shard *shard;
        struct mq_queue *queue = mq_call_queue(call, false, &shard);
        more = queue && queue->parent_n && end_slice(shard, queue, &walk, call->now_ms);
        mq_call_unlock(call, shard);
        mq_mutex_let_in(&shard->mutex);
    }
    return walk.ended;
}

enum mq_outcome mq_do_drain(struct mq_call *call)
{
    if (mq_call_disk_is_full(call))
        return mq_refuse(call, MQ_E_STORAGE_FULL, NULL);
    uint64_t dropped = drop_parents(call);
    mq_reply_count(call->reply, dropped + drop_all_waiting(call));
    return MQ_ANSWERED;
}

/* Ids only grow: when the walk comes to the end under the lock, the queue has no job. */
enum mq_outcome mq_do_obliterate(struct mq_call *call)
{
    if (mq_call_disk_is_full(call))
        return mq_refuse(call, MQ_E_STORAGE_FULL, NULL);
    struct by_id walk = {.state = MQ_JOB_ANY};
    walk.ended = drop_parents(call);
    for (bool more = true; more;) {
        struct mq_shard *shard;
        struct mq_queue *queue = mq_call_queue(call, false, &shard);
        more = queue && end_slice(shard, queue, &walk, call->now_ms);
        if (queue && !more && !walk.no_memory && queue->known)
            walk.no_memory = mq_decide_forget_queue_locked(shard, queue, call->now_ms) < 0;
        mq_call_unlock(call, shard);
        mq_mutex_let_in(&shard->mutex);
    }
    if (walk.no_memory)
        return mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    mq_reply_count(call->reply, walk.ended);
    return MQ_ANSWERED;
}
