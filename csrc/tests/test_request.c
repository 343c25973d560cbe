/* Request lines as fields: what is present, what each type takes, and that a refusal says why. */
#include "tests/naive_json.h"
#include "tests/padded.h"
#include "tests/test.h"
#include "wire/request.h"

#include <stdio.h>

#define B(field) MQ_BIT(MQ_F_##field)

static struct mq_names names;
static struct mq_request request;
static char *line;

static int parse_n(const char *bytes, size_t n)
{
    if (!request.names) {
        mq_names_init(&names);
        mq_request_init(&request, &names);
    }
    free(line);
    line = padded(bytes, n);
    test_note("%.*s", (int)(n < 200 ? n : 200), bytes);
    return mq_request_parse(&request, mq_slice_of(line, n));
}

static int parse(const char *text) { return parse_n(text, strlen(text)); }

static int bind(const char *text, uint64_t required, uint64_t optional)
{
    int status = parse(text);
    return status < 0 ? status : mq_request_bind(&request, required, optional);
}

static void done(void)
{
    free(line);
    line = NULL;
    mq_request_close(&request);
}

static const char *why(void)
{
    static char text[2048];
    snprintf(text, sizeof text, "%.*s", (int)request.why_n, request.why);
    return text;
}

static void check_text(enum mq_field field, const char *wanted)
{
    CHECK(mq_has(&request, field));
    CHECK_BYTES(request.text[field].p, request.text[field].n, wanted, strlen(wanted));
}

/* --- names and presence --- */

TEST(request_knows_fields_in_snake_and_camel_case)
{
    CHECK_INT(bind("{\"max_attempts\":1,\"unique_key\":\"k\"}", 0, B(MAX_ATTEMPTS) | B(UNIQUE_KEY)), MQ_OK);
    CHECK(mq_has(&request, MQ_F_MAX_ATTEMPTS) && mq_has(&request, MQ_F_UNIQUE_KEY));
    CHECK_INT(bind("{\"maxAttempts\":2,\"uniqueKey\":\"k\"}", 0, B(MAX_ATTEMPTS) | B(UNIQUE_KEY)), MQ_OK);
    CHECK_INT(request.number[MQ_F_MAX_ATTEMPTS], 2);
    check_text(MQ_F_UNIQUE_KEY, "k");
    CHECK_INT(parse("{\"MAX_ATTEMPTS\":1,\"Queue\":1,\"queu\":1,\"queuee\":1,\"\":1}"), MQ_OK);
    CHECK_INT(request.present, 0);
    done();
}

TEST(request_finds_every_field_of_the_table_by_both_names)
{
    static const struct {
        const char *snake, *camel;
    } rows[] = {
#define MQ_FIELD(id, snake, camel, type, minimum, maximum, doc) {snake, camel},
#include "fields.def"
#undef MQ_FIELD
    };
    for (unsigned field = 0; field < MQ_F_N; field++)
        for (int camel = 0; camel < 2; camel++) {
            char text[128];
            snprintf(text, sizeof text, "{\"%s\":true}", camel ? rows[field].camel : rows[field].snake);
            CHECK_INT(parse(text), MQ_OK);
            CHECK_INT(request.present, MQ_BIT(field));
        }
    done();
}

TEST(request_reads_keys_written_with_escapes)
{
    CHECK_INT(bind("{\"\\u0071ueue\":\"a\",\"da\\u0074a\":1}", B(QUEUE) | B(DATA), 0), MQ_OK);
    check_text(MQ_F_QUEUE, "a");
    CHECK_INT(parse("{\"\\ud800\":1,\"q\\u0075\\u0065ue with more and more and more and more and more and more text\":1}"), MQ_OK);
    CHECK_INT(request.present, 0);
    done();
}

