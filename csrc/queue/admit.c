#include "queue/admit.h"

#include "base/hash.h"
#include "queue/cron.h"
#include "queue/history.h"

#define NAME_MAX_N 255u   /* as in fields.def; so are these */
#define KEY_MAX_N 1024u
#define PARENTS_MAX 1000u
#define ID_MAX ((uint64_t)1 << 53)

static bool is_time(int64_t ms) { return ms >= 0; /* MQ_NEVER is the latest */ }
static bool is_name(mq_slice name) { return name.n && name.n <= NAME_MAX_N; }
static bool is_id(uint64_t id) { return id >= MQ_SLOTS && id < ID_MAX; }

static bool is_of_slot(mq_slice queue, uint16_t slot)
{
    return is_name(queue) && mq_hash_bytes(queue.p, queue.n) % MQ_SLOTS == slot;
}

static bool are_ids(mq_slice parents) { return parents.n % 8 == 0 && parents.n / 8 <= PARENTS_MAX; }

static const char *objects_to_slot(const struct mq_slot *slot, const struct mq_record *r)
{
    if (r->id >= ID_MAX || r->id % MQ_SLOTS != slot->number || r->id / MQ_SLOTS < mq_slot_counter(slot))
        return "a slot's last id that cannot be";
    for (size_t at = 0; at < r->parents.n; at += 16) {
        uint64_t pair[2];
        if (r->parents.n - at < sizeof pair)
            return "half a run of dropped jobs";
        memcpy(pair, r->parents.p + at, sizeof pair);
        if (!pair[0] || pair[0] > r->id / MQ_SLOTS || !pair[1] || pair[1] - 1 > r->id / MQ_SLOTS - pair[0])
            return "dropped jobs that never were";
    }
    return NULL;
}

static struct mq_queue *find(const struct mq_slot *slot, mq_slice name)
{
    return mq_slot_queue(slot, name, mq_hash_bytes(name.p, name.n));
}

static const char *objects_to_queue(const struct mq_slot *slot, const struct mq_record *r)
{
    if (!is_of_slot(r->queue, slot->number))
        return "a queue in another's slot";
    if (find(slot, r->queue))
        return "a queue twice";
    return r->rate_limit && !r->rate_duration_ms ? "a rate without a duration" : NULL;
}

static const char *objects_to_parents(const struct mq_record *r)
{
    bool open = false;
    if (!are_ids(r->parents) || r->outcomes.n != r->parents.n / 8)
        return "parents that are no ids, or not as many as their outcomes";
    for (size_t i = 0; i < r->outcomes.n; i++) {
        uint64_t id;
        memcpy(&id, r->parents.p + i * 8, 8);
        if ((uint8_t)r->outcomes.p[i] > MQ_PARENT_DROPPED || id == r->id)
            return "an outcome that is none, or a job that waits for itself";
        open |= r->outcomes.p[i] == MQ_PARENT_OPEN;
    }
    return r->state == MQ_JOB_PARENT && !open ? "a job that waits for nothing" : NULL;
}

static bool is_history(mq_slice history)
{
    struct mq_history_entry entry;
    while (mq_history_next(&history, &entry))
        if (entry.reason >= MQ_REASONS)
            return false;
    return !history.n;
}

static const char *objects_to_times(const struct mq_record *r)
{
    if (!is_time(r->at_ms) || !is_time(r->run_at_ms) || !is_time(r->started_ms) || !is_time(r->ended_ms))
        return "a time that cannot be";
    if (r->state == MQ_JOB_ACTIVE && (!is_time(r->lease_until_ms) || !is_time(r->timeout_at_ms)))
        return "a lease or a timeout that cannot be";
    return r->ttl_runs && !r->ttl_ms ? "a TTL that runs and is none" : NULL;
}

static const char *objects_to_job(struct mq_slot *slot, const struct mq_record *r)
{
    const struct mq_queue *queue = is_of_slot(r->queue, slot->number) ? find(slot, r->queue) : NULL;
    const char *why;
    if (!queue)
        return "a job of no queue";
    if (!is_id(r->id) || r->id % MQ_SLOTS != slot->number || r->id / MQ_SLOTS > mq_slot_counter(slot))
        return "a job's id that was never given out";
    if (mq_slot_job(slot, r->id))
        return "a job twice";
    if (r->state <= MQ_JOB_NEW || r->state >= MQ_JOB_STATES || r->reason >= MQ_REASONS || r->progress > 100)
        return "a state, reason or progress that is none";
    if (r->state == MQ_JOB_DEAD && r->reason == MQ_REASON_NONE)
        return "a dead letter without a reason";
    if (r->key.n > KEY_MAX_N)
        return "a unique key that is too long";
    if (r->has_key && r->state != MQ_JOB_DEAD && r->state != MQ_JOB_DONE && mq_queue_key_find(queue, r->key))
        return "a unique key twice";
    if ((why = objects_to_parents(r)) || (why = objects_to_times(r)))
        return why;
    return is_history(r->history) ? NULL : "a history that is none";
}

static const char *objects_to_cron(struct mq_engine *engine, const struct mq_record *r)
{
    const struct mq_cron *cron = is_name(r->name) ? mq_cron_find(&engine->crons, r->name) : NULL;
    if (!is_name(r->name) || !is_time(r->at_ms) || !is_time(r->run_at_ms))
        return "a cron without a name or a time";
    if (r->type == MQ_REC_CRON_SET)
        return cron || !is_of_slot(r->queue, r->slot) || !are_ids(r->parents) || r->key.n > KEY_MAX_N ? "a cron that cannot be" : NULL;
    return cron ? NULL : "a run of no cron";
}

const char *mq_admit_objects(struct mq_engine *engine, const struct mq_record *r)
{
    if (r->slot >= MQ_SLOTS)
        return "a slot that is none";
    struct mq_slot *slot = mq_shard_slot(mq_engine_shard(engine, r->slot), r->slot);
    switch ((enum mq_record_type)r->type) {
    case MQ_REC_STATE_SLOT:
        return objects_to_slot(slot, r);
    case MQ_REC_STATE_QUEUE:
        return objects_to_queue(slot, r);
    case MQ_REC_STATE_JOB:
        return objects_to_job(slot, r);
    case MQ_REC_STATE_TOTALS:
        return NULL;
    case MQ_REC_CRON_SET: case MQ_REC_CRON_FIRED:
        return objects_to_cron(engine, r);
    default:
        return "a record that is in no snapshot";
    }
}
