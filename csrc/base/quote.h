/* UTF-8 text as a JSON string. */
#ifndef MQ_QUOTE_H
#define MQ_QUOTE_H

#include "base/slice.h"

#include <stdbool.h>
#include <string.h>

/* Bytes needed at most for n bytes of text. */
#define MQ_QUOTED_MAX(n) ((n) * 6 + 2)

/* Writes the text with quotes and escapes; returns the length. */
static inline size_t mq_quote(mq_slice text, char *out)
{
    static const char hex[] = "0123456789abcdef";
    char *o = out;
    *o++ = '"';
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '"' || c == '\\') {
            *o++ = '\\';
            *o++ = (char)c;
        } else if (c < 0x20) {
            memcpy(o, "\\u00", 4);
            o[4] = hex[c >> 4];
            o[5] = hex[c & 15];
            o += 6;
        } else {
            *o++ = (char)c;
        }
    }
    *o++ = '"';
    return (size_t)(o - out);
}

/* How much of a JSON string (quotes included) may stand before a closing quote of its own, so that all is at most `most` bytes and
 * ends between characters; all of it if it is not longer. */
static inline size_t mq_quoted_cut(mq_slice quoted, size_t most)
{
    size_t end = 1;
    if (quoted.n <= most)
        return quoted.n;
    for (size_t at = 1; at < most;) {
        bool pair = at + 12 <= quoted.n && memcmp(quoted.p + at, "\\ud", 3) == 0 && strchr("89abAB", quoted.p[at + 3]);
        unsigned char c = (unsigned char)quoted.p[at];
        if (c == '\\')
            at += quoted.p[at + 1] != 'u' ? 2 : pair ? 12 : 6;
        else
            at += c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        if (at < most)
            end = at;
    }
    return end;
}

#endif
