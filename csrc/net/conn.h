/* A connection: bytes in, lines to commands, answers out. Belongs to one reactor and is touched by its thread alone.
 *
 * It has a ring for input only while it holds a partial line, and one for output only while something is unsent; idle, it
 * is this struct and nothing else. A pull that must wait becomes a `parked` (net/parked): without a reqId it holds back all
 * later lines (they stay in the input ring), with one it holds back none.
 */
#ifndef MQ_CONN_H
#define MQ_CONN_H

#include "net/reactor.h"

/* What other threads may read at any time: net/clients. Written by the reactor's thread alone. */
struct mq_shown {
    _Atomic uint64_t commands, unsent, dropped;
    _Atomic uint64_t waits_hash; /* of the queue that the last parked pull waits for; 0 = none */
    _Atomic uint32_t waits;
    _Atomic bool subscribes;
};

struct mq_conn {
    struct mq_source source;
    int fd;
    struct mq_tls *tls; /* NULL: its bytes are plain */
    bool with_tls;      /* it is to have one */
    uint32_t watched; /* what epoll was told */
    struct mq_reactor *reactor;
    struct mq_letter arrival; /* brings it to its reactor */
    struct mq_list node;      /* in reactor->conns, at the end in ->finished */
    struct mq_list dirty;     /* in reactor->dirty or ->uncommitted */
    struct mq_list parked;    /* struct mq_parked */
    struct mq_parked *blocking; /* the parked pull that holds back later lines, or NULL */
    unsigned parked_n;        /* those with an answer on its way included */
    struct mq_ring *in, *out; /* NULL while empty */
    size_t scanned;           /* bytes of `in` known to hold no newline */
    struct mq_holder *_Atomic holder; /* NULL before the first pull */
    struct mq_subscriber *subscriber; /* NULL before the first SUBSCRIBE */
    uint64_t seq;             /* the log must be committed up to here before `out` leaves */
    struct mq_session session;
    struct mq_shown shown;
    uint64_t id;              /* of all connections of the net, from 1 */
    int64_t since_ms;
    uint64_t address;         /* mq_peer_address */
    int64_t partial_ms;       /* since when a line is not finished; 0 = none is */
    uint32_t deadline_index;  /* in reactor->deadlines, MQ_HEAP_NONE = not there */
    uint32_t wrong_n;         /* wrong tokens */
    bool inside;              /* made by mq_net_connect */
    bool eof;                 /* the peer sends no more */
    bool leaving;             /* it has closed its side, but what it sent is not read yet */
    bool skipping;            /* inside a line that was too long */
    bool closed;              /* the socket is gone; waits for answers on their way; set under reactor->watch */
    bool socket_full;         /* the kernel takes no more of `out` for now */
    bool stuck;               /* nothing is read until the output, or what is held back, has drained */
};

static inline void mq_shown_set(_Atomic uint64_t *shown, uint64_t value)
{
    atomic_store_explicit(shown, value, memory_order_relaxed);
}

/* Gives a new socket to a reactor, from the thread of reactor `from` (NULL: from another one). address: as the guard has let it
 * in. One from inside the process was not asked for, and need not authenticate. 0 or -1: no memory. */
struct mq_arrival {
    int fd;
    uint64_t address;
    bool inside, tls;
};
int mq_conn_hand_over(struct mq_reactor *to, struct mq_reactor *from, struct mq_arrival arrival);

static inline struct mq_conn *mq_conn_of(struct mq_session *session) { return mq_list_entry(session, struct mq_conn, session); }

/* Before the reactor sleeps: processes what waits, writes, closes. Takes the connection off the dirty list. */
void mq_conn_settle(struct mq_conn *conn);
void mq_conn_mark_dirty(struct mq_conn *conn);

/* What it sent and is not done yet is dropped; it is told why, and ends when that was sent. */
void mq_conn_end_with(struct mq_conn *conn, enum mq_error error, const char *why);

/* Runs a line (followed by a newline and slack); `verdict` NULL unless it is run again with what it has asked for. */
void mq_conn_run(struct mq_conn *conn, mq_slice line, const struct mq_verdict *verdict);

/* The ring for answers; NULL when there is no memory. */
struct mq_ring *mq_conn_out(struct mq_conn *conn);

/* The server stops: parked pulls are refused, what is unsent is written, then the connection closes. */
void mq_conn_stop(struct mq_conn *conn);
/* Ends now; what it holds goes back to the queues. Freed at the end of the turn, or when the last answer on its way came. */
void mq_conn_close(struct mq_conn *conn);
/* The last step of close, when nothing is parked any more. */
void mq_conn_finish(struct mq_conn *conn);

#endif
