#include "net/clients.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/peer.h"

#include <stdio.h>
#include <stdlib.h>

/* What it holds: how many jobs, and since when the oldest. */
static void look_at_holds(struct mq_engine *engine, const struct mq_holder *holder, struct mq_client *client)
{
    uint32_t shards = atomic_load_explicit(&holder->shards, memory_order_relaxed);
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        struct mq_shard *shard = &engine->shards[i];
        if (!(shards >> i & 1))
            continue;
        mq_mutex_lock(&shard->mutex);
        for (const struct mq_list *node = holder->held[i].next; node != &holder->held[i]; node = node->next) {
            const struct mq_job *job = mq_list_entry(node, struct mq_hold, node)->job;
            client->holds++;
            if (!client->oldest_held_ms || job->started_ms < client->oldest_held_ms)
                client->oldest_held_ms = job->started_ms;
        }
        mq_mutex_unlock(&shard->mutex);
    }
}

static struct mq_client view(const struct mq_conn *conn)
{
    const struct mq_shown *shown = &conn->shown;
    struct mq_client client = {
        .id = conn->id,
        .since_ms = conn->since_ms,
        .commands = atomic_load_explicit(&shown->commands, memory_order_relaxed),
        .unsent = atomic_load_explicit(&shown->unsent, memory_order_relaxed),
        .dropped = atomic_load_explicit(&shown->dropped, memory_order_relaxed),
        .waits = atomic_load_explicit(&shown->waits, memory_order_relaxed),
        .waits_hash = atomic_load_explicit(&shown->waits_hash, memory_order_relaxed),
        .subscribes = atomic_load_explicit(&shown->subscribes, memory_order_relaxed),
    };
    const struct mq_holder *holder = atomic_load(&conn->holder);
    client.pulls = holder != NULL;
    if (conn->inside)
        snprintf(client.peer, sizeof client.peer, "http");
    else
        mq_peer_name(conn->fd, client.peer);
    if (holder)
        look_at_holds(conn->reactor->engine, holder, &client);
    return client;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

typedef void visit_conn(void *context, const struct mq_conn *conn);
static void each_conn(struct mq_net *net, visit_conn *visit, void *context)
{
    for (unsigned i = 0; i < net->reactor_n; i++) {
        struct mq_reactor *reactor = &net->reactors[i];
        mq_mutex_lock(&reactor->watch);
        for (const struct mq_list *node = reactor->conns.next; node != &reactor->conns; node = node->next) {
            const struct mq_conn *conn = mq_list_entry(node, struct mq_conn, node);
            if (!conn->closed)
                visit(context, conn);
        }
        mq_mutex_unlock(&reactor->watch);
    }
}

struct ids {
    uint64_t after, *ids;
    size_t n, cap;
    size_t limit;
    struct mq_client *clients;
    size_t found;
};

static void note_id(void *context, const struct mq_conn *conn)
{
    struct ids *ids = context;
    if (conn->id > ids->after && ids->n < ids->cap)
        ids->ids[ids->n++] = conn->id;
}

static void note_client(void *context, const struct mq_conn *conn)
{
    struct ids *ids = context;
    if (ids->found < ids->limit && bsearch(&conn->id, ids->ids, ids->n, sizeof *ids->ids, by_id))
        ids->clients[ids->found++] = view(conn);
}

size_t mq_clients_list(void *context, uint64_t after, size_t limit, struct mq_client *clients)
{
    struct mq_net *net = context;
    struct ids ids = {.after = after, .cap = mq_net_connections(net) + 64, .limit = limit, .clients = clients};
    ids.ids = mq_alloc(ids.cap * sizeof *ids.ids);
    if (!ids.ids)
        return 0;
    each_conn(net, note_id, &ids);
    qsort(ids.ids, ids.n, sizeof *ids.ids, by_id);
    ids.n = ids.n < limit ? ids.n : limit;
    each_conn(net, note_client, &ids);
    qsort(clients, ids.found, sizeof *clients, by_id); /* the id comes first */
    mq_free(ids.ids);
    return ids.found;
}
