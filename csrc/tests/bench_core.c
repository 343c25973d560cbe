/* ns per operation of the core's parts, without sockets: one JSON object on standard output. Each number is the best of some
 * rounds, since noise only ever adds. */
#include "base/heap.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/ring.h"
#include "command/dispatch.h"
#include "wire/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 5

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t state = 1;

static uint64_t next_random(void) { return mq_hash_u64(state += 0x9E3779B97F4A7C15u); }

static _Bool first = true;

static void report(const char *name, double ns)
{
    printf("%s\"%s\":%.2f", first ? "{" : ",", name, ns);
    first = false;
}

/* Best time of `body` over `operations` operations. */
#define MEASURE(name, operations, body)                                                                                 \
    do {                                                                                                                \
        uint64_t best_ = UINT64_MAX;                                                                                    \
        for (int round_ = 0; round_ < ROUNDS; round_++) {                                                               \
            uint64_t start_ = now_ns();                                                                                 \
            body;                                                                                                       \
            uint64_t took_ = now_ns() - start_;                                                                         \
            best_ = took_ < best_ ? took_ : best_;                                                                      \
        }                                                                                                               \
        report(name, (double)best_ / (double)(operations));                                                             \
    } while (0)

/* --- JSON --- */

static char *padded_line(const char *text)
{
    size_t n = strlen(text);
    char *line = calloc(1, n + 1 + MQ_RING_SLACK);
    memcpy(line, text, n);
    line[n] = '\n';
    return line;
}

static void bench_json(const char *name, const char *text)
{
    char *line = padded_line(text);
    size_t sum = 0;
    MEASURE(name, 200000, for (int i = 0; i < 200000; i++) {
        struct mq_json value;
        mq_json_scan(line, &value);
        sum += value.n;
        __asm__ volatile("" : : "r"(line) : "memory"); /* scan it again, each time */
    });
    if (sum != strlen(text) * 200000 * ROUNDS)
        abort();
    free(line);
}

static const char push_line[] = "{\"cmd\":\"PUSH\",\"queue\":\"emails\",\"data\":{\"to\":\"user@example.com\",\"template\":\"welcome\",\"id\":12345},\"priority\":3}";

static const char pull_line[] = "{\"cmd\":\"PULL\",\"queue\":\"emails\",\"timeout\":0}";

static void bench_json_all(void)
{
    char large[1200], *o = large;
    bench_json("json_push_line", push_line);
    o += sprintf(o, "{\"cmd\":\"PUSH\",\"queue\":\"emails\",\"data\":{\"body\":\"");
    while (o - large < 940)
        o += sprintf(o, "The quick brown fox jumps over the lazy dog. ");
    o += sprintf(o, "\",\"list\":[1,2,3,4,5,6,7,8],\"ok\":true,\"n\":-12.5e3,\"o\":{\"a\":null}}}");
    bench_json("json_1kib", large);
}

/* --- ring, heap, map --- */

static void bench_ring(void)
{
    struct mq_ring ring;
    char line[100];
    mq_ring_init(&ring);
    memset(line, 'x', sizeof line);
    MEASURE("ring_write_read_100_bytes", 1000000, for (int i = 0; i < 1000000; i++) {
        memcpy(mq_ring_reserve(&ring, sizeof line), line, sizeof line);
        mq_ring_commit(&ring, sizeof line);
        line[0] = mq_ring_peek(&ring).p[99];
        mq_ring_consume(&ring, sizeof line);
    });
    mq_ring_close(&ring);
}

struct item {
    uint64_t key;
    uint32_t index;
};

static bool same_item(const void *item, const void *key) { return ((const struct item *)item)->key == *(const uint64_t *)key; }

static void bench_heap(const char *name, uint32_t n)
{
    struct mq_heap heap;
    struct item *items = calloc(n + 1, sizeof *items);
    mq_heap_init(&heap, offsetof(struct item, index));
    if (mq_heap_reserve(&heap, n + 1) < 0)
        abort();
    for (uint32_t i = 0; i < n; i++)
        mq_heap_push(&heap, next_random() >> 1, i, &items[i]);
    struct item *spare = &items[n];
    MEASURE(name, 500000, for (int i = 0; i < 500000; i++) {
        mq_heap_push(&heap, next_random() >> 1, (uint64_t)i, spare);
        spare = mq_heap_top(&heap)->item;
        mq_heap_remove(&heap, 0);
    });
    mq_heap_close(&heap);
    free(items);
}

