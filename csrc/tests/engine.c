#include "tests/engine.h"

#include "base/hash.h"
#include "queue/cron.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct mq_config engine_config(void)
{
    struct mq_config config;
    mq_config_init(&config);
    config.manual_time_ms = T0;
    config.seed = 1;
    return config;
}

struct mq_engine *engine_new_with(const struct mq_config *config)
{
    char why[512];
    struct mq_engine *engine = mq_engine_create(config, why, sizeof why);
    CHECK(engine);
    return engine;
}

struct mq_engine *engine_new(void)
{
    struct mq_config config = engine_config();
    return engine_new_with(&config);
}

void engine_use_log(struct mq_engine *engine, struct mq_log *log)
{
    log->on_commit = engine->log->on_commit;
    engine->log->ops->close(engine->log);
    log->on_commit_context = engine;
    engine->log = log;
    for (unsigned i = 0; i < MQ_SHARDS; i++)
        engine->shards[i].log = log;
}

static _Thread_local char *answers[8];
static _Thread_local unsigned turn;

void run_forget(void)
{
    for (int i = 0; i < 8; i++) {
        free(answers[i]);
        answers[i] = NULL;
    }
}

const char *run_bytes(struct mq_engine *engine, const char *line, size_t n)
{
    char **answer = &answers[turn++ % 8], *reply;
    size_t reply_n;
    int status = mq_engine_execute(engine, line, n, NULL, &reply, &reply_n);
    if (status == 1) { /* here every schedule runs next in five seconds */
        struct mq_verdict verdict = {.next_run_ms = mq_engine_now(engine) + 5000};
        mq_reply_free(reply);
        status = mq_engine_execute(engine, line, n, &verdict, &reply, &reply_n);
    }
    CHECK_INT(status, 0);
    *answer = realloc(*answer, reply_n + 1);
    memcpy(*answer, reply, reply_n);
    (*answer)[reply_n] = 0;
    mq_reply_free(reply);
    return *answer;
}

static const char *run_format(struct mq_engine *engine, const char *format, va_list args)
{
    char line[8192];
    int n = vsnprintf(line, sizeof line, format, args);
    CHECK(n < (int)sizeof line);
    const char *answer = run_bytes(engine, line, (size_t)n);
    test_note("%.120s -> %.120s", line, answer);
    mq_engine_check(engine);
    return answer;
}

const char *run(struct mq_engine *engine, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *answer = run_format(engine, format, args);
    va_end(args);
    return answer;
}

const char *run_ok(struct mq_engine *engine, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *answer = run_format(engine, format, args);
    va_end(args);
    CHECK(answer_is(answer, "ok", "true"));
    return answer;
}

const char *run_refused(struct mq_engine *engine, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *answer = run_format(engine, format, args);
    va_end(args);
    CHECK(answer_is(answer, "ok", "false"));
    CHECK_TEXT(answer_text(answer, "code"), code);
    return answer;
}

void later(struct mq_engine *engine, int64_t ms) { mq_engine_set_time(engine, mq_engine_now(engine) + ms); }

void check_stats(struct mq_engine *engine, uint64_t queued, uint64_t processing, uint64_t delayed, uint64_t dlq, uint64_t completed)
{
    const char *answer = run(engine, "{\"cmd\":\"STATS\"}");
    char wanted[256];
    snprintf(wanted, sizeof wanted,
             "{\"ok\":true,\"queued\":%" PRIu64 ",\"processing\":%" PRIu64 ",\"delayed\":%" PRIu64 ",\"dlq\":%" PRIu64
             ",\"completed\":%" PRIu64 ",\"waiting\":0}",
             queued, processing, delayed, dlq, completed);
    CHECK_TEXT(answer, wanted);
}

struct mq_queue *engine_queue(struct mq_engine *engine, const char *name)
{
    mq_slice slice = mq_slice_of(name, strlen(name));
    uint64_t hash = mq_hash_bytes(slice.p, slice.n);
    struct mq_shard *shard = mq_engine_shard(engine, hash);
    mq_mutex_lock(&shard->mutex);
    struct mq_queue *queue = mq_slot_queue(mq_shard_slot(shard, hash), slice, hash);
    mq_mutex_unlock(&shard->mutex);
    return queue;
}

