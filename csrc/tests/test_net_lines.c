/* Bytes in, answers out, over real sockets: any split, any pipelining, every abuse, and then an honest command. */
#include "tests/engine.h"
#include "tests/naive_json.h"
#include "tests/server.h"
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server s;
static struct client c, other;

static void setup_with(const struct mq_config *config)
{
    server_start(&s, config, 1);
    client_open(&c, &s);
    client_open(&other, &s);
}

static void setup(void) { setup_with(NULL); }

static void honest(void) { CHECK_TEXT(client_ask(&c, "{\"cmd\":\"PING\"}"), "{\"ok\":true,\"pong\":true}"); }

static void done(void)
{
    client_close(&c);
    client_close(&other);
    WAIT_UNTIL(mq_net_connections(s.net) == 0);
    server_end(&s);
}

/* The reactor has seen everything that was sent before: it serves all that is ready in one turn. */
static void seen(void) { client_ask(&other, "{\"cmd\":\"PING\"}"); }

static const char lines[] = "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"\xc3\xa9\\n\",\"reqId\":\"1\"}\n"
                            "{\"cmd\":\"PULL\",\"queue\":\"q\",\"timeout\":0,\"reqId\":\"2\"}\r\n"
                            "\n"
                            "nonsense\n"
                            "{\"cmd\":\"PING\",\"reqId\":\"5\"}\n";

static void check_answers(void)
{
    CHECK(answer_is(client_hear(&c), "reqId", "\"1\""));
    const char *answer = client_hear(&c);
    CHECK(answer_is(answer, "reqId", "\"2\"") && answer_is(answer, "job.data", "\"\xc3\xa9\\n\""));
    CHECK(answer_is(client_hear(&c), "code", "\"invalid\""));
    CHECK(answer_is(client_hear(&c), "code", "\"invalid\""));
    CHECK(answer_is(client_hear(&c), "reqId", "\"5\""));
}

/* A snapshot's child has, as fork gives it, every descriptor of the daemon: a closed connection's file is open there. */
TEST(a_connection_closes_while_a_forked_child_has_its_descriptor)
{
    setup();
    seen();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    client_half_close(&c); /* the child has this end, too */
    client_close(&c);
    for (int i = 0; i < 100; i++)
        seen();
    WAIT_UNTIL(mq_net_connections(s.net) == 1);
    client_open(&c, &s);
    honest();
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    done();
}

TEST(lines_split_at_every_byte_are_answered_the_same)
{
    setup();
    for (size_t at = 0; at < sizeof lines; at++) {
        test_note("split at %zu", at);
        client_send(&c, lines, at);
        seen();
        client_send(&c, lines + at, sizeof lines - 1 - at);
        check_answers();
        CHECK(!client_has_answer(&c));
    }
    done();
}

TEST(lines_that_come_byte_by_byte_are_answered_the_same)
{
    setup();
    for (size_t at = 0; at < sizeof lines - 1; at++) {
        client_send(&c, lines + at, 1);
        seen();
    }
    check_answers();
    done();
}

/* Sends from a thread of its own: who reads nothing until all is written may wait for ever. */
struct writing {
    const char *bytes;
    size_t n;
};

static void *write_all(void *argument)
{
    const struct writing *writing = argument;
    client_send(&c, writing->bytes, writing->n);
    return NULL;
}

TEST(a_hundred_thousand_pipelined_commands_are_answered_in_order)
{
    enum { N = 100000 };
    char *text = malloc(N * 48), *o = text;
    pthread_t thread;
    setup();
    for (int i = 0; i < N; i++)
        o += sprintf(o, i % 10 == 3 ? "{\"cmd\":\"X\",\"reqId\":\"%d\"}\n" : "{\"cmd\":\"PING\",\"reqId\":\"%d\"}\n", i);
    struct writing writing = {text, (size_t)(o - text)};
    CHECK_INT(pthread_create(&thread, NULL, write_all, &writing), 0);
    for (int i = 0; i < N; i++) {
        char wanted[80];
        const char *answer = client_hear(&c);
        snprintf(wanted, sizeof wanted, i % 10 == 3 ? "\"reqId\":\"%d\"}" : "{\"ok\":true,\"pong\":true,\"reqId\":\"%d\"}", i);
        CHECK_HAS(answer, wanted);
    }
    pthread_join(thread, NULL);
    free(text);
    honest();
    done();
}

