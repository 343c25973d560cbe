/* Answers: each is one line of JSON with the request's reqId, and never takes more room than was reserved for it. */
#include "tests/naive_json.h"
#include "tests/test.h"
#include "wire/reply.h"

#include <stdio.h>
#include <stdlib.h>

static const struct mq_job_view full_job = {
    .id = MQ_SHOWN_MAX,
    .queue_json = {"\"q\\u0000\"", 9},
    .data = {"{\"a\":[1.00]}", 12},
    .created_ms = INT64_MAX,
    .run_at_ms = INT64_MAX,
    .started_ms = INT64_MAX,
    .attempts = UINT64_MAX,
    .max_attempts = UINT64_MAX,
    .backoff_ms = UINT64_MAX,
    .max_backoff_ms = UINT64_MAX,
    .ttl_ms = UINT64_MAX,
    .timeout_ms = UINT64_MAX,
    .deliveries = UINT32_MAX,
    .token = UINT64_MAX,
    .unique_key = {"\x01\x02\"\\", 4},
    .last_error = {"\"bad\\n\"", 7},
    .reason = "expired_lease",
    .priority = INT32_MIN,
    .has_key = true,
    .has_token = true,
};

static const struct mq_queue_view full_queue = {
    .name_json = {"\"a\"", 3},
    .pending = UINT64_MAX,
    .processing = UINT64_MAX,
    .delayed = UINT64_MAX,
    .dlq = UINT64_MAX,
    .completed = UINT64_MAX,
    .rate_limit = UINT64_MAX,
    .rate_duration_ms = UINT64_MAX,
    .concurrency = UINT64_MAX,
    .length = UINT64_MAX,
};
static const struct mq_stats_view full_stats = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
static const struct mq_hello_view full_hello = {"1.2.3", UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};

/* Every kind of answer, by number. False past the end. */
static bool write_answer(struct mq_reply *reply, unsigned kind)
{
    static char long_text[300]; /* all of it needs the longest escape */
    struct mq_item_error errors[] = {{UINT32_MAX, MQ_E_OUT_OF_MEMORY, {NULL, 0}}, {0, MQ_E_DUPLICATE, {"D\"\x01", 3}}};
    memset(long_text, 1, sizeof long_text);
    switch (kind) {
    case 0: mq_reply_ok(reply); break;
    case 1: mq_reply_id(reply, UINT64_MAX); break;
    case 2: mq_reply_count(reply, UINT64_MAX); break;
    case 3: mq_reply_count_listed(reply, UINT64_MAX); break;
    case 4: mq_reply_paused(reply, false); break;
    case 5: mq_reply_pong(reply); break;
    case 6: mq_reply_stats(reply, &full_stats); break;
    case 7: mq_reply_hello(reply, &full_hello); break;
    case 8: mq_reply_job(reply, &full_job); break;
    case 9: mq_reply_job(reply, NULL); break;
    case 10: mq_reply_refuse(reply, MQ_E_LEASE_LOST, (mq_slice){NULL, 0}); break;
    case 11: mq_reply_refuse(reply, MQ_E_INVALID, mq_slice_of(long_text, sizeof long_text)); break;
    case 12: case 13: case 14:
        mq_reply_list(reply, kind == 12 ? MQ_RESULT_JOBS : kind == 13 ? MQ_RESULT_IDS : MQ_RESULT_QUEUES);
        for (int i = 0; i < 3; i++) {
            if (kind == 12)
                mq_reply_list_job(reply, &full_job);
            else if (kind == 13)
                mq_reply_list_id(reply, UINT64_MAX);
            else
                mq_reply_list_queue(reply, &full_queue);
        }
        mq_reply_list_end(reply);
        break;
    case 15:
        mq_reply_list(reply, MQ_RESULT_IDS);
        mq_reply_list_id(reply, 0);
        mq_reply_item_errors_end(reply, errors, 2);
        break;
    case 16: mq_reply_job_state(reply, &full_job, "waitingparent"); break;
    case 17: mq_reply_job_state(reply, NULL, "unknown"); break;
    case 18: mq_reply_progress(reply, &full_job); break;
    case 19: mq_reply_result(reply, UINT64_MAX, full_job.data); break;
    case 20: mq_reply_result(reply, 1, (mq_slice){NULL, 0}); break;
    default:
        return false;
    }
    return true;
}

static char *answer_of(unsigned kind, const char *req_id)
{
    struct mq_ring ring;
    struct mq_reply reply;
    mq_ring_init(&ring);
    mq_reply_init(&reply, &ring);
    if (req_id)
        reply.req_id = mq_slice_of(req_id, strlen(req_id));
    if (!write_answer(&reply, kind)) {
        mq_ring_close(&ring);
        return NULL;
    }
    CHECK(!reply.failed);
    mq_slice bytes = mq_ring_peek(&ring);
    CHECK(bytes.n && bytes.p[bytes.n - 1] == '\n' && !memchr(bytes.p, '\n', bytes.n - 1));
    char *text = strndup(bytes.p, bytes.n - 1);
    CHECK_INT(strlen(text), bytes.n - 1);
    mq_ring_close(&ring);
    return text;
}