TEST(request_takes_the_last_of_duplicate_keys)
{
    CHECK_INT(bind("{\"priority\":1,\"priority\":2,\"queue\":\"a\",\"queue\":\"b\"}", B(QUEUE), B(PRIORITY)), MQ_OK);
    CHECK_INT(request.number[MQ_F_PRIORITY], 2);
    check_text(MQ_F_QUEUE, "b");
    CHECK_INT(bind("{\"maxAttempts\":7,\"max_attempts\":8}", 0, B(MAX_ATTEMPTS)), MQ_OK);
    CHECK_INT(request.number[MQ_F_MAX_ATTEMPTS], 8);
    CHECK_INT(bind("{\"priority\":1,\"priority\":null}", 0, B(PRIORITY)), MQ_OK);
    CHECK(!mq_has(&request, MQ_F_PRIORITY));
    CHECK_INT(bind("{\"jobs\":[{}],\"jobs\":[{},{},{}]}", B(JOBS), 0), MQ_OK);
    CHECK_INT(request.item_count, 3);
    CHECK_INT(bind("{\"jobs\":[{}],\"jobs\":3}", B(JOBS), 0), MQ_E_INVALID);
    done();
}

TEST(request_ignores_what_a_command_does_not_list)
{
    CHECK_INT(bind("{\"queue\":\"a\",\"priority\":\"high\",\"id\":-1,\"ids\":{},\"x\":[[]]}", B(QUEUE), 0), MQ_OK);
    CHECK_INT(request.bound, B(QUEUE));
    CHECK_INT(bind("{\"queue\":\"a\",\"x\":[1,]}", B(QUEUE), 0), MQ_E_INVALID); /* but it must be JSON */
    done();
}

TEST(request_null_means_the_default_of_an_optional_field)
{
    CHECK_INT(bind("{\"queue\":\"a\",\"priority\":null,\"ids\":null,\"token\":null,\"jobs\":null}", B(QUEUE),
                   B(PRIORITY) | B(IDS) | B(TOKEN) | B(JOBS)), MQ_OK);
    CHECK_INT(request.bound, B(QUEUE));
    CHECK_INT(bind("{\"queue\":null}", B(QUEUE), 0), MQ_E_INVALID);
    CHECK_INT(bind("{\"id\":null}", B(ID), 0), MQ_E_INVALID);
    CHECK_INT(bind("{\"jobs\":null}", B(JOBS), 0), MQ_E_INVALID);
    CHECK_INT(bind("{\"data\":null}", B(DATA), 0), MQ_OK); /* null is a payload like any other */
    check_text(MQ_F_DATA, "null");
    done();
}

TEST(request_names_the_missing_field)
{
    CHECK_INT(bind("{\"data\":1}", B(QUEUE) | B(DATA), 0), MQ_E_INVALID);
    CHECK_TEXT(why(), "Invalid: queue is required");
    CHECK_INT(bind("{\"queue\":\"a\"}", B(QUEUE) | B(DATA), 0), MQ_E_INVALID);
    CHECK_TEXT(why(), "Invalid: data is required");
    done();
}

/* --- types and limits --- */

/* A string field of n bytes; `escaped`: one of them written as an escape. */
static int bind_string_of(const char *field, uint64_t bit, size_t n, bool escaped)
{
    char *text = malloc(n + 128), *o = text;
    o += sprintf(o, "{\"%s\":\"", field);
    for (size_t i = escaped; i < n; i++)
        *o++ = 'x';
    o += sprintf(o, "%s\"}", escaped && n ? "\\u0079" : "");
    int status = bind(text, bit, 0);
    free(text);
    return status;
}

static void check_string_limit(const char *field, uint64_t bit, size_t minimum, size_t maximum)
{
    for (int escaped = 0; escaped < 2; escaped++) {
        CHECK_INT(bind_string_of(field, bit, maximum, escaped), MQ_OK);
        CHECK_INT(request.text[__builtin_ctzll(bit)].n, maximum);
        CHECK_INT(bind_string_of(field, bit, maximum + 1, escaped), MQ_E_PAYLOAD_TOO_LARGE);
        CHECK_HAS(why(), field);
        CHECK_INT(bind_string_of(field, bit, maximum + 100, escaped), MQ_E_PAYLOAD_TOO_LARGE);
    }
    CHECK_INT(bind_string_of(field, bit, 0, false), minimum ? MQ_E_INVALID : MQ_OK);
}

