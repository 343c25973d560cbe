/* Parked pulls, held jobs and the ends of connections, over real sockets and several reactors. */
#include "tests/engine.h"
#include "tests/naive_json.h"
#include "tests/server.h"
#include "tests/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct server s;
static struct client a, b, c; /* connections go to the reactors in turn: a and c to the first of two, b to the other */

static void setup_with(const struct mq_config *config, unsigned reactors)
{
    server_start(&s, config, reactors);
    client_open(&a, &s);
    client_open(&b, &s);
    client_open(&c, &s);
}

static void setup(void) { setup_with(NULL, 2); }

static void done(void)
{
    struct client *clients[] = {&a, &b, &c};
    for (int i = 0; i < 3; i++)
        if (clients[i]->fd >= 0)
            client_close(clients[i]);
    WAIT_UNTIL(mq_net_connections(s.net) == 0);
    server_end(&s);
}

static int64_t push(struct client *client, const char *queue)
{
    return answer_number(client_ask(client, "{\"cmd\":\"PUSH\",\"queue\":\"%s\",\"data\":1}", queue), "id");
}

#define PULL(rest) "{\"cmd\":\"PULL\",\"queue\":\"q\"" rest "}"
static int64_t heard_job(struct client *client) { return answer_number(client_hear(client), "job.id"); }

/* --- waiting --- */

TEST(parked_pull_is_woken_by_a_push_on_either_reactor)
{
    struct client *pushers[] = {&c, &b};
    setup();
    for (int i = 0; i < 200; i++) {
        client_say(&a, PULL(""));
        if (i % 3)
            WAIT_UNTIL(server_waiters(&s, "q") == 1);
        int64_t id = push(pushers[i % 2], "q");
        CHECK_INT(heard_job(&a), id);
        CHECK_TEXT(client_ask(i % 2 ? &a : &b, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id), "{\"ok\":true}");
    }
    CHECK_INT(server_stat(&s, "completed"), 200);
    done();
}

