/* The JSON scanner: RFC 8259 to the letter, the vector and the portable form alike, and never a byte too far. */
#include "tests/naive_json.h"
#include "tests/padded.h"
#include "tests/test.h"
#include "wire/json.h"

#include <stdio.h>

const char *portable_json_scan(const char *p, struct mq_json *value);

/* Both scanners and the naive one agree; returns how long the value is, or -1. */
static long scan(const char *bytes, size_t n, struct mq_json *value)
{
    struct mq_json other;
    char *line = padded(bytes, n);
    const char *end = mq_json_scan(line, value), *portable = portable_json_scan(line, &other);
    const char *naive = naive_json_end(line, line + n, MQ_JSON_DEPTH);
    long length = end ? end - line : -1;
    test_note("value %.*s", (int)(n < 200 ? n : 200), line);
    CHECK(end == portable);
    CHECK(end == naive);
    if (end) {
        CHECK(value->p == line && value->n == (uint32_t)length);
        CHECK(value->kind == other.kind && value->n == other.n);
    }
    free(line);
    return length;
}

static bool is_value(const char *bytes, size_t n)
{
    struct mq_json value;
    return scan(bytes, n, &value) == (long)n;
}

static const char *const good[] = {
    "null", "true", "false", "0", "-0", "1", "-1", "12345678901234567890123", "0.5", "-0.5e-10", "1E5", "1e+5", "10.00",
    "\"\"", "\"a\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0000\\uD83D\\uDE00\\ud800\"", "\"\x7f\xc2\x80\xef\xbf\xbf\"", "[]",
    "[ ]", "[1]", "[1,2 , 3]", "[[],[[]],{}]", "{}", "{ }", "{\"a\":1}", "{\"a\" : 1 , \"a\" : [ ] }", "{\"\":{\"\":[null]}}",
    "[\"\\\\\",\"\\\"]\"]", "[\t1\r]",
};

static const char *const bad[] = {
    "", " 1", "nul", "nulll", "True", "TRUE", "+1", "01", "-01", "-", "1.", ".5", "1.e1", "1e", "1e+", "1e-", "0x1", "1a", "--1",
    "Infinity", "NaN", "-Infinity", "1_000", "\"", "\"a", "'a'", "\"\\\"", "\"\\a\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\U0041\"",
    "\"\\x41\"", "\"\t\"", "\"\x01\"", "\"\x1f\"", "\"\x80\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xff\"",
    "\"\xe2\x82\"", "\"\xf0\x9f\x98\"", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[1}", "{", "}", "{\"a\"}", "{\"a\":}",
    "{\"a\":1,}", "{,}", "{a:1}", "{1:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{\"a\":1]", "{\"a\",1}", "{\"a\"::1}", "[1]]", "{}{}",
    "/* */1", "[1,/**/2]", "\xef\xbb\xbf" "1", "{\"\\u\":1}", "{\"\x01\":1}", "[\"\\", "[\"\xc2",
};

TEST(json_accepts_what_the_rfc_allows)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(is_value(good[i], strlen(good[i])));
}

TEST(json_refuses_what_the_rfc_does_not_allow)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!is_value(bad[i], strlen(bad[i])));
}

TEST(json_refuses_a_nul_byte_anywhere)
{
    static const char line[] = "{\"a\":[1,true,\"b\",null]}";
    for (size_t at = 0; at <= sizeof line - 1; at++) {
        char text[sizeof line];
        memcpy(text, line, at);
        text[at] = 0;
        memcpy(text + at + 1, line + at, sizeof line - 1 - at);
        CHECK(!is_value(text, sizeof line));
    }
}

TEST(json_tells_kinds_apart)
{
    static const struct {
        const char *text;
        enum mq_json_kind kind;
    } kinds[] = {{"null", MQ_JSON_NULL},       {"true", MQ_JSON_TRUE},     {"false", MQ_JSON_FALSE},
                 {"-1.5", MQ_JSON_NUMBER},     {"\"a\"", MQ_JSON_STRING},  {"\"a\\n\"", MQ_JSON_ESCAPED},
                 {"[\"\\n\"]", MQ_JSON_ARRAY}, {"{\"\\n\":1}", MQ_JSON_OBJECT}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct mq_json value;
        CHECK(scan(kinds[i].text, strlen(kinds[i].text), &value) > 0);
        CHECK_INT(value.kind, kinds[i].kind);
    }
}

