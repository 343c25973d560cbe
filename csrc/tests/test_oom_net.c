/* Every allocation of a connection's life fails once: the answer says so or the connection ends, nothing is half done, no job
 * is lost, and the next honest command on another connection works. */
#include "tests/fail_alloc.h"
#include "tests/naive_json.h"
#include "tests/scenarios.h"
#include "tests/stepped.h"

#include <sys/un.h>

static struct stepped s;

static const char *note_of(const char *name, uint64_t nth, bool all_after)
{
    static char text[128];
    snprintf(text, sizeof text, "%s, allocation %llu%s", name, (unsigned long long)nth, all_after ? " and all after" : "");
    test_note("%s", text);
    return text;
}

static uint64_t jobs_in(struct mq_engine *engine)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        const struct mq_counts *counts = &engine->shards[i].counts;
        n += counts->ready + counts->delayed + counts->active + counts->dead;
    }
    return n;
}

/* A connection that had nothing to do with it works, and so does the whole way of a job. */
static void check_honest(void)
{
    int fd = stepped_connect(&s);
    CHECK(answer_has(ask(&s, fd, "{\"cmd\":\"PUSH\",\"queue\":\"next\",\"data\":1}"), "id"));
    const char *answer = ask(&s, fd, "{\"cmd\":\"PULL\",\"queue\":\"next\"}");
    char line[64];
    snprintf(line, sizeof line, "{\"cmd\":\"ACK\",\"id\":%s}", answer_text(answer, "job.id"));
    CHECK_TEXT(ask(&s, fd, line), "{\"ok\":true}\n");
    close(fd);
    step_all(&s);
    mq_engine_check(s.engine);
}

/* --- each command --- */

/* True if an allocation failed. */
static bool try_command(const struct scenario *scenario, uint64_t nth, bool all_after, const char *after)
{
    note_of(scenario->name, nth, all_after);
    stepped_start(&s, NULL, NULL);
    scenario_prepare(scenario, s.engine);
    char *before = engine_dump(s.engine);
    int fd = stepped_connect(&s);
    put_line(fd, scenario->line);
    fail_alloc_arm(nth, all_after);
    step_all(&s);
    bool failed = fail_alloc_disarm();
    const char *answer = take_text(fd);
    if (answer)
        CHECK(answer[0] && answer[strlen(answer) - 1] == '\n' && !strchr(answer, '\n')[1]); /* one whole line */
    if (answer && (strstr(answer, "\"job\":null") || strstr(answer, "\"jobs\":[]")))
        CHECK_TEXT(scenario->name, "pull from nothing");
    mq_engine_check(s.engine);
    char *now = engine_dump(s.engine);
    bool gives_jobs = strstr(scenario->line, "PULL"); /* what a connection held goes back when it ends: a state of its own */
    if (strcmp(now, before) != 0 && !scenario->batch && !gives_jobs)
        CHECK_DUMPS(now, after);
    if (answer && answer_is(answer, "ok", "true") && !scenario->batch && !gives_jobs)
        CHECK_DUMPS(now, after);
    free(now);
    free(before);
    close(fd);
    step_all(&s);
    CHECK_INT(mq_net_connections(s.net), 0);
    check_honest();
    stepped_end(&s);
    return failed;
}

TEST(out_of_memory_is_answered_or_ends_the_connection)
{
    for (size_t i = 0; i < scenario_n; i++) {
        struct mq_engine *engine = engine_new();
        scenario_prepare(&scenarios[i], engine);
        run(engine, "%s", scenarios[i].line);
        char *after = engine_dump(engine);
        mq_engine_free(engine);
        for (int all_after = 0; all_after < 2; all_after++)
            for (uint64_t nth = 1; try_command(&scenarios[i], nth, all_after, after);)
                nth++;
        free(after);
    }
}

/* --- a job on its way from one connection to another --- */

/* In which of the steps memory runs out. */
enum moment { PARKING, PUSHING, ENDING, MOMENTS };

