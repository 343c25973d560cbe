/* Commands that look: one job, a queue's jobs, counts and metrics. */
#include "base/check.h"
#include "command/handlers.h"
#include "queue/history.h"

/* --- one job --- */

/* By enum mq_job_state. */
static const char *const state_names[MQ_JOB_STATES] = {
    [MQ_JOB_READY] = "waiting", [MQ_JOB_DELAYED] = "delayed", [MQ_JOB_PARENT] = "waitingparent",
    [MQ_JOB_ACTIVE] = "active", [MQ_JOB_DEAD] = "failed",     [MQ_JOB_DONE] = "completed",
};

static const char *state_of(const struct mq_job *job) { return job ? state_names[job->state] : "unknown"; }

#define PARENTS_SHOWN 100u

/* Which jobs this one waits for: their ids, at most PARENTS_SHOWN. */
static uint32_t open_parents(const struct mq_job *job, struct mq_parent_view *parents)
{
    const struct mq_deps *deps = job->extra->deps;
    uint32_t n = 0;
    for (uint32_t i = 0; i < deps->n && n < PARENTS_SHOWN; i++) {
        uint32_t same = 0;
        while (same < n && parents[same].id != deps->ids[i])
            same++;
        if (deps->links[i].outcome == MQ_PARENT_OPEN && same == n)
            parents[n++].id = deps->ids[i];
    }
    return n;
}

static void look_up_states(struct mq_call *call, struct mq_parent_view *parents, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct mq_shard *shard = mq_call_lock(call, parents[i].id);
        parents[i].state = state_of(mq_slot_job(mq_shard_slot(shard, parents[i].id), parents[i].id));
        mq_call_unlock(call, shard);
    }
}

/* What only a job that is looked at tells: when it ended and, with `errors`, how its last attempts failed. */
static void show_past(struct mq_job_view *view, const struct mq_job *job, struct mq_attempt_view *errors)
{
    mq_slice history = job->extra ? mq_slice_of(job->extra->history, job->extra->history_n) : (mq_slice){NULL, 0};
    struct mq_history_entry entry;
    uint32_t n = 0;
    for (; errors && n < MQ_HISTORY_ENTRIES && mq_history_next(&history, &entry); n++)
        errors[n] = (struct mq_attempt_view){entry.delivery, entry.started_ms, entry.ended_ms, mq_reason_name(entry.reason), entry.error};
    view->errors = errors;
    view->errors_n = n;
    view->has_end = true;
    view->ended_ms = job->ended_ms;
}

enum mq_outcome mq_do_getjob(struct mq_call *call)
{
    uint64_t id = call->request->number[MQ_F_ID];
    struct mq_parent_view parents[PARENTS_SHOWN];
    struct mq_attempt_view errors[MQ_HISTORY_ENTRIES];
    uint32_t n = 0;
    struct mq_shard *shard = mq_call_lock(call, id);
    struct mq_job *job = mq_slot_job(mq_shard_slot(shard, id), id);
    if (job && job->state == MQ_JOB_PARENT) { /* the parents are in other shards: look there, then come back */
        n = open_parents(job, parents);
        mq_call_unlock(call, shard);
        look_up_states(call, parents, n);
        shard = mq_call_lock(call, id);
        job = mq_slot_job(mq_shard_slot(shard, id), id);
    }
    if (job) {
        struct mq_job_view view = mq_view_job(job);
        if (job->state == MQ_JOB_PARENT)
            view.waits_for = parents, view.waits_n = n;
        show_past(&view, job, errors);
        mq_reply_job_state(call->reply, &view, state_of(job));
    } else {
        mq_reply_job_state(call->reply, NULL, state_of(NULL));
    }
    mq_call_unlock(call, shard);
    return MQ_ANSWERED;
}

enum mq_outcome mq_do_getresult(struct mq_call *call)
{
    uint64_t id = call->request->number[MQ_F_ID];
    struct mq_shard *shard = mq_call_lock(call, id);
    const struct mq_job *job = mq_slot_job(mq_shard_slot(shard, id), id);
    mq_slice result = {NULL, 0};
    if (job && job->state == MQ_JOB_DONE && job->extra)
        result = mq_slice_of(job->extra->result, job->extra->result_n);
    mq_reply_result(call->reply, id, result);
    mq_call_unlock(call, shard);
    return MQ_ANSWERED;
}

