/* TLS between two turns of a reactor: handshakes in pieces, answers larger than a record, abuse, and certificates that change. */
#include "tests/naive_json.h"
#include "tests/stepped.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>

static struct stepped s;
static SSL_CTX *client_context;

/* A self-signed certificate of this name, and its key, in files. */
static void write_certificate(const char *name, const char *certificate_file, const char *key_file)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    CHECK(key && certificate);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
    FILE *file = fopen(certificate_file, "w");
    CHECK(file && PEM_write_X509(file, certificate) == 1 && fclose(file) == 0);
    file = fopen(key_file, "w");
    CHECK(file && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static char files[2][2][128]; /* of two certificates: certificate, key */

static void setup(const struct mq_config *config)
{
    char why[256], folder[] = "/tmp/mq_tls_XXXXXX";
    signal(SIGPIPE, SIG_IGN);
    CHECK(mkdtemp(folder));
    for (int i = 0; i < 2; i++) {
        snprintf(files[i][0], sizeof files[i][0], "%s/%d.crt", folder, i);
        snprintf(files[i][1], sizeof files[i][1], "%s/%d.key", folder, i);
        write_certificate(i ? "second" : "first", files[i][0], files[i][1]);
    }
    stepped_start(&s, config, NULL);
    CHECK_INT(mq_net_use_tls(s.net, files[0][0], files[0][1], why, sizeof why), 0);
    client_context = SSL_CTX_new(TLS_client_method());
}

static void done(void)
{
    stepped_end(&s);
    SSL_CTX_free(client_context);
    for (int i = 0; i < 4; i++)
        unlink(files[i / 2][i % 2]);
    *strrchr(files[0][0], '/') = 0;
    rmdir(files[0][0]);
}

static int arrive(void) { return stepped_arrive(&s, (struct mq_arrival){.tls = true}); }

static SSL *begin_on(int fd)
{
    SSL *ssl = SSL_new(client_context);
    CHECK(ssl && SSL_set_fd(ssl, fd) == 1);
    SSL_set_connect_state(ssl);
    return ssl;
}

/* Turns of both sides until the handshake is over. */
static void shake_hands(SSL *ssl)
{
    for (int i = 0; SSL_do_handshake(ssl) != 1; i++) {
        CHECK(i < 1000);
        CHECK(SSL_get_error(ssl, -1) == SSL_ERROR_WANT_READ);
        step_all(&s);
    }
    step_all(&s);
}

static SSL *enter(void)
{
    SSL *ssl = begin_on(arrive());
    shake_hands(ssl);
    return ssl;
}

static void leave(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
    step_all(&s);
}

/* What has come so far; "" = nothing, NULL = the connection has ended. */
static const char *hear(SSL *ssl)
{
    static char text[1 << 20];
    size_t n = 0;
    for (;;) {
        step_all(&s);
        int got = SSL_read(ssl, text + n, (int)(sizeof text - 1 - n));
        if (got > 0) {
            n += (size_t)got;
            continue;
        }
        text[n] = 0;
        bool open = SSL_get_error(ssl, got) == SSL_ERROR_WANT_READ;
        ERR_clear_error();
        return n || open ? text : NULL;
    }
}

static void say(SSL *ssl, const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        int sent = SSL_write(ssl, text + at, (int)(n - at > 9000 ? 9000 : n - at));
        at += sent > 0 ? (size_t)sent : 0;
        step_all(&s);
    }
}

static const char *ask_tls(SSL *ssl, const char *line)
{
    say(ssl, line, strlen(line));
    say(ssl, "\n", 1);
    return hear(ssl);
}