static bool try_handing_over(enum moment moment, uint64_t nth, bool all_after, const char *pull)
{
    static const char *const names[] = {"parking", "pushing", "ending"};
    bool failed = false;
    note_of(names[moment], nth, all_after);
    stepped_start(&s, NULL, NULL);
    int worker = stepped_connect(&s), producer = stepped_connect(&s);
    for (enum moment now = PARKING; now < MOMENTS; now++) {
        if (now == PARKING)
            put_line(worker, pull);
        else if (now == PUSHING)
            put_line(producer, "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[{\"data\":1},{\"data\":2}]}");
        else
            close(worker);
        if (now == moment)
            fail_alloc_arm(nth, all_after);
        step_all(&s);
        if (now == moment)
            failed = fail_alloc_disarm();
        mq_engine_check(s.engine);
    }
    const char *answer = take_text(producer);
    uint64_t jobs = jobs_in(s.engine), accepted = 0;
    if (answer)
        accepted = (uint64_t)((answer_number(answer, "ids.0") != 0) + (answer_number(answer, "ids.1") != 0));
    if (answer)
        CHECK_INT(jobs, accepted);
    else
        CHECK(jobs <= 2);
    close(producer);
    step_all(&s);
    mq_engine_set_time(s.engine, T0 + 2000000); /* leases end too */
    step_all(&s);
    const char *stats = run_ok(s.engine, "{\"cmd\":\"STATS\"}");
    CHECK_INT(answer_number(stats, "queued"), jobs);
    CHECK_INT(answer_number(stats, "processing"), 0);
    check_honest();
    stepped_end(&s);
    return failed;
}

TEST(out_of_memory_loses_no_job_between_two_connections)
{
    static const char *const pulls[] = {"{\"cmd\":\"PULL\",\"queue\":\"q\"}", "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":9,\"reqId\":\"r\",\"timeout\":5000}",
                                        "{\"cmd\":\"PULL\",\"queue\":\"q\",\"lease\":1000}"};
    for (size_t i = 0; i < sizeof pulls / sizeof *pulls; i++)
        for (enum moment moment = PARKING; moment < MOMENTS; moment++)
            for (int all_after = 0; all_after < 2; all_after++)
                for (uint64_t nth = 1; try_handing_over(moment, nth, all_after, pulls[i]);)
                    nth++;
}

