#include "tests/server.h"

#include "tests/engine.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 30000 /* under the sanitizers, on a busy machine */

static int listen_on_loopback(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1024) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &n) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

struct start {
    mq_net *net;
    unsigned index;
};

static void *reactor_main(void *argument)
{
    struct start start = *(struct start *)argument;
    free(argument);
    CHECK_INT(mq_net_run(start.net, start.index), 0);
    return NULL;
}

struct sweeper {
    mq_engine *engine;
    enum mq_work work;
};

static void *sweeper_main(void *argument)
{
    struct sweeper sweeper = *(struct sweeper *)argument;
    free(argument);
    while (mq_engine_wait(sweeper.engine, sweeper.work))
        mq_engine_sweep(sweeper.engine, sweeper.work, 100000);
    return NULL;
}

static void *log_main(void *engine)
{
    CHECK_INT(mq_engine_run_log(engine), 0); /* without a folder it ends at once */
    return NULL;
}

void server_start(struct server *server, const struct mq_config *config, unsigned reactors)
{
    struct mq_config defaults = engine_config();
    CHECK(reactors <= SERVER_REACTORS);
    *server = (struct server){.reactors = reactors};
    server->engine = mq_engine_create(config ? config : &defaults, server->why, sizeof server->why);
    server->net = mq_net_create(server->engine, reactors);
    CHECK(server->engine && server->net);
    CHECK_INT(mq_net_listen(server->net, listen_on_loopback(&server->port), 0), 0);
    for (unsigned i = 0; i < reactors; i++) {
        struct start *start = malloc(sizeof *start);
        *start = (struct start){server->net, i};
        CHECK_INT(pthread_create(&server->threads[i], NULL, reactor_main, start), 0);
    }
    CHECK_INT(pthread_create(&server->log, NULL, log_main, server->engine), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct sweeper *sweeper = malloc(sizeof *sweeper);
        *sweeper = (struct sweeper){server->engine, i};
        CHECK_INT(pthread_create(&server->sweepers[i], NULL, sweeper_main, sweeper), 0);
    }
}

void server_join(struct server *server)
{
    for (unsigned i = 0; i < server->reactors; i++)
        CHECK_INT(pthread_join(server->threads[i], NULL), 0);
    server->reactors = 0;
}

void server_end(struct server *server)
{
    mq_net_stop(server->net, 1);
    server_join(server);
    mq_engine_stop_waiting(server->engine);
    for (unsigned i = 0; i < 2; i++)
        CHECK_INT(pthread_join(server->sweepers[i], NULL), 0);
    mq_engine_stop_log(server->engine);
    CHECK_INT(pthread_join(server->log, NULL), 0);
    mq_net_free(server->net);
    mq_engine_check(server->engine);
    mq_engine_free(server->engine);
}

/* --- clients --- */

void client_open(struct client *client, const struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)server->port)};
    int on = 1;
    *client = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CHECK(client->fd >= 0);
    CHECK_INT(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void client_close(struct client *client)
{
    close(client->fd);
    free(client->bytes);
    *client = (struct client){.fd = -1};
}

void client_reset(struct client *client)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    client_close(client);
}

void client_half_close(struct client *client) { CHECK_INT(shutdown(client->fd, SHUT_WR), 0); }

void client_send(struct client *client, const char *bytes, size_t n)
{
    while (n) {
        ssize_t sent = send(client->fd, bytes, n, MSG_NOSIGNAL);
        CHECK(sent > 0);
        bytes += sent;
        n -= (size_t)sent;
    }
}

static void say(struct client *client, const char *format, va_list args)
{
    char *line;
    int n = vasprintf(&line, format, args);
    CHECK(n >= 0);
    line[n] = '\n'; /* in the place of its end */
    client_send(client, line, (size_t)n + 1);
    free(line);
}

void client_say(struct client *client, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(client, format, args);
    va_end(args);
}

/* More bytes. False at the end of the connection, or when there is nothing within the time. */
static bool receive(struct client *client, int patience_ms)
{
    struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
    if (poll(&poll_fd, 1, patience_ms) <= 0) {
        if (patience_ms)
            test_fail(__FILE__, __LINE__, "no answer comes");
        return false;
    }
    if (client->cap - client->n < 65536)
        client->bytes = realloc(client->bytes, client->cap = client->cap * 2 + 131072);
    ssize_t n = recv(client->fd, client->bytes + client->n, client->cap - client->n, 0);
    if (n <= 0)
        return false;
    client->n += (size_t)n;
    return true;
}

const char *client_hear(struct client *client)
{
    size_t seen = client->at;
    for (;;) {
        char *end = client->n > seen ? memchr(client->bytes + seen, '\n', client->n - seen) : NULL;
        if (end) {
            const char *answer = client->bytes + client->at;
            *end = 0;
            client->at = (size_t)(end - client->bytes) + 1;
            return answer;
        }
        seen = client->n;
        if (client->at && client->at == client->n)
            client->at = client->n = seen = 0;
        if (!receive(client, PATIENCE_MS))
            return NULL;
    }
}

const char *client_ask(struct client *client, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(client, format, args);
    va_end(args);
    const char *answer = client_hear(client);
    CHECK(answer);
    test_note("%.160s", answer);
    return answer;
}

bool client_has_answer(struct client *client)
{
    if (client->n == client->at)
        receive(client, 0);
    return client->n > client->at && memchr(client->bytes + client->at, '\n', client->n - client->at);
}

bool client_at_end(struct client *client) { return client->n == client->at && !receive(client, PATIENCE_MS); }

/* --- looking and waiting --- */

long long server_wait_start(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

void server_wait_step(long long started, const char *file, int line, const char *condition)
{
    if (server_wait_start() - started > PATIENCE_MS)
        test_fail(file, line, "never: %s", condition);
    sched_yield();
}

unsigned server_waiters(struct server *server, const char *name)
{
    struct mq_queue *queue = engine_queue(server->engine, name);
    unsigned n = 0;
    if (!queue)
        return 0;
    struct mq_shard *shard = mq_engine_shard(server->engine, queue->hash);
    mq_mutex_lock(&shard->mutex);
    for (const struct mq_list *node = queue->waiters.next; node != &queue->waiters; node = node->next)
        n++;
    mq_mutex_unlock(&shard->mutex);
    return n;
}

int64_t server_stat(struct server *server, const char *name)
{
    return answer_number(run_bytes(server->engine, "{\"cmd\":\"STATS\"}", 15), name);
}
