/* Sockets as both programs need them. Every failure ends the program with a clear line. */
#ifndef LOAD_NET_H
#define LOAD_NET_H

#include "buf.h"

struct address {
    const char *host;
    int port;
    const char *unix_path; /* used instead of host and port unless NULL */
};

/* A connected, still blocking socket; TCP without Nagle's delay. */
int net_connect(const struct address *address);

/* A listening non-blocking socket; its port goes to *port (0 for a Unix socket). */
int net_listen(const struct address *address, int *port);

void net_unblock(int fd);

/* Sends all of `request` and reads `answers` lines on a blocking socket. The last line is left in `line`. */
void net_ask(int fd, const struct buf *request, unsigned answers, char *line, size_t cap);

/* As many files as the system lets this process have; ends the program when that is less than `wanted`. */
void net_raise_file_limit(size_t wanted);

#endif
