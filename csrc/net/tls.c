#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

/* Opaque: an SSL_CTX and an SSL by other names, so that nobody else needs OpenSSL's headers. */
static SSL_CTX *context_of(struct mq_tls_context *context) { return (SSL_CTX *)context; }
static SSL *ssl_of(const struct mq_tls *tls) { return (SSL *)tls; }

static void *give_up(SSL_CTX *context, const char *what, const char *file, char *why, size_t why_n)
{
    unsigned long error = ERR_peek_error();
    const char *reason = ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error)) : ERR_reason_error_string(error);
    snprintf(why, why_n, "%s %s cannot be used: %s", what, file, reason ? reason : "unknown reason");
    ERR_clear_error();
    SSL_CTX_free(context);
    return NULL;
}

/* In place of OpenSSL's own, which asks at the terminal and waits. */
static int no_phrase(char *phrase, int room, int writing, void *context)
{
    (void)phrase, (void)room, (void)writing, (void)context;
    return -1;
}

struct mq_tls_context *mq_tls_context_make(const char *certificate, const char *key, char *why, size_t why_n)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context) {
        snprintf(why, why_n, "out of memory");
        return NULL;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF); /* a line that was cut off is not executed: its end says nothing else */
    /* a write may be tried again from another place of the ring, and may have written a part */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(context, no_phrase);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets do it, without memory here */
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return give_up(context, "the certificate", certificate, why, why_n);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return give_up(context, "the key", key, why, why_n);
    if (SSL_CTX_check_private_key(context) != 1)
        return give_up(context, "with this certificate the key", key, why, why_n);
    return (struct mq_tls_context *)context;
}

void mq_tls_context_free(struct mq_tls_context *context) { SSL_CTX_free(context_of(context)); }

struct mq_tls *mq_tls_accept(struct mq_tls_context *context, int fd)
{
    SSL *ssl = SSL_new(context_of(context));
    if (ssl && SSL_set_fd(ssl, fd) == 1) {
        SSL_set_accept_state(ssl);
        return (struct mq_tls *)ssl;
    }
    SSL_free(ssl);
    return NULL;
}

void mq_tls_free(struct mq_tls *tls)
{
    SSL *ssl = ssl_of(tls);
    if (SSL_is_init_finished(ssl))
        SSL_shutdown(ssl); /* once: an answer is not waited for */
    ERR_clear_error();
    SSL_free(ssl);
}

/* What SSL_read and SSL_write did, as recv and send would say it. */
static ssize_t outcome(SSL *ssl, int status)
{
    if (status > 0)
        return status;
    int error = SSL_get_error(ssl, status), reason = errno;
    ERR_clear_error();
    switch (error) {
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_SYSCALL:
        errno = reason ? reason : ECONNRESET; /* 0: the peer was gone without a word */
        return -1;
    default:
        errno = EPROTO;
        return -1;
    }
}

ssize_t mq_tls_recv(struct mq_tls *tls, void *buffer, size_t n)
{
    SSL *ssl = ssl_of(tls);
    size_t all = 0;
    SSL_set_app_data(ssl, NULL);
    while (all < n) { /* a record at a time */
        size_t left = n - all;
        errno = 0;
        int got = SSL_read(ssl, (char *)buffer + all, left > INT32_MAX ? INT32_MAX : (int)left);
        if (got <= 0) {
            ssize_t end = outcome(ssl, got);
            if (all && (end == 0 || errno != EAGAIN)) /* comes again in the next call, and the socket need not say that it should be made */
                SSL_set_app_data(ssl, ssl);
            return all ? (ssize_t)all : end;
        }
        all += (size_t)got;
    }
    return (ssize_t)all;
}

ssize_t mq_tls_send(struct mq_tls *tls, const void *buffer, size_t n)
{
    SSL *ssl = ssl_of(tls);
    if (!SSL_is_init_finished(ssl)) {
        errno = ENOTCONN;
        return -1;
    }
    errno = 0;
    int sent = SSL_write(ssl, buffer, n > INT32_MAX ? INT32_MAX : (int)n);
    ssize_t done = outcome(ssl, sent);
    if (done == 0)
        errno = EPIPE;
    return done ? done : -1;
}

bool mq_tls_has_more(const struct mq_tls *tls) { return SSL_pending(ssl_of(tls)) > 0 || SSL_get_app_data(ssl_of(tls)); }

bool mq_tls_wants_to_send(const struct mq_tls *tls) { return SSL_want_write(ssl_of(tls)); }

bool mq_tls_is_ready(const struct mq_tls *tls) { return SSL_is_init_finished(ssl_of(tls)); }
