/* Who is at the other end of a socket. */
#ifndef MQ_PEER_H
#define MQ_PEER_H

#include "mqfast.h"

#include <stddef.h>
#include <stdint.h>

/* "127.0.0.1:5000", "[::1]:5000", "unix, process 12", or "?"; NUL-terminated. */
void mq_peer_name(int fd, char out[MQ_PEER_BYTES]);

/* One number for all connections of one machine: an IPv4 address, or the network of an IPv6 one (its first 64 bits: whoever
 * has one address there has them all). 0 = not from a network. */
uint64_t mq_peer_address(int fd);
/* The same of an address as text, such as "192.0.2.1"; 0 = it is none. */
uint64_t mq_peer_address_of(const char *text);

#endif