/* --- a queue's jobs --- */

#define PAGE_MAX 1000u
#define LOOKED_AT_MAX 2000u /* jobs of other queues, or dead for other reasons, that a page passes over */

struct listing {
    enum mq_job_state state;
    int reason; /* 0 = any */
    uint64_t limit, from, preview;
    bool down;
};

static int read_state(const struct mq_call *call)
{
    mq_slice name = call->request->text[MQ_F_STATE];
    for (unsigned i = 1; i < MQ_JOB_STATES; i++)
        if (mq_slice_eq(name, mq_slice_of(state_names[i], strlen(state_names[i]))))
            return (int)i;
    return -1;
}

static bool field_is(const struct mq_call *call, enum mq_field field, const char *text)
{
    return mq_slice_eq(call->request->text[field], mq_slice_of(text, strlen(text)));
}

/* 0, or an error with its text. */
static int read_listing(struct mq_call *call, struct listing *listing)
{
    struct mq_request *request = call->request;
    int state = read_state(call);
    *listing = (struct listing){
        .limit = mq_number_or(request, MQ_F_LIMIT, 100),
        .preview = mq_number_or(request, MQ_F_PREVIEW, 0),
        .down = mq_call_has(call, MQ_F_DIR) && field_is(call, MQ_F_DIR, "desc"),
    };
    listing->limit = listing->limit < PAGE_MAX ? listing->limit : PAGE_MAX;
    listing->from = listing->down ? UINT64_MAX / MQ_SLOTS : 0;
    if (state < 0)
        return mq_request_refuse(request, MQ_E_INVALID,
                                 "Invalid: state must be waiting, delayed, waitingparent, active, completed or failed");
    listing->state = (enum mq_job_state)state;
    if (mq_call_has(call, MQ_F_DIR) && !listing->down && !field_is(call, MQ_F_DIR, "asc"))
        return mq_request_refuse(request, MQ_E_INVALID, "Invalid: dir must be asc or desc");
    if (mq_call_has(call, MQ_F_CURSOR) && !mq_cursor_parse(request->text[MQ_F_CURSOR], &listing->from))
        return mq_request_refuse(request, MQ_E_INVALID, "Invalid: cursor must be one that an answer had");
    if (!mq_call_has(call, MQ_F_REASON))
        return MQ_OK;
    if (state != MQ_JOB_DEAD)
        return mq_request_refuse(request, MQ_E_INVALID, "Invalid: reason goes with state failed only");
    listing->reason = mq_reason_find(request->text[MQ_F_REASON]);
    if (listing->reason < 0)
        return mq_request_refuse(request, MQ_E_INVALID, MQ_REASON_WRONG);
    return MQ_OK;
}

static struct mq_job *next_listed(const struct mq_slot *slot, const struct listing *listing)
{
    return listing->down ? mq_index_down(&slot->jobs, listing->state, listing->from)
                         : mq_index_up(&slot->jobs, listing->state, listing->from);
}

/* Writes a page. True if there may be more, from listing->from on. */
static bool list_page(struct mq_call *call, const struct mq_queue *queue, struct listing *listing)
{
    struct mq_attempt_view errors[MQ_HISTORY_ENTRIES];
    struct mq_job *job;
    for (uint64_t listed = 0, passed = 0; (job = next_listed(queue->slot, listing));) {
        if (listed == listing->limit || passed == LOOKED_AT_MAX ||
            mq_reply_used(call->reply) >= call->engine->config.max_output)
            return true;
        uint64_t counter = job->id / MQ_SLOTS;
        listing->from = listing->down ? counter - 1 : counter + 1;
        if (job->queue != queue || (listing->reason && job->extra->reason != listing->reason)) {
            passed++;
            continue;
        }
        struct mq_job_view view = mq_view_job(job);
        view.preview_n = listing->preview;
        show_past(&view, job, listing->preview ? NULL : errors);
        mq_reply_list_job(call->reply, &view);
        listed++;
    }
    return false;
}

