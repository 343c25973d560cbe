/* Connections that are late: with a token, or with the end of a line that has begun.
 *
 * A connection stands in its reactor's heap at the earliest time at which it could be late, and is looked at when that comes: so
 * one that is never late costs an entry now and then, not one for each line.
 */
#ifndef MQ_DEADLINE_H
#define MQ_DEADLINE_H

#include "net/conn.h"

/* It has just come, and must give a token if one is needed. */
void mq_deadline_of_token(struct mq_conn *conn);
/* Its input has changed: a line that has begun must end, one that has ended is not late. */
void mq_deadline_of_line(struct mq_conn *conn);
/* Its entry in reactor->deadlines has come: one that is late is told so, and closes. */
void mq_deadline_look(struct mq_conn *conn);

#endif
