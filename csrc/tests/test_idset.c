/* The set of ids against a bitmap. */
#include "base/idset.h"
#include "tests/test.h"

#include <stdlib.h>

#define NUMBERS 200000u

static void add(struct mq_idset *set, uint64_t n)
{
    CHECK(mq_idset_reserve(set, n) == 0);
    mq_idset_add(set, n);
}

static char seen[NUMBERS];
static uint64_t base_number;

static void see_run(void *context, uint64_t first, uint64_t n)
{
    CHECK(context == seen && n);
    for (; n--; first++)
        seen[first - base_number]++;
}

TEST(what_was_added_is_in_the_set_and_nothing_else)
{
    for (uint64_t base = 0; base < 3; base++) {
        uint64_t first = (uint64_t[]){0, 1000000, ((uint64_t)1 << 43) - NUMBERS}[base];
        struct mq_idset set;
        struct random random = {test_setting("MQ_TEST_SEED", 1) + base};
        char *in = calloc(NUMBERS, 1);
        mq_idset_init(&set);
        for (unsigned i = 0; i < 60000; i++) {
            uint64_t n = random_below(&random, NUMBERS);
            unsigned run = random_chance(&random, 2) ? (unsigned)random_below(&random, 3000) : 1;
            for (; run-- && n < NUMBERS; n++) {
                add(&set, first + n);
                in[n] = 1;
            }
        }
        for (uint64_t n = 0; n < NUMBERS; n++)
            CHECK(mq_idset_has(&set, first + n) == in[n]);
        CHECK(!mq_idset_has(&set, first + NUMBERS + 5000000));
        base_number = first;
        memset(seen, 0, sizeof seen);
        mq_idset_runs(&set, see_run, seen);
        for (uint64_t n = 0; n < NUMBERS; n++)
            CHECK(seen[n] == in[n]);
        mq_idset_close(&set);
        free(in);
    }
}

TEST(a_long_run_costs_nearly_nothing)
{
    struct mq_idset set;
    mq_idset_init(&set);
    for (uint64_t n = 1; n <= 3000000; n++)
        add(&set, n);
    CHECK(set.bytes < 8192);
    CHECK(!mq_idset_has(&set, 0) && mq_idset_has(&set, 1) && mq_idset_has(&set, 3000000) && !mq_idset_has(&set, 3000001));
    mq_idset_close(&set);
}

TEST(scattered_numbers_cost_about_a_bit_for_each_place)
{
    struct mq_idset set;
    mq_idset_init(&set);
    for (uint64_t n = 0; n < 2000000; n += 2)
        add(&set, n);
    CHECK(set.bytes < 2000000 / 3);
    mq_idset_close(&set);
}
