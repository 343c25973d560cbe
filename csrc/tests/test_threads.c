/* All threads at once: producers, workers and admins on sockets over three reactors, callers in the process beside them. Every job
 * is acked once and the counts are exact. Under ThreadSanitizer this is what shows whether the locks are where they must be. */
#include "tests/engine.h"
#include "tests/naive_json.h"
#include "tests/server.h"
#include "tests/test.h"

#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define REACTORS 3
#define QUEUES 4

static struct server s;
static _Atomic int64_t acked, pushed, stopping, listening, all_pushed;

struct actor {
    pthread_t thread;
    unsigned number;
    int64_t jobs;
};

static const char *execute(const char *format, unsigned queue)
{
    char line[256];
    int n = snprintf(line, sizeof line, format, queue);
    return run_bytes(s.engine, line, (size_t)n);
}

/* --- on sockets --- */

static void *produce(void *argument)
{
    struct actor *actor = argument;
    struct client client;
    int64_t last = 0;
    client_open(&client, &s);
    for (int64_t i = 0; i < actor->jobs; i++) {
        unsigned queue = (unsigned)(i + actor->number) % QUEUES;
        if (i % 10 == 0) {
            client_say(&client, "{\"cmd\":\"PUSHB\",\"queue\":\"q%u\",\"jobs\":[{\"data\":1},{\"data\":2,\"delay\":3}]}", queue);
            CHECK_INT(answer_count(client_hear(&client), "ids"), 2);
            atomic_fetch_add(&pushed, 2);
        } else if (i % 5 == 0 && last) {
            CHECK(answer_has(client_ask(&client, "{\"cmd\":\"PUSH\",\"queue\":\"q%u\",\"data\":1,\"depends_on\":[%" PRId64 "]}", queue, last), "id"));
            atomic_fetch_add(&pushed, 1);
        } else {
            last = answer_number(client_ask(&client, "{\"cmd\":\"PUSH\",\"queue\":\"q%u\",\"data\":1,\"priority\":%d}", queue, (int)(i % 3)), "id");
            CHECK(last);
            atomic_fetch_add(&pushed, 1);
        }
    }
    client_close(&client);
    return NULL;
}

static bool ack(struct client *client, const char *answer)
{
    char token[32];
    int64_t id = answer_number(answer, "job.id");
    if (!id)
        return false;
    snprintf(token, sizeof token, "%s", answer_text(answer, "job.token"));
    answer = client_ask(client, "{\"cmd\":\"ACK\",\"id\":%" PRId64 ",\"token\":\"%s\"}", id, token);
    CHECK(answer_is(answer, "ok", "true"));
    atomic_fetch_add(&acked, 1);
    return true;
}

/* Waits for jobs; now and then it dies with one in its hands, or while it waits. */
static void *work(void *argument)
{
    struct actor *actor = argument;
    struct random random = {actor->number};
    struct client client;
    client_open(&client, &s);
    while (!atomic_load(&stopping)) {
        unsigned queue = (unsigned)random_below(&random, QUEUES);
        const char *answer = client_ask(&client, "{\"cmd\":\"PULL\",\"queue\":\"q%u\",\"timeout\":%d}", queue, (int)random_below(&random, 5));
        if (random_chance(&random, 5)) {
            if (random_chance(&random, 50))
                client_say(&client, "{\"cmd\":\"PULL\",\"queue\":\"q%u\"}", queue);
            client_close(&client);
            client_open(&client, &s);
        } else {
            ack(&client, answer);
        }
    }
    client_close(&client);
    return NULL;
}

/* Hears everything, numbered without a gap, until the last job is completed. */
static void *listen_in(void *argument)
{
    struct actor *actor = argument;
    struct client client;
    int64_t seq = 0;
    client_open(&client, &s);
    CHECK(answer_is(client_ask(&client, "{\"cmd\":\"SUBSCRIBE\",\"queue\":\"*\",\"events\":[]}"), "ok", "true"));
    atomic_fetch_add(&listening, 1);
    while (actor->jobs < atomic_load(&pushed) || !atomic_load(&all_pushed)) {
        const char *line = client_hear(&client);
        CHECK_INT(answer_number(line, "seq"), ++seq);
        actor->jobs += strstr(line, "\"completed\"") != NULL;
    }
    client_close(&client);
    return NULL;
}

/* --- in the process --- */

