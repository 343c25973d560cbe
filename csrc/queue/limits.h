/* How fast, how many at once, how many in all: a queue's token bucket, its bounds on held jobs and on jobs that wait.
 *
 * The bucket holds `limit` tokens and gains `limit` of them each duration, so over any T ms at most limit * T / duration +
 * limit jobs are given. It is kept in units of a token divided by the duration, which makes the arithmetic exact. The level
 * is volatile: a restart fills the bucket. Guarded by the shard's mutex.
 */
#ifndef MQ_LIMITS_H
#define MQ_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct mq_limits {
    uint64_t rate;        /* tokens a duration; 0 = no limit */
    uint64_t duration_ms; /* at least 1; valid with a rate */
    uint64_t concurrency; /* jobs held at most; 0 = no limit */
    uint64_t length;      /* jobs that wait, for whatever, past which pushes are refused; 0 = no limit */
    unsigned __int128 level; /* duration_ms of them make a token; at most rate * duration_ms */
    int64_t level_at_ms;     /* when the level was right */
};

/* A full bucket; rate 0 takes the limit away. */
void mq_limits_set_rate(struct mq_limits *limits, uint64_t rate, uint64_t duration_ms, int64_t now_ms);
/* A token could be spent now. */
bool mq_limits_has_token(struct mq_limits *limits, int64_t now_ms);
/* Spends it; one must be there. */
void mq_limits_spend(struct mq_limits *limits);
/* When the next token is there, if none is now. */
int64_t mq_limits_next_ms(const struct mq_limits *limits);

#endif
