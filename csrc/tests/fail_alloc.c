#include "tests/fail_alloc.h"

#include <stddef.h>

static _Thread_local struct {
    uint64_t left; /* allocations until the one that fails; 0 = not armed */
    bool all_after, failing, failed;
} state;

void fail_alloc_arm(uint64_t nth, bool all_after)
{
    state.left = nth;
    state.all_after = all_after;
    state.failing = state.failed = false;
}

bool fail_alloc_disarm(void)
{
    bool failed = state.failed;
    state.left = 0;
    state.failing = state.failed = false;
    return failed;
}

static bool fails(void)
{
    bool now = state.failing;
    if (state.left && --state.left == 0) {
        now = true;
        state.failing = state.all_after;
    }
    state.failed |= now;
    return now;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *block, size_t size) { return fails() ? NULL : __real_realloc(block, size); }
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}
