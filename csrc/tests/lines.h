/* Random request lines: mostly sensible, about a few queues and the ids that their jobs have, so that much of it succeeds. */
#ifndef MQ_TESTS_LINES_H
#define MQ_TESTS_LINES_H

#include "tests/test.h"

#define LINE_MAX_N 2048u

/* Without its newline; the length. */
size_t random_line(struct random *random, char out[LINE_MAX_N]);
/* One of the names it uses. */
const char *random_queue_name(struct random *random);
/* An id that a job of these queues may have. */
uint64_t random_job_id(struct random *random);

#endif
