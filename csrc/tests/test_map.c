/* The map against a naive array, above all while it grows: then entries stand in two blocks. */
#include "base/map.h"
#include "tests/test.h"

#include <stdlib.h>

struct item {
    uint64_t hash;
    unsigned key;
    uint32_t place;
};

struct model {
    struct mq_map map;
    struct item **items;
    uint32_t n;
    unsigned last_key;
};

static void model_init(struct model *model, unsigned most)
{
    *model = (struct model){.items = calloc(most, sizeof *model->items)};
    mq_map_init(&model->map);
}

static void model_close(struct model *model)
{
    for (uint32_t i = 0; i < model->n; i++)
        free(model->items[i]);
    free(model->items);
    mq_map_close(&model->map);
}

static bool matches(const void *item, const void *key)
{
    return ((const struct item *)item)->key == *(const unsigned *)key;
}

static void add(struct model *model, uint64_t hash)
{
    struct item *item = malloc(sizeof *item);
    *item = (struct item){.hash = hash, .key = ++model->last_key, .place = model->n};
    CHECK_INT(mq_map_reserve(&model->map), 0);
    mq_map_insert(&model->map, hash, item);
    model->items[model->n++] = item;
}

static void take(struct model *model, struct item *item)
{
    CHECK(mq_map_remove(&model->map, item->hash, item));
    CHECK(!mq_map_find(&model->map, item->hash, matches, &item->key));
    model->items[item->place] = model->items[--model->n];
    model->items[item->place]->place = item->place;
    free(item);
}

static void check_walk(const struct model *model)
{
    unsigned char *seen = calloc(model->n + 1, 1);
    uint32_t n = 0;
    const struct item *item;
    for (size_t at = 0; (item = mq_map_next(&model->map, &at)); n++) {
        CHECK(item->place < model->n && model->items[item->place] == item && !seen[item->place]);
        seen[item->place] = 1;
    }
    CHECK_INT(n, model->n);
    free(seen);
}

static void check_model(const struct model *model)
{
    CHECK_INT(mq_map_size(&model->map), model->n);
    for (uint32_t i = 0; i < model->n; i++) {
        const struct item *item = model->items[i];
        CHECK(mq_map_find(&model->map, item->hash, matches, &item->key) == item);
        CHECK(mq_map_find(&model->map, item->hash, NULL, item) == item);
    }
    unsigned absent = model->last_key + 1;
    CHECK(!mq_map_find(&model->map, random_next(&(struct random){absent}), matches, &absent));
    check_walk(model);
}

/* `hashes` different hashes: with few of them, equal hashes and long runs are the rule. */
static void random_run(uint64_t seed, unsigned steps, uint64_t hashes, unsigned percent_adds)
{
    struct random random = {seed};
    struct model model;
    model_init(&model, steps);
    test_note("seed %llu, %llu hashes", (unsigned long long)seed, (unsigned long long)hashes);
    for (unsigned i = 0; i < steps; i++) {
        if (model.n == 0 || random_chance(&random, percent_adds))
            add(&model, random_below(&random, hashes) * 0x9E3779B97F4A7C15u);
        else
            take(&model, model.items[random_below(&random, model.n)]);
        if (i % 16 == 0)
            check_model(&model);
    }
    check_model(&model);
    model_close(&model);
}

TEST(map_equals_a_naive_array_under_random_operations)
{
    for (uint64_t seed = 1; seed <= test_setting("MQ_TEST_SEEDS", 200) / 5 + 1; seed++) {
        random_run(seed, 500, UINT64_MAX, 65);
        random_run(seed, 300, 1 + seed % 40, 60);
        random_run(seed, 400, UINT64_MAX, 50);
    }
}

TEST(map_finds_everything_at_every_moment_of_growing)
{
    struct model model;
    bool seen_two_blocks = false;
    model_init(&model, 3000);
    for (unsigned i = 0; i < 1500; i++) {
        add(&model, i * 0x9E3779B97F4A7C15u);
        seen_two_blocks |= model.map.old.n > 0;
        if (model.map.old.n || i % 100 == 0)
            check_model(&model);
    }
    CHECK(seen_two_blocks);
    model_close(&model);
}

