#include "queue/metrics.h"

#include <string.h>

static unsigned bucket_of(uint64_t ms)
{
    if (ms < 16)
        return (unsigned)ms;
    unsigned top = 63 - (unsigned)__builtin_clzll(ms);
    unsigned bucket = 16 + (top - 4) * 8 + (unsigned)(ms >> (top - 3) & 7);
    return bucket < MQ_BUCKETS ? bucket : MQ_BUCKETS - 1;
}

/* The highest value of a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < 16)
        return bucket;
    unsigned shift = (bucket - 16) / 8 + 1;
    return ((uint64_t)(8 + (bucket - 16) % 8 + 1) << shift) - 1;
}

void mq_histogram_add(struct mq_histogram *histogram, int64_t ms)
{
    uint64_t value = ms > 0 ? (uint64_t)ms : 0;
    histogram->n[bucket_of(value)]++;
    histogram->count++;
    histogram->sum_ms += value;
    if (value > histogram->max_ms)
        histogram->max_ms = value;
}

void mq_histogram_merge(struct mq_histogram *into, const struct mq_histogram *from)
{
    for (unsigned i = 0; i < MQ_BUCKETS; i++)
        into->n[i] += from->n[i];
    into->count += from->count;
    into->sum_ms += from->sum_ms;
    if (from->max_ms > into->max_ms)
        into->max_ms = from->max_ms;
}

int64_t mq_histogram_at(const struct mq_histogram *histogram, unsigned per_mille)
{
    if (!histogram->count)
        return -1;
    uint64_t rank = (histogram->count * per_mille + 999) / 1000, seen = 0;
    for (unsigned i = 0; i < MQ_BUCKETS; i++) {
        seen += histogram->n[i];
        if (seen >= rank && seen) {
            uint64_t end = bucket_end(i);
            return (int64_t)(end < histogram->max_ms ? end : histogram->max_ms);
        }
    }
    return (int64_t)histogram->max_ms;
}

void mq_metrics_count(struct mq_metrics *metrics, enum mq_rate rate, int64_t now_ms)
{
    int64_t second = now_ms / 1000;
    __typeof__(metrics->seconds[0]) *at = &metrics->seconds[(uint64_t)second % MQ_RATE_SECONDS];
    if (at->second != second) {
        memset(at, 0, sizeof *at);
        at->second = second;
    }
    at->n[rate]++;
}

void mq_recent_count(struct mq_recent *recent, int64_t now_ms)
{
    enum { PLACES = MQ_RECENT_SECONDS + 1 };
    int64_t second = now_ms / 1000;
    if (recent->second != second) {
        int64_t passed = second - recent->second < PLACES ? second - recent->second : PLACES;
        for (int64_t back = 0; back < passed; back++)
            recent->n[(uint64_t)(second - back) % PLACES] = 0;
        recent->second = second;
    }
    recent->n[(uint64_t)second % PLACES]++;
}

uint64_t mq_recent_sum(const struct mq_recent *recent, int64_t now_ms)
{
    uint64_t sum = 0;
    int64_t second = now_ms / 1000;
    for (int64_t at = second - MQ_RECENT_SECONDS; at < second; at++)
        if (at <= recent->second && at > recent->second - (int64_t)MQ_RECENT_SECONDS - 1)
            sum += recent->n[(uint64_t)at % (MQ_RECENT_SECONDS + 1)];
    return sum;
}

void mq_metrics_time(struct mq_metrics *metrics, enum mq_timing timing, int64_t ms, int64_t now_ms)
{
    int64_t minute = now_ms / 60000;
    if (metrics->minute != minute) {
        if (metrics->minute != minute - 1) /* the window before is older than a minute */
            memset(metrics->timing[(minute - 1) & 1], 0, sizeof metrics->timing[0]);
        memset(metrics->timing[minute & 1], 0, sizeof metrics->timing[0]);
        metrics->minute = minute;
    }
    mq_histogram_add(&metrics->timing[minute & 1][timing], ms);
}

void mq_metrics_add(struct mq_metrics_sum *sum, const struct mq_metrics *metrics, int64_t now_ms)
{
    int64_t second = now_ms / 1000, minute = now_ms / 60000;
    for (unsigned i = 0; i < MQ_RATE_SECONDS; i++) {
        int64_t age = second - metrics->seconds[i].second; /* 0 = the present one, which is not whole */
        for (unsigned rate = 0; rate < MQ_RATES && age >= 1 && age <= 60; rate++) {
            sum->last_minute[rate] += metrics->seconds[i].n[rate];
            if (age == 1)
                sum->last_second[rate] += metrics->seconds[i].n[rate];
        }
    }
    for (unsigned back = 0; back < 2; back++) /* the window's number is `minute - back`, if the shard has come that far */
        if (metrics->minute == minute || (metrics->minute == minute - 1 && back == 0))
            for (unsigned timing = 0; timing < MQ_TIMINGS; timing++)
                mq_histogram_merge(&sum->timing[timing], &metrics->timing[(metrics->minute - back) & 1][timing]);
}
