/* Every allocation of every command fails once, alone and with all that follow: the answer says so, nothing is half done, and
 * the next honest command works. Leaks are the leak checker's. */
#include "tests/engine.h"
#include "tests/fail_alloc.h"
#include "tests/naive_json.h"
#include "tests/scenarios.h"
#include "tests/test.h"
#include "wire/request.h"

#include <stdio.h>
#include <stdlib.h>

/* A log that wants records and needs no memory, so that frames are built and only their building can fail. */
static int64_t swallow(struct mq_log *log, unsigned shard, const struct mq_frame *frame)
{
    static int64_t number;
    (void)log, (void)shard, (void)frame;
    return ++number;
}
static uint64_t all_committed(const struct mq_log *log) { return (void)log, UINT64_MAX; }
static int no_replay(struct mq_log *log, mq_log_visit *load, mq_log_visit *visit, void *context) { return (void)log, (void)load, (void)visit, (void)context, 0; }
static void close_log(struct mq_log *log) { free(log); }

static struct mq_log *swallowing_log(void)
{
    static const struct mq_log_ops ops = {.append = swallow, .committed = all_committed, .replay = no_replay, .close = close_log};
    struct mq_log *log = malloc(sizeof *log);
    *log = (struct mq_log){.ops = &ops, .wants_records = true};
    return log;
}

static struct mq_engine *prepared(const struct scenario *scenario, bool logged)
{
    struct mq_engine *engine = engine_new();
    if (logged)
        engine_use_log(engine, swallowing_log());
    scenario_prepare(scenario, engine);
    return engine;
}

/* What the command answers and makes of the state when nothing fails. */
struct success {
    char *answer, *before, *after;
};

static struct success succeed(const struct scenario *scenario, bool logged)
{
    struct mq_engine *engine = prepared(scenario, logged);
    struct success success = {.before = engine_dump(engine)};
    success.answer = strdup(run(engine, "%s", scenario->line));
    success.after = engine_dump(engine);
    mq_engine_free(engine);
    return success;
}

static void success_free(struct success *success)
{
    free(success->answer);
    free(success->before);
    free(success->after);
}

static uint64_t jobs_there(struct mq_engine *engine)
{
    const char *stats = run(engine, "{\"cmd\":\"STATS\"}");
    return (uint64_t)(answer_number(stats, "queued") + answer_number(stats, "delayed"));
}

/* Parts of a batch may fail by themselves, but what it says was done must be what was done. */
static void check_batch(struct mq_engine *engine, const char *line, const char *answer, uint64_t jobs_before)
{
    size_t accepted = 0, n = answer_count(answer, "ids");
    if (!strstr(line, "PUSHB"))
        return;
    for (size_t i = 0; i < n; i++) {
        char path[32];
        snprintf(path, sizeof path, "ids.%zu", i);
        accepted += answer_number(answer, path) != 0;
    }
    CHECK_INT(jobs_there(engine) - jobs_before, accepted);
    CHECK_INT(answer_count(answer, "errors"), n - accepted);
}

static void check_outcome(const struct scenario *scenario, struct mq_engine *engine, const struct success *success,
                          const char *answer, uint64_t jobs_before)
{
    char *state = engine_dump(engine);
    bool untouched = strcmp(state, success->before) == 0;
    if (!answer || answer_is(answer, "code", "\"out_of_memory\"")) {
        if (!untouched && !scenario->batch) /* all of it, or nothing */
            CHECK_DUMPS(state, success->after);
    } else if (strcmp(answer, success->answer) == 0) {
        CHECK_DUMPS(state, success->after);
    } else if (scenario->batch) {
        CHECK(answer_is(answer, "ok", "true"));
        check_batch(engine, scenario->line, answer, jobs_before);
    } else {
        test_fail(__FILE__, __LINE__, "out of memory is answered %s", answer);
    }
    free(state);
}

/* True if an allocation failed. */
static bool try_with_failure(const struct scenario *scenario, bool logged, uint64_t nth, bool all_after,
                             const struct success *success)
{
    struct mq_engine *engine = prepared(scenario, logged);
    char *answer = NULL;
    size_t n = 0;
    uint64_t jobs_before = jobs_there(engine);
    test_note("%s%s, allocation %llu%s", scenario->name, logged ? " with a log" : "", (unsigned long long)nth,
              all_after ? " and all after" : "");
    fail_alloc_arm(nth, all_after);
    int status = mq_engine_execute(engine, scenario->line, strlen(scenario->line), NULL, &answer, &n);
    bool failed = fail_alloc_disarm();
    CHECK(status == 0 || status == MQ_E_OUT_OF_MEMORY);
    char *text = status == 0 ? strndup(answer, n) : NULL;
    if (status == 0)
        mq_reply_free(answer);
    mq_engine_check(engine);
    check_outcome(scenario, engine, success, text, jobs_before);
    free(text);
    CHECK(answer_is(run(engine, "{\"cmd\":\"PUSH\",\"queue\":\"next\",\"data\":1}"), "ok", "true"));
    CHECK(answer_has(run(engine, "{\"cmd\":\"PULL\",\"queue\":\"next\"}"), "job.id"));
    mq_engine_check(engine);
    mq_engine_free(engine);
    return failed;
}

static void try_all(bool logged)
{
    for (size_t i = 0; i < scenario_n; i++) {
        struct success success = succeed(&scenarios[i], logged);
        for (int all_after = 0; all_after < 2; all_after++)
            for (uint64_t nth = 1; try_with_failure(&scenarios[i], logged, nth, all_after, &success);)
                nth++;
        success_free(&success);
    }
}

