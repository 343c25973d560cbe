#include "tests/fresh.h"

#include "queue/cron.h"
#include "tests/test.h"

#include <stdlib.h>

static bool is_used(const struct fresh *fresh, unsigned shard)
{
    return memcmp(&fresh->engine->shards[shard], &fresh->image->shards[shard], sizeof *fresh->engine->shards) != 0;
}

static void make(struct fresh *fresh)
{
    struct mq_engine *engine = fresh->engine = engine_new();
    engine_use_log(engine, mq_log_mem_open(true));
    fresh->image = aligned_alloc(64, sizeof *engine);
    CHECK(fresh->image);
    memcpy(fresh->image, engine, sizeof *engine);
}

/* What is behind the shards owns nothing that a run may change but the crons: the rest of it may be written over. */
static void renew(struct fresh *fresh)
{
    struct mq_engine *engine = fresh->engine;
    size_t shards = sizeof engine->shards;
    for (unsigned i = 0; i < MQ_SHARDS; i++)
        if (is_used(fresh, i)) {
            mq_shard_close(&engine->shards[i]);
            memcpy(&engine->shards[i], &fresh->image->shards[i], sizeof *engine->shards);
        }
    CHECK(engine->access == fresh->image->access && engine->log == fresh->image->log && mq_list_empty(&engine->crons.questions));
    mq_crons_close(&engine->crons);
    memcpy((char *)engine + shards, (char *)fresh->image + shards, sizeof *engine - shards);
    mq_log_mem_commit(engine->log, 0);
    mq_log_mem_crash(engine->log); /* of nothing committed everything is lost */
}

struct mq_engine *fresh_engine(struct fresh *fresh)
{
    if (fresh->engine)
        renew(fresh);
    else
        make(fresh);
    return fresh->engine;
}

void fresh_check(struct fresh *fresh)
{
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        struct mq_shard *shard = &fresh->engine->shards[i];
        if (!is_used(fresh, i))
            continue;
        mq_mutex_lock(&shard->mutex);
        mq_shard_check_locked(shard);
        mq_shard_unlock(shard);
    }
}
