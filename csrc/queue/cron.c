#include "queue/cron.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "queue/decide.h"

#include <stdio.h>

void mq_crons_init(struct mq_crons *crons)
{
    mq_mutex_init(&crons->mutex);
    mq_map_init(&crons->by_name);
    mq_heap_init(&crons->due, offsetof(struct mq_cron, due_index));
    mq_list_init(&crons->questions);
    atomic_init(&crons->due_ms, MQ_NEVER);
}

void mq_crons_close(struct mq_crons *crons)
{
    struct mq_cron *cron;
    for (size_t at = 0; (cron = mq_map_next(&crons->by_name, &at));)
        mq_free(cron);
    mq_map_close(&crons->by_name);
    mq_heap_close(&crons->due);
    mq_mutex_close(&crons->mutex);
}

static uint64_t name_hash(mq_slice name) { return mq_hash_bytes(name.p, name.n); }

static bool name_matches(const void *item, const void *name)
{
    return mq_slice_eq(((const struct mq_cron *)item)->def.name, *(const mq_slice *)name);
}

struct mq_cron *mq_cron_find(const struct mq_crons *crons, mq_slice name)
{
    return mq_map_find(&crons->by_name, name_hash(name), name_matches, &name);
}

static bool same_push(const struct mq_push *a, const struct mq_push *b)
{
    return mq_slice_eq(a->data, b->data) && a->has_key == b->has_key && mq_slice_eq(a->key, b->key) &&
           mq_slice_eq(a->parents, b->parents) && a->priority == b->priority && a->delay_ms == b->delay_ms &&
           a->ttl_ms == b->ttl_ms && a->timeout_ms == b->timeout_ms && a->max_attempts == b->max_attempts &&
           a->backoff_ms == b->backoff_ms && a->max_backoff_ms == b->max_backoff_ms;
}

bool mq_cron_same(const struct mq_cron_def *a, const struct mq_cron_def *b)
{
    return mq_slice_eq(a->queue, b->queue) && mq_slice_eq(a->schedule, b->schedule) && mq_slice_eq(a->timezone, b->timezone) &&
           a->skip_overlap == b->skip_overlap && a->skip_misfire == b->skip_misfire && a->paused == b->paused &&
           same_push(&a->push, &b->push);
}

/* Bytes of all its texts. */
static size_t texts_of(const struct mq_cron_def *def)
{
    return def->name.n + def->queue.n + def->schedule.n + def->timezone.n + def->push.data.n + def->push.key.n + def->push.parents.n;
}

static char *keep(char *o, mq_slice *text)
{
    if (text->n)
        memcpy(o, text->p, text->n);
    *text = mq_slice_of(o, text->n);
    return o + text->n;
}

static struct mq_cron *cron_create(const struct mq_cron_def *def)
{
    struct mq_cron *cron = mq_alloc_zero(sizeof *cron + texts_of(def));
    if (!cron)
        return NULL;
    cron->def = *def;
    cron->hash = name_hash(def->name);
    cron->due_index = MQ_HEAP_NONE;
    char *o = keep(cron->bytes, &cron->def.push.parents); /* first: it is made of 64-bit numbers */
    o = keep(o, &cron->def.name);
    o = keep(o, &cron->def.queue);
    o = keep(o, &cron->def.schedule);
    o = keep(o, &cron->def.timezone);
    o = keep(o, &cron->def.push.data);
    keep(o, &cron->def.push.key);
    return cron;
}

/* --- apply --- */

static struct mq_cron_def def_of(const struct mq_record *r)
{
    return (struct mq_cron_def){
        .name = r->name, .queue = r->queue, .schedule = r->schedule, .timezone = r->timezone, .skip_overlap = r->skip_overlap,
        .skip_misfire = r->skip_misfire, .paused = r->paused,
        .push = {.data = r->data, .key = r->key, .parents = r->parents, .has_key = r->has_key, .priority = r->priority,
                 .delay_ms = r->delay_ms, .ttl_ms = r->ttl_ms, .timeout_ms = r->timeout_ms, .max_attempts = r->max_attempts,
                 .backoff_ms = r->backoff_ms, .max_backoff_ms = r->max_backoff_ms},
    };
}

static void set_next(struct mq_crons *crons, struct mq_cron *cron, int64_t next_run_ms)
{
    cron->next_run_ms = next_run_ms;
    if (next_run_ms == MQ_NEVER) {
        if (cron->due_index != MQ_HEAP_NONE)
            mq_heap_remove(&crons->due, cron->due_index);
    } else if (cron->due_index != MQ_HEAP_NONE) {
        mq_heap_update(&crons->due, cron->due_index, (uint64_t)next_run_ms, cron->hash);
    } else {
        mq_heap_push(&crons->due, (uint64_t)next_run_ms, cron->hash, cron);
    }
}

