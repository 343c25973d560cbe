/* Why: what happens before and after the measured part: connecting, listening, the first questions. Blocking, simple. */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static socklen_t resolve(const struct address *address, struct sockaddr_storage *to)
{
    memset(to, 0, sizeof(*to));
    if (address->unix_path) {
        struct sockaddr_un *un = (struct sockaddr_un *)to;
        un->sun_family = AF_UNIX;
        if (strlen(address->unix_path) >= sizeof(un->sun_path))
            die("%s: path too long for a Unix socket", address->unix_path);
        strcpy(un->sun_path, address->unix_path);
        return sizeof(*un);
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found;
    char port[16];
    snprintf(port, sizeof(port), "%d", address->port);
    int error = getaddrinfo(address->host, port, &hints, &found);
    if (error)
        die("%s: %s", address->host, gai_strerror(error));
    socklen_t size = found->ai_addrlen;
    memcpy(to, found->ai_addr, size);
    freeaddrinfo(found);
    return size;
}

static int open_socket(const struct sockaddr_storage *to)
{
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0)
        die("cannot open a socket: %s", strerror(errno));
    if (to->ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

int net_connect(const struct address *address)
{
    struct sockaddr_storage to;
    socklen_t size = resolve(address, &to);
    int fd = open_socket(&to);
    if (connect(fd, (struct sockaddr *)&to, size)) {
        if (address->unix_path)
            die("cannot connect to %s: %s", address->unix_path, strerror(errno));
        die("cannot connect to %s port %d: %s", address->host, address->port, strerror(errno));
    }
    return fd;
}

int net_listen(const struct address *address, int *port)
{
    struct sockaddr_storage to;
    socklen_t size = resolve(address, &to);
    int fd = open_socket(&to), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (address->unix_path)
        unlink(address->unix_path);
    if (bind(fd, (struct sockaddr *)&to, size) || listen(fd, 4096))
        die("cannot listen: %s", strerror(errno));
    size = sizeof(to);
    getsockname(fd, (struct sockaddr *)&to, &size);
    *port = 0;
    if (to.ss_family == AF_INET)
        *port = ntohs(((struct sockaddr_in *)&to)->sin_port);
    else if (to.ss_family == AF_INET6)
        *port = ntohs(((struct sockaddr_in6 *)&to)->sin6_port);
    net_unblock(fd);
    return fd;
}

void net_unblock(int fd)
{
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
        die("cannot make a socket non-blocking: %s", strerror(errno));
}

void net_ask(int fd, const struct buf *request, unsigned answers, char *line, size_t cap)
{
    for (size_t sent = 0; sent < request->len;) {
        ssize_t n = send(fd, request->mem + sent, request->len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            die("the server closed a connection while it was set up");
        sent += (size_t)n;
    }
    size_t len = 0;
    while (answers) {
        char c;
        if (recv(fd, &c, 1, 0) != 1)
            die("the server closed a connection while it was set up");
        if (c == '\n') {
            line[len] = '\0';
            len = 0;
            answers--;
        } else if (len + 1 < cap) {
            line[len++] = c;
        }
    }
}

void net_raise_file_limit(size_t wanted)
{
    struct rlimit limit, higher;
    getrlimit(RLIMIT_NOFILE, &limit);
    higher = (struct rlimit){.rlim_cur = wanted, .rlim_max = wanted > limit.rlim_max ? wanted : limit.rlim_max};
    if (limit.rlim_cur < wanted && setrlimit(RLIMIT_NOFILE, &higher))
        die("%zu open files wanted, at most %llu allowed: ulimit -n", wanted, (unsigned long long)limit.rlim_max);
}