TEST(pipelined_commands_take_effect_in_order)
{
    setup();
    for (int round = 0; round < 50; round++) {
        client_say(&c, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":%d}\n{\"cmd\":\"PULL\",\"queue\":\"q\"}\n{\"cmd\":\"ACK\",\"id\":%d}", round,
                   ((round + 1) << 10) + 589);
        client_hear(&c);
        CHECK_INT(answer_number(client_hear(&c), "job.data"), round);
        CHECK_TEXT(client_hear(&c), "{\"ok\":true}");
    }
    done();
}

/* --- lines that are too long --- */

static void setup_short_lines(size_t max_line)
{
    struct mq_config config = engine_config();
    config.max_line = max_line;
    setup_with(&config);
}

/* A PING of exactly n bytes without its newline. */
static void send_ping_of(size_t n)
{
    char *text = malloc(n + 1);
    memset(text, ' ', n);
    memcpy(text, "{\"cmd\":\"PING\"", 13);
    text[n - 1] = '}';
    text[n] = '\n';
    client_send(&c, text, n + 1);
    free(text);
}

TEST(line_of_max_line_is_served_and_one_byte_more_is_refused)
{
    static const size_t limits[] = {100, 5000, 131071, 131072, 131073, 300000};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        setup_short_lines(limits[i]);
        test_note("limit %zu", limits[i]);
        for (int round = 0; round < 2; round++) {
            send_ping_of(limits[i]);
            CHECK(answer_is(client_hear(&c), "pong", "true"));
            send_ping_of(limits[i] + 1);
            CHECK(answer_is(client_hear(&c), "code", "\"line_too_long\""));
            honest();
        }
        done();
    }
}

TEST(line_far_too_long_is_refused_once_and_skipped_to_its_end)
{
    char *text = malloc(1 << 20);
    setup_short_lines(1000);
    memset(text, 'x', 1 << 20);
    for (int i = 0; i < 4; i++)
        client_send(&c, text, 1 << 20);
    CHECK(answer_is(client_hear(&c), "code", "\"line_too_long\"")); /* before its newline has come */
    client_send(&c, text, 12345);
    seen();
    CHECK(!client_has_answer(&c));
    client_say(&c, "the end of it");
    honest();
    free(text);
    done();
}

