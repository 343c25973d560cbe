/* Any bytes as a JSON value: the vector scanner, the portable one and the naive reader must agree, and nobody reads too far. */
#include "tests/naive_json.h"
#include "tests/padded.h"
#include "tests/test.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *portable_json_scan(const char *p, struct mq_json *value);

static void decode(const struct mq_json *value)
{
    for (size_t cap = value->n, n = cap; cap < n + 1; cap /= 2) {
        char *out = malloc(cap + 1);
        out[cap] = 0x55;
        int64_t decoded = mq_json_decode(value, out, cap);
        CHECK(decoded <= (int64_t)cap && out[cap] == 0x55);
        free(out);
        if (cap == 0)
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mq_json value, other;
    test_aborts = true;
    if (memchr(data, '\n', size) || (size && strchr(" \t\r", data[0])))
        return 0; /* no line, or not at a value */
    char *line = padded((const char *)data, size);
    const char *end = mq_json_scan(line, &value);
    CHECK(end == portable_json_scan(line, &other));
    CHECK(end == naive_json_end(line, line + size, MQ_JSON_DEPTH));
    if (end) {
        bool negative;
        uint64_t n;
        CHECK(value.p == line && line + value.n == end && value.kind == other.kind);
        mq_json_integer(&value, &negative, &n);
        if (mq_json_is_string(&value))
            decode(&value);
    }
    free(line);
    return 0;
}
