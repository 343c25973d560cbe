/* The ring against a naive byte string: whatever is done to it, its bytes are one run and the right ones. */
#include "base/ring.h"
#include "tests/test.h"

#include <stdlib.h>

struct model {
    char *bytes;
    size_t n;
};

static void model_add(struct model *model, const char *bytes, size_t n)
{
    model->bytes = realloc(model->bytes, model->n + n + 1);
    memcpy(model->bytes + model->n, bytes, n);
    model->n += n;
}

static void model_drop_front(struct model *model, size_t n)
{
    if (n)
        memmove(model->bytes, model->bytes + n, model->n - n);
    model->n -= n;
}

static void check_same(const struct mq_ring *ring, const struct model *model)
{
    CHECK_INT(mq_ring_used(ring), model->n);
    if (model->n) {
        mq_slice bytes = mq_ring_peek(ring);
        CHECK(bytes.n == model->n && memcmp(bytes.p, model->bytes, model->n) == 0);
    }
}

static void fill(struct random *random, char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)random_next(random);
}

/* Reserves `room`, checks that all of it and the slack may be touched, commits some. */
static void write_some(struct mq_ring *ring, struct model *model, struct random *random, size_t most)
{
    size_t room = 1 + random_below(random, most), n = random_below(random, room + 1);
    char *p = mq_ring_reserve(ring, room);
    volatile char seen = 0;
    CHECK(p);
    memset(p, 0x55, room);
    for (size_t i = 0; i < MQ_RING_SLACK; i++)
        seen = (char)(seen + p[room + i]);
    fill(random, p, n);
    mq_ring_commit(ring, n);
    model_add(model, p, n);
}

static void random_run(uint64_t seed, size_t most, unsigned steps)
{
    struct random random = {seed};
    struct mq_ring ring;
    struct model model = {0};
    mq_ring_init(&ring);
    test_note("seed %llu", (unsigned long long)seed);
    for (unsigned i = 0; i < steps; i++) {
        switch (random_below(&random, 5)) {
        case 0: case 1:
            write_some(&ring, &model, &random, most);
            break;
        case 2: {
            size_t n = random_below(&random, model.n + 1);
            mq_ring_consume(&ring, n);
            model_drop_front(&model, n);
            break;
        }
        case 3: {
            size_t n = random_below(&random, model.n + 1);
            mq_ring_truncate(&ring, n);
            model.n = n;
            break;
        }
        default:
            if (random_chance(&random, 20)) {
                mq_ring_consume(&ring, model.n);
                model.n = 0;
            }
        }
        check_same(&ring, &model);
    }
    mq_ring_close(&ring);
    free(model.bytes);
}

TEST(ring_equals_a_byte_string_under_small_operations)
{
    for (uint64_t seed = 1; seed <= test_setting("MQ_TEST_SEEDS", 200) / 10 + 1; seed++)
        random_run(seed, 300, 2000);
}

TEST(ring_equals_a_byte_string_under_operations_larger_than_its_block)
{
    for (uint64_t seed = 1; seed <= test_setting("MQ_TEST_SEEDS", 200) / 20 + 1; seed++)
        random_run(seed, 2 * MQ_RING_BYTES, 60);
}

TEST(ring_starts_over_whenever_it_runs_empty)
{
    struct mq_ring ring;
    mq_ring_init(&ring);
    for (int i = 0; i < 1000; i++) {
        char *p = mq_ring_reserve(&ring, 1000);
        memset(p, i, 1000);
        mq_ring_commit(&ring, 1000);
        CHECK(mq_ring_peek(&ring).p == ring.mem);
        mq_ring_consume(&ring, 400);
        mq_ring_consume(&ring, 600);
    }
    CHECK_INT(ring.cap, MQ_RING_BYTES);
    mq_ring_close(&ring);
}

/* Writes and reads in pieces while `held` bytes stay in; how many bytes were moved for it. */
static size_t moved_while_holding(struct mq_ring *ring, size_t held, unsigned pieces)
{
    size_t moved = 0;
    memset(mq_ring_reserve(ring, held), 1, held);
    mq_ring_commit(ring, held);
    for (unsigned i = 0; i < pieces; i++) { /* never empty: must slide or grow */
        const char *before = mq_ring_peek(ring).p;
        memset(mq_ring_reserve(ring, 97), 1, 97);
        moved += mq_ring_peek(ring).p != before ? mq_ring_used(ring) : 0;
        mq_ring_commit(ring, 97);
        mq_ring_consume(ring, 97);
    }
    return moved;
}

TEST(ring_that_never_holds_more_than_half_does_not_grow)
{
    struct mq_ring ring;
    mq_ring_init(&ring);
    moved_while_holding(&ring, MQ_RING_BYTES / 2 - 100, 100000);
    CHECK_INT(ring.cap, MQ_RING_BYTES);
    mq_ring_close(&ring);
}

TEST(ring_moves_each_byte_written_about_once_however_full_it_is)
{
    for (size_t held = 100; held < 4 * MQ_RING_BYTES; held += 23456) {
        struct mq_ring ring;
        mq_ring_init(&ring);
        size_t moved = moved_while_holding(&ring, held, 50000);
        CHECK(moved <= 97 * 50000 + 2 * held);
        CHECK(ring.cap <= 4 * (held + MQ_RING_BYTES));
        mq_ring_close(&ring);
    }
}

TEST(ring_closed_twice_is_empty)
{
    struct mq_ring ring;
    mq_ring_init(&ring);
    mq_ring_close(&ring);
    CHECK(mq_ring_reserve(&ring, 1));
    mq_ring_close(&ring);
    mq_ring_close(&ring);
    CHECK_INT(mq_ring_used(&ring), 0);
}

TEST(ring_refuses_an_impossible_size_and_keeps_its_bytes)
{
    struct mq_ring ring;
    mq_ring_init(&ring);
    memcpy(mq_ring_reserve(&ring, 3), "abc", 3);
    mq_ring_commit(&ring, 3);
    CHECK(!mq_ring_reserve(&ring, SIZE_MAX / 2));
    CHECK_BYTES(mq_ring_peek(&ring).p, mq_ring_peek(&ring).n, "abc", 3);
    mq_ring_close(&ring);
}
