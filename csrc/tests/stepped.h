/* A net whose only reactor takes its turns when the test says so: no threads, so what is seen between two turns is exact.
 *
 * For the sake of `turn` this includes the reactor's source; the library's own copy is then not linked. One file a program.
 */
#ifndef MQ_TESTS_STEPPED_H
#define MQ_TESTS_STEPPED_H

#include "net/reactor.c"

#include "net/conn.h"
#include "tests/engine.h"
#include "tests/test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

struct stepped {
    struct mq_engine *engine;
    struct mq_net *net;
};

/* log NULL: the one that keeps nothing. */
static inline void stepped_start(struct stepped *stepped, const struct mq_config *config, struct mq_log *log)
{
    struct mq_config defaults = engine_config();
    stepped->engine = engine_new_with(config ? config : &defaults);
    if (log)
        engine_use_log(stepped->engine, log);
    stepped->net = mq_net_create(stepped->engine, 1);
    CHECK(stepped->net);
    stepped->net->reactors[0].now_ms = mq_engine_now(stepped->engine);
}

static inline void stepped_end(struct stepped *stepped)
{
    mq_net_free(stepped->net);
    mq_engine_check(stepped->engine);
    mq_engine_free(stepped->engine);
}

/* One turn that does not sleep. */
static inline void step(struct stepped *stepped)
{
    struct epoll_event events[EVENTS];
    mq_event_signal(stepped->net->reactors[0].mailbox.event_fd);
    CHECK_INT(turn(&stepped->net->reactors[0], events), 0);
}

static inline bool is_idle(struct mq_reactor *reactor)
{
    struct pollfd ready = {.fd = reactor->epoll_fd, .events = POLLIN};
    return poll(&ready, 1, 0) == 0 && mq_list_empty(&reactor->dirty) && !atomic_load(&reactor->mailbox.top);
}

/* Turns until nothing is ready. */
static inline void step_all(struct stepped *stepped)
{
    step(stepped);
    for (int i = 0; !is_idle(&stepped->net->reactors[0]); i++) {
        CHECK(i < 100000); /* a reactor that never rests */
        step(stepped);
    }
}

/* Our end of a new connection, as if it had come so (its fd aside). What it sends us goes through a buffer as small as the kernel allows. */
static inline int stepped_arrive(struct stepped *stepped, struct mq_arrival arrival)
{
    int fds[2], small = 1;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    arrival.fd = fds[0];
    if (mq_conn_hand_over(&stepped->net->reactors[0], &stepped->net->reactors[0], arrival) < 0) {
        close(fds[0]); /* no memory: as the listener does */
        close(fds[1]);
        return -1;
    }
    return fds[1];
}

static inline int stepped_connect_from(struct stepped *stepped, uint64_t address)
{
    return stepped_arrive(stepped, (struct mq_arrival){.address = address});
}

static inline int stepped_connect(struct stepped *stepped) { return stepped_connect_from(stepped, 0); }

/* The connection that was opened last, if there is any. */
static inline struct mq_conn *last_conn(struct stepped *stepped)
{
    struct mq_list *conns = &stepped->net->reactors[0].conns;
    return mq_list_empty(conns) ? NULL : mq_list_entry(conns->prev, struct mq_conn, node);
}

static inline void put_line(int fd, const char *line)
{
    CHECK_INT(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
    CHECK_INT(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
}

/* What has come, as text; NULL if the connection ended without a byte, "" if nothing is there. Valid until the next call. */
static inline const char *take_text(int fd)
{
    static char text[1 << 16];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        return NULL;
    text[n < 0 ? 0 : n] = 0;
    return text;
}

/* Sends a line and takes its whole answer. */
static inline const char *ask(struct stepped *stepped, int fd, const char *line)
{
    put_line(fd, line);
    step_all(stepped);
    return take_text(fd);
}

#endif
