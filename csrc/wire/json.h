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
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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

/* The first byte at or after p that is a quote, a backslash, a control character or not ASCII: what ends a run of plain
 * characters of a string. */
static inline const char *mq_json_special(const char *p)
{
#if defined(__SSE2__)
    const __m128i space = _mm_set1_epi8(0x20), quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    for (;; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* signed: bytes from 0x80 are negative, so one comparison finds them and the control characters */
        __m128i hit = _mm_or_si128(_mm_cmplt_epi8(v, space), _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask)
            return p + __builtin_ctz(mask);
    }
#else
    while ((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
#endif
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
