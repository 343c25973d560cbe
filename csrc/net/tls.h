/* TLS for a connection's bytes, by OpenSSL: the only file that knows it.
 *
 * Reading and writing look like recv and send on a non-blocking socket: -1 and EAGAIN while the other side must act first. The
 * handshake happens by itself in the first reads. What was read off the socket may lie decrypted inside, and so may the end of all:
 * mq_tls_has_more, since epoll does not tell of it.
 */
#ifndef MQ_TLS_H
#define MQ_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct mq_tls_context; /* a certificate with its key */
struct mq_tls;         /* one connection */

/* From PEM files: the certificate with its chain, its key. NULL: `why` (why_n bytes of room) says what is wrong, in one line. */
struct mq_tls_context *mq_tls_context_make(const char *certificate, const char *key, char *why, size_t why_n);
void mq_tls_context_free(struct mq_tls_context *context);

/* The server's side on an accepted socket, which stays the caller's. NULL: no memory. The context may be freed before it. */
struct mq_tls *mq_tls_accept(struct mq_tls_context *context, int fd);
/* Tells the peer that nothing more comes, as far as that can be sent now. */
void mq_tls_free(struct mq_tls *tls);

ssize_t mq_tls_recv(struct mq_tls *tls, void *buffer, size_t n);
ssize_t mq_tls_send(struct mq_tls *tls, const void *buffer, size_t n);
bool mq_tls_has_more(const struct mq_tls *tls);
/* Reading goes on only when the socket takes more: a part of the handshake is unsent. */
bool mq_tls_wants_to_send(const struct mq_tls *tls);
/* The peer has proved that it can speak TLS; before, nothing can be sent. */
bool mq_tls_is_ready(const struct mq_tls *tls);

#endif
