/* Who may do what: roles, queues, and tokens that change while connections are open. */
#include "tests/naive_json.h"
#include "tests/stepped.h"

static struct stepped s;

static const char *const billing[] = {"billing:*", "mail"};
static const struct mq_grant grants[] = {
    {.token = "producer", .roles = MQ_ROLE_PRODUCER},
    {.token = "worker", .roles = MQ_ROLE_WORKER},
    {.token = "both", .roles = MQ_ROLE_PRODUCER | MQ_ROLE_WORKER},
    {.token = "reader", .roles = MQ_ROLE_READER},
    {.token = "admin", .roles = MQ_ROLE_ADMIN},
    {.token = "billing", .roles = MQ_ROLE_ADMIN, .queues = billing, .queue_n = 2},
};
#define GRANTS (sizeof grants / sizeof *grants)

static void setup(void)
{
    struct mq_config config = engine_config();
    config.grants = grants;
    config.grant_n = GRANTS;
    stepped_start(&s, &config, NULL);
}

static int enter(const char *token)
{
    char line[64];
    int fd = stepped_connect(&s);
    snprintf(line, sizeof line, "{\"cmd\":\"AUTH\",\"token\":\"%s\"}", token);
    CHECK_TEXT(ask(&s, fd, line), "{\"ok\":true}\n");
    return fd;
}

static void leave(int fd)
{
    close(fd);
    step_all(&s);
}

/* "ok", or the code of the refusal. */
static const char *try(int fd, const char *line)
{
    const char *answer = ask(&s, fd, line);
    return answer_is(answer, "ok", "true") ? "ok" : answer_text(answer, "code");
}

static bool is_forbidden(int fd, const char *line) { return !strcmp(try(fd, line), "forbidden"); }

#define PUSH(queue) "{\"cmd\":\"PUSH\",\"queue\":\"" queue "\",\"data\":1}"
#define PULL(queue) "{\"cmd\":\"PULL\",\"queue\":\"" queue "\",\"timeout\":0}"

TEST(each_role_does_its_own_and_nothing_else)
{
    static const struct {
        const char *line, *roles; /* whose first letters: producer, worker, both, reader, admin */
    } rows[] = {
        {PUSH("q"), "pba"},
        {"{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[{\"data\":1}]}", "pba"},
        {"{\"cmd\":\"CANCEL\",\"id\":1}", "pba"},
        {PULL("q"), "wba"},
        {"{\"cmd\":\"ACK\",\"id\":1}", "wba"},
        {"{\"cmd\":\"FAIL\",\"id\":1}", "wba"},
        {"{\"cmd\":\"HEARTBEAT\",\"id\":1}", "wba"},
        {"{\"cmd\":\"GETJOB\",\"id\":1}", "pwbra"},
        {"{\"cmd\":\"SUBSCRIBE\",\"queue\":\"*\",\"events\":[]}", "pwbra"},
        {"{\"cmd\":\"STATS\"}", "ra"},
        {"{\"cmd\":\"LISTQUEUES\"}", "ra"},
        {"{\"cmd\":\"METRICS\"}", "ra"},
        {"{\"cmd\":\"DLQ\",\"queue\":\"q\"}", "ra"},
        {"{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\"}", "a"},
        {"{\"cmd\":\"PAUSE\",\"queue\":\"q\"}", "a"},
        {"{\"cmd\":\"RESUME\",\"queue\":\"q\"}", "a"},
        {"{\"cmd\":\"DRAIN\",\"queue\":\"q\"}", "a"},
        {"{\"cmd\":\"OBLITERATE\",\"queue\":\"q\"}", "a"},
        {"{\"cmd\":\"CRONRUN\",\"name\":\"c\"}", "a"},
        {"{\"cmd\":\"HELLO\"}", "pwbra"},
    };
    static const char *const roles[] = {"producer", "worker", "both", "reader", "admin"};
    setup();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < 5; j++) {
            int fd = enter(roles[j]);
            CHECK_INT(!is_forbidden(fd, rows[i].line), strchr(rows[i].roles, roles[j][0]) != NULL);
            leave(fd);
        }
    stepped_end(&s);
}

