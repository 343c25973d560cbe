/* The harness: a test is a function with a name that states behaviour, run in a process of its own.
 *
 * The fork keeps one test's crash, leak or endless loop from hiding the others, and lets the leak checker name the test.
 * A failed check prints where and what, and ends its test. TEST_ONLY=part runs the tests whose name contains it, in this
 * process, for a debugger.
 */
#ifndef MQ_TEST_H
#define MQ_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

void test_register(struct test *test);
/* A failed check aborts instead of ending the process quietly: for debuggers and fuzzers. */
extern bool test_aborts;
_Noreturn void test_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* More about the check that may fail next, such as a seed; printed with it. */
void test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What the random numbers of a test began with; printed when a check fails. */
void test_seed(uint64_t seed);
/* A number from the environment, for longer runs. */
uint64_t test_setting(const char *variable, uint64_t otherwise);
void test_int(const char *file, int line, const char *what, long long got, long long wanted);
void test_bytes(const char *file, int line, const char *what, const char *got, size_t got_n, const char *wanted,
                size_t wanted_n);
void test_text(const char *file, int line, const char *what, const char *got, const char *wanted);

#define TEST(function)                                                                                                  \
    static void function(void);                                                                                         \
    static struct test function##_test = {#function, function, NULL};                                                   \
    __attribute__((constructor)) static void function##_register(void) { test_register(&function##_test); }             \
    static void function(void)

#define CHECK(condition)                                                                                                \
    do {                                                                                                                \
        if (!(condition))                                                                                               \
            test_fail(__FILE__, __LINE__, "%s", #condition);                                                            \
    } while (0)
#define CHECK_INT(got, wanted) test_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(wanted))
#define CHECK_BYTES(got, got_n, wanted, wanted_n) test_bytes(__FILE__, __LINE__, #got, got, got_n, wanted, wanted_n)
#define CHECK_TEXT(got, wanted) test_text(__FILE__, __LINE__, #got, got, wanted)
#define CHECK_HAS(text, part)                                                                                           \
    do {                                                                                                                \
        const char *test_text_ = (text);                                                                                \
        if (!strstr(test_text_, part))                                                                                  \
            test_fail(__FILE__, __LINE__, "%s is not in: %.400s", part, test_text_);                                    \
    } while (0)

/* Random numbers that a seed repeats. */
struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    uint64_t z = random->state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* From 0 to n - 1. */
static inline uint64_t random_below(struct random *random, uint64_t n) { return random_next(random) % n; }

static inline bool random_chance(struct random *random, unsigned percent) { return random_below(random, 100) < percent; }

#endif
