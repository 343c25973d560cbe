/* Holding and losing jobs: tokens, leases, timeouts, TTL, release, cancel, pause, unique keys. */
#include "tests/engine.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <inttypes.h>
#include <stdio.h>

static struct mq_engine *e;
static char token[32];

static void setup(void) { e = engine_new(); }
static void done(void)
{
    mq_engine_check(e);
    mq_engine_free(e);
}

#define PUSH(queue, rest) answer_number(run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"%s\",\"data\":1%s}", queue, rest), "id")

/* The job's id, 0 = none; its token in `token`. */
static int64_t pull_with(const char *queue, const char *options)
{
    const char *answer = run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"%s\",\"timeout\":0%s}", queue, options);
    snprintf(token, sizeof token, "%s", answer_text(answer, "job.token"));
    return answer_number(answer, "job.id");
}
static int64_t pull(const char *queue) { return pull_with(queue, ""); }

#define ID "{\"cmd\":\"%s\",\"id\":%" PRId64 "%s}"
static void ok(const char *command, int64_t id, const char *rest) { run_ok(e, ID, command, id, rest); }
static void refused(const char *code, const char *command, int64_t id, const char *rest) { run_refused(e, code, ID, command, id, rest); }

/* ,"token":"..." */
static const char *with(const char *text)
{
    static char rest[64];
    snprintf(rest, sizeof rest, ",\"token\":\"%s\"", text);
    return rest;
}

static const char *text_of(const char *format, long long id)
{
    static char text[64];
    snprintf(text, sizeof text, format, id);
    return text;
}

/* --- tokens --- */

TEST(token_is_different_for_each_delivery)
{
    char seen[50][32];
    setup();
    int64_t id = PUSH("q", "");
    for (int i = 0; i < 50; i++) {
        CHECK_INT(pull("q"), id);
        CHECK_INT(strlen(token), 16);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(seen[j], token) != 0);
        strcpy(seen[i], token);
        ok("RELEASE", id, "");
    }
    done();
}

TEST(stale_token_is_lease_lost_as_long_as_the_job_has_not_ended)
{
    static const char *const commands[] = {"ACK", "FAIL", "RELEASE"};
    char old[32];
    setup();
    int64_t id = PUSH("q", "");
    pull("q");
    strcpy(old, token);
    for (int i = 0; i < 3; i++) {
        refused("lease_lost", commands[i], id, with("0000000000000000"));
        refused("lease_lost", commands[i], id, with("no token at all"));
        refused("lease_lost", commands[i], id, with(""));
    }
    ok("RELEASE", id, with(token));
    refused("lease_lost", "ACK", id, with(old)); /* pending again */
    pull("q");
    refused("lease_lost", "ACK", id, with(old)); /* held by another */
    ok("ACK", id, with(token));
    refused("not_found", "ACK", id, with(token));
    CHECK_TEXT(answer_text(run(e, ID, "ACK", id, ""), "error"), text_of("Job %lld not found", id));
    done();
}

TEST(token_written_with_escapes_is_the_same_token)
{
    char escaped[64];
    setup();
    int64_t id = PUSH("q", ""), other = PUSH("q", "");
    pull("q");
    snprintf(escaped, sizeof escaped, "\\u00%02x%s", (unsigned char)token[0], token + 1);
    ok("ACK", id, with(escaped));
    pull("q");
    snprintf(escaped, sizeof escaped, "\\u00%02x%s", (unsigned char)token[0], token + 1);
    CHECK_INT(answer_number(run_ok(e, "{\"cmd\":\"ACKB\",\"ids\":[%" PRId64 "],\"tokens\":[\"%s\"]}", other, escaped), "count"), 1);
    done();
}

TEST(ack_of_a_job_nobody_holds_says_so)
{
    setup();
    int64_t id = PUSH("q", "");
    CHECK_TEXT(answer_text(run(e, ID, "ACK", id, ""), "error"), text_of("Job %lld not found in processing", id));
    refused("lease_lost", "ACK", id, with("0123456789abcdef"));
    refused("not_found", "FAIL", id, "");
    refused("not_found", "RELEASE", id, "");
    CHECK_TEXT(answer_text(run(e, ID, "ACK", id + 1024, ""), "error"), text_of("Job %lld not found", id + 1024));
    refused("bad_id", "ACK", 0, "");
    refused("not_found", "ACK", 9007199254740991, "");
    check_stats(e, 1, 0, 0, 0, 0);
    done();
}

