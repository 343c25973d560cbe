/* Lets the n-th allocation of this thread fail. Programs that use it are linked with --wrap for the allocator's calls, so
 * that the library is the same as everywhere else. */
#ifndef MQ_FAIL_ALLOC_H
#define MQ_FAIL_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* From now on: allocation number `nth` (from 1) fails, and with `all_after` every later one too. */
void fail_alloc_arm(uint64_t nth, bool all_after);
/* True if anything failed since. */
bool fail_alloc_disarm(void);

#endif
