/* Any bytes on two connections of one reactor, cut into pieces anywhere: every answer is a line of JSON (or says, last, that this is no
 * HTTP), and in the end an honest
 * connection is served, nothing is held and nothing is left. How the bytes are cut follows from the bytes. */
#include "tests/stepped.h"

#include "base/hash.h"
#include "tests/naive_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct stepped s;
static struct random choices;

/* Takes what was answered. A line may come in pieces: what is behind the last newline is kept. */
struct ear {
    char kept[1 << 17];
    size_t n;
    bool is_over; /* it was taken for HTTP and told so: the rest of that text comes, and answers to pulls that waited */
};

static struct ear ears[2];

static void listen_to(struct ear *ear, int fd)
{
    ssize_t got = recv(fd, ear->kept + ear->n, sizeof ear->kept - ear->n, 0);
    if (got <= 0)
        return;
    ear->n += (size_t)got;
    char *p = ear->kept, *end;
    while ((end = memchr(p, '\n', ear->n - (size_t)(p - ear->kept)))) {
        ear->is_over |= mq_slice_eq(mq_slice_of(p, (size_t)(end - p)), MQ_SLICE("HTTP/1.1 400 Bad Request\r"));
        CHECK(ear->is_over || (*p == '{' && naive_json_end(p, end, 1000) == end));
        p = end + 1;
    }
    ear->n -= (size_t)(p - ear->kept);
    memmove(ear->kept, p, ear->n);
}

static void maybe(const int *fds)
{
    if (random_chance(&choices, 60))
        step(&s);
    if (random_chance(&choices, 10))
        step_all(&s);
    if (random_chance(&choices, 10))
        mq_engine_set_time(s.engine, mq_engine_now(s.engine) + (int64_t)random_below(&choices, 100));
    for (int i = 0; i < 2; i++)
        if (random_chance(&choices, 50))
            listen_to(&ears[i], fds[i]);
}

static void feed(const int *fds, const char *bytes, size_t n)
{
    int which = 0;
    while (n) {
        size_t piece = 1 + random_below(&choices, random_chance(&choices, 50) ? 8 : n);
        piece = piece < n ? piece : n;
        ssize_t sent = send(fds[which], bytes, piece, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return; /* closed on us */
        if (sent > 0) {
            bytes += sent;
            n -= (size_t)sent;
            if (bytes[-1] == '\n' && random_chance(&choices, 50))
                which ^= 1;
        } else {
            step(&s);
            listen_to(&ears[0], fds[0]);
            listen_to(&ears[1], fds[1]);
        }
        maybe(fds);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mq_config config = engine_config();
    int fds[2];
    test_aborts = true;
    config.max_line = 2000;
    config.max_output = 3000;
    choices.state = mq_hash_bytes(data, size);
    stepped_start(&s, &config, NULL);
    for (int i = 0; i < 2; i++) {
        fds[i] = stepped_connect(&s);
        ears[i].n = 0;
        ears[i].is_over = false;
    }
    feed(fds, (const char *)data, size);
    for (int i = 0; i < 2; i++) {
        if (random_chance(&choices, 40)) {
            shutdown(fds[i], SHUT_WR);
            step_all(&s);
            listen_to(&ears[i], fds[i]);
        }
        close(fds[i]);
        maybe(fds);
    }
    step_all(&s);
    CHECK_INT(mq_net_connections(s.net), 0);
    int honest = stepped_connect(&s);
    const char *answer = ask(&s, honest, "{\"cmd\":\"PING\"}");
    CHECK(answer && answer_is(answer, "pong", "true"));
    close(honest);
    step_all(&s);
    mq_engine_set_time(s.engine, mq_engine_now(s.engine) + 1000);
    stepped_end(&s);
    return 0;
}
