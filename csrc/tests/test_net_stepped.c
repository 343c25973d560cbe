/* What a connection costs while its peer is slow, silent or gone, looked at between two turns of its reactor. */
#include "tests/stepped.h"

#include "tests/naive_json.h"

static struct stepped s;

#define N 20000

/* Sends pings with reqId from *next on, as long as the socket takes them. */
static void send_some(int fd, unsigned *next, size_t *rest)
{
    char line[64];
    while (*next < N) {
        int n = snprintf(line, sizeof line, "{\"cmd\":\"PING\",\"reqId\":\"%u\"}\n", *next);
        ssize_t sent = send(fd, line + *rest, (size_t)n - *rest, MSG_NOSIGNAL);
        if (sent < 0)
            return;
        *rest += (size_t)sent;
        if (*rest < (size_t)n)
            return;
        *rest = 0;
        ++*next;
    }
}

/* Reads what is there; *heard answers so far, all in order. */
static void hear_some(int fd, unsigned *heard)
{
    static char kept[1 << 17];
    static size_t kept_n;
    ssize_t n = recv(fd, kept + kept_n, 3000, 0);
    if (n <= 0)
        return;
    kept_n += (size_t)n;
    char *p = kept, *end;
    while ((end = memchr(p, '\n', kept_n - (size_t)(p - kept)))) {
        char wanted[32];
        *end = 0;
        snprintf(wanted, sizeof wanted, "\"%u\"", (*heard)++);
        CHECK(answer_is(p, "reqId", wanted));
        p = end + 1;
    }
    kept_n -= (size_t)(p - kept);
    memmove(kept, p, kept_n);
}

static void check_bounds(const struct mq_conn *conn, size_t max_output)
{
    if (conn->out)
        CHECK(mq_ring_used(conn->out) <= max_output + 1024 && conn->out->cap <= 4 * MQ_RING_BYTES);
    if (conn->in)
        CHECK(conn->in->cap <= 4 * MQ_RING_BYTES);
}

TEST(slow_reader_takes_bounded_memory_and_gets_every_answer_in_order)
{
    struct mq_config config = engine_config();
    unsigned next = 0, heard = 0, last_next = 1;
    size_t rest = 0;
    config.max_output = 20000;
    stepped_start(&s, &config, NULL);
    int fd = stepped_connect(&s);
    while (next != last_next) { /* as much as it will take without a byte read */
        last_next = next;
        send_some(fd, &next, &rest);
        step_all(&s);
        check_bounds(last_conn(&s), config.max_output);
    }
    CHECK(next < N && last_conn(&s)->stuck);
    while (heard < N) {
        hear_some(fd, &heard);
        step_all(&s);
        send_some(fd, &next, &rest);
        step_all(&s);
        check_bounds(last_conn(&s), config.max_output);
    }
    CHECK(!last_conn(&s)->out && !last_conn(&s)->in && !last_conn(&s)->stuck);
    close(fd);
    step_all(&s);
    CHECK_INT(mq_net_connections(s.net), 0);
    stepped_end(&s);
}

