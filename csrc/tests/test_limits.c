/* Rate limits and concurrency limits: never more than they say, never less than they allow. */
#include "queue/limits.h"
#include "tests/engine.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <inttypes.h>
#include <stdio.h>

static struct mq_engine *e;

static void setup(void) { e = engine_new(); }
static void done(void)
{
    mq_engine_check(e);
    mq_engine_free(e);
}

static void push(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
}

/* How many of `count` a PULLB gets. */
static size_t pull(unsigned count)
{
    return answer_count(run_ok(e, "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":%u,\"timeout\":0}", count), "jobs");
}

/* In thousandths of a token, one ms after the other: rate tokens come every duration, and it holds `rate` of them. */
static void check_bucket(uint64_t rate, uint64_t duration, uint64_t seed)
{
    struct random random = {seed};
    struct mq_limits limits = {0};
    int64_t now = 1000;
    unsigned __int128 level = (unsigned __int128)rate * duration;
    mq_limits_set_rate(&limits, rate, duration, now);
    for (int i = 0; i < 2000; i++) {
        int64_t pass = (int64_t)random_below(&random, 4);
        for (; pass; pass--, now++)
            level = level + rate > (unsigned __int128)rate * duration ? (unsigned __int128)rate * duration : level + rate;
        bool has = level >= duration;
        CHECK(mq_limits_has_token(&limits, now) == has);
        if (!has) {
            int64_t next = mq_limits_next_ms(&limits);
            CHECK(next > now && level + rate * (uint64_t)(next - now) >= duration && level + rate * (uint64_t)(next - now - 1) < duration);
        } else if (random_chance(&random, 70)) {
            mq_limits_spend(&limits);
            level -= duration;
        }
    }
}

TEST(bucket_equals_one_that_is_filled_millisecond_by_millisecond)
{
    static const uint64_t rates[] = {1, 2, 3, 7, 100, 5000}, durations[] = {1, 3, 10, 1000, 60000};
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 5; j++)
            check_bucket(rates[i], durations[j], i * 5 + j + 1);
}

TEST(rate_limit_spends_a_token_for_a_delivery_only)
{
    setup();
    run_ok(e, "{\"cmd\":\"RATELIMIT\",\"queue\":\"q\",\"limit\":3,\"duration\":3000}");
    for (int i = 0; i < 10; i++)
        CHECK_INT(pull(1), 0); /* nothing there: nothing spent */
    push(10);
    CHECK_INT(pull(2), 2);
    CHECK_INT(pull(5), 1);
    CHECK_INT(pull(5), 0);
    later(e, 999);
    CHECK_INT(pull(5), 0);
    later(e, 1);
    CHECK_INT(pull(5), 1);
    later(e, 100000);
    CHECK_INT(pull(9), 3); /* the bucket holds no more than the limit */
    run_ok(e, "{\"cmd\":\"RATELIMITCLEAR\",\"queue\":\"q\"}");
    CHECK_INT(pull(9), 3);
    done();
}

TEST(concurrency_limit_counts_jobs_held_already_and_is_freed_by_every_end)
{
    setup();
    push(9);
    CHECK_INT(pull(2), 2);
    run_ok(e, "{\"cmd\":\"SETCONCURRENCY\",\"queue\":\"q\",\"limit\":3}");
    CHECK_INT(pull(9), 1);
    CHECK_INT(pull(9), 0);
    static const char *const ends[] = {"ACK", "RELEASE", "CANCEL"};
    for (int i = 0; i < 3; i++) {
        run_ok(e, "{\"cmd\":\"%s\",\"id\":%d}", ends[i], ((i + 1) << 10) + 589);
        CHECK_INT(pull(9), 1);
        CHECK_INT(pull(9), 0);
    }
    later(e, 1800000); /* leases end */
    CHECK_INT(pull(9), 3);
    CHECK_INT(pull(9), 0);
    run_ok(e, "{\"cmd\":\"CLEARCONCURRENCY\",\"queue\":\"q\"}");
    CHECK_INT(pull(9), 4);
    done();
}

