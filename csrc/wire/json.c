#include "wire/json.h"

/* UTF-8 as Unicode's table 3-7 has it: no surrogates, no overlong forms, nothing above U+10FFFF. */
static const unsigned char *utf8_end(const unsigned char *p)
{
    unsigned char c = p[0];
    if (c >= 0xC2 && c <= 0xDF)
        return (p[1] & 0xC0) == 0x80 ? p + 2 : NULL;
    if (c >= 0xE0 && c <= 0xEF) {
        unsigned char low = c == 0xE0 ? 0xA0 : 0x80, high = c == 0xED ? 0x9F : 0xBF;
        return p[1] >= low && p[1] <= high && (p[2] & 0xC0) == 0x80 ? p + 3 : NULL;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        unsigned char low = c == 0xF0 ? 0x90 : 0x80, high = c == 0xF4 ? 0x8F : 0xBF;
        return p[1] >= low && p[1] <= high && (p[2] & 0xC0) == 0x80 && (p[3] & 0xC0) == 0x80 ? p + 4 : NULL;
    }
    return NULL;
}

static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int hex4(const char *p)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static const char *escape_end(const char *p)
{
    switch (p[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return p + 2;
    case 'u':
        return hex4(p + 2) >= 0 ? p + 6 : NULL;
    default:
        return NULL;
    }
}

/* A string that is not plain: p at the first byte that makes it so. */
static __attribute__((noinline)) const char *odd_string_end(const char *p, bool *escaped)
{
    for (;;) {
        p = mq_json_special(p);
        if (*p == '"')
            return p;
        if (*p == '\\') {
            *escaped = true;
            p = escape_end(p);
        } else if ((unsigned char)*p < 0x20) {
            return NULL;
        } else {
            p = (const char *)utf8_end((const unsigned char *)p);
        }
        if (!p)
            return NULL;
    }
}

/* p after the opening quote; returns the closing quote. */
static inline const char *string_end(const char *p, bool *escaped)
{
    p = mq_json_special(p);
    return __builtin_expect(*p == '"', 1) ? p : odd_string_end(p, escaped);
}

static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

static const char *number_end(const char *p)
{
    if (*p == '-')
        p++;
    if (*p == '0')
        p++;
    else if (is_digit(*p))
        while (is_digit(*p))
            p++;
    else
        return NULL;
    if (*p == '.') {
        if (!is_digit(*++p))
            return NULL;
        while (is_digit(*p))
            p++;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-')
            p++;
        if (!is_digit(*p))
            return NULL;
        while (is_digit(*p))
            p++;
    }
    return p;
}

/* Anything but an array or object. */
static inline const char *scalar_end(const char *p, uint8_t *kind)
{
    bool escaped = false;
    const char *end;
    switch (*p) {
    case '"':
        end = string_end(p + 1, &escaped);
        *kind = escaped ? MQ_JSON_ESCAPED : MQ_JSON_STRING;
        return end ? end + 1 : NULL;
    case 't':
        *kind = MQ_JSON_TRUE;
        return memcmp(p, "true", 4) == 0 ? p + 4 : NULL;
    case 'f':
        *kind = MQ_JSON_FALSE;
        return memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
    case 'n':
        *kind = MQ_JSON_NULL;
        return memcmp(p, "null", 4) == 0 ? p + 4 : NULL;
    default:
        *kind = MQ_JSON_NUMBER;
        return number_end(p);
    }
}

/* One bit for each open container: 1 = object. */
struct nesting {
    uint64_t objects[MQ_JSON_DEPTH / 64];
    unsigned depth;
};

static inline bool nesting_push(struct nesting *nesting, bool object)
{
    if (nesting->depth == MQ_JSON_DEPTH)
        return false;
    unsigned word = nesting->depth / 64, bit = nesting->depth % 64;
    uint64_t mask = (uint64_t)1 << bit;
    nesting->objects[word] = object ? nesting->objects[word] | mask : nesting->objects[word] & ~mask;
    nesting->depth++;
    return true;
}

static inline bool nesting_in_object(const struct nesting *nesting)
{
    unsigned top = nesting->depth - 1;
    return nesting->objects[top / 64] >> (top % 64) & 1;
}

static inline const char *key_end(const char *p)
{
    bool escaped;
    if (*p != '"' || !(p = string_end(p + 1, &escaped)))
        return NULL;
    p = mq_json_space(p + 1);
    return *p == ':' ? mq_json_space(p + 1) : NULL;
}

/* p at '{' or '['; returns the byte after the matching bracket. */
static const char *container_end(const char *p)
{
    struct nesting nesting;
    uint8_t kind;
    nesting.depth = 0;
    for (;;) { /* p stands at a value */
        if (*p == '{' || *p == '[') {
            bool object = *p == '{';
            if (!nesting_push(&nesting, object))
                return NULL;
            p = mq_json_space(p + 1);
            if (*p != (object ? '}' : ']')) {
                if (object && !(p = key_end(p)))
                    return NULL;
                continue;
            }
        } else if (!(p = scalar_end(p, &kind))) {
            return NULL;
        } else {
            p = mq_json_space(p);
        }
        for (;;) { /* p stands after a value, or at the bracket that closes an empty container */
            bool object = nesting_in_object(&nesting);
            if (*p == ',') {
                p = mq_json_space(p + 1);
                if (object && !(p = key_end(p)))
                    return NULL;
                break;
            }
            if (*p != (object ? '}' : ']'))
                return NULL;
            p++;
            if (--nesting.depth == 0)
                return p;
            p = mq_json_space(p);
        }
    }
}

const char *mq_json_scan(const char *p, struct mq_json *value)
{
    const char *end;
    if (*p == '{' || *p == '[') {
        value->kind = *p == '{' ? MQ_JSON_OBJECT : MQ_JSON_ARRAY;
        end = container_end(p);
    } else {
        end = scalar_end(p, &value->kind);
    }
    if (!end)
        return NULL;
    value->p = p;
    value->n = (uint32_t)(end - p);
    return end;
}

const char *mq_json_scan_string(const char *p, struct mq_json *value)
{
    if (*p != '"')
        return NULL;
    return mq_json_scan(p, value);
}

static size_t utf8_put(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* p at a backslash of a scanned string; *next is set behind the escape. The code point, or -1 for a lone surrogate. */
static int32_t escape_value(const char *p, const char **next)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    *next = p + 2;
    if (p[1] != 'u')
        return to[strchr(from, p[1]) - from];
    int first = hex4(p + 2);
    *next = p + 6;
    if (first < 0xD800 || first > 0xDFFF)
        return first;
    int second = first < 0xDC00 && p[6] == '\\' && p[7] == 'u' ? hex4(p + 8) : -1;
    if (second < 0xDC00 || second > 0xDFFF)
        return -1;
    *next = p + 12;
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

int64_t mq_json_decode(const struct mq_json *value, char *out, size_t cap)
{
    mq_slice text = mq_json_inner(value);
    const char *p = text.p, *end = text.p + text.n;
    size_t n = 0;
    while (p < end) {
        const char *plain = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((plain ? plain : end) - p);
        if (run > cap - n)
            return -1;
        memcpy(out + n, p, run);
        n += run;
        p += run;
        if (!plain)
            break;
        int32_t c = escape_value(p, &p);
        if (c < 0)
            return -2;
        char bytes[4];
        size_t size = utf8_put((uint32_t)c, bytes);
        if (size > cap - n)
            return -1;
        memcpy(out + n, bytes, size);
        n += size;
    }
    return (int64_t)n;
}

int mq_json_integer(const struct mq_json *value, bool *negative, uint64_t *magnitude)
{
    if (value->kind != MQ_JSON_NUMBER)
        return -1;
    const char *p = value->p, *end = p + value->n;
    uint64_t n = 0;
    bool over = false;
    *negative = *p == '-';
    p += *negative;
    for (; p < end; p++) {
        if (!is_digit(*p))
            return -1;
        uint64_t digit = (uint64_t)(*p - '0');
        if (n > (UINT64_MAX - digit) / 10)
            over = true;
        n = n * 10 + digit;
    }
    *magnitude = n;
    return over ? -2 : 0;
}
