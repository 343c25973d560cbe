/* An engine that is as new for each of a great many short runs, at a fraction of what making one costs.
 *
 * Making and freeing an engine touches half a megabyte, which under a sanitizer is new memory each time. Here one is made
 * once, with an image of its bytes; the next run gets it back after only those shards that differ from the image were closed. So
 * nothing of one run is seen by the next: what fails once fails again alone. One thread at a time.
 */
#ifndef MQ_TESTS_FRESH_H
#define MQ_TESTS_FRESH_H

#include "tests/engine.h"

struct fresh {
    struct mq_engine *engine; /* lent out by fresh_engine; NULL before the first time */
    struct mq_engine *image;  /* its bytes when it was new */
};

/* The engine, as engine_new makes one, but with an empty log in memory; it commits what it is told by mq_log_mem_commit. No net
 * may use it, nothing may be parked, no grants may have been set. Never to be freed. */
struct mq_engine *fresh_engine(struct fresh *fresh);

/* The same as mq_engine_check, but of those shards that were used since. */
void fresh_check(struct fresh *fresh);

#endif
