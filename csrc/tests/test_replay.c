/* Replay equals live: what a log's records make of a fresh engine is what the commands made of theirs. */
#include "queue/snapshot.h"
#include "tests/engine.h"
#include "tests/lines.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int apply(void *context, const struct mq_record *record)
{
    struct mq_engine *engine = context;
    struct mq_shard *shard = mq_engine_shard(engine, record->slot);
    CHECK(!record->job_hint && !record->queue_hint && !record->holder_hint && !record->extra_hint);
    mq_mutex_lock(&shard->mutex);
    mq_apply_locked(shard, record);
    mq_shard_unlock(shard); /* tells when it needs attention next */
    return 0;
}

/* A fresh engine with the records of the log, at the same time as the live one. */
static struct mq_engine *replay(struct mq_log *log, int64_t now_ms)
{
    struct mq_engine *engine = engine_new();
    CHECK_INT(log->ops->replay(log, apply, apply, engine), 0);
    mq_engine_check(engine);
    mq_engine_set_time(engine, now_ms);
    mq_engine_tick(engine); /* jobs whose delay has ended */
    mq_engine_check(engine);
    return engine;
}

static int apply_copy(void *context, const struct mq_record *record)
{
    struct mq_frame frame; /* through bytes, as a file would have it */
    struct mq_record read = {0};
    mq_frame_init(&frame);
    mq_frame_add(&frame, record);
    mq_slice bytes = mq_ring_peek(&frame.bytes);
    CHECK(mq_frame_next(&bytes, &read) && bytes.n == 0);
    int status = apply(context, &read);
    mq_frame_close(&frame);
    return status;
}

/* What a snapshot makes of a fresh engine is the state, too. */
static void check_snapshot(struct mq_engine *live)
{
    struct mq_engine *loaded = engine_new();
    mq_engine_set_time(loaded, mq_engine_now(live));
    CHECK_INT(mq_snapshot_records(live, apply_copy, loaded), 0);
    mq_engine_check(loaded);
    mq_engine_tick(loaded);
    mq_engine_check(loaded);
    char *wanted = engine_dump(live), *got = engine_dump(loaded);
    CHECK_DUMPS(got, wanted);
    free(wanted);
    free(got);
    mq_engine_free(loaded);
}

static void check_replayed(struct mq_engine *live)
{
    mq_engine_tick(live);
    check_snapshot(live);
    struct mq_engine *replayed = replay(live->log, mq_engine_now(live));
    char *wanted = engine_dump(live), *got = engine_dump(replayed);
    CHECK_DUMPS(got, wanted);
    free(wanted);
    free(got);
    mq_engine_free(replayed);
}

static struct mq_engine *live_engine(void)
{
    struct mq_engine *engine = engine_new();
    engine_use_log(engine, mq_log_mem_open(false));
    return engine;
}

static void run_seed(uint64_t seed, unsigned steps)
{
    struct random random = {seed};
    struct mq_engine *live = live_engine();
    char line[LINE_MAX_N];
    test_seed(seed);
    for (unsigned i = 0; i < steps; i++) {
        if (random_chance(&random, 15))
            later(live, (int64_t)random_below(&random, 60));
        size_t n = random_line(&random, line);
        const char *answer = run_bytes(live, line, n);
        test_note("%.100s -> %.100s", line, answer);
        if (i % 150 == 149)
            check_replayed(live);
    }
    check_replayed(live);
    mq_engine_check(live);
    mq_engine_free(live);
}

TEST(replay_of_random_commands_gives_the_same_state)
{
    uint64_t first = test_setting("MQ_TEST_SEED", 1);
    for (uint64_t seed = first; seed < first + test_setting("MQ_TEST_SEEDS", 200); seed++)
        run_seed(seed, 300);
}

/* --- each record by itself, so that a failure says which --- */

static struct mq_engine *e;

static void setup(void) { e = live_engine(); }
static void done(void)
{
    check_replayed(e);
    mq_engine_free(e);
}

#define PUSH(rest) answer_number(run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1%s}", rest), "id")

static int64_t pull(void) { return answer_number(run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\",\"timeout\":0}"), "job.id"); }
static void fail(int64_t id, const char *rest) { run_ok(e, "{\"cmd\":\"FAIL\",\"id\":%" PRId64 "%s}", id, rest); }

TEST(replay_of_pushes)
{
    setup();
    PUSH("");
    PUSH(",\"priority\":-5,\"unique_key\":\"k\\u0000\",\"ttl\":500,\"timeout\":7,\"max_attempts\":3,\"backoff\":4,\"max_backoff\":5");
    for (int i = 0; i < 50; i++)
        PUSH(",\"delay\":100");
    run_ok(e, "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[{\"data\":{}},{\"data\":[],\"delay\":9}]}");
    done();
}

TEST(replay_of_leases)
{
    setup();
    for (int i = 0; i < 30; i++)
        PUSH(",\"timeout\":1000");
    for (int i = 0; i < 20; i++)
        CHECK(pull());
    done();
}

TEST(replay_of_leases_of_jobs_that_were_delayed)
{
    setup();
    for (int i = 0; i < 30; i++)
        PUSH(",\"delay\":5");
    later(e, 5);
    for (int i = 0; i < 20; i++)
        run_ok(e, "{\"cmd\":\"RELEASE\",\"id\":%" PRId64 "}", pull());
    for (int i = 0; i < 20; i++)
        CHECK(pull());
    done();
}

