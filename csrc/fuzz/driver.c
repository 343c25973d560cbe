/* Runs a fuzz target without libFuzzer: the files given, then mutations of them for some seconds.
 *
 * An input that reaches new code is kept and mutated further; what code is reached is told by gcc's -fsanitize-coverage=trace-pc,
 * with which everything but this file is compiled. The seed is printed; MQ_FUZZ_SEED repeats a run. What the target dies of is
 * written to build/crash-TARGET first.
 *
 *   fuzz_json SECONDS FILE...
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_INPUT 4096u
#define MAX_POOL 4096u
#define SECONDS_AN_INPUT 20u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_cov_trace_pc(void);
void __sanitizer_set_death_callback(void (*callback)(void));

struct input {
    uint8_t *data;
    size_t n;
};

static struct input pool[MAX_POOL];
static size_t pool_n;
static struct input now; /* what the target has in its hands */
static const char *target;

/* --- coverage: pairs of places, one after the other --- */

#define PLACES (1u << 16)

static _Alignas(8) uint8_t reached[PLACES], reached_now[PLACES];
static uintptr_t last_place;
static size_t reached_n;

void __sanitizer_cov_trace_pc(void)
{
    uintptr_t place = (uintptr_t)__builtin_return_address(0);
    reached_now[(place ^ last_place) % PLACES] = 1;
    last_place = place >> 1;
}

/* True if something was reached for the first time. */
static bool found_new(void)
{
    bool new = false;
    for (size_t at = 0; at < PLACES; at += 8) { /* nearly all of them are untouched */
        uint64_t eight;
        memcpy(&eight, reached_now + at, 8);
        if (!eight)
            continue;
        for (size_t i = at; i < at + 8; i++)
            if (reached_now[i] && !reached[i]) {
                reached[i] = 1;
                reached_n++;
                new = true;
            }
        memset(reached_now + at, 0, 8);
    }
    return new;
}

/* --- running --- */

static void save_input(void)
{
    char path[256];
    snprintf(path, sizeof path, "build/crash-%s", target);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || write(fd, now.data, now.n) != (ssize_t)now.n)
        return;
    close(fd);
    dprintf(2, "%s: the input that did it is in %s\n", target, path);
}

/* The other sanitizer has no such callback, but calls this before it ends the process. */
void __ubsan_on_report(void);
void __ubsan_on_report(void) { save_input(); }

static void die(int number)
{
    if (number == SIGALRM)
        dprintf(2, "%s: an input takes too long\n", target);
    save_input();
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* The target gets a block of exactly the input's size, so that reading behind it is seen. */
static bool run(const uint8_t *data, size_t n)
{
    now.data = malloc(n ? n : 1);
    now.n = n;
    if (n)
        memcpy(now.data, data, n);
    alarm(SECONDS_AN_INPUT);
    last_place = 0;
    LLVMFuzzerTestOneInput(now.data, n);
    alarm(0);
    free(now.data);
    now.n = 0;
    return found_new();
}

static void keep(const uint8_t *data, size_t n)
{
    if (pool_n == MAX_POOL)
        return;
    pool[pool_n].data = malloc(n ? n : 1);
    memcpy(pool[pool_n].data, data, n);
    pool[pool_n++].n = n;
}

static void load(const char *path)
{
    uint8_t data[MAX_INPUT];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(2);
    }
    size_t n = fread(data, 1, sizeof data, file);
    fclose(file);
    run(data, n);
    keep(data, n);
}

/* --- mutations --- */

static uint64_t random_state;

static uint64_t below(uint64_t n)
{
    uint64_t z = random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (z ^ (z >> 31)) % n;
}

