/*
 * Why: the generator shares a core with the server it measures, so its own work is kept to one write and one read
 * for each request of a connection, one look at the clock a read, and a search for line ends. Single-threaded;
 * level-triggered epoll; all connections read into one buffer, which stays in the cache, and only an answer cut in
 * two is kept aside.
 */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_BYTES = 4 << 20, EVENTS = 512 };

struct conn {
    int fd;
    bool idle;            /* no round under way */
    bool waits_writable;
    unsigned phase;
    unsigned answers_due; /* of this phase */
    const char *out;      /* what of the request is unsent */
    size_t out_bytes;
    uint64_t started_ns;  /* undefined while idle */
    struct buf acks;      /* written while pulls are answered, sent in the next phase */
    struct buf cut;       /* the beginning of an answer whose rest has not come */
};

struct run {
    struct workload *workload;
    unsigned conns_count;
    struct conn *conns;
    int epoll;
    char *in;
    unsigned busy; /* connections with a round under way */
    uint64_t started_ops, ended_ops, max_ops, end_ns;
    struct histogram latencies;
};

static uint64_t now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static void watch(struct run *run, struct conn *conn, int how, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};
    if (epoll_ctl(run->epoll, how, conn->fd, &event))
        die("epoll_ctl: %s", strerror(errno));
}

static void send_rest(struct run *run, struct conn *conn)
{
    ssize_t n = send(conn->fd, conn->out, conn->out_bytes, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        die("%s closed a connection: %s", run->workload->target->name, strerror(errno));
    if (n > 0) {
        conn->out += n;
        conn->out_bytes -= (size_t)n;
    }
    bool waits = conn->out_bytes > 0;
    if (waits != conn->waits_writable) {
        watch(run, conn, EPOLL_CTL_MOD, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
        conn->waits_writable = waits;
    }
}

static void start_phase(struct run *run, struct conn *conn, unsigned index)
{
    struct phase *phase = &run->workload->phases[index];
    const struct buf *request = &conn->acks;
    if (!phase->from_answers) {
        request = &phase->requests[phase->next_variant];
        if (++phase->next_variant == phase->variants)
            phase->next_variant = 0;
    }
    conn->phase = index;
    conn->answers_due = phase->answers;
    conn->out = request->mem;
    conn->out_bytes = request->len;
    send_rest(run, conn);
}

/* Returns false when there is nothing more to start. */
static bool start_round(struct run *run, struct conn *conn, uint64_t at_ns)
{
    if (run->started_ops >= run->max_ops || at_ns >= run->end_ns)
        return false;
    run->started_ops += run->workload->ops;
    conn->started_ns = at_ns;
    start_phase(run, conn, 0);
    return true;
}

static void end_phase(struct run *run, struct conn *conn, uint64_t at_ns)
{
    if (conn->phase + 1 < run->workload->phases_count) {
        start_phase(run, conn, conn->phase + 1);
        return;
    }
    run->ended_ops += run->workload->ops;
    if (!start_round(run, conn, at_ns)) {
        conn->idle = true;
        run->busy--;
    }
}

/* One recv into the shared buffer, behind what was left of this connection's last one. Returns how much is there. */
static size_t receive(struct run *run, struct conn *conn)
{
    size_t kept = conn->cut.len;
    if (kept == IN_BYTES)
        die("%s sent an answer longer than %d bytes", run->workload->target->name, IN_BYTES);
    ssize_t n = recv(conn->fd, run->in + kept, IN_BYTES - kept, 0);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        die("%s closed a connection: %s", run->workload->target->name, n ? strerror(errno) : "end of stream");
    if (kept)
        memcpy(run->in, conn->cut.mem, kept);
    conn->cut.len = 0;
    return kept + (size_t)n;
}

static void read_answers(struct run *run, struct conn *conn)
{
    size_t n = receive(run, conn);
    if (!n)
        return;
    const struct workload *workload = run->workload;
    const struct phase *phase = &workload->phases[conn->phase];
    const char *at = run->in, *end = run->in + n, *next;
    unsigned count = 0;
    if ((phase->step == STEP_PULL || phase->step == STEP_PULLB) && conn->answers_due == phase->answers)
        conn->acks.len = 0;
    while (at < end && (next = workload->target->answer(workload->shape, phase->step, at, end, &conn->acks))) {
        at = next;
        count++;
    }
    if (count > conn->answers_due)
        die("%s answered more often than it was asked", workload->target->name);
    if (at < end)
        buf_add(&conn->cut, at, (size_t)(end - at));
    uint64_t at_ns = now_ns();
    if (count && conn->phase + 1 == workload->phases_count)
        histogram_add(&run->latencies, at_ns - conn->started_ns, count);
    conn->answers_due -= count;
    if (!conn->answers_due)
        end_phase(run, conn, at_ns);
}

uint64_t run_for(struct run *run, uint64_t max_ops, uint64_t max_ns)
{
    struct epoll_event events[EVENTS];
    uint64_t start_ns = now_ns();
    run->started_ops = run->ended_ops = 0;
    run->max_ops = max_ops ? max_ops : UINT64_MAX;
    run->end_ns = max_ns ? start_ns + max_ns : UINT64_MAX;
    for (unsigned i = 0; i < run->conns_count; i++) {
        run->conns[i].idle = !start_round(run, &run->conns[i], start_ns);
        run->busy += !run->conns[i].idle;
    }
    while (run->busy) {
        int n = epoll_wait(run->epoll, events, EVENTS, 10000);
        if (n == 0)
            die("%s has not answered for 10 seconds", run->workload->target->name);
        for (int i = 0; i < n; i++) {
            struct conn *conn = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                send_rest(run, conn);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                read_answers(run, conn);
        }
    }
    return run->ended_ops;
}

static void open_conn(struct run *run, struct conn *conn, const struct address *address, const struct buf *greeting,
                      unsigned answers)
{
    char line[256] = "";
    conn->idle = true;
    conn->fd = net_connect(address);
    if (answers)
        net_ask(conn->fd, greeting, answers, line, sizeof(line));
    net_unblock(conn->fd);
    watch(run, conn, EPOLL_CTL_ADD, EPOLLIN);
}

struct run *run_create(struct workload *workload, const struct address *address, unsigned connections)
{
    struct run *run = calloc(1, sizeof(*run));
    if (!run || !(run->in = malloc(IN_BYTES)) || !(run->conns = calloc(connections, sizeof(struct conn))))
        die("out of memory");
    run->workload = workload;
    run->conns_count = connections;
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (run->epoll < 0)
        die("epoll: %s", strerror(errno));
    struct buf greeting = {0};
    unsigned answers = workload->target->greet(workload->shape, &greeting);
    for (unsigned i = 0; i < connections; i++)
        open_conn(run, &run->conns[i], address, &greeting, answers);
    buf_free(&greeting);
    return run;
}

struct histogram *run_latencies(struct run *run)
{
    return &run->latencies;
}

void run_free(struct run *run)
{
    for (unsigned i = 0; i < run->conns_count; i++) {
        close(run->conns[i].fd);
        buf_free(&run->conns[i].acks);
        buf_free(&run->conns[i].cut);
    }
    close(run->epoll);
    free(run->conns);
    free(run->in);
    free(run);
}