TEST(an_unknown_command_is_that_with_a_token_and_not_told_without)
{
    setup();
    int known = enter("reader"), unknown = stepped_connect(&s);
    CHECK_TEXT(try(known, "{\"cmd\":\"NOPE\"}"), "unknown_command");
    CHECK_TEXT(try(unknown, "{\"cmd\":\"NOPE\"}"), "auth_required");
    leave(known);
    leave(unknown);
    stepped_end(&s);
}

TEST(a_token_for_some_queues_reaches_no_other)
{
    setup();
    char line[128];
    int admin = enter("admin"), fd = enter("billing");
    const char *answer = ask(&s, admin, PUSH("other"));
    int64_t foreign = answer_number(answer, "id"), own = answer_number(ask(&s, fd, PUSH("billing:eu")), "id");
    CHECK(foreign && own);
    CHECK_TEXT(try(fd, PUSH("mail")), "ok");
    CHECK(is_forbidden(fd, PUSH("other")) && is_forbidden(fd, PUSH("billing")) && is_forbidden(fd, PUSH("Mail")) && is_forbidden(fd, PULL("other")));
    CHECK(is_forbidden(fd, "{\"cmd\":\"SUBSCRIBE\",\"queue\":\"*\",\"events\":[]}"));
    CHECK_TEXT(try(fd, "{\"cmd\":\"SUBSCRIBE\",\"queue\":\"mail\",\"events\":[]}"), "ok");
    static const char *const of_all[] = {"STATS", "LISTQUEUES", "METRICS", "CLIENTS", "CRONLIST", "GETDLQCOUNTS", "TOPOLOGY"};
    for (size_t i = 0; i < sizeof of_all / sizeof *of_all; i++) {
        snprintf(line, sizeof line, "{\"cmd\":\"%s\"}", of_all[i]);
        CHECK(is_forbidden(fd, line));
    }
    static const char *const by_id[] = {"GETJOB", "GETRESULT", "GETPROGRESS", "WAITJOB", "CANCEL", "ACK", "FAIL", "RELEASE", "HEARTBEAT"};
    for (size_t i = 0; i < sizeof by_id / sizeof *by_id; i++) {
        snprintf(line, sizeof line, "{\"cmd\":\"%s\",\"id\":%lld}", by_id[i], (long long)foreign);
        CHECK(is_forbidden(fd, line));
    }
    snprintf(line, sizeof line, "{\"cmd\":\"ACKB\",\"ids\":[%lld,%lld]}", (long long)own, (long long)foreign);
    CHECK(is_forbidden(fd, line));
    snprintf(line, sizeof line, "{\"cmd\":\"GETJOB\",\"id\":%lld}", (long long)own);
    CHECK_TEXT(try(fd, line), "ok");
    CHECK_TEXT(try(fd, "{\"cmd\":\"CANCEL\",\"id\":9007199254740991}"), "not_found"); /* which is nobody's */
    leave(admin);
    leave(fd);
    stepped_end(&s);
}

TEST(a_token_for_some_queues_has_the_crons_of_these)
{
    setup();
    char *reply;
    size_t n;
    struct mq_verdict verdict = {.next_run_ms = mq_engine_now(s.engine) + 1000};
    static const char *const lines[] = {"{\"cmd\":\"CRON\",\"name\":\"b\",\"queue\":\"mail\",\"data\":1,\"schedule\":\"*/1\"}",
                                        "{\"cmd\":\"CRON\",\"name\":\"o\",\"queue\":\"other\",\"data\":1,\"schedule\":\"*/1\"}"};
    for (int i = 0; i < 2; i++) {
        CHECK_INT(mq_engine_execute(s.engine, lines[i], strlen(lines[i]), &verdict, &reply, &n), 0);
        mq_reply_free(reply);
    }
    int fd = enter("billing");
    CHECK_TEXT(try(fd, "{\"cmd\":\"CRONRUN\",\"name\":\"b\"}"), "ok");
    CHECK(is_forbidden(fd, "{\"cmd\":\"CRONRUN\",\"name\":\"o\"}") && is_forbidden(fd, "{\"cmd\":\"CRONDELETE\",\"name\":\"o\"}"));
    /* a cron of another's name cannot be taken over */
    CHECK(is_forbidden(fd, "{\"cmd\":\"CRON\",\"name\":\"o\",\"queue\":\"mail\",\"data\":1,\"schedule\":\"*/1\"}"));
    CHECK_TEXT(try(fd, "{\"cmd\":\"CRONDELETE\",\"name\":\"none\"}"), "not_found");
    CHECK_TEXT(try(fd, "{\"cmd\":\"CRONDELETE\",\"name\":\"b\"}"), "ok");
    leave(fd);
    stepped_end(&s);
}

