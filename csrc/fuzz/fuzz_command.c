/* Any lines as commands of one engine: each gets one answer of JSON, the engine stays whole, and its log replays to the same state.
 * A line "+N" lets N ms pass; every schedule runs next in five seconds.
 *
 * Replaying takes as long as all the rest. It is done for one input in REPLAYED, chosen by the input's bytes, so that what fails once
 * fails again; and for all of those that MQ_FUZZ_REPLAY=1 is set for. */
#include "base/hash.h"
#include "queue/cron.h"
#include "tests/fresh.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_LINES 64
#define REPLAYED 8u
#define NEXT_RUN_MS 5000
#define MOST_FIRED 16 /* crons in one move of time */

static struct fresh live, replayed;

/* What the daemon's cron thread does. */
static void fire_crons(struct mq_engine *engine)
{
    const struct mq_heap *due = &engine->crons.due;
    for (int i = 0; i < MOST_FIRED && due->n && (int64_t)due->entries[0].high <= mq_engine_now(engine); i++) {
        const struct mq_cron *cron = due->entries[0].item;
        char name[256];
        size_t name_n = cron->def.name.n;
        CHECK(name_n < sizeof name);
        memcpy(name, cron->def.name.p, name_n);
        CHECK_INT(mq_engine_fire(engine, name, name_n, cron->next_run_ms, mq_engine_now(engine) + NEXT_RUN_MS, 1), 1);
    }
}

static void run_one(struct mq_engine *engine, const char *line, size_t n)
{
    char *answer;
    size_t answer_n;
    if (n > 1 && line[0] == '+') {
        char digits[8] = "";
        memcpy(digits, line + 1, n - 1 < 7 ? n - 1 : 7);
        later(engine, strtol(digits, NULL, 10) & 0xFFFFFFF);
        fire_crons(engine);
        return;
    }
    int status = mq_engine_execute(engine, line, n, NULL, &answer, &answer_n);
    if (status == 1) {
        struct mq_verdict verdict = {.next_run_ms = mq_engine_now(engine) + NEXT_RUN_MS};
        mq_reply_free(answer);
        status = mq_engine_execute(engine, line, n, &verdict, &answer, &answer_n);
    }
    CHECK_INT(status, 0);
    CHECK(naive_json_end(answer, answer + answer_n, 1000) == answer + answer_n);
    mq_reply_free(answer);
}

static int apply(void *context, const struct mq_record *record)
{
    struct mq_shard *shard = mq_engine_shard(context, record->slot);
    mq_mutex_lock(&shard->mutex);
    mq_apply_locked(shard, record);
    mq_shard_unlock(shard); /* tells when it needs attention next */
    return 0;
}

static void check_replay(struct mq_engine *engine)
{
    struct mq_engine *again = fresh_engine(&replayed);
    mq_engine_tick(engine);
    mq_log_mem_commit(engine->log, UINT64_MAX);
    CHECK_INT(engine->log->ops->replay(engine->log, apply, apply, again), 0);
    mq_engine_set_time(again, mq_engine_now(engine));
    mq_engine_tick(again);
    char *got = engine_dump(again), *wanted = engine_dump(engine);
    CHECK_DUMPS(got, wanted);
    free(got);
    free(wanted);
    fresh_check(&replayed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int replay_all = -1;
    struct mq_engine *engine = fresh_engine(&live);
    const char *p = (const char *)data, *end = p + size;
    test_aborts = true;
    if (replay_all < 0)
        replay_all = getenv("MQ_FUZZ_REPLAY") != NULL;
    for (int i = 0; i < MOST_LINES && p < end; i++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((newline ? newline : end) - p);
        run_one(engine, p, n);
        p += n + 1;
    }
    fresh_check(&live);
    if (replay_all || mq_hash_bytes(data, size) % REPLAYED == 0)
        check_replay(engine);
    return 0;
}
