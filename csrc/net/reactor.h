/* A reactor: one thread, one epoll, the connections that were given to it, for their whole life.
 *
 * One turn: sleep until something is ready or due; serve every ready connection; do what is due in the shards this reactor
 * times; open the mailbox; write out what was answered, one write for each connection. Only its own thread touches a
 * reactor's connections; everybody else sends a letter.
 */
#ifndef MQ_REACTOR_H
#define MQ_REACTOR_H

#include "base/heap.h"
#include "command/dispatch.h"
#include "net/guard.h"
#include "net/mailbox.h"

#define MQ_REACTORS_MAX 64u
#define MQ_SPARE_RINGS 32u

struct mq_reactor {
    struct mq_mailbox mailbox; /* first: it is what other threads touch */
    _Alignas(64) struct mq_net *net;
    struct mq_engine *engine;
    int epoll_fd;
    unsigned index;
    int64_t now_ms;              /* of this turn */
    struct mq_mutex watch;       /* taken to change `conns`, and by others to walk it; before a shard's */
    struct mq_list conns;        /* all of them */
    struct mq_list dirty;        /* with something to write, process or close before the next sleep */
    struct mq_list uncommitted;  /* with answers that wait for the log */
    bool in_log;                 /* between mq_log_enter and mq_log_leave */
    struct mq_list finished;     /* closed in this turn, freed at its end */
    uint64_t committed_seen;     /* how far the log was when `uncommitted` was last gone through */
    struct mq_heap timers;       /* struct mq_parked, by the end of its wait */
    struct mq_heap deadlines;    /* struct mq_conn, by when to look whether it is late */
    struct mq_ring *rings[MQ_SPARE_RINGS]; /* empty ones of the usual size */
    unsigned ring_n;
    struct mq_request request;   /* reused for every line */
    struct mq_list subscribers;  /* struct mq_subscriber */
    unsigned subscriber_n;
    uint32_t wanted_by[MQ_EVENTS]; /* subscriptions to each event */
    struct mq_feed feed;         /* where their events come in */
    struct mq_ring events;       /* taken from it, being told */
    struct mq_event_reader told; /* how far */
    int64_t told_ms;             /* when events were last told */
    struct mq_losses losses;     /* to be told after them */
    int64_t stop_at_ms;          /* stopping: connections still open then are cut; MQ_NEVER = not stopping */
    _Atomic size_t conn_n;
    uint64_t access_seen;        /* engine->access_number when the connections' tokens were last looked at */
    bool pause_accept;           /* out of descriptors: listeners are off until accept_at_ms */
    int64_t accept_at_ms;
};

struct mq_net {
    struct mq_engine *engine;
    unsigned reactor_n;
    _Atomic unsigned next;       /* whose turn it is to get a connection */
    _Atomic uint64_t conn_id;    /* the last one given */
    _Atomic int stop;            /* 1 = gracefully, 2 = at once */
    struct mq_guard guard;
    _Atomic size_t subscriber_n; /* over all reactors */
    struct mq_listener *listeners;
    struct mq_mutex tls_mutex;
    struct mq_tls_context *tls;  /* guarded by it; NULL before the first mq_net_use_tls */
    struct mq_reactor reactors[];
};

/* What epoll events point to: the first member of everything registered. */
struct mq_source {
    void (*ready)(struct mq_source *source, struct mq_reactor *reactor, unsigned events);
};

/* The server's side of TLS on this socket. NULL: no memory, or no certificate. */
struct mq_tls *mq_net_tls_accept(struct mq_net *net, int fd);

/* A ring from the reactor's spares; NULL when there is no memory. */
struct mq_ring *mq_reactor_ring(struct mq_reactor *reactor);
/* Gives an empty ring back. */
void mq_reactor_ring_done(struct mq_reactor *reactor, struct mq_ring *ring);

#endif