TEST(a_token_that_is_taken_away_ends_its_connections_and_what_they_hold_goes_back)
{
    setup();
    int kept = enter("admin"), gone = enter("worker");
    CHECK_TEXT(try(kept, PUSH("q")), "ok");
    CHECK_TEXT(try(gone, PULL("q")), "ok");
    put_line(gone, "{\"cmd\":\"PULL\",\"queue\":\"empty\",\"reqId\":\"r\"}");
    step_all(&s);
    CHECK_INT(mq_engine_set_grants(s.engine, &grants[4], 1), 0);
    step_all(&s);
    const char *said = take_text(gone);
    CHECK(strstr(said, "\"auth_required\""));
    CHECK(!take_text(gone));
    CHECK_TEXT(try(kept, PULL("q")), "ok");
    close(gone);
    leave(kept);
    stepped_end(&s);
}

/* In a later millisecond: a reactor tells events at most once in each. */
static void push_later(int fd)
{
    mq_engine_set_time(s.engine, mq_engine_now(s.engine) + 1);
    CHECK_TEXT(try(fd, PUSH("q")), "ok");
}

/* It does not read: its end waits until it does, but it must hear of nothing that happens after its token has gone. */
TEST(a_subscriber_whose_token_is_taken_away_hears_no_more_events)
{
    static const struct mq_grant admin = {.token = "admin", .roles = MQ_ROLE_ADMIN};
    setup();
    int kept = enter("admin"), gone = enter("worker");
    CHECK_TEXT(try(gone, "{\"cmd\":\"SUBSCRIBE\",\"queue\":\"q\",\"events\":[]}"), "ok");
    struct mq_conn *conn = last_conn(&s);
    for (int i = 0; i < 10000 && !conn->socket_full; i++)
        push_later(kept);
    CHECK(conn->socket_full);
    CHECK_INT(mq_engine_set_grants(s.engine, &admin, 1), 0);
    step_all(&s);
    size_t unsent = mq_ring_used(conn->out);
    for (int i = 0; i < 100; i++)
        push_later(kept);
    CHECK_INT(mq_ring_used(conn->out), unsent);
    close(gone);
    leave(kept);
    stepped_end(&s);
}

TEST(what_waits_is_not_given_what_its_token_does_not_open_any_more)
{
    static const char *const mail[] = {"mail"};
    static const struct mq_grant less[] = {{.token = "admin", .roles = MQ_ROLE_ADMIN},
                                           {.token = "billing", .roles = MQ_ROLE_WORKER, .queues = mail, .queue_n = 1}};
    setup();
    int admin = enter("admin"), fd = enter("billing");
    CHECK_TEXT(try(fd, "{\"cmd\":\"SUBSCRIBE\",\"queue\":\"billing:eu\",\"events\":[]}"), "ok");
    CHECK_TEXT(try(fd, "{\"cmd\":\"SUBSCRIBE\",\"queue\":\"mail\",\"events\":[]}"), "ok");
    put_line(fd, "{\"cmd\":\"PULL\",\"queue\":\"billing:eu\",\"reqId\":\"r\"}");
    step_all(&s);
    CHECK_INT(mq_engine_set_grants(s.engine, less, 2), 0);
    step_all(&s);
    take_text(fd); /* whatever the pull is told */
    mq_engine_set_time(s.engine, mq_engine_now(s.engine) + 1);
    CHECK_TEXT(try(admin, PUSH("billing:eu")), "ok");
    CHECK_TEXT(take_text(fd), "");
    mq_engine_set_time(s.engine, mq_engine_now(s.engine) + 1);
    CHECK_TEXT(try(admin, PUSH("mail")), "ok");
    CHECK(strstr(take_text(fd), "pushed")); /* what it may still hear */
    leave(admin);
    leave(fd);
    stepped_end(&s);
}