TEST(commands_and_answers_pass)
{
    setup(NULL);
    SSL *a = enter(), *b = enter();
    CHECK(answer_has(ask_tls(a, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":[1]}"), "id"));
    CHECK(answer_is(ask_tls(b, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "job.data", "[1]"));
    CHECK_TEXT(ask_tls(b, "{\"cmd\":\"PULL\",\"queue\":\"q\",\"reqId\":\"r\"}"), ""); /* parked */
    CHECK(answer_has(ask_tls(a, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":2}"), "id"));
    CHECK(answer_is(hear(b), "job.data", "2"));
    leave(b);
    CHECK_INT(engine_queue(s.engine, "q")->ready.n, 2); /* what it held is back */
    leave(a);
    done();
}

TEST(lines_and_answers_of_many_records_pass)
{
    static char line[600000];
    setup(NULL);
    SSL *ssl = enter();
    int n = snprintf(line, sizeof line, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"");
    memset(line + n, 'x', 500000);
    strcpy(line + n + 500000, "\"}");
    CHECK(answer_has(ask_tls(ssl, line), "id"));
    size_t heard = 0;
    bool whole = false;
    for (const char *part = ask_tls(ssl, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"); !whole; part = hear(ssl)) {
        CHECK(part);
        heard += strlen(part);
        whole = strchr(part, '\n');
    }
    CHECK(heard > 500000);
    leave(ssl);
    done();
}

TEST(many_lines_in_one_write_are_all_answered)
{
    static char lines[400000];
    setup(NULL);
    SSL *ssl = enter();
    size_t n = 0, answers = 0;
    for (int i = 0; i < 9000; i++)
        n += (size_t)sprintf(lines + n, "{\"cmd\":\"PING\",\"reqId\":\"%d\"}\n", i);
    for (size_t at = 0; at < n || answers < 9000;) {
        int sent = at < n ? SSL_write(ssl, lines + at, (int)(n - at)) : 0;
        at += sent > 0 ? (size_t)sent : 0;
        for (const char *p = hear(ssl); p && (p = strchr(p, '\n')); p++)
            answers++;
    }
    CHECK_INT(answers, 9000);
    leave(ssl);
    done();
}

TEST(the_answer_to_the_last_line_is_sent_before_the_end)
{
    setup(NULL);
    SSL *ssl = enter();
    CHECK(SSL_write(ssl, "{\"cmd\":\"PING\"}\n", 15) == 15);
    SSL_shutdown(ssl);
    shutdown(SSL_get_fd(ssl), SHUT_WR);
    CHECK_TEXT(hear(ssl), "{\"ok\":true,\"pong\":true}\n");
    CHECK(!hear(ssl));
    leave(ssl);
    done();
}

/* Its socket stays open: a client that waits for our close_notify before it closes, as many libraries do. */
TEST(a_last_line_and_the_end_may_come_in_one_read)
{
    setup(NULL);
    SSL *ssl = enter();
    CHECK(SSL_write(ssl, "{\"cmd\":\"PING\"}\n", 15) == 15);
    CHECK_INT(SSL_shutdown(ssl), 0);
    CHECK_TEXT(hear(ssl), "{\"ok\":true,\"pong\":true}\n");
    CHECK(!hear(ssl));
    CHECK_INT(mq_net_connections(s.net), 0);
    leave(ssl);
    done();
}

TEST(what_is_held_goes_back_when_the_end_comes_in_one_read_with_a_pull)
{
    setup(NULL);
    SSL *ssl = enter(), *other = enter();
    CHECK(answer_has(ask_tls(other, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}"), "id"));
    CHECK(SSL_write(ssl, "{\"cmd\":\"PULL\",\"queue\":\"q\"}\n", 27) == 27);
    CHECK_INT(SSL_shutdown(ssl), 0);
    step_all(&s);
    CHECK_INT(engine_queue(s.engine, "q")->ready.n, 1);
    leave(ssl);
    leave(other);
    done();
}

/* A long upload has more to read in each turn: the log must be left between turns all the same, or nothing is committed. */
TEST(an_upload_that_never_ends_does_not_keep_the_reactor_in_the_log)
{
    static char part[100000];
    setup(NULL);
    SSL *ssl = enter();
    struct mq_reactor *reactor = &s.net->reactors[0];
    int big = 4 << 20, unfinished = 0;
    setsockopt(SSL_get_fd(ssl), SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    memset(part, ' ', sizeof part);
    for (int i = 0; i < 200; i++) {
        while (SSL_write(ssl, part, 9000) > 0)
            ;
        ERR_clear_error();
        step(&s);
        unfinished += !mq_list_empty(&reactor->dirty);
        CHECK(!reactor->in_log);
    }
    CHECK(unfinished > 0);
    leave(ssl);
    done();
}

TEST(what_is_no_tls_ends_and_hurts_nobody)
{
    static const char *const junk[] = {"{\"cmd\":\"PING\"}\n", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff", "\x80\x2e\x01\x03\x01"};
    setup(NULL);
    SSL *honest = enter();
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
        int fd = arrive();
        CHECK(send(fd, junk[i], strlen(junk[i]), MSG_NOSIGNAL) > 0);
        step_all(&s);
        CHECK_TEXT(ask_tls(honest, "{\"cmd\":\"PING\"}"), "{\"ok\":true,\"pong\":true}\n");
        close(fd);
        step_all(&s);
    }
    CHECK_INT(mq_net_connections(s.net), 1);
    leave(honest);
    done();
}

TEST(a_handshake_must_come_to_its_end)
{
    struct mq_config config = engine_config();
    config.line_timeout_ms = 1000;
    setup(&config);
    int64_t now = mq_engine_now(s.engine);
    int silent = arrive();
    SSL *half = begin_on(arrive());
    CHECK(SSL_do_handshake(half) != 1); /* its first flight, and then nothing */
    step_all(&s);
    CHECK_INT(mq_net_connections(s.net), 2);
    mq_engine_set_time(s.engine, now + 1000);
    step_all(&s);
    CHECK_INT(mq_net_connections(s.net), 0);
    close(silent);
    close(SSL_get_fd(half));
    SSL_free(half);
    done();
}

TEST(an_idle_connection_costs_no_ring_and_is_never_late)
{
    struct mq_config config = engine_config();
    config.line_timeout_ms = 1000;
    setup(&config);
    SSL *ssl = enter();
    CHECK(!last_conn(&s)->in && !last_conn(&s)->out);
    for (int i = 1; i < 5; i++) {
        mq_engine_set_time(s.engine, mq_engine_now(s.engine) + 3600000);
        CHECK_TEXT(ask_tls(ssl, "{\"cmd\":\"PING\"}"), "{\"ok\":true,\"pong\":true}\n");
        CHECK(!last_conn(&s)->in && !last_conn(&s)->out);
    }
    leave(ssl);
    done();
}

TEST(a_connection_cut_anywhere_leaves_nothing)
{
    setup(NULL);
    for (int bytes = 0; bytes < 600; bytes += 7) { /* the client's side of a handshake and a line, cut off there */
        int fd = arrive(), pair[2];
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        SSL *ssl = begin_on(pair[0]);
        int passed = 0;
        for (int i = 0; i < 10 && passed < bytes; i++) {
            char buffer[20000];
            if (SSL_do_handshake(ssl) == 1)
                (void)SSL_write(ssl, "{\"cmd\":\"PING\"}\n", 15);
            ERR_clear_error();
            ssize_t n = recv(pair[1], buffer, (size_t)(bytes - passed), 0);
            if (n > 0 && send(fd, buffer, (size_t)n, MSG_NOSIGNAL) == n)
                passed += (int)n;
            step_all(&s);
            n = recv(fd, buffer, sizeof buffer, 0);
            if (n > 0)
                CHECK(send(pair[1], buffer, (size_t)n, MSG_NOSIGNAL) == n);
        }
        SSL_free(ssl);
        close(pair[0]);
        close(pair[1]);
        close(fd);
        step_all(&s);
        CHECK_INT(mq_net_connections(s.net), 0);
    }
    done();
}

static const char *name_of(SSL *ssl)
{
    static char name[64];
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    CHECK(X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name) > 0);
    X509_free(certificate);
    return name;
}

TEST(another_certificate_is_for_new_connections_and_a_bad_one_for_none)
{
    char why[256];
    setup(NULL);
    SSL *old = enter();
    CHECK_TEXT(name_of(old), "first");
    CHECK_INT(mq_net_use_tls(s.net, files[1][0], files[0][1], why, sizeof why), -EINVAL); /* not its key */
    CHECK(strstr(why, files[0][1]));
    CHECK_INT(mq_net_use_tls(s.net, "/nowhere", files[0][1], why, sizeof why), -EINVAL);
    CHECK(strstr(why, "/nowhere") && strstr(why, "o such file"));
    SSL *same = enter();
    CHECK_TEXT(name_of(same), "first");
    CHECK_INT(mq_net_use_tls(s.net, files[1][0], files[1][1], why, sizeof why), 0);
    SSL *fresh = enter();
    CHECK_TEXT(name_of(fresh), "second");
    CHECK_TEXT(ask_tls(old, "{\"cmd\":\"PING\"}"), "{\"ok\":true,\"pong\":true}\n");
    leave(old);
    leave(same);
    leave(fresh);
    done();
}

/* Nobody is there to be asked for a phrase: the thread that renews a certificate would wait for ever. */
TEST(a_key_with_a_phrase_is_refused_and_nobody_is_asked_for_it)
{
    char why[256];
    int typed[2];
    setup(NULL);
    FILE *file = fopen(files[1][1], "r");
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    CHECK(key && fclose(file) == 0);
    file = fopen(files[1][1], "w");
    CHECK(file && PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL) == 1 && fclose(file) == 0);
    EVP_PKEY_free(key);
    setsid(); /* without a terminal OpenSSL would ask the standard input, where the right answer waits */
    CHECK_INT(pipe(typed), 0);
    CHECK_INT(write(typed[1], "secret\n", 7), 7);
    CHECK_INT(dup2(typed[0], STDIN_FILENO), STDIN_FILENO);
    CHECK_INT(mq_net_use_tls(s.net, files[1][0], files[1][1], why, sizeof why), -EINVAL);
    CHECK(strstr(why, files[1][1]));
    close(typed[0]);
    close(typed[1]);
    done();
}
