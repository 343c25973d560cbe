/* A net that serves an engine on loopback, each reactor on a thread of the test's own, and clients that talk to it.
 *
 * Nothing here sleeps to let things happen: a round trip on the same connection, or a look at the engine, says that they did.
 */
#ifndef MQ_TESTS_SERVER_H
#define MQ_TESTS_SERVER_H

#include "mqfast.h"

#include <pthread.h>
#include <stdbool.h>

#define SERVER_REACTORS 4u

struct server {
    mq_engine *engine;
    mq_net *net;
    unsigned reactors;
    pthread_t threads[SERVER_REACTORS];
    pthread_t sweepers[2]; /* by enum mq_work */
    pthread_t log;
    char why[512];
    int port;
};

/* config NULL: the tests' defaults (manual time). */
void server_start(struct server *server, const struct mq_config *config, unsigned reactors);
/* Joins the reactors; the engine can still be looked at. */
void server_join(struct server *server);
/* Stops at once, checks the engine, frees everything. */
void server_end(struct server *server);

struct client {
    int fd;
    char *bytes; /* received and not yet taken; `at` of them are taken */
    size_t n, at, cap;
};

void client_open(struct client *client, const struct server *server);
void client_close(struct client *client);
/* Ends with a reset instead of an orderly close. */
void client_reset(struct client *client);
/* Sends no more. */
void client_half_close(struct client *client);
void client_send(struct client *client, const char *bytes, size_t n);
/* Formats a line, adds its newline and sends it. */
void client_say(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The next answer, without its newline; valid until the next call. NULL: the connection has ended. Fails if nothing comes. */
const char *client_hear(struct client *client);
/* say, then hear; fails if the connection ends. */
const char *client_ask(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* True if an answer is there already. */
bool client_has_answer(struct client *client);
/* The connection has ended and nothing more came. */
bool client_at_end(struct client *client);

/* Fails after a long while if it does not become true. */
#define WAIT_UNTIL(condition)                                                                                           \
    do {                                                                                                                \
        long long wait_started_ = server_wait_start();                                                                  \
        while (!(condition))                                                                                            \
            server_wait_step(wait_started_, __FILE__, __LINE__, #condition);                                            \
    } while (0)
long long server_wait_start(void);
void server_wait_step(long long started, const char *file, int line, const char *condition);

/* How many parked pulls stand in this queue. */
unsigned server_waiters(struct server *server, const char *queue);
/* STATS of the engine, as one number each. */
int64_t server_stat(struct server *server, const char *name);

#endif
