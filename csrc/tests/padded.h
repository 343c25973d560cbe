/* Bytes as the scanners want them: behind them a newline and the ring's slack, and not one byte more, so that the address
 * sanitizer sees whoever reads too far. */
#ifndef MQ_PADDED_H
#define MQ_PADDED_H

#include "base/ring.h"

#include <stdlib.h>

/* To be freed. */
static inline char *padded(const char *bytes, size_t n)
{
    char *copy = malloc(n + 1 + MQ_RING_SLACK);
    if (n)
        memcpy(copy, bytes, n);
    copy[n] = '\n';
    memset(copy + n + 1, 0x7F, MQ_RING_SLACK); /* no newline, no zero: nothing that would stop a scan by luck */
    return copy;
}

#endif
