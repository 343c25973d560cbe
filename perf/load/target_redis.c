/*
 * Why: redis as people use it for a reliable queue: LPUSH, LMOVE to a list of what is being worked on, LREM from it.
 * All values are alike, so that LREM finds its value at once: the best case for redis. It has no priorities.
 */
#include "target.h"

static unsigned greet_nothing(const struct shape *shape, struct buf *out)
{
    (void)shape, (void)out;
    return 0;
}

static void add_text(struct buf *out, const char *text, size_t n)
{
    buf_print(out, "$%zu\r\n", n);
    buf_add(out, text, n);
    BUF_ADD_LITERAL(out, "\r\n");
}

static void ask_push(const struct shape *shape, unsigned values, struct buf *out)
{
    buf_print(out, "*%u\r\n$5\r\nLPUSH\r\n", values + 2);
    add_text(out, shape->queue, strlen(shape->queue));
    for (unsigned i = 0; i < values; i++)
        add_text(out, shape->payload, shape->payload_bytes);
}

static void add_busy_list(const struct shape *shape, struct buf *out)
{
    buf_print(out, "$%zu\r\n%s:busy\r\n", strlen(shape->queue) + 5, shape->queue);
}

static void ask_pull(const struct shape *shape, struct buf *out)
{
    BUF_ADD_LITERAL(out, "*5\r\n$5\r\nLMOVE\r\n");
    add_text(out, shape->queue, strlen(shape->queue));
    add_busy_list(shape, out);
    BUF_ADD_LITERAL(out, "$5\r\nRIGHT\r\n$4\r\nLEFT\r\n");
}

static void ask_ack(const struct shape *shape, struct buf *out)
{
    BUF_ADD_LITERAL(out, "*4\r\n$4\r\nLREM\r\n");
    add_busy_list(shape, out);
    BUF_ADD_LITERAL(out, "$1\r\n1\r\n");
    add_text(out, shape->payload, shape->payload_bytes);
}

static unsigned ask(const struct shape *shape, enum step step, struct buf *out)
{
    switch (step) {
    case STEP_PUSH:
        ask_push(shape, 1, out);
        return 1;
    case STEP_PUSHB:
        ask_push(shape, shape->batch, out);
        return 1;
    case STEP_PULL:
        ask_pull(shape, out);
        return 1;
    case STEP_ACK:
        ask_ack(shape, out);
        return 1;
    case STEP_PULLB:
        for (unsigned i = 0; i < shape->batch; i++)
            ask_pull(shape, out);
        return shape->batch;
    case STEP_ACKB:
        for (unsigned i = 0; i < shape->batch; i++)
            ask_ack(shape, out);
        return shape->batch;
    case STEP_PING:
        BUF_ADD_LITERAL(out, "PING\r\n");
        return 1;
    }
    return 0;
}

/* A moved value: $N, its N bytes. The first line is short, so a loop over it is cheaper than a call. */
static const char *skip_value(const char *at, const char *end)
{
    size_t n = 0;
    for (at++; at < end && *at >= '0' && *at <= '9'; at++)
        n = n * 10 + (size_t)(*at - '0');
    return (size_t)(end - at) >= n + 4 ? at + n + 4 : NULL;
}

static const char *answer(const struct shape *shape, enum step step, const char *at, const char *end, struct buf *acks)
{
    (void)shape, (void)acks;
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (!newline)
        return NULL;
    bool pull = step == STEP_PULL || step == STEP_PULLB, ack = step == STEP_ACK || step == STEP_ACKB;
    if (at[0] != (pull ? '$' : ':') || at[1] == '-' || (ack && at[1] != '1'))
        target_refused("redis", step, at, newline);
    return pull ? skip_value(at, end) : newline + 1;
}

const struct target target_redis = {.name = "redis", .greet = greet_nothing, .ask = ask, .answer = answer};