/* Grows until the old block still holds entries. */
static void grow_until_two_blocks(struct model *model)
{
    do
        add(model, model->last_key * 0x9E3779B97F4A7C15u);
    while (!model->map.old.n || model->n < 200);
}

static bool in_old(const struct model *model, const struct item *item)
{
    for (size_t i = 0; i < model->map.old.cap; i++)
        if (model->map.old.entries[i].item == item)
            return true;
    return false;
}

TEST(map_removes_from_both_blocks_while_growing)
{
    struct model model;
    model_init(&model, 3000);
    grow_until_two_blocks(&model);
    for (unsigned round = 0; model.n; round++) {
        struct item *victim = model.items[0];
        for (uint32_t i = 0; i < model.n; i++) /* one of the old block as long as there is one */
            if (round % 2 == 0 && in_old(&model, model.items[i]))
                victim = model.items[i];
        take(&model, victim);
        check_model(&model);
    }
    model_close(&model);
}

/* The entry of the old block that would be moved last. */
static struct item *last_to_move(const struct model *model)
{
    const struct mq_map_block *old = &model->map.old;
    for (size_t i = old->cap; i--;) {
        struct item *item = old->entries[(model->map.next + i) & (old->cap - 1)].item;
        if (item)
            return item;
    }
    return NULL;
}

/* The remove itself may empty the old block; its memory must not be forgotten when the map grows again. */
TEST(map_frees_the_old_block_when_its_last_entry_is_removed)
{
    for (uint64_t seed = 1; seed < 500; seed++) {
        struct random random = {seed};
        struct model model;
        model_init(&model, 3000);
        while (model.n < 385) /* the block of 512 has just become too small */
            add(&model, random_next(&random));
        while (model.map.old.n)
            take(&model, random_chance(&random, 50) ? last_to_move(&model) : model.items[random_below(&random, model.n)]);
        while (model.n < 1200)
            add(&model, random_next(&random));
        check_model(&model);
        model_close(&model); /* the leak checker looks here */
    }
}

TEST(map_does_not_remove_what_is_not_there)
{
    struct model model;
    int stranger = 0;
    model_init(&model, 3000);
    CHECK(!mq_map_remove(&model.map, 1, &stranger));
    grow_until_two_blocks(&model);
    while (model.map.old.n) {
        CHECK(!mq_map_remove(&model.map, model.items[0]->hash, &stranger));
        check_model(&model);
    }
    model_close(&model);
}

TEST(map_tells_items_with_equal_hashes_apart)
{
    struct model model;
    model_init(&model, 100);
    for (int i = 0; i < 60; i++)
        add(&model, 42);
    check_model(&model);
    while (model.n) {
        take(&model, model.items[model.n / 2]);
        check_model(&model);
    }
    model_close(&model);
}

TEST(map_runs_that_wrap_around_the_end_survive_removals)
{
    for (unsigned gap = 0; gap < 12; gap++) {
        struct model model;
        model_init(&model, 100);
        for (int i = 0; i < 12; i++) /* the last places of a block of 16 or 32: runs wrap to its start */
            add(&model, 0x1Fu - (unsigned)(i % 3));
        take(&model, model.items[gap]);
        check_model(&model);
        while (model.n) {
            take(&model, model.items[0]);
            check_model(&model);
        }
        model_close(&model);
    }
}

TEST(map_insert_after_reserve_needs_no_memory)
{
    struct model model;
    model_init(&model, 2000);
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(mq_map_reserve(&model.map), 0);
        const struct mq_map_entry *block = model.map.now.entries;
        CHECK_INT(mq_map_reserve(&model.map), 0); /* again: nothing to do */
        CHECK(model.map.now.entries == block);
        add(&model, (uint64_t)i);
        CHECK(model.map.now.entries == block);
    }
    model_close(&model);
}
