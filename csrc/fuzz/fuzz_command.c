/* Any lines as commands of one engine: each gets one answer of JSON, the engine stays whole, and its log replays to the same state.
 * A line "+N" lets N ms pass. */
#include "tests/engine.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_LINES 64

static void run_one(struct mq_engine *engine, const char *line, size_t n)
{
    char *answer;
    size_t answer_n;
    if (n > 1 && line[0] == '+') {
        char digits[8] = "";
        memcpy(digits, line + 1, n - 1 < 7 ? n - 1 : 7);
        later(engine, strtol(digits, NULL, 10) & 0xFFFFFFF);
        return;
    }
    CHECK(mq_engine_execute(engine, line, n, NULL, &answer, &answer_n) >= 0);
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

static void check_replay(struct mq_engine *live)
{
    struct mq_engine *replayed = engine_new();
    mq_engine_tick(live);
    CHECK_INT(live->log->ops->replay(live->log, apply, replayed), 0);
    mq_engine_set_time(replayed, mq_engine_now(live));
    mq_engine_tick(replayed);
    char *got = engine_dump(replayed), *wanted = engine_dump(live);
    CHECK_DUMPS(got, wanted);
    free(got);
    free(wanted);
    mq_engine_check(replayed);
    mq_engine_free(replayed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mq_engine *engine = engine_new();
    const char *p = (const char *)data, *end = p + size;
    test_aborts = true;
    engine_use_log(engine, mq_log_mem_open(false));
    for (int i = 0; i < MOST_LINES && p < end; i++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((newline ? newline : end) - p);
        run_one(engine, p, n);
        p += n + 1;
    }
    mq_engine_check(engine);
    check_replay(engine);
    mq_engine_free(engine);
    return 0;
}
