/* Borrowed bytes.
 *
 * A slice never owns: it is valid as long as the bytes it points into (a ring until its next reserve, a job until it is
 * freed). It is passed by value and is not terminated by a NUL.
 */
#ifndef MQ_SLICE_H
#define MQ_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct mq_slice {
    const char *p;
    size_t n;
} mq_slice;

#define MQ_SLICE(literal) ((mq_slice){(literal), sizeof(literal) - 1})

static inline mq_slice mq_slice_of(const char *p, size_t n) { return (mq_slice){p, n}; }

static inline bool mq_slice_eq(mq_slice a, mq_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

#endif
