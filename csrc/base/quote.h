/* UTF-8 text as a JSON string. */
#ifndef MQ_QUOTE_H
#define MQ_QUOTE_H

#include "base/slice.h"

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

#endif