TEST(request_limits_strings_in_bytes_of_utf8)
{
    check_string_limit("queue", B(QUEUE), 1, 255);
    check_string_limit("unique_key", B(UNIQUE_KEY), 0, 1024);
    check_string_limit("token", B(TOKEN), 0, 1024);
    CHECK_INT(bind("{\"queue\":\"\\u20ac\\ud83d\\ude00\\u0000\"}", B(QUEUE), 0), MQ_OK);
    CHECK_BYTES(request.text[MQ_F_QUEUE].p, request.text[MQ_F_QUEUE].n, "\xe2\x82\xac\xf0\x9f\x98\x80\0", 8);
    CHECK_INT(bind("{\"queue\":\"a\\ud800\"}", B(QUEUE), 0), MQ_E_INVALID);
    CHECK_HAS(why(), "surrogate");
    done();
}

TEST(request_decodes_all_strings_of_a_command_at_their_limits)
{
    char text[8192], *o = text;
    static const struct {
        const char *name;
        int escapes;
    } fields[] = {{"queue", 255}, {"unique_key", 1024}, {"token", 1024}};
    *o++ = '{';
    for (int i = 0; i < 3; i++) {
        o += sprintf(o, "%s\"%s\":\"", i ? "," : "", fields[i].name);
        for (int j = 0; j < fields[i].escapes; j++)
            o += sprintf(o, "\\n");
        *o++ = '"';
    }
    strcpy(o, "}");
    CHECK_INT(bind(text, B(QUEUE) | B(UNIQUE_KEY) | B(TOKEN), 0), MQ_OK);
    CHECK_INT(request.text[MQ_F_QUEUE].n, 255);
    CHECK_INT(request.text[MQ_F_UNIQUE_KEY].n, 1024);
    CHECK_INT(request.text[MQ_F_TOKEN].n, 1024);
    CHECK(request.text[MQ_F_QUEUE].p[254] == '\n' && request.text[MQ_F_TOKEN].p[1023] == '\n');
    done();
}

TEST(request_keeps_quoted_strings_as_written)
{
    CHECK_INT(bind("{\"error\":\"a\\u0062\\n\\ud800\"}", 0, B(ERROR)), MQ_OK);
    check_text(MQ_F_ERROR, "\"a\\u0062\\n\\ud800\"");
    CHECK_INT(bind("{\"error\":{\"message\":1}}", 0, B(ERROR)), MQ_E_INVALID);
    CHECK_INT(bind_string_of("error", B(ERROR), 1048576, false), MQ_OK);
    CHECK_INT(request.text[MQ_F_ERROR].n, 1048576 + 2);
    CHECK_INT(bind_string_of("error", B(ERROR), 1048577, false), MQ_E_PAYLOAD_TOO_LARGE);
    CHECK_INT(bind_string_of("error", B(ERROR), 1048576 - 5, true), MQ_OK); /* an escape counts as written */
    CHECK_INT(bind_string_of("error", B(ERROR), 1048576 - 4, true), MQ_E_PAYLOAD_TOO_LARGE);
    CHECK_INT(bind_string_of("req_id", B(REQ_ID), 128, false), MQ_OK);
    CHECK_INT(bind_string_of("reqId", B(REQ_ID), 129, false), MQ_E_PAYLOAD_TOO_LARGE);
    done();
}

