/* What strangers may take: connections, wrong tokens, time for a token and for a line. On a reactor that is stepped by hand. */
#include "tests/naive_json.h"
#include "tests/stepped.h"

static struct stepped s;

#define NET_A 0x10a000001u /* 10.0.0.1, as mq_peer_address tells it */
#define NET_B 0x10a000002u

static void move_to(int64_t now_ms)
{
    mq_engine_set_time(s.engine, now_ms);
    step_all(&s);
}

static struct mq_config with_token(void)
{
    static const struct mq_grant grant = {.token = "right", .roles = MQ_ROLE_ADMIN};
    struct mq_config config = engine_config();
    config.grants = &grant;
    config.grant_n = 1;
    config.auth_timeout_ms = 500;
    return config;
}

static const char *try_token(int fd, const char *token)
{
    char line[64];
    snprintf(line, sizeof line, "{\"cmd\":\"AUTH\",\"token\":\"%s\"}", token);
    return ask(&s, fd, line);
}

static uint64_t reported(enum mq_trouble trouble)
{
    struct mq_report report;
    mq_net_take_report(s.net, &report);
    return report.count[trouble];
}

static void close_and_see(int fd)
{
    close(fd);
    step_all(&s);
}

TEST(a_token_must_come_in_time)
{
    struct mq_config config = with_token();
    stepped_start(&s, &config, NULL);
    int64_t begin = mq_engine_now(s.engine);
    int late = stepped_connect(&s), early = stepped_connect(&s);
    CHECK_TEXT(try_token(early, "right"), "{\"ok\":true}\n");
    move_to(begin + 499);
    CHECK_TEXT(ask(&s, late, "{\"cmd\":\"PING\"}"), "{\"ok\":true,\"pong\":true}\n");
    move_to(begin + 500);
    CHECK(answer_is(take_text(late), "code", "\"auth_required\""));
    CHECK(!take_text(late));
    CHECK_TEXT(ask(&s, early, "{\"cmd\":\"PING\"}"), "{\"ok\":true,\"pong\":true}\n");
    CHECK_INT(reported(MQ_TROUBLE_TOKEN_LATE), 1);
    close(late);
    close_and_see(early);
    stepped_end(&s);
}

TEST(without_tokens_nobody_is_late)
{
    stepped_start(&s, NULL, NULL);
    int fd = stepped_connect(&s);
    move_to(mq_engine_now(s.engine) + 3600000);
    CHECK_TEXT(ask(&s, fd, "{\"cmd\":\"PING\"}"), "{\"ok\":true,\"pong\":true}\n");
    CHECK_INT(s.net->reactors[0].deadlines.n, 0);
    close_and_see(fd);
    stepped_end(&s);
}

