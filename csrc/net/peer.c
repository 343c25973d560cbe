#include "net/peer.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
};

void mq_peer_name(int fd, char out[MQ_PEER_BYTES])
{
    union address address;
    socklen_t n = sizeof address;
    char text[INET6_ADDRSTRLEN] = "?";
    if (getpeername(fd, &address.any, &n) < 0) {
        snprintf(out, MQ_PEER_BYTES, "?");
    } else if (address.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof text);
        snprintf(out, MQ_PEER_BYTES, "%s:%u", text, ntohs(address.v4.sin_port));
    } else if (address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address.v6.sin6_addr, text, sizeof text);
        snprintf(out, MQ_PEER_BYTES, "[%s]:%u", text, ntohs(address.v6.sin6_port));
    } else {
        struct ucred who;
        socklen_t who_n = sizeof who;
        bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_n) == 0;
        snprintf(out, MQ_PEER_BYTES, known ? "unix, process %d" : "unix", known ? (int)who.pid : 0);
    }
}

static uint64_t number_of(const union address *address)
{
    uint64_t network = 0;
    if (address->any.sa_family == AF_INET)
        return 1ull << 32 | ntohl(address->v4.sin_addr.s_addr);
    if (address->any.sa_family != AF_INET6)
        return 0;
    const uint8_t *bytes = address->v6.sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
        return 1ull << 32 | (uint64_t)bytes[12] << 24 | (uint64_t)bytes[13] << 16 | (uint64_t)bytes[14] << 8 | bytes[15];
    for (int i = 0; i < 8; i++)
        network = network << 8 | bytes[i];
    return network ? network : 1; /* ::1 */
}

uint64_t mq_peer_address(int fd)
{
    union address address;
    socklen_t n = sizeof address;
    return getpeername(fd, &address.any, &n) < 0 ? 0 : number_of(&address);
}

uint64_t mq_peer_address_of(const char *text)
{
    union address address = {.any.sa_family = AF_UNSPEC};
    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1)
        address.any.sa_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1)
        address.any.sa_family = AF_INET6;
    return number_of(&address);
}
