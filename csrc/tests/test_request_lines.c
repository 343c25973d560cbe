/* Whole request lines: batches, what is no line, and that no mutation is taken for something it is not. */
#include "tests/naive_json.h"
#include "tests/padded.h"
#include "tests/test.h"
#include "wire/request.h"

#include <stdio.h>

#define B(field) MQ_BIT(MQ_F_##field)

static struct mq_names names;
static struct mq_request request, item;
static char *line;

static void setup(void)
{
    mq_names_init(&names);
    mq_request_init(&request, &names);
    mq_request_init(&item, &names);
}

static void done(void)
{
    free(line);
    line = NULL;
    mq_request_close(&request);
}

static int parse(const char *bytes, size_t n)
{
    free(line);
    line = padded(bytes, n);
    test_note("%.*s", (int)(n < 200 ? n : 200), bytes);
    return mq_request_parse(&request, mq_slice_of(line, n));
}

static int parse_text(const char *text) { return parse(text, strlen(text)); }

static const char *const lines[] = {
    "{\"cmd\":\"PUSH\",\"queue\":\"emails\",\"data\":{\"to\":\"a@b.c\",\"n\":[1,2]},\"priority\":-1,\"delay\":10,\"unique_key\":\"k\"}",
    "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[{\"data\":1},{\"data\":\"\\u00e9\",\"priority\":2},7,{}],\"reqId\":\"r\\n1\"}",
    "{\"cmd\":\"ACKB\",\"ids\":[1,2,3],\"tokens\":[\"a\",null,\"b\"],\"results\":[1,{},null]}",
    "{\"cmd\":\"FAIL\",\"id\":5,\"error\":\"bad \xc3\xa9\",\"unrecoverable\":true}",
    "{ \"queue\" : \"q\" , \"timeout\" : 0 , \"cmd\" : \"pull\" }",
    "{}",
};

TEST(line_of_nothing_but_an_object_is_accepted)
{
    setup();
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char spaced[512];
        snprintf(spaced, sizeof spaced, " \t%s \t\r", lines[i]);
        CHECK_INT(parse_text(lines[i]), MQ_OK);
        CHECK_INT(parse_text(spaced), MQ_OK);
    }
    done();
}

TEST(line_cut_anywhere_is_refused_and_leaves_no_field)
{
    setup();
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (size_t n = 0; n < strlen(lines[i]); n++) {
            CHECK_INT(parse(lines[i], n), MQ_E_INVALID);
            CHECK_INT(request.present, 0);
        }
    done();
}

TEST(line_that_is_no_object_is_refused)
{
    static const char *const bad[] = {"", " ", "\r", "null", "1", "\"a\"", "[]", "[{}]", "{}{}", "{} x", "{}]", "x{}", "\xef\xbb\xbf{}", "{'a':1}",
                                      "{\"a\":1,}", "{\"a\"}", "{\"a\":}", "{,}", "{\"a\":1 \"b\":2}", "{\"jobs\":[1,]}", "{\"jobs\":[{]}",
                                      "{\"jobs\":[{\"data\"}]}", "{\"jobs\":[{\"data\":1,}]}", "{\"jobs\":[{}}", "{\"jobs\":[", "{\"jobs\":[1 2]}"};
    setup();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(parse_text(bad[i]), MQ_E_INVALID);
        CHECK_HAS(request.why, i < 3 ? "empty" : "not one valid JSON object");
    }
    CHECK_INT(parse("{}\0", 3), MQ_E_INVALID);
    CHECK_INT(parse("\0{}", 3), MQ_E_INVALID);
    CHECK_INT(parse_text("{\"cmd\":\"PING\"}"), MQ_OK); /* the next honest line works */
    done();
}

TEST(line_reused_requests_forget_the_line_before)
{
    setup();
    CHECK_INT(parse_text(lines[1]), MQ_OK);
    CHECK_INT(mq_request_bind(&request, B(JOBS), 0), MQ_OK);
    CHECK_INT(parse_text("{\"cmd\":\"PING\"}"), MQ_OK);
    CHECK_INT(request.present, B(CMD));
    CHECK_INT(request.bound, 0);
    CHECK_INT(request.item_count, 0);
    done();
}

/* --- batches --- */

static void check_item(uint32_t *at, bool is_object, uint64_t present)
{
    CHECK(mq_request_item(&request, at, &item) == is_object);
    CHECK_INT(item.present, present);
}