TEST(a_line_must_be_finished_in_time)
{
    struct mq_config config = engine_config();
    config.line_timeout_ms = 1000;
    stepped_start(&s, &config, NULL);
    int64_t now = mq_engine_now(s.engine);
    int fd = stepped_connect(&s);
    CHECK(answer_has(ask(&s, fd, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}"), "id"));
    CHECK(answer_has(ask(&s, fd, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "job"));
    for (int i = 0; i < 9; i++) { /* a byte now and then does not help */
        CHECK_INT(send(fd, "{", 1, MSG_NOSIGNAL), 1);
        step_all(&s);
        move_to(now += 100);
    }
    CHECK_TEXT(take_text(fd), "");
    move_to(now + 100);
    CHECK(answer_is(take_text(fd), "code", "\"timeout\""));
    CHECK(!take_text(fd));
    CHECK_INT(engine_queue(s.engine, "q")->ready.n, 1); /* what it held is back */
    CHECK_INT(reported(MQ_TROUBLE_LINE_LATE), 1);
    close(fd);
    stepped_end(&s);
}

TEST(lines_that_are_finished_may_go_on_for_ever)
{
    struct mq_config config = engine_config();
    config.line_timeout_ms = 1000;
    stepped_start(&s, &config, NULL);
    int64_t now = mq_engine_now(s.engine);
    int fd = stepped_connect(&s);
    for (int i = 0; i < 30; i++) { /* each read ends inside of a line */
        CHECK_INT(send(fd, "\"PING\"}\n{\"cmd\":" + (i ? 0 : 8), i ? 15 : 7, MSG_NOSIGNAL), i ? 15 : 7);
        move_to(now += 900);
        CHECK_TEXT(take_text(fd), i ? "{\"ok\":true,\"pong\":true}\n" : "");
        CHECK(s.net->reactors[0].deadlines.n <= 1);
    }
    close_and_see(fd);
    stepped_end(&s);
}

TEST(a_long_line_is_given_more_time)
{
    static char part[160000];
    struct mq_config config = engine_config();
    config.line_timeout_ms = 1000;
    stepped_start(&s, &config, NULL);
    int64_t now = mq_engine_now(s.engine);
    int fd = stepped_connect(&s);
    memset(part, ' ', sizeof part);
    for (size_t at = 0; at < sizeof part;) {
        ssize_t n = send(fd, part + at, sizeof part - at, MSG_NOSIGNAL);
        at += n > 0 ? (size_t)n : 0;
        step_all(&s);
    }
    move_to(now + 10999);
    CHECK_TEXT(take_text(fd), "");
    move_to(now + 11000); /* 10 s for 160,000 bytes */
    CHECK(answer_is(take_text(fd), "code", "\"timeout\""));
    close_and_see(fd);
    stepped_end(&s);
}

TEST(a_line_that_waits_behind_a_pull_is_not_late)
{
    struct mq_config config = engine_config();
    config.line_timeout_ms = 1000;
    stepped_start(&s, &config, NULL);
    int64_t now = mq_engine_now(s.engine);
    int fd = stepped_connect(&s);
    put_line(fd, "{\"cmd\":\"PULL\",\"queue\":\"q\",\"timeout\":10000}");
    CHECK_INT(send(fd, "{\"cmd\":\"PING\"}", 14, MSG_NOSIGNAL), 14);
    step_all(&s);
    move_to(now + 9999);
    CHECK_TEXT(take_text(fd), "");
    move_to(now + 10000);
    CHECK_TEXT(take_text(fd), "{\"ok\":true,\"job\":null}\n");
    CHECK_INT(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
    step_all(&s);
    CHECK_TEXT(take_text(fd), "{\"ok\":true,\"pong\":true}\n");
    close_and_see(fd);
    stepped_end(&s);
}

TEST(wrong_tokens_end_a_connection)
{
    struct mq_config config = with_token();
    stepped_start(&s, &config, NULL);
    int fd = stepped_connect(&s);
    for (int i = 0; i < 9; i++)
        CHECK(answer_is(try_token(fd, "wrong"), "code", "\"auth_failed\""));
    put_line(fd, "{\"cmd\":\"AUTH\",\"token\":\"wrong\"}");
    put_line(fd, "{\"cmd\":\"AUTH\",\"token\":\"right\"}"); /* too late: not even looked at */
    step_all(&s);
    const char *text = take_text(fd);
    CHECK(answer_is(text, "code", "\"auth_failed\"") && strchr(text, '\n')[1] == 0);
    CHECK(!take_text(fd));
    CHECK_INT(reported(MQ_TROUBLE_TOKEN), 10);
    close(fd);
    stepped_end(&s);
}

TEST(an_address_with_too_many_wrong_tokens_must_wait)
{
    struct mq_config config = with_token();
    config.auth_timeout_ms = 0;
    stepped_start(&s, &config, NULL);
    int64_t begin = mq_engine_now(s.engine);
    for (int i = 0; i < 19; i++) {
        int fd = stepped_connect_from(&s, NET_A);
        CHECK(answer_is(try_token(fd, "wrong"), "code", "\"auth_failed\""));
        close_and_see(fd);
    }
    CHECK_INT(mq_net_must_wait(s.net, "10.0.0.1"), 0);
    mq_net_wrong_token(s.net, "10.0.0.1"); /* as over HTTP */
    CHECK_INT(mq_net_must_wait(s.net, "::ffff:10.0.0.1"), 60000);
    int a = stepped_connect_from(&s, NET_A), b = stepped_connect_from(&s, NET_B), local = stepped_connect(&s);
    CHECK(answer_is(try_token(a, "right"), "code", "\"rate_limited\""));
    CHECK_TEXT(try_token(b, "right"), "{\"ok\":true}\n");
    CHECK_TEXT(try_token(local, "right"), "{\"ok\":true}\n");
    move_to(begin + 59999);
    CHECK(answer_is(try_token(a, "right"), "code", "\"rate_limited\""));
    move_to(begin + 60000);
    CHECK_TEXT(try_token(a, "right"), "{\"ok\":true}\n");
    close(a);
    close(b);
    close_and_see(local);
    stepped_end(&s);
}

TEST(who_has_tried_wrong_tokens_is_not_remembered_for_ever)
{
    struct mq_config config = with_token();
    stepped_start(&s, &config, NULL);
    struct mq_guard *guard = &s.net->guard;
    int64_t now = mq_engine_now(s.engine);
    for (uint64_t i = 0; i < MQ_GUARD_REMEMBERED_MAX + 1000; i++)
        mq_guard_wrong_token(s.net, NET_A + i, -1, now);
    CHECK(mq_map_size(&guard->addresses) <= MQ_GUARD_REMEMBERED_MAX + 1);
    mq_guard_wrong_token(s.net, NET_A, -1, now + MQ_GUARD_WINDOW_MS);
    CHECK_INT(mq_map_size(&guard->addresses), 1);
    stepped_end(&s);
}

TEST(connections_are_counted_by_address_and_in_all)
{
    struct mq_config config = engine_config();
    uint64_t address;
    int fds[2];
    config.max_connections = 3;
    config.max_connections_per_address = 2;
    stepped_start(&s, &config, NULL);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(mq_guard_admit(s.net, fds[0], &address), MQ_TROUBLES); /* not from a network: not counted by address */
    CHECK_INT(address, 0);
    CHECK_INT(mq_guard_admit(s.net, fds[0], &address), MQ_TROUBLE_CONNECTIONS);
    mq_guard_leave(s.net, 0);
    CHECK_INT(mq_guard_admit(s.net, fds[0], &address), MQ_TROUBLES);
    close(fds[0]);
    close(fds[1]);
    stepped_end(&s);
}

TEST(a_report_comes_at_once_and_then_once_a_second)
{
    stepped_start(&s, NULL, NULL);
    int64_t now = mq_engine_now(s.engine);
    CHECK(atomic_load(&s.engine->report_ms) == MQ_NEVER);
    mq_guard_note(s.net, MQ_TROUBLE_DESCRIPTORS, -1);
    CHECK(atomic_load(&s.engine->report_ms) <= now);
    CHECK_INT(mq_engine_wait(s.engine, MQ_WORK_REPORT), 1);
    CHECK_INT(reported(MQ_TROUBLE_DESCRIPTORS), 1);
    CHECK(atomic_load(&s.engine->report_ms) == MQ_NEVER);
    mq_guard_note(s.net, MQ_TROUBLE_DESCRIPTORS, -1);
    mq_guard_note(s.net, MQ_TROUBLE_DESCRIPTORS, -1);
    CHECK_INT(atomic_load(&s.engine->report_ms), now + 1000);
    move_to(now + 1000);
    CHECK_INT(mq_engine_wait(s.engine, MQ_WORK_REPORT), 1);
    CHECK_INT(reported(MQ_TROUBLE_DESCRIPTORS), 2);
    stepped_end(&s);
}