TEST(request_keeps_any_value_as_payload_byte_for_byte)
{
    static const char *const payloads[] = {"1.000", "1e400", "-0", "[ 1 ,\t2 ]", "{\"a\" : {} }", "\"\\u0041\\ud800\"", "null", "true",
                                           "123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        char text[128];
        snprintf(text, sizeof text, "{ \"data\" : %s }", payloads[i]);
        CHECK_INT(bind(text, B(DATA), 0), MQ_OK);
        check_text(MQ_F_DATA, payloads[i]);
    }
    done();
}

/* A field with this value, as text. */
static int bind_value(const char *field, uint64_t bit, const char *value)
{
    char text[256];
    snprintf(text, sizeof text, "{\"%s\":%s}", field, value);
    return bind(text, bit, 0);
}

TEST(request_limits_integers)
{
    CHECK_INT(bind_value("delay", B(DELAY), "0"), MQ_OK);
    CHECK_INT(bind_value("delay", B(DELAY), "18446744073709551615"), MQ_OK);
    CHECK(request.number[MQ_F_DELAY] == UINT64_MAX);
    CHECK_INT(bind_value("lease", B(LEASE), "1"), MQ_OK);
    CHECK_INT(bind_value("lease", B(LEASE), "0"), MQ_E_INVALID);
    CHECK_HAS(why(), "from 1 to 18446744073709551615");
    static const char *const bad[] = {"-1", "18446744073709551616", "1.0", "1e3", "\"1\"", "true", "[]", "{}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(bind_value("delay", B(DELAY), bad[i]), MQ_E_INVALID);
        CHECK_HAS(why(), "delay");
        CHECK_INT(bind_value("count", B(COUNT), bad[i]), MQ_E_INVALID);
        CHECK_INT(bind_value("maxAttempts", B(MAX_ATTEMPTS), bad[i]), MQ_E_INVALID);
    }
    done();
}