/* --- leases, timeouts, losses --- */

TEST(lease_end_gives_the_job_back_without_an_attempt)
{
    setup();
    int64_t id = PUSH("q", ",\"max_attempts\":1");
    CHECK_INT(pull_with("q", ",\"lease\":1000"), id);
    later(e, 999);
    check_stats(e, 0, 1, 0, 0, 0);
    later(e, 1);
    check_stats(e, 1, 0, 0, 0, 0);
    const char *answer = run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    CHECK_INT(answer_number(answer, "job.deliveries"), 2);
    CHECK_INT(answer_number(answer, "job.attempts"), 0);
    CHECK_INT(answer_number(answer, "job.run_at"), T0);
    done();
}

TEST(lease_without_a_number_is_the_configured_one)
{
    struct mq_config config = engine_config();
    config.lease_ms = 5000;
    e = engine_new_with(&config);
    PUSH("q", "");
    pull("q");
    later(e, 4999);
    check_stats(e, 0, 1, 0, 0, 0);
    later(e, 1);
    check_stats(e, 1, 0, 0, 0, 0);
    done();
}

TEST(job_lost_too_often_goes_to_the_dlq)
{
    setup();
    int64_t id = PUSH("q", "");
    for (int i = 0; i < 10; i++) {
        CHECK_INT(pull_with("q", ",\"lease\":10"), id);
        later(e, 10);
    }
    check_stats(e, 0, 0, 0, 1, 0);
    const char *answer = run(e, "{\"cmd\":\"DLQ\",\"queue\":\"q\"}");
    CHECK(answer_is(answer, "jobs.0.reason", "\"expired_lease\""));
    CHECK_INT(answer_number(answer, "jobs.0.attempts"), 0);
    CHECK_INT(answer_number(answer, "jobs.0.deliveries"), 10);
    ok("RETRYDLQ", id, ",\"queue\":\"q\"");
    for (int i = 0; i < 9; i++) {
        CHECK_INT(pull_with("q", ",\"lease\":10"), id);
        later(e, 10);
    }
    check_stats(e, 1, 0, 0, 0, 0); /* losses were counted from 0 again */
    done();
}

TEST(timeout_spends_an_attempt_and_waits_the_backoff)
{
    setup();
    int64_t id = PUSH("q", ",\"timeout\":100,\"backoff\":1000,\"max_attempts\":2");
    CHECK_INT(pull("q"), id);
    later(e, 99);
    check_stats(e, 0, 1, 0, 0, 0);
    later(e, 1);
    check_stats(e, 0, 0, 1, 0, 0);
    refused("lease_lost", "ACK", id, with(token));
    later(e, 1000);
    const char *answer = run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    CHECK_INT(answer_number(answer, "job.attempts"), 1);
    CHECK(strlen(answer_text(answer, "job.last_error")) > 4); /* says that it was a timeout */
    later(e, 100);
    check_stats(e, 0, 0, 0, 1, 0);
    CHECK(answer_is(run(e, "{\"cmd\":\"DLQ\",\"queue\":\"q\"}"), "jobs.0.reason", "\"timeout\""));
    done();
}

