/* mqfast: the public C API.
 *
 * An engine holds queues and jobs; a net serves an engine on sockets with a fixed number of reactors. Everything is
 * opaque. Functions that can fail return 0 (or a count) or a negative number: of errors.def for the engine's refusals,
 * -errno where the comment says so. The library starts no thread, installs no signal handler and has no mutable global:
 * the caller gives threads to mq_net_run.
 */
#ifndef MQFAST_H
#define MQFAST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a token opens: any of these. */
enum mq_role {
    MQ_ROLE_PRODUCER = 1, /* pushes and cancels jobs, looks at them by id */
    MQ_ROLE_WORKER = 2,   /* pulls and ends jobs, looks at them by id */
    MQ_ROLE_READER = 4,   /* looks at everything, changes nothing */
    MQ_ROLE_ADMIN = 8,    /* everything */
};
struct mq_grant {
    const char *token;         /* NUL-terminated, not empty */
    unsigned roles;            /* enum mq_role, or-ed */
    const char *const *queues; /* names, `*` for any bytes; queue_n of them, none = all queues and what is of none */
    size_t queue_n;
};

typedef struct mq_engine mq_engine;
typedef struct mq_net mq_net;

struct mq_config {
    const struct mq_grant *grants; /* grant_n tokens, copied; none = nobody needs one */
    size_t grant_n;
    size_t max_line;         /* bytes of a request line without its newline */
    size_t max_job_bytes;    /* bytes of JSON text of a job's data */
    size_t max_output;       /* bytes a connection may leave unsent before its commands wait */
    size_t max_memory;       /* bytes of all jobs; 0 = no limit */
    size_t max_connections;  /* from outside; 0 = as many as there are descriptors */
    size_t max_connections_per_address; /* of an IPv4 address or a /64 of IPv6; 0 = no limit */
    size_t max_batch;        /* jobs of a PUSHB; at most 100,000 */
    size_t max_parked;       /* commands of one connection that wait */
    size_t max_subscribers;  /* connections that are told of events */
    uint64_t auth_timeout_ms; /* for a token, where one is needed; 0 = no limit */
    uint64_t line_timeout_ms; /* for a line, from its first byte, and a second more for each 16 KiB of it; 0 = no limit */
    uint32_t max_deliveries; /* losses of a held job after which it goes to the dead-letter queue */
    uint64_t result_ttl_ms;  /* how long a completed job is kept to be looked at */
    uint64_t result_max;     /* completed jobs kept at most; 0 = none */
    const char *folder;      /* where the log is kept, copied; NULL = nothing is kept */
    int fsync;               /* enum mq_fsync_mode */
    int cron;                /* 1: a thread will do MQ_WORK_CRON; 0: commands that need it are refused as unavailable */
    uint64_t lease_ms;       /* of pulls that name none and have no connection */
    int64_t manual_time_ms;  /* >= 0: time stands still there until mq_engine_set_time; -1: real time */
    uint64_t seed;           /* of delivery tokens; 0 = from the system */
    const char *version;     /* what HELLO says; must outlive the engine */
};

enum mq_fsync_mode {
    MQ_SYNC_ALWAYS,   /* answers leave when what they tell is on the disk */
    MQ_SYNC_EVERYSEC, /* a second of what was answered may be lost with the machine, a moment of it with the process */
    MQ_SYNC_NONE,
};

/* Fills in the defaults. */
void mq_config_init(struct mq_config *config);

/* With a folder the engine first comes back as it was. NULL: `why` (why_n bytes of room) says what is wrong, in one line. */
mq_engine *mq_engine_create(const struct mq_config *config, char *why, size_t why_n);
/* No net and no thread may use it any more. NULL is ignored. */
void mq_engine_free(mq_engine *engine);

/* When a schedule runs next, as the caller has worked it out: below 0 = never, and `why` (why_n bytes) says what is wrong. */
struct mq_verdict {
    int64_t next_run_ms;
    const char *why;
    size_t why_n;
};

/* Executes one request line (with or without newline) for a trusted caller; never waits. On success *reply is a block of
 * *reply_n bytes (no newline) that mq_reply_free takes back, and 0 is returned. 1: nothing was done, since it must be known when a
 * schedule runs next: *reply is {"schedule","timezone","now"}, and the same line is to be executed again with a verdict (NULL the
 * first time). Else MQ_E_OUT_OF_MEMORY. Thread-safe. */
int mq_engine_execute(mq_engine *engine, const char *line, size_t line_n, const struct mq_verdict *verdict, char **reply,
                      size_t *reply_n);