/* A pull that asked to wait and got neither job nor refusal was told a lie. */
TEST(out_of_memory_while_serving_a_parked_pull_is_not_answered_with_nothing)
{
    static const char push[] = "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}";
    for (uint64_t nth = 1, failed = 1; failed; nth++) {
        note_of("serving", nth, false);
        stepped_start(&s, NULL, NULL);
        int worker = stepped_connect(&s);
        put_line(worker, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
        step_all(&s);
        char *reply = NULL;
        size_t n;
        fail_alloc_arm(nth, false);
        int status = mq_engine_execute(s.engine, push, sizeof push - 1, NULL, &reply, &n);
        step_all(&s);
        failed = fail_alloc_disarm();
        if (status == 0)
            mq_reply_free(reply);
        const char *answer = take_text(worker);
        CHECK(!answer || !strstr(answer, "\"job\":null"));
        close(worker);
        step_all(&s);
        stepped_end(&s);
    }
}

/* --- long lines, refusals, stopping, starting --- */

TEST(out_of_memory_in_a_long_line_ends_only_its_connection)
{
    char *text = malloc(400000);
    memset(text, ' ', 400000);
    memcpy(text, "{\"cmd\":\"PING\"", 13);
    memcpy(text + 399998, "}\n", 2);
    for (uint64_t nth = 1, failed = 1; failed; nth++) {
        bool armed = true;
        size_t sent = 0;
        note_of("long line", nth, false);
        stepped_start(&s, NULL, NULL);
        int fd = stepped_connect(&s);
        fail_alloc_arm(nth, false);
        while (sent < 400000 && armed) {
            ssize_t n = send(fd, text + sent, 400000 - sent, MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN)
                armed = false;
            sent += n > 0 ? (size_t)n : 0;
            step_all(&s);
        }
        failed = fail_alloc_disarm();
        const char *answer = take_text(fd);
        CHECK(answer ? answer_is(answer, "pong", "true") : failed);
        close(fd);
        step_all(&s);
        check_honest();
        stepped_end(&s);
    }
    free(text);
}

TEST(out_of_memory_in_the_refusal_of_a_last_line_ends_the_connection)
{
    for (uint64_t nth = 1, failed = 1; failed; nth++) {
        note_of("last line", nth, false);
        stepped_start(&s, NULL, NULL);
        int fd = stepped_connect(&s);
        CHECK_INT(send(fd, "{\"cmd\"", 6, 0), 6);
        shutdown(fd, SHUT_WR);
        fail_alloc_arm(nth, false);
        step_all(&s);
        failed = fail_alloc_disarm();
        const char *answer = take_text(fd);
        CHECK(!answer || answer_is(answer, "code", "\"invalid\""));
        CHECK_INT(mq_net_connections(s.net), 0);
        close(fd);
        check_honest();
        stepped_end(&s);
    }
}

TEST(out_of_memory_while_stopping_still_stops)
{
    for (int force = 0; force < 2; force++)
        for (uint64_t nth = 1, failed = 1; failed; nth++) {
            note_of(force ? "forced stop" : "graceful stop", nth, true);
            stepped_start(&s, NULL, NULL);
            int fds[3];
            for (int i = 0; i < 3; i++) {
                fds[i] = stepped_connect(&s);
                ask(&s, fds[i], "{\"cmd\":\"PUSH\",\"queue\":\"r\",\"data\":1}");
                ask(&s, fds[i], "{\"cmd\":\"PULL\",\"queue\":\"r\"}");
                put_line(fds[i], "{\"cmd\":\"PULL\",\"queue\":\"q\",\"reqId\":\"r\"}");
            }
            step_all(&s);
            mq_net_stop(s.net, force);
            fail_alloc_arm(nth, true);
            CHECK_INT(mq_net_run(s.net, 0), 0);
            failed = fail_alloc_disarm();
            check_stats(s.engine, 3, 0, 0, 0, 0);
            for (int i = 0; i < 3; i++)
                close(fds[i]);
            stepped_end(&s);
        }
}

TEST(net_that_cannot_be_created_leaves_nothing_behind)
{
    struct mq_engine *engine = engine_new();
    for (uint64_t nth = 1, failed = 1; failed; nth++) {
        fail_alloc_arm(nth, false);
        struct mq_net *net = mq_net_create(engine, 3);
        int fd = dup(0), listening = net ? mq_net_listen(net, fd, 0) : -1;
        failed = fail_alloc_disarm();
        CHECK(!failed == (net && listening == 0));
        if (listening < 0)
            close(fd);
        mq_net_free(net);
    }
    mq_engine_free(engine);
}

TEST(out_of_memory_while_accepting_closes_the_socket_and_goes_on)
{
    for (uint64_t nth = 1, failed = 1; failed; nth++) {
        note_of("accepting", nth, false);
        stepped_start(&s, NULL, NULL);
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        socklen_t name_n = sizeof name;
        int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK_INT(bind(listener, (struct sockaddr *)&name, sizeof name.sun_family), 0); /* the kernel finds a name */
        CHECK_INT(listen(listener, 16), 0);
        CHECK_INT(getsockname(listener, (struct sockaddr *)&name, &name_n), 0);
        CHECK_INT(mq_net_listen(s.net, listener, 0), 0);
        CHECK_INT(mq_listeners_watch(&s.net->reactors[0], true), 0);
        for (int round = 0; round < 2; round++) {
            int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
            CHECK_INT(connect(fd, (struct sockaddr *)&name, name_n), 0);
            put_line(fd, "{\"cmd\":\"PING\"}");
            if (round == 0)
                fail_alloc_arm(nth, false);
            step_all(&s);
            if (round == 0)
                failed = fail_alloc_disarm();
            const char *answer = take_text(fd);
            CHECK(answer ? answer_is(answer, "pong", "true") : failed && round == 0);
            close(fd);
            mq_engine_set_time(s.engine, mq_engine_now(s.engine) + 1000); /* accepting pauses for a moment */
            step_all(&s);
        }
        stepped_end(&s);
    }
}
