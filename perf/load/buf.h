/* Growing byte strings for requests, and the one way this program ends when it cannot go on. */
#ifndef LOAD_BUF_H
#define LOAD_BUF_H

#include <stddef.h>
#include <string.h>

struct buf {
    char *mem;
    size_t len, cap;
};

/* Says why on stderr, in one line, and exits with status 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

void buf_grow(struct buf *buf, size_t more);
void buf_print(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_free(struct buf *buf);

static inline void buf_add(struct buf *buf, const void *from, size_t n)
{
    if (buf->cap - buf->len < n)
        buf_grow(buf, n);
    memcpy(buf->mem + buf->len, from, n);
    buf->len += n;
}

#define BUF_ADD_LITERAL(buf, text) buf_add(buf, text, sizeof(text) - 1)

#endif
