/* Time: milliseconds since the Unix epoch, from one place.
 *
 * The real clock takes the wall time once, when it is made, and goes on with the boot clock from there: a step of the
 * wall clock (NTP, an operator) neither delays a job nor fires a thousand timers at once. The manual clock stands still
 * until it is set; tests and simulations use it. Reading is safe from any thread.
 */
#ifndef MQ_CLOCK_H
#define MQ_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* One of the system's clocks, in nanoseconds. */
int64_t mq_clock_read_ns(clockid_t id);
static inline int64_t mq_clock_read_us(clockid_t id) { return mq_clock_read_ns(id) / 1000; }
static inline int64_t mq_clock_read_ms(clockid_t id) { return mq_clock_read_ns(id) / 1000000; }

struct mq_clock {
    bool manual;
    int64_t offset_ns;          /* real: wall minus boot time when the clock was made */
    _Atomic int64_t manual_ms;  /* manual: what the time is */
};

void mq_clock_init_real(struct mq_clock *clock);
void mq_clock_init_manual(struct mq_clock *clock, int64_t now_ms);
/* Manual clocks only. Time never goes back: an earlier value is ignored. */
void mq_clock_set(struct mq_clock *clock, int64_t now_ms);
int64_t mq_clock_now_ms(const struct mq_clock *clock);

#endif
