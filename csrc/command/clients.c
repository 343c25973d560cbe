/* CLIENTS: who is connected. */
#include "base/mem.h"
#include "base/quote.h"
#include "command/handlers.h"

#define PAGE_MAX 1000u
#define PAGE_DEFAULT 100u
#define NAME_ROOM ((size_t)MQ_QUOTED_MAX(256))

/* The name of the queue with this hash, quoted; p NULL: it is gone. Queues are found by name elsewhere; a slot has few of them. */
static mq_slice queue_name(struct mq_call *call, uint64_t hash, char out[NAME_ROOM])
{
    struct mq_shard *shard = mq_call_lock(call, hash);
    const struct mq_queue *queue;
    mq_slice name = {NULL, 0};
    for (size_t at = 0; (queue = mq_map_next(&mq_shard_slot(shard, hash)->queues, &at));)
        if (queue->hash == hash && queue->name_json_n <= NAME_ROOM) {
            memcpy(out, mq_queue_name_json(queue).p, queue->name_json_n);
            name = mq_slice_of(out, queue->name_json_n);
        }
    mq_call_unlock(call, shard);
    return name;
}

static void write_client(struct mq_call *call, const struct mq_client *client)
{
    char name[NAME_ROOM];
    struct mq_client_view view = {
        .id = client->id,
        .peer = client->peer,
        .kind = client->subscribes ? "subscribe" : client->pulls || client->waits ? "pull" : "push",
        .since_ms = client->since_ms,
        .oldest_held_ms = client->holds ? client->oldest_held_ms : -1,
        .commands = client->commands,
        .holds = client->holds,
        .unsent = client->unsent,
        .dropped = client->dropped,
        .waits = client->waits,
    };
    if (client->waits_hash)
        view.waits_for = queue_name(call, client->waits_hash, name);
    mq_reply_list_client(call->reply, &view);
}

enum mq_outcome mq_do_clients(struct mq_call *call)
{
    const struct mq_engine *engine = call->engine;
    uint64_t after = 0, limit = mq_number_or(call->request, MQ_F_LIMIT, PAGE_DEFAULT);
    limit = limit < PAGE_MAX ? limit : PAGE_MAX;
    if (mq_call_has(call, MQ_F_CURSOR) && !mq_cursor_parse(call->request->text[MQ_F_CURSOR], &after))
        return mq_refuse(call, MQ_E_INVALID, "Invalid: cursor must be one that an answer had");
    struct mq_client *clients = mq_alloc((limit + 1) * sizeof *clients);
    if (!clients)
        return mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    size_t n = engine->clients ? engine->clients(engine->net_context, after, limit + 1, clients) : 0;
    bool more = n > limit;
    n = more ? limit : n;
    mq_reply_list(call->reply, MQ_RESULT_CLIENTS);
    for (size_t i = 0; i < n; i++)
        write_client(call, &clients[i]);
    mq_reply_page_end(call->reply, more ? &clients[n - 1].id : NULL);
    mq_free(clients);
    return MQ_ANSWERED;
}
