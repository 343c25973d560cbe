/*
 * Why: the physical limit that a job server is measured against. Each line in is answered by one fixed line, by the
 * least work that still is a server over epoll: level-triggered, one recv and one send a wake-up, nothing kept of a
 * connection. What this program does not reach on a machine, no server with this protocol does.
 */
#include "net.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, IN_BYTES = 1 << 18 };

static const char ANSWER[] = "{\"ok\":true,\"id\":1}\n";
enum { ANSWER_BYTES = sizeof(ANSWER) - 1 };

static char in[IN_BYTES];
static char *answers; /* ANSWER as often as `in` can hold lines: what is sent is never copied first */

static void send_all(int fd, const char *from, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, from, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd writable = {.fd = fd, .events = POLLOUT};
            poll(&writable, 1, -1);
            continue;
        }
        if (sent < 0)
            return; /* the peer has gone: the next recv says so */
        from += sent;
        n -= (size_t)sent;
    }
}

static void serve(int fd)
{
    ssize_t n = recv(fd, in, sizeof(in), 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            close(fd);
        return;
    }
    size_t lines = 0;
    const char *end = in + n;
    for (const char *at = in; (at = memchr(at, '\n', (size_t)(end - at))); at++)
        lines++;
    if (lines)
        send_all(fd, answers, lines * ANSWER_BYTES);
}

static void accept_all(int epoll, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_where(int argc, char **argv)
{
    struct address address = {.host = "127.0.0.1"};
    if (argc == 2 && argv[1][0] == '/')
        address.unix_path = argv[1];
    else if (argc == 2 && argv[1][0] >= '0' && argv[1][0] <= '9')
        address.port = atoi(argv[1]);
    else
        die("usage: mqecho PORT (0 takes a free one) or mqecho /PATH/OF/SOCKET");
    int port, listener = net_listen(&address, &port);
    if (address.unix_path)
        printf("mqecho listening on %s\n", address.unix_path);
    else
        printf("mqecho listening on %s:%d\n", address.host, port);
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv)
{
    net_raise_file_limit(12000);
    answers = malloc((size_t)IN_BYTES * ANSWER_BYTES);
    if (!answers)
        die("out of memory");
    for (size_t i = 0; i < IN_BYTES; i++)
        memcpy(answers + i * ANSWER_BYTES, ANSWER, ANSWER_BYTES);

    int listener = listen_where(argc, argv), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else
                serve(events[i].data.fd);
        }
    }
}
