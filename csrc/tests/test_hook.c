/* A hook wakes a sleeper for what comes nearer, and lets it sleep when nothing does. */
#include "base/sync.h"
#include "tests/test.h"

#include <pthread.h>
#include <time.h>

static struct mq_hook hook;
static _Atomic bool waking;

static void *wake_again_and_again(void *argument)
{
    while (atomic_load(&waking))
        mq_hook_due(&hook, 0);
    return argument;
}

static double slept_ms(int timeout_ms)
{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    mq_hook_plan(&hook, 1000);
    mq_hook_sleep(&hook, timeout_ms);
    clock_gettime(CLOCK_MONOTONIC, &b);
    return (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
}

/* A signal that comes as the sleeper wakes by itself makes one sleep short, not all of them. */
TEST(a_late_signal_makes_one_sleep_short_at_most)
{
    CHECK_INT(mq_hook_init(&hook), 0);
    for (int round = 0; round < 300; round++) {
        pthread_t thread;
        atomic_store(&waking, true);
        CHECK_INT(pthread_create(&thread, NULL, wake_again_and_again, NULL), 0);
        for (int i = 0; i < 200; i++) {
            mq_hook_plan(&hook, 1000);
            mq_hook_sleep(&hook, i % 3 ? 0 : 1);
        }
        atomic_store(&waking, false);
        pthread_join(thread, NULL);
        slept_ms(5); /* may be short */
        CHECK(slept_ms(5) >= 4);
    }
    mq_hook_close(&hook);
}

static void *wake_once(void *argument)
{
    mq_hook_due(&hook, 500);
    return argument;
}

TEST(what_is_due_before_the_plan_wakes_and_what_is_due_later_does_not)
{
    pthread_t thread;
    CHECK_INT(mq_hook_init(&hook), 0);
    mq_hook_plan(&hook, 400);
    mq_hook_due(&hook, 500);
    CHECK(atomic_load(&hook.until_ms) == 400);
    mq_hook_plan(&hook, 1000);
    CHECK_INT(pthread_create(&thread, NULL, wake_once, NULL), 0);
    mq_hook_sleep(&hook, -1);
    pthread_join(thread, NULL);
    mq_hook_close(&hook);
}
