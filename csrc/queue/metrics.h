/* How much and how fast: rates of the last minute and histograms of waiting and running, of fixed size, one set a shard.
 *
 * Guarded by the shard's mutex; volatile (a restart begins anew). Whoever wants the whole adds the shards up.
 */
#ifndef MQ_METRICS_H
#define MQ_METRICS_H

#include <stdint.h>

/* A histogram of milliseconds: exact below 16, then 8 buckets for each doubling (an error of at most 1/8), up to 2^44. */
#define MQ_BUCKETS 336u

struct mq_histogram {
    uint32_t n[MQ_BUCKETS];
    uint64_t count, sum_ms, max_ms;
};

void mq_histogram_add(struct mq_histogram *histogram, int64_t ms);
void mq_histogram_merge(struct mq_histogram *into, const struct mq_histogram *from);
/* The value below or at which this part of what was added lies, at most a bucket's width too high; -1: nothing. */
int64_t mq_histogram_at(const struct mq_histogram *histogram, unsigned per_mille);

/* What is counted by the second. */
enum mq_rate { MQ_RATE_PUSHED, MQ_RATE_COMPLETED, MQ_RATE_FAILED };
#define MQ_RATES 3u
#define MQ_RATE_SECONDS 64u

/* What is timed: latency = due to done, wait = due to first pull, run = pull to done. */
enum mq_timing { MQ_LATENCY, MQ_WAIT, MQ_RUN };
#define MQ_TIMINGS 3u

/* How many in the last few seconds, of one thing. Zeroed = never any. */
#define MQ_RECENT_SECONDS 5u
struct mq_recent {
    int64_t second; /* the newest counted */
    uint32_t n[MQ_RECENT_SECONDS + 1]; /* by second, modulo; the present one, which is not whole, among them */
};
void mq_recent_count(struct mq_recent *recent, int64_t now_ms);
/* In the MQ_RECENT_SECONDS whole seconds before the present one. */
uint64_t mq_recent_sum(const struct mq_recent *recent, int64_t now_ms);

struct mq_metrics {
    struct {
        int64_t second; /* whose counts these are */
        uint32_t n[MQ_RATES];
    } seconds[MQ_RATE_SECONDS];
    /* Two windows of a minute each: the present one and the one before. */
    int64_t minute;
    struct mq_histogram timing[2][MQ_TIMINGS]; /* [minute % 2] is the present */
};

void mq_metrics_count(struct mq_metrics *metrics, enum mq_rate rate, int64_t now_ms);
void mq_metrics_time(struct mq_metrics *metrics, enum mq_timing timing, int64_t ms, int64_t now_ms);

/* All shards' together, as of now. */
struct mq_metrics_sum {
    uint64_t last_second[MQ_RATES], last_minute[MQ_RATES]; /* whole seconds: the one before this, the 60 before this */
    struct mq_histogram timing[MQ_TIMINGS];
};
void mq_metrics_add(struct mq_metrics_sum *sum, const struct mq_metrics *metrics, int64_t now_ms);

#endif