TEST(a_command_that_is_run_again_is_asked_for_its_token_again)
{
    static const struct mq_grant other = {.token = "other", .roles = MQ_ROLE_ADMIN};
    struct mq_config config = engine_config();
    char *control;
    size_t n;
    config.grants = grants;
    config.grant_n = GRANTS;
    config.cron = true;
    stepped_start(&s, &config, NULL);
    int fd = enter("admin");
    put_line(fd, "{\"cmd\":\"CRON\",\"name\":\"c\",\"queue\":\"q\",\"data\":1,\"schedule\":\"*/1\"}");
    step_all(&s);
    CHECK_INT(mq_engine_take_control(s.engine, &control, &n), 0);
    unsigned long long token = strtoull(strstr(control, "\"token\":") + 8, NULL, 10);
    mq_reply_free(control);
    CHECK_INT(mq_engine_set_grants(s.engine, &other, 1), 0);
    step_all(&s);
    struct mq_verdict verdict = {.next_run_ms = mq_engine_now(s.engine) + 1000};
    CHECK_INT(mq_engine_answer(s.engine, token, &verdict), 1);
    step_all(&s);
    CHECK_TEXT(run(s.engine, "{\"cmd\":\"CRONLIST\"}"), "{\"ok\":true,\"crons\":[]}");
    leave(fd);
    stepped_end(&s);
}

TEST(a_token_opens_what_it_opens_now)
{
    static const struct mq_grant less = {.token = "admin", .roles = MQ_ROLE_READER};
    setup();
    int fd = enter("admin");
    CHECK_TEXT(try(fd, PUSH("q")), "ok");
    CHECK_INT(mq_engine_set_grants(s.engine, &less, 1), 0);
    step_all(&s);
    CHECK(is_forbidden(fd, PUSH("q")));
    CHECK_TEXT(try(fd, "{\"cmd\":\"STATS\"}"), "ok");
    leave(fd);
    stepped_end(&s);
}

TEST(tokens_that_come_shut_out_who_has_none_and_let_in_all_when_they_go)
{
    stepped_start(&s, NULL, NULL);
    int before = stepped_connect(&s);
    CHECK_TEXT(try(before, PUSH("q")), "ok");
    CHECK_INT(mq_engine_set_grants(s.engine, grants, GRANTS), 0);
    step_all(&s);
    CHECK(answer_is(take_text(before), "code", "\"auth_required\"") && !take_text(before));
    int fd = stepped_connect(&s);
    CHECK_TEXT(try(fd, PUSH("q")), "auth_required");
    CHECK_INT(mq_engine_set_grants(s.engine, NULL, 0), 0);
    step_all(&s);
    CHECK_TEXT(try(fd, PUSH("q")), "ok");
    close(before);
    leave(fd);
    stepped_end(&s);
}

TEST(the_process_itself_asks_with_a_token_or_as_itself)
{
    setup();
    char *reply;
    size_t n;
    static const char push[] = PUSH("other");
    static const struct {
        const char *token, *wanted;
    } rows[] = {{"admin", "\"ok\":true"}, {"reader", "\"forbidden\""}, {"wrong", "\"auth_required\""}, {"billing", "\"forbidden\""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_INT(mq_engine_execute_as(s.engine, rows[i].token, strlen(rows[i].token), push, sizeof push - 1, NULL, &reply, &n), 0);
        reply[n] = 0;
        CHECK(strstr(reply, rows[i].wanted));
        mq_reply_free(reply);
    }
    CHECK_INT(mq_engine_execute(s.engine, push, sizeof push - 1, NULL, &reply, &n), 0);
    mq_reply_free(reply);
    CHECK_INT(mq_engine_may(s.engine, "reader", 6, "METRICS"), 0);
    CHECK_INT(mq_engine_may(s.engine, "reader", 6, "PAUSE"), MQ_E_FORBIDDEN);
    CHECK_INT(mq_engine_may(s.engine, "billing", 7, "METRICS"), MQ_E_FORBIDDEN);
    CHECK_INT(mq_engine_may(s.engine, "", 0, "METRICS"), MQ_E_AUTH_FAILED);
    CHECK_INT(mq_engine_may(s.engine, "admin", 5, "NOPE"), MQ_E_FORBIDDEN);
    stepped_end(&s);
}