TEST(a_full_queue_refuses_pushes_and_nothing_else)
{
    setup();
    run_ok(e, "{\"cmd\":\"SETQUEUE\",\"queue\":\"q\",\"max_length\":3}");
    push(3);
    run_refused(e, "queue_full", "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
    CHECK_INT(pull(3), 3);
    push(3);
    later(e, 1800000); /* leases end: six wait now */
    CHECK_INT(pull(9), 6);
    later(e, 1800000);
    run_refused(e, "queue_full", "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"delay\":1000}");
    CHECK_INT(pull(4), 4);
    push(1);
    run_ok(e, "{\"cmd\":\"SETQUEUE\",\"queue\":\"q\",\"max_length\":0}");
    push(60);
    done();
}

TEST(a_cron_passes_over_its_turn_while_its_queue_is_full)
{
    setup();
    run_ok(e, "{\"cmd\":\"SETQUEUE\",\"queue\":\"q\",\"max_length\":1}");
    push(1);
    struct mq_verdict verdict = {.next_run_ms = mq_engine_now(e) + 1000};
    const char line[] = "{\"cmd\":\"CRON\",\"name\":\"c\",\"queue\":\"q\",\"data\":1,\"schedule\":\"*/1\"}";
    char *reply;
    size_t n;
    CHECK_INT(mq_engine_execute(e, line, sizeof line - 1, &verdict, &reply, &n), 0);
    mq_reply_free(reply);
    later(e, 1000);
    CHECK_INT(mq_engine_fire(e, "c", 1, verdict.next_run_ms, verdict.next_run_ms + 1000, 1), 1);
    run_refused(e, "queue_full", "{\"cmd\":\"CRONRUN\",\"name\":\"c\"}");
    CHECK_INT(pull(9), 1);
    later(e, 1000);
    CHECK_INT(mq_engine_fire(e, "c", 1, verdict.next_run_ms + 1000, verdict.next_run_ms + 2000, 1), 1);
    CHECK_INT(pull(9), 1);
    done();
}

TEST(limit_of_nothing_is_refused)
{
    setup();
    run_refused(e, "invalid", "{\"cmd\":\"RATELIMIT\",\"queue\":\"q\",\"limit\":0}");
    run_refused(e, "invalid", "{\"cmd\":\"SETCONCURRENCY\",\"queue\":\"q\",\"limit\":0}");
    run_refused(e, "invalid", "{\"cmd\":\"RATELIMIT\",\"queue\":\"q\",\"limit\":1,\"duration\":0}");
    CHECK_INT(answer_count(run(e, "{\"cmd\":\"LISTQUEUES\"}"), "queues"), 0);
    done();
}

TEST(limits_of_the_largest_numbers_limit_nothing)
{
    setup();
    run_ok(e, "{\"cmd\":\"RATELIMIT\",\"queue\":\"q\",\"limit\":18446744073709551615,\"duration\":18446744073709551615}");
    run_ok(e, "{\"cmd\":\"SETCONCURRENCY\",\"queue\":\"q\",\"limit\":18446744073709551615}");
    push(60);
    for (int64_t ms = 1; ms < 50; ms++) { /* a bucket of nearly 2^128: what flows in must not make it run over */
        CHECK_INT(pull(1), 1);
        later(e, ms);
    }
    later(e, (int64_t)1 << 50);
    CHECK_INT(pull(5), 5);
    done();
}

TEST(slowest_rate_lets_one_job_through_and_then_none)
{
    setup();
    run_ok(e, "{\"cmd\":\"RATELIMIT\",\"queue\":\"q\",\"limit\":1,\"duration\":18446744073709551615}");
    push(2);
    CHECK_INT(pull(5), 1);
    later(e, (int64_t)1 << 50);
    CHECK_INT(pull(5), 0);
    done();
}
