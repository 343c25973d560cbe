#include "queue/depend.h"

#include "base/check.h"
#include "queue/decide.h"

#define SETTLED_SLICE 128u /* links taken from a shard at once */

bool mq_depend_known(const struct mq_engine *engine, uint64_t id)
{
    const struct mq_shard *shard = &engine->shards[id % MQ_SHARDS];
    const struct mq_slot *slot = &shard->slots[(id % MQ_SLOTS) / MQ_SHARDS];
    return id / MQ_SLOTS && id / MQ_SLOTS <= mq_slot_counter(slot);
}

/* No memory for this step: the shard is looked at again later. */
static void put_off(struct mq_engine *engine, struct mq_shard *shard, struct mq_list *list, struct mq_list *node)
{
    mq_mutex_lock(&shard->mutex);
    if (mq_list_empty(node)) /* else its dependent has ended meanwhile */
        mq_list_prepend(list, node);
    shard->retry_ms = mq_engine_now(engine) + MQ_RETRY_MS;
    mq_shard_unlock(shard);
}

/* Tells one dependent. 0, or MQ_NO_MEMORY. */
static int tell(struct mq_engine *engine, uint64_t job_id, uint64_t parent, bool dropped, int64_t now_ms)
{
    struct mq_shard *shard = mq_engine_shard(engine, job_id);
    int64_t now = mq_shard_lock(shard, now_ms);
    struct mq_job *job = mq_slot_job(mq_shard_slot(shard, job_id), job_id);
    int status = job ? mq_decide_parent_ended_locked(shard, job, parent, dropped, now) : MQ_DONE;
    mq_shard_unlock(shard);
    return status;
}

/* --- linking --- */

/* How the parent of this link is: OPEN, then the link stands in its list. */
static int link_parent(struct mq_engine *engine, struct mq_link *link, uint64_t id, int64_t now_ms, uint8_t *outcome)
{
    struct mq_shard *shard = mq_engine_shard(engine, id);
    int status = MQ_DONE;
    mq_shard_lock(shard, now_ms);
    struct mq_slot *slot = mq_shard_slot(shard, id);
    struct mq_job *parent = mq_slot_job(slot, id);
    if (!mq_list_empty(&link->node)) { /* linked by an earlier try */
        *outcome = MQ_PARENT_OPEN;
    } else if (parent && parent->state != MQ_JOB_DONE) {
        struct mq_extra *extra = mq_decide_extra_locked(shard, parent);
        *outcome = MQ_PARENT_OPEN;
        if (extra)
            mq_list_append(&extra->dependents, &link->node);
        else
            status = MQ_NO_MEMORY;
    } else {
        *outcome = !parent && mq_idset_has(&slot->dropped, id / MQ_SLOTS) ? MQ_PARENT_DROPPED : MQ_PARENT_COMPLETED;
    }
    mq_shard_unlock(shard);
    return status;
}

/* Links a dependent to each parent that lives, and tells it of those that have ended. */
static int link_all(struct mq_engine *engine, struct mq_deps *deps, int64_t now_ms)
{
    for (uint32_t i = 0; i < deps->n; i++) {
        struct mq_link *link = &deps->links[i];
        uint8_t outcome;
        if (link->outcome != MQ_PARENT_OPEN)
            continue; /* told by an earlier try */
        int status = link_parent(engine, link, deps->ids[i], now_ms, &outcome);
        if (status == MQ_DONE && outcome != MQ_PARENT_OPEN)
            status = tell(engine, deps->job_id, deps->ids[i], outcome == MQ_PARENT_DROPPED, now_ms);
        if (status < 0)
            return status;
    }
    return MQ_DONE;
}

static unsigned link_some(struct mq_engine *engine, struct mq_shard *shard, int64_t now_ms, unsigned limit)
{
    unsigned done = 0;
    while (done < limit) {
        mq_mutex_lock(&shard->mutex);
        struct mq_list *node = mq_list_pop(&shard->unlinked);
        mq_shard_unlock(shard);
        if (!node)
            break;
        struct mq_deps *deps = mq_list_entry(node, struct mq_deps, node);
        uint32_t n = deps->n; /* an orphan by now, it is still not freed: that needs the mutex we have */
        if (link_all(engine, deps, now_ms) < 0) {
            put_off(engine, shard, &shard->unlinked, node);
            break;
        }
        done += n;
    }
    return done;
}

/* --- telling --- */

static unsigned tell_some(struct mq_engine *engine, struct mq_shard *shard, int64_t now_ms, unsigned limit)
{
    struct mq_link *links[SETTLED_SLICE];
    unsigned n = 0, done = 0;
    mq_mutex_lock(&shard->mutex);
    for (struct mq_list *node; n < SETTLED_SLICE && n < limit && (node = mq_list_pop(&shard->settled));)
        links[n++] = mq_list_entry(node, struct mq_link, node);
    mq_shard_unlock(shard);
    for (; done < n; done++) {
        struct mq_deps *deps = links[done]->deps;
        uint64_t parent = deps->ids[links[done] - deps->links];
        if (tell(engine, deps->job_id, parent, links[done]->dropped, now_ms) < 0)
            break;
    }
    for (unsigned i = n; i-- > done;)
        put_off(engine, shard, &shard->settled, &links[i]->node);
    return done;
}

/* --- forgetting --- */

static unsigned forget_some(struct mq_engine *engine, struct mq_shard *shard, unsigned limit)
{
    unsigned done = 0;
    while (done < limit) {
        mq_mutex_lock(&shard->mutex);
        struct mq_list *node = mq_list_pop(&shard->orphans);
        mq_shard_unlock(shard);
        if (!node)
            break;
        struct mq_deps *deps = mq_list_entry(node, struct mq_deps, node);
        for (uint32_t i = 0; i < deps->n; i++) {
            struct mq_shard *other = mq_engine_shard(engine, deps->ids[i]);
            /* told or not: of a parent given twice one link may still be among the settled */
            mq_mutex_lock(&other->mutex);
            mq_list_remove(&deps->links[i].node);
            mq_shard_unlock(other);
        }
        done += deps->n;
        mq_free(deps);
    }
    return done;
}

static unsigned sweep(struct mq_engine *engine, struct mq_shard *shard, int64_t now_ms, unsigned limit)
{
    unsigned done = tell_some(engine, shard, now_ms, limit);
    if (done < limit)
        done += link_some(engine, shard, now_ms, limit - done);
    if (done < limit)
        done += forget_some(engine, shard, limit - done);
    return done;
}

unsigned mq_depend_sweep(struct mq_engine *engine, struct mq_shard *shard, int64_t now_ms, unsigned limit)
{
    mq_mutex_lock(&engine->depend_mutex);
    unsigned done = sweep(engine, shard, now_ms, limit);
    mq_mutex_unlock(&engine->depend_mutex);
    return done;
}

unsigned mq_depend_try_sweep(struct mq_engine *engine, struct mq_shard *shard, int64_t now_ms, unsigned limit)
{
    if (!mq_mutex_try(&engine->depend_mutex))
        return 0;
    unsigned done = sweep(engine, shard, now_ms, limit);
    mq_mutex_unlock(&engine->depend_mutex);
    return done;
}
