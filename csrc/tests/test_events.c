/* Events from shard to feed: in order, to those who want them, within bounds, and every lost one counted. */
#include "queue/events.h"
#include "tests/engine.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned woken;
static void wake(void *context) { (void)context, woken++; }

struct seen {
    uint64_t n, by_event[MQ_EVENTS], last_id;
};

/* Takes all that has come; returns how many losses there were. */
static uint64_t take(struct mq_hub *hub, struct mq_feed *feed, struct seen *seen)
{
    struct mq_ring ring;
    struct mq_losses losses;
    uint64_t lost = 0;
    mq_ring_init_sized(&ring, 4096);
    mq_feed_take(hub, feed, &ring, &losses);
    struct mq_event_reader reader = {.bytes = mq_ring_peek(&ring)};
    while (mq_event_next(&reader)) {
        seen->n++;
        seen->by_event[reader.event]++;
        seen->last_id = reader.id;
        CHECK(reader.queue_json.n && reader.queue_json.p[0] == '"');
    }
    for (unsigned i = 0; i < losses.n; i++)
        for (unsigned event = 0; event < MQ_EVENTS; event++)
            lost += losses.rows[i].n[event];
    free(losses.rows);
    mq_ring_close(&ring);
    return lost;
}

TEST(a_life_is_told_event_by_event)
{
    struct mq_engine *e = engine_new();
    struct mq_feed feed;
    struct seen seen = {0};
    mq_feed_init(&feed, 1 << 20, wake, NULL);
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":0}");
    mq_feed_want(&e->hub, &feed, MQ_EVENTS_ALL);
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"r\",\"data\":1,\"timeout\":5,\"max_attempts\":2}");
    for (int i = 0; i < 2; i++) {
        run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"r\"}");
        later(e, 5);
        mq_engine_tick(e);
    }
    run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    run_ok(e, "{\"cmd\":\"PROGRESS\",\"id\":1613,\"progress\":5}");
    run_ok(e, "{\"cmd\":\"ACK\",\"id\":1613}");
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":0,\"ttl\":1}");
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":0}");
    run_ok(e, "{\"cmd\":\"CANCEL\",\"id\":3661}");
    later(e, 1);
    mq_engine_tick(e);
    CHECK_INT(take(&e->hub, &feed, &seen), 0);
    static const uint64_t wanted[MQ_EVENTS] = {
        [MQ_EVENT_PUSHED] = 3, [MQ_EVENT_ACTIVE] = 3, [MQ_EVENT_COMPLETED] = 1, [MQ_EVENT_FAILED] = 1, [MQ_EVENT_RETRYING] = 1,
        [MQ_EVENT_TIMEOUT] = 2, [MQ_EVENT_EXPIRED] = 1, [MQ_EVENT_CANCELLED] = 1, [MQ_EVENT_PROGRESS] = 1,
    };
    for (unsigned i = 0; i < MQ_EVENTS; i++)
        CHECK_INT(seen.by_event[i], wanted[i]);
    CHECK(woken);
    mq_feed_want(&e->hub, &feed, 0);
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":0}");
    CHECK(!atomic_load(&feed.filled));
    mq_feed_close(&e->hub, &feed);
    mq_engine_free(e);
}

TEST(a_feed_that_is_not_read_is_bounded_and_knows_what_it_lost)
{
    struct mq_engine *e = engine_new();
    struct mq_feed feed;
    struct seen seen = {0};
    char line[64];
    mq_feed_init(&feed, 10000, wake, NULL);
    mq_feed_want(&e->hub, &feed, MQ_EVENTS_ALL);
    for (int i = 0; i < 3000; i++) {
        int n = snprintf(line, sizeof line, "{\"cmd\":\"PUSH\",\"queue\":\"q%d\",\"data\":0}", i % 5);
        run_bytes(e, line, (size_t)n);
    }
    CHECK(feed.bytes.cap <= 16384);
    uint64_t lost = take(&e->hub, &feed, &seen);
    CHECK(lost > 0 && seen.n > 0);
    CHECK_INT(lost + seen.n, 3000);
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":0}"); /* and goes on from there */
    CHECK_INT(take(&e->hub, &feed, &seen), 0);
    CHECK_INT(lost + seen.n, 3001);
    mq_feed_close(&e->hub, &feed);
    mq_engine_free(e);
}

TEST(more_queues_than_losses_are_told_apart_for_are_counted_all_the_same)
{
    struct mq_hub hub;
    struct mq_feed feed;
    struct seen seen = {0};
    struct mq_outbox outbox = {0};
    mq_hub_init(&hub);
    mq_ring_init_sized(&outbox.bytes, 4096);
    mq_feed_init(&feed, 1, wake, NULL); /* has room for nothing */
    mq_feed_want(&hub, &feed, MQ_EVENTS_ALL);
    for (uint64_t i = 0; i < MQ_LOSSES + 100; i++) {
        mq_outbox_add(&outbox, &hub, MQ_EVENT_PUSHED, i, i, MQ_SLICE("\"q\""));
        mq_outbox_send(&outbox, &hub, 0);
    }
    CHECK_INT(take(&hub, &feed, &seen), MQ_LOSSES + 100);
    CHECK_INT(seen.n, 0);
    mq_ring_close(&outbox.bytes);
    mq_feed_close(&hub, &feed);
    mq_hub_close(&hub);
}
