/* Cron jobs: commands that define them, and what the control plane calls to work out times and to fire. */
#include "base/check.h"
#include "base/quote.h"
#include "command/handlers.h"
#include "queue/cron.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_MS 1000 /* after a fire was put off for want of memory */
#define DUE_MAX 1000u /* crons offered at once */

static mq_slice text_or(const struct mq_call *call, enum mq_field field, const char *otherwise)
{
    return mq_call_has(call, field) ? call->request->text[field] : mq_slice_of(otherwise, strlen(otherwise));
}

/* One of two words; the second one sets *flag. 0, or an error with its text. */
static int read_word(struct mq_call *call, enum mq_field field, const char *first, const char *second, bool *flag)
{
    mq_slice word = text_or(call, field, first);
    *flag = mq_slice_eq(word, mq_slice_of(second, strlen(second)));
    if (*flag || mq_slice_eq(word, mq_slice_of(first, strlen(first))))
        return MQ_OK;
    return mq_request_refuse(call->request, MQ_E_INVALID, "Invalid: %s must be %s or %s", mq_field_info(field)->snake, first,
                             second);
}

/* 0, or an error with its text. */
static int read_def(struct mq_call *call, struct mq_cron_def *def, uint64_t *parents)
{
    struct mq_request *request = call->request;
    *def = (struct mq_cron_def){
        .name = request->text[MQ_F_NAME], .queue = request->text[MQ_F_QUEUE], .schedule = request->text[MQ_F_SCHEDULE],
        .timezone = text_or(call, MQ_F_TIMEZONE, "UTC"), .paused = mq_number_or(request, MQ_F_PAUSED, 0),
    };
    int error = mq_call_read_push(call->engine, request, &def->push, parents);
    if (error == MQ_OK)
        error = read_word(call, MQ_F_OVERLAP, "allow", "skip", &def->skip_overlap);
    return error < 0 ? error : read_word(call, MQ_F_MISFIRE, "once", "skip", &def->skip_misfire);
}

/* Somebody must work out when this schedule runs next; the call is run again when that is known. Nothing may be locked. */
static enum mq_outcome ask(struct mq_call *call, mq_slice schedule, mq_slice timezone)
{
    call->ask_schedule = schedule;
    call->ask_timezone = timezone;
    if (!call->session->ask)
        return MQ_ASKS;
    if (!call->engine->config.cron)
        return mq_refuse(call, MQ_E_UNAVAILABLE, "Unavailable: nobody works out cron schedules here");
    int error = mq_call_may_park(call);
    if (error < 0)
        return mq_refuse_request(call, error);
    error = call->session->ask(call->session, call);
    return error < 0 ? mq_refuse(call, (enum mq_error)error, NULL) : MQ_PARKED;
}

static enum mq_outcome refuse_verdict(struct mq_call *call)
{
    const struct mq_verdict *verdict = call->verdict;
    mq_request_refuse(call->request, MQ_E_INVALID, "Invalid: %.*s", (int)verdict->why_n, verdict->why);
    return mq_refuse_request(call, MQ_E_INVALID);
}

/* With the crons' mutex held: what is told about crons waits until the log has them so. */
static void tell_when_committed(struct mq_call *call)
{
    const struct mq_crons *crons = &call->engine->crons;
    call->seq = crons->log_seq > call->seq ? crons->log_seq : call->seq;
}

static enum mq_outcome done(struct mq_call *call, int status)
{
    tell_when_committed(call);
    mq_mutex_unlock(&call->engine->crons.mutex);
    return mq_answer_job(call, status, 0);
}

