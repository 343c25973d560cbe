/* Assertions on programmers' errors: always on, one condition each, never for a user's input. */
#ifndef MQ_CHECK_H
#define MQ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define MQ_ASSERT(condition)                                                                                            \
    do {                                                                                                               \
        if (__builtin_expect(!(condition), 0)) {                                                                       \
            fprintf(stderr, "mqfast: bug at %s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);               \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#define MQ_LIKELY(x) __builtin_expect(!!(x), 1)
#define MQ_UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif
