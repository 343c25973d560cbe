/* Patterns with stars. */
#ifndef MQ_GLOB_H
#define MQ_GLOB_H

#include "base/slice.h"

#include <stdbool.h>

/* Does the whole text fit the pattern, `*` for any bytes? any_case: ASCII letters of either case are the same. Linear but for
 * the last star's retries. */
bool mq_glob(mq_slice text, mq_slice pattern, bool any_case);

#endif
