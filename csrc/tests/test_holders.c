/* What a connection holds, and who waits for jobs, seen from the queues' side: holders and waiters without any socket. */
#include "base/hash.h"
#include "queue/decide.h"
#include "queue/engine.h"
#include "tests/engine.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <inttypes.h>
#include <stdio.h>

static struct mq_engine *e;
static struct mq_queue *queue;
static struct mq_shard *shard;
static struct mq_holder holder, waiters_holder;

static void setup(void)
{
    e = engine_new();
    run_ok(e, "{\"cmd\":\"PAUSE\",\"queue\":\"q\"}");
    run_ok(e, "{\"cmd\":\"RESUME\",\"queue\":\"q\"}"); /* now the queue is there, without a job */
    queue = engine_queue(e, "q");
    shard = mq_engine_shard(e, queue->hash);
    mq_holder_init(&holder);
    mq_holder_init(&waiters_holder);
}

static void done(void)
{
    mq_engine_lose_holder(e, &holder, mq_engine_now(e));
    mq_engine_lose_holder(e, &waiters_holder, mq_engine_now(e));
    mq_engine_check(e);
    mq_engine_free(e);
}

static uint64_t push_at(int64_t now_ms, uint64_t delay_ms, uint64_t timeout_ms)
{
    struct mq_push push = {.data = MQ_SLICE("1"), .delay_ms = delay_ms, .timeout_ms = timeout_ms,
                           .max_backoff_ms = MQ_DEFAULT_MAX_BACKOFF_MS};
    uint64_t id = 0;
    mq_shard_lock(shard, now_ms);
    CHECK_INT(mq_decide_push_locked(shard, queue, &push, now_ms, &id), MQ_DONE);
    mq_shard_serve_locked(shard, queue, now_ms);
    mq_shard_unlock(shard);
    return id;
}

static struct mq_job *lease_at(int64_t now_ms, uint64_t lease_ms)
{
    mq_shard_lock(shard, now_ms);
    struct mq_job *job = mq_decide_lease_locked(shard, queue, &holder, lease_ms, now_ms);
    mq_shard_unlock(shard);
    return job;
}

TEST(lost_holder_gives_its_jobs_back_in_their_old_order)
{
    setup();
    uint64_t ids[20];
    for (int i = 0; i < 20; i++)
        ids[i] = push_at(T0, 0, 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(lease_at(T0, 0)->id, ids[i]);
    CHECK(!lease_at(T0, 0));
    check_stats(e, 0, 20, 0, 0, 0);
    mq_engine_lose_holder(e, &holder, T0);
    mq_engine_check(e);
    check_stats(e, 20, 0, 0, 0, 0);
    for (int i = 0; i < 20; i++) {
        struct mq_job *job = lease_at(T0, 0);
        CHECK_INT(job->id, ids[i]);
        CHECK(job->losses == 1 && job->deliveries == 2 && job->attempts == 0);
    }
    done();
}

TEST(lost_holder_loses_jobs_of_all_its_shards)
{
    setup();
    for (int i = 0; i < 100; i++)
        run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q%d\",\"data\":1}", i);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "q%d", i);
        struct mq_queue *other = engine_queue(e, name);
        struct mq_shard *its = mq_engine_shard(e, other->hash);
        mq_shard_lock(its, T0);
        CHECK(mq_decide_lease_locked(its, other, &holder, 0, T0));
        mq_shard_unlock(its);
    }
    check_stats(e, 0, 100, 0, 0, 0);
    mq_engine_lose_holder(e, &holder, T0);
    check_stats(e, 100, 0, 0, 0, 0);
    mq_engine_lose_holder(e, &holder, T0); /* holds nothing any more */
    check_stats(e, 100, 0, 0, 0, 0);
    done();
}

TEST(job_held_by_lease_stays_when_its_connection_ends)
{
    setup();
    push_at(T0, 0, 0);
    CHECK(lease_at(T0, 1000));
    mq_engine_lose_holder(e, &holder, T0);
    check_stats(e, 0, 1, 0, 0, 0);
    later(e, 1000);
    check_stats(e, 1, 0, 0, 0, 0);
    done();
}

TEST(job_lost_by_connections_too_often_says_worker_lost)
{
    setup();
    push_at(T0, 0, 0);
    for (int i = 0; i < 10; i++) {
        CHECK(lease_at(T0, 0));
        mq_engine_lose_holder(e, &holder, T0);
    }
    check_stats(e, 0, 0, 0, 1, 0);
    CHECK(answer_is(run(e, "{\"cmd\":\"DLQ\",\"queue\":\"q\"}"), "jobs.0.reason", "\"worker_lost\""));
    done();
}

TEST(acked_job_is_lost_by_nobody)
{
    setup();
    uint64_t id = push_at(T0, 0, 0);
    push_at(T0, 0, 0);
    lease_at(T0, 0);
    lease_at(T0, 0);
    run_ok(e, "{\"cmd\":\"ACK\",\"id\":%" PRIu64 "}", id);
    mq_engine_lose_holder(e, &holder, T0);
    check_stats(e, 1, 0, 0, 0, 1);
    done();
}