TEST(answers_are_one_line_of_json_each)
{
    char *text;
    for (unsigned kind = 0; (text = answer_of(kind, NULL)); kind++) {
        test_note("kind %u: %s", kind, text);
        CHECK(naive_json_end(text, text + strlen(text), 100) == text + strlen(text));
        CHECK(answer_is(text, "ok", kind == 10 || kind == 11 ? "false" : "true"));
        CHECK(!answer_has(text, "reqId"));
        free(text);
    }
}

TEST(answers_echo_the_req_id_as_written)
{
    char *text, longest[131];
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = longest[129] = '"';
    longest[130] = 0;
    const char *const ids[] = {"\"\"", "\"a\\u0041\\n\"", "\"\xc3\xa9\"", longest};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        for (unsigned kind = 0; (text = answer_of(kind, ids[i])); kind++) {
            test_note("kind %u: %s", kind, text);
            CHECK(answer_is(text, "reqId", ids[i]));
            free(text);
        }
}

/* From rings with too little room to rings with just enough: nothing is ever written behind what was reserved. */
TEST(answers_fit_into_what_they_reserve)
{
    static char req_id[131];
    memset(req_id, 'r', sizeof req_id - 1);
    req_id[0] = req_id[129] = '"';
    for (unsigned kind = 0;; kind++) {
        for (size_t cap = 0; cap < 6000; cap += cap < 2600 ? 1 : 7) {
            struct mq_ring ring;
            struct mq_reply reply;
            mq_ring_init(&ring);
            ring.mem = malloc(cap + MQ_RING_SLACK);
            ring.cap = cap;
            mq_reply_init(&reply, &ring);
            reply.req_id = mq_slice_of(req_id, 130);
            bool wrote = write_answer(&reply, kind);
            test_note("kind %u, %zu bytes of room", kind, cap);
            CHECK(ring.tail <= ring.cap);
            mq_ring_close(&ring);
            if (!wrote)
                return;
        }
    }
}

TEST(job_answer_shows_every_field)
{
    char *text = answer_of(8, NULL);
    static const char *const fields[][2] = {
        {"id", "9007199254740991"}, {"queue", "\"q\\u0000\""}, {"data", "{\"a\":[1.00]}"}, {"priority", "-2147483648"},
        {"created_at", "9007199254740991"}, {"run_at", "9007199254740991"}, {"started_at", "9007199254740991"},
        {"attempts", "9007199254740991"}, {"max_attempts", "9007199254740991"}, {"backoff", "9007199254740991"},
        {"max_backoff", "9007199254740991"}, {"ttl", "9007199254740991"}, {"timeout", "9007199254740991"},
        {"unique_key", "\"\\u0001\\u0002\\\"\\\\\""}, {"depends_on", "[]"}, {"progress", "0"}, {"progress_msg", "null"},
        {"deliveries", "4294967295"}, {"token", "\"ffffffffffffffff\""}, {"last_error", "\"bad\\n\""}, {"reason", "\"expired_lease\""},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char path[32];
        snprintf(path, sizeof path, "job.%s", fields[i][0]);
        test_note("%s in %s", path, text);
        CHECK(answer_is(text, path, fields[i][1]));
    }
    free(text);
}

TEST(job_answer_shows_null_for_what_is_absent)
{
    struct mq_ring ring;
    struct mq_reply reply;
    struct mq_job_view job = {.id = 1, .queue_json = {"\"q\"", 3}, .data = {"0", 1}, .created_ms = -5};
    mq_ring_init(&ring);
    mq_reply_init(&reply, &ring);
    mq_reply_job(&reply, &job);
    char *text = strndup(ring.mem, ring.tail - 1);
    CHECK(answer_is(text, "job.unique_key", "null") && answer_is(text, "job.token", "null"));
    CHECK(answer_is(text, "job.last_error", "null") && answer_is(text, "job.created_at", "0"));
    CHECK(!answer_has(text, "job.reason"));
    free(text);
    mq_ring_close(&ring);
}