TEST(out_of_memory_leaves_no_command_half_done) { try_all(false); }

TEST(out_of_memory_leaves_no_logged_command_half_done) { try_all(true); }

/* A job given to somebody who never learns of it would be held by nobody until its lease ends. */
TEST(pull_that_runs_out_of_memory_takes_no_job)
{
    static const char *const pulls[] = {"{\"cmd\":\"PULL\",\"queue\":\"q\"}", "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":9}"};
    for (int i = 0; i < 2; i++)
        for (uint64_t nth = 1, failed = 1; failed; nth++) {
            struct mq_engine *engine = engine_new();
            char *answer;
            size_t n;
            for (int job = 0; job < 3; job++)
                run_ok(engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
            char *before = engine_dump(engine);
            test_note("%s, allocation %llu", pulls[i], (unsigned long long)nth);
            fail_alloc_arm(nth, false);
            int status = mq_engine_execute(engine, pulls[i], strlen(pulls[i]), NULL, &answer, &n);
            failed = fail_alloc_disarm();
            char *after = engine_dump(engine);
            if (status < 0)
                CHECK_DUMPS(after, before);
            else
                mq_reply_free(answer);
            free(before);
            free(after);
            mq_engine_free(engine);
        }
}

/* --- what time does --- */

static void check_due(const char *const *before, bool logged)
{
    struct scenario scenario = {.name = before[0]};
    for (int i = 0; i < 8 && before[i]; i++)
        scenario.before[i] = before[i];
    for (uint64_t nth = 1, failed = 1; failed; nth++) {
        struct mq_engine *engine = prepared(&scenario, logged), *twin = prepared(&scenario, logged);
        test_note("%s, allocation %llu", before[0], (unsigned long long)nth);
        mq_engine_set_time(engine, T0 + 100);
        mq_engine_set_time(twin, T0 + 100);
        fail_alloc_arm(nth, false);
        mq_engine_tick(engine);
        failed = fail_alloc_disarm();
        mq_engine_check(engine);
        later(engine, 200); /* memory is there again: what could not be done is done, if a moment later */
        later(twin, 200);
        mq_engine_tick(engine);
        mq_engine_tick(twin);
        CHECK_TEXT(run(engine, "{\"cmd\":\"STATS\"}"), run(twin, "{\"cmd\":\"STATS\"}"));
        mq_engine_free(engine);
        mq_engine_free(twin);
    }
}

TEST(what_was_due_without_memory_happens_when_there_is_some)
{
    static const char *const cases[][6] = {
        {"{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"delay\":10}", "{\"cmd\":\"PUSH\",\"queue\":\"r\",\"data\":1,\"delay\":10}"},
        {"{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"ttl\":10}"},
        {"{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"timeout\":10}", "{\"cmd\":\"PULL\",\"queue\":\"q\"}"},
        {"{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"timeout\":10,\"backoff\":500}", "{\"cmd\":\"PULL\",\"queue\":\"q\"}"},
        {"{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"timeout\":10,\"max_attempts\":1}", "{\"cmd\":\"PULL\",\"queue\":\"q\"}"},
        {"{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}", "{\"cmd\":\"PULL\",\"queue\":\"q\",\"lease\":10}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int logged = 0; logged < 2; logged++)
            check_due(cases[i], logged);
}

/* A dependent that could not be told at once is told a moment later. */
TEST(dependent_that_runs_out_of_memory_does_not_wait_for_ever)
{
    static const char push[] = "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"depends_on\":[1613]}";
    static const char *const ends[] = {"ACK", "CANCEL", "none"};
    for (int i = 0; i < 3; i++)
        for (uint64_t nth = 1, failed = 1; failed; nth++) {
            struct mq_engine *engine = engine_new();
            char line[64], *answer;
            size_t n;
            run_ok(engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
            run_ok(engine, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
            if (i < 2) /* the end before the push, or after it */
                run_ok(engine, "{\"cmd\":\"%s\",\"id\":1613}", ends[i]);
            snprintf(line, sizeof line, "{\"cmd\":\"ACK\",\"id\":1613}");
            if (i == 2)
                run_ok(engine, push);
            test_note("%s, allocation %llu", ends[i], (unsigned long long)nth);
            const char *what = i < 2 ? push : line;
            fail_alloc_arm(nth, false);
            int status = mq_engine_execute(engine, what, strlen(what), NULL, &answer, &n);
            failed = fail_alloc_disarm();
            bool done = status == 0 && strstr(answer, "\"ok\":true");
            if (status == 0)
                mq_reply_free(answer);
            mq_engine_check(engine);
            later(engine, 200);
            mq_engine_tick(engine);
            if (done)
                CHECK_HAS(run(engine, "{\"cmd\":\"STATS\"}"), i == 1 ? "\"dlq\":1" : "\"queued\":1");
            mq_engine_free(engine);
        }
}

TEST(engine_that_cannot_be_created_leaves_nothing_behind)
{
    static const char *const queues[] = {"a", "b*"};
    static const struct mq_grant grants[] = {{.token = "one", .roles = MQ_ROLE_ADMIN},
                                             {.token = "two", .roles = MQ_ROLE_READER, .queues = queues, .queue_n = 2}};
    struct mq_config config = engine_config();
    config.grants = grants;
    config.grant_n = 2;
    for (uint64_t nth = 1, failed = 1; failed; nth++) {
        fail_alloc_arm(nth, false);
        char why[64];
        struct mq_engine *engine = mq_engine_create(&config, why, sizeof why);
        failed = fail_alloc_disarm();
        CHECK(!engine == !!failed);
        mq_engine_free(engine);
    }
}
