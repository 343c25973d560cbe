/* What is told about crons waits for the log, like everything else. */
#include "command/dispatch.h"
#include "tests/engine.h"
#include "tests/test.h"

#include <stdlib.h>

/* The number that the answer to this line waits for. */
static uint64_t seq_of(struct mq_engine *engine, const char *line, int64_t next_run_ms)
{
    const struct mq_tables *tables = engine->tables;
    struct mq_session session = {.planes = MQ_PLANES_ALL};
    struct mq_verdict verdict = {.next_run_ms = next_run_ms};
    struct mq_request *request = calloc(1, sizeof *request);
    struct mq_ring in, out;
    struct mq_reply reply;
    size_t n = strlen(line);
    mq_ring_init(&in);
    mq_ring_init(&out);
    memcpy(mq_ring_reserve(&in, n + 1), line, n);
    in.mem[n] = '\n';
    mq_request_init(request, &tables->fields);
    mq_reply_init(&reply, &out);
    struct mq_call call = {.engine = engine, .session = &session, .request = request, .reply = &reply, .now_ms = T0, .verdict = &verdict};
    mq_command_run(&call, mq_slice_of(in.mem, n));
    CHECK(strstr(out.mem, "\"ok\":true"));
    mq_request_close(request);
    free(request);
    mq_ring_close(&in);
    mq_ring_close(&out);
    return call.seq;
}

TEST(answers_about_crons_wait_for_their_records)
{
    static const char set[] = "{\"cmd\":\"CRON\",\"name\":\"c\",\"queue\":\"q\",\"schedule\":\"*/5\",\"data\":1}";
    struct mq_engine *engine = engine_new();
    engine_use_log(engine, mq_log_mem_open(true));
    CHECK_INT(seq_of(engine, set, T0 + 5000), 1);
    CHECK_INT(seq_of(engine, set, T0 + 5000), 1); /* nothing changes, but what is confirmed must be kept */
    CHECK_INT(seq_of(engine, "{\"cmd\":\"CRONRUN\",\"name\":\"c\"}", 0), 2);
    CHECK_INT(seq_of(engine, "{\"cmd\":\"CRONPAUSE\",\"name\":\"c\"}", 0), 3);
    CHECK_INT(seq_of(engine, "{\"cmd\":\"CRONLIST\"}", 0), 3);
    CHECK_INT(seq_of(engine, "{\"cmd\":\"CRONDELETE\",\"name\":\"c\"}", 0), 4);
    mq_engine_free(engine);
}
