/* Hash, list, pool and clock: small things that everything stands on. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/quote.h"
#include "base/sync.h"
#include "tests/test.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* --- hash: part of the durable format, so it is held to answers known from elsewhere --- */

TEST(hash_of_text_is_xxh64_with_seed_0)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } known[] = {
        {"", 0xef46db3751d8e999u},        {"a", 0xd24ec4f1a98c6e5bu},      {"abc", 0x44bc2cf5ad770999u},
        {"default", 0xcb14bd8a5c561c96u}, {"emails", 0x1bc76ca6c274bdfcu},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        CHECK_INT(mq_hash_bytes(known[i].text, strlen(known[i].text)), known[i].hash);
}

TEST(hash_of_every_length_is_xxh64)
{
    static const struct {
        size_t n;
        uint64_t hash;
    } known[] = {{3, 0xe5c7bb4533bc65ddu},  {4, 0xffced8604453cc1eu},  {7, 0x14cc643f630c72d2u},  {8, 0x884a173614b81b8du},
                 {31, 0xc346d2b59b4d8ee1u}, {32, 0xcbf59c5116ff32b4u}, {33, 0xc535d1acafb8eadu},  {63, 0xe26aa9e2a95f8e4fu},
                 {64, 0xf7c67301db6713f0u}, {100, 0x6ac1e58032166597u}};
    unsigned char bytes[257];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        CHECK_INT(mq_hash_bytes(bytes, known[i].n), known[i].hash);
    uint64_t all = 0;
    for (unsigned n = 0; n < sizeof bytes; n++) { /* the reference's answers, folded into one number */
        for (unsigned i = 0; i < n; i++)
            bytes[i] = (unsigned char)(i * 131 + n * 7);
        all = all * 0x100000001b3u ^ mq_hash_bytes(bytes, n);
    }
    CHECK_INT(all, 0xf962bdd47804d54u);
}

TEST(hash_does_not_depend_on_alignment)
{
    char bytes[128 + 8];
    uint64_t wanted = 0;
    for (size_t shift = 0; shift < 8; shift++) {
        for (size_t i = 0; i < 128; i++)
            bytes[shift + i] = (char)(i * 37);
        uint64_t hash = mq_hash_bytes(bytes + shift, 127);
        if (shift)
            CHECK_INT(hash, wanted);
        wanted = hash;
    }
}

TEST(hash_of_integers_never_collides_on_a_dense_range)
{
    enum { N = 1 << 16 };
    static unsigned char seen[N / 8];
    for (uint64_t i = 0; i < 256; i++) /* a bijection: no two of the full 64 bits are equal, so halves spread */
        for (uint64_t j = 0; j < i; j++)
            CHECK(mq_hash_u64(i) != mq_hash_u64(j));
    unsigned hit = 0;
    for (uint64_t i = 0; i < N; i++) {
        uint64_t h = mq_hash_u64(i) % N;
        hit += !(seen[h / 8] >> (h % 8) & 1);
        seen[h / 8] |= (unsigned char)(1 << (h % 8));
    }
    CHECK(hit > N * 6 / 10); /* random would be 63 % */
}

/* --- list --- */

struct item {
    int value;
    struct mq_list node;
};

static int value_of(struct mq_list *node) { return mq_list_entry(node, struct item, node)->value; }

