/* Why: mqfast's lines of JSON, and the echo server, which gets the same lines and answers each alike. */
#include "target.h"

#include <ctype.h>

/* Of the length that real ids have in such runs, so that echo is sent as many bytes. */
#define FIXED_ID "1234567"

static unsigned greet_nothing(const struct shape *shape, struct buf *out)
{
    (void)shape, (void)out;
    return 0;
}

static void add_priority(const struct shape *shape, struct buf *out)
{
    if (shape->priorities)
        buf_print(out, ",\"priority\":%u", target_random(shape->priorities));
}

static void ask_push(const struct shape *shape, struct buf *out)
{
    buf_print(out, "{\"cmd\":\"PUSH\",\"queue\":\"%s\",\"data\":%s", shape->queue, shape->payload);
    add_priority(shape, out);
    BUF_ADD_LITERAL(out, "}\n");
}

static void ask_pushb(const struct shape *shape, struct buf *out)
{
    buf_print(out, "{\"cmd\":\"PUSHB\",\"queue\":\"%s\",\"jobs\":[", shape->queue);
    for (unsigned i = 0; i < shape->batch; i++) {
        buf_print(out, "%s{\"data\":%s", i ? "," : "", shape->payload);
        add_priority(shape, out);
        BUF_ADD_LITERAL(out, "}");
    }
    BUF_ADD_LITERAL(out, "]}\n");
}

static unsigned ask(const struct shape *shape, enum step step, struct buf *out)
{
    switch (step) {
    case STEP_PUSH:
        ask_push(shape, out);
        break;
    case STEP_PULL:
        buf_print(out, "{\"cmd\":\"PULL\",\"queue\":\"%s\",\"timeout\":0}\n", shape->queue);
        break;
    case STEP_ACK:
        BUF_ADD_LITERAL(out, "{\"cmd\":\"ACK\",\"id\":" FIXED_ID "}\n");
        break;
    case STEP_PUSHB:
        ask_pushb(shape, out);
        break;
    case STEP_PULLB:
        buf_print(out, "{\"cmd\":\"PULLB\",\"queue\":\"%s\",\"count\":%u,\"timeout\":0}\n", shape->queue, shape->batch);
        break;
    case STEP_ACKB:
        BUF_ADD_LITERAL(out, "{\"cmd\":\"ACKB\",\"ids\":[" FIXED_ID);
        for (unsigned i = 1; i < shape->batch; i++)
            BUF_ADD_LITERAL(out, "," FIXED_ID);
        BUF_ADD_LITERAL(out, "]}\n");
        break;
    case STEP_PING:
        BUF_ADD_LITERAL(out, "{\"cmd\":\"PING\"}\n");
        break;
    }
    return 1;
}

static bool starts(const char *at, const char *end, const char *prefix, size_t n)
{
    return (size_t)(end - at) >= n && memcmp(at, prefix, n) == 0;
}

#define STARTS(at, end, prefix) starts(at, end, prefix, sizeof(prefix) - 1)

static const char *digits_end(const char *at)
{
    while (*at >= '0' && *at <= '9')
        at++;
    return at;
}

static bool ack_job(const char *at, const char *end, struct buf *acks)
{
    static const char prefix[] = "{\"ok\":true,\"job\":{\"id\":";
    if (!STARTS(at, end, prefix))
        return false;
    const char *id = at + sizeof(prefix) - 1;
    BUF_ADD_LITERAL(acks, "{\"cmd\":\"ACK\",\"id\":");
    buf_add(acks, id, (size_t)(digits_end(id) - id));
    BUF_ADD_LITERAL(acks, "}\n");
    return true;
}

/* A job takes more bytes than its payload, so that much is stepped over before the next id is looked for. */
static bool ack_jobs(const struct shape *shape, const char *at, const char *end, struct buf *acks)
{
    static const char prefix[] = "{\"ok\":true,\"jobs\":[", id_prefix[] = "{\"id\":";
    if (!STARTS(at, end, prefix))
        return false;
    at += sizeof(prefix) - 1;
    unsigned count = 0;
    BUF_ADD_LITERAL(acks, "{\"cmd\":\"ACKB\",\"ids\":[");
    while ((at = memmem(at, (size_t)(end - at), id_prefix, sizeof(id_prefix) - 1))) {
        const char *id = at + sizeof(id_prefix) - 1;
        if (count++)
            BUF_ADD_LITERAL(acks, ",");
        at = digits_end(id);
        buf_add(acks, id, (size_t)(at - id));
        at = (size_t)(end - at) > shape->payload_bytes ? at + shape->payload_bytes : end;
    }
    BUF_ADD_LITERAL(acks, "]}\n");
    return count == shape->batch;
}

/* `end` is where the newline is. */
static bool is_accepted(const struct shape *shape, enum step step, const char *at, const char *end, struct buf *acks)
{
    switch (step) {
    case STEP_PULL:
        return ack_job(at, end, acks);
    case STEP_PULLB:
        return ack_jobs(shape, at, end, acks);
    case STEP_PUSHB: /* a refused item would add errors after the ids */
        return STARTS(at, end, "{\"ok\":true,\"ids\":[") && end[-1] == '}' && end[-2] == ']' &&
               isdigit((unsigned char)end[-3]);
    case STEP_ACKB: {
        static const char prefix[] = "{\"ok\":true,\"ids\":[";
        if (!STARTS(at, end, prefix))
            return false;
        unsigned count = 0;
        for (at += sizeof(prefix) - 1; isdigit((unsigned char)*at); at++)
            count = count * 10 + (unsigned)(*at - '0');
        return count == shape->batch;
    }
    default:
        return STARTS(at, end, "{\"ok\":true");
    }
}

static const char *answer_mqfast(const struct shape *shape, enum step step, const char *at, const char *end,
                                 struct buf *acks)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (!newline)
        return NULL;
    if (!is_accepted(shape, step, at, newline, acks))
        target_refused("mqfast", step, at, newline);
    return newline + 1;
}

static const char *answer_echo(const struct shape *shape, enum step step, const char *at, const char *end,
                               struct buf *acks)
{
    (void)shape, (void)acks;
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (!newline)
        return NULL;
    if (!STARTS(at, newline, "{\"ok\":true"))
        target_refused("echo", step, at, newline);
    return newline + 1;
}

const struct target target_mqfast = {
    .name = "mqfast", .acks_name_ids = true, .greet = greet_nothing, .ask = ask, .answer = answer_mqfast};

const struct target target_echo = {.name = "echo", .greet = greet_nothing, .ask = ask, .answer = answer_echo};