TEST(timeout_of_a_job_held_by_a_connection_takes_it_away)
{
    setup();
    push_at(T0, 0, 100);
    lease_at(T0, 0);
    later(e, 100);
    check_stats(e, 1, 0, 0, 0, 0);
    mq_engine_lose_holder(e, &holder, mq_engine_now(e));
    CHECK_INT(lease_at(mq_engine_now(e), 0)->losses, 0);
    done();
}

/* A job counted as unsent was never given to anybody: deliveries go back, and it is no loss. */
TEST(unsent_delivery_does_not_count)
{
    setup();
    push_at(T0, 0, 0);
    for (int i = 0; i < 30; i++) {
        struct mq_job *job = lease_at(T0, 0);
        CHECK_INT(job->deliveries, 1);
        mq_shard_lock(shard, T0);
        CHECK_INT(mq_decide_release_locked(shard, job, 0, true, T0), MQ_DONE);
        mq_shard_unlock(shard);
    }
    check_stats(e, 1, 0, 0, 0, 0);
    done();
}

/* Threads read the clock before they lock, so the next one to come may be a little in the past. A worker that dies in such a
 * moment must not bring the daemon down with it. */
TEST(job_lost_at_an_earlier_time_than_it_was_pushed_goes_back)
{
    setup();
    push_at(T0 + 5, 0, 0);
    CHECK(lease_at(T0 + 3, 0));
    mq_engine_lose_holder(e, &holder, T0 + 3);
    mq_engine_check(e);
    later(e, 10);
    check_stats(e, 1, 0, 0, 0, 0);
    done();
}

TEST(every_decision_may_be_made_at_an_earlier_time_than_the_one_before)
{
    struct random random = {77};
    setup();
    for (int i = 0; i < 3000; i++) {
        int64_t now = T0 + i / 10 - (int64_t)random_below(&random, 30);
        struct mq_job *job;
        switch (random_below(&random, 5)) {
        case 0: case 1:
            push_at(now, random_below(&random, 2) * random_below(&random, 20), random_below(&random, 2) * 5);
            break;
        case 2: case 3:
            lease_at(now, random_below(&random, 2) * 10);
            break;
        default:
            mq_engine_lose_holder(e, &holder, now);
        }
        if (random_chance(&random, 30) && (job = lease_at(now, 50))) {
            mq_shard_lock(shard, now);
            if (job->state == MQ_JOB_ACTIVE) {
                if (random_chance(&random, 50))
                    mq_decide_fail_locked(shard, job, MQ_SLICE("\"e\""), false, now);
                else
                    mq_decide_ack_locked(shard, job, (mq_slice){NULL, 0}, now);
            }
            mq_shard_unlock(shard);
        }
        if (i % 50 == 0)
            mq_engine_check(e);
    }
    done();
}

/* --- waiters --- */

struct waiting {
    struct mq_waiter waiter;
    uint64_t id; /* what it was given; 0 = nothing yet */
    int delivered, sent;
    uint64_t order;
};

static uint64_t turn;

static void deliver(struct mq_waiter *waiter, struct mq_shard *its, int64_t now_ms)
{
    struct waiting *waiting = mq_list_entry(waiter, struct waiting, waiter);
    struct mq_job *job = mq_decide_lease_locked(its, waiter->queue, waiter->holder, waiter->pull.lease_ms, now_ms);
    CHECK(job);
    waiting->id = job->id;
    waiting->order = ++turn;
    waiting->delivered++;
}

static void sent(struct mq_waiter *waiter, uint64_t seq)
{
    struct waiting *waiting = mq_list_entry(waiter, struct waiting, waiter);
    (void)seq;
    CHECK_INT(waiting->delivered, 1);
    waiting->sent++;
}

static void wait_for(struct waiting *waiting)
{
    *waiting = (struct waiting){.waiter = {.queue = queue, .hash = queue->hash, .holder = &waiters_holder, .parked = true,
                                           .pull = {.count = 1}, .deliver = deliver, .send = sent}};
    mq_shard_lock(shard, mq_engine_now(e));
    mq_list_append(&queue->waiters, &waiting->waiter.node);
    mq_shard_unlock(shard);
}

TEST(waiters_are_served_in_order_of_arrival_each_once)
{
    struct waiting waiting[5];
    setup();
    for (int i = 0; i < 5; i++)
        wait_for(&waiting[i]);
    for (int i = 0; i < 3; i++) {
        uint64_t id = push_at(T0, 0, 0);
        CHECK_INT(waiting[i].id, id);
        CHECK(waiting[i].sent == 1 && !waiting[i].waiter.parked);
        CHECK(!waiting[i + 1].delivered);
    }
    run_ok(e, "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[{\"data\":1,\"priority\":1},{\"data\":2,\"priority\":2},{\"data\":3}]}");
    CHECK(waiting[3].sent == 1 && waiting[4].sent == 1);
    CHECK(waiting[3].id > waiting[4].id); /* the whole batch competes: priority 2 goes first */
    check_stats(e, 1, 5, 0, 0, 0);
    done();
}