static void forget(struct mq_crons *crons, struct mq_cron *cron)
{
    set_next(crons, cron, MQ_NEVER);
    MQ_ASSERT(mq_map_remove(&crons->by_name, cron->hash, cron));
    mq_free(cron);
}

static int reserve_one(struct mq_crons *crons)
{
    return mq_map_reserve(&crons->by_name) < 0 || mq_heap_reserve(&crons->due, (size_t)crons->due.n + 1) < 0 ? -1 : 0;
}

static void apply_set(struct mq_crons *crons, const struct mq_record *record)
{
    struct mq_cron *old = mq_cron_find(crons, record->name), *cron = record->cron_hint;
    if (!cron) { /* replay */
        struct mq_cron_def def = def_of(record);
        cron = cron_create(&def);
        MQ_ASSERT(cron && reserve_one(crons) == 0);
    }
    cron->set_ms = record->at_ms;
    if (old) {
        cron->last_run_ms = old->last_run_ms;
        if (mq_slice_eq(old->def.queue, cron->def.queue))
            cron->last_job = old->last_job;
    }
    mq_map_insert(&crons->by_name, cron->hash, cron); /* before the old one goes: a map that runs empty gives up its room */
    if (old)
        forget(crons, old);
    set_next(crons, cron, record->run_at_ms);
}

void mq_cron_apply(struct mq_crons *crons, const struct mq_record *record)
{
    if (record->type == MQ_REC_CRON_SET) {
        apply_set(crons, record);
        return;
    }
    struct mq_cron *cron = mq_cron_find(crons, record->name);
    MQ_ASSERT(cron);
    if (record->type == MQ_REC_CRON_DEL) {
        forget(crons, cron);
        return;
    }
    cron->last_run_ms = record->last_run_ms;
    if (record->cron_job)
        cron->last_job = record->cron_job;
    set_next(crons, cron, record->run_at_ms);
}

/* --- decide --- */

static struct mq_record about(const struct mq_cron_def *def, enum mq_record_type type, int64_t now_ms)
{
    return (struct mq_record){
        .type = (uint8_t)type,
        .slot = (uint16_t)(name_hash(def->queue) % MQ_SLOTS),
        .at_ms = now_ms,
        .name = def->name,
    };
}

/* Frames of several shards: the highest number counts. */
static void note_seq(struct mq_crons *crons, uint64_t seq) { crons->log_seq = seq > crons->log_seq ? seq : crons->log_seq; }

static int emit(struct mq_engine *engine, struct mq_record *record, uint64_t queue_hash, size_t text_n, int64_t now_ms)
{
    struct mq_shard *shard = mq_engine_shard(engine, queue_hash);
    record->at_ms = mq_shard_lock(shard, now_ms);
    int status = mq_shard_reserve_record_locked(shard, text_n) < 0 ? MQ_NO_MEMORY : MQ_DONE;
    if (atomic_load_explicit(&shard->log->full, memory_order_relaxed))
        status = MQ_NO_ROOM;
    if (status == MQ_DONE)
        mq_shard_emit_locked(shard, record);
    note_seq(&engine->crons, mq_shard_unlock(shard));
    return status;
}

static struct mq_record set_record(const struct mq_cron_def *def, int64_t next_run_ms, int64_t now_ms)
{
    const struct mq_push *push = &def->push;
    struct mq_record record = about(def, MQ_REC_CRON_SET, now_ms);
    record.queue = def->queue;
    record.schedule = def->schedule;
    record.timezone = def->timezone;
    record.skip_overlap = def->skip_overlap;
    record.skip_misfire = def->skip_misfire;
    record.paused = def->paused;
    record.run_at_ms = next_run_ms;
    record.data = push->data;
    record.key = push->key;
    record.parents = push->parents;
    record.has_key = push->has_key;
    record.priority = push->priority;
    record.delay_ms = push->delay_ms;
    record.ttl_ms = push->ttl_ms;
    record.timeout_ms = push->timeout_ms;
    record.max_attempts = push->max_attempts;
    record.backoff_ms = push->backoff_ms;
    record.max_backoff_ms = push->max_backoff_ms;
    return record;
}

struct mq_record mq_cron_record(const struct mq_cron *cron) { return set_record(&cron->def, cron->next_run_ms, cron->set_ms); }

int mq_cron_set(struct mq_engine *engine, const struct mq_cron_def *def, int64_t next_run_ms, int64_t now_ms)
{
    struct mq_record record = set_record(def, next_run_ms, now_ms);
    record.cron_hint = reserve_one(&engine->crons) == 0 ? cron_create(def) : NULL;
    if (!record.cron_hint)
        return MQ_NO_MEMORY;
    int status = emit(engine, &record, name_hash(def->queue), texts_of(def), now_ms);
    if (status < 0)
        mq_free(record.cron_hint);
    mq_crons_publish(engine);
    return status;
}

