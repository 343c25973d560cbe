#include "tests/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool test_aborts;

static _Thread_local char note[256];
static _Thread_local uint64_t seed_now;

void test_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(note, sizeof note, format, args);
    va_end(args);
}

void test_seed(uint64_t seed) { seed_now = seed; }

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "%s:%d: %s%s%s\n", file, line, text, note[0] ? "\n  at: " : "", note);
    if (seed_now)
        fprintf(stderr, "  seed %llu\n", (unsigned long long)seed_now);
    if (test_aborts)
        abort();
    _exit(1); /* other threads may run, and leaks are no news now */
}

uint64_t test_setting(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

void test_int(const char *file, int line, const char *what, long long got, long long wanted)
{
    if (got != wanted)
        test_fail(file, line, "%s is %lld, not %lld", what, got, wanted);
}

void test_bytes(const char *file, int line, const char *what, const char *got, size_t got_n, const char *wanted,
                size_t wanted_n)
{
    if (got_n != wanted_n || (got_n && memcmp(got, wanted, got_n) != 0))
        test_fail(file, line, "%s is\n    %.*s\n  not\n    %.*s", what, (int)got_n, got, (int)wanted_n, wanted);
}

void test_text(const char *file, int line, const char *what, const char *got, const char *wanted)
{
    test_bytes(file, line, what, got, strlen(got), wanted, strlen(wanted));
}