TEST(json_every_prefix_of_a_closed_value_is_refused)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (size_t n = 0; strchr("[{\"ntf", good[i][0]) && n < strlen(good[i]); n++)
            CHECK(!is_value(good[i], n));
}

static void nest(char *text, unsigned depth, char open, const char *inner)
{
    size_t n = 0;
    for (unsigned i = 0; i < depth; i++)
        n += (size_t)sprintf(text + n, open == '{' ? "{\"a\":" : "[");
    n += (size_t)sprintf(text + n, "%s", inner);
    for (unsigned i = 0; i < depth; i++)
        text[n++] = open == '{' ? '}' : ']';
    text[n] = 0;
}

TEST(json_nests_to_its_depth_and_no_deeper)
{
    char text[8 * (MQ_JSON_DEPTH + 2)];
    for (int object = 0; object < 2; object++) {
        nest(text, MQ_JSON_DEPTH, object ? '{' : '[', "1");
        CHECK(is_value(text, strlen(text)));
        nest(text, MQ_JSON_DEPTH + 1, object ? '{' : '[', "1");
        CHECK(!is_value(text, strlen(text)));
        nest(text, MQ_JSON_DEPTH, object ? '{' : '[', "[]");
        CHECK(!is_value(text, strlen(text)));
    }
}

TEST(json_remembers_at_every_depth_what_it_is_in)
{
    char text[8 * MQ_JSON_DEPTH];
    for (unsigned depth = 1; depth <= 200; depth += 3) { /* objects and arrays in turn; one wrong bracket is found */
        size_t n = 0;
        for (unsigned i = 0; i < depth; i++)
            n += (size_t)sprintf(text + n, i % 3 ? "[" : "{\"k\":");
        n += (size_t)sprintf(text + n, "0");
        for (unsigned i = depth; i--;)
            text[n++] = i % 3 ? ']' : '}';
        CHECK(is_value(text, n));
        text[n - depth / 2 - 1] ^= ']' ^ '}';
        CHECK(!is_value(text, n));
    }
}

