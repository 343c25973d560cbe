#include "queue/engine.h"

#include "base/check.h"
#include "queue/cron.h"
#include "queue/decide.h"
#include "queue/depend.h"
#include "queue/persist.h"

#include <errno.h>
#include <limits.h>
#include <sys/random.h>

void mq_config_init(struct mq_config *config)
{
    *config = (struct mq_config){
        .max_line = 16u << 20,
        .max_job_bytes = 1u << 20,
        .max_output = 8u << 20,
        .max_deliveries = 10,
        .max_batch = 100000,
        .max_parked = 10000,
        .max_subscribers = 10000,
        .auth_timeout_ms = 10000,
        .line_timeout_ms = 60000,
        .result_ttl_ms = 3600000,
        .result_max = 100000,
        .lease_ms = 1800000,
        .manual_time_ms = -1,
        .version = "0",
    };
}

static void log_committed(void *context)
{
    struct mq_engine *engine = context;
    if (atomic_load(&engine->commit_waiters)) {
        pthread_mutex_lock(&engine->commit_mutex);
        pthread_cond_broadcast(&engine->committed);
        pthread_mutex_unlock(&engine->commit_mutex);
    }
    if (engine->on_commit)
        engine->on_commit(engine->net_context);
    if (mq_persist_wants_snapshot(engine))
        mq_hook_due(&engine->hooks[MQ_WORK_SNAPSHOT], 0);
}

/* With the shard's mutex held. */
static void shard_due(void *context, unsigned shard, enum mq_due due, int64_t due_ms)
{
    struct mq_engine *engine = context;
    static const enum mq_work works[MQ_DUES] = {
        [MQ_DUE_TIMEOUTS] = MQ_WORK_TIMEOUTS, [MQ_DUE_DEPENDENCIES] = MQ_WORK_DEPENDENCIES, [MQ_DUE_MEMORY] = MQ_WORK_MEMORY};
    if (due != MQ_DUE_READY)
        mq_hook_due(&engine->hooks[works[due]], due_ms);
    else if (engine->on_ready)
        engine->on_ready(engine->net_context, shard);
}

struct mq_engine *mq_engine_open(const struct mq_config *config, struct mq_log *log)
{
    struct mq_engine *engine = mq_alloc_lines(sizeof *engine);
    uint64_t seed = config->seed;
    if (!engine)
        return NULL;
    engine->config = *config;
    if (!(engine->access = mq_access_make(config->grants, config->grant_n))) {
        mq_free(engine);
        return NULL;
    }
    engine->config.grants = NULL;
    mq_mutex_init(&engine->access_mutex);
    atomic_init(&engine->access_number, 0);
    atomic_init(&engine->kept, 0);
    atomic_init(&engine->report_ms, MQ_NEVER);
    if (!seed && getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uint64_t)(uintptr_t)engine; /* tokens are still unique, only less surprising */
    if (config->manual_time_ms >= 0)
        mq_clock_init_manual(&engine->clock, config->manual_time_ms);
    else
        mq_clock_init_real(&engine->clock);
    engine->log = log;
    for (unsigned i = 0; i < MQ_WORKS; i++)
        if (mq_hook_init(&engine->hooks[i]) < 0) {
            while (i)
                mq_hook_close(&engine->hooks[--i]);
            mq_access_drop(engine->access);
            mq_free(engine);
            return NULL;
        }
    pthread_mutex_init(&engine->commit_mutex, NULL);
    pthread_mutex_init(&engine->writer_mutex, NULL);
    pthread_cond_init(&engine->committed, NULL);
    log->on_commit = log_committed;
    log->on_commit_context = engine;
    mq_hub_init(&engine->hub);
    mq_crons_init(&engine->crons);
    mq_mutex_init(&engine->depend_mutex);
    struct mq_shard_world world = {.log = log, .crons = &engine->crons, .hub = &engine->hub, .config = &engine->config, .kept = &engine->kept,
                                   .on_due = shard_due, .on_due_context = engine};
    for (unsigned i = 0; i < MQ_SHARDS; i++)
        mq_shard_init(&engine->shards[i], i, seed, &world);
    return engine;
}

void mq_engine_free(struct mq_engine *engine)
{
    if (!engine)
        return;
    for (unsigned i = 0; i < MQ_SHARDS; i++)
        mq_shard_close(&engine->shards[i]);
    for (unsigned i = 0; i < MQ_WORKS; i++)
        mq_hook_close(&engine->hooks[i]);
    pthread_cond_destroy(&engine->committed);
    pthread_mutex_destroy(&engine->commit_mutex);
    pthread_mutex_destroy(&engine->writer_mutex);
    mq_hub_close(&engine->hub);
    mq_crons_close(&engine->crons);
    mq_mutex_close(&engine->depend_mutex);
    engine->log->ops->close(engine->log);
    mq_access_drop(engine->access);
    mq_mutex_close(&engine->access_mutex);
    mq_free((void *)engine->tables);
    mq_free(engine);
}

struct mq_access *mq_engine_access(struct mq_engine *engine)
{
    mq_mutex_lock(&engine->access_mutex);
    struct mq_access *access = mq_access_keep(engine->access);
    mq_mutex_unlock(&engine->access_mutex);
    return access;
}