TEST(batch_items_carry_their_own_fields)
{
    uint32_t at = 0;
    setup();
    CHECK_INT(parse_text("{\"jobs\":[{\"data\":1,\"priority\":5},{},{\"x\":{\"data\":2}},null,{\"data\":[{}],\"data\":\"last\"},"
                         "[{\"data\":9}],{\"delay\":1,\"maxAttempts\":3}],\"queue\":\"q\"}"), MQ_OK);
    CHECK_INT(request.item_count, 7);
    check_item(&at, true, B(DATA) | B(PRIORITY));
    CHECK_INT(mq_request_bind(&item, B(DATA), B(PRIORITY)), MQ_OK);
    CHECK_INT(item.number[MQ_F_PRIORITY], 5);
    check_item(&at, true, 0);
    CHECK_INT(mq_request_bind(&item, B(DATA), B(PRIORITY)), MQ_E_INVALID);
    check_item(&at, true, 0);
    check_item(&at, false, 0);
    check_item(&at, true, B(DATA));
    CHECK_INT(mq_request_bind(&item, B(DATA), 0), MQ_OK);
    CHECK_BYTES(item.text[MQ_F_DATA].p, item.text[MQ_F_DATA].n, "\"last\"", 6);
    check_item(&at, false, 0);
    check_item(&at, true, B(DELAY) | B(MAX_ATTEMPTS));
    CHECK_INT(at, request.items_n);
    done();
}

TEST(batch_of_many_items_survives_growth_of_its_array)
{
    char *text = malloc(64 + 5000 * 40), *o = text;
    uint32_t at = 0;
    setup();
    o += sprintf(o, "{\"jobs\":[");
    for (int i = 0; i < 5000; i++)
        o += sprintf(o, "%s{\"data\":%d,\"priority\":%d,\"y\":0}", i ? "," : "", i, i % 7);
    strcpy(o, "]}");
    CHECK_INT(parse_text(text), MQ_OK);
    for (int i = 0; i < 5000; i++) {
        char digits[16];
        check_item(&at, true, B(DATA) | B(PRIORITY));
        CHECK_INT(mq_request_bind(&item, B(DATA), B(PRIORITY)), MQ_OK);
        CHECK_INT(item.number[MQ_F_PRIORITY], i % 7);
        CHECK_BYTES(item.text[MQ_F_DATA].p, item.text[MQ_F_DATA].n, digits, (size_t)sprintf(digits, "%d", i));
    }
    free(text);
    done();
}

/* --- mutations: a line is accepted exactly when the naive reader takes it for one object --- */

static bool naive_accepts(const char *p, size_t n)
{
    const char *end = p + n;
    while (p < end && strchr(" \t\r", *p) && *p)
        p++;
    if (p == end || *p != '{' || !(p = naive_json_end(p, end, MQ_JSON_DEPTH)))
        return false;
    while (p < end && strchr(" \t\r", *p) && *p)
        p++;
    return p == end;
}

TEST(line_mutations_are_accepted_only_if_they_are_json)
{
    struct random random = {test_setting("MQ_TEST_SEED", 5)};
    static const char interesting[] = "{}[]\",:\\u0ntjobsd-+. \t\r\x01\x80\xc3\xff";
    uint64_t accepted = 0, rounds = 400 * test_setting("MQ_TEST_SEEDS", 200);
    setup();
    for (uint64_t i = 0; i < rounds; i++) {
        const char *seed = lines[random_below(&random, sizeof lines / sizeof *lines)];
        size_t n = strlen(seed);
        char text[512];
        memcpy(text, seed, n);
        for (uint64_t edits = random_below(&random, 4); edits && n; edits--) {
            size_t at = random_below(&random, n), more = random_below(&random, n - at) + 1;
            switch (random_below(&random, 4)) {
            case 0:
                memmove(text + at, text + at + 1, --n - at);
                break;
            case 1: /* a piece twice */
                if (n + more < sizeof text) {
                    memmove(text + at + more, text + at, n - at);
                    n += more;
                }
                break;
            default:
                text[at] = interesting[random_below(&random, sizeof interesting - 1)];
            }
        }
        bool ok = parse(text, n) == MQ_OK;
        CHECK(ok == naive_accepts(text, n));
        accepted += ok;
        if (ok) /* binding whatever is there must not read past anything either */
            mq_request_bind(&request, 0, MQ_BIT(MQ_F_N) - 1);
    }
    CHECK(accepted > rounds / 20);
    done();
}

TEST(request_texts_of_refusals_are_whole_and_short)
{
    struct mq_request *r = malloc(sizeof *r);
    setup();
    mq_request_init(r, &names);
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    CHECK_INT(mq_request_refuse(r, MQ_E_INVALID, "Invalid: %s", text), MQ_E_INVALID);
    CHECK(r->why_n < sizeof r->why && r->why[r->why_n] == 0);
    CHECK_INT(strlen(r->why), r->why_n);
    free(r);
    done();
}
