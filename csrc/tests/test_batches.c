/* PUSHB, PULLB, ACKB, and the commands that look at the whole engine. */
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

static int64_t at(const char *answer, const char *format, int index)
{
    char path[64];
    snprintf(path, sizeof path, format, index);
    return answer_number(answer, path);
}

/* --- PUSHB --- */

TEST(pushb_accepts_and_refuses_each_item_by_itself)
{
    struct mq_config config = engine_config();
    config.max_job_bytes = 10;
    e = engine_new_with(&config);
    const char *answer = run_ok(e, "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"reqId\":7,\"reqId\":\"r\",\"jobs\":["
                                   "{\"data\":1,\"priority\":2},{\"data\":2,\"delay\":5},{},7,{\"data\":3,\"priority\":\"x\"},"
                                   "{\"data\":4,\"unique_key\":\"k\"},{\"data\":5,\"uniqueKey\":\"k\"},{\"data\":\"12345678\"},"
                                   "{\"data\":\"123456789\"},{\"data\":6,\"queue\":\"elsewhere\",\"reqId\":1}]}");
    static const char *const codes[] = {[2] = "invalid", [3] = "invalid", [4] = "invalid", [6] = "duplicate", [8] = "payload_too_large", [9] = NULL};
    CHECK_INT(answer_count(answer, "ids"), 10);
    CHECK(answer_is(answer, "reqId", "\"r\""));
    int64_t last = 0;
    int error = 0;
    for (int i = 0; i < 10; i++) {
        int64_t id = at(answer, "ids.%d", i);
        char path[32];
        CHECK((id == 0) == (codes[i] != NULL));
        if (id)
            CHECK(id > last);
        last = id ? id : last;
        if (!codes[i])
            continue;
        CHECK_INT(at(answer, "errors.%d.index", error), i);
        snprintf(path, sizeof path, "errors.%d.code", error++);
        CHECK_TEXT(answer_text(answer, path), codes[i]);
    }
    CHECK_INT(answer_count(answer, "errors"), error);
    check_stats(e, 4, 0, 1, 0, 0);
    CHECK_INT(at(run(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "job.data", 0), 1);
    done();
}

TEST(pushb_without_any_accepted_item_leaves_no_queue)
{
    setup();
    CHECK_TEXT(run(e, "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[]}"), "{\"ok\":true,\"ids\":[]}");
    CHECK_INT(answer_count(run_ok(e, "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[1,{}]}"), "errors"), 2);
    CHECK_TEXT(run(e, "{\"cmd\":\"LISTQUEUES\"}"), "{\"ok\":true,\"queues\":[]}");
    run_refused(e, "invalid", "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":{}}");
    run_refused(e, "invalid", "{\"cmd\":\"PUSHB\",\"queue\":\"q\"}");
    done();
}

TEST(pushb_of_the_largest_batch_is_one_answer)
{
    enum { N = 100000 };
    char *line = malloc(64 + N * 12), *o = line;
    setup();
    o += sprintf(o, "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[");
    for (int i = 0; i < N; i++)
        o += sprintf(o, "%s{\"data\":1}", i ? "," : "");
    strcpy(o, "]}");
    CHECK_INT(answer_count(run_bytes(e, line, strlen(line)), "ids"), N);
    check_stats(e, N, 0, 0, 0, 0);
    strcpy(o, ",1]}");
    CHECK(answer_is(run_bytes(e, line, strlen(line)), "code", "\"payload_too_large\""));
    check_stats(e, N, 0, 0, 0, 0);
    free(line);
    done();
}

/* --- PULLB --- */

TEST(pullb_gives_at_most_count_in_order)
{
    setup();
    for (int i = 0; i < 10; i++)
        run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":%d,\"priority\":%d}", i, i % 2);
    CHECK_TEXT(run(e, "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":0}"), "{\"ok\":true,\"jobs\":[]}");
    const char *answer = run_ok(e, "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":4}");
    CHECK_INT(answer_count(answer, "jobs"), 4);
    for (int i = 0; i < 4; i++)
        CHECK_INT(at(answer, "jobs.%d.data", i), 2 * i + 1);
    check_stats(e, 6, 4, 0, 0, 0);
    CHECK_INT(answer_count(run_ok(e, "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":18446744073709551615}"), "jobs"), 6);
    CHECK_TEXT(run(e, "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":9,\"timeout\":0}"), "{\"ok\":true,\"jobs\":[]}");
    done();
}

TEST(pullb_count_is_clamped_to_ten_thousand)
{
    static const char push[] = "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}";
    setup();
    for (int i = 0; i < 10003; i++)
        CHECK(answer_is(run_bytes(e, push, sizeof push - 1), "ok", "true"));
    CHECK_INT(answer_count(run(e, "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":10002}"), "jobs"), 10000);
    check_stats(e, 3, 10000, 0, 0, 0);
    done();
}

TEST(pullb_answer_stops_at_the_limit_of_output)
{
    struct mq_config config = engine_config();
    config.max_output = 2000;
    e = engine_new_with(&config);
    for (int i = 0; i < 50; i++)
        run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
    const char *answer = run_ok(e, "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":50}");
    size_t n = answer_count(answer, "jobs");
    CHECK(n > 1 && n < 12 && strlen(answer) < 3000);
    check_stats(e, 50 - n, n, 0, 0, 0); /* what was not shown was not given */
    done();
}

/* --- ACKB and RELEASE of many --- */

TEST(ackb_skips_what_is_not_held_and_counts_repeated_ids_once)
{
    int64_t ids[4];
    setup();
    for (int i = 0; i < 4; i++)
        ids[i] = answer_number(run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q%d\",\"data\":1}", i), "id");
    for (int i = 0; i < 3; i++)
        run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q%d\"}", i);
    CHECK_TEXT(run(e, "{\"cmd\":\"ACKB\",\"ids\":[%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",9007199254740991]}", ids[0], ids[0], ids[3], ids[1]),
               "{\"ok\":true,\"ids\":[2],\"count\":2}");
    check_stats(e, 1, 1, 0, 0, 2);
    CHECK_TEXT(run(e, "{\"cmd\":\"ACKB\",\"ids\":[]}"), "{\"ok\":true,\"ids\":[0],\"count\":0}");
    done();
}

TEST(ackb_checks_tokens_and_sizes_of_results_for_each_id)
{
    int64_t ids[4];
    char tokens[4][32];
    struct mq_config config = engine_config();
    config.max_job_bytes = 8;
    e = engine_new_with(&config);
    for (int i = 0; i < 4; i++) {
        run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
        const char *answer = run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
        ids[i] = answer_number(answer, "job.id");
        snprintf(tokens[i], sizeof *tokens, "%s", answer_text(answer, "job.token"));
    }
    CHECK_INT(answer_number(run(e, "{\"cmd\":\"ACKB\",\"ids\":[%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "],"
                                   "\"tokens\":[\"%s\",null,\"%s\",\"%s\"],\"results\":[null,{},[],\"too long\"]}",
                                ids[0], ids[1], ids[2], ids[3], tokens[0], tokens[0], tokens[3]), "count"), 2);
    check_stats(e, 0, 2, 0, 0, 2);
    run_refused(e, "not_found", "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", ids[1]);
    run_ok(e, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", ids[2]);
    run_refused(e, "payload_too_large", "{\"cmd\":\"ACK\",\"id\":%" PRId64 ",\"result\":\"1234567\"}", ids[3]);
    run_ok(e, "{\"cmd\":\"ACK\",\"id\":%" PRId64 ",\"result\":\"123456\"}", ids[3]);
    done();
}

TEST(ackb_refuses_lists_of_different_lengths_whole)
{
    setup();
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
    int64_t id = answer_number(run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "job.id");
    run_refused(e, "invalid", "{\"cmd\":\"ACKB\",\"ids\":[%" PRId64 "],\"tokens\":[]}", id);
    run_refused(e, "invalid", "{\"cmd\":\"ACKB\",\"ids\":[%" PRId64 "],\"results\":[1,2]}", id);
    run_refused(e, "bad_id", "{\"cmd\":\"ACKB\",\"ids\":[%" PRId64 ",0]}", id);
    run_refused(e, "invalid", "{\"cmd\":\"ACKB\",\"ids\":[%" PRId64 ",\"1\"]}", id);
    check_stats(e, 0, 1, 0, 0, 0);
    CHECK_TEXT(run(e, "{\"cmd\":\"RELEASE\",\"ids\":[%" PRId64 ",%" PRId64 ",5],\"delay\":10}", id, id), "{\"ok\":true,\"count\":1}");
    check_stats(e, 0, 0, 1, 0, 0);
    done();
}

/* --- limits --- */

TEST(push_over_max_job_bytes_is_refused_and_leaves_no_queue)
{
    struct mq_config config = engine_config();
    config.max_job_bytes = 5;
    e = engine_new_with(&config);
    run_refused(e, "payload_too_large", "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":[1, 2]}");
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":[1,2]}");
    run_refused(e, "payload_too_large", "{\"cmd\":\"PUSH\",\"queue\":\"other\",\"data\":\"1234\"}");
    CHECK_INT(answer_count(run(e, "{\"cmd\":\"LISTQUEUES\"}"), "queues"), 1);
    done();
}

TEST(full_memory_refuses_pushes_and_lets_everything_drain)
{
    struct mq_config config = engine_config();
    config.max_memory = 10000;
    e = engine_new_with(&config);
    int n = 0;
    while (answer_is(run(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"%0100d\"}", n), "ok", "true"))
        n++;
    CHECK(n > 20 && n < 100);
    CHECK(answer_is(run_refused(e, "out_of_memory", "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}"), "retryable", "true"));
    const char *answer = run_ok(e, "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[{\"data\":1},7]}");
    CHECK(answer_is(answer, "ids.0", "0") && answer_is(answer, "errors.0.code", "\"out_of_memory\""));
    CHECK(answer_is(answer, "errors.1.code", "\"invalid\""));
    int64_t id = answer_number(run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "job.id");
    run_ok(e, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id);
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
    done();
}

TEST(line_over_max_line_is_refused)
{
    struct mq_config config = engine_config();
    config.max_line = 100;
    e = engine_new_with(&config);
    run_ok(e, "{\"cmd\":\"PING\",\"pad\":\"%077d\"}", 0); /* 100 bytes */
    run_ok(e, "{\"cmd\":\"PING\",\"pad\":\"%077d\"}\n", 0);
    run_refused(e, "line_too_long", "{\"cmd\":\"PING\",\"pad\":\"%078d\"}", 0);
    run_refused(e, "invalid", "{\"cmd\":\"PING\"}\n{\"cmd\":\"PING\"}");
    run_refused(e, "invalid", "%s", "");
    run_refused(e, "invalid", "\n");
    run_ok(e, "{\"cmd\":\"PING\"}\r\n");
    done();
}

/* --- looking --- */

TEST(listqueues_shows_every_queue_once_with_its_counts)
{
    setup();
    for (int i = 0; i < 200; i++)
        run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q%d\",\"data\":1}", i);
    CHECK_INT(answer_count(run(e, "{\"cmd\":\"LISTQUEUES\"}"), "queues"), 200);
    done();
    setup();
    for (int i = 0; i < 5; i++)
        run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"a\\u0000\\\"b\",\"data\":1,\"delay\":%d}", i == 4 ? 100 : 0);
    for (int i = 0; i < 3; i++) {
        int64_t id = answer_number(run(e, "{\"cmd\":\"PULL\",\"queue\":\"a\\u0000\\\"b\"}"), "job.id");
        if (i < 2)
            run_ok(e, "{\"cmd\":\"%s\",\"id\":%" PRId64 ",\"unrecoverable\":true}", i ? "ACK" : "FAIL", id);
    }
    const char *answer = run(e, "{\"cmd\":\"LISTQUEUES\"}");
    CHECK(answer_is(answer, "queues.0.name", "\"a\\u0000\\\"b\""));
    static const char *const counts[] = {"pending", "processing", "delayed", "dlq", "completed"};
    for (int i = 0; i < 5; i++) {
        char path[32];
        snprintf(path, sizeof path, "queues.0.%s", counts[i]);
        CHECK(answer_is(answer, path, "1"));
    }
    CHECK(answer_is(answer, "queues.0.paused", "false"));
    done();
}