static void *administrate(void *argument)
{
    static const char *const lines[] = {
        "{\"cmd\":\"STATS\",\"n\":%u}", "{\"cmd\":\"LISTQUEUES\",\"n\":%u}", "{\"cmd\":\"PAUSE\",\"queue\":\"q%u\"}", "{\"cmd\":\"RESUME\",\"queue\":\"q%u\"}",
        "{\"cmd\":\"DLQ\",\"queue\":\"q%u\"}", "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q%u\"}", "{\"cmd\":\"HELLO\",\"n\":%u}",
        "{\"cmd\":\"PAUSE\",\"queue\":\"other%u\"}",
    };
    struct actor *actor = argument;
    for (int64_t i = 0; !atomic_load(&stopping); i++) {
        unsigned queue = (unsigned)(i / 8) % QUEUES;
        CHECK(answer_is(execute(lines[i % 8], queue), "ok", "true"));
        mq_engine_tick(s.engine);
        if (i % 64 == 0)
            mq_engine_check(s.engine);
        actor->jobs++;
    }
    for (unsigned queue = 0; queue < QUEUES; queue++)
        execute("{\"cmd\":\"RESUME\",\"queue\":\"q%u\"}", queue);
    run_forget();
    return NULL;
}

static void *work_inside(void *argument)
{
    struct actor *actor = argument;
    struct random random = {actor->number};
    while (!atomic_load(&stopping)) {
        char line[128];
        const char *answer = execute("{\"cmd\":\"PULL\",\"queue\":\"q%u\"}", (unsigned)random_below(&random, QUEUES));
        int64_t id = answer_number(answer, "job.id");
        if (!id) {
            sched_yield();
            continue;
        }
        bool fail = random_chance(&random, 30);
        int n = snprintf(line, sizeof line, "{\"cmd\":\"%s\",\"id\":%" PRId64 "}", fail ? "FAIL" : "ACK", id);
        CHECK(answer_is(run_bytes(s.engine, line, (size_t)n), "ok", "true"));
        atomic_fetch_add(&acked, !fail);
    }
    run_forget();
    return NULL;
}

static void start(struct actor *actors, unsigned n, void *(*main)(void *), int64_t jobs)
{
    static unsigned numbers;
    for (unsigned i = 0; i < n; i++) {
        actors[i] = (struct actor){.number = ++numbers, .jobs = jobs};
        CHECK_INT(pthread_create(&actors[i].thread, NULL, main, &actors[i]), 0);
    }
}

static void join(struct actor *actors, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        CHECK_INT(pthread_join(actors[i].thread, NULL), 0);
}

static void start_server(const char *folder)
{
    struct mq_config config = engine_config();
    config.folder = folder;
    config.manual_time_ms = -1;
    config.max_deliveries = 1000000; /* workers die often */
    server_start(&s, &config, REACTORS);
}

static void ack_every_job_once(const char *folder)
{
    struct actor producers[3], workers[6], insiders[2], admins[1], listeners[2];
    atomic_store(&stopping, 0);
    atomic_store(&all_pushed, 0);
    atomic_store(&listening, 0);
    atomic_store(&pushed, 0);
    atomic_store(&acked, 0);
    start_server(folder);
    start(listeners, 2, listen_in, 0);
    WAIT_UNTIL(atomic_load(&listening) == 2);
    start(workers, 6, work, 0);
    start(insiders, 2, work_inside, 0);
    start(admins, 1, administrate, 0);
    start(producers, 3, produce, (int64_t)test_setting("MQ_TEST_JOBS", 1500));
    join(producers, 3);
    atomic_fetch_add(&pushed, 1);
    atomic_store(&all_pushed, 1);
    CHECK(answer_has(execute("{\"cmd\":\"PUSH\",\"queue\":\"q%u\",\"data\":1}", 0), "id")); /* listeners may have heard all else before */
    run_forget();
    WAIT_UNTIL(atomic_load(&acked) == atomic_load(&pushed));
    join(listeners, 2);
    atomic_store(&stopping, 1);
    join(workers, 6);
    join(insiders, 2);
    join(admins, 1);
    CHECK_INT(server_stat(&s, "completed"), atomic_load(&pushed));
    CHECK_INT(server_stat(&s, "queued") + server_stat(&s, "processing") + server_stat(&s, "delayed") + server_stat(&s, "dlq"), 0);
    WAIT_UNTIL(mq_net_connections(s.net) == 0);
    server_end(&s);
}

TEST(every_job_is_acked_once_whatever_threads_there_are) { ack_every_job_once(NULL); }

TEST(every_job_is_acked_once_with_a_log_that_many_threads_write)
{
    char folder[] = "/tmp/mqfast-test-XXXXXX", command[64];
    CHECK(mkdtemp(folder));
    ack_every_job_once(folder);
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK_INT(system(command), 0);
}

/* --- a stop in the middle: whoever talks to it sees the end of the connection, and the engine goes on --- */

