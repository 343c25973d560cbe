/* The log of a daemon that keeps nothing: every frame is committed before it exists. */
#include "base/mem.h"
#include "log/log.h"

static int64_t null_append(struct mq_log *log, unsigned shard, const struct mq_frame *frame)
{
    (void)log, (void)shard, (void)frame;
    return 0;
}

static uint64_t null_committed(const struct mq_log *log)
{
    (void)log;
    return UINT64_MAX;
}

static int null_replay(struct mq_log *log, mq_log_visit *load, mq_log_visit *visit, void *context)
{
    (void)log, (void)load, (void)visit, (void)context;
    return 0;
}

static void null_close(struct mq_log *log) { mq_free(log); }

static const struct mq_log_ops null_ops = {null_append, null_committed, null_replay, null_close, NULL, NULL, NULL, NULL};

struct mq_log *mq_log_null_open(void)
{
    struct mq_log *log = mq_alloc(sizeof *log);
    if (log)
        *log = (struct mq_log){.ops = &null_ops, .wants_records = false};
    return log;
}