TEST(request_limits_priority_to_32_bits)
{
    CHECK_INT(bind_value("priority", B(PRIORITY), "2147483647"), MQ_OK);
    CHECK_INT((int64_t)request.number[MQ_F_PRIORITY], 2147483647);
    CHECK_INT(bind_value("priority", B(PRIORITY), "-2147483648"), MQ_OK);
    CHECK_INT((int64_t)request.number[MQ_F_PRIORITY], -2147483648LL);
    CHECK_INT(bind_value("priority", B(PRIORITY), "-0"), MQ_OK);
    CHECK_INT(request.number[MQ_F_PRIORITY], 0);
    static const char *const bad[] = {"2147483648", "-2147483649", "99999999999999999999", "0.5", "\"1\"", "false"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(bind_value("priority", B(PRIORITY), bad[i]), MQ_E_INVALID);
    done();
}

TEST(request_tells_a_bad_id_from_what_is_no_id)
{
    static const char *const bad_ids[] = {"0", "-0", "-1", "9007199254740992", "18446744073709551616", "-18446744073709551616"};
    static const char *const no_ids[] = {"1.0", "1e2", "\"1\"", "true", "[1]", "{}"};
    char list[64];
    CHECK_INT(bind_value("id", B(ID), "1"), MQ_OK);
    CHECK_INT(bind_value("id", B(ID), "9007199254740991"), MQ_OK);
    CHECK_INT(request.number[MQ_F_ID], 9007199254740991);
    for (size_t i = 0; i < sizeof bad_ids / sizeof *bad_ids; i++) {
        CHECK_INT(bind_value("id", B(ID), bad_ids[i]), MQ_E_BAD_ID);
        snprintf(list, sizeof list, "[1,%s]", bad_ids[i]);
        CHECK_INT(bind_value("ids", B(IDS), list), MQ_E_BAD_ID);
        CHECK_INT(bind_value("depends_on", B(DEPENDS_ON), list), MQ_E_BAD_ID);
    }
    for (size_t i = 0; i < sizeof no_ids / sizeof *no_ids; i++) {
        CHECK_INT(bind_value("id", B(ID), no_ids[i]), MQ_E_INVALID);
        snprintf(list, sizeof list, "[1,%s]", no_ids[i]);
        CHECK_INT(bind_value("ids", B(IDS), list), MQ_E_INVALID);
    }
    CHECK_INT(bind_value("ids", B(IDS), "[null]"), MQ_E_INVALID);
    CHECK_INT(bind_value("ids", B(IDS), "1"), MQ_E_INVALID);
    done();
}

TEST(request_takes_flags_and_lists_of_strings)
{
    CHECK_INT(bind_value("unrecoverable", B(UNRECOVERABLE), "true"), MQ_OK);
    CHECK_INT(request.number[MQ_F_UNRECOVERABLE], 1);
    CHECK_INT(bind_value("unrecoverable", B(UNRECOVERABLE), "false"), MQ_OK);
    CHECK_INT(request.number[MQ_F_UNRECOVERABLE], 0);
    CHECK_INT(bind_value("unrecoverable", B(UNRECOVERABLE), "1"), MQ_E_INVALID);
    CHECK_INT(bind_value("tokens", B(TOKENS), "[\"a\",null,\"\"]"), MQ_OK);
    CHECK_INT(bind_value("tokens", B(TOKENS), "[1]"), MQ_E_INVALID);
    CHECK_INT(bind_value("tokens", B(TOKENS), "\"a\""), MQ_E_INVALID);
    CHECK_INT(bind_value("results", B(RESULTS), "[1,null,{\"a\":[]},\"x\"]"), MQ_OK);
    CHECK_INT(bind_value("results", B(RESULTS), "{}"), MQ_E_INVALID);
    done();
}

/* {"field":[element,element,...]} */
static int bind_list(const char *field, uint64_t bit, const char *element, size_t n)
{
    char *text = malloc(64 + n * (strlen(element) + 1)), *o = text;
    o += sprintf(o, "{\"%s\":[", field);
    for (size_t i = 0; i < n; i++)
        o += sprintf(o, "%s%s", i ? "," : "", element);
    strcpy(o, "]}");
    int status = bind(text, bit, 0);
    free(text);
    return status;
}

TEST(request_limits_lists)
{
    static const struct {
        const char *field, *element;
        uint64_t bit;
        size_t maximum;
    } lists[] = {{"ids", "1", B(IDS), 100000},           {"tokens", "null", B(TOKENS), 100000},
                 {"results", "{}", B(RESULTS), 100000}, {"depends_on", "1", B(DEPENDS_ON), 1000},
                 {"jobs", "{}", B(JOBS), 100000},       {"jobs", "7", B(JOBS), 100000}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        CHECK_INT(bind_list(lists[i].field, lists[i].bit, lists[i].element, 0), MQ_OK);
        CHECK_INT(bind_list(lists[i].field, lists[i].bit, lists[i].element, lists[i].maximum), MQ_OK);
        CHECK_INT(bind_list(lists[i].field, lists[i].bit, lists[i].element, lists[i].maximum + 1), MQ_E_PAYLOAD_TOO_LARGE);
        CHECK_HAS(why(), lists[i].field);
    }
    done();
}

TEST(request_walks_the_elements_of_a_list)
{
    static const char *const wanted[] = {"1", "\"a,]\"", "[2,[3]]", "{\"b\":[]}", "null"};
    struct mq_json element = {0};
    CHECK_INT(bind("{\"results\": [ 1 ,\"a,]\",\t[2,[3]] , {\"b\":[]},null ]}", B(RESULTS), 0), MQ_OK);
    for (size_t i = 0; i < 5; i++) {
        CHECK(mq_request_element(&request, MQ_F_RESULTS, &element));
        CHECK_BYTES(element.p, element.n, wanted[i], strlen(wanted[i]));
    }
    CHECK(!mq_request_element(&request, MQ_F_RESULTS, &element));
    CHECK_INT(bind("{\"results\":[ ]}", B(RESULTS), 0), MQ_OK);
    CHECK(!mq_request_element(&request, MQ_F_RESULTS, &(struct mq_json){0}));
    done();
}