static void *talk_until_the_end(void *argument)
{
    struct actor *actor = argument;
    struct client client;
    client_open(&client, &s);
    for (;;) {
        char line[256];
        int n = snprintf(line, sizeof line, "{\"cmd\":\"PUSHB\",\"queue\":\"q%u\",\"jobs\":[{\"data\":1},{\"data\":2}]}\n"
                                                "{\"cmd\":\"PULL\",\"queue\":\"q%u\",\"timeout\":9}\n", actor->number % QUEUES, (actor->number + 1) % QUEUES);
        const char *answer = "";
        if (send(client.fd, line, (size_t)n, MSG_NOSIGNAL) != n)
            break;
        for (int i = 0; i < 2 && answer; i++)
            answer = client_hear(&client);
        if (!answer)
            break;
        actor->jobs++;
    }
    client_close(&client);
    return NULL;
}

static void stop_in_the_middle(int force)
{
    struct actor talkers[8], insiders[2];
    atomic_store(&stopping, 0);
    start_server(NULL);
    start(talkers, 8, talk_until_the_end, 0);
    start(insiders, 2, work_inside, 0);
    WAIT_UNTIL(server_stat(&s, "completed") > 100);
    mq_net_stop(s.net, force);
    server_join(&s);
    CHECK_INT(mq_net_connections(s.net), 0);
    join(talkers, 8);
    atomic_store(&stopping, 1);
    join(insiders, 2);
    CHECK_INT(server_stat(&s, "processing"), 0); /* nobody is left to hold a job */
    server_end(&s);
}

TEST(graceful_stop_in_the_middle_of_everything) { stop_in_the_middle(0); }

TEST(forced_stop_in_the_middle_of_everything) { stop_in_the_middle(1); }

/* --- time set by one thread, read by all --- */

static void *move_time(void *argument)
{
    (void)argument;
    while (!atomic_load(&stopping)) {
        mq_engine_set_time(s.engine, mq_engine_now(s.engine) + 1);
        sched_yield();
    }
    return NULL;
}

/* --- memory --- */

static void *make_memory_ready(void *engine)
{
    while (mq_engine_wait(engine, MQ_WORK_MEMORY))
        mq_engine_sweep(engine, MQ_WORK_MEMORY, 100);
    return NULL;
}

static void *push_much(void *argument)
{
    struct actor *actor = argument;
    static char padding[1000];
    memset(padding, ' ', sizeof padding - 1);
    for (int64_t i = 0; i < actor->jobs; i++) {
        char line[2000];
        int n = snprintf(line, sizeof line, "{\"cmd\":\"PUSH\",\"queue\":\"q%u\",\"data\":[%s1]}", actor->number % 2, padding + 10 * (i % 90));
        CHECK_HAS(run_bytes(s.engine, line, (size_t)n), "\"ok\":true");
    }
    run_forget();
    return NULL;
}

TEST(memory_is_made_ready_while_others_push)
{
    struct actor actors[3];
    pthread_t memory;
    s.engine = engine_new();
    CHECK_INT(pthread_create(&memory, NULL, make_memory_ready, s.engine), 0);
    for (unsigned i = 0; i < 3; i++) {
        actors[i] = (struct actor){.number = i, .jobs = 20000};
        CHECK_INT(pthread_create(&actors[i].thread, NULL, push_much, &actors[i]), 0);
    }
    for (unsigned i = 0; i < 3; i++)
        pthread_join(actors[i].thread, NULL);
    mq_engine_stop_waiting(s.engine);
    pthread_join(memory, NULL);
    mq_engine_check(s.engine);
    CHECK_HAS(execute("{\"cmd\":\"STATS\"}", 0), "\"queued\":60000,");
    mq_engine_free(s.engine);
}

/* --- time --- */

TEST(timers_fire_while_another_thread_moves_the_time)
{
    struct actor clockmaker[1];
    struct client client;
    atomic_store(&stopping, 0);
    server_start(&s, NULL, REACTORS);
    start(clockmaker, 1, move_time, 0);
    client_open(&client, &s);
    for (int i = 0; i < 300; i++) {
        CHECK(answer_has(client_ask(&client, "{\"cmd\":\"PUSH\",\"queue\":\"q%d\",\"data\":%d,\"delay\":%d}", i % 50, i, i % 7), "id"));
        CHECK_INT(answer_number(client_ask(&client, "{\"cmd\":\"PULL\",\"queue\":\"q%d\"}", i % 50), "job.data"), i);
        CHECK_TEXT(client_ask(&client, "{\"cmd\":\"PULL\",\"queue\":\"none\",\"timeout\":%d}", i % 5 + 1), "{\"ok\":true,\"job\":null}");
    }
    client_close(&client);
    atomic_store(&stopping, 1);
    join(clockmaker, 1);
    server_end(&s);
}
