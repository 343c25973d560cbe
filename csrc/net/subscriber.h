/* Subscribed connections: events from the reactor's feed to their output.
 *
 * Everything here belongs to the reactor's thread. A subscriber's events are numbered; one that its connection has no room for
 * uses up its number and is counted, and once there is room a line says how many are missing and from where on.
 */
#ifndef MQ_SUBSCRIBER_H
#define MQ_SUBSCRIBER_H

#include "net/conn.h"

#define MQ_SUBSCRIPTIONS_MAX 1000u /* of one connection */

struct mq_subscriber {
    struct mq_list node; /* in reactor->subscribers */
    struct mq_conn *conn;
    struct mq_subscription *wanted; /* n of them; each owns its names, in one block at queue_json */
    uint32_t n, cap;
    uint64_t seq;           /* of the last event, told or not */
    uint64_t dropped;       /* events not told, of which the first has the number */
    uint64_t first_dropped;
};

/* Gives the session its function. */
void mq_subscriber_session_init(struct mq_session *session);
/* The session's token opens something else now: what it does not open is not told any more. */
void mq_subscriber_renew(struct mq_conn *conn);
/* No more events. */
void mq_subscriber_free(struct mq_conn *conn);
/* Tells of missing events, if there are any and there is room; true if something was written. */
bool mq_subscriber_catch_up(struct mq_conn *conn);

void mq_subscribers_init(struct mq_reactor *reactor);
void mq_subscribers_close(struct mq_reactor *reactor);
/* Events wait to be told. */
bool mq_subscribers_behind(const struct mq_reactor *reactor);
/* Tells what has come, as much as one turn may take. */
void mq_subscribers_tell(struct mq_reactor *reactor);

#endif