static const char *const words[] = {
    "{", "}", "[", "]", "\"", ":", ",", "\n", "\r\n", " ", "null", "true", "false", "-", "0", "1613", "2637", "9007199254740991",
    "18446744073709551615", "1e9", "\\u0000", "\\ud83d\\ude00", "\\n", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xed\xa0\x80", "\x80", "\"cmd\":",
    "\"queue\":\"q\"", "\"data\":1", "\"jobs\":[{\"data\":1}]", "\"ids\":[1613]", "\"id\":1613", "\"token\":\"0123456789abcdef\"",
    "\"reqId\":\"r\"", "\"unique_key\":\"k\"", "\"timeout\":0", "\"lease\":1", "\"delay\":5", "\"ttl\":5", "PUSH", "PUSHB", "PULL", "PULLB", "ACK",
    "ACKB", "FAIL", "RELEASE", "CANCEL", "RETRYDLQ", "+10\n",
};

static size_t insert(uint8_t *data, size_t n, size_t at, const uint8_t *piece, size_t piece_n)
{
    if (n + piece_n > MAX_INPUT)
        return n;
    memmove(data + at + piece_n, data + at, n - at);
    memcpy(data + at, piece, piece_n);
    return n + piece_n;
}

static size_t mutate_once(uint8_t *data, size_t n)
{
    size_t at = below(n + 1), left = n - at, piece = left ? below(left < 64 ? left : 64) + 1 : 0;
    uint8_t copy[64];
    const struct input *other = &pool[below(pool_n)];
    const char *word = words[below(sizeof words / sizeof *words)];
    switch (below(8)) {
    case 0:
        if (left)
            data[at] ^= (uint8_t)(1u << below(8));
        return n;
    case 1:
        if (left)
            data[at] = (uint8_t)below(256);
        return n;
    case 2: /* cut a piece out */
        memmove(data + at, data + at + piece, left - piece);
        return n - piece;
    case 3: /* a piece twice, or elsewhere */
        memcpy(copy, data + at, piece);
        return insert(data, n, below(n + 1), copy, piece);
    case 4: case 5:
        return insert(data, n, at, (const uint8_t *)word, strlen(word));
    case 6: /* a word over what stands there */
        if (strlen(word) <= left)
            memcpy(data + at, word, strlen(word));
        return n;
    default: { /* a piece of another input */
        size_t from = below(other->n + 1), length = below(other->n - from + 1);
        return insert(data, n, at, other->data + from, length);
    }
    }
}

static void fuzz(double seconds)
{
    uint8_t data[MAX_INPUT];
    uint64_t runs = 0, kept = 0;
    struct timespec start, t;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;; runs++) {
        clock_gettime(CLOCK_MONOTONIC, &t);
        if ((double)(t.tv_sec - start.tv_sec) + (double)(t.tv_nsec - start.tv_nsec) / 1e9 >= seconds)
            break;
        const struct input *input = &pool[below(4) ? below(pool_n) : pool_n - 1 - below(pool_n < 50 ? pool_n : 50)];
        size_t n = input->n;
        memcpy(data, input->data, n);
        for (uint64_t edits = 1 + below(below(4) ? 4 : 16); edits; edits--)
            n = mutate_once(data, n);
        if (run(data, n)) {
            keep(data, n);
            kept++;
        }
    }
    printf("%s: %llu runs, %llu new inputs, %zu places reached\n", target, (unsigned long long)runs, (unsigned long long)kept, reached_n);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *seed = getenv("MQ_FUZZ_SEED");
    struct timespec t;
    if (argc < 3) {
        fprintf(stderr, "usage: %s SECONDS FILE...\n", argv[0]);
        return 2;
    }
    target = slash ? slash + 1 : argv[0];
    signal(SIGABRT, die);
    signal(SIGALRM, die);
    __sanitizer_set_death_callback(save_input);
    for (int i = 2; i < argc; i++)
        load(argv[i]);
    clock_gettime(CLOCK_REALTIME, &t);
    random_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)t.tv_sec * 1000000007u + (uint64_t)t.tv_nsec;
    printf("%s: %d files, %zu places reached, seed %llu\n", target, argc - 2, reached_n, (unsigned long long)random_state);
    fflush(stdout);
    fuzz(atof(argv[1]));
    while (pool_n)
        free(pool[--pool_n].data);
    return 0;
}
