/* A listening socket. Reactor 0 accepts for all and deals connections out in turn, so that a few connections are spread
 * as evenly as many: the kernel's choice among SO_REUSEPORT sockets puts two connections on one reactor half of the time,
 * and a port that is already in use would not be noticed.
 */
#ifndef MQ_LISTENER_H
#define MQ_LISTENER_H

#include "net/reactor.h"

struct mq_listener {
    struct mq_source source;
    struct mq_listener *next;
    int fd;
    bool tls;
};

/* Registers all listeners with reactor 0, or takes them out. 0 or -errno. */
int mq_listeners_watch(struct mq_reactor *reactor, bool on);
/* Closes and frees all. */
void mq_listeners_close(struct mq_net *net);

#endif