void mq_reply_free(char *reply);
/* The same for whoever has this token: auth_required for a wrong one, forbidden for what it does not open. */
int mq_engine_execute_as(mq_engine *engine, const char *token, size_t token_n, const char *line, size_t line_n,
                         const struct mq_verdict *verdict, char **reply, size_t *reply_n);
/* Does the token open this command for all queues (an open one: is it right)? 0, MQ_E_AUTH_FAILED, or MQ_E_FORBIDDEN; for an unknown command too. */
int mq_engine_may(mq_engine *engine, const char *token, size_t token_n, const char *command);
/* Other tokens from now on (copied). Connections whose token is not among them are told so and closed; the others go on with what
 * it opens now. 0, or -ENOMEM and nothing has changed. Any thread. */
int mq_engine_set_grants(mq_engine *engine, const struct mq_grant *grants, size_t grant_n);

/* Manual time only: moves it forward and wakes the reactors. */
void mq_engine_set_time(mq_engine *engine, int64_t now_ms);
int64_t mq_engine_now(const mq_engine *engine);

/* Does all that is due by now, of every kind; when the next thing is due is returned (ms since the epoch, INT64_MAX =
 * never). With reactors and sweeping threads nobody needs it. */
int64_t mq_engine_tick(mq_engine *engine);

/* What threads of the caller do for the engine; the reactors do the rest (delayed jobs, rate limits). */
enum mq_work {
    MQ_WORK_TIMEOUTS,     /* timeouts and leases of held jobs, TTLs, completed jobs kept long enough */
    MQ_WORK_DEPENDENCIES, /* jobs that wait for others */
    MQ_WORK_MEMORY,       /* queues fill fast: memory is made ready for them */
    MQ_WORK_CRON,         /* schedules that must be worked out, crons whose time has come: by the three functions below */
    MQ_WORK_SNAPSHOT,     /* so much was logged that mq_engine_snapshot is worth it */
    MQ_WORK_REPORT,       /* the net has refused something: mq_net_take_report says what */
};
/* Sleeps until some of this work is due: 1; or mq_engine_stop_waiting was called: 0. One thread for each kind of work. */
int mq_engine_wait(mq_engine *engine, enum mq_work work);
/* Does what is due of this work, at most about `limit` pieces, in slices that let others at the shards in between. Returns
 * how many were done. */
uint64_t mq_engine_sweep(mq_engine *engine, enum mq_work work, uint64_t limit);
/* With a folder: writes the log until mq_engine_stop_log. 0, or -errno: the disk has failed, mq_engine_log_error says how; nothing
 * more is answered, and the process should end. */
int mq_engine_run_log(mq_engine *engine);
void mq_engine_stop_log(mq_engine *engine);
const char *mq_engine_log_error(const mq_engine *engine);
/* Bytes of a torn tail that were cut off when the engine was made; 0 = none. Nobody was answered about them. */
uint64_t mq_engine_log_cut(const mq_engine *engine);
/* Writes the state to the folder, by a child process, and gives up the log before the last but one. Everything else goes on but for
 * the moment of the fork. 0 or -errno. One thread at a time. */
int mq_engine_snapshot(mq_engine *engine);

/* Ends all waiting, now and later. */
void mq_engine_stop_waiting(mq_engine *engine);

/* MQ_WORK_CRON: what is to be worked out, as JSON (to be freed by mq_reply_free): {"now":MS,
 * "questions":[{"token":N,"schedule":TEXT,"timezone":TEXT,"now":MS}], each to be answered once, and
 * "due":[{"name":TEXT,"schedule":TEXT,"timezone":TEXT,"slot":MS,"misfire":TEXT}], each to be fired: the cron's time was `slot`}.
 * 0, or MQ_E_OUT_OF_MEMORY. */
int mq_engine_take_control(mq_engine *engine, char **text, size_t *text_n);
/* 1, or 0: nobody waits for this answer any more. */
int mq_engine_answer(mq_engine *engine, uint64_t token, const struct mq_verdict *verdict);
/* The cron moves on from `slot_ms` to `next_run_ms` (INT64_MAX = never again) and, with `push`, pushes its job; both or none.
 * 1, 0: it is not at that slot any more, or MQ_E_OUT_OF_MEMORY: it stays due and is offered again after a second. */
int mq_engine_fire(mq_engine *engine, const char *name, size_t name_n, int64_t slot_ms, int64_t next_run_ms, int push);

/* Debug: checks every count, index and list of the engine against a full scan; aborts with a message on a difference. */
void mq_engine_check(mq_engine *engine);

