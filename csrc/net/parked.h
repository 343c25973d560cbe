/* A connection's commands that wait (pulls for a job, WAITJOB for one's end), and the letter that brings the answer.
 *
 * A parked command is in its queue's or its job's list until it is served or given up; both happen under the shard's mutex, so
 * exactly one of the two does. Served, its answer is written by whichever thread made a job ready or ended it, and travels as a
 * letter to the connection's reactor. If the connection has gone by then, jobs given go back as if they never had been.
 */
#ifndef MQ_PARKED_H
#define MQ_PARKED_H

#include "command/handlers.h"
#include "net/conn.h"
#include "queue/cron.h"

struct mq_parked {
    struct mq_waiter waiter;
    struct mq_letter letter;
    struct mq_conn *conn;
    bool for_ending;        /* a WAITJOB: waiter.hash is the job's id */
    struct mq_question *question; /* a command that waits for a time to be worked out, then is run again: owned; else NULL */
    char *line;             /* then: the command, with its newline and slack, and what its question borrows: owned */
    size_t line_n;          /* without them */
    struct mq_list node;    /* in conn->parked */
    uint32_t timer_index;   /* in reactor->timers, by the end of its wait; MQ_HEAP_NONE = waits for ever */
    struct mq_ring answer;  /* written by whoever delivered */
    struct mq_given *given; /* what it brings; NULL = not noted, for want of memory */
    uint32_t given_n;
    bool failed;            /* no memory for the answer */
    uint64_t seq;           /* the log must be committed up to here before it is told */
    uint32_t req_id_n;      /* 0 = none */
    char req_id[132];       /* quoted as written */
};

/* Gives the session its functions. */
void mq_parked_session_init(struct mq_session *session);

/* The wait is over: answered with nothing, unless a job is on its way. */
void mq_parked_expire(struct mq_parked *parked);
void mq_parked_expire_all(struct mq_conn *conn);
/* The session's token opens something else now: what it does not open is refused. */
void mq_parked_renew(struct mq_conn *conn);
void mq_parked_refuse_all(struct mq_conn *conn, enum mq_error error);
/* The connection is gone: no answer. */
void mq_parked_drop_all(struct mq_conn *conn);

#endif