enum mq_outcome mq_do_cron(struct mq_call *call)
{
    struct mq_crons *crons = &call->engine->crons;
    struct mq_cron_def def;
    uint64_t parents[MQ_PARENTS_MAX];
    int error = read_def(call, &def, parents);
    if (error < 0)
        return mq_refuse_request(call, error);
    if (call->verdict && call->verdict->next_run_ms < 0)
        return refuse_verdict(call);
    if (mq_call_memory_room(call) == 0)
        return mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    mq_mutex_lock(&crons->mutex);
    const struct mq_cron *old = mq_cron_find(crons, def.name);
    if (old && !mq_call_has(call, MQ_F_PAUSED))
        def.paused = old->def.paused;
    if (old && mq_cron_same(&old->def, &def))
        return done(call, MQ_DONE);
    if (!call->verdict) {
        mq_mutex_unlock(&crons->mutex);
        return ask(call, def.schedule, def.timezone);
    }
    return done(call, mq_cron_set(call->engine, &def, def.paused ? MQ_NEVER : call->verdict->next_run_ms, call->now_ms));
}

/* The call's cron, with the mutex held; NULL: refused, and not held. */
static struct mq_cron *find(struct mq_call *call)
{
    struct mq_crons *crons = &call->engine->crons;
    mq_mutex_lock(&crons->mutex);
    struct mq_cron *cron = mq_cron_find(crons, call->request->text[MQ_F_NAME]);
    if (!cron) {
        tell_when_committed(call);
        mq_mutex_unlock(&crons->mutex);
        mq_refuse(call, MQ_E_NOT_FOUND, "Cron job not found");
    }
    return cron;
}

enum mq_outcome mq_do_crondelete(struct mq_call *call)
{
    struct mq_cron *cron = find(call);
    return cron ? done(call, mq_cron_delete(call->engine, cron, call->now_ms)) : MQ_ANSWERED;
}

enum mq_outcome mq_do_cronrun(struct mq_call *call)
{
    if (mq_call_memory_room(call) == 0)
        return mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    struct mq_cron *cron = find(call);
    if (!cron)
        return MQ_ANSWERED;
    int status = mq_cron_fire(call->engine, cron, true, false, call->now_ms, cron->next_run_ms, call->now_ms);
    if (status == MQ_KEY_TAKEN) {
        mq_call_duplicate(call->request, cron->def.push.key);
        mq_mutex_unlock(&call->engine->crons.mutex);
        return mq_refuse_request(call, MQ_E_DUPLICATE);
    }
    if (status == MQ_FULL) {
        mq_mutex_unlock(&call->engine->crons.mutex);
        return mq_refuse(call, MQ_E_QUEUE_FULL, NULL);
    }
    return done(call, status);
}

enum mq_outcome mq_do_cronpause(struct mq_call *call)
{
    struct mq_cron *cron = find(call);
    if (!cron)
        return MQ_ANSWERED;
    struct mq_cron_def def = cron->def;
    def.paused = true;
    return done(call, cron->def.paused ? MQ_DONE : mq_cron_set(call->engine, &def, MQ_NEVER, call->now_ms));
}

enum mq_outcome mq_do_cronresume(struct mq_call *call)
{
    struct mq_cron *cron = find(call);
    if (!cron)
        return MQ_ANSWERED;
    if (!cron->def.paused)
        return done(call, MQ_DONE);
    if (!call->verdict) { /* the cron may change while nothing is locked: the request keeps a copy, for as long as the call lasts */
        mq_slice schedule = mq_request_keep(call->request, cron->def.schedule);
        mq_slice timezone = mq_request_keep(call->request, cron->def.timezone);
        mq_mutex_unlock(&call->engine->crons.mutex);
        return ask(call, schedule, timezone);
    }
    struct mq_cron_def def = cron->def;
    def.paused = false;
    /* if it was redefined meanwhile, the time is that of another schedule once; the verdict cannot be a refusal */
    int64_t next = call->verdict->next_run_ms < 0 ? MQ_NEVER : call->verdict->next_run_ms;
    return done(call, mq_cron_set(call->engine, &def, next, call->now_ms));
}

