#include "queue/limits.h"

#include "base/check.h"
#include "queue/job.h"

static inline unsigned __int128 full(const struct mq_limits *limits)
{
    return (unsigned __int128)limits->rate * limits->duration_ms;
}

void mq_limits_set_rate(struct mq_limits *limits, uint64_t rate, uint64_t duration_ms, int64_t now_ms)
{
    limits->rate = rate;
    limits->duration_ms = duration_ms;
    limits->level = full(limits);
    limits->level_at_ms = now_ms;
}

bool mq_limits_has_token(struct mq_limits *limits, int64_t now_ms)
{
    if (now_ms > limits->level_at_ms) {
        unsigned __int128 gain = (unsigned __int128)limits->rate * (uint64_t)(now_ms - limits->level_at_ms);
        limits->level = gain < full(limits) - limits->level ? limits->level + gain : full(limits);
        limits->level_at_ms = now_ms;
    }
    return limits->level >= limits->duration_ms;
}

void mq_limits_spend(struct mq_limits *limits)
{
    MQ_ASSERT(limits->level >= limits->duration_ms);
    limits->level -= limits->duration_ms;
}

int64_t mq_limits_next_ms(const struct mq_limits *limits)
{
    uint64_t missing = limits->duration_ms - (uint64_t)limits->level; /* the level is below the duration here */
    return mq_time_add(limits->level_at_ms, missing / limits->rate + (missing % limits->rate != 0));
}
