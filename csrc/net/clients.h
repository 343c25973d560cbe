/* Who is connected: CLIENTS, asked by any thread.
 *
 * A reactor's connections are its own thread's, but for what stands in mq_conn.shown, which that thread publishes and others
 * read, and for the list of them, which changes under reactor->watch: so who holds that may walk it, and no connection there
 * is freed, nor its descriptor closed.
 */
#ifndef MQ_CLIENTS_H
#define MQ_CLIENTS_H

#include "net/conn.h"

/* engine->clients */
size_t mq_clients_list(void *net, uint64_t after, size_t limit, struct mq_client *clients);

#endif