enum mq_outcome mq_do_getjobs(struct mq_call *call)
{
    struct listing listing;
    struct mq_shard *shard;
    int error = read_listing(call, &listing);
    if (error < 0)
        return mq_refuse_request(call, error);
    const struct mq_queue *queue = mq_call_queue(call, false, &shard);
    mq_reply_list(call->reply, MQ_RESULT_JOBS_PAGE);
    bool more = queue && list_page(call, queue, &listing);
    mq_call_unlock(call, shard);
    mq_reply_page_end(call->reply, more ? &listing.from : NULL);
    return MQ_ANSWERED;
}

/* --- everything --- */

enum mq_outcome mq_do_stats(struct mq_call *call)
{
    struct mq_stats_view stats = {0};
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        struct mq_shard *shard = mq_call_lock(call, i);
        stats.queued += shard->counts.ready;
        stats.processing += shard->counts.active;
        stats.delayed += shard->counts.delayed;
        stats.waiting += shard->counts.parents;
        stats.dlq += shard->counts.dead;
        stats.completed += shard->counts.completed;
        mq_call_unlock(call, shard);
    }
    mq_reply_stats(call->reply, &stats);
    return MQ_ANSWERED;
}

static struct mq_timing_view view_timing(const struct mq_histogram *histogram)
{
    return (struct mq_timing_view){
        .p50 = mq_histogram_at(histogram, 500),
        .p90 = mq_histogram_at(histogram, 900),
        .p95 = mq_histogram_at(histogram, 950),
        .p99 = mq_histogram_at(histogram, 990),
        .max = histogram->count ? (int64_t)histogram->max_ms : -1,
    };
}

static void add_totals(struct mq_metrics_view *view, const struct mq_totals *totals)
{
    view->pushed += totals->pushed;
    view->completed += totals->completed;
    view->failed += totals->failed;
    view->timed_out += totals->timed_out;
    view->expired += totals->expired;
    view->cancelled += totals->cancelled;
    view->retried += totals->retried;
    view->stalled += totals->stalled;
}

static void view_storage(const struct mq_engine *engine, struct mq_metrics_view *view)
{
    static const char *const modes[] = {[MQ_SYNC_ALWAYS] = "always", [MQ_SYNC_EVERYSEC] = "everysec", [MQ_SYNC_NONE] = "none"};
    struct mq_log_stats stats = {0};
    view->memory = mq_engine_bytes(engine);
    view->memory_max = engine->config.max_memory;
    if (!engine->log->ops->stats)
        return;
    engine->log->ops->stats(engine->log, &stats);
    view->log.fsync = modes[engine->config.fsync];
    view->log.full = atomic_load(&engine->log->full);
    view->log.frames = stats.frames;
    view->log.bytes = stats.bytes;
    view->log.syncs = stats.syncs;
    view->log.sync_us = stats.sync_us;
    view->log.snapshots = stats.snapshots;
}

enum mq_outcome mq_do_metrics(struct mq_call *call)
{
    static const char *const rates[] = {[MQ_RATE_PUSHED] = "pushed", [MQ_RATE_COMPLETED] = "completed", [MQ_RATE_FAILED] = "failed"};
    static const char *const timings[] = {[MQ_LATENCY] = "latency_ms", [MQ_WAIT] = "wait_ms", [MQ_RUN] = "run_ms"};
    struct mq_metrics_sum sum = {0};
    struct mq_metrics_view view = {.average_ms = -1};
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        struct mq_shard *shard = mq_call_lock(call, i);
        mq_metrics_add(&sum, &shard->metrics, call->now_ms);
        add_totals(&view, &shard->totals);
        mq_call_unlock(call, shard);
    }
    for (unsigned i = 0; i < MQ_RATES; i++) {
        view.rates[i].name = rates[i];
        view.rates[i].last_second = sum.last_second[i];
        view.rates[i].last_minute = sum.last_minute[i];
    }
    for (unsigned i = 0; i < MQ_TIMINGS; i++) {
        view.timings[i].name = timings[i];
        view.timings[i].view = view_timing(&sum.timing[i]);
    }
    const struct mq_histogram *latency = &sum.timing[MQ_LATENCY];
    if (latency->count)
        view.average_ms = (double)latency->sum_ms / (double)latency->count;
    view_storage(call->engine, &view);
    mq_reply_metrics(call->reply, &view);
    mq_call_list_queues(call, mq_number_or(call->request, MQ_F_LIMIT, UINT64_MAX), mq_reply_metrics_queue);
    mq_reply_metrics_end(call->reply);
    return MQ_ANSWERED;
}
