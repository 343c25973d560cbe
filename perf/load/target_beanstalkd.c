/* Why: the classic job queue with priorities, as small and quick as such daemons have been: put, reserve, delete. */
#include "target.h"

#define FIXED_ID "1234567"

static unsigned greet(const struct shape *shape, struct buf *out)
{
    buf_print(out, "use %s\r\nwatch %s\r\nignore default\r\n", shape->queue, shape->queue);
    return 3;
}

/* Lowest first there; an hour to run. */
static void ask_push(const struct shape *shape, struct buf *out)
{
    unsigned priority = shape->priorities ? target_random(shape->priorities) : 0;
    buf_print(out, "put %u 0 3600 %zu\r\n%s\r\n", priority, shape->payload_bytes, shape->payload);
}

static unsigned ask(const struct shape *shape, enum step step, struct buf *out)
{
    bool batch = step == STEP_PUSHB || step == STEP_PULLB || step == STEP_ACKB;
    unsigned count = batch ? shape->batch : 1;
    for (unsigned i = 0; i < count; i++) {
        if (step == STEP_PUSH || step == STEP_PUSHB)
            ask_push(shape, out);
        else if (step == STEP_PULL || step == STEP_PULLB)
            BUF_ADD_LITERAL(out, "reserve-with-timeout 0\r\n");
        else if (step == STEP_PING)
            BUF_ADD_LITERAL(out, "list-tube-used\r\n");
        else
            BUF_ADD_LITERAL(out, "delete " FIXED_ID "\r\n");
    }
    return count;
}

/* RESERVED ID BYTES, then so many bytes. */
static const char *take_reserved(const char *at, const char *newline, const char *end, struct buf *acks)
{
    const char *id = at + sizeof("RESERVED ") - 1, *id_end = memchr(id, ' ', (size_t)(newline - id));
    if (!id_end)
        target_refused("beanstalkd", STEP_PULL, at, newline);
    size_t bytes = 0;
    for (const char *digit = id_end + 1; *digit >= '0' && *digit <= '9'; digit++)
        bytes = bytes * 10 + (size_t)(*digit - '0');
    if ((size_t)(end - newline) < 1 + bytes + 2)
        return NULL;
    BUF_ADD_LITERAL(acks, "delete ");
    buf_add(acks, id, (size_t)(id_end - id));
    BUF_ADD_LITERAL(acks, "\r\n");
    return newline + 1 + bytes + 2;
}

static const char *answer(const struct shape *shape, enum step step, const char *at, const char *end, struct buf *acks)
{
    (void)shape;
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (!newline)
        return NULL;
    bool push = step == STEP_PUSH || step == STEP_PUSHB, pull = step == STEP_PULL || step == STEP_PULLB;
    const char *wanted = push ? "INSERTED " : pull ? "RESERVED " : "DELETED";
    if (strncmp(at, wanted, strlen(wanted)) != 0)
        target_refused("beanstalkd", step, at, newline);
    return pull ? take_reserved(at, newline, end, acks) : newline + 1;
}

const struct target target_beanstalkd = {
    .name = "beanstalkd", .acks_name_ids = true, .greet = greet, .ask = ask, .answer = answer};
