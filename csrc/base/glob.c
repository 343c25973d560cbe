#include "base/glob.h"

#include <stdint.h>

static bool same(char a, char b, bool any_case)
{
    if (a == b)
        return true;
    char lower = (char)(a | 32);
    return any_case && lower >= 'a' && lower <= 'z' && lower == (char)(b | 32);
}

bool mq_glob(mq_slice text, mq_slice pattern, bool any_case)
{
    size_t t = 0, p = 0, star = SIZE_MAX, from = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = t;
        } else if (p < pattern.n && same(pattern.p[p], text.p[t], any_case)) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}
