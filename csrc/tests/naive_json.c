#include "tests/naive_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

const char *naive_utf8_end(const unsigned char *p, const unsigned char *end)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    unsigned more = *p < 0x80 ? 0 : *p >> 5 == 6 ? 1 : *p >> 4 == 14 ? 2 : *p >> 3 == 30 ? 3 : 9;
    if (more == 9 || (size_t)(end - p) < more + 1)
        return NULL;
    uint32_t c = more == 0 ? *p : *p & (0x3Fu >> more);
    for (unsigned i = 1; i <= more; i++) {
        if (p[i] >> 6 != 2)
            return NULL;
        c = c << 6 | (p[i] & 0x3F);
    }
    bool bad = c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF);
    return bad ? NULL : (const char *)p + more + 1;
}

static const char *string_end(const char *p, const char *end)
{
    if (p == end || *p != '"')
        return NULL;
    for (p++; p < end && *p != '"';) {
        if ((unsigned char)*p < 0x20)
            return NULL;
        if (*p != '\\') {
            if (!(p = naive_utf8_end((const unsigned char *)p, (const unsigned char *)end)))
                return NULL;
            continue;
        }
        if (++p == end || !*p || !strchr("\"\\/bfnrtu", *p))
            return NULL;
        if (*p++ == 'u')
            for (int i = 0; i < 4; i++, p++)
                if (p == end || !*p || !strchr("0123456789abcdefABCDEF", *p))
                    return NULL;
    }
    return p < end ? p + 1 : NULL;
}

static const char *digits_end(const char *p, const char *end)
{
    const char *start = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p == start ? NULL : p;
}

static const char *number_end(const char *p, const char *end)
{
    if (p < end && *p == '-')
        p++;
    const char *start = p;
    if (!(p = digits_end(p, end)))
        return NULL;
    if (*start == '0')
        p = start + 1;
    if (p < end && *p == '.' && !(p = digits_end(p + 1, end)))
        return NULL;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        return digits_end(p, end);
    }
    return p;
}

static const char *word_end(const char *p, const char *end, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0 ? p + n : NULL;
}

static const char *container_end(const char *p, const char *end, unsigned max_depth)
{
    bool object = *p == '{';
    char close = object ? '}' : ']';
    if (max_depth == 0)
        return NULL;
    p = space(p + 1, end);
    if (p < end && *p == close)
        return p + 1;
    for (;;) {
        if (object) {
            if (!(p = string_end(p, end)) || (p = space(p, end)) == end || *p != ':')
                return NULL;
            p = space(p + 1, end);
        }
        if (!(p = naive_json_end(p, end, max_depth - 1)) || (p = space(p, end)) == end)
            return NULL;
        if (*p == close)
            return p + 1;
        if (*p != ',')
            return NULL;
        p = space(p + 1, end);
    }
}

const char *naive_json_end(const char *p, const char *end, unsigned max_depth)
{
    if (p == end)
        return NULL;
    switch (*p) {
    case '{': case '[':
        return container_end(p, end, max_depth);
    case '"':
        return string_end(p, end);
    case 't':
        return word_end(p, end, "true");
    case 'f':
        return word_end(p, end, "false");
    case 'n':
        return word_end(p, end, "null");
    default:
        return number_end(p, end);
    }
}

/* --- looking into answers --- */

/* The value of this key or index in the container at p; NULL if there is none. */
static const char *step(const char *p, const char *end, const char *name, size_t name_n)
{
    bool object = *p == '{';
    unsigned long index = object ? 0 : strtoul(name, NULL, 10);
    if (*p != '{' && *p != '[')
        return NULL;
    p = space(p + 1, end);
    for (unsigned long i = 0; *p != '}' && *p != ']'; i++) {
        bool match = !object && i == index;
        if (object) {
            const char *key_end = string_end(p, end);
            match = (size_t)(key_end - p) == name_n + 2 && memcmp(p + 1, name, name_n) == 0;
            p = space(space(key_end, end) + 1, end);
        }
        if (match)
            return p;
        p = space(naive_json_end(p, end, 1000), end);
        if (*p == ',')
            p = space(p + 1, end);
    }
    return NULL;
}

bool answer_find(const char *answer, const char *path, const char **value, size_t *n)
{
    const char *end = answer + strlen(answer), *p = space(answer, end);
    if (!naive_json_end(p, end, 1000))
        return false;
    while (p && *path) {
        size_t name_n = strcspn(path, ".");
        p = step(p, end, path, name_n);
        path += name_n + (path[name_n] == '.');
    }
    if (!p)
        return false;
    *value = p;
    *n = (size_t)(naive_json_end(p, end, 1000) - p);
    return true;
}

bool answer_has(const char *answer, const char *path)
{
    const char *value;
    size_t n;
    return answer_find(answer, path, &value, &n);
}

bool answer_is(const char *answer, const char *path, const char *text)
{
    const char *value;
    size_t n;
    return answer_find(answer, path, &value, &n) && n == strlen(text) && memcmp(value, text, n) == 0;
}

const char *answer_text(const char *answer, const char *path)
{
    static _Thread_local char texts[4][512];
    static _Thread_local unsigned turn;
    const char *value;
    size_t n;
    char *text = texts[turn++ % 4];
    text[0] = 0;
    if (!answer_find(answer, path, &value, &n))
        return text;
    if (*value == '"')
        value++, n -= 2;
    snprintf(text, sizeof *texts, "%.*s", (int)n, value);
    return text;
}

int64_t answer_number(const char *answer, const char *path)
{
    return strtoll(answer_text(answer, path), NULL, 10);
}

size_t answer_count(const char *answer, const char *path)
{
    const char *value;
    size_t n, count = 0;
    if (!answer_find(answer, path, &value, &n) || *value != '[')
        return 0;
    const char *end = value + n, *p = space(value + 1, end);
    while (*p != ']') {
        count++;
        p = space(naive_json_end(p, end, 1000), end);
        if (*p == ',')
            p = space(p + 1, end);
    }
    return count;
}