static void bench_map(void)
{
    enum { N = 1000000 };
    struct item *items = calloc(N, sizeof *items);
    struct mq_map map;
    uint64_t best[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX}, found = 0;
    for (uint32_t i = 0; i < N; i++)
        items[i].key = next_random();
    for (int round = 0; round < 3; round++) {
        uint64_t at[4] = {now_ns()};
        mq_map_init(&map);
        for (uint32_t i = 0; i < N; i++) {
            if (mq_map_reserve(&map) < 0)
                abort();
            mq_map_insert(&map, items[i].key, &items[i]);
        }
        at[1] = now_ns();
        for (uint32_t i = 0; i < N; i++) {
            const struct item *item = &items[(uint64_t)i * 7919 % N];
            found += mq_map_find(&map, item->key, same_item, &item->key) == item;
        }
        at[2] = now_ns();
        for (uint32_t i = 0; i < N; i++)
            found += mq_map_remove(&map, items[i].key, &items[i]);
        at[3] = now_ns();
        mq_map_close(&map);
        for (int i = 0; i < 3; i++)
            best[i] = at[i + 1] - at[i] < best[i] ? at[i + 1] - at[i] : best[i];
    }
    if (found != 6 * N)
        abort();
    report("map_insert_1000000", (double)best[0] / N);
    report("map_find_1000000", (double)best[1] / N);
    report("map_remove_1000000", (double)best[2] / N);
    free(items);
}

/* --- whole commands, as a connection runs them --- */

struct bench {
    struct mq_engine *engine;
    struct mq_session session;
    struct mq_request request;
    struct mq_ring out;
};

static void bench_open(struct bench *bench)
{
    struct mq_config config;
    mq_config_init(&config);
    config.result_max = 0; /* what is measured is the way of a job, not the keeping of its record */
    memset(bench, 0, sizeof *bench);
    char why[64];
    bench->engine = mq_engine_create(&config, why, sizeof why);
    bench->session.authenticated = true;
    mq_request_init(&bench->request, &((const struct mq_tables *)bench->engine->tables)->fields);
    mq_ring_init(&bench->out);
}

static void bench_close(struct bench *bench)
{
    mq_request_close(&bench->request);
    mq_ring_close(&bench->out);
    mq_engine_free(bench->engine);
}

/* The answer, valid until the next line. */
static mq_slice run_line(struct bench *bench, const char *line, size_t n)
{
    struct mq_reply reply;
    mq_ring_consume(&bench->out, mq_ring_used(&bench->out));
    mq_reply_init(&reply, &bench->out);
    struct mq_call call = {.engine = bench->engine, .session = &bench->session, .request = &bench->request, .reply = &reply,
                           .now_ms = 1700000000000};
    mq_command_run(&call, mq_slice_of(line, n));
    return mq_ring_peek(&bench->out);
}

static uint64_t number_behind(mq_slice answer, const char *key)
{
    const char *p = memmem(answer.p, answer.n, key, strlen(key));
    return p ? strtoull(p + strlen(key), NULL, 10) : 0;
}

static void bench_commands(uint32_t backlog)
{
    enum { N = 200000 };
    static uint64_t ids[N];
    struct bench bench;
    char *push = padded_line(push_line), *pull = padded_line(pull_line), ack[96] = "", name[48];
    uint64_t took[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX}, wrong = 0;
    bench_open(&bench);
    for (uint32_t i = 0; i < backlog; i++)
        run_line(&bench, push, sizeof push_line - 1);
    for (int round = 0; round < 3; round++) {
        uint64_t at[4] = {now_ns()};
        for (int i = 0; i < N; i++)
            wrong += run_line(&bench, push, sizeof push_line - 1).p[6] != 't';
        at[1] = now_ns();
        for (int i = 0; i < N; i++)
            ids[i] = number_behind(run_line(&bench, pull, sizeof pull_line - 1), "\"id\":");
        at[2] = now_ns();
        for (int i = 0; i < N; i++) {
            int n = sprintf(ack, "{\"cmd\":\"ACK\",\"id\":%llu}\n", (unsigned long long)ids[i]);
            wrong += run_line(&bench, ack, (size_t)n - 1).p[6] != 't';
        }
        at[3] = now_ns();
        for (int i = 0; i < 3; i++)
            took[i] = at[i + 1] - at[i] < took[i] ? at[i + 1] - at[i] : took[i];
    }
    if (wrong)
        abort();
    static const char *const names[] = {"push", "pull", "ack"};
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, backlog ? "%s_line_%u_waiting" : "%s_line", names[i], backlog);
        report(name, (double)took[i] / N);
    }
    free(push);
    free(pull);
    bench_close(&bench);
}

int main(void)
{
    bench_json_all();
    bench_ring();
    bench_heap("heap_push_pop_1000", 1000);
    bench_heap("heap_push_pop_1000000", 1000000);
    bench_map();
    bench_commands(0);
    bench_commands(1000000);
    puts("}");
    return 0;
}