/* --- the dump --- */

static void dump_job(FILE *out, const struct mq_job *job)
{
    static const char *const states[] = {"new", "ready", "delayed", "parent", "active", "dead", "done"};
    const struct mq_options *options = mq_job_options(job);
    mq_slice name = mq_queue_name(job->queue), data = mq_job_data(job), key = mq_job_key(job);
    const char *state = job->state < sizeof states / sizeof *states ? states[job->state] : "?";
    fprintf(out, "  job %" PRIu64 " in %.*s %s run %" PRId64 " created %" PRId64 " started %" PRId64 " priority %d", job->id,
            (int)name.n, name.p, state, job->run_at_ms, job->created_ms, job->started_ms, job->priority);
    fprintf(out, " attempts %u deliveries %u losses %u data %.*s", job->attempts, job->deliveries, job->losses,
            (int)data.n, data.p);
    if (job->has_key)
        fprintf(out, " key %.*s%s", (int)key.n, key.p, job->key_held ? " held" : "");
    if (options)
        fprintf(out, " options %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "%s", options->max_attempts,
                options->backoff_ms, options->max_backoff_ms, options->ttl_ms, options->timeout_ms,
                options->ttl_index == MQ_HEAP_NONE ? "" : " counting");
    if (job->state == MQ_JOB_ACTIVE) {
        const struct mq_hold *hold = job->at.hold;
        fprintf(out, " token %016" PRIx64 " lease %" PRIu64 " until %" PRId64 " timeout %" PRId64 "%s", hold->token, hold->lease_ms,
                hold->lease_until_ms, hold->timeout_at_ms, hold->deadline_index == MQ_HEAP_NONE ? "" : " timed");
    }
    if (job->ended_ms)
        fprintf(out, " ended %" PRId64, job->ended_ms);
    if (job->extra && job->extra->result_n)
        fprintf(out, " result %.*s", (int)job->extra->result_n, job->extra->result);
    if (job->extra && job->extra->error_n)
        fprintf(out, " error %.*s", (int)job->extra->error_n, job->extra->error);
    if (job->extra && (job->extra->message_n || job->extra->progress))
        fprintf(out, " progress %u %.*s", job->extra->progress, (int)job->extra->message_n, job->extra->message);
    if (job->pulled)
        fprintf(out, " pulled");
    for (uint32_t i = 0; job->extra && i < job->extra->history_n; i++)
        fprintf(out, "%s%02x", i ? "" : " history ", (unsigned char)job->extra->history[i]);
    if (job->state == MQ_JOB_DEAD)
        fprintf(out, " reason %u", job->extra->reason);
    for (uint32_t i = 0; job->extra && job->extra->deps && i < job->extra->deps->n; i++)
        fprintf(out, " parent %" PRIu64 " %u", job->extra->deps->ids[i], job->extra->deps->links[i].outcome);
    fputc('\n', out);
}

static int by_name(const void *a, const void *b)
{
    const struct mq_queue *x = *(struct mq_queue *const *)a, *y = *(struct mq_queue *const *)b;
    size_t n = x->name_n < y->name_n ? x->name_n : y->name_n;
    int order = memcmp(x->text, y->text, n);
    return order ? order : (int)x->name_n - (int)y->name_n;
}

/* All items of the map, sorted. To be freed. */
static void **sorted(const struct mq_map *map, int (*order)(const void *, const void *))
{
    void **items = calloc(mq_map_size(map) + 1, sizeof *items), *item;
    size_t n = 0;
    for (size_t at = 0; (item = mq_map_next(map, &at));)
        items[n++] = item;
    qsort(items, n, sizeof *items, order);
    return items;
}

static void dump_dropped(void *out, uint64_t first, uint64_t n) { fprintf(out, " dropped %" PRIu64 " to %" PRIu64, first, first + n - 1); }

static void dump_slot(FILE *out, const struct mq_slot *slot)
{
    if (!mq_slot_counter(slot) && !mq_map_size(&slot->queues))
        return;
    fprintf(out, "slot %u counter %" PRIu64 "\n", slot->number, mq_slot_counter(slot));
    struct mq_queue **queues = (struct mq_queue **)sorted(&slot->queues, by_name);
    for (size_t i = 0; queues[i]; i++) {
        const struct mq_queue *queue = queues[i];
        if (!queue->known)
            continue;
        if (queue->limits.rate || queue->limits.concurrency || queue->limits.length)
            fprintf(out, " limits %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", queue->limits.rate, queue->limits.duration_ms,
                    queue->limits.concurrency, queue->limits.length);
        fprintf(out, " queue %.*s ready %" PRIu64 " delayed %u active %" PRIu64 " dead %" PRIu64 " completed %" PRIu64 "%s\n",
                (int)queue->name_n, queue->text, (uint64_t)queue->ready.n, queue->delayed.n, queue->active_n, queue->dead_n,
                queue->completed, queue->paused ? " paused" : "");
        for (const struct mq_list *node = queue->dead.next; node != &queue->dead; node = node->next)
            fprintf(out, "  dead %" PRIu64 "\n", mq_list_entry(node, struct mq_extra, dead)->job->id);
    }
    free(queues);
    mq_idset_runs(&slot->dropped, dump_dropped, out);
    fputc('\n', out);
    const struct mq_job *job;
    for (uint64_t from = 0; (job = mq_index_up(&slot->jobs, MQ_JOB_ANY, from)); from = job->id / MQ_SLOTS + 1)
        dump_job(out, job);
}

static int by_cron_name(const void *a, const void *b)
{
    const struct mq_cron *x = *(struct mq_cron *const *)a, *y = *(struct mq_cron *const *)b;
    size_t n = x->def.name.n < y->def.name.n ? x->def.name.n : y->def.name.n;
    int order = memcmp(x->def.name.p, y->def.name.p, n);
    return order ? order : (int)x->def.name.n - (int)y->def.name.n;
}

static void dump_crons(FILE *out, const struct mq_crons *crons)
{
    struct mq_cron **all = (struct mq_cron **)sorted(&crons->by_name, by_cron_name);
    for (size_t i = 0; all[i]; i++) {
        const struct mq_cron_def *def = &all[i]->def;
        fprintf(out, "cron %.*s in %.*s %.*s %.*s data %.*s next %" PRId64 " last %" PRId64 " job %" PRIu64 "%s%s%s priority %d %" PRIu64 "\n",
                (int)def->name.n, def->name.p, (int)def->queue.n, def->queue.p, (int)def->schedule.n, def->schedule.p,
                (int)def->timezone.n, def->timezone.p, (int)def->push.data.n, def->push.data.p, all[i]->next_run_ms, all[i]->last_run_ms,
                all[i]->last_job, def->paused ? " paused" : "", def->skip_overlap ? " skip" : "", def->push.has_key ? " key" : "",
                def->push.priority, def->push.delay_ms);
    }
    free(all);
}

char *engine_dump(struct mq_engine *engine)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        struct mq_shard *shard = &engine->shards[i];
        mq_mutex_lock(&shard->mutex);
        for (unsigned j = 0; j < MQ_SLOTS_A_SHARD; j++)
            dump_slot(out, &shard->slots[j]);
        const struct mq_counts *c = &shard->counts;
        if (c->ready || c->delayed || c->active || c->dead || c->completed)
            fprintf(out, "shard %u: %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", i, c->ready, c->delayed,
                    c->parents, c->active, c->dead, c->completed);
        const struct mq_totals *t = &shard->totals;
        if (t->pushed)
            fprintf(out, "totals %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", t->pushed,
                    t->completed, t->failed, t->timed_out, t->retried, t->expired, t->cancelled, t->stalled);
        mq_mutex_unlock(&shard->mutex);
    }
    dump_crons(out, &engine->crons);
    fclose(out);
    return text;
}

void check_dumps(const char *file, int line, const char *got, const char *wanted)
{
    while (*got && *wanted) {
        size_t n = strcspn(got, "\n"), m = strcspn(wanted, "\n");
        if (n != m || memcmp(got, wanted, n) != 0)
            break;
        got += n + (got[n] == '\n');
        wanted += m + (wanted[m] == '\n');
    }
    if (*got || *wanted)
        test_fail(file, line, "states differ: it is\n  %.*s\n  not\n  %.*s", (int)strcspn(got, "\n"), got,
                  (int)strcspn(wanted, "\n"), wanted);
}