TEST(waiters_are_served_by_everything_that_makes_a_job_ready)
{
    struct waiting waiting[8];
    setup();
    uint64_t id = push_at(T0, 10, 0);
    wait_for(&waiting[0]);
    later(e, 10);
    mq_engine_tick(e); /* the delay ends */
    CHECK_INT(waiting[0].id, id);
    wait_for(&waiting[1]);
    run_ok(e, "{\"cmd\":\"RELEASE\",\"id\":%" PRIu64 "}", id);
    CHECK_INT(waiting[1].id, id);
    wait_for(&waiting[2]);
    run_ok(e, "{\"cmd\":\"FAIL\",\"id\":%" PRIu64 "}", id);
    CHECK_INT(waiting[2].id, id);
    wait_for(&waiting[3]);
    run_ok(e, "{\"cmd\":\"CANCEL\",\"id\":%" PRIu64 "}", id);
    mq_list_remove(&waiting[3].waiter.node);
    id = push_at(mq_engine_now(e), 0, 0);
    lease_at(mq_engine_now(e), 0);
    wait_for(&waiting[3]);
    mq_engine_lose_holder(e, &holder, mq_engine_now(e));
    CHECK_INT(waiting[3].id, id);
    run_ok(e, "{\"cmd\":\"FAIL\",\"id\":%" PRIu64 ",\"unrecoverable\":true}", id);
    wait_for(&waiting[4]);
    run_ok(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\",\"id\":%" PRIu64 "}", id);
    CHECK_INT(waiting[4].id, id);
    run_ok(e, "{\"cmd\":\"FAIL\",\"id\":%" PRIu64 ",\"unrecoverable\":true}", id);
    wait_for(&waiting[5]);
    run_ok(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\"}");
    CHECK_INT(waiting[5].id, id);
    run_ok(e, "{\"cmd\":\"PAUSE\",\"queue\":\"q\"}");
    wait_for(&waiting[6]);
    run_ok(e, "{\"cmd\":\"RELEASE\",\"id\":%" PRIu64 "}", id);
    CHECK(!waiting[6].delivered);
    run_ok(e, "{\"cmd\":\"RESUME\",\"queue\":\"q\"}");
    CHECK_INT(waiting[6].id, id);
    done();
}

TEST(timeout_and_lease_end_serve_waiters)
{
    struct waiting waiting[2];
    setup();
    uint64_t id = push_at(T0, 0, 100);
    lease_at(T0, 50);
    wait_for(&waiting[0]);
    waiting[0].waiter.pull.lease_ms = 500;
    later(e, 50);
    mq_engine_tick(e);
    CHECK_INT(waiting[0].id, id);
    wait_for(&waiting[1]);
    later(e, 100);
    mq_engine_tick(e);
    CHECK_INT(waiting[1].id, id);
    done();
}

TEST(someone_who_sleeps_is_told_when_a_nearer_time_comes)
{
    setup();
    CHECK(atomic_load(&shard->due_ms[MQ_DUE_READY]) == MQ_NEVER);
    push_at(T0, 500, 0);
    CHECK_INT(atomic_load(&shard->due_ms[MQ_DUE_READY]), T0 + 500);
    push_at(T0, 100, 0);
    CHECK_INT(atomic_load(&shard->due_ms[MQ_DUE_READY]), T0 + 100);
    push_at(T0, 0, 20);
    CHECK_INT(atomic_load(&shard->due_ms[MQ_DUE_READY]), T0 + 100);
    lease_at(T0, 0);
    CHECK_INT(atomic_load(&shard->due_ms[MQ_DUE_TIMEOUTS]), T0 + 20);
    done();
}

/* A retry from the dead-letter queue lets deliveries begin anew, not the TTL: the job was pulled once. */
TEST(unsent_delivery_of_a_retried_job_does_not_start_its_ttl_again)
{
    setup();
    uint64_t id = (uint64_t)answer_number(run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"ttl\":1000}"), "id");
    run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    run_ok(e, "{\"cmd\":\"FAIL\",\"id\":%" PRIu64 ",\"unrecoverable\":true}", id);
    later(e, 5000);
    run_ok(e, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\"}");
    run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    struct mq_shard *its = mq_engine_shard(e, id);
    int64_t now = mq_shard_lock(its, mq_engine_now(e));
    CHECK_INT(mq_decide_release_locked(its, mq_slot_job(mq_shard_slot(its, id), id), 0, true, now), MQ_DONE);
    mq_shard_unlock(its);
    mq_engine_tick(e);
    CHECK_TEXT(answer_text(run(e, "{\"cmd\":\"GETJOB\",\"id\":%" PRIu64 "}", id), "state"), "waiting");
    done();
}
