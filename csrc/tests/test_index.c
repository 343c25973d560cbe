/* The index of jobs by id and state, against an array of states. */
#include "queue/index.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#define COUNTERS 1000u

struct world {
    struct mq_slab slab;
    struct mq_index index;
    struct mq_job *jobs[COUNTERS];
    uint64_t base;
};

static uint64_t counter_at(const struct world *world, unsigned i) { return world->base + (uint64_t)i * (i % 3 ? 1 : 7) + i; }

static void open_world(struct world *world, uint64_t base)
{
    memset(world, 0, sizeof *world);
    world->base = base;
    mq_slab_init(&world->slab);
    mq_index_init(&world->index, &world->slab);
}

static void close_world(struct world *world)
{
    for (unsigned i = 0; i < COUNTERS; i++)
        free(world->jobs[i]);
    mq_index_close(&world->index);
    mq_slab_close(&world->slab);
}

/* By brute force: the wanted job with the nearest counter at or beyond `from`. */
static struct mq_job *wanted(const struct world *world, unsigned state, uint64_t from, bool up)
{
    struct mq_job *best = NULL;
    for (unsigned i = 0; i < COUNTERS; i++) {
        struct mq_job *job = world->jobs[i];
        if (!job || (state != MQ_JOB_ANY && job->state != state))
            continue;
        uint64_t counter = job->id / MQ_SLOTS;
        if (up ? counter >= from && (!best || job->id < best->id) : counter <= from && (!best || job->id > best->id))
            best = job;
    }
    return best;
}

static void step(struct world *world, struct random *random)
{
    unsigned i = (unsigned)random_below(random, COUNTERS);
    struct mq_job *job = world->jobs[i];
    if (!job) {
        uint64_t counter = counter_at(world, i);
        for (unsigned j = 0; j < COUNTERS; j++)
            if (world->jobs[j] && world->jobs[j]->id / MQ_SLOTS == counter)
                return;
        job = world->jobs[i] = calloc(1, sizeof *job);
        job->id = counter * MQ_SLOTS + 5;
        CHECK(mq_index_reserve(&world->index, counter) == 0);
        mq_index_add(&world->index, job);
        job->state = (uint8_t)(1 + random_below(random, MQ_JOB_STATES - 1));
        mq_index_note(&world->index, job);
    } else if (random_below(random, 3) == 0) {
        mq_index_remove(&world->index, job);
        free(job);
        world->jobs[i] = NULL;
    } else {
        job->state = (uint8_t)(1 + random_below(random, MQ_JOB_STATES - 1));
        mq_index_note(&world->index, job);
    }
}

static void walk(uint64_t base, struct random *random)
{
    struct world world;
    open_world(&world, base);
    for (unsigned i = 0; i < 4000; i++) {
        step(&world, random);
        unsigned state = (unsigned)random_below(random, MQ_JOB_STATES);
        uint64_t from = base + random_below(random, COUNTERS * 3);
        CHECK(mq_index_up(&world.index, state, from) == wanted(&world, state, from, true));
        CHECK(mq_index_down(&world.index, state, from) == wanted(&world, state, from, false));
        if (i % 100 == 0)
            mq_index_check(&world.index);
    }
    for (unsigned i = 0; i < COUNTERS; i++)
        if (world.jobs[i]) {
            CHECK(mq_index_find(&world.index, world.jobs[i]->id / MQ_SLOTS) == world.jobs[i]);
            mq_index_remove(&world.index, world.jobs[i]);
            free(world.jobs[i]);
            world.jobs[i] = NULL;
        }
    CHECK(!world.index.root);
    CHECK(mq_index_bytes(&world.index) <= 2 * sizeof(struct mq_node));
    close_world(&world);
}

TEST(jobs_are_found_by_id_and_in_the_order_of_ids_for_each_state)
{
    struct random random = {test_setting("MQ_TEST_SEED", 1)};
    test_seed(random.state);
    walk(1, &random);
    walk(1000, &random);
    walk(((uint64_t)1 << 43) - 20000, &random); /* the last ids */
}