int mq_engine_set_grants(struct mq_engine *engine, const struct mq_grant *grants, size_t grant_n)
{
    struct mq_access *access = mq_access_make(grants, grant_n), *old;
    if (!access)
        return -ENOMEM;
    mq_mutex_lock(&engine->access_mutex);
    old = engine->access;
    engine->access = access;
    atomic_fetch_add(&engine->access_number, 1);
    mq_mutex_unlock(&engine->access_mutex);
    mq_access_drop(old);
    if (engine->wake)
        engine->wake(engine->net_context);
    return 0;
}

void mq_engine_set_time(struct mq_engine *engine, int64_t now_ms)
{
    mq_clock_set(&engine->clock, now_ms);
    if (engine->wake)
        engine->wake(engine->net_context);
    for (unsigned i = 0; i < MQ_WORKS; i++)
        mq_hook_wake(&engine->hooks[i]);
}

int64_t mq_engine_now(const struct mq_engine *engine) { return mq_clock_now_ms(&engine->clock); }

static int64_t next_due(const struct mq_engine *engine, enum mq_due due)
{
    int64_t next = MQ_NEVER;
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        int64_t at = atomic_load(&engine->shards[i].due_ms[due]);
        next = at < next ? at : next;
    }
    return next;
}

/* By enum mq_work. */
static const enum mq_due dues[] = {MQ_DUE_TIMEOUTS, MQ_DUE_DEPENDENCIES, MQ_DUE_MEMORY};

uint64_t mq_engine_sweep(struct mq_engine *engine, enum mq_work work, uint64_t limit)
{
    if (work >= MQ_WORK_CRON)
        return 0; /* who does this work does it by mq_engine_take_control or mq_engine_snapshot */
    enum mq_due due = dues[work];
    int64_t now = mq_engine_now(engine);
    uint64_t done = 0, before = UINT64_MAX;
    while (done < limit && done != before) { /* a slice in each shard, then the next in each: nobody waits long for any */
        before = done;
        for (unsigned i = 0; i < MQ_SHARDS && done < limit; i++) {
            struct mq_shard *shard = &engine->shards[i];
            if (!mq_shard_is_due(shard, due, now))
                continue;
            done += due == MQ_DUE_MEMORY         ? mq_shard_extend(shard)
                    : due == MQ_DUE_DEPENDENCIES ? mq_depend_sweep(engine, shard, now, MQ_DUE_SLICE)
                                                 : mq_shard_sweep(shard, due, now);
        }
    }
    return done;
}

static int64_t next_work(const struct mq_engine *engine, enum mq_work work)
{
    if (work == MQ_WORK_CRON)
        return atomic_load(&engine->crons.due_ms);
    if (work == MQ_WORK_SNAPSHOT)
        return mq_persist_wants_snapshot(engine) ? 0 : MQ_NEVER;
    if (work == MQ_WORK_REPORT)
        return atomic_load(&engine->report_ms);
    return next_due(engine, dues[work]);
}

int mq_engine_wait(struct mq_engine *engine, enum mq_work work)
{
    struct mq_hook *hook = &engine->hooks[work];
    for (;;) {
        int64_t next = next_work(engine, work);
        mq_hook_plan(hook, next);
        int64_t seen = next_work(engine, work), now = mq_engine_now(engine); /* after the plan is known: nothing is missed */
        next = seen < next ? seen : next;
        bool over = atomic_load(&engine->waiting_over);
        int timeout = -1;
        if (over || next <= now)
            timeout = 0;
        else if (next != MQ_NEVER && !engine->clock.manual)
            timeout = next - now < INT_MAX ? (int)(next - now) : INT_MAX;
        mq_hook_sleep(hook, timeout);
        if (over)
            return 0;
        if (next <= now)
            return 1;
    }
}

void mq_engine_stop_waiting(struct mq_engine *engine)
{
    atomic_store(&engine->waiting_over, true);
    mq_persist_end_writer(engine);
    for (unsigned i = 0; i < MQ_WORKS; i++)
        mq_hook_wake(&engine->hooks[i]);
}

int64_t mq_engine_tick(struct mq_engine *engine)
{
    int64_t now = mq_engine_now(engine), next = MQ_NEVER;
    uint64_t done = 1;
    while (done) {
        done = 0;
        for (unsigned i = 0; i < MQ_SHARDS; i++)
            while (mq_shard_is_due(&engine->shards[i], MQ_DUE_READY, now) &&
                   mq_shard_sweep(&engine->shards[i], MQ_DUE_READY, now))
                done++;
        done += mq_engine_sweep(engine, MQ_WORK_TIMEOUTS, UINT64_MAX);
        done += mq_engine_sweep(engine, MQ_WORK_DEPENDENCIES, UINT64_MAX);
        done += mq_engine_sweep(engine, MQ_WORK_MEMORY, UINT64_MAX);
    }
    for (unsigned due = 0; due < MQ_DUES; due++) {
        int64_t at = next_due(engine, due);
        next = at < next ? at : next;
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