TEST(slow_reader_that_goes_leaves_nothing_behind)
{
    struct mq_config config = engine_config();
    unsigned next = 0, last_next = 1;
    size_t rest = 0;
    config.max_output = 20000;
    stepped_start(&s, &config, NULL);
    int fd = stepped_connect(&s);
    CHECK(answer_has(ask(&s, fd, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}"), "id"));
    CHECK(answer_has(ask(&s, fd, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "job.id"));
    while (next != last_next) {
        last_next = next;
        send_some(fd, &next, &rest);
        step_all(&s);
    }
    close(fd);
    step_all(&s);
    CHECK_INT(mq_net_connections(s.net), 0);
    check_stats(s.engine, 1, 0, 0, 0, 0);
    stepped_end(&s);
}

TEST(commands_behind_a_parked_pull_wait_in_bounded_memory)
{
    unsigned next = 0, heard = 0, last_next = 1;
    size_t rest = 0;
    stepped_start(&s, NULL, NULL);
    int fd = stepped_connect(&s);
    put_line(fd, "{\"cmd\":\"PULL\",\"queue\":\"q\",\"reqId\":null}");
    step_all(&s);
    while (next != last_next) {
        last_next = next;
        send_some(fd, &next, &rest);
        step_all(&s);
        check_bounds(last_conn(&s), 8 << 20);
    }
    CHECK(next < N && last_conn(&s)->stuck);
    CHECK_TEXT(take_text(fd), "");
    run_ok(s.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"go\"}");
    step_all(&s);
    char first[1024] = "";
    for (size_t n = 0; !strchr(first, '\n'); n++)
        CHECK_INT(recv(fd, first + n, 1, 0), 1);
    CHECK(answer_is(first, "job.data", "\"go\""));
    while (heard < N) {
        hear_some(fd, &heard);
        step_all(&s);
        send_some(fd, &next, &rest);
        step_all(&s);
    }
    close(fd);
    step_all(&s);
    stepped_end(&s);
}

TEST(peer_that_leaves_behind_a_parked_pull_and_a_full_buffer_is_noticed)
{
    unsigned next = 0, last_next = 1;
    size_t rest = 0;
    stepped_start(&s, NULL, NULL);
    int fd = stepped_connect(&s);
    put_line(fd, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    step_all(&s);
    while (next != last_next) {
        last_next = next;
        send_some(fd, &next, &rest);
        step_all(&s);
    }
    CHECK(last_conn(&s)->stuck);
    close(fd);
    step_all(&s);
    CHECK_INT(mq_net_connections(s.net), 0);
    run_ok(s.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
    check_stats(s.engine, 1, 0, 0, 0, 0);
    stepped_end(&s);
}

TEST(idle_connection_holds_no_buffer)
{
    stepped_start(&s, NULL, NULL);
    int fd = stepped_connect(&s);
    for (int i = 0; i < 3; i++) {
        CHECK(answer_is(ask(&s, fd, "{\"cmd\":\"PING\"}"), "pong", "true"));
        CHECK(!last_conn(&s)->in && !last_conn(&s)->out);
    }
    CHECK_INT(send(fd, "{\"cmd\"", 6, 0), 6);
    step_all(&s);
    CHECK(last_conn(&s)->in && !last_conn(&s)->out); /* only as long as it holds a part of a line */
    CHECK_INT(send(fd, ":\"PING\"}\n", 9, 0), 9);
    step_all(&s);
    CHECK(!last_conn(&s)->in && !last_conn(&s)->out);
    close(fd);
    step_all(&s);
    stepped_end(&s);
}

TEST(long_line_gives_its_memory_back)
{
    stepped_start(&s, NULL, NULL);
    int fd = stepped_connect(&s);
    char *text = malloc(3 << 20);
    size_t sent = 0, size = 3 << 20;
    memset(text, ' ', size);
    memcpy(text, "{\"cmd\":\"PING\"", 13);
    memcpy(text + size - 2, "}\n", 2);
    while (sent < size) {
        ssize_t n = send(fd, text + sent, size - sent, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        step_all(&s);
    }
    CHECK(answer_is(take_text(fd), "pong", "true"));
    CHECK(!last_conn(&s)->in);
    for (unsigned i = 0; i < s.net->reactors[0].ring_n; i++)
        CHECK_INT(s.net->reactors[0].rings[i]->cap, MQ_RING_BYTES);
    free(text);
    close(fd);
    step_all(&s);
    stepped_end(&s);
}

/* --- answers wait for the log --- */

TEST(answer_leaves_only_when_the_log_has_committed_what_it_tells)
{
    struct mq_log *log = mq_log_mem_open(true);
    stepped_start(&s, NULL, log);
    int fd = stepped_connect(&s), other = stepped_connect(&s);
    CHECK_TEXT(ask(&s, fd, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}"), "");
    CHECK_TEXT(ask(&s, fd, "{\"cmd\":\"PING\"}"), ""); /* in order behind it */
    CHECK(answer_is(ask(&s, other, "{\"cmd\":\"PING\"}"), "pong", "true"));
    CHECK_TEXT(ask(&s, other, "{\"cmd\":\"ISPAUSED\",\"queue\":\"q\"}"), ""); /* saw what is not committed yet */
    mq_log_mem_commit(log, 1);
    step_all(&s);
    CHECK_HAS(take_text(fd), "\"pong\":true");
    CHECK_HAS(take_text(other), "\"paused\":false");
    close(fd);
    close(other);
    step_all(&s);
    stepped_end(&s);
}

TEST(parked_pull_gets_its_job_when_push_and_lease_are_committed)
{
    struct mq_log *log = mq_log_mem_open(true);
    stepped_start(&s, NULL, log);
    int fd = stepped_connect(&s);
    CHECK_TEXT(ask(&s, fd, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "");
    run_ok(s.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
    step_all(&s);
    CHECK_TEXT(take_text(fd), "");
    mq_log_mem_commit(log, 100);
    step_all(&s);
    CHECK(answer_has(take_text(fd), "job.id"));
    close(fd);
    step_all(&s);
    stepped_end(&s);
}

TEST(connection_that_ends_before_the_commit_gives_its_job_back)
{
    struct mq_log *log = mq_log_mem_open(true);
    stepped_start(&s, NULL, log);
    int fd = stepped_connect(&s);
    run_ok(s.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
    CHECK_TEXT(ask(&s, fd, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "");
    close(fd);
    step_all(&s);
    mq_log_mem_commit(log, 100);
    step_all(&s);
    check_stats(s.engine, 1, 0, 0, 0, 0);
    CHECK_INT(mq_net_connections(s.net), 0);
    stepped_end(&s);
}

/* --- a delivery on its way to a connection that is gone --- */

TEST(job_on_its_way_to_a_closed_connection_comes_back_undelivered)
{
    stepped_start(&s, NULL, NULL);
    int fd = stepped_connect(&s);
    put_line(fd, "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":5,\"lease\":100000}");
    step_all(&s);
    struct mq_conn *conn = last_conn(&s);
    run_ok(s.engine, "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[{\"data\":1},{\"data\":2}]}"); /* the letter lies in the mailbox */
    check_stats(s.engine, 0, 2, 0, 0, 0);
    mq_conn_close(conn);
    step_all(&s);
    CHECK_INT(mq_net_connections(s.net), 0);
    const char *answer = run_ok(s.engine, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    CHECK_INT(answer_number(answer, "job.deliveries"), 1);
    CHECK_INT(answer_number(answer, "job.data"), 1);
    close(fd);
    stepped_end(&s);
}

/* --- events --- */

TEST(the_hub_is_asked_for_what_subscriptions_want_and_no_more)
{
    stepped_start(&s, NULL, NULL);
    _Atomic uint32_t *wanted = &s.engine->hub.wanted;
    int a = stepped_connect(&s), b = stepped_connect(&s);
    ask(&s, a, "{\"cmd\":\"SUBSCRIBE\",\"queue\":\"q\",\"events\":[\"pushed\",\"failed\"]}");
    ask(&s, b, "{\"cmd\":\"SUBSCRIBE\",\"queue\":\"r\",\"events\":[\"failed\"]}");
    CHECK_INT(*wanted, 1u << MQ_EVENT_PUSHED | 1u << MQ_EVENT_FAILED);
    ask(&s, a, "{\"cmd\":\"SUBSCRIBE\",\"queue\":\"q\",\"events\":[\"active\",\"failed\"]}"); /* in place of the one before */
    CHECK_INT(*wanted, 1u << MQ_EVENT_ACTIVE | 1u << MQ_EVENT_FAILED);
    ask(&s, a, "{\"cmd\":\"UNSUBSCRIBE\",\"queue\":\"q\",\"events\":[\"active\",\"pushed\"]}");
    CHECK_INT(*wanted, 1u << MQ_EVENT_FAILED);
    close(a);
    step_all(&s);
    CHECK_INT(*wanted, 1u << MQ_EVENT_FAILED);
    ask(&s, b, "{\"cmd\":\"UNSUBSCRIBE\",\"queue\":\"r\"}");
    CHECK_INT(*wanted, 0);
    close(b);
    stepped_end(&s);
}

/* More queues than losses are told apart by: a subscriber to one of the others must learn all the same that it missed something. */
TEST(no_loss_is_kept_from_a_subscriber_however_many_queues_there_are)
{
    char line[512], name[256];
    stepped_start(&s, NULL, NULL);
    int fd = stepped_connect(&s);
    ask(&s, fd, "{\"cmd\":\"SUBSCRIBE\",\"queue\":\"last\",\"events\":[\"pushed\"]}");
    memset(name, 'n', 240);
    struct mq_feed *feed = &s.net->reactors[0].feed;
    for (unsigned i = 0; feed->losses.n < MQ_LOSSES; i++) { /* no turn is taken meanwhile */
        CHECK(i < 40000);
        sprintf(name + 240, "%u", i);
        int n = snprintf(line, sizeof line, "{\"cmd\":\"PUSH\",\"queue\":\"%s\",\"data\":1}", name);
        run_bytes(s.engine, line, (size_t)n);
    }
    run_ok(s.engine, "{\"cmd\":\"PUSH\",\"queue\":\"last\",\"data\":1}");
    while (mq_subscribers_behind(&s.net->reactors[0])) { /* so many take several turns */
        mq_engine_set_time(s.engine, mq_engine_now(s.engine) + 1);
        step(&s);
    }
    CHECK(strstr(take_text(fd), "\"dropped\""));
    close(fd);
    stepped_end(&s);
}

/* The log does not commit, as on a full disk, and more is answered than may be unsent: that the peer has gone is no work. */
TEST(a_peer_that_has_gone_while_the_log_stands_still_keeps_nobody_busy)
{
    struct mq_config config = engine_config();
    config.max_output = 1024;
    struct mq_log *log = mq_log_mem_open(true);
    stepped_start(&s, &config, log);
    int fd = stepped_connect(&s);
    for (int i = 0; i < 1000 && !last_conn(&s)->stuck; i++) {
        put_line(fd, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
        step_all(&s);
    }
    CHECK(last_conn(&s)->stuck);
    close(fd);
    step_all(&s);
    mq_log_mem_commit(log, UINT64_MAX);
    step_all(&s);
    CHECK_INT(mq_net_connections(s.net), 0);
    stepped_end(&s);
}
