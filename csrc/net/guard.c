#include "net/guard.h"

#include "base/mem.h"
#include "net/reactor.h"

#include <stdio.h>
#include <string.h>

#define REPORT_EVERY_MS 1000

/* What is known of an address, as long as it has connections or is remembered for wrong tokens. */
struct place {
    uint64_t address;
    struct mq_list wrong_node;
    size_t open_n;
    uint32_t wrong_n;
    int64_t wrong_since_ms;
};

void mq_guard_init(struct mq_guard *guard)
{
    mq_mutex_init(&guard->mutex);
    mq_map_init(&guard->addresses);
    mq_list_init(&guard->wrong);
    guard->reported_ms = -REPORT_EVERY_MS;
}

void mq_guard_close(struct mq_guard *guard)
{
    size_t at = 0;
    struct place *place;
    while ((place = mq_map_next(&guard->addresses, &at)))
        mq_free(place);
    mq_map_close(&guard->addresses);
    mq_mutex_close(&guard->mutex);
}

/* --- places --- */

static uint64_t hash_of(uint64_t address) { return address * 0x9e3779b97f4a7c15u ^ address >> 29; }

static bool is_place(const void *item, const void *key) { return ((const struct place *)item)->address == *(const uint64_t *)key; }

static struct place *find_locked(const struct mq_guard *guard, uint64_t address)
{
    return mq_map_find(&guard->addresses, hash_of(address), is_place, &address);
}

/* NULL: no memory. */
static struct place *make_locked(struct mq_guard *guard, uint64_t address)
{
    struct place *place = find_locked(guard, address);
    if (place || mq_map_reserve(&guard->addresses) < 0 || !(place = mq_alloc_zero(sizeof *place)))
        return place;
    place->address = address;
    mq_list_init(&place->wrong_node);
    mq_map_insert(&guard->addresses, hash_of(address), place);
    return place;
}

static void forget_wrong_locked(struct mq_guard *guard, struct place *place)
{
    if (place->wrong_n)
        guard->wrong_n--;
    place->wrong_n = 0;
    mq_list_remove(&place->wrong_node);
}

static void free_if_empty_locked(struct mq_guard *guard, struct place *place)
{
    if (place->open_n || place->wrong_n)
        return;
    mq_map_remove(&guard->addresses, hash_of(place->address), place);
    mq_free(place);
}

/* --- connections --- */

enum mq_trouble mq_guard_admit(struct mq_net *net, int fd, uint64_t *address)
{
    const struct mq_config *config = &net->engine->config;
    struct mq_guard *guard = &net->guard;
    *address = mq_peer_address(fd);
    if (config->max_connections && atomic_load_explicit(&guard->open_n, memory_order_relaxed) >= config->max_connections)
        return MQ_TROUBLE_CONNECTIONS;
    if (*address && config->max_connections_per_address) {
        mq_mutex_lock(&guard->mutex);
        struct place *place = make_locked(guard, *address);
        bool full = !place || place->open_n >= config->max_connections_per_address;
        if (!full)
            place->open_n++;
        mq_mutex_unlock(&guard->mutex);
        if (full)
            return MQ_TROUBLE_ADDRESS;
    }
    atomic_fetch_add_explicit(&guard->open_n, 1, memory_order_relaxed);
    return MQ_TROUBLES;
}

void mq_guard_leave(struct mq_net *net, uint64_t address)
{
    struct mq_guard *guard = &net->guard;
    atomic_fetch_sub_explicit(&guard->open_n, 1, memory_order_relaxed);
    if (!address || !net->engine->config.max_connections_per_address)
        return;
    mq_mutex_lock(&guard->mutex);
    struct place *place = find_locked(guard, address);
    if (place) {
        place->open_n--;
        free_if_empty_locked(guard, place);
    }
    mq_mutex_unlock(&guard->mutex);
}

/* --- reports --- */

