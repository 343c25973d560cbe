/* The slab as the release build has it: under AddressSanitizer the library's own copy hands everything to the allocator, so
 * this file compiles one that does not. */
#undef __SANITIZE_ADDRESS__
#define mq_slab_init slab_init
#define mq_slab_close slab_close
#define mq_slab_get slab_get
#define mq_slab_put slab_put
#define mq_slab_wants slab_wants
#define mq_slab_give slab_give
#define mq_region_make region_make
#include "base/slab.c"

#include "tests/test.h"

#include <stdlib.h>

#define MOST 4000u

struct object {
    unsigned char *p;
    size_t n;
    unsigned char fill;
};

static void check_fill(const struct object *object)
{
    for (size_t i = 0; i < object->n; i++)
        CHECK_INT(object->p[i], object->fill);
}

static void get(struct mq_slab *slab, struct object *object, size_t n, unsigned char fill)
{
    *object = (struct object){.p = slab_get(slab, n), .n = n, .fill = fill};
    CHECK(object->p && (uintptr_t)object->p % 16 == 0);
    memset(object->p, fill, n);
}

static void put(struct mq_slab *slab, struct object *object)
{
    check_fill(object); /* nobody else wrote into it */
    slab_put(slab, object->p, object->n);
}

static void random_run(uint64_t seed, unsigned steps, size_t most_bytes)
{
    static struct object objects[MOST];
    struct random random = {seed};
    struct mq_slab slab;
    unsigned n = 0;
    slab_init(&slab);
    test_note("seed %llu", (unsigned long long)seed);
    for (unsigned i = 0; i < steps; i++) {
        bool grow = random_chance(&random, i / 2000 % 2 ? 30 : 70); /* breathes */
        if (n == 0 || (grow && n < MOST)) {
            get(&slab, &objects[n++], 8 + random_below(&random, most_bytes), (unsigned char)i);
        } else {
            unsigned at = (unsigned)random_below(&random, n);
            put(&slab, &objects[at]);
            objects[at] = objects[--n];
        }
    }
    while (n)
        put(&slab, &objects[--n]);
    slab_close(&slab);
}

TEST(slab_objects_never_overlap)
{
    for (uint64_t seed = 1; seed <= test_setting("MQ_TEST_SEEDS", 200) / 20 + 1; seed++) {
        random_run(seed, 10000, 200);
        random_run(seed, 10000, 1500); /* larger ones go to the allocator */
    }
}

TEST(slab_serves_every_size_class_to_its_last_byte)
{
    struct mq_slab slab;
    slab_init(&slab);
    for (size_t n = 8; n <= MQ_SLAB_MAX + 64; n++) {
        struct object objects[3];
        for (int i = 0; i < 3; i++)
            get(&slab, &objects[i], n, (unsigned char)(n + (unsigned)i));
        for (int i = 0; i < 3; i++)
            put(&slab, &objects[i]);
    }
    slab_close(&slab);
}

TEST(slab_uses_memory_of_freed_objects_again)
{
    struct mq_slab slab;
    static struct object objects[MOST];
    slab_init(&slab);
    size_t regions = 0;
    for (int round = 0; round < 20; round++) {
        for (unsigned i = 0; i < MOST; i++)
            get(&slab, &objects[i], 100 + 16 * ((unsigned)round % 8), (unsigned char)i);
        for (unsigned i = MOST; i--;)
            put(&slab, &objects[i]);
        size_t now = 0;
        for (struct mq_list *node = slab.regions.next; node != &slab.regions; node = node->next)
            now++;
        if (round > 7)
            CHECK_INT(now, regions);
        regions = now;
    }
    slab_close(&slab);
}

/* Allocates until the slab begins another region. */
static void fill_region(struct mq_slab *slab)
{
    for (const char *end = slab->region_end; slab->region_end == end;)
        CHECK(slab_get(slab, MQ_SLAB_MAX));
}

TEST(slab_that_grows_fast_wants_a_region_made_ready_and_takes_it)
{
    struct mq_slab slab;
    bool huge;
    slab_init(&slab);
    fill_region(&slab);
    CHECK(!slab_wants(&slab, &huge)); /* many a slab has one region and needs no more */
    slab.grown_ms = 0;
    fill_region(&slab);
    CHECK(!slab_wants(&slab, &huge)); /* it took its time */
    slab.grown_ms = INT64_MAX / 2;
    fill_region(&slab);
    CHECK(slab_wants(&slab, &huge));
    for (int i = 0; i < 2; i++) { /* two threads made one */
        slab_give(&slab, region_make(i == 0));
        CHECK(!slab_wants(&slab, &huge));
    }
    const struct mq_region *ready = slab.next;
    CHECK(ready && ready->populated);
    slab.grown_ms = INT64_MAX / 2;
    fill_region(&slab);
    CHECK(slab.region_end == ready->end && slab.region_populated && !slab.next);
    CHECK(slab_wants(&slab, &huge));
    slab_give(&slab, NULL); /* no memory: it helps itself */
    slab.grown_ms = 0;
    fill_region(&slab);
    CHECK(!slab.region_populated);
    slab_give(&slab, region_make(false)); /* given, and never needed */
    slab_close(&slab);
}

TEST(slab_asks_for_huge_pages_seldom_while_they_are_dear)
{
    struct mq_slab slab;
    bool huge;
    unsigned pauses[6] = {0}, wanted[] = {4, 16, 64, 256, 256, 0};
    slab_init(&slab);
    fill_region(&slab);
    for (unsigned dear = 0; dear < 6; dear++) {
        slab_give(&slab, region_make(true));
        slab.next->dear = dear < 5;
        fill_region(&slab);
        for (slab_wants(&slab, &huge); !huge; slab_wants(&slab, &huge), pauses[dear]++) {
            slab_give(&slab, region_make(false));
            fill_region(&slab);
        }
        CHECK_INT(pauses[dear], wanted[dear]);
    }
    CHECK(slab.small_next == 0); /* the last one was not: the next dear one is the first again */
    slab_close(&slab);
}

TEST(slab_tells_the_bytes_an_object_takes)
{
    CHECK_INT(mq_slab_bytes(1), 16);
    CHECK_INT(mq_slab_bytes(16), 16);
    CHECK_INT(mq_slab_bytes(17), 32);
    CHECK_INT(mq_slab_bytes(MQ_SLAB_MAX), MQ_SLAB_MAX);
    CHECK(mq_slab_bytes(MQ_SLAB_MAX + 1) >= MQ_SLAB_MAX + 1);
}
