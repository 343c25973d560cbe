#include "command/dispatch.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/quote.h"
#include "command/handlers.h"
#include "queue/depend.h"
#include "queue/persist.h"

#include <inttypes.h>
#include <stdio.h>

#define DEPENDENCIES_SLICE 64u /* dependents told by whoever ended what they waited for */

#define NAME_MAX_N 16u

struct command {
    char name[NAME_MAX_N + 1];
    enum mq_outcome (*handler)(struct mq_call *call);
    uint64_t required, optional;
    enum mq_plane plane;
};

static const struct command commands[] = {
#define MQ_COMMAND(name, handler, plane, required, optional, result, method, path, doc)                                 \
    {name, mq_do_##handler, required, optional, MQ_PLANE_##plane},
#include "commands.def"
#undef MQ_COMMAND
};

#define COMMAND_N (sizeof commands / sizeof *commands)
static inline unsigned command_hash(const char *name, size_t n)
{
    return (unsigned)((unsigned char)name[0] * 5 + (unsigned char)name[n - 1] * 3 + n * 7) & 63;
}

static void tables_init(struct mq_tables *tables)
{
    mq_names_init(&tables->fields);
    memset(tables->commands, 0, sizeof tables->commands);
    for (unsigned row = 0; row < COMMAND_N; row++) {
        unsigned i = command_hash(commands[row].name, strlen(commands[row].name));
        while (tables->commands[i])
            i = (i + 1) & 63;
        tables->commands[i] = (uint8_t)(row + 1);
    }
}

static const struct command *find_command(const struct mq_tables *tables, mq_slice name)
{
    char upper[NAME_MAX_N];
    if (name.n == 0 || name.n > sizeof upper)
        return NULL;
    for (size_t i = 0; i < name.n; i++)
        upper[i] = (char)(name.p[i] >= 'a' && name.p[i] <= 'z' ? name.p[i] - 32 : name.p[i]);
    for (unsigned i = command_hash(upper, name.n); tables->commands[i]; i = (i + 1) & 63) {
        const struct command *command = &commands[tables->commands[i] - 1];
        if (memcmp(command->name, upper, name.n) == 0 && command->name[name.n] == 0)
            return command;
    }
    return NULL;
}

int mq_command_plane(const struct mq_engine *engine, mq_slice name)
{
    const struct command *command = find_command(engine->tables, name);
    return command ? (int)command->plane : -1;
}

static struct mq_log *open_log(const struct mq_config *config, char *why, size_t why_n)
{
    if (!config->folder)
        return mq_log_null_open();
    struct mq_log_file_config file = {.folder = config->folder, .fsync = (enum mq_fsync)config->fsync};
    return mq_log_file_open(&file, why, why_n);
}

struct mq_engine *mq_engine_create(const struct mq_config *config, char *why, size_t why_n)
{
    snprintf(why, why_n, "out of memory");
    struct mq_tables *tables = mq_alloc(sizeof *tables);
    struct mq_log *log = tables ? open_log(config, why, why_n) : NULL;
    struct mq_engine *engine = log ? mq_engine_open(config, log) : NULL;
    if (!engine) {
        if (log)
            log->ops->close(log);
        mq_free(tables);
        return NULL;
    }
    tables_init(tables);
    engine->tables = tables;
    if (mq_persist_recover(engine) < 0) {
        snprintf(why, why_n, "%s", mq_engine_log_error(engine));
        mq_engine_free(engine);
        return NULL;
    }
    return engine;
}

/* reqId is echoed wherever the line could be parsed, so it is looked at before anything else. */
static int bind_req_id(struct mq_call *call)
{
    struct mq_request *request = call->request;
    if (!(request->present & MQ_BIT(MQ_F_REQ_ID)))
        return MQ_OK;
    int status = mq_request_bind(request, 0, MQ_BIT(MQ_F_REQ_ID));
    if (status == MQ_E_PAYLOAD_TOO_LARGE)
        return mq_request_refuse(request, MQ_E_INVALID, "Invalid: reqId may be at most 128 bytes long");
    if (status == MQ_OK && mq_has(request, MQ_F_REQ_ID))
        call->reply->req_id = request->text[MQ_F_REQ_ID];
    return status;
}

static const struct command *command_of(struct mq_call *call, int *error)
{
    struct mq_request *request = call->request;
    const struct mq_json *name = &request->value[MQ_F_CMD];
    mq_slice text = {NULL, 0};
    char decoded[NAME_MAX_N];
    if (request->present & MQ_BIT(MQ_F_CMD) && name->kind == MQ_JSON_STRING) {
        text = mq_json_inner(name);
    } else if (request->present & MQ_BIT(MQ_F_CMD) && name->kind == MQ_JSON_ESCAPED) {
        int64_t n = mq_json_decode(name, decoded, sizeof decoded);
        text = mq_slice_of(decoded, n > 0 ? (size_t)n : 0);
    } else {
        *error = mq_request_refuse(request, MQ_E_INVALID, "Invalid: %s",
                                   request->present & MQ_BIT(MQ_F_CMD) ? "cmd must be a string" : "cmd is required");
        return NULL;
    }
    const struct command *command = find_command(call->engine->tables, text);
    if (!command) {
        *error = mq_request_refuse(request, MQ_E_UNKNOWN_COMMAND, "Unknown command: %.*s", (int)(text.n > 64 ? 64 : text.n),
                                   text.p);
        for (char *c = request->why; *c; c++) /* a cut may have split a character */
            if ((unsigned char)*c >= 0x80)
                *c = '?';
    }
    return command;
}

static enum mq_outcome run(struct mq_call *call, mq_slice line)
{
    int error = mq_request_parse(call->request, line);
    if (MQ_UNLIKELY(error < 0))
        return mq_refuse_request(call, error);
    if (MQ_UNLIKELY((error = bind_req_id(call)) < 0))
        return mq_refuse_request(call, error);
    struct mq_shape *shape = call->request->shape;
    const struct command *command = shape && shape->command ? shape->command : command_of(call, &error);
    if (MQ_UNLIKELY(!command))
        return mq_session_is_unknown(call->session) ? mq_refuse(call, MQ_E_AUTH_REQUIRED, NULL) : mq_refuse_request(call, error);
    if (MQ_UNLIKELY(!(call->session->planes >> command->plane & 1)))
        return mq_refuse(call, mq_session_is_unknown(call->session) ? MQ_E_AUTH_REQUIRED : MQ_E_FORBIDDEN, NULL);
    if (shape)
        shape->command = command;
    if (MQ_UNLIKELY((error = mq_request_bind(call->request, command->required, command->optional)) < 0))
        return mq_refuse_request(call, error);
    const struct mq_right *right = call->session->right;
    if (MQ_UNLIKELY(right && right->queue_n) && command->plane != MQ_PLANE_open && !mq_call_is_covered(call))
        return mq_refuse(call, MQ_E_FORBIDDEN, NULL);
    return command->handler(call);
}

enum mq_outcome mq_command_run(struct mq_call *call, mq_slice line)
{
    call->line = line;
    enum mq_outcome outcome = run(call, line);
    if (MQ_UNLIKELY(call->request->items_cap))
        mq_request_trim(call->request);
    return outcome;
}

/* --- shared by handlers --- */

enum mq_outcome mq_refuse(struct mq_call *call, enum mq_error error, const char *why)
{
    mq_reply_refuse(call->reply, error, mq_slice_of(why, why ? strlen(why) : 0));
    return MQ_ANSWERED;
}

enum mq_outcome mq_refuse_request(struct mq_call *call, int error)
{
    mq_reply_refuse(call->reply, (enum mq_error)error, mq_request_why(call->request));
    return MQ_ANSWERED;
}

enum mq_outcome mq_refuse_job(struct mq_call *call, int refusal, uint64_t id)
{
    char why[96];
    switch (refusal) {
    case MQ_NO_JOB:
        snprintf(why, sizeof why, "Job %" PRIu64 " not found", id);
        return mq_refuse(call, MQ_E_NOT_FOUND, why);
    case MQ_NOT_HELD:
        snprintf(why, sizeof why, "Job %" PRIu64 " not found in processing", id);
        return mq_refuse(call, MQ_E_NOT_FOUND, why);
    case MQ_STALE_TOKEN:
        return mq_refuse(call, MQ_E_LEASE_LOST, NULL);
    case MQ_NO_ROOM:
        return mq_refuse(call, MQ_E_STORAGE_FULL, NULL);
    default:
        return mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    }
}

bool mq_call_disk_is_full(const struct mq_call *call)
{
    return atomic_load_explicit(&call->engine->log->full, memory_order_relaxed);
}

enum mq_outcome mq_answer_job(struct mq_call *call, int refusal, uint64_t id)
{
    if (MQ_UNLIKELY(refusal != MQ_DONE))
        return mq_refuse_job(call, refusal, id);
    mq_reply_ok(call->reply);
    return MQ_ANSWERED;
}

uint64_t mq_call_memory_room(struct mq_call *call)
{
    struct mq_engine *engine = call->engine;
    uint64_t limit = engine->config.max_memory, bytes;
    if (MQ_LIKELY(!limit))
        return UINT64_MAX;
    if ((bytes = mq_engine_bytes(engine)) >= limit) {
        mq_engine_forget_done(engine, call->now_ms);
        bytes = mq_engine_bytes(engine);
    }
    return bytes < limit ? limit - bytes : 0;
}

struct mq_shard *mq_call_lock(struct mq_call *call, uint64_t hash_or_id)
{
    struct mq_shard *shard = mq_engine_shard(call->engine, hash_or_id);
    call->now_ms = mq_shard_lock(shard, call->now_ms);
    return shard;
}

void mq_call_unlock(struct mq_call *call, struct mq_shard *shard)
{
    struct mq_engine *engine = call->engine;
    uint64_t seq = mq_shard_unlock_to_sweep(shard);
    if (seq > call->seq)
        call->seq = seq;
    if (MQ_UNLIKELY(mq_shard_is_due(shard, MQ_DUE_DEPENDENCIES, call->now_ms))) {
        mq_depend_try_sweep(engine, shard, call->now_ms, DEPENDENCIES_SLICE);
    }
    if (MQ_UNLIKELY(mq_shard_is_due(shard, MQ_DUE_DEPENDENCIES, MQ_NEVER - 1)))
        mq_shard_wake_for_dependencies(shard); /* the rest is the loop's, or what was put off */
    if (MQ_UNLIKELY(atomic_load_explicit(&engine->kept, memory_order_relaxed) > engine->config.result_max))
        mq_engine_trim_done(engine, call->now_ms);
}

struct mq_queue *mq_call_queue(struct mq_call *call, bool make, struct mq_shard **shard)
{
    mq_slice name = call->request->text[MQ_F_QUEUE];
    struct mq_shape *shape = call->request->shape;
    uint64_t hash = shape && shape->queue_hash ? shape->queue_hash : mq_hash_bytes(name.p, name.n);
    if (shape)
        shape->queue_hash = hash;
    *shard = mq_call_lock(call, hash);
    struct mq_slot *slot = mq_shard_slot(*shard, hash);
    return make ? mq_slot_queue_make(slot, name, hash) : mq_slot_queue(slot, name, hash);
}

struct mq_claim mq_call_claim(const struct mq_call *call)
{
    struct mq_claim claim = {.id = call->request->number[MQ_F_ID], .has_token = mq_call_has(call, MQ_F_TOKEN)};
    if (claim.has_token)
        claim.bad_token = !mq_token_parse(call->request->text[MQ_F_TOKEN], &claim.token);
    return claim;
}

void mq_claim_token(struct mq_claim *claim, const struct mq_json *token)
{
    char decoded[MQ_TOKEN_BYTES];
    claim->has_token = token->kind != MQ_JSON_NULL;
    if (!claim->has_token)
        return;
    int64_t n = mq_json_decode(token, decoded, sizeof decoded); /* a string, perhaps with escapes */
    claim->bad_token = n < 0 || !mq_token_parse(mq_slice_of(decoded, (size_t)n), &claim->token);
}

/* --- one line for a caller in the process --- */

/* What the caller must work out, as the answer's text. */
static void write_question(const struct mq_call *call, struct mq_reply *answer)
{
    char *o = mq_ring_reserve(answer->out, MQ_QUOTED_MAX(call->ask_schedule.n + call->ask_timezone.n + 4) + 96), *start = o;
    if (!o) {
        mq_reply_fail(answer);
        return;
    }
    o += sprintf(o, "{\"now\":%" PRId64 ",\"schedule\":", call->now_ms);
    o += mq_quote(call->ask_schedule, o);
    o += sprintf(o, ",\"timezone\":");
    o += mq_quote(call->ask_timezone, o);
    o += sprintf(o, "}\n");
    mq_ring_commit(answer->out, (size_t)(o - start));
}

static int execute(struct mq_engine *engine, struct mq_session session, const char *line, size_t line_n,
                   const struct mq_verdict *verdict, char **reply, size_t *reply_n)
{
    const struct mq_tables *tables = engine->tables;
    struct mq_ring in, out;
    struct mq_reply answer;
    mq_ring_init(&in);
    mq_ring_init(&out);
    struct mq_request *request = mq_alloc(sizeof *request);
    char *copy = mq_ring_reserve(&in, line_n + 1);
    int status = MQ_E_OUT_OF_MEMORY;
    if (!request || !copy)
        goto done;
    mq_request_init(request, &tables->fields);
    if (line_n && line[line_n - 1] == '\n')
        line_n--;
    memcpy(copy, line, line_n);
    copy[line_n] = '\n';
    mq_reply_init(&answer, &out);
    struct mq_call call = {.engine = engine, .session = &session, .request = request, .reply = &answer,
                           .now_ms = mq_engine_now(engine), .verdict = verdict};
    enum mq_outcome outcome = MQ_ANSWERED;
    mq_log_enter(engine->log);
    if (memchr(copy, '\n', line_n))
        mq_reply_refuse(&answer, MQ_E_INVALID, MQ_SLICE("Invalid: one line at a time"));
    else if (line_n > engine->config.max_line)
        mq_reply_refuse(&answer, MQ_E_LINE_TOO_LONG, (mq_slice){NULL, 0});
    else
        outcome = mq_command_run(&call, mq_slice_of(copy, line_n));
    mq_log_leave(engine->log, true);
    mq_persist_wait(engine, call.seq);
    if (outcome == MQ_ASKS)
        write_question(&call, &answer);
    if (!answer.failed) {
        *reply = out.mem; /* taken over: it starts at the block's start */
        *reply_n = mq_ring_used(&out) - 1;
        mq_ring_init(&out);
        status = outcome == MQ_ASKS;
    }
    mq_request_close(request);
done:
    mq_free(request);
    mq_ring_close(&in);
    mq_ring_close(&out);
    return status;
}

int mq_engine_execute(struct mq_engine *engine, const char *line, size_t line_n, const struct mq_verdict *verdict, char **reply,
                      size_t *reply_n)
{
    struct mq_session session = {0};
    mq_session_trust(&session);
    return execute(engine, session, line, line_n, verdict, reply, reply_n);
}

int mq_engine_execute_as(struct mq_engine *engine, const char *token, size_t token_n, const char *line, size_t line_n,
                         const struct mq_verdict *verdict, char **reply, size_t *reply_n)
{
    struct mq_session session = {0};
    mq_session_begin(&session, engine);
    mq_session_give_token(&session, engine, mq_slice_of(token, token_n)); /* a wrong one opens nothing */
    int status = execute(engine, session, line, line_n, verdict, reply, reply_n);
    mq_session_end(&session);
    return status;
}

void mq_reply_free(char *reply) { mq_free(reply); }