static void note(struct mq_net *net, enum mq_trouble trouble, const char *peer)
{
    struct mq_guard *guard = &net->guard;
    struct mq_engine *engine = net->engine;
    bool first = false;
    mq_mutex_lock(&guard->mutex);
    guard->report.count[trouble]++;
    snprintf(guard->report.peer[trouble], sizeof guard->report.peer[trouble], "%s", peer);
    int64_t due = guard->reported_ms + REPORT_EVERY_MS;
    if ((first = atomic_load(&engine->report_ms) == MQ_NEVER))
        atomic_store(&engine->report_ms, due);
    mq_mutex_unlock(&guard->mutex);
    if (first)
        mq_hook_due(&engine->hooks[MQ_WORK_REPORT], due);
}

void mq_guard_note(struct mq_net *net, enum mq_trouble trouble, int fd)
{
    char peer[MQ_PEER_BYTES] = "";
    if (fd >= 0)
        mq_peer_name(fd, peer);
    note(net, trouble, peer);
}

void mq_net_take_report(struct mq_net *net, struct mq_report *report)
{
    struct mq_guard *guard = &net->guard;
    mq_mutex_lock(&guard->mutex);
    *report = guard->report;
    memset(&guard->report, 0, sizeof guard->report);
    guard->reported_ms = mq_engine_now(net->engine);
    atomic_store(&net->engine->report_ms, MQ_NEVER);
    mq_mutex_unlock(&guard->mutex);
}

/* --- wrong tokens --- */

/* Whoever is on this machine already, or behind a proxy on it: shutting out one would shut out all. */
static bool is_loopback(uint64_t address) { return address >> 24 == 0x17f || address == 1; }

int64_t mq_guard_must_wait(struct mq_net *net, uint64_t address, int64_t now_ms)
{
    struct mq_guard *guard = &net->guard;
    if (!address || is_loopback(address))
        return 0;
    mq_mutex_lock(&guard->mutex);
    const struct place *place = find_locked(guard, address);
    int64_t left = place && place->wrong_n >= MQ_GUARD_WRONG_MAX ? place->wrong_since_ms + MQ_GUARD_WINDOW_MS - now_ms : 0;
    mq_mutex_unlock(&guard->mutex);
    return left > 0 ? left : 0;
}

/* Windows that are over, and the oldest when they are too many. */
static void forget_old_locked(struct mq_guard *guard, int64_t now_ms)
{
    struct mq_list *first;
    while ((first = mq_list_first(&guard->wrong))) {
        struct place *place = mq_list_entry(first, struct place, wrong_node);
        if (now_ms - place->wrong_since_ms < MQ_GUARD_WINDOW_MS && guard->wrong_n <= MQ_GUARD_REMEMBERED_MAX)
            return;
        forget_wrong_locked(guard, place);
        free_if_empty_locked(guard, place);
    }
}

static void count_wrong(struct mq_guard *guard, uint64_t address, int64_t now_ms)
{
    if (!address || is_loopback(address))
        return;
    mq_mutex_lock(&guard->mutex);
    forget_old_locked(guard, now_ms);
    struct place *place = make_locked(guard, address);
    if (place && place->wrong_n++ == 0) {
        place->wrong_since_ms = now_ms;
        mq_list_append(&guard->wrong, &place->wrong_node);
        guard->wrong_n++;
    }
    mq_mutex_unlock(&guard->mutex);
}

void mq_guard_wrong_token(struct mq_net *net, uint64_t address, int fd, int64_t now_ms)
{
    mq_guard_note(net, MQ_TROUBLE_TOKEN, fd);
    count_wrong(&net->guard, address, now_ms);
}

int64_t mq_net_must_wait(struct mq_net *net, const char *peer)
{
    return mq_guard_must_wait(net, mq_peer_address_of(peer), mq_engine_now(net->engine));
}

void mq_net_wrong_token(struct mq_net *net, const char *peer)
{
    note(net, MQ_TROUBLE_TOKEN, peer);
    count_wrong(&net->guard, mq_peer_address_of(peer), mq_engine_now(net->engine));
}