TEST(unknown_commands_are_refused_whatever_their_length)
{
    setup();
    for (char c = ' '; c < 127; c++)
        for (int n = 1; n <= 20; n++) {
            char name[24];
            if (c == '"' || c == '\\')
                continue;
            memset(name, c, sizeof name);
            name[n] = 0;
            char line[64];
            int line_n = snprintf(line, sizeof line, "{\"cmd\":\"%s\"}", name);
            CHECK(answer_is(run_bytes(e, line, (size_t)line_n), "code", "\"unknown_command\""));
        }
    for (char first = 'A'; first <= 'Z'; first++) /* whatever the table's hash looks at, some of these meet a shorter name */
        for (char last = 'A'; last <= 'Z'; last++)
            for (int n = 2; n <= 16; n++) {
                char line[64];
                int line_n = snprintf(line, sizeof line, "{\"cmd\":\"%c%.*s%c\"}", first, n - 2, "ZZZZZZZZZZZZZZ", last);
                CHECK(answer_is(run_bytes(e, line, (size_t)line_n), "code", "\"unknown_command\""));
            }
    run_refused(e, "unknown_command", "{\"cmd\":\"\"}");
    run_refused(e, "unknown_command", "{\"cmd\":\"PING\\u0000\"}");
    run_refused(e, "unknown_command", "{\"cmd\":\"PUS\"}");
    run_refused(e, "unknown_command", "{\"cmd\":\"PUSHBB\"}");
    run_refused(e, "invalid", "{\"cmd\":1}");
    run_refused(e, "invalid", "{\"cmd\":null}");
    run_refused(e, "invalid", "{}");
    done();
}

