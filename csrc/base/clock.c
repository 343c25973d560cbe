#include "base/clock.h"

#include "base/check.h"


int64_t mq_clock_read_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void mq_clock_init_real(struct mq_clock *clock)
{
    clock->manual = false;
    clock->offset_ns = mq_clock_read_ns(CLOCK_REALTIME) - mq_clock_read_ns(CLOCK_BOOTTIME);
    atomic_init(&clock->manual_ms, 0);
}

void mq_clock_init_manual(struct mq_clock *clock, int64_t now_ms)
{
    clock->manual = true;
    clock->offset_ns = 0;
    atomic_init(&clock->manual_ms, now_ms);
}

void mq_clock_set(struct mq_clock *clock, int64_t now_ms)
{
    MQ_ASSERT(clock->manual);
    int64_t seen = atomic_load(&clock->manual_ms);
    while (seen < now_ms && !atomic_compare_exchange_weak(&clock->manual_ms, &seen, now_ms))
        ;
}

int64_t mq_clock_now_ms(const struct mq_clock *clock)
{
    if (clock->manual)
        return atomic_load(&clock->manual_ms);
    return (mq_clock_read_ns(CLOCK_BOOTTIME) + clock->offset_ns) / 1000000;
}