TEST(list_keeps_order_of_append_and_prepend)
{
    struct mq_list head;
    struct item items[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
    mq_list_init(&head);
    CHECK(mq_list_empty(&head) && !mq_list_first(&head) && !mq_list_pop(&head));
    mq_list_append(&head, &items[2].node);
    mq_list_append(&head, &items[3].node);
    mq_list_prepend(&head, &items[1].node);
    mq_list_prepend(&head, &items[0].node);
    for (int i = 0; i < 4; i++)
        CHECK_INT(value_of(mq_list_pop(&head)), i);
    CHECK(mq_list_empty(&head));
}

TEST(list_node_removed_twice_does_no_harm)
{
    struct mq_list head;
    struct item a = {.value = 1}, b = {.value = 2};
    mq_list_init(&head);
    mq_list_append(&head, &a.node);
    mq_list_append(&head, &b.node);
    mq_list_remove(&a.node);
    mq_list_remove(&a.node);
    CHECK(mq_list_empty(&a.node));
    CHECK_INT(value_of(mq_list_first(&head)), 2);
    mq_list_remove(&b.node);
    CHECK(mq_list_empty(&head));
}

TEST(list_splice_moves_all_to_the_end)
{
    struct mq_list to, from;
    struct item items[5];
    mq_list_init(&to);
    mq_list_init(&from);
    mq_list_splice(&to, &from);
    CHECK(mq_list_empty(&to));
    for (int i = 0; i < 5; i++) {
        items[i].value = i;
        mq_list_append(i < 2 ? &to : &from, &items[i].node);
    }
    mq_list_splice(&to, &from);
    CHECK(mq_list_empty(&from));
    for (int i = 0; i < 5; i++)
        CHECK_INT(value_of(mq_list_pop(&to)), i);
}

/* --- pool --- */

TEST(pool_keeps_no_more_spares_than_told)
{
    struct mq_pool pool;
    void *objects[8];
    mq_pool_init(&pool, 48, 3);
    for (int i = 0; i < 8; i++) {
        CHECK((objects[i] = mq_pool_get(&pool)));
        memset(objects[i], i, 48);
    }
    for (int i = 0; i < 8; i++)
        mq_pool_put(&pool, objects[i]);
    CHECK_INT(pool.spare_n, 3);
    mq_pool_close(&pool);
    CHECK_INT(pool.spare_n, 0);
}

TEST(pool_gives_reserved_objects_from_its_spares)
{
    struct mq_pool pool;
    void *objects[6];
    mq_pool_init(&pool, 1, 2); /* smaller than a pointer: still links */
    CHECK_INT(mq_pool_reserve(&pool, 5), 0);
    CHECK_INT(pool.spare_n, 5);
    for (int i = 0; i < 6; i++)
        CHECK((objects[i] = mq_pool_get(&pool)));
    CHECK_INT(pool.spare_n, 0);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < i; j++)
            CHECK(objects[i] != objects[j]);
    for (int i = 0; i < 6; i++)
        mq_pool_put(&pool, objects[i]);
    mq_pool_close(&pool);
}

/* --- memory, quote, clock, event --- */

TEST(shared_memory_is_zeroed_and_starts_a_cache_line)
{
    for (size_t n = 1; n < 300; n += 37) {
        unsigned char *block = mq_alloc_lines(n);
        CHECK(block && (uintptr_t)block % 64 == 0);
        for (size_t i = 0; i < n; i++)
            CHECK_INT(block[i], 0);
        mq_free(block);
    }
}

TEST(quote_escapes_only_what_json_demands)
{
    static const char text[] = "a\"b\\c\n\0\x1f\x7f\xc3\xa9/";
    static const char wanted[] = "\"a\\\"b\\\\c\\u000a\\u0000\\u001f\x7f\xc3\xa9/\"";
    char out[MQ_QUOTED_MAX(sizeof text)];
    size_t n = mq_quote(mq_slice_of(text, sizeof text - 1), out);
    CHECK_BYTES(out, n, wanted, sizeof wanted - 1);
    CHECK_INT(mq_quote(mq_slice_of(text, 0), out), 2);
}

TEST(quote_never_needs_more_than_it_says)
{
    char text[256], out[MQ_QUOTED_MAX(256)];
    memset(text, 1, sizeof text);
    CHECK_INT(mq_quote(mq_slice_of(text, sizeof text), out), MQ_QUOTED_MAX(256));
}

TEST(manual_clock_stands_still_and_never_goes_back)
{
    struct mq_clock clock;
    mq_clock_init_manual(&clock, 1000);
    CHECK_INT(mq_clock_now_ms(&clock), 1000);
    mq_clock_set(&clock, 1500);
    mq_clock_set(&clock, 1200);
    CHECK_INT(mq_clock_now_ms(&clock), 1500);
}

TEST(real_clock_shows_wall_time_and_does_not_go_back)
{
    struct mq_clock clock;
    struct timespec wall;
    mq_clock_init_real(&clock);
    clock_gettime(CLOCK_REALTIME, &wall);
    int64_t last = mq_clock_now_ms(&clock), wall_ms = wall.tv_sec * 1000 + wall.tv_nsec / 1000000;
    CHECK(llabs(last - wall_ms) < 1000);
    for (int i = 0; i < 1000; i++) {
        int64_t now = mq_clock_now_ms(&clock);
        CHECK(now >= last);
        last = now;
    }
}

TEST(event_is_readable_from_signal_to_clear)
{
    int fd = mq_event_open();
    CHECK(fd >= 0);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    CHECK_INT(poll(&poll_fd, 1, 0), 0);
    mq_event_signal(fd);
    mq_event_signal(fd);
    CHECK_INT(poll(&poll_fd, 1, 0), 1);
    mq_event_clear(fd);
    CHECK_INT(poll(&poll_fd, 1, 0), 0);
    mq_event_clear(fd); /* nothing there: does not block */
    close(fd);
}
