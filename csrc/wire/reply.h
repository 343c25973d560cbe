/* Answers, written straight into a ring.
 *
 * A reply is begun, filled and ended; every answer line ends with the request's reqId, if it had one, and a newline. If
 * memory runs out in the middle, `failed` is set and what was written of this reply is taken back: its owner (a
 * connection) must then end, since the client would wait for an answer that never comes.
 */
#ifndef MQ_REPLY_H
#define MQ_REPLY_H

#include "base/ring.h"
#include "wire/request.h"
#include "wire/result.h"

struct mq_reply {
    struct mq_ring *out;
    mq_slice req_id;  /* quoted as written; p NULL = none */
    size_t start;     /* bytes in the ring before this reply */
    uint32_t listed;  /* elements of the list being written */
    bool failed;
};

void mq_reply_init(struct mq_reply *reply, struct mq_ring *out);

/* For writers in other files: memory ran out; the end of an object inside the answer, then of the answer. */
void mq_reply_fail(struct mq_reply *reply);
void mq_reply_object_end(struct mq_reply *reply);

/* Bytes of this reply so far. */
static inline size_t mq_reply_used(const struct mq_reply *reply) { return mq_ring_used(reply->out) - reply->start; }

/* Whole answers. */
void mq_reply_ok(struct mq_reply *reply);
void mq_reply_id(struct mq_reply *reply, uint64_t id);
void mq_reply_count(struct mq_reply *reply, uint64_t count);
/* The count in a list too, as older clients read it: {ok,ids:[COUNT],count} */
void mq_reply_count_listed(struct mq_reply *reply, uint64_t count);
void mq_reply_paused(struct mq_reply *reply, bool paused);
void mq_reply_pong(struct mq_reply *reply);
void mq_reply_stats(struct mq_reply *reply, const struct mq_stats_view *stats);
void mq_reply_hello(struct mq_reply *reply, const struct mq_hello_view *hello);
/* Bytes that the answer with this job takes at most. */
size_t mq_reply_job_room(const struct mq_job_view *job);
void mq_reply_job(struct mq_reply *reply, const struct mq_job_view *job); /* NULL: job:null */
void mq_reply_topology(struct mq_reply *reply, unsigned slots, unsigned shards);
/* A completed job's end. `result` JSON as written, p NULL: null */
void mq_reply_ending(struct mq_reply *reply, mq_slice result);
/* `state` as GETJOB names it; job NULL: job:null */
void mq_reply_job_state(struct mq_reply *reply, const struct mq_job_view *job, const char *state);
void mq_reply_progress(struct mq_reply *reply, const struct mq_job_view *job);
/* `result` JSON as written, p NULL: null */
void mq_reply_result(struct mq_reply *reply, uint64_t id, mq_slice result);
/* Totals, rates, timings, and the beginning of a list of queues. */
void mq_reply_metrics(struct mq_reply *reply, const struct mq_metrics_view *metrics);
void mq_reply_metrics_queue(struct mq_reply *reply, const struct mq_queue_view *queue);
void mq_reply_metrics_end(struct mq_reply *reply);
/* With a text that is a JSON string already. */
void mq_reply_refuse_quoted(struct mq_reply *reply, enum mq_error error, mq_slice why_json);
/* `why` empty: the error's own text. */
void mq_reply_refuse(struct mq_reply *reply, enum mq_error error, mq_slice why);

/* Lists: begin with their kind (JOBS, IDS, QUEUES, CRONS), add, end. */
void mq_reply_list(struct mq_reply *reply, enum mq_result_kind kind);
void mq_reply_list_job(struct mq_reply *reply, const struct mq_job_view *job);
void mq_reply_list_id(struct mq_reply *reply, uint64_t id);
void mq_reply_list_queue(struct mq_reply *reply, const struct mq_queue_view *queue);
/* With what only a page of queues shows. */
void mq_reply_list_queue_page(struct mq_reply *reply, const struct mq_queue_view *queue);
/* `total` match; the last row's value and name are the cursor, name p NULL: it was the last page. */
void mq_reply_queue_page_end(struct mq_reply *reply, uint64_t total, int64_t value, mq_slice name);
void mq_reply_list_cron(struct mq_reply *reply, const struct mq_cron_view *cron);
void mq_reply_list_end(struct mq_reply *reply);
/* The same of a page; `cursor` NULL: it was the last. */
void mq_reply_page_end(struct mq_reply *reply, const uint64_t *cursor);
/* What a cursor meant; false if it is none. */
bool mq_cursor_parse(mq_slice text, uint64_t *cursor);

/* Counts of dead letters: begin, a queue at a time, end. */
void mq_reply_counts(struct mq_reply *reply);
void mq_reply_list_counts(struct mq_reply *reply, mq_slice queue_json, const struct mq_reason_count *counts, unsigned n);
void mq_reply_counts_end(struct mq_reply *reply);

/* Connections: begin with mq_reply_list, add, end as a page. */
void mq_reply_list_client(struct mq_reply *reply, const struct mq_client_view *client);

/* A line about an event, not an answer. `queue_json` quoted. False: no memory, nothing was written. */
bool mq_reply_event(struct mq_ring *out, const char *event, mq_slice queue_json, uint64_t job, uint64_t seq);
/* `count` events, the first of number `seq`, are missing. */
bool mq_reply_dropped(struct mq_ring *out, uint64_t count, uint64_t seq);

/* A batch's refused items, between its ids and the end. */
struct mq_item_error {
    uint32_t index;
    enum mq_error error;
    mq_slice why; /* owned by whoever collected it; empty: the error's own text */
};
void mq_reply_item_errors_end(struct mq_reply *reply, const struct mq_item_error *errors, size_t n);

/* Digits of a token, as the job's answer shows it: 16 of them. */
#define MQ_TOKEN_BYTES 16u
void mq_token_text(uint64_t token, char out[MQ_TOKEN_BYTES]);
/* False if the text is no token. */
bool mq_token_parse(mq_slice text, uint64_t *token);

#endif