TEST(json_strings_end_at_every_offset_of_a_vector)
{
    static const char *const specials[] = {"\\n", "\\u00e9", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x7f", "\x01", "\x80"};
    for (size_t special = 0; special < sizeof specials / sizeof *specials; special++) {
        for (unsigned before = 0; before < 40; before++) {
            for (unsigned after = 0; after < 40; after += 3) {
                char text[160];
                int n = sprintf(text, "\"%.*s%s%.*s\"", (int)before, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", specials[special],
                                (int)after, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
                CHECK(is_value(text, (size_t)n) == (special < 6));
            }
        }
    }
}

/* All first and second bytes; the third and fourth at the borders of their ranges. */
TEST(json_knows_utf8_exactly)
{
    static const unsigned char borders[] = {0x7F, 0x80, 0xBF, 0xC0};
    for (unsigned a = 0x80; a < 0x100; a++)
        for (unsigned b = 0x20; b < 0x100; b += b < 0x7C ? 13 : 1)
            for (int c = 0; c < 4; c++)
                for (int d = 0; d < 4; d++) {
                    struct mq_json value;
                    char text[] = {'"', (char)a, (char)b, (char)borders[c], (char)borders[d], '"'};
                    scan(text, sizeof text, &value);
                }
}

TEST(json_scanners_agree_on_mutated_text)
{
    struct random random = {test_setting("MQ_TEST_SEED", 11)};
    static const char *const seeds[] = {
        "{\"cmd\":\"PUSH\",\"queue\":\"emails\",\"data\":{\"to\":\"a@b.c\",\"n\":[1,-2.5e3,true,null]},\"priority\":-3}",
        "[\"\\u00e9\\\\\\\"\",\"\xc3\xa9\xf0\x9f\x98\x80 long enough for two vectors\",{\"a\":{\"b\":[[[]]]}}]",
        "{\"x\":\"\\ud83d\\ude00\",\"y\":[0,0.0,1e9,\"\"],\"z\":{}}",
    };
    static const char interesting[] = "{}[]\",:\\u0nte-+. \t\r\x01\x80\xc3\xe2\xf0\xff";
    for (uint64_t i = 0; i < 1000 * test_setting("MQ_TEST_SEEDS", 200); i++) {
        char text[256];
        const char *seed = seeds[random_below(&random, 3)];
        size_t n = strlen(seed);
        struct mq_json value;
        memcpy(text, seed, n);
        for (uint64_t edits = 1 + random_below(&random, 3); edits; edits--) {
            size_t at = random_below(&random, n);
            char c = random_chance(&random, 70) ? interesting[random_below(&random, sizeof interesting - 1)]
                                                : (char)random_next(&random);
            if (random_chance(&random, 30) && n > 2)
                memmove(text + at, text + at + 1, --n - at);
            else
                text[at] = c == '\n' ? ' ' : c;
        }
        scan(text, n, &value);
    }
}

/* --- strings and integers as values --- */

static int64_t decode(const char *text, char *out, size_t cap)
{
    struct mq_json value;
    char *line = padded(text, strlen(text));
    CHECK(mq_json_scan(line, &value) == line + strlen(text) && mq_json_is_string(&value));
    int64_t n = mq_json_decode(&value, out, cap);
    free(line);
    return n;
}

static void check_decoded(const char *text, const char *wanted, size_t wanted_n)
{
    for (size_t cap = 0; cap <= wanted_n + 4; cap++) { /* one byte too few, and never one too many written */
        char *out = malloc(cap + 1);
        out[cap] = 0x55;
        int64_t n = decode(text, out, cap);
        CHECK_INT(n, cap < wanted_n ? -1 : (int64_t)wanted_n);
        CHECK_INT(out[cap], 0x55);
        if (n >= 0)
            CHECK_BYTES(out, (size_t)n, wanted, wanted_n);
        free(out);
    }
}

TEST(json_decodes_every_escape)
{
    check_decoded("\"\"", "", 0);
    check_decoded("\"plain\"", "plain", 5);
    check_decoded("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    check_decoded("\"a\\u0041\\u00e9\\u20AC\\u0000z\"", "aA\xc3\xa9\xe2\x82\xac\0z", 9);
    check_decoded("\"\\ud83d\\ude00\\uDBFF\\uDFFF\"", "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf", 8);
    check_decoded("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 11);
}

TEST(json_lone_surrogates_have_no_utf8_form)
{
    static const char *const lone[] = {"\"\\ud800\"", "\"\\udc00\"", "\"\\udfff\"", "\"\\ud83dx\"", "\"\\ud83d\\n\"", "\"\\ud83d\\ud83d\"",
                                       "\"\\ude00\\ud83d\"", "\"\\ud83d\\u0041\"", "\"\\udbff\\ue000\""};
    char out[32];
    for (size_t i = 0; i < sizeof lone / sizeof *lone; i++)
        CHECK_INT(decode(lone[i], out, sizeof out), -2);
}

static int integer(const char *text, bool *negative, uint64_t *n)
{
    struct mq_json value;
    char *line = padded(text, strlen(text));
    CHECK(mq_json_scan(line, &value) == line + strlen(text));
    int status = mq_json_integer(&value, negative, n);
    free(line);
    return status;
}

TEST(json_reads_integers_up_to_64_bits)
{
    static const struct {
        const char *text;
        int status;
        bool negative;
        uint64_t n;
    } numbers[] = {
        {"0", 0, false, 0}, {"-0", 0, true, 0}, {"42", 0, false, 42}, {"-2147483648", 0, true, 2147483648u},
        {"18446744073709551615", 0, false, UINT64_MAX}, {"18446744073709551616", -2, false, 0},
        {"-18446744073709551616", -2, true, 0}, {"99999999999999999999999", -2, false, 0}, {"1.0", -1, false, 0},
        {"1e2", -1, false, 0}, {"99999999999999999999999.5", -1, false, 0}, {"\"1\"", -1, false, 0}, {"true", -1, false, 0},
        {"null", -1, false, 0}, {"[1]", -1, false, 0},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        bool negative = false;
        uint64_t n = 0;
        test_note("%s", numbers[i].text);
        CHECK_INT(integer(numbers[i].text, &negative, &n), numbers[i].status);
        if (numbers[i].status == 0)
            CHECK(n == numbers[i].n && negative == numbers[i].negative);
    }
}