/* Frames of a file of a log folder that follow each other, whole and good. */
struct mq_log_stretch {
    uint64_t offset, bytes; /* where in the file */
    uint64_t first, last;   /* numbers of its frames */
    uint64_t records;
    uint32_t chain_before, chain_after; /* what the frames before and behind it, in whatever file, must fit */
    uint64_t durable;       /* frames up to here were on the disk when its last frame was appended */
    int ends_snapshot;      /* its last frame is the one that ends a snapshot */
};
typedef void mq_log_visit_stretch(void *context, const struct mq_log_stretch *stretch);

/* Reads a segment or snapshot through and visits what is good in it, in order; *size: of the file, without zeros at its end. What no stretch covers is
 * damaged, or a torn tail. 0 or -errno; -EPROTONOSUPPORT: in a format that this version cannot read. */
int mq_log_scan(const char *path, uint64_t *size, mq_log_visit_stretch *visit, void *context);

/* `reactors` from 1 to 64. NULL with errno set on failure. The engine must outlive the net. */
mq_net *mq_net_create(mq_engine *engine, unsigned reactors);
/* No reactor may be running, and no other thread may be in the engine. NULL is ignored. */
void mq_net_free(mq_net *net);
/* A bound, listening, non-blocking stream socket; the net owns it on success. tls: its connections speak TLS, once
 * mq_net_use_tls was called. Before the first run only. 0 or -errno. */
int mq_net_listen(mq_net *net, int fd, int tls);
/* The certificate (with its chain) and key that new connections are shown from now on, in PEM files. OpenSSL writes to sockets: the
 * process must ignore SIGPIPE. 0, or -EINVAL and `why` (why_n bytes of room) says what is wrong; then nothing has changed. Any thread. */
int mq_net_use_tls(mq_net *net, const char *certificate, const char *key, char *why, size_t why_n);
/* A connection from inside the process: the other end (a blocking stream socket, the caller's to close) is served like an
 * accepted one, but needs no token. It is closed at once when the net is stopping. From any thread. A descriptor or -errno. */
int mq_net_connect(mq_net *net);
/* Serves as reactor `index` on this thread until stopped. 0, or -errno if the reactor cannot go on. */
int mq_net_run(mq_net *net, unsigned index);
/* From any thread or signal handler. Without force: parked pulls are answered, output is flushed for at most 1 s. */
void mq_net_stop(mq_net *net, int force);
/* What a net refuses or puts off, for its operator's log. */
enum mq_trouble {
    MQ_TROUBLE_CONNECTIONS, /* connections past max_connections */
    MQ_TROUBLE_ADDRESS,     /* past max_connections_per_address */
    MQ_TROUBLE_DESCRIPTORS, /* times that accepting was put off for want of descriptors or memory */
    MQ_TROUBLE_TOKEN,       /* wrong tokens */
    MQ_TROUBLE_TOKEN_LATE,  /* connections without a token in time */
    MQ_TROUBLE_LINE_LATE,   /* lines that were not finished in time */
    MQ_TROUBLES,
};
#define MQ_PEER_BYTES 72u /* of a peer's name, with its NUL */
struct mq_report {
    uint64_t count[MQ_TROUBLES]; /* since the report before */
    char peer[MQ_TROUBLES][MQ_PEER_BYTES]; /* whom the last of each was about; "" = nobody */
};
/* Tokens that come another way than over a connection of the net, such as HTTP: they count together with those that do. peer: an
 * address as text; anything else is nobody. Any thread. */
int64_t mq_net_must_wait(mq_net *net, const char *peer); /* ms until it may try a token again; 0 = now */
void mq_net_wrong_token(mq_net *net, const char *peer);
/* Any thread. Nothing to report until more is refused, and for a second. */
void mq_net_take_report(mq_net *net, struct mq_report *report);
/* Open connections. */
size_t mq_net_connections(const mq_net *net);

/* The tables, for callers that render documentation or routes: NULL past the end. */
struct mq_field_info {
    const char *id, *snake, *camel, *type, *doc;
    int64_t minimum;
    uint64_t maximum;
};
struct mq_command_info {
    const char *name, *plane, *result, *http_method, *http_path, *doc;
    uint64_t required, optional; /* bit n = row n of the fields */
};
struct mq_error_info {
    const char *code, *text;
    int number, http_status, retryable;
};
const struct mq_field_info *mq_field_info(size_t row);
const struct mq_command_info *mq_command_info(size_t row);
const struct mq_error_info *mq_error_info(size_t row);

#ifdef __cplusplus
}
#endif
#endif
