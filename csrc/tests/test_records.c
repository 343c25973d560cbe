/* What can be learnt of a job while it lives and after it ended, heartbeats, and the commands that empty a queue. */
#include "tests/engine.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <inttypes.h>

static struct mq_engine *e;

static void setup(void) { e = engine_new(); }
static void done(void)
{
    mq_engine_check(e);
    mq_engine_free(e);
}

static int64_t push(const char *rest) { return answer_number(run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1%s}", rest), "id"); }
static int64_t pull(const char *rest) { return answer_number(run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\",\"timeout\":0%s}", rest), "job.id"); }
#define ON(command, id, rest) run(e, "{\"cmd\":\"" command "\",\"id\":%" PRId64 rest "}", id)

static void check_state(int64_t id, const char *state)
{
    const char *answer = ON("GETJOB", id, "");
    CHECK_TEXT(answer_text(answer, "state"), state);
    CHECK(strcmp(state, "unknown") == 0 ? answer_is(answer, "job", "null") : answer_number(answer, "job.id") == id);
}

TEST(getjob_tells_every_state)
{
    setup();
    int64_t id = push(",\"delay\":10,\"max_attempts\":1");
    check_state(id, "delayed");
    later(e, 10);
    check_state(id, "waiting");
    pull("");
    check_state(id, "active");
    ON("FAIL", id, "");
    check_state(id, "failed");
    ON("RETRYDLQ", id, ",\"queue\":\"q\"");
    check_state(id, "waiting");
    pull("");
    ON("ACK", id, "");
    check_state(id, "completed");
    check_state(id + 1024, "unknown");
    done();
}

TEST(result_is_kept_byte_for_byte)
{
    setup();
    int64_t id = push("");
    CHECK(answer_is(ON("GETRESULT", id, ""), "result", "null"));
    pull("");
    CHECK(answer_is(ON("ACK", id, ",\"result\":{\"a\" : 1.00}"), "ok", "true"));
    CHECK(answer_is(ON("GETRESULT", id, ""), "result", "{\"a\" : 1.00}"));
    done();
}

TEST(completed_jobs_are_kept_only_so_many_and_only_so_long)
{
    struct mq_config config = engine_config();
    config.result_max = 3;
    config.result_ttl_ms = 1000;
    e = engine_new_with(&config);
    int64_t ids[6];
    for (int i = 0; i < 6; i++) {
        ids[i] = push("");
        pull("");
        ON("ACK", ids[i], ",\"result\":1");
        later(e, 10);
    }
    int kept = 0;
    for (int i = 0; i < 6; i++)
        kept += answer_is(ON("GETJOB", ids[i], ""), "state", "\"completed\"");
    CHECK(kept > 0 && kept <= 3);
    check_state(ids[5], "completed");
    check_state(ids[0], "unknown");
    later(e, 1000);
    for (int i = 0; i < 6; i++)
        check_state(ids[i], "unknown");
    check_stats(e, 0, 0, 0, 0, 6); /* what was completed stays counted */
    done();
}

TEST(ended_job_is_not_touched_by_commands_on_living_ones)
{
    setup();
    int64_t id = push(",\"unique_key\":\"k\"");
    pull("");
    ON("ACK", id, "");
    CHECK(answer_is(ON("ACK", id, ""), "code", "\"not_found\""));
    CHECK(answer_is(ON("FAIL", id, ""), "code", "\"not_found\""));
    CHECK(answer_is(ON("RELEASE", id, ""), "code", "\"not_found\""));
    CHECK(answer_is(ON("CANCEL", id, ""), "code", "\"not_found\""));
    CHECK(answer_is(ON("HEARTBEAT", id, ""), "code", "\"not_found\""));
    CHECK(answer_is(ON("PROGRESS", id, ",\"progress\":1"), "code", "\"not_found\""));
    CHECK(answer_is(ON("RETRYDLQ", id, ",\"queue\":\"q\""), "code", "\"not_found\""));
    push(",\"unique_key\":\"k\""); /* its key is free */
    check_state(id, "completed");
    done();
}

TEST(progress_is_clamped_and_remembered)
{
    setup();
    int64_t id = push("");
    CHECK(answer_is(ON("PROGRESS", id, ",\"progress\":5"), "code", "\"not_found\"")); /* nobody works on it */
    pull("");
    CHECK(answer_is(ON("PROGRESS", id, ",\"progress\":500,\"message\":\"a\\u0041\""), "ok", "true"));
    const char *answer = ON("GETPROGRESS", id, "");
    CHECK(answer_is(answer, "progress.progress", "100") && answer_is(answer, "progress.message", "\"a\\u0041\""));
    CHECK_INT(answer_number(answer, "progress.id"), id);
    done();
}

TEST(heartbeat_starts_lease_and_timeout_again)
{
    setup();
    int64_t id = push(",\"timeout\":100");
    CHECK_INT(pull(",\"lease\":60"), id);
    for (int i = 0; i < 10; i++) {
        later(e, 50);
        CHECK(answer_is(ON("HEARTBEAT", id, ""), "ok", "true"));
    }
    check_stats(e, 0, 1, 0, 0, 0);
    CHECK(answer_is(ON("HEARTBEAT", id, ",\"lease\":1000"), "ok", "true"));
    later(e, 99);
    check_stats(e, 0, 1, 0, 0, 0);
    later(e, 1); /* the timeout, which was restarted too */
    check_stats(e, 1, 0, 0, 0, 0);
    CHECK(answer_is(ON("HEARTBEAT", id, ""), "ok", "false"));
    done();
}

TEST(drain_drops_waiting_jobs_and_purgedlq_dead_ones)
{
    setup();
    for (int i = 0; i < 2500; i++) /* more than is done in one go */
        push(i % 3 ? "" : ",\"delay\":1000");
    int64_t held = pull(""), dead = pull("");
    ON("FAIL", dead, ",\"unrecoverable\":true");
    CHECK_TEXT(run(e, "{\"cmd\":\"DRAIN\",\"queue\":\"q\"}"), "{\"ok\":true,\"count\":2498}");
    check_stats(e, 0, 1, 0, 1, 0);
    CHECK_TEXT(run(e, "{\"cmd\":\"PURGEDLQ\",\"queue\":\"q\"}"), "{\"ok\":true,\"count\":1}");
    check_stats(e, 0, 1, 0, 0, 0);
    CHECK(answer_is(ON("ACK", held, ""), "ok", "true"));
    CHECK_TEXT(run(e, "{\"cmd\":\"DRAIN\",\"queue\":\"unheard of\"}"), "{\"ok\":true,\"count\":0}");
    done();
}

TEST(retrydlq_of_thousands_skips_only_those_whose_key_is_taken)
{
    setup();
    for (int i = 0; i < 2500; i++)
        push(i == 7 ? ",\"unique_key\":\"a\"" : i == 2400 ? ",\"unique_key\":\"b\"" : "");
    for (int64_t id; (id = pull(""));)
        ON("FAIL", id, ",\"unrecoverable\":true");
    int64_t blocker = push(",\"unique_key\":\"a\"");
    push(",\"unique_key\":\"b\"");
    CHECK_INT(answer_number(run(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\"}"), "count"), 2498);
    check_stats(e, 2500, 0, 0, 2, 0);
    ON("CANCEL", blocker, "");
    CHECK_INT(answer_number(run(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\"}"), "count"), 1);
    done();
}
