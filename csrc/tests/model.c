#include "tests/model.h"

#include "base/hash.h"

#include <stdio.h>
#include <string.h>

#define TIME_MAX 9007199254740991
#define MAX_LOSSES 10

/* "q" and "q192" are in one slot and share its counter. */
const char *const model_queue_names[MODEL_QUEUES] = {"emails", "q", "q192", "\xc3\xbc"};

static unsigned slot_of(unsigned queue)
{
    return (unsigned)(mq_hash_bytes(model_queue_names[queue], strlen(model_queue_names[queue])) % 1024);
}

static int64_t add(int64_t at, uint64_t ms)
{
    return ms > (uint64_t)(TIME_MAX - at) ? TIME_MAX : at + (int64_t)ms;
}

struct model_job *model_new_job(struct model *model)
{
    if (model->n == MODEL_JOBS)
        return NULL;
    struct model_job *job = &model->jobs[model->n];
    memset(job, 0, sizeof *job);
    job->key = -1;
    job->max_backoff = 3600000;
    strcpy(job->error, "null");
    return job;
}

static bool key_taken(const struct model *model, unsigned queue, int key)
{
    for (unsigned i = 0; key >= 0 && i < model->n; i++) {
        const struct model_job *job = &model->jobs[i];
        if (job->queue == queue && job->key == key && job->state != M_GONE && job->state != M_DEAD)
            return true;
    }
    return false;
}

static void wait_until(struct model *model, struct model_job *job, int64_t run_at)
{
    job->run_at = run_at;
    job->state = run_at <= model->now ? M_READY : M_DELAYED;
}

bool model_push(struct model *model, struct model_job *job, uint64_t delay)
{
    if (key_taken(model, job->queue, job->key))
        return false;
    model->n++;
    model->known[job->queue] = true;
    job->id = ++model->counter[slot_of(job->queue)] << 10 | slot_of(job->queue);
    job->created = model->now;
    job->ttl_runs = job->ttl != 0;
    wait_until(model, job, add(model->now, delay));
    return true;
}

struct model_job *model_find(struct model *model, uint64_t id)
{
    for (unsigned i = 0; i < model->n; i++)
        if (model->jobs[i].id == id && model->jobs[i].state != M_GONE)
            return &model->jobs[i];
    return NULL;
}

static bool before(const struct model_job *a, const struct model_job *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->run_at != b->run_at ? a->run_at < b->run_at : a->id < b->id;
}

struct model_job *model_pull(struct model *model, unsigned queue, uint64_t lease)
{
    struct model_job *best = NULL;
    for (unsigned i = 0; i < model->n && !model->paused[queue]; i++) {
        struct model_job *job = &model->jobs[i];
        if (job->queue == queue && job->state == M_READY && (!best || before(job, best)))
            best = job;
    }
    if (!best)
        return NULL;
    best->state = M_ACTIVE;
    best->ttl_runs = false;
    best->started = model->now;
    best->deliveries++;
    best->lease_until = add(model->now, lease);
    best->timeout_at = best->timeout ? add(model->now, best->timeout) : MODEL_NEVER;
    return best;
}

const char *model_claim(struct model *model, uint64_t id, const char *token, struct model_job **found)
{
    struct model_job *job = *found = model_find(model, id);
    if (!job)
        return "not_found";
    if (token && job->state != M_DEAD && (job->state != M_ACTIVE || strcmp(token, job->token) != 0))
        return "lease_lost";
    return job->state == M_ACTIVE ? NULL : "not_found";
}

void model_end(struct model_job *job) { job->state = M_GONE; }

void model_ack(struct model *model, struct model_job *job)
{
    model->completed[job->queue]++;
    model_end(job);
}

static void bury(struct model *model, struct model_job *job, const char *reason)
{
    job->state = M_DEAD;
    job->reason = reason;
    job->dead_turn = ++model->dead_turns;
}

