/* Why: requests are put together once and sent millions of times, so a plain growing string is all that is needed. */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void buf_grow(struct buf *buf, size_t more)
{
    size_t cap = buf->cap ? buf->cap : 256;
    while (cap - buf->len < more)
        cap *= 2;
    buf->mem = realloc(buf->mem, cap);
    if (!buf->mem)
        die("out of memory for a request of %zu bytes", cap);
    buf->cap = cap;
}

void buf_print(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        die("cannot format a request");
    buf_grow(buf, (size_t)n + 1);
    vsnprintf(buf->mem + buf->len, (size_t)n + 1, format, again);
    va_end(again);
    buf->len += (size_t)n;
}

void buf_free(struct buf *buf)
{
    free(buf->mem);
    *buf = (struct buf){0};
}