static int by_name(const void *a, const void *b)
{
    mq_slice x = (*(struct mq_cron *const *)a)->def.name, y = (*(struct mq_cron *const *)b)->def.name;
    int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
    return order ? order : (x.n > y.n) - (x.n < y.n);
}

enum mq_outcome mq_do_cronlist(struct mq_call *call)
{
    struct mq_crons *crons = &call->engine->crons;
    mq_mutex_lock(&crons->mutex);
    size_t n = 0, at = 0;
    struct mq_cron **all = mq_alloc((mq_map_size(&crons->by_name) + 1) * sizeof *all), *cron;
    while (all && (cron = mq_map_next(&crons->by_name, &at)))
        all[n++] = cron;
    if (!all) {
        mq_mutex_unlock(&crons->mutex);
        return mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    }
    qsort(all, n, sizeof *all, by_name);
    mq_reply_list(call->reply, MQ_RESULT_CRONS);
    for (size_t i = 0; i < n; i++) {
        const struct mq_cron_def *def = &all[i]->def;
        struct mq_cron_view view = {
            .name = def->name, .queue = def->queue, .schedule = def->schedule, .timezone = def->timezone, .data = def->push.data,
            .next_run_ms = all[i]->next_run_ms == MQ_NEVER ? -1 : all[i]->next_run_ms,
            .last_run_ms = all[i]->last_run_ms ? all[i]->last_run_ms : -1, .priority = def->push.priority, .paused = def->paused,
        };
        mq_reply_list_cron(call->reply, &view);
    }
    tell_when_committed(call);
    mq_mutex_unlock(&crons->mutex);
    mq_free(all);
    mq_reply_list_end(call->reply);
    return MQ_ANSWERED;
}

/* --- for the control plane --- */

struct writer {
    struct mq_ring out;
    bool failed;
};

static void put(struct writer *writer, mq_slice text)
{
    char *o = writer->failed ? NULL : mq_ring_reserve(&writer->out, text.n);
    writer->failed = !o;
    if (!o)
        return;
    if (text.n)
        memcpy(o, text.p, text.n);
    mq_ring_commit(&writer->out, text.n);
}

static void put_text(struct writer *writer, const char *key, mq_slice text)
{
    char json[MQ_QUOTED_MAX(256)];
    put(writer, mq_slice_of(key, strlen(key)));
    put(writer, mq_slice_of(json, mq_quote(text, json)));
}

static void put_number(struct writer *writer, const char *key, int64_t n)
{
    char text[24];
    put(writer, mq_slice_of(key, strlen(key)));
    put(writer, mq_slice_of(text, (size_t)snprintf(text, sizeof text, "%" PRId64, n)));
}

static void put_questions(struct writer *writer, struct mq_crons *crons)
{
    unsigned n = 0;
    for (struct mq_list *node = crons->questions.next; node != &crons->questions; node = node->next) {
        struct mq_question *question = mq_list_entry(node, struct mq_question, node);
        if (question->taken)
            continue;
        put_number(writer, n++ ? ",{\"token\":" : "{\"token\":", (int64_t)question->token);
        put_text(writer, ",\"schedule\":", question->schedule);
        put_text(writer, ",\"timezone\":", question->timezone);
        put_number(writer, ",\"now\":", question->now_ms);
        put(writer, MQ_SLICE("}"));
    }
}

/* They are on their way, once all was written. */
static void mark_taken(struct mq_crons *crons)
{
    for (struct mq_list *node = crons->questions.next; node != &crons->questions; node = node->next)
        mq_list_entry(node, struct mq_question, node)->taken = true;
    crons->untaken = 0;
}