TEST(line_of_sixteen_mebibytes_is_served)
{
    struct mq_config config = engine_config();
    size_t n = config.max_line - 60;
    char *data = malloc(n + 1);
    config.max_job_bytes = config.max_line;
    config.max_output = 64 << 20;
    setup_with(&config);
    memset(data, 'a', n);
    data[n] = 0;
    CHECK(answer_has(client_ask(&c, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"%s\"}", data), "id"));
    const char *value;
    size_t value_n;
    CHECK(answer_find(client_ask(&c, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "job.data", &value, &value_n));
    CHECK(value_n == n + 2 && memcmp(value + 1, data, n) == 0);
    free(data);
    honest();
    done();
}

/* --- half close --- */

TEST(half_closed_connection_is_answered_and_then_closed)
{
    setup();
    client_say(&c, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}\n{\"cmd\":\"PING\"}\n{\"cmd\":\"PULL\",\"queue\":\"q\"}\n{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    client_half_close(&c);
    CHECK(answer_has(client_hear(&c), "id"));
    CHECK(answer_is(client_hear(&c), "pong", "true"));
    CHECK_INT(answer_number(client_hear(&c), "job.data"), 1);
    CHECK_TEXT(client_hear(&c), "{\"ok\":true,\"job\":null}"); /* would have waited */
    CHECK(client_at_end(&c));
    WAIT_UNTIL(server_stat(&s, "queued") == 1); /* and what it held went back */
    done();
}

TEST(half_close_answers_parked_pulls_with_nothing)
{
    setup();
    client_say(&c, "{\"cmd\":\"PULL\",\"queue\":\"a\",\"reqId\":\"r\"}\n{\"cmd\":\"PULLB\",\"queue\":\"b\",\"count\":3}\n"
                   "{\"cmd\":\"PULL\",\"queue\":\"b\"}\n{\"cmd\":\"PING\"}");
    WAIT_UNTIL(server_waiters(&s, "a") == 1 && server_waiters(&s, "b") == 1);
    client_half_close(&c);
    CHECK_TEXT(client_hear(&c), "{\"ok\":true,\"job\":null,\"reqId\":\"r\"}");
    CHECK_TEXT(client_hear(&c), "{\"ok\":true,\"jobs\":[]}");
    CHECK_TEXT(client_hear(&c), "{\"ok\":true,\"job\":null}"); /* was held back, and would now wait for ever */
    CHECK(answer_is(client_hear(&c), "pong", "true"));
    CHECK(client_at_end(&c));
    CHECK(!server_waiters(&s, "a") && !server_waiters(&s, "b"));
    done();
}

TEST(last_line_without_its_newline_is_refused_not_executed)
{
    setup();
    static const char line[] = "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}";
    client_send(&c, line, sizeof line - 1);
    seen();
    client_half_close(&c);
    CHECK(answer_is(client_hear(&c), "code", "\"invalid\""));
    CHECK(client_at_end(&c));
    CHECK_INT(server_stat(&s, "queued"), 0);
    done();
}

TEST(half_close_inside_a_line_that_is_too_long_ends_quietly)
{
    setup_short_lines(100);
    client_send(&c, lines, 0);
    char text[500];
    memset(text, 'x', sizeof text);
    client_send(&c, text, sizeof text);
    CHECK(answer_is(client_hear(&c), "code", "\"line_too_long\""));
    client_send(&c, text, sizeof text);
    client_half_close(&c);
    CHECK(client_at_end(&c));
    done();
}

/* --- authentication --- */

/* A page that somebody looks at may let the browser send this to a daemon on the same machine. */
TEST(a_request_of_http_is_told_what_this_is_and_nothing_behind_it_is_executed)
{
    static const char *const requests[] = {
        "POST / HTTP/1.1\r\nHost: 127.0.0.1:6789\r\nContent-Type: text/plain\r\n\r\n",
        "GET /queues HTTP/1.0\n",
        "PRI * HTTP/2.0\r\n\r\n",
        "x / HTTP/1.1\r\n",
    };
    setup();
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct client page;
        client_open(&page, &s);
        client_say(&page, "{\"cmd\":\"PING\"}");
        client_send(&page, requests[i], strlen(requests[i]));
        client_say(&page, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
        CHECK_TEXT(client_hear(&page), "{\"ok\":true,\"pong\":true}");
        CHECK_HAS(client_hear(&page), "HTTP/1.1 400 ");
        while (*client_hear(&page) != '\r')
            ;
        CHECK_HAS(client_hear(&page), "HTTP_PORT");
        CHECK(client_at_end(&page));
        client_close(&page);
    }
    CHECK_HAS(client_ask(&other, "{\"cmd\":\"STATS\"}"), "\"queued\":0,");
    client_say(&c, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"GET / HTTP/1.1\"}"); /* what a job holds is its own */
    CHECK_HAS(client_hear(&c), "\"ok\":true");
    honest();
    done();
}

TEST(without_a_token_only_open_commands_are_served)
{
    static const struct mq_grant grants[] = {{.token = "first", .roles = MQ_ROLE_ADMIN}, {.token = "s\xc3\xa9" "cond", .roles = MQ_ROLE_ADMIN}};
    struct mq_config config = engine_config();
    config.grants = grants;
    config.grant_n = 2;
    setup_with(&config);
    CHECK(answer_is(client_ask(&c, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"reqId\":\"a\"}"), "code", "\"auth_required\""));
    CHECK(answer_is(client_ask(&c, "{\"cmd\":\"NOPE\"}"), "code", "\"auth_required\""));
    CHECK(answer_is(client_ask(&c, "{\"cmd\":\"HELLO\"}"), "ok", "true"));
    honest();
    static const char *const wrong[] = {"", "firs", "firstt", "First", "firstfirst", "s\\u00e9con"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(answer_is(client_ask(&c, "{\"cmd\":\"AUTH\",\"token\":\"%s\"}", wrong[i]), "code", "\"auth_failed\""));
    CHECK(answer_is(client_ask(&c, "{\"cmd\":\"STATS\"}"), "code", "\"auth_required\""));
    CHECK_INT(server_stat(&s, "queued"), 0);
    CHECK_TEXT(client_ask(&c, "{\"cmd\":\"AUTH\",\"token\":\"s\\u00e9cond\"}"), "{\"ok\":true}");
    CHECK(answer_has(client_ask(&c, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}"), "id"));
    CHECK(answer_is(client_ask(&other, "{\"cmd\":\"STATS\"}"), "code", "\"auth_required\"")); /* each for itself */
    CHECK_TEXT(client_ask(&other, "{\"cmd\":\"AUTH\",\"token\":\"first\"}"), "{\"ok\":true}");
    done();
}

TEST(a_connection_from_inside_needs_no_token_and_ends_with_the_net)
{
    static const struct mq_grant grant = {.token = "secret", .roles = MQ_ROLE_ADMIN};
    struct mq_config config = engine_config();
    config.grants = &grant;
    config.grant_n = 1;
    setup_with(&config);
    struct client inside = {.fd = mq_net_connect(s.net)}, late = {.fd = -1};
    CHECK(inside.fd >= 0);
    client_say(&inside, "{\"cmd\":\"PULL\",\"queue\":\"q\",\"timeout\":60000}");
    CHECK(answer_is(client_ask(&c, "{\"cmd\":\"LISTQUEUES\"}"), "code", "\"auth_required\""));
    struct client pusher = {.fd = mq_net_connect(s.net)};
    CHECK(answer_is(client_ask(&pusher, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}"), "ok", "true"));
    CHECK(answer_is(client_hear(&inside), "job.data", "1"));
    client_close(&pusher);
    WAIT_UNTIL(mq_net_connections(s.net) == 3);
    CHECK(answer_is(client_ask(&inside, "{\"cmd\":\"PING\"}"), "pong", "true"));
    mq_net_stop(s.net, 0);
    CHECK(client_at_end(&inside));
    server_join(&s);
    late.fd = mq_net_connect(s.net);
    client_close(&inside);
    client_close(&c);
    client_close(&other);
    server_end(&s);
    CHECK(client_at_end(&late));
    client_close(&late);
}

/* --- random abuse --- */

TEST(mutated_lines_get_one_answer_each_in_order)
{
    struct random random = {test_setting("MQ_TEST_SEED", 31)};
    static const char *const seeds[] = {
        "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":[1,{\"a\":null}],\"priority\":3,\"delay\":5}", "{\"cmd\":\"DLQ\",\"queue\":\"q\",\"count\":3}",
        "{\"cmd\":\"ACKB\",\"ids\":[1613,2637],\"tokens\":[null,\"x\"]}", "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[{\"data\":1},{\"data\":2}]}",
        "{\"cmd\":\"FAIL\",\"id\":1613,\"error\":\"\\u00e9\"}", "{\"cmd\":\"LISTQUEUES\"}",
    };
    setup();
    for (uint64_t round = 0; round < test_setting("MQ_TEST_SEEDS", 200); round++) {
        char text[64 * 512], *o = text;
        for (int i = 0; i < 30; i++) {
            const char *seed = seeds[random_below(&random, 6)];
            size_t n = strlen(seed);
            memcpy(o, seed, n);
            for (uint64_t edits = random_below(&random, 3); edits; edits--) {
                char byte = (char)random_next(&random);
                o[random_below(&random, n)] = byte == '\n' ? ' ' : byte;
            }
            o += sprintf(o + n, "\n{\"cmd\":\"PING\",\"reqId\":\"%d\"}\n", i) + (int)n;
        }
        client_send(&c, text, (size_t)(o - text));
        for (int i = 0; i < 30; i++) {
            char wanted[32];
            const char *answer = client_hear(&c);
            CHECK(answer && naive_json_end(answer, answer + strlen(answer), 300) == answer + strlen(answer));
            if (answer_has(answer, "pong") || answer_has(answer, "reqId"))
                test_fail(__FILE__, __LINE__, "answers out of order: %.100s", answer);
            snprintf(wanted, sizeof wanted, "\"%d\"", i);
            CHECK(answer_is(client_hear(&c), "reqId", wanted));
        }
    }
    honest();
    done();
}