TEST(commands_are_matched_without_regard_to_case_and_through_escapes)
{
    setup();
    run_ok(e, "{\"cmd\":\"ping\"}");
    run_ok(e, "{\"cmd\":\"PiNg\",\"req_id\":\"x\"}");
    run_ok(e, "{\"queue\":\"q\",\"data\":1,\"cmd\":\"\\u0070USH\"}");
    CHECK(answer_is(run(e, "{\"cmd\":\"nope \xc3\xa9\xf0\x9f\x98\x80\",\"reqId\":\"a\"}"), "reqId", "\"a\""));
    done();
}

TEST(req_id_is_echoed_in_refusals_too)
{
    setup();
    static const char *const lines[] = {"{\"reqId\":\"r\"}", "{\"reqId\":\"r\",\"cmd\":\"NOPE\"}", "{\"reqId\":\"r\",\"cmd\":\"PUSH\"}",
                                        "{\"reqId\":\"r\",\"cmd\":\"ACK\",\"id\":0}", "{\"reqId\":\"r\",\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":1}"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *answer = run(e, "%s", lines[i]);
        CHECK(answer_is(answer, "ok", "false") && answer_is(answer, "reqId", "\"r\""));
    }
    run_refused(e, "invalid", "{\"cmd\":\"PING\",\"reqId\":1}");
    run_refused(e, "invalid", "{\"cmd\":\"PING\",\"reqId\":\"%0129d\"}", 0);
    CHECK_INT(strlen(answer_text(run_ok(e, "{\"cmd\":\"PING\",\"reqId\":\"%0128d\"}", 0), "reqId")), 128);
    CHECK(!answer_has(run_ok(e, "{\"cmd\":\"PING\",\"reqId\":null}"), "reqId"));
    done();
}
