/* Rates by the second, histograms by their promise: at most an eighth too high, never too low. */
#include "queue/metrics.h"
#include "tests/test.h"

#include <stdlib.h>

TEST(percentiles_are_at_most_an_eighth_too_high_and_never_too_low)
{
    struct random random = {test_setting("MQ_TEST_SEED", 1)};
    static const unsigned parts[] = {1, 100, 500, 900, 990, 999, 1000};
    for (int round = 0; round < 200; round++) {
        struct mq_histogram histogram = {0};
        int64_t values[100];
        unsigned n = 1 + (unsigned)random_below(&random, 100);
        for (unsigned i = 0; i < n; i++) {
            values[i] = (int64_t)(random_next(&random) >> (20 + random_below(&random, 44)));
            mq_histogram_add(&histogram, values[i]);
        }
        for (unsigned i = 1; i < n; i++) /* sorted */
            for (unsigned j = i; j && values[j - 1] > values[j]; j--) {
                int64_t other = values[j];
                values[j] = values[j - 1];
                values[j - 1] = other;
            }
        for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
            unsigned rank = (n * parts[i] + 999) / 1000;
            int64_t exact = values[rank ? rank - 1 : 0], told = mq_histogram_at(&histogram, parts[i]);
            CHECK(told >= exact && told <= exact + exact / 8 + 1);
        }
    }
}

TEST(nothing_has_no_percentile)
{
    struct mq_histogram histogram = {0};
    CHECK_INT(mq_histogram_at(&histogram, 500), -1);
    mq_histogram_add(&histogram, -5); /* a clock that went back counts as nothing */
    CHECK_INT(mq_histogram_at(&histogram, 500), 0);
}

TEST(rates_count_whole_seconds_and_forget_after_a_minute)
{
    struct mq_metrics *metrics = calloc(1, sizeof *metrics);
    int64_t now = 1700000000000;
    for (int64_t second = 0; second < 200; second++, now += 1000) {
        for (int i = 0; i < 3; i++)
            mq_metrics_count(metrics, MQ_RATE_PUSHED, now + i * 300);
        struct mq_metrics_sum sum = {0};
        mq_metrics_add(&sum, metrics, now + 999);
        CHECK_INT(sum.last_second[MQ_RATE_PUSHED], second ? 3 : 0);
        CHECK_INT(sum.last_minute[MQ_RATE_PUSHED], second < 60 ? 3 * second : 180);
    }
    struct mq_metrics_sum sum = {0};
    mq_metrics_add(&sum, metrics, now + 61000);
    CHECK_INT(sum.last_minute[MQ_RATE_PUSHED], 0);
    free(metrics);
}

TEST(timings_are_those_of_the_last_one_to_two_minutes)
{
    struct mq_metrics *metrics = calloc(1, sizeof *metrics);
    int64_t minute = 60000, now = minute * 1000;
    struct mq_metrics_sum sum = {0};
    mq_metrics_time(metrics, MQ_RUN, 100, now);
    mq_metrics_time(metrics, MQ_RUN, 7, now + minute);
    mq_metrics_add(&sum, metrics, now + minute);
    CHECK_INT(sum.timing[MQ_RUN].count, 2);
    sum = (struct mq_metrics_sum){0};
    mq_metrics_add(&sum, metrics, now + 2 * minute);
    CHECK_INT(sum.timing[MQ_RUN].count, 1);
    CHECK_INT(mq_histogram_at(&sum.timing[MQ_RUN], 500), 7);
    sum = (struct mq_metrics_sum){0};
    mq_metrics_add(&sum, metrics, now + 3 * minute);
    CHECK_INT(sum.timing[MQ_RUN].count, 0);
    mq_metrics_time(metrics, MQ_RUN, 9, now + 9 * minute);
    mq_metrics_add(&sum, metrics, now + 9 * minute);
    CHECK_INT(sum.timing[MQ_RUN].count, 1);
    free(metrics);
}
