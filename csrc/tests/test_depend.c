/* Jobs that wait for jobs: released, failed, forgotten, whatever the shards and whatever the order. */
#include "queue/depend.h"
#include "tests/engine.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct mq_engine *e;

static int64_t push(unsigned queue, int64_t a, int64_t b)
{
    char parents[64] = "";
    if (a && b)
        snprintf(parents, sizeof parents, ",\"depends_on\":[%" PRId64 ",%" PRId64 "]", a, b);
    else if (a)
        snprintf(parents, sizeof parents, ",\"depends_on\":[%" PRId64 "]", a);
    return answer_number(run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q%u\",\"data\":1%s}", queue, parents), "id");
}

static const char *state(int64_t id) { return answer_text(run(e, "{\"cmd\":\"GETJOB\",\"id\":%" PRId64 "}", id), "state"); }

static void complete(unsigned queue, int64_t id)
{
    CHECK_INT(answer_number(run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q%u\"}", queue), "job.id"), id);
    run_ok(e, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id);
}

static uint64_t lists(void)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        const struct mq_shard *shard = &e->shards[i];
        n += !mq_list_empty(&shard->unlinked) + !mq_list_empty(&shard->settled) + !mq_list_empty(&shard->orphans);
    }
    return n;
}

TEST(diamond_over_four_queues_runs_from_top_to_bottom)
{
    e = engine_new();
    int64_t top = push(1, 0, 0), left = push(2, top, 0), right = push(3, top, 0), bottom = push(4, left, right);
    CHECK_TEXT(state(bottom), "waitingparent");
    complete(1, top);
    CHECK_TEXT(state(left), "waiting");
    complete(2, left);
    CHECK_TEXT(state(bottom), "waitingparent");
    complete(3, right);
    CHECK_TEXT(state(bottom), "waiting");
    complete(4, bottom);
    CHECK_INT(lists(), 0);
    mq_engine_free(e);
}

TEST(parent_given_twice_counts_twice_and_is_told_once)
{
    e = engine_new();
    int64_t parent = push(1, 0, 0), child = push(2, parent, parent);
    complete(1, parent);
    CHECK_TEXT(state(child), "waiting");
    CHECK_INT(lists(), 0);
    mq_engine_free(e);
}

