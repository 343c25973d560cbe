/* A job's way from push to end, as lines for the engine at a time that the test moves. */
#include "tests/engine.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct mq_engine *e;

static void setup(void) { e = engine_new(); }
static void done(void)
{
    mq_engine_check(e);
    mq_engine_free(e);
}

#define PUSH(queue, rest) answer_number(run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"%s\",\"data\":1%s}", queue, rest), "id")

/* Pulls without waiting: the job's id, 0 = none. */
static int64_t pull(const char *queue)
{
    return answer_number(run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"%s\",\"timeout\":0}", queue), "job.id");
}

static void ack(int64_t id) { run_ok(e, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id); }
static void fail(int64_t id) { run_ok(e, "{\"cmd\":\"FAIL\",\"id\":%" PRId64 ",\"error\":\"e\"}", id); }

TEST(job_pushed_is_pulled_and_acked_once)
{
    setup();
    int64_t id = PUSH("q", ",\"priority\":3");
    const char *answer = run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    CHECK_INT(answer_number(answer, "job.id"), id);
    CHECK_INT(answer_number(answer, "job.priority"), 3);
    CHECK_INT(answer_number(answer, "job.created_at"), T0);
    CHECK_INT(answer_number(answer, "job.run_at"), T0);
    CHECK_INT(answer_number(answer, "job.started_at"), T0);
    CHECK_INT(answer_number(answer, "job.deliveries"), 1);
    CHECK_INT(answer_number(answer, "job.attempts"), 0);
    CHECK(answer_is(answer, "job.data", "1") && answer_is(answer, "job.queue", "\"q\""));
    check_stats(e, 0, 1, 0, 0, 0);
    ack(id);
    check_stats(e, 0, 0, 0, 0, 1);
    run_refused(e, "not_found", "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id);
    CHECK_INT(pull("q"), 0);
    done();
}

TEST(ids_grow_within_a_queue_and_lead_to_its_slot)
{
    setup();
    int64_t last = 0;
    for (int i = 0; i < 100; i++) {
        int64_t id = PUSH("emails", "");
        CHECK(id > last && id % 1024 == (int64_t)(0x1bc76ca6c274bdfcu % 1024));
        last = id;
        if (i % 3 == 0)
            run_ok(e, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", id); /* and is never given out again */
    }
    done();
}

/* --- order --- */

TEST(higher_priority_runs_first_then_earlier_then_lower_id)
{
    setup();
    int64_t a = PUSH("q", ""), b = PUSH("q", ",\"priority\":1"), c = PUSH("q", ",\"priority\":-1"), d = PUSH("q", ",\"priority\":1");
    int64_t low = PUSH("q", ",\"priority\":-2147483648"), high = PUSH("q", ",\"priority\":2147483647");
    later(e, 5);
    int64_t f = PUSH("q", ",\"priority\":1");
    const int64_t wanted[] = {high, b, d, f, a, c, low};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        CHECK_INT(pull("q"), wanted[i]);
    done();
}

TEST(run_at_orders_jobs_of_one_priority_when_all_are_due)
{
    setup();
    int64_t third = PUSH("q", ",\"delay\":300"), first = PUSH("q", ",\"delay\":100"), second = PUSH("q", ",\"delay\":200");
    later(e, 250);
    int64_t now = PUSH("q", "");
    later(e, 100);
    CHECK_INT(pull("q"), first);
    CHECK_INT(pull("q"), second);
    CHECK_INT(pull("q"), now);
    CHECK_INT(pull("q"), third);
    done();
}

TEST(a_million_years_of_delay_does_not_disturb_the_order)
{
    setup();
    int64_t never = PUSH("q", ",\"delay\":18446744073709551615,\"priority\":100"), soon = PUSH("q", ",\"delay\":1");
    later(e, 1);
    CHECK_INT(pull("q"), soon);
    ack(soon);
    CHECK_INT(pull("q"), 0);
    later(e, (int64_t)1 << 47);
    CHECK_INT(pull("q"), 0);
    run_ok(e, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", never);
    done();
}

/* --- delay --- */

TEST(delayed_job_is_ready_at_its_millisecond_and_blocks_nobody)
{
    setup();
    int64_t delayed = PUSH("q", ",\"delay\":1000,\"priority\":9"), ready = PUSH("q", "");
    check_stats(e, 1, 0, 1, 0, 0);
    CHECK_INT(pull("q"), ready);
    later(e, 999);
    CHECK_INT(pull("q"), 0);
    later(e, 1);
    CHECK_INT(pull("q"), delayed);
    done();
}

TEST(tick_moves_due_jobs_and_tells_the_next_time)
{
    setup();
    CHECK_INT(mq_engine_tick(e), INT64_MAX);
    PUSH("a", ",\"delay\":50");
    PUSH("b", ",\"delay\":70");
    PUSH("c", ",\"ttl\":60");
    CHECK_INT(mq_engine_tick(e), T0 + 50);
    later(e, 50);
    CHECK_INT(mq_engine_tick(e), T0 + 60);
    check_stats(e, 2, 0, 1, 0, 0);
    later(e, 30);
    CHECK_INT(mq_engine_tick(e), INT64_MAX);
    check_stats(e, 2, 0, 0, 0, 0);
    done();
}

TEST(thousands_of_jobs_due_at_once_all_move)
{
    enum { N = 3 * MQ_DUE_SLICE }; /* more than is done under one lock */
    char *line = malloc(N * 32), *o = line;
    setup();
    o += sprintf(o, "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[");
    for (unsigned i = 0; i < N; i++)
        o += sprintf(o, "%s{\"data\":1,\"delay\":10}", i ? "," : "");
    o += sprintf(o, "]}");
    run_bytes(e, line, (size_t)(o - line));
    free(line);
    check_stats(e, 0, 0, N, 0, 0);
    later(e, 10);
    CHECK_INT(mq_engine_tick(e), INT64_MAX);
    check_stats(e, N, 0, 0, 0, 0);
    done();
}

/* --- failing --- */

static int64_t run_at_after_fail(int64_t id)
{
    fail(id);
    const struct mq_queue *queue = engine_queue(e, "q");
    return queue->delayed.n ? ((struct mq_job *)queue->delayed.entries[0].item)->run_at_ms - mq_engine_now(e) : 0;
}

static void check_backoff(const char *options, const uint64_t *waits, size_t n)
{
    setup();
    int64_t id = PUSH("q", options);
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(pull("q"), id);
        int64_t wait = run_at_after_fail(id);
        CHECK_INT(wait, (int64_t)waits[i]);
        later(e, wait);
    }
    CHECK_INT(answer_number(run(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "job.attempts"), (int64_t)n);
    done();
}

TEST(backoff_doubles_up_to_its_maximum)
{
    check_backoff(",\"backoff\":1000", (uint64_t[]){1000, 2000, 4000, 8000}, 4);
    check_backoff(",\"backoff\":1000,\"max_backoff\":3000", (uint64_t[]){1000, 2000, 3000, 3000}, 4);
    check_backoff(",\"backoff\":5000,\"max_backoff\":300", (uint64_t[]){300, 300}, 2);
    check_backoff(",\"backoff\":1000,\"max_backoff\":0", (uint64_t[]){0, 0}, 2);
    check_backoff(",\"backoff\":0", (uint64_t[]){0, 0, 0}, 3);
    check_backoff(",\"backoff\":1000000", (uint64_t[]){1000000, 2000000, 3600000, 3600000}, 4); /* one hour unless told */
}

TEST(backoff_saturates_after_a_hundred_failures)
{
    uint64_t waits[100];
    for (int i = 0; i < 100; i++)
        waits[i] = i < 9 ? 1u << i : 300;
    check_backoff(",\"backoff\":1,\"max_backoff\":300", waits, 100);
}

TEST(backoff_of_the_largest_numbers_waits_for_ever_and_shows_2_to_the_53)
{
    setup();
    int64_t id = PUSH("q", ",\"backoff\":18446744073709551615,\"max_backoff\":18446744073709551615");
    const char *answer = run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    CHECK(answer_is(answer, "job.backoff", "9007199254740991") && answer_is(answer, "job.max_backoff", "9007199254740991"));
    fail(id);
    check_stats(e, 0, 0, 1, 0, 0);
    later(e, (int64_t)1 << 50);
    CHECK_INT(pull("q"), 0);
    done();
}

TEST(failed_job_goes_to_the_dlq_at_max_attempts)
{
    setup();
    int64_t id = PUSH("q", ",\"max_attempts\":3");
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(pull("q"), id);
        run_ok(e, "{\"cmd\":\"FAIL\",\"id\":%" PRId64 ",\"error\":\"no %d\"}", id, i);
    }
    check_stats(e, 0, 0, 0, 1, 0);
    const char *answer = run_ok(e, "{\"cmd\":\"DLQ\",\"queue\":\"q\"}");
    CHECK_INT(answer_count(answer, "jobs"), 1);
    CHECK(answer_is(answer, "jobs.0.last_error", "\"no 3\"") && answer_is(answer, "jobs.0.reason", "\"failed\""));
    CHECK_INT(answer_number(answer, "jobs.0.attempts"), 3);
    CHECK(answer_is(answer, "jobs.0.token", "null"));
    done();
}

TEST(failed_job_without_max_attempts_is_retried_for_ever)
{
    setup();
    int64_t id = PUSH("q", "");
    for (int i = 0; i < 50; i++) {
        CHECK_INT(pull("q"), id);
        fail(id);
    }
    check_stats(e, 1, 0, 0, 0, 0);
    done();
}

TEST(unrecoverable_failure_goes_to_the_dlq_at_once)
{
    setup();
    int64_t id = PUSH("q", ",\"max_attempts\":10");
    CHECK_INT(pull("q"), id);
    run_ok(e, "{\"cmd\":\"FAIL\",\"id\":%" PRId64 ",\"unrecoverable\":true}", id);
    check_stats(e, 0, 0, 0, 1, 0);
    CHECK(answer_is(run(e, "{\"cmd\":\"DLQ\",\"queue\":\"q\"}"), "jobs.0.reason", "\"failed\""));
    CHECK(answer_is(run(e, "{\"cmd\":\"DLQ\",\"queue\":\"q\"}"), "jobs.0.last_error", "null"));
    done();
}

TEST(last_error_is_kept_through_a_failure_without_text)
{
    setup();
    int64_t id = PUSH("q", "");
    pull("q");
    run_ok(e, "{\"cmd\":\"FAIL\",\"id\":%" PRId64 ",\"error\":\"first\\u0021\"}", id);
    pull("q");
    run_ok(e, "{\"cmd\":\"FAIL\",\"id\":%" PRId64 "}", id);
    CHECK(answer_is(run(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "job.last_error", "\"first\\u0021\""));
    done();
}

/* --- the dead-letter queue --- */

static int64_t bury(const char *queue, const char *options)
{
    int64_t id = PUSH(queue, options);
    CHECK_INT(pull(queue), id);
    run_ok(e, "{\"cmd\":\"FAIL\",\"id\":%" PRId64 ",\"unrecoverable\":true}", id);
    return id;
}

TEST(dlq_lists_oldest_first_and_only_as_many_as_asked)
{
    setup();
    int64_t ids[5];
    for (int i = 0; i < 5; i++)
        ids[i] = bury("q", "");
    for (int count = 0; count <= 6; count++) {
        const char *answer = run_ok(e, "{\"cmd\":\"DLQ\",\"queue\":\"q\",\"count\":%d}", count);
        CHECK_INT(answer_count(answer, "jobs"), count < 5 ? count : 5);
    }
    const char *answer = run_ok(e, "{\"cmd\":\"DLQ\",\"queue\":\"q\"}");
    for (int i = 0; i < 5; i++) {
        char path[32];
        snprintf(path, sizeof path, "jobs.%d.id", i);
        CHECK_INT(answer_number(answer, path), ids[i]);
    }
    CHECK_INT(answer_count(run_ok(e, "{\"cmd\":\"DLQ\",\"queue\":\"unknown\"}"), "jobs"), 0);
    done();
}

TEST(retrydlq_starts_attempts_deliveries_and_losses_again)
{
    setup();
    int64_t id = PUSH("q", ",\"max_attempts\":2,\"backoff\":10");
    pull("q");
    fail(id);
    later(e, 10);
    pull("q");
    fail(id);
    later(e, 500);
    run_ok(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\",\"id\":%" PRId64 "}", id);
    check_stats(e, 1, 0, 0, 0, 0);
    const char *answer = run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    CHECK_INT(answer_number(answer, "job.attempts"), 0);
    CHECK_INT(answer_number(answer, "job.deliveries"), 1);
    CHECK_INT(answer_number(answer, "job.run_at"), T0 + 510);
    CHECK(!answer_has(answer, "job.reason"));
    CHECK(answer_is(answer, "job.last_error", "\"e\""));
    done();
}

TEST(retrydlq_of_all_answers_the_count_in_both_forms)
{
    setup();
    for (int i = 0; i < 3; i++)
        bury("q", "");
    CHECK_TEXT(run(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\"}"), "{\"ok\":true,\"ids\":[3],\"count\":3}");
    CHECK_TEXT(run(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\"}"), "{\"ok\":true,\"ids\":[0],\"count\":0}");
    CHECK_TEXT(run(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"never heard of\"}"), "{\"ok\":true,\"ids\":[0],\"count\":0}");
    check_stats(e, 3, 0, 0, 0, 0);
    done();
}

TEST(retrydlq_refuses_ids_that_are_not_in_that_dlq)
{
    setup();
    int64_t dead = bury("q", ""), ready = PUSH("q", ""), other = bury("other", "");
    run_refused(e, "not_found", "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\",\"id\":%" PRId64 "}", ready);
    run_refused(e, "not_found", "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\",\"id\":%" PRId64 "}", other);
    run_refused(e, "not_found", "{\"cmd\":\"RETRYDLQ\",\"queue\":\"nowhere\",\"id\":%" PRId64 "}", dead);
    run_refused(e, "bad_id", "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\",\"id\":0}");
    check_stats(e, 1, 0, 0, 2, 0);
    done();
}

TEST(dead_job_can_be_neither_acked_nor_cancelled)
{
    setup();
    int64_t id = bury("q", "");
    run_refused(e, "not_found", "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id);
    run_refused(e, "not_found", "{\"cmd\":\"ACK\",\"id\":%" PRId64 ",\"token\":\"0123456789abcdef\"}", id);
    run_refused(e, "not_found", "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", id);
    check_stats(e, 0, 0, 0, 1, 0);
    done();
}