TEST(lists_have_commas_between_and_nothing_else)
{
    struct mq_ring ring;
    mq_ring_init(&ring);
    for (unsigned n = 0; n < 4; n++) {
        static const char *const wanted[] = {"{\"ok\":true,\"ids\":[]}\n", "{\"ok\":true,\"ids\":[1]}\n", "{\"ok\":true,\"ids\":[1,2]}\n",
                                             "{\"ok\":true,\"ids\":[1,2,3]}\n"};
        struct mq_reply reply;
        mq_reply_init(&reply, &ring);
        mq_reply_list(&reply, MQ_RESULT_IDS);
        for (unsigned i = 1; i <= n; i++)
            mq_reply_list_id(&reply, i);
        mq_reply_list_end(&reply);
        CHECK_BYTES(mq_ring_peek(&ring).p, mq_ring_used(&ring), wanted[n], strlen(wanted[n]));
        mq_ring_consume(&ring, mq_ring_used(&ring));
    }
    mq_ring_close(&ring);
}

TEST(item_errors_carry_index_code_and_text)
{
    char *text = answer_of(15, NULL);
    CHECK(answer_is(text, "ids.0", "0"));
    CHECK_INT(answer_count(text, "errors"), 2);
    CHECK(answer_is(text, "errors.0.index", "4294967295") && answer_is(text, "errors.0.code", "\"out_of_memory\""));
    CHECK_HAS(answer_text(text, "errors.0.error"), "Out of memory");
    CHECK(answer_is(text, "errors.1.error", "\"D\\\"\\u0001\"") && answer_is(text, "errors.1.code", "\"duplicate\""));
    free(text);
}

TEST(refusals_show_code_text_and_whether_to_retry)
{
    static const struct {
        enum mq_error error;
        const char *code, *retryable;
    } rows[] = {
#define MQ_ERROR(id, number, code, text, status, retryable) {MQ_E_##id, "\"" code "\"", #retryable},
#include "errors.def"
#undef MQ_ERROR
    };
    struct mq_ring ring;
    mq_ring_init(&ring);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mq_reply reply;
        mq_reply_init(&reply, &ring);
        mq_reply_refuse(&reply, rows[i].error, i % 2 ? MQ_SLICE("a\nb") : (mq_slice){NULL, 0});
        char *text = strndup(ring.mem, ring.tail - 1);
        CHECK(answer_is(text, "code", rows[i].code));
        CHECK(answer_is(text, "retryable", rows[i].retryable));
        CHECK(i % 2 ? answer_is(text, "error", "\"a\\u000ab\"") : strlen(answer_text(text, "error")) > 0);
        free(text);
        mq_ring_consume(&ring, mq_ring_used(&ring));
    }
    mq_ring_close(&ring);
}

TEST(numbers_of_every_length_are_written_right)
{
    struct mq_ring ring;
    mq_ring_init(&ring);
    for (uint64_t n = 1; n; n = n > UINT64_MAX / 3 ? 0 : n * 3) {
        for (uint64_t value = n - 1; value != n + 2; value++) {
            char wanted[64];
            struct mq_reply reply;
            mq_reply_init(&reply, &ring);
            mq_reply_id(&reply, value);
            int wanted_n = sprintf(wanted, "{\"ok\":true,\"id\":%llu}\n", (unsigned long long)value);
            CHECK_BYTES(mq_ring_peek(&ring).p, mq_ring_used(&ring), wanted, (size_t)wanted_n);
            mq_ring_consume(&ring, mq_ring_used(&ring));
        }
    }
    mq_ring_close(&ring);
}

TEST(tokens_are_read_back_as_written)
{
    struct random random = {9};
    char text[MQ_TOKEN_BYTES];
    for (int i = 0; i < 10000; i++) {
        uint64_t token = i < 3 ? (uint64_t)0 - (uint64_t)(i == 1) : random_next(&random), read;
        mq_token_text(token, text);
        CHECK(mq_token_parse(mq_slice_of(text, sizeof text), &read) && read == token);
        text[random_below(&random, sizeof text)] = "GgxX/:`@ \xff"[random_below(&random, 10)];
        CHECK(!mq_token_parse(mq_slice_of(text, sizeof text), &read));
    }
    uint64_t read;
    CHECK(!mq_token_parse(MQ_SLICE("0123456789abcde"), &read));
    CHECK(!mq_token_parse(MQ_SLICE("0123456789abcdef0"), &read));
    CHECK(!mq_token_parse(MQ_SLICE("0123456789ABCDEF"), &read));
    CHECK(!mq_token_parse((mq_slice){NULL, 0}, &read));
}

TEST(a_reply_behind_another_starts_where_that_one_ended)
{
    struct mq_ring ring;
    struct mq_reply reply;
    mq_ring_init(&ring);
    for (int i = 0; i < 2; i++) {
        mq_reply_init(&reply, &ring);
        mq_reply_ok(&reply);
        CHECK_INT(mq_reply_used(&reply), 12);
    }
    CHECK_BYTES(mq_ring_peek(&ring).p, mq_ring_used(&ring), "{\"ok\":true}\n{\"ok\":true}\n", 24);
    mq_ring_close(&ring);
}