/* One of its two links is told with the first slice, the other still stands among the settled when the dependent ends. */
TEST(parent_given_twice_may_outlive_its_dependent_between_two_slices)
{
    e = engine_new();
    int64_t parent = push(1, 0, 0);
    for (int i = 0; i < 63; i++)
        push(3, parent, 0);
    int64_t child = push(2, parent, parent);
    complete(1, parent);
    run_ok(e, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", child);
    mq_engine_tick(e);
    CHECK_INT(lists(), 0);
    mq_engine_free(e);
}

TEST(fan_out_is_released_in_slices)
{
    e = engine_new();
    int64_t parent = push(1, 0, 0), last = 0;
    for (unsigned i = 0; i < 2000; i++) {
        char line[128];
        int n = snprintf(line, sizeof line, "{\"cmd\":\"PUSH\",\"queue\":\"f%u\",\"data\":1,\"depends_on\":[%" PRId64 "]}", i % 7, parent);
        last = answer_number(run_bytes(e, line, (size_t)n), "id");
    }
    complete(1, parent); /* tells the first of them by itself */
    CHECK(lists() > 0);
    while (mq_engine_sweep(e, MQ_WORK_DEPENDENCIES, 100))
        ;
    CHECK_TEXT(state(last), "waiting");
    CHECK_HAS(run(e, "{\"cmd\":\"STATS\"}"), "\"queued\":2000");
    CHECK_INT(lists(), 0);
    mq_engine_free(e);
}

TEST(dependents_that_end_first_leave_nothing_with_their_parents)
{
    e = engine_new();
    int64_t parent = push(1, 0, 0);
    for (unsigned i = 0; i < 50; i++) {
        int64_t child = push(2, parent, 0);
        run_ok(e, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", child);
    }
    mq_engine_tick(e);
    const struct mq_job *job = mq_slot_job(mq_shard_slot(mq_engine_shard(e, (uint64_t)parent), (uint64_t)parent), (uint64_t)parent);
    CHECK(mq_list_empty(&job->extra->dependents));
    CHECK_INT(lists(), 0);
    mq_engine_free(e);
}

TEST(what_was_completed_long_ago_counts_and_what_was_dropped_does_not)
{
    struct mq_config config = engine_config();
    config.result_max = 0;
    e = engine_new_with(&config);
    int64_t done = push(1, 0, 0), gone = push(1, 0, 0);
    complete(1, done);
    run_ok(e, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", gone);
    CHECK_TEXT(state(push(2, done, 0)), "waiting");
    CHECK_TEXT(state(push(2, done, gone)), "failed");
    run_refused(e, "not_found", "{\"cmd\":\"PUSH\",\"queue\":\"q2\",\"data\":1,\"depends_on\":[%" PRId64 "]}", gone + 1024);
    mq_engine_free(e);
}

TEST(ttl_of_a_parent_fails_its_dependents)
{
    e = engine_new();
    int64_t parent = answer_number(run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q1\",\"data\":1,\"ttl\":10}"), "id"), child = push(2, parent, 0);
    later(e, 10);
    mq_engine_tick(e);
    CHECK_TEXT(state(child), "failed");
    CHECK_HAS(run(e, "{\"cmd\":\"DLQ\",\"queue\":\"q2\"}"), "\"reason\":\"dependency_failed\"");
    mq_engine_free(e);
}

/* Random trees over many queues: at the end everything has run, whatever was cancelled, buried and retried on the way. */
TEST(no_job_waits_for_ever)
{
    struct random random = {test_setting("MQ_TEST_SEED", 1)};
    test_seed(random.state);
    for (unsigned round = 0; round < 20; round++) {
        int64_t ids[200];
        e = engine_new();
        for (unsigned i = 0; i < 200; i++) {
            int64_t a = i && random_chance(&random, 70) ? ids[random_below(&random, i)] : 0;
            int64_t b = a && random_chance(&random, 50) ? ids[random_below(&random, i)] : 0;
            ids[i] = push((unsigned)random_below(&random, 9), a, b);
            if (random_chance(&random, 5))
                run(e, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", ids[random_below(&random, i + 1)]);
        }
        for (unsigned turn = 0; turn < 3000; turn++) {
            unsigned queue = (unsigned)random_below(&random, 9);
            int64_t id = answer_number(run(e, "{\"cmd\":\"PULL\",\"queue\":\"q%u\"}", queue), "job.id");
            if (!id)
                run(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q%u\"}", queue);
            else if (random_chance(&random, 20))
                run_ok(e, "{\"cmd\":\"FAIL\",\"id\":%" PRId64 ",\"unrecoverable\":true}", id);
            else
                run_ok(e, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id);
        }
        CHECK_HAS(run(e, "{\"cmd\":\"STATS\"}"), "\"queued\":0,\"processing\":0,\"delayed\":0,\"dlq\":0");
        CHECK_HAS(run(e, "{\"cmd\":\"STATS\"}"), "\"waiting\":0");
        CHECK_INT(lists(), 0);
        mq_engine_free(e);
    }
}

/* A retry frees the dependent of the parent that was dropped; the second link to that parent must not fail it again. */
TEST(parent_given_twice_fails_its_dependent_once)
{
    char line[160];
    e = engine_new();
    int64_t parent = push(1, 0, 0), other = push(4, 0, 0);
    for (int i = 0; i < 63; i++)
        push(3, parent, 0);
    int n = snprintf(line, sizeof line, "{\"cmd\":\"PUSH\",\"queue\":\"q2\",\"data\":1,\"depends_on\":[%" PRId64 ",%" PRId64 ",%" PRId64 "]}",
                     parent, parent, other);
    int64_t child = answer_number(run_bytes(e, line, (size_t)n), "id");
    run_ok(e, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", parent);
    CHECK_TEXT(state(child), "failed");
    run_ok(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q2\",\"id\":%" PRId64 "}", child);
    mq_engine_tick(e);
    CHECK_TEXT(state(child), "waitingparent");
    complete(4, other);
    CHECK_TEXT(state(child), "waiting");
    mq_engine_free(e);
}