void model_fail(struct model *model, struct model_job *job, const char *error, bool unrecoverable, const char *reason)
{
    uint64_t wait = job->backoff;
    job->attempts++;
    if (*error)
        snprintf(job->error, sizeof job->error, "%s", error);
    if (unrecoverable || (job->max_attempts && job->attempts >= job->max_attempts)) {
        bury(model, job, reason);
        return;
    }
    for (uint64_t i = 1; i < job->attempts && wait < job->max_backoff; i++)
        wait = wait > UINT64_MAX / 2 ? UINT64_MAX : wait * 2;
    wait_until(model, job, add(model->now, wait < job->max_backoff ? wait : job->max_backoff));
}

void model_release(struct model *model, struct model_job *job, uint64_t delay)
{
    wait_until(model, job, delay ? add(model->now, delay) : job->run_at);
}

static void lose(struct model *model, struct model_job *job)
{
    if (++job->losses >= MAX_LOSSES)
        bury(model, job, "expired_lease");
    else
        wait_until(model, job, job->run_at);
}

bool model_retry_dead(struct model *model, struct model_job *job)
{
    if (key_taken(model, job->queue, job->key))
        return false;
    job->attempts = job->deliveries = job->losses = 0;
    wait_until(model, job, model->now);
    return true;
}

struct model_job *model_dead(struct model *model, unsigned queue, unsigned n)
{
    uint64_t above = 0;
    struct model_job *next = NULL;
    for (unsigned round = 0; round <= n; round++) {
        next = NULL;
        for (unsigned i = 0; i < model->n; i++) {
            struct model_job *job = &model->jobs[i];
            if (job->queue == queue && job->state == M_DEAD && job->dead_turn > above && (!next || job->dead_turn < next->dead_turn))
                next = job;
        }
        if (!next)
            return NULL;
        above = next->dead_turn;
    }
    return next;
}

static int64_t deadline(const struct model_job *job)
{
    return job->lease_until < job->timeout_at ? job->lease_until : job->timeout_at;
}

static struct model_job *next_overdue(struct model *model)
{
    struct model_job *next = NULL;
    for (unsigned i = 0; i < model->n; i++) {
        struct model_job *job = &model->jobs[i];
        if (job->state == M_ACTIVE && deadline(job) <= model->now &&
            (!next || deadline(job) < deadline(next) || (deadline(job) == deadline(next) && job->id < next->id)))
            next = job;
    }
    return next;
}

void model_move(struct model *model, int64_t now)
{
    struct model_job *job;
    model->now = now;
    while ((job = next_overdue(model))) {
        if (job->timeout_at <= job->lease_until)
            model_fail(model, job, "\"Timed out\"", false, "timeout");
        else
            lose(model, job);
    }
    for (unsigned i = 0; i < model->n; i++) {
        job = &model->jobs[i];
        if (job->state == M_DELAYED && job->run_at <= now)
            job->state = M_READY;
        if ((job->state == M_READY || job->state == M_DELAYED) && job->ttl_runs && add(job->created, job->ttl) <= now)
            model_end(job);
    }
}

struct model_counts model_count(const struct model *model, int queue)
{
    struct model_counts counts = {0};
    for (unsigned i = 0; i < model->n; i++) {
        if (queue >= 0 && model->jobs[i].queue != (unsigned)queue)
            continue;
        counts.ready += model->jobs[i].state == M_READY;
        counts.delayed += model->jobs[i].state == M_DELAYED;
        counts.active += model->jobs[i].state == M_ACTIVE;
        counts.dead += model->jobs[i].state == M_DEAD;
    }
    for (unsigned i = 0; i < MODEL_QUEUES; i++)
        if (queue < 0 || i == (unsigned)queue)
            counts.completed += model->completed[i];
    return counts;
}

void model_tidy(struct model *model)
{
    unsigned kept = 0;
    if (model->n < MODEL_JOBS / 2)
        return;
    for (unsigned i = 0; i < model->n; i++)
        if (model->jobs[i].state != M_GONE)
            model->jobs[kept++] = model->jobs[i];
    model->n = kept;
}
