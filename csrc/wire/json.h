/* A strict JSON (RFC 8259) scanner: one pass, no allocation, no copy.
 *
 * It finds where a value ends and what it is; strings and numbers stay where they are. The text must be followed by a
 * byte that no JSON value contains (the line's newline) and by MQ_RING_SLACK readable bytes: that sentinel is what makes
 * bounds checks needless. Invalid UTF-8, control characters in strings and nesting deeper than MQ_JSON_DEPTH are refused.
 */
#ifndef MQ_JSON_H
#define MQ_JSON_H

#include "base/slice.h"

#include <stdint.h>

#define MQ_JSON_DEPTH 256u

enum mq_json_kind {
    MQ_JSON_NULL,
    MQ_JSON_FALSE,
    MQ_JSON_TRUE,
    MQ_JSON_NUMBER,
    MQ_JSON_STRING,  /* without a backslash: its bytes are its value */
    MQ_JSON_ESCAPED, /* a string with escapes */
    MQ_JSON_ARRAY,
    MQ_JSON_OBJECT,
};

/* The text of one value, quotes and brackets included. */
struct mq_json {
    const char *p;
    uint32_t n;
    uint8_t kind; /* enum mq_json_kind */
    uint8_t field; /* for the caller; the scanner leaves it */
};

static inline const char *mq_json_space(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\r')
        p++;
    return p;
}

/* Scans the value at p (no white space before it). Returns the byte after it, or NULL if it is no JSON value. */
const char *mq_json_scan(const char *p, struct mq_json *value);

/* Scans a string at its opening quote; the same for the rest. */
const char *mq_json_scan_string(const char *p, struct mq_json *value);

static inline bool mq_json_is_string(const struct mq_json *value)
{
    return value->kind == MQ_JSON_STRING || value->kind == MQ_JSON_ESCAPED;
}

/* The bytes between a string's quotes, as written. */
static inline mq_slice mq_json_inner(const struct mq_json *value) { return (mq_slice){value->p + 1, value->n - 2}; }

/* Decodes a string into at most `cap` bytes of UTF-8. Returns the length; -1: does not fit; -2: has no UTF-8 form (a lone
 * surrogate). */
int64_t mq_json_decode(const struct mq_json *value, char *out, size_t cap);

/* Parses an integer without fraction or exponent: *negative and the magnitude. 0; -1: not an integer; -2: above 2^64-1. */
int mq_json_integer(const struct mq_json *value, bool *negative, uint64_t *magnitude);

#endif