/* Those that are due stand at the top of the heap, not in order: a walk over its due part, no further. */
static unsigned put_due(struct writer *writer, const struct mq_heap *due, uint32_t at, int64_t now_ms, unsigned n)
{
    if (at >= due->n || (int64_t)due->entries[at].high > now_ms || n == DUE_MAX)
        return n;
    const struct mq_cron *cron = due->entries[at].item;
    put_text(writer, n ? ",{\"name\":" : "{\"name\":", cron->def.name);
    put_text(writer, ",\"schedule\":", cron->def.schedule);
    put_text(writer, ",\"timezone\":", cron->def.timezone);
    put_number(writer, ",\"slot\":", cron->next_run_ms);
    put(writer, cron->def.skip_misfire ? MQ_SLICE(",\"misfire\":\"skip\"}") : MQ_SLICE(",\"misfire\":\"once\"}"));
    n++;
    for (uint32_t child = 4 * at + 1; child <= 4 * at + 4; child++)
        n = put_due(writer, due, child, now_ms, n);
    return n;
}

int mq_engine_take_control(struct mq_engine *engine, char **text, size_t *text_n)
{
    struct mq_crons *crons = &engine->crons;
    struct writer writer = {0};
    int64_t now = mq_engine_now(engine);
    mq_ring_init_sized(&writer.out, 4096);
    mq_mutex_lock(&crons->mutex);
    put_number(&writer, "{\"now\":", now);
    put(&writer, MQ_SLICE(",\"questions\":["));
    put_questions(&writer, crons);
    put(&writer, MQ_SLICE("],\"due\":["));
    if (now >= crons->retry_ms)
        put_due(&writer, &crons->due, 0, now, 0);
    put(&writer, MQ_SLICE("]}"));
    if (!writer.failed)
        mark_taken(crons);
    mq_crons_publish(engine);
    mq_mutex_unlock(&crons->mutex);
    if (writer.failed) {
        mq_ring_close(&writer.out);
        return MQ_E_OUT_OF_MEMORY;
    }
    *text = writer.out.mem; /* taken over: it starts at the block's start */
    *text_n = mq_ring_used(&writer.out);
    return MQ_OK;
}

int mq_engine_answer(struct mq_engine *engine, uint64_t token, const struct mq_verdict *verdict)
{
    struct mq_crons *crons = &engine->crons;
    int found = 0;
    mq_mutex_lock(&crons->mutex);
    for (struct mq_list *node = crons->questions.next; node != &crons->questions && !found; node = node->next) {
        struct mq_question *question = mq_list_entry(node, struct mq_question, node);
        if (question->token != token)
            continue;
        size_t n = verdict->why_n < sizeof question->why ? verdict->why_n : sizeof question->why;
        if (n)
            memcpy(question->why, verdict->why, n);
        question->why_n = n;
        question->next_run_ms = verdict->next_run_ms;
        crons->untaken -= !question->taken;
        mq_list_remove(node);
        question->answered(question);
        found = 1;
        break;
    }
    mq_mutex_unlock(&crons->mutex);
    return found;
}

int mq_engine_fire(struct mq_engine *engine, const char *name, size_t name_n, int64_t slot_ms, int64_t next_run_ms, int push)
{
    struct mq_crons *crons = &engine->crons;
    int64_t now = mq_engine_now(engine);
    int result = 0;
    uint64_t limit = engine->config.max_memory;
    bool full = push && limit && mq_engine_bytes(engine) >= limit;
    if (full) { /* what is only kept to be looked at goes first */
        mq_engine_forget_done(engine, now);
        full = mq_engine_bytes(engine) >= limit;
    }
    mq_mutex_lock(&crons->mutex);
    struct mq_cron *cron = mq_cron_find(crons, mq_slice_of(name, name_n));
    if (cron && cron->next_run_ms == slot_ms && slot_ms <= now) {
        int status = full ? MQ_NO_MEMORY : mq_cron_fire(engine, cron, push, true, slot_ms, next_run_ms, now);
        result = status == MQ_DONE ? 1 : MQ_E_OUT_OF_MEMORY;
        if (status < 0) {
            crons->retry_ms = now + RETRY_MS;
            mq_crons_publish(engine);
        }
    }
    mq_mutex_unlock(&crons->mutex);
    return result;
}