int mq_cron_delete(struct mq_engine *engine, struct mq_cron *cron, int64_t now_ms)
{
    struct mq_record record = about(&cron->def, MQ_REC_CRON_DEL, now_ms);
    int status = emit(engine, &record, name_hash(cron->def.queue), cron->def.name.n, now_ms);
    mq_crons_publish(engine);
    return status;
}

static bool still_runs(struct mq_shard *shard, const struct mq_cron *cron)
{
    uint64_t id = cron->last_job;
    const struct mq_job *job = id ? mq_slot_job(mq_shard_slot(shard, id), id) : NULL;
    return job && job->state != MQ_JOB_DEAD && job->state != MQ_JOB_DONE;
}

/* Adds the job; *id stays 0 if it is left out. Whoever waits for it must be served afterwards. */
static int push_job(struct mq_shard *shard, struct mq_cron *cron, bool may_skip, int64_t slot_ms, int64_t now_ms, uint64_t *id)
{
    struct mq_slot *slot = mq_shard_slot(shard, name_hash(cron->def.queue));
    struct mq_push push = cron->def.push;
    push.slot_ms = slot_ms;
    if (may_skip && cron->def.skip_overlap && still_runs(shard, cron))
        return MQ_DONE;
    struct mq_queue *queue = mq_slot_queue_make(slot, cron->def.queue, name_hash(cron->def.queue));
    int status = queue ? mq_decide_push_locked(shard, queue, &push, now_ms, id) : MQ_NO_MEMORY;
    if (queue && status < 0)
        mq_slot_queue_release(slot, queue);
    return may_skip && (status == MQ_KEY_TAKEN || status == MQ_FULL) ? MQ_DONE : status;
}

int mq_cron_fire(struct mq_engine *engine, struct mq_cron *cron, bool push, bool may_skip, int64_t slot_ms, int64_t next_run_ms,
                 int64_t now_ms)
{
    struct mq_shard *shard = mq_engine_shard(engine, name_hash(cron->def.queue));
    struct mq_record record = about(&cron->def, MQ_REC_CRON_FIRED, now_ms);
    uint64_t id = 0;
    int status = MQ_DONE;
    int64_t now = mq_shard_lock(shard, now_ms);
    /* room for both records first: the job must not be there without its cron having moved on */
    if (mq_shard_reserve_record_locked(shard, 2 * MQ_FRAME_RECORD_MAX + texts_of(&cron->def)) < 0)
        status = MQ_NO_MEMORY;
    if (status == MQ_DONE && push)
        status = push_job(shard, cron, may_skip, slot_ms, now, &id);
    if (status == MQ_DONE) {
        record.at_ms = now;
        record.run_at_ms = next_run_ms;
        record.last_run_ms = id ? slot_ms : cron->last_run_ms;
        record.cron_job = id;
        mq_shard_emit_locked(shard, &record);
        if (id)
            mq_shard_serve_locked(shard, mq_slot_job(mq_shard_slot(shard, id), id)->queue, now);
    }
    note_seq(&engine->crons, mq_shard_unlock(shard));
    mq_crons_publish(engine);
    return status;
}

/* --- questions, and when there is work --- */

void mq_crons_publish(struct mq_engine *engine)
{
    struct mq_crons *crons = &engine->crons;
    int64_t due = crons->due.n ? (int64_t)crons->due.entries[0].high : MQ_NEVER;
    if (due < crons->retry_ms)
        due = crons->retry_ms;
    if (crons->untaken)
        due = 0;
    atomic_store(&crons->due_ms, due);
    mq_hook_due(&engine->hooks[MQ_WORK_CRON], due);
}

void mq_question_ask(struct mq_engine *engine, struct mq_question *question)
{
    struct mq_crons *crons = &engine->crons;
    mq_mutex_lock(&crons->mutex);
    question->token = ++crons->last_token;
    question->taken = false;
    mq_list_append(&crons->questions, &question->node);
    crons->untaken++;
    mq_crons_publish(engine);
    mq_mutex_unlock(&crons->mutex);
}

bool mq_question_withdraw(struct mq_engine *engine, struct mq_question *question)
{
    struct mq_crons *crons = &engine->crons;
    mq_mutex_lock(&crons->mutex);
    bool open = !mq_list_empty(&question->node);
    crons->untaken -= open && !question->taken;
    mq_list_remove(&question->node);
    mq_mutex_unlock(&crons->mutex);
    return open;
}
