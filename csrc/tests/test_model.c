/* Random commands for the engine and for the naive model: every answer and every count must be the same. */
#include "tests/engine.h"
#include "tests/model.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct run {
    struct mq_engine *engine;
    struct model *model;
    struct random random;
    char line[16384]; /* the last command, for the message of a failed check */
    char last[MODEL_JOBS][32];
};

static uint64_t below(struct run *r, uint64_t n) { return random_below(&r->random, n); }
static bool chance(struct run *r, unsigned percent) { return random_chance(&r->random, percent); }
static unsigned any_queue(struct run *r) { return (unsigned)below(r, MODEL_QUEUES); }

static const char *send_line(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *send_line(struct run *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(r->line, sizeof r->line, format, args);
    va_end(args);
    CHECK(n < (int)sizeof r->line);
    const char *answer = run_bytes(r->engine, r->line, (size_t)n);
    test_note("%.100s -> %.100s", r->line, answer);
    return answer;
}

static void expect_code(const char *answer, const char *code)
{
    CHECK(answer_is(answer, "ok", code ? "false" : "true"));
    if (code)
        CHECK_TEXT(answer_text(answer, "code"), code);
}

/* --- push --- */

static uint64_t some_ms(struct run *r)
{
    static const uint64_t odd[] = {0, 1, 5, 50, 1000, 3600000, (uint64_t)1 << 53, UINT64_MAX};
    return chance(r, 70) ? below(r, 60) : odd[below(r, sizeof odd / sizeof *odd)];
}

/* Fills the job in and writes its fields. */
static size_t describe(struct run *r, struct model_job *job, uint64_t *delay, char *out)
{
    char *o = out;
    job->data = below(r, 1000000);
    *delay = 0;
    o += sprintf(o, "\"data\":%" PRIu64, job->data);
    if (chance(r, 50))
        o += sprintf(o, ",\"priority\":%d", job->priority = (int32_t)below(r, 5) - 2);
    if (chance(r, 25))
        o += sprintf(o, ",\"delay\":%" PRIu64, *delay = some_ms(r));
    if (chance(r, 20))
        o += sprintf(o, ",\"ttl\":%" PRIu64, job->ttl = some_ms(r));
    if (chance(r, 25))
        o += sprintf(o, ",\"timeout\":%" PRIu64, job->timeout = some_ms(r));
    if (chance(r, 30))
        o += sprintf(o, ",\"max_attempts\":%" PRIu64, job->max_attempts = below(r, 4));
    if (chance(r, 30))
        o += sprintf(o, ",\"backoff\":%" PRIu64, job->backoff = some_ms(r));
    if (chance(r, 15))
        o += sprintf(o, ",\"max_backoff\":%" PRIu64, job->max_backoff = some_ms(r));
    if (chance(r, 30))
        o += sprintf(o, ",\"unique_key\":\"k%d\"", job->key = (int)below(r, MODEL_KEYS));
    return (size_t)(o - out);
}

static void do_push(struct run *r)
{
    char fields[512];
    uint64_t delay;
    struct model_job *job = model_new_job(r->model);
    if (!job)
        return;
    job->queue = any_queue(r);
    describe(r, job, &delay, fields);
    const char *answer = send_line(r, "{\"cmd\":\"PUSH\",\"queue\":\"%s\",%s}", model_queue_names[job->queue], fields);
    if (model_push(r->model, job, delay))
        CHECK_INT(answer_number(answer, "id"), job->id);
    else
        expect_code(answer, "duplicate");
}

static void do_pushb(struct run *r)
{
    char fields[8000], *o = fields, path[32];
    uint64_t ids[12];
    unsigned queue = any_queue(r), n = (unsigned)below(r, 12), refused = 0;
    for (unsigned i = 0; i < n; i++) {
        uint64_t delay;
        struct model_job *job = model_new_job(r->model);
        if (!job)
            return;
        job->queue = queue;
        o += sprintf(o, "%s{", i ? "," : "");
        o += describe(r, job, &delay, o);
        *o++ = '}';
        ids[i] = model_push(r->model, job, delay) ? job->id : 0;
        refused += !ids[i];
    }
    *o = 0;
    const char *answer = send_line(r, "{\"cmd\":\"PUSHB\",\"queue\":\"%s\",\"jobs\":[%s]}", model_queue_names[queue], fields);
    CHECK_INT(answer_count(answer, "ids"), n);
    CHECK_INT(answer_count(answer, "errors"), refused);
    for (unsigned i = 0; i < n; i++) {
        snprintf(path, sizeof path, "ids.%u", i);
        CHECK_INT(answer_number(answer, path), ids[i]);
    }
}

/* --- pull --- */

static uint64_t shown(uint64_t n) { return n > 9007199254740991u ? 9007199254740991u : n; }

static void check_number(const char *answer, const char *at, const char *name, uint64_t wanted)
{
    char path[48], text[32];
    snprintf(path, sizeof path, "%s.%s", at, name);
    snprintf(text, sizeof text, "%" PRIu64, shown(wanted));
    if (!answer_is(answer, path, text))
        test_fail(__FILE__, __LINE__, "%s is %s, not %s", path, answer_text(answer, path), text);
}

static void check_job(const char *answer, const char *at, const struct model_job *job)
{
    char path[48], text[32];
    check_number(answer, at, "id", job->id);
    check_number(answer, at, "data", job->data);
    check_number(answer, at, "created_at", (uint64_t)job->created);
    check_number(answer, at, "run_at", (uint64_t)job->run_at);
    check_number(answer, at, "started_at", (uint64_t)job->started);
    check_number(answer, at, "attempts", job->attempts);
    check_number(answer, at, "deliveries", job->deliveries);
    check_number(answer, at, "max_attempts", job->max_attempts);
    check_number(answer, at, "backoff", job->backoff);
    check_number(answer, at, "max_backoff", job->max_backoff);
    check_number(answer, at, "ttl", job->ttl);
    check_number(answer, at, "timeout", job->timeout);
    snprintf(path, sizeof path, "%s.priority", at);
    snprintf(text, sizeof text, "%d", job->priority);
    CHECK(answer_is(answer, path, text));
    snprintf(path, sizeof path, "%s.unique_key", at);
    snprintf(text, sizeof text, job->key < 0 ? "null" : "\"k%d\"", job->key);
    CHECK(answer_is(answer, path, text));
    snprintf(path, sizeof path, "%s.last_error", at);
    CHECK(answer_is(answer, path, job->error));
}

static void note_token(const char *answer, const char *at, struct model_job *job)
{
    char path[48];
    snprintf(path, sizeof path, "%s.token", at);
    strcpy(job->old_token, job->token);
    snprintf(job->token, sizeof job->token, "%s", answer_text(answer, path));
    CHECK(strlen(job->token) == 16 && strcmp(job->token, job->old_token) != 0);
}

static void do_pull(struct run *r)
{
    unsigned queue = any_queue(r);
    uint64_t lease = 1 + some_ms(r) % UINT64_MAX;
    const char *answer = send_line(r, "{\"cmd\":\"PULL\",\"queue\":\"%s\",\"lease\":%" PRIu64 "%s}", model_queue_names[queue], lease,
                              chance(r, 50) ? ",\"timeout\":0" : "");
    struct model_job *job = model_pull(r->model, queue, lease);
    if (!job) {
        CHECK_TEXT(answer, "{\"ok\":true,\"job\":null}");
        return;
    }
    check_job(answer, "job", job);
    note_token(answer, "job", job);
}

static void do_pullb(struct run *r)
{
    unsigned queue = any_queue(r), count = (unsigned)below(r, 6), n = 0;
    const char *answer = send_line(r, "{\"cmd\":\"PULLB\",\"queue\":\"%s\",\"count\":%u}", model_queue_names[queue], count);
    struct model_job *job;
    for (; n < count && (job = model_pull(r->model, queue, 1800000)); n++) {
        char at[16];
        snprintf(at, sizeof at, "jobs.%u", n);
        check_job(answer, at, job);
        note_token(answer, at, job);
    }
    CHECK_INT(answer_count(answer, "jobs"), n);
}

/* --- what is done to a job --- */

static struct model_job *any_job(struct run *r)
{
    return r->model->n ? &r->model->jobs[below(r, r->model->n)] : NULL;
}

/* Any id that ever was, or one that never was; half of the time a held one. */
static uint64_t any_id(struct run *r)
{
    struct model_job *job = any_job(r);
    for (int tries = 0; chance(r, 80) && job && job->state != M_ACTIVE && tries < 20; tries++)
        job = any_job(r);
    return job && chance(r, 95) ? job->id : 1 + below(r, (uint64_t)1 << 53) % 9007199254740991u;
}

/* NULL, or one that is right, was right, or never was. */
static const char *any_token(struct run *r, uint64_t id)
{
    struct model_job *job = model_find(r->model, id);
    switch (below(r, 10)) {
    case 0:
        return "0123456789abcdef";
    case 1:
        return chance(r, 50) ? "" : "nonsense";
    case 2:
        return job && job->old_token[0] ? job->old_token : NULL;
    case 3: case 4: case 5:
        return job && job->token[0] ? job->token : NULL;
    default:
        return NULL;
    }
}

static void do_claim(struct run *r, const char *command)
{
    uint64_t id = any_id(r), delay = command[0] == 'R' && chance(r, 40) ? some_ms(r) : 0;
    const char *token = any_token(r, id), *error = chance(r, 50) ? "\"bad\\n\"" : "";
    bool unrecoverable = chance(r, 15);
    char rest[256] = "", *o = rest;
    if (token)
        o += sprintf(o, ",\"token\":\"%s\"", token);
    if (command[0] == 'F' && *error)
        o += sprintf(o, ",\"error\":%s", error);
    if (command[0] == 'F' && unrecoverable)
        o += sprintf(o, ",\"unrecoverable\":true");
    if (delay)
        o += sprintf(o, ",\"delay\":%" PRIu64, delay);
    const char *answer = send_line(r, "{\"cmd\":\"%s\",\"id\":%" PRIu64 "%s}", command, id, rest);
    struct model_job *job;
    const char *code = model_claim(r->model, id, token, &job);
    expect_code(answer, code);
    if (code)
        return;
    if (command[0] == 'A')
        model_ack(r->model, job);
    else if (command[0] == 'F')
        model_fail(r->model, job, error, unrecoverable, "failed");
    else
        model_release(r->model, job, delay);
}

static void do_batch(struct run *r, bool ack)
{
    char ids[512], tokens[512], *i = ids, *t = tokens;
    unsigned n = (unsigned)below(r, 8), count = 0;
    uint64_t delay = !ack && chance(r, 40) ? some_ms(r) : 0;
    bool with_tokens = chance(r, 50);
    *i = *t = 0;
    for (unsigned k = 0; k < n; k++) {
        uint64_t id = any_id(r);
        const char *token = with_tokens ? any_token(r, id) : NULL;
        i += sprintf(i, "%s%" PRIu64, k ? "," : "", id);
        t += sprintf(t, token ? "%s\"%s\"" : "%s%s", k ? "," : "", token ? token : "null");
        struct model_job *job;
        if (model_claim(r->model, id, token, &job))
            continue;
        count++;
        if (ack)
            model_ack(r->model, job);
        else
            model_release(r->model, job, delay);
    }
    const char *answer = send_line(r, "{\"cmd\":\"%s\",\"ids\":[%s],\"tokens\":%s%s%s,\"delay\":%" PRIu64 "}", ack ? "ACKB" : "RELEASE", ids,
                              with_tokens ? "[" : "null", with_tokens ? tokens : "", with_tokens ? "]" : "", delay);
    CHECK_INT(answer_number(answer, "count"), count);
}

static void do_cancel(struct run *r)
{
    uint64_t id = any_id(r);
    const char *answer = send_line(r, "{\"cmd\":\"CANCEL\",\"id\":%" PRIu64 "}", id);
    struct model_job *job = model_find(r->model, id);
    bool there = job && job->state != M_DEAD;
    expect_code(answer, there ? NULL : "not_found");
    if (there)
        model_end(job);
}

/* --- queues --- */

static void do_retry(struct run *r)
{
    unsigned queue = any_queue(r);
    struct model_job *job;
    if (chance(r, 50)) {
        job = model_dead(r->model, queue, (unsigned)below(r, 3));
        uint64_t id = job && chance(r, 80) ? job->id : any_id(r);
        const char *answer = send_line(r, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"%s\",\"id\":%" PRIu64 "}", model_queue_names[queue], id);
        job = model_find(r->model, id);
        if (!job || job->state != M_DEAD || job->queue != queue)
            expect_code(answer, "not_found");
        else
            expect_code(answer, model_retry_dead(r->model, job) ? NULL : "duplicate");
        return;
    }
    unsigned count = 0, skipped = 0;
    while ((job = model_dead(r->model, queue, skipped))) {
        if (model_retry_dead(r->model, job))
            count++;
        else
            skipped++;
    }
    CHECK_INT(answer_number(send_line(r, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"%s\"}", model_queue_names[queue]), "count"), count);
}

static void do_pause(struct run *r)
{
    unsigned queue = any_queue(r);
    bool pause = chance(r, 30);
    expect_code(send_line(r, "{\"cmd\":\"%s\",\"queue\":\"%s\"}", pause ? "PAUSE" : "RESUME", model_queue_names[queue]), NULL);
    r->model->paused[queue] = pause;
    r->model->known[queue] |= pause;
}

static void do_dlq(struct run *r)
{
    unsigned queue = any_queue(r), count = (unsigned)below(r, 5), n = 0;
    const char *answer = send_line(r, "{\"cmd\":\"DLQ\",\"queue\":\"%s\",\"count\":%u}", model_queue_names[queue], count);
    struct model_job *job;
    for (; n < count && (job = model_dead(r->model, queue, n)); n++) {
        char at[32];
        snprintf(at, sizeof at, "jobs.%u", n);
        check_job(answer, at, job);
        strcat(at, ".reason");
        CHECK_TEXT(answer_text(answer, at), job->reason);
    }
    CHECK_INT(answer_count(answer, "jobs"), n);
}

static void check_queues(struct run *r)
{
    const char *answer = send_line(r, "{\"cmd\":\"LISTQUEUES\"}");
    unsigned known = 0;
    for (unsigned queue = 0; queue < MODEL_QUEUES; queue++)
        known += r->model->known[queue];
    CHECK_INT(answer_count(answer, "queues"), known);
    for (unsigned i = 0; i < known; i++) {
        char at[32];
        unsigned queue = 0;
        snprintf(at, sizeof at, "queues.%u.name", i);
        while (queue < MODEL_QUEUES && strcmp(answer_text(answer, at), model_queue_names[queue]) != 0)
            queue++;
        CHECK(queue < MODEL_QUEUES && r->model->known[queue]);
        struct model_counts counts = model_count(r->model, (int)queue);
        snprintf(at, sizeof at, "queues.%u", i);
        check_number(answer, at, "pending", counts.ready);
        check_number(answer, at, "processing", counts.active);
        check_number(answer, at, "delayed", counts.delayed);
        check_number(answer, at, "dlq", counts.dead);
        check_number(answer, at, "completed", counts.completed);
        strcat(at, ".paused");
        CHECK(answer_is(answer, at, r->model->paused[queue] ? "true" : "false"));
    }
}

static void check_counts(struct run *r)
{
    struct model_counts counts = model_count(r->model, -1);
    char before[sizeof r->line];
    strcpy(before, r->line);
    const char *answer = send_line(r, "{\"cmd\":\"STATS\"}");
    test_note("after %.180s", before);
    CHECK_INT(answer_number(answer, "queued"), counts.ready);
    CHECK_INT(answer_number(answer, "delayed"), counts.delayed);
    CHECK_INT(answer_number(answer, "processing"), counts.active);
    CHECK_INT(answer_number(answer, "dlq"), counts.dead);
    CHECK_INT(answer_number(answer, "completed"), counts.completed);
}

static void do_time(struct run *r)
{
    static const int64_t steps[] = {1, 1, 2, 5, 10, 40, 100, 1000, 1800000};
    int64_t now = r->model->now + steps[below(r, sizeof steps / sizeof *steps)];
    mq_engine_set_time(r->engine, now);
    snprintf(r->line, sizeof r->line, "time %" PRId64, now);
    if (chance(r, 30))
        mq_engine_tick(r->engine);
    model_move(r->model, now);
}

static void step(struct run *r)
{
    uint64_t what = below(r, 100);
    if (what < 22)
        do_push(r);
    else if (what < 27)
        do_pushb(r);
    else if (what < 45)
        do_pull(r);
    else if (what < 50)
        do_pullb(r);
    else if (what < 58)
        do_claim(r, "ACK");
    else if (what < 68)
        do_claim(r, "FAIL");
    else if (what < 73)
        do_claim(r, "RELEASE");
    else if (what < 78)
        do_batch(r, chance(r, 60));
    else if (what < 81)
        do_cancel(r);
    else if (what < 85)
        do_retry(r);
    else if (what < 88)
        do_pause(r);
    else if (what < 90)
        do_dlq(r);
    else
        do_time(r);
}

static void run_seed(uint64_t seed, unsigned steps)
{
    struct run *r = calloc(1, sizeof *r);
    r->engine = engine_new();
    r->model = calloc(1, sizeof *r->model);
    r->model->now = T0;
    r->random.state = seed;
    for (unsigned i = 0; i < steps; i++) {
        step(r);
        check_counts(r);
        if (i % 16 == 0) {
            check_queues(r);
            mq_engine_check(r->engine);
        }
        model_tidy(r->model);
    }
    mq_engine_check(r->engine);
    mq_engine_free(r->engine);
    free(r->model);
    free(r);
}

TEST(engine_answers_as_the_naive_model_does)
{
    uint64_t first = test_setting("MQ_TEST_SEED", 1);
    for (uint64_t seed = first; seed < first + test_setting("MQ_TEST_SEEDS", 200) / 2; seed++) {
        test_seed(seed);
        run_seed(seed, 400);
    }
}
