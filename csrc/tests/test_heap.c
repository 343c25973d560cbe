/* The heap against a naive array: the same order, whatever is pushed, removed or moved, and every index right. */
#include "base/heap.h"
#include "tests/test.h"

#include <stdlib.h>

struct item {
    uint64_t high, low;
    uint32_t index;
    uint32_t place; /* in the model */
};

struct model {
    struct mq_heap heap;
    struct item **items; /* in no order: the naive way looks at all */
    uint32_t n, cap;
    uint64_t last_low; /* makes keys unique */
};

static void model_init(struct model *model, uint32_t cap)
{
    *model = (struct model){.items = calloc(cap, sizeof *model->items), .cap = cap};
    mq_heap_init(&model->heap, offsetof(struct item, index));
}

static void model_close(struct model *model)
{
    for (uint32_t i = 0; i < model->n; i++)
        free(model->items[i]);
    free(model->items);
    mq_heap_close(&model->heap);
}

static bool before(const struct item *a, const struct item *b)
{
    return a->high < b->high || (a->high == b->high && a->low < b->low);
}

static struct item *least(const struct model *model)
{
    struct item *found = NULL;
    for (uint32_t i = 0; i < model->n; i++)
        if (!found || before(model->items[i], found))
            found = model->items[i];
    return found;
}

static void push(struct model *model, uint64_t high)
{
    struct item *item = malloc(sizeof *item);
    *item = (struct item){.high = high, .low = ++model->last_low, .place = model->n};
    CHECK_INT(mq_heap_reserve(&model->heap, model->heap.n + 1), 0);
    mq_heap_push(&model->heap, high, item->low, item);
    model->items[model->n++] = item;
}

static void forget(struct model *model, struct item *item)
{
    CHECK_INT(item->index, MQ_HEAP_NONE);
    model->items[item->place] = model->items[--model->n];
    model->items[item->place]->place = item->place;
    free(item);
}

static void take(struct model *model, struct item *item)
{
    mq_heap_remove(&model->heap, item->index);
    forget(model, item);
}

static void check_model(const struct model *model)
{
    const struct mq_heap *heap = &model->heap;
    CHECK_INT(heap->n, model->n);
    for (uint32_t i = 0; i < model->n; i++) {
        const struct item *item = model->items[i];
        CHECK(item->index < heap->n && heap->entries[item->index].item == item);
        CHECK(heap->entries[item->index].high == item->high && heap->entries[item->index].low == item->low);
    }
    for (uint32_t i = 1; i < heap->n; i++) { /* four children each */
        const struct item *parent = heap->entries[(i - 1) / 4].item;
        CHECK(before(parent, heap->entries[i].item));
    }
    if (model->n)
        CHECK(mq_heap_top(heap)->item == least(model));
    else
        CHECK(!mq_heap_top(heap));
}

static void random_run(uint64_t seed, unsigned steps)
{
    struct random random = {seed};
    struct model model;
    uint64_t range = 1 + random_below(&random, 30); /* few different times: ties are the rule */
    model_init(&model, steps);
    test_note("seed %llu", (unsigned long long)seed);
    for (unsigned i = 0; i < steps; i++) {
        struct item *any = model.n ? model.items[random_below(&random, model.n)] : NULL;
        unsigned what = (unsigned)random_below(&random, 10);
        if (what < 5 || !any) {
            push(&model, random_below(&random, range) << 32);
        } else if (what < 7) {
            take(&model, least(&model));
        } else if (what < 8) {
            take(&model, any);
        } else {
            any->high = random_below(&random, range) << 32;
            mq_heap_update(&model.heap, any->index, any->high, any->low);
        }
        if (random_chance(&random, 10))
            mq_heap_shrink(&model.heap, random_below(&random, 2) ? 0 : model.heap.n);
        if (i % 7 == 0)
            check_model(&model);
    }
    check_model(&model);
    model_close(&model);
}

TEST(heap_equals_a_naive_array_under_random_operations)
{
    for (uint64_t seed = 1; seed <= test_setting("MQ_TEST_SEEDS", 200) / 4 + 1; seed++)
        random_run(seed, 400);
}

TEST(heap_gives_all_entries_in_key_order)
{
    struct random random = {7};
    struct model model;
    model_init(&model, 5000);
    for (int i = 0; i < 5000; i++)
        push(&model, random_below(&random, 100));
    uint64_t high = 0, low = 0;
    while (model.n) {
        struct item *top = mq_heap_top(&model.heap)->item;
        CHECK(top->high > high || (top->high == high && top->low > low));
        high = top->high, low = top->low;
        take(&model, top);
    }
    model_close(&model);
}

TEST(heap_compares_keys_as_unsigned_and_high_first)
{
    struct item items[] = {{.high = UINT64_MAX, .low = 0}, {.high = 1, .low = UINT64_MAX}, {.high = 1, .low = 0}};
    struct mq_heap heap;
    mq_heap_init(&heap, offsetof(struct item, index));
    CHECK_INT(mq_heap_reserve(&heap, 3), 0);
    for (int i = 0; i < 3; i++)
        mq_heap_push(&heap, items[i].high, items[i].low, &items[i]);
    for (int i = 3; i--;) {
        CHECK(mq_heap_top(&heap)->item == &items[i]);
        mq_heap_remove(&heap, 0);
    }
    mq_heap_close(&heap);
}

TEST(heap_order_is_total_whatever_the_order_of_pushes)
{
    enum { N = 64 };
    struct random random = {3};
    for (int round = 0; round < 50; round++) {
        struct item items[N];
        unsigned order[N];
        struct mq_heap heap;
        mq_heap_init(&heap, offsetof(struct item, index));
        CHECK_INT(mq_heap_reserve(&heap, N), 0);
        for (unsigned i = 0; i < N; i++) {
            unsigned j = (unsigned)random_below(&random, i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        for (unsigned i = 0; i < N; i++)
            mq_heap_push(&heap, order[i] / 8, order[i], &items[order[i]]);
        for (unsigned i = 0; i < N; i++) {
            CHECK(mq_heap_top(&heap)->item == &items[i]);
            mq_heap_remove(&heap, 0);
        }
        mq_heap_close(&heap);
    }
}

TEST(heap_shrinks_to_a_fraction_and_never_below_what_was_promised)
{
    struct model model;
    model_init(&model, 10000);
    for (uint64_t i = 0; i < 10000; i++)
        push(&model, i);
    while (model.n > 10) {
        take(&model, mq_heap_top(&model.heap)->item);
        mq_heap_shrink(&model.heap, model.n + 5);
        CHECK(model.heap.cap >= model.n + 5);
    }
    CHECK(model.heap.cap <= 128);
    check_model(&model);
    model_close(&model);
}

TEST(heap_refuses_more_entries_than_an_index_can_name)
{
    struct mq_heap heap;
    mq_heap_init(&heap, 0);
    CHECK(mq_heap_reserve(&heap, MQ_HEAP_NONE) < 0);
    CHECK_INT(heap.cap, 0);
    mq_heap_close(&heap);
}