TEST(parked_pull_is_woken_by_a_caller_in_the_process)
{
    setup();
    for (int i = 0; i < 100; i++) {
        client_say(&b, PULL(""));
        WAIT_UNTIL(server_waiters(&s, "q") == 1);
        int64_t id = answer_number(run_ok(s.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}"), "id");
        CHECK_INT(heard_job(&b), id);
    }
    done();
}

TEST(parked_pulls_are_served_in_order_of_arrival)
{
    struct client *order[] = {&c, &a, &b};
    setup();
    for (int i = 0; i < 3; i++) {
        client_say(order[i], PULL(""));
        WAIT_UNTIL(server_waiters(&s, "q") == (unsigned)i + 1);
    }
    for (int i = 0; i < 3; i++) {
        int64_t id = answer_number(run_ok(s.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}"), "id");
        CHECK_INT(heard_job(order[i]), id);
    }
    done();
}

TEST(parked_pull_without_req_id_holds_back_later_answers_and_one_with_holds_back_none)
{
    setup();
    client_say(&a, PULL(",\"reqId\":\"w\"") "\n{\"cmd\":\"PING\",\"reqId\":\"1\"}\n" PULL("") "\n{\"cmd\":\"PING\",\"reqId\":\"2\"}");
    CHECK(answer_is(client_hear(&a), "reqId", "\"1\""));
    WAIT_UNTIL(server_waiters(&s, "q") == 2);
    client_ask(&b, "{\"cmd\":\"PING\"}");
    CHECK(!client_has_answer(&a));
    int64_t first = push(&b, "q"), second = push(&b, "q");
    const char *answer = client_hear(&a);
    CHECK(answer_is(answer, "reqId", "\"w\"") && answer_number(answer, "job.id") == first);
    CHECK_INT(heard_job(&a), second);
    CHECK(answer_is(client_hear(&a), "reqId", "\"2\""));
    done();
}

TEST(many_parked_pulls_of_one_connection_each_get_one_job)
{
    enum { N = 500 };
    bool seen[N] = {false};
    setup();
    for (int i = 0; i < N; i++)
        client_say(&a, PULL(",\"reqId\":\"%d\""), i);
    WAIT_UNTIL(server_waiters(&s, "q") == N);
    for (int i = 0; i < N; i++)
        push(&b, "q");
    for (int i = 0; i < N; i++) {
        const char *answer = client_hear(&a);
        int64_t which = answer_number(answer, "reqId");
        CHECK(which >= 0 && which < N && !seen[which] && answer_has(answer, "job.id"));
        seen[which] = true;
    }
    CHECK_INT(server_stat(&s, "processing"), N);
    done();
}

TEST(wait_that_ends_is_answered_with_nothing_and_takes_no_job_later)
{
    setup();
    client_say(&a, PULL(",\"timeout\":1000") "\n{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":2,\"timeout\":500,\"reqId\":\"b\"}");
    WAIT_UNTIL(server_waiters(&s, "q") == 1);
    mq_engine_set_time(s.engine, T0 + 999);
    client_ask(&b, "{\"cmd\":\"PING\"}");
    CHECK(!client_has_answer(&a));
    mq_engine_set_time(s.engine, T0 + 1000);
    CHECK_TEXT(client_hear(&a), "{\"ok\":true,\"job\":null}");
    WAIT_UNTIL(server_waiters(&s, "q") == 1);
    mq_engine_set_time(s.engine, T0 + 1500);
    CHECK_TEXT(client_hear(&a), "{\"ok\":true,\"jobs\":[],\"reqId\":\"b\"}");
    CHECK(!engine_queue(s.engine, "q")); /* nobody waits and nothing is in it: forgotten */
    push(&b, "q");
    CHECK_INT(server_stat(&s, "queued"), 1);
    done();
}

TEST(delayed_job_wakes_a_parked_pull_at_its_time)
{
    setup();
    client_say(&a, PULL(""));
    client_ask(&b, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":7,\"delay\":100}");
    mq_engine_set_time(s.engine, T0 + 99);
    client_ask(&b, "{\"cmd\":\"PING\"}");
    client_ask(&c, "{\"cmd\":\"PING\"}");
    CHECK(!client_has_answer(&a));
    mq_engine_set_time(s.engine, T0 + 100); /* nobody but the reactor's timer is there to see it */
    CHECK_INT(answer_number(client_hear(&a), "job.data"), 7);
    done();
}

TEST(real_time_timers_fire_by_themselves)
{
    struct mq_config config = engine_config();
    config.manual_time_ms = -1;
    setup_with(&config, 2);
    client_say(&a, PULL(",\"timeout\":30"));
    CHECK_TEXT(client_hear(&a), "{\"ok\":true,\"job\":null}");
    client_say(&a, PULL(""));
    client_ask(&b, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":7,\"delay\":30,\"timeout\":20}");
    CHECK_INT(answer_number(client_hear(&a), "job.data"), 7);
    const char *again = client_ask(&b, PULL("")); /* its timeout takes it away from a */
    CHECK(answer_is(again, "job.attempts", "1") && answer_is(again, "job.deliveries", "2"));
    done();
}

TEST(sleeping_reactors_learn_of_a_nearer_time_whoever_set_it)
{
    struct mq_config config = engine_config();
    config.manual_time_ms = -1;
    setup_with(&config, 2);
    for (int i = 0; i < 8; i++) { /* shards of both reactors, which have nothing to do and sleep for ever */
        client_say(&a, "{\"cmd\":\"PULL\",\"queue\":\"d%d\"}", i);
        char name[16];
        snprintf(name, sizeof name, "d%d", i);
        WAIT_UNTIL(server_waiters(&s, name) == 1);
        run_ok(s.engine, "{\"cmd\":\"PUSH\",\"queue\":\"d%d\",\"data\":%d,\"delay\":20}", i, i);
        CHECK_INT(answer_number(client_hear(&a), "job.data"), i);
    }
    done();
}

TEST(paused_queue_keeps_pulls_waiting_until_it_is_resumed)
{
    setup();
    client_ask(&b, "{\"cmd\":\"PAUSE\",\"queue\":\"q\"}");
    int64_t id = push(&b, "q");
    client_say(&a, PULL(""));
    WAIT_UNTIL(server_waiters(&s, "q") == 1);
    client_ask(&b, "{\"cmd\":\"RESUME\",\"queue\":\"q\"}");
    CHECK_INT(heard_job(&a), id);
    done();
}

/* --- the ends of connections --- */

TEST(jobs_of_a_closed_connection_go_back_and_are_delivered_again)
{
    setup();
    int64_t first = push(&a, "q"), second = push(&a, "q"), leased = push(&a, "q");
    client_say(&b, PULL("") "\n" PULL("") "\n" PULL(",\"lease\":100000"));
    CHECK_INT(heard_job(&b), first);
    CHECK_INT(heard_job(&b), second);
    CHECK_INT(heard_job(&b), leased);
    client_close(&b);
    WAIT_UNTIL(server_stat(&s, "queued") == 2);
    CHECK_INT(server_stat(&s, "processing"), 1); /* the leased one stays */
    const char *answer = client_ask(&a, PULL(""));
    CHECK_INT(answer_number(answer, "job.id"), first);
    CHECK_INT(answer_number(answer, "job.deliveries"), 2);
    CHECK_INT(answer_number(answer, "job.attempts"), 0);
    done();
}

TEST(jobs_of_a_closed_connection_wake_who_waits)
{
    setup();
    for (int i = 0; i < 50; i++) {
        struct client worker;
        client_open(&worker, &s);
        int64_t id = push(&a, "q");
        client_ask(&worker, PULL(""));
        client_say(&b, PULL(""));
        WAIT_UNTIL(server_waiters(&s, "q") == 1);
        if (i % 2)
            client_close(&worker);
        else
            client_reset(&worker);
        CHECK_INT(heard_job(&b), id);
        client_ask(&b, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id);
    }
    done();
}

TEST(any_connection_may_ack_what_another_holds)
{
    setup();
    int64_t id = push(&a, "q");
    client_ask(&b, PULL(""));
    CHECK_TEXT(client_ask(&a, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id), "{\"ok\":true}");
    client_close(&b);
    WAIT_UNTIL(mq_net_connections(s.net) == 2);
    CHECK_INT(server_stat(&s, "queued"), 0);
    CHECK_INT(server_stat(&s, "completed"), 1);
    done();
}

TEST(job_is_never_given_to_a_connection_that_is_gone)
{
    setup();
    for (int i = 0; i < 60; i++) {
        struct client gone;
        client_open(&gone, &s);
        client_say(&gone, PULL("") "\n" PULL(""));
        WAIT_UNTIL(server_waiters(&s, "q") == 1);
        if (i % 2)
            client_close(&gone);
        else
            client_reset(&gone);
        WAIT_UNTIL(mq_net_connections(s.net) == 3);
        CHECK_INT(server_waiters(&s, "q"), 0);
        int64_t id = push(&a, "q");
        const char *answer = client_ask(&b, PULL(",\"timeout\":0"));
        CHECK_INT(answer_number(answer, "job.id"), id);
        CHECK_INT(answer_number(answer, "job.deliveries"), 1);
        client_ask(&b, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id);
    }
    done();
}

/* Push and close race: whatever happens, the job is neither lost nor held by nobody. */
TEST(job_that_races_with_a_close_is_in_one_place)
{
    setup();
    for (int i = 0; i < 300; i++) {
        struct client gone;
        client_open(&gone, &s);
        client_say(&gone, PULL(""));
        WAIT_UNTIL(server_waiters(&s, "q") == 1);
        client_say(&a, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
        if (i % 2)
            client_close(&gone);
        else
            client_reset(&gone);
        int64_t id = answer_number(client_hear(&a), "id");
        const char *answer = client_ask(&b, PULL("")); /* waits, if it must, for the job to come back */
        CHECK_INT(answer_number(answer, "job.id"), id);
        client_ask(&b, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id);
        WAIT_UNTIL(mq_net_connections(s.net) == 3);
        CHECK_INT(server_stat(&s, "processing") + server_stat(&s, "queued"), 0);
    }
    CHECK_INT(server_stat(&s, "completed"), 300);
    done();
}

TEST(storm_of_connections_leaves_nothing_behind)
{
    enum { N = 300 };
    static struct client storm[N];
    setup();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            client_open(&storm[i], &s);
            if (i % 3)
                client_say(&storm[i], "{\"cmd\":\"PUSH\",\"queue\":\"s%d\",\"data\":1}\n{\"cmd\":\"PULL\",\"queue\":\"s%d\"}", i % 7, (i + 1) % 7);
        }
        for (int i = 0; i < N; i += 5)
            if (i % 3)
                CHECK(answer_has(client_hear(&storm[i]), "id"));
        for (int i = 0; i < N; i++) {
            if (i % 2)
                client_close(&storm[i]);
            else
                client_reset(&storm[i]);
        }
        WAIT_UNTIL(mq_net_connections(s.net) == 3);
        mq_engine_check(s.engine);
        CHECK_INT(server_stat(&s, "processing"), 0);
    }
    push(&a, "q");
    done();
}

/* --- stopping --- */

TEST(graceful_stop_refuses_parked_pulls_and_sends_what_is_unsent)
{
    setup();
    push(&c, "held");
    client_ask(&c, "{\"cmd\":\"PULL\",\"queue\":\"held\"}");
    client_say(&a, PULL(",\"reqId\":\"1\"") "\n{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":5,\"reqId\":\"2\"}\n{\"cmd\":\"PING\"}");
    client_say(&b, PULL(""));
    CHECK(answer_is(client_hear(&a), "pong", "true"));
    WAIT_UNTIL(server_waiters(&s, "q") == 3);
    mq_net_stop(s.net, 0);
    for (int i = 1; i <= 2; i++) {
        const char *answer = client_hear(&a);
        CHECK(answer_is(answer, "code", "\"shutting_down\"") && answer_is(answer, "retryable", "true"));
        CHECK_INT(answer_number(answer, "reqId"), i);
    }
    CHECK(answer_is(client_hear(&b), "code", "\"shutting_down\""));
    CHECK(client_at_end(&a) && client_at_end(&b) && client_at_end(&c));
    server_join(&s);
    CHECK_INT(mq_net_connections(s.net), 0);
    CHECK_INT(server_stat(&s, "queued"), 1); /* what was held went back */
    done();
}

TEST(forced_stop_ends_at_once_whatever_waits)
{
    setup();
    client_say(&a, PULL(""));
    client_say(&b, PULL(""));
    WAIT_UNTIL(server_waiters(&s, "q") == 2);
    mq_net_stop(s.net, 1);
    server_join(&s);
    const char *answer;
    while ((answer = client_hear(&a))) /* if there was time for one */
        CHECK(answer_is(answer, "code", "\"shutting_down\""));
    CHECK(client_at_end(&c));
    done();
}

TEST(stop_does_not_wait_longer_than_its_grace_for_a_reader_that_does_not_read)
{
    struct mq_config config = engine_config();
    char *data = malloc(1000001);
    memset(data, 'a', 1000000);
    data[1000000] = 0;
    config.manual_time_ms = -1;
    config.max_output = 32 << 20;
    setup_with(&config, 2);
    for (int i = 0; i < 8; i++)
        client_ask(&b, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"%s\"}", data);
    client_say(&a, "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":8}"); /* more than the sockets' buffers take */
    WAIT_UNTIL(server_stat(&s, "processing") == 8);
    long long started = server_wait_start();
    mq_net_stop(s.net, 0);
    server_join(&s);
    CHECK(server_wait_start() - started < 10000);
    free(data);
    done();
}

TEST(stop_before_the_reactors_run_ends_them_at_once)
{
    struct server quick;
    server_start(&quick, NULL, 3);
    mq_net_stop(quick.net, 0);
    mq_net_stop(quick.net, 0);
    server_join(&quick);
    server_end(&quick);
}

TEST(net_that_never_ran_is_freed_with_its_listeners)
{
    mq_engine *engine = engine_new();
    mq_net *net = mq_net_create(engine, 4);
    CHECK(net);
    mq_net_free(net);
    CHECK(!mq_net_create(engine, 0));
    CHECK(!mq_net_create(engine, 65));
    mq_net_free(NULL);
    mq_engine_free(engine);
    mq_engine_free(NULL);
}