TEST(replay_of_retries_with_their_errors)
{
    setup();
    for (int i = 0; i < 20; i++)
        PUSH(",\"backoff\":1000");
    for (int i = 0; i < 20; i++)
        fail(pull(), i % 2 ? "" : ",\"error\":\"a\\u0041\"");
    done();
}

TEST(replay_of_retries_without_backoff)
{
    setup();
    PUSH("");
    for (int i = 0; i < 3; i++)
        fail(pull(), i == 1 ? "" : ",\"error\":\"x\"");
    done();
}

TEST(replay_of_deaths_with_their_last_error)
{
    setup();
    for (int i = 0; i < 5; i++)
        PUSH(i == 3 ? ",\"timeout\":10,\"max_attempts\":2" : ",\"max_attempts\":2");
    for (int i = 0; i < 5; i++)
        fail(pull(), ",\"error\":\"first\"");
    int64_t id = pull();
    fail(id, ",\"error\":\"second\"");
    fail(pull(), "");
    fail(pull(), ",\"unrecoverable\":true");
    CHECK(pull());
    later(e, 10);
    done();
}

TEST(replay_of_deaths_by_loss)
{
    setup();
    PUSH(",\"unique_key\":\"k\"");
    for (int i = 0; i < 10; i++) {
        CHECK(answer_number(run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\",\"lease\":1}"), "job.id"));
        later(e, 1);
    }
    check_stats(e, 0, 0, 0, 1, 0);
    done();
}

TEST(replay_of_retries_from_the_dlq)
{
    setup();
    for (int i = 0; i < 40; i++)
        PUSH(i == 3 ? ",\"unique_key\":\"a\"" : i == 7 ? ",\"unique_key\":\"b\"" : "");
    int64_t id;
    for (int i = 0; (id = pull()); i++)
        fail(id, ",\"unrecoverable\":true");
    PUSH(",\"unique_key\":\"a\"");
    run_ok(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\"}");
    done();
}

TEST(replay_of_ends)
{
    int64_t ids[6];
    setup();
    for (int i = 0; i < 6; i++)
        ids[i] = PUSH(i == 3 ? ",\"ttl\":5,\"priority\":-1" : i == 4 ? ",\"delay\":100" : "");
    CHECK_INT(pull(), ids[0]);
    CHECK_INT(pull(), ids[1]);
    run_ok(e, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", ids[0]);
    run_ok(e, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", ids[1]);
    run_ok(e, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", ids[2]);
    run_ok(e, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", ids[4]);
    later(e, 5);
    check_stats(e, 1, 0, 0, 0, 1);
    done();
}

TEST(replay_of_releases)
{
    setup();
    for (int i = 0; i < 20; i++)
        PUSH("");
    for (int i = 0; i < 20; i++)
        run_ok(e, "{\"cmd\":\"RELEASE\",\"id\":%" PRId64 ",\"delay\":%d}", pull(), i % 3 * 100);
    done();
}

TEST(replay_of_queue_settings)
{
    setup();
    run_ok(e, "{\"cmd\":\"PAUSE\",\"queue\":\"paused without jobs\"}");
    run_ok(e, "{\"cmd\":\"PAUSE\",\"queue\":\"q\"}");
    PUSH("");
    run_ok(e, "{\"cmd\":\"PAUSE\",\"queue\":\"r\"}");
    run_ok(e, "{\"cmd\":\"RESUME\",\"queue\":\"r\"}");
    done();
}

TEST(replay_keeps_ids_of_ended_jobs_from_being_given_again)
{
    setup();
    int64_t id = PUSH("");
    run_ok(e, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", id);
    struct mq_engine *replayed = replay(e->log, mq_engine_now(e));
    CHECK(answer_number(run_ok(replayed, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}"), "id") > id);
    mq_engine_free(replayed);
    done();
}

TEST(replay_of_what_was_committed_only_is_a_state_that_was)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct random random = {seed};
        char line[LINE_MAX_N], *states[120] = {NULL};
        struct mq_engine *live = engine_new();
        struct mq_log *log = mq_log_mem_open(true);
        engine_use_log(live, log);
        test_seed(seed);
        states[0] = engine_dump(live);
        for (int i = 0; i < 400; i++) { /* the state after each frame; time stands still */
            run_bytes(live, line, random_line(&random, line));
            uint64_t number = 0;
            for (unsigned s = 0; s < MQ_SHARDS; s++)
                number = live->shards[s].log_seq > number ? live->shards[s].log_seq : number;
            if (number >= 120)
                break;
            free(states[number]);
            states[number] = engine_dump(live);
        }
        for (unsigned number = 1; number < 120; number++) {
            if (!states[number]) /* one command, several frames: no state that anybody saw */
                continue;
            mq_log_mem_commit(log, number);
            struct mq_engine *replayed = engine_new();
            CHECK_INT(log->ops->replay(log, apply, apply, replayed), 0);
            char *got = engine_dump(replayed);
            CHECK_DUMPS(got, states[number]);
            free(got);
            mq_engine_free(replayed);
        }
        for (int i = 0; i < 120; i++)
            free(states[i]);
        mq_engine_free(live);
    }
}