TEST(earlier_of_lease_and_timeout_ends_the_hold)
{
    setup();
    int64_t id = PUSH("q", ",\"timeout\":100");
    CHECK_INT(pull_with("q", ",\"lease\":50"), id);
    later(e, 50);
    CHECK_INT(pull_with("q", ",\"lease\":500"), id); /* the lease: no attempt spent */
    later(e, 100);
    const char *answer = run(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"); /* the timeout: one spent */
    CHECK_INT(answer_number(answer, "job.attempts"), 1);
    CHECK_INT(answer_number(answer, "job.deliveries"), 3);
    done();
}

TEST(ttl_ends_only_jobs_that_were_never_pulled)
{
    setup();
    int64_t held = PUSH("q", ",\"ttl\":1000"), waiting = PUSH("q", ",\"ttl\":1000"), delayed = PUSH("q", ",\"ttl\":500,\"delay\":5000");
    CHECK_INT(pull("q"), held);
    later(e, 499);
    check_stats(e, 1, 1, 1, 0, 0);
    later(e, 1);
    check_stats(e, 1, 1, 0, 0, 0);
    refused("not_found", "CANCEL", delayed, "");
    later(e, 500);
    check_stats(e, 0, 1, 0, 0, 0);
    refused("not_found", "CANCEL", waiting, "");
    ok("RELEASE", held, "");
    later(e, 100000);
    CHECK_INT(pull("q"), held); /* once pulled, for ever safe from it */
    done();
}

TEST(ttl_of_the_largest_number_never_ends)
{
    setup();
    int64_t id = PUSH("q", ",\"ttl\":18446744073709551615,\"timeout\":18446744073709551615");
    later(e, (int64_t)1 << 45);
    CHECK_INT(pull_with("q", ",\"lease\":18446744073709551615"), id);
    later(e, (int64_t)1 << 45);
    check_stats(e, 0, 1, 0, 0, 0);
    done();
}

/* --- release, cancel, pause --- */

TEST(released_job_goes_back_to_its_old_place)
{
    setup();
    int64_t first = PUSH("q", ""), second = PUSH("q", "");
    later(e, 100);
    PUSH("q", "");
    CHECK_INT(pull("q"), first);
    CHECK_INT(pull("q"), second);
    CHECK_TEXT(run(e, ID, "RELEASE", first, ""), "{\"ok\":true,\"count\":1}");
    const char *answer = run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    CHECK_INT(answer_number(answer, "job.id"), first);
    CHECK_INT(answer_number(answer, "job.attempts"), 0);
    CHECK_INT(answer_number(answer, "job.deliveries"), 2);
    CHECK_INT(answer_number(answer, "job.run_at"), T0);
    ok("RELEASE", second, ",\"delay\":50");
    check_stats(e, 1, 1, 1, 0, 0);
    later(e, 50);
    CHECK_INT(answer_number(run(e, "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":9}"), "jobs.1.run_at"), T0 + 150);
    done();
}

TEST(release_never_counts_as_a_loss)
{
    setup();
    int64_t id = PUSH("q", "");
    for (int i = 0; i < 25; i++) {
        CHECK_INT(pull("q"), id);
        ok("RELEASE", id, "");
    }
    check_stats(e, 1, 0, 0, 0, 0);
    done();
}

TEST(release_needs_either_id_or_ids)
{
    setup();
    run_refused(e, "invalid", "{\"cmd\":\"RELEASE\"}");
    run_refused(e, "invalid", "{\"cmd\":\"RELEASE\",\"id\":1,\"ids\":[1]}");
    CHECK_TEXT(run(e, "{\"cmd\":\"RELEASE\",\"ids\":[]}"), "{\"ok\":true,\"count\":0}");
    done();
}

TEST(cancel_removes_a_job_in_every_state_but_dead)
{
    setup();
    int64_t ready = PUSH("q", ",\"priority\":-1"), delayed = PUSH("q", ",\"delay\":100"), held = PUSH("q", ""), backoff = PUSH("q", ",\"backoff\":100");
    CHECK_INT(pull("q"), held);
    CHECK_INT(pull("q"), backoff);
    ok("FAIL", backoff, "");
    check_stats(e, 1, 1, 2, 0, 0);
    ok("CANCEL", ready, "");
    ok("CANCEL", delayed, "");
    ok("CANCEL", held, "");
    ok("CANCEL", backoff, "");
    check_stats(e, 0, 0, 0, 0, 0);
    refused("not_found", "ACK", held, "");
    refused("not_found", "CANCEL", held, "");
    later(e, 1000);
    CHECK_INT(pull("q"), 0);
    done();
}

TEST(pause_stops_deliveries_and_nothing_else)
{
    setup();
    int64_t held = PUSH("q", "");
    CHECK_INT(pull("q"), held);
    run_ok(e, "{\"cmd\":\"PAUSE\",\"queue\":\"q\"}");
    run_ok(e, "{\"cmd\":\"PAUSE\",\"queue\":\"q\"}");
    CHECK_TEXT(run(e, "{\"cmd\":\"ISPAUSED\",\"queue\":\"q\"}"), "{\"ok\":true,\"paused\":true}");
    int64_t id = PUSH("q", ""), delayed = PUSH("q", ",\"delay\":10");
    CHECK_INT(pull("q"), 0);
    ok("ACK", held, "");
    later(e, 10);
    check_stats(e, 2, 0, 0, 0, 1);
    CHECK_INT(pull("q"), 0);
    run_ok(e, "{\"cmd\":\"RESUME\",\"queue\":\"q\"}");
    CHECK_TEXT(run(e, "{\"cmd\":\"ISPAUSED\",\"queue\":\"q\"}"), "{\"ok\":true,\"paused\":false}");
    CHECK_INT(pull("q"), id);
    CHECK_INT(pull("q"), delayed);
    done();
}

TEST(pause_of_a_queue_without_jobs_is_remembered)
{
    setup();
    run_ok(e, "{\"cmd\":\"PAUSE\",\"queue\":\"new\"}");
    int64_t id = PUSH("new", "");
    CHECK_INT(pull("new"), 0);
    CHECK(answer_is(run(e, "{\"cmd\":\"LISTQUEUES\"}"), "queues.0.paused", "true"));
    run_ok(e, "{\"cmd\":\"RESUME\",\"queue\":\"new\"}");
    CHECK_INT(pull("new"), id);
    run_ok(e, "{\"cmd\":\"RESUME\",\"queue\":\"unheard of\"}");
    CHECK_TEXT(run(e, "{\"cmd\":\"ISPAUSED\",\"queue\":\"unheard of\"}"), "{\"ok\":true,\"paused\":false}");
    CHECK_INT(answer_count(run(e, "{\"cmd\":\"LISTQUEUES\"}"), "queues"), 1);
    done();
}

/* --- unique keys --- */

#define KEY ",\"unique_key\":\"k\""

static void taken(void) { run_refused(e, "duplicate", "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1" KEY "}"); }

TEST(unique_key_is_held_through_retries_and_freed_by_every_end)
{
    enum { BY_ACK, BY_ACKB, BY_DLQ, BY_CANCEL, BY_LOSSES, BY_EXPIRY, ENDS };
    setup();
    for (int end = 0; end < ENDS; end++) {
        int64_t id = PUSH("q", KEY ",\"max_attempts\":9,\"ttl\":1000");
        taken();
        if (end != BY_EXPIRY) {
            CHECK_INT(pull("q"), id);
            taken();
            ok("FAIL", id, "");
            taken();
            CHECK_INT(pull_with("q", ",\"lease\":1"), id);
        }
        if (end == BY_ACK)
            ok("ACK", id, "");
        else if (end == BY_ACKB)
            run_ok(e, "{\"cmd\":\"ACKB\",\"ids\":[%" PRId64 "]}", id);
        else if (end == BY_DLQ)
            ok("FAIL", id, ",\"unrecoverable\":true");
        else if (end == BY_CANCEL)
            ok("CANCEL", id, "");
        else if (end == BY_EXPIRY)
            later(e, 1000);
        for (int i = 0; end == BY_LOSSES && i < 9; i++) {
            later(e, 1);
            CHECK_INT(pull_with("q", ",\"lease\":1"), id);
        }
        later(e, 1);
    }
    PUSH("q", KEY);
    check_stats(e, 1, 0, 0, 2, 2);
    done();
}

TEST(unique_key_is_held_in_its_queue_only)
{
    setup();
    PUSH("q", KEY);
    PUSH("other", KEY);
    taken();
    check_stats(e, 2, 0, 0, 0, 0);
    done();
}

TEST(unique_key_refusal_names_the_key)
{
    setup();
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"unique_key\":\"a\\\"b\\u0000c\"}");
    CHECK(answer_is(run(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"unique_key\":\"a\\\"b\\u0000c\"}"), "error",
                    "\"Duplicate job with key: a\\\"b\\u0000c\""));
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"unique_key\":\"\"}"); /* empty is a key too */
    run_refused(e, "duplicate", "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"unique_key\":\"\"}");
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"unique_key\":null}");
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"unique_key\":null}");
    done();
}

TEST(retrydlq_refuses_a_job_whose_key_was_taken_meanwhile)
{
    setup();
    int64_t id = PUSH("q", KEY);
    pull("q");
    ok("FAIL", id, ",\"unrecoverable\":true");
    int64_t other = PUSH("q", KEY);
    run_refused(e, "duplicate", "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\",\"id\":%" PRId64 "}", id);
    CHECK_INT(answer_number(run(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\"}"), "count"), 0);
    ok("CANCEL", other, "");
    CHECK_INT(answer_number(run(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\"}"), "count"), 1);
    taken();
    done();
}
