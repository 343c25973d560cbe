#include "net/listener.h"

#include "base/mem.h"
#include "net/conn.h"
#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REFUSAL(why) "{\"ok\":false,\"error\":\"Unavailable: " why "\",\"code\":\"unavailable\",\"retryable\":true}\n"

#define ACCEPT_SLICE 64u       /* connections taken in one go before others get their turn */
#define ACCEPT_PAUSE_MS 100    /* before trying again when descriptors or memory ran out */

static void pause_accepting(struct mq_reactor *reactor)
{
    mq_guard_note(reactor->net, MQ_TROUBLE_DESCRIPTORS, -1);
    reactor->pause_accept = true;
    reactor->accept_at_ms = reactor->now_ms + ACCEPT_PAUSE_MS;
    mq_listeners_watch(reactor, false);
}

static struct mq_reactor *next_reactor(struct mq_net *net)
{
    unsigned turn = atomic_fetch_add_explicit(&net->next, 1, memory_order_relaxed);
    return &net->reactors[turn % net->reactor_n];
}

/* Says why and closes. The line fits the socket's empty buffer; whoever does not read it loses nothing. */
static void turn_away(struct mq_net *net, int fd, bool tls, enum mq_trouble trouble)
{
    static const char all[] = REFUSAL("this server takes no more connections"),
                      address[] = REFUSAL("this server takes no more connections of your address");
    bool by_address = trouble == MQ_TROUBLE_ADDRESS;
    mq_guard_note(net, trouble, fd);
    if (!tls) /* there the handshake has not even begun */
        (void)!send(fd, by_address ? address : all, by_address ? sizeof address - 1 : sizeof all - 1, MSG_NOSIGNAL);
    close(fd);
}

/* 0, or -1: no memory. */
static int take(struct mq_reactor *reactor, int fd, bool tls)
{
    struct mq_net *net = reactor->net;
    uint64_t address;
    enum mq_trouble trouble = mq_guard_admit(net, fd, &address);
    if (trouble != MQ_TROUBLES) {
        turn_away(net, fd, tls, trouble);
        return 0;
    }
    if (mq_conn_hand_over(next_reactor(net), reactor, (struct mq_arrival){.fd = fd, .address = address, .tls = tls}) == 0)
        return 0;
    mq_guard_leave(net, address);
    close(fd);
    return -1;
}

static void accept_ready(struct mq_source *source, struct mq_reactor *reactor, unsigned events)
{
    struct mq_listener *listener = (struct mq_listener *)source;
    (void)events;
    for (unsigned i = 0; i < ACCEPT_SLICE; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(reactor);
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            return;
        }
        if (take(reactor, fd, listener->tls) < 0) {
            pause_accepting(reactor);
            return;
        }
    }
}

int mq_listeners_watch(struct mq_reactor *reactor, bool on)
{
    for (struct mq_listener *listener = reactor->net->listeners; listener; listener = listener->next) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener->source};
        if (epoll_ctl(reactor->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener->fd, &event) < 0 && on && errno != EEXIST)
            return -errno;
    }
    return 0;
}

int mq_net_listen(struct mq_net *net, int fd, int tls)
{
    struct mq_listener *listener = mq_alloc(sizeof *listener);
    if (!listener)
        return -ENOMEM;
    *listener = (struct mq_listener){.source = {accept_ready}, .next = net->listeners, .fd = fd, .tls = tls};
    net->listeners = listener;
    return 0;
}

int mq_net_connect(struct mq_net *net)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    int flags = fcntl(pair[1], F_GETFL);
    if (flags < 0 || fcntl(pair[1], F_SETFL, flags | O_NONBLOCK) < 0 || mq_conn_hand_over(next_reactor(net), NULL, (struct mq_arrival){.fd = pair[1], .inside = true}) < 0) {
        close(pair[0]);
        close(pair[1]);
        return -ENOMEM;
    }
    return pair[0];
}

void mq_listeners_close(struct mq_net *net)
{
    while (net->listeners) {
        struct mq_listener *listener = net->listeners;
        net->listeners = listener->next;
        close(listener->fd);
        mq_free(listener);
    }
}

/* --- TLS --- */

int mq_net_use_tls(struct mq_net *net, const char *certificate, const char *key, char *why, size_t why_n)
{
    struct mq_tls_context *context = mq_tls_context_make(certificate, key, why, why_n), *old;
    if (!context)
        return -EINVAL;
    mq_mutex_lock(&net->tls_mutex);
    old = net->tls;
    net->tls = context;
    mq_mutex_unlock(&net->tls_mutex);
    if (old)
        mq_tls_context_free(old);
    return 0;
}

struct mq_tls *mq_net_tls_accept(struct mq_net *net, int fd)
{
    mq_mutex_lock(&net->tls_mutex);
    struct mq_tls *tls = net->tls ? mq_tls_accept(net->tls, fd) : NULL;
    mq_mutex_unlock(&net->tls_mutex);
    return tls;
}
