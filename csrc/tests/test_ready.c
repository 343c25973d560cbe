/* The ready jobs of a queue against a naive array: the same next job, whatever comes, goes or comes back. */
#include "queue/ready.h"
#include "tests/test.h"

#include <stdlib.h>

struct model {
    struct mq_ready ready;
    struct mq_job **jobs; /* in no order */
    uint32_t n;
    uint64_t counter;
};

static bool before(const struct mq_job *a, const struct mq_job *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->run_at_ms != b->run_at_ms ? a->run_at_ms < b->run_at_ms : a->id < b->id;
}

static struct mq_job *first(const struct model *model)
{
    struct mq_job *found = NULL;
    for (uint32_t i = 0; i < model->n; i++)
        if (!found || before(model->jobs[i], found))
            found = model->jobs[i];
    return found;
}

static void push(struct model *model, int32_t priority, int64_t run_at_ms, uint64_t counter)
{
    struct mq_job *job = calloc(1, sizeof *job);
    *job = (struct mq_job){.id = counter << 10 | 5, .priority = priority, .run_at_ms = run_at_ms};
    CHECK_INT(mq_ready_reserve(&model->ready, 1), 0);
    mq_ready_push(&model->ready, job);
    model->jobs[model->n++] = job;
}

/* Returns its counter. */
static uint64_t take(struct model *model, struct mq_job *job)
{
    uint64_t counter = job->id >> 10;
    uint32_t i = 0;
    while (model->jobs[i] != job)
        i++;
    mq_ready_remove(&model->ready, job);
    model->jobs[i] = model->jobs[--model->n];
    free(job);
    return counter;
}

static void check_model(const struct model *model)
{
    mq_ready_check(&model->ready);
    CHECK_INT(model->ready.n, model->n);
    CHECK(mq_ready_first(&model->ready) == first(model));
}

static void random_run(uint64_t seed, unsigned steps, unsigned priorities)
{
    struct random random = {seed};
    struct model model = {.jobs = calloc(steps + 1, sizeof *model.jobs)};
    int64_t now = 1000;
    test_note("seed %llu, %u priorities", (unsigned long long)seed, priorities);
    mq_ready_init(&model.ready);
    for (unsigned i = 0; i < steps; i++) {
        int32_t priority = (int32_t)random_below(&random, priorities) * (random_chance(&random, 50) ? 1 : -1000000);
        now += (int64_t)random_below(&random, 3);
        switch (random_below(&random, 6)) {
        case 0: case 1:
            push(&model, priority, now, ++model.counter);
            break;
        case 2: /* in the middle: a delay that ended, a job that came back */
            push(&model, priority, now - (int64_t)random_below(&random, 500), ++model.counter);
            break;
        case 3:
            if (model.n)
                take(&model, model.jobs[random_below(&random, model.n)]);
            break;
        default:
            if (model.n) {
                struct mq_job *job = first(&model);
                int32_t its = job->priority;
                int64_t run_at = job->run_at_ms;
                uint64_t counter = take(&model, job);
                if (random_chance(&random, 30)) /* lost: back to where it was */
                    push(&model, its, run_at, counter);
            }
        }
        if (random_chance(&random, 5))
            mq_ready_shrink(&model.ready, 0);
        check_model(&model);
    }
    while (model.n) {
        check_model(&model);
        take(&model, first(&model));
    }
    free(model.jobs);
    mq_ready_close(&model.ready);
}

TEST(ready_jobs_equal_a_naive_array)
{
    for (uint64_t seed = 1; seed <= test_setting("MQ_TEST_SEEDS", 200) / 4 + 1; seed++) {
        random_run(seed, 300, 1);
        random_run(seed, 300, 5);
        random_run(seed, 400, 60); /* more than there are lanes */
    }
}

TEST(ready_jobs_of_extreme_priorities_and_times_are_in_order)
{
    static const int32_t priorities[] = {INT32_MAX, INT32_MAX - 1, 1, 0, -1, INT32_MIN + 1, INT32_MIN};
    static const int64_t times[] = {0, 1, 65535, 65536, ((int64_t)1 << 47) + 1};
    struct model model = {.jobs = calloc(64, sizeof *model.jobs)};
    struct random random = {4};
    mq_ready_init(&model.ready);
    for (int i = 0; i < 35; i++)
        push(&model, priorities[i / 5], times[i % 5], 1 + random_below(&random, 1000000));
    while (model.n) {
        check_model(&model);
        take(&model, first(&model));
    }
    free(model.jobs);
    mq_ready_close(&model.ready);
}
