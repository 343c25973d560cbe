#include "queue/engine.h"

#include "base/check.h"
#include "queue/decide.h"

#include <sys/random.h>

void mq_config_init(struct mq_config *config)
{
    *config = (struct mq_config){
        .max_line = 16u << 20,
        .max_job_bytes = 1u << 20,
        .max_output = 8u << 20,
        .max_deliveries = 10,
        .result_ttl_ms = 3600000,
        .result_max = 100000,
        .lease_ms = 1800000,
        .manual_time_ms = -1,
        .version = "0",
    };
}

static int copy_tokens(struct mq_engine *engine, const struct mq_config *config)
{
    engine->tokens = mq_alloc_zero((config->auth_token_n + 1) * sizeof *engine->tokens);
    if (!engine->tokens)
        return -1;
    for (size_t i = 0; i < config->auth_token_n; i++) {
        size_t n = strlen(config->auth_tokens[i]) + 1;
        if (!(engine->tokens[i] = mq_alloc(n)))
            return -1;
        memcpy(engine->tokens[i], config->auth_tokens[i], n);
    }
    return 0;
}

static void free_tokens(struct mq_engine *engine)
{
    for (size_t i = 0; engine->tokens && i < engine->config.auth_token_n; i++)
        mq_free(engine->tokens[i]);
    mq_free(engine->tokens);
}

struct mq_engine *mq_engine_open(const struct mq_config *config, struct mq_log *log)
{
    struct mq_engine *engine = mq_alloc_lines(sizeof *engine);
    uint64_t seed = config->seed;
    if (!engine)
        return NULL;
    engine->config = *config;
    if (copy_tokens(engine, config) < 0) {
        free_tokens(engine);
        mq_free(engine);
        return NULL;
    }
    engine->config.auth_tokens = NULL;
    atomic_init(&engine->kept, 0);
    if (!seed && getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uint64_t)(uintptr_t)engine; /* tokens are still unique, only less surprising */
    if (config->manual_time_ms >= 0)
        mq_clock_init_manual(&engine->clock, config->manual_time_ms);
    else
        mq_clock_init_real(&engine->clock);
    for (unsigned i = 0; i < MQ_SHARDS; i++)
        mq_shard_init(&engine->shards[i], i, seed, log, &engine->config, &engine->kept);
    engine->log = log;
    return engine;
}

void mq_engine_free(struct mq_engine *engine)
{
    if (!engine)
        return;
    for (unsigned i = 0; i < MQ_SHARDS; i++)
        mq_shard_close(&engine->shards[i]);
    engine->log->ops->close(engine->log);
    free_tokens(engine);
    mq_free((void *)engine->tables);
    mq_free(engine);
}

void mq_engine_set_time(struct mq_engine *engine, int64_t now_ms)
{
    mq_clock_set(&engine->clock, now_ms);
    if (engine->on_time)
        engine->on_time(engine->on_time_context);
}

int64_t mq_engine_now(const struct mq_engine *engine) { return mq_clock_now_ms(&engine->clock); }

int64_t mq_engine_tick(struct mq_engine *engine)
{
    int64_t now = mq_engine_now(engine), next = MQ_NEVER;
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        struct mq_shard *shard = &engine->shards[i];
        while (atomic_load(&shard->due_ms) <= now) {
            mq_shard_lock(shard, now);
            mq_shard_unlock(shard);
        }
        int64_t due = atomic_load(&shard->due_ms);
        next = due < next ? due : next;
    }
    return next;
}

uint64_t mq_engine_bytes(const struct mq_engine *engine)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < MQ_SHARDS; i++)
        bytes += atomic_load_explicit(&engine->shards[i].bytes_seen, memory_order_relaxed);
    return bytes;
}

static struct mq_shard *shard_with_most_done(struct mq_engine *engine)
{
    struct mq_shard *most = &engine->shards[0];
    for (unsigned i = 1; i < MQ_SHARDS; i++)
        if (atomic_load_explicit(&engine->shards[i].done_n, memory_order_relaxed) >
            atomic_load_explicit(&most->done_n, memory_order_relaxed))
            most = &engine->shards[i];
    return most;
}

void mq_engine_trim_done(struct mq_engine *engine, int64_t now_ms)
{
    while (atomic_load_explicit(&engine->kept, memory_order_relaxed) > engine->config.result_max) {
        struct mq_shard *shard = shard_with_most_done(engine);
        unsigned trimmed = mq_decide_trim_locked(shard, mq_shard_lock(shard, now_ms));
        mq_shard_unlock(shard);
        if (!trimmed)
            return; /* another thread was faster, or there is no memory: the next ACK tries again */
    }
}

void mq_engine_forget_done(struct mq_engine *engine, int64_t now_ms)
{
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        struct mq_shard *shard = &engine->shards[i];
        int64_t now = mq_shard_lock(shard, now_ms);
        while (mq_decide_trim_locked(shard, now))
            ;
        mq_shard_unlock(shard);
    }
}

void mq_engine_lose_holder(struct mq_engine *engine, struct mq_holder *holder, int64_t now_ms)
{
    for (uint32_t left = atomic_load(&holder->shards); left; left &= left - 1) {
        struct mq_shard *shard = &engine->shards[__builtin_ctz(left)];
        mq_decide_lost_locked(shard, holder, mq_shard_lock(shard, now_ms));
        mq_shard_unlock(shard);
    }
}

void mq_engine_check(struct mq_engine *engine)
{
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        mq_mutex_lock(&engine->shards[i].mutex);
        mq_shard_check_locked(&engine->shards[i]);
        mq_shard_unlock(&engine->shards[i]);
    }
}
