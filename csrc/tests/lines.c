#include "tests/lines.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {"emails", "q", "q192", "x"}; /* q and q192 share a slot */

const char *random_queue_name(struct random *random) { return names[random_below(random, sizeof names / sizeof *names)]; }

uint64_t random_job_id(struct random *random)
{
    const char *name = random_queue_name(random);
    uint64_t counter = 1 + random_below(random, random_chance(random, 80) ? 40 : 400);
    return counter << 10 | mq_hash_bytes(name, strlen(name)) % 1024;
}

struct writer {
    char *out;
    size_t n;
    struct random *random;
};

static void put(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->out + w->n, LINE_MAX_N - w->n, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < LINE_MAX_N - w->n)
        w->n += (size_t)n;
}

static bool chance(struct writer *w, unsigned percent) { return random_chance(w->random, percent); }

static void put_ms(struct writer *w, const char *name)
{
    static const uint64_t odd[] = {0, 1, 100, 3600000, UINT64_MAX};
    put(w, ",\"%s\":%" PRIu64, name, chance(w, 85) ? random_below(w->random, 50) : odd[random_below(w->random, 5)]);
}

static void put_job(struct writer *w)
{
    static const char *const data[] = {"1", "\"text\"", "{\"a\":[1,2,{\"b\":null}]}", "[]", "\"\\u00e9\\n\""};
    put(w, "\"data\":%s", data[random_below(w->random, 5)]);
    if (chance(w, 40))
        put(w, ",\"priority\":%d", (int)random_below(w->random, 5) - 2);
    static const char *const times[] = {"delay", "ttl", "timeout", "backoff", "maxBackoff"};
    for (int i = 0; i < 5; i++)
        if (chance(w, 20))
            put_ms(w, times[i]);
    if (chance(w, 30))
        put(w, ",\"max_attempts\":%d", (int)random_below(w->random, 4));
    if (chance(w, 25))
        put(w, ",\"unique_key\":\"k%d\"", (int)random_below(w->random, 5));
    if (chance(w, 15)) {
        put(w, ",\"depends_on\":[%" PRIu64, random_job_id(w->random));
        for (uint64_t more = random_below(w->random, 3); more; more--)
            put(w, ",%" PRIu64, random_job_id(w->random));
        put(w, "]");
    }
}

static void put_cron(struct writer *w, const char *command)
{
    put(w, ",\"name\":\"c%d\"", (int)random_below(w->random, 4));
    if (strcmp(command, "CRON"))
        return;
    put(w, ",\"queue\":\"%s\",\"schedule\":\"*/%d\",", random_queue_name(w->random), 1 + (int)random_below(w->random, 3));
    put_job(w);
    if (chance(w, 20))
        put(w, ",\"overlap\":\"skip\"");
    if (chance(w, 20))
        put(w, ",\"paused\":%s", chance(w, 50) ? "true" : "false");
}

static void put_ids(struct writer *w)
{
    unsigned n = (unsigned)random_below(w->random, 8);
    put(w, ",\"ids\":[");
    for (unsigned i = 0; i < n; i++)
        put(w, "%s%" PRIu64, i ? "," : "", random_job_id(w->random));
    put(w, "]");
    if (chance(w, 20)) {
        put(w, ",\"tokens\":[");
        for (unsigned i = 0; i < n; i++)
            put(w, "%s%s", i ? "," : "", i % 2 ? "null" : "\"0123456789abcdef\"");
        put(w, "]");
    }
}

static void put_queue(struct writer *w) { put(w, ",\"queue\":\"%s\"", random_queue_name(w->random)); }
static void put_id(struct writer *w) { put(w, ",\"id\":%" PRIu64, random_job_id(w->random)); }

static void put_push(struct writer *w, bool batch)
{
    put_queue(w);
    put(w, batch ? ",\"jobs\":[{" : ",");
    put_job(w);
    for (uint64_t more = batch ? random_below(w->random, 5) : 0; more; more--) {
        put(w, chance(w, 90) ? "},{" : "},7,{");
        put_job(w);
    }
    put(w, batch ? "}]" : "%s", "");
}

static void put_pull(struct writer *w, bool batch)
{
    put_queue(w);
    if (batch)
        put(w, ",\"count\":%d", (int)random_below(w->random, 6));
    if (chance(w, 50))
        put(w, ",\"lease\":%d", 1 + (int)random_below(w->random, 100));
    put(w, ",\"timeout\":%d", (int)random_below(w->random, 3));
}

static void put_claim(struct writer *w)
{
    put_id(w);
    if (chance(w, 10))
        put(w, ",\"token\":\"0123456789abcdef\"");
    if (chance(w, 40))
        put(w, ",\"error\":\"bad %d\",\"result\":{\"n\":1}", (int)random_below(w->random, 100));
    if (chance(w, 15))
        put(w, ",\"unrecoverable\":true");
    if (chance(w, 20))
        put_ms(w, "delay");
}

size_t random_line(struct random *random, char out[LINE_MAX_N])
{
    /* weighted by how often they stand here */
    static const char *const commands[] = {
        "PUSH", "PUSH", "PUSH", "PUSH", "PUSHB", "PULL", "PULL", "PULL", "PULL", "PULLB", "PULLB", "ACK", "ACK", "ACK", "ACKB", "FAIL", "FAIL",
        "FAIL", "FAIL", "RELEASE", "RELEASE", "CANCEL", "RETRYDLQ", "RETRYDLQ", "DLQ", "PAUSE", "RESUME", "RESUME", "ISPAUSED", "LISTQUEUES",
        "STATS", "PING", "HELLO", "HEARTBEAT", "PROGRESS", "GETPROGRESS", "GETJOB", "GETRESULT", "PURGEDLQ", "DRAIN", "RATELIMIT",
        "RATELIMITCLEAR", "RATELIMITCLEAR", "SETCONCURRENCY", "CLEARCONCURRENCY", "CLEARCONCURRENCY", "SETQUEUE", "OBLITERATE", "WAITJOB",
        "GETJOBS", "METRICS", "TOPOLOGY", "CRON", "CRON", "CRONRUN", "CRONRUN", "CRONDELETE", "CRONPAUSE", "CRONRESUME", "CRONLIST",
    };
    const char *command = commands[random_below(random, sizeof commands / sizeof *commands)];
    struct writer w = {.out = out, .random = random};
    put(&w, "{\"cmd\":\"%s\"", command);
    if (!strncmp(command, "PUSH", 4)) {
        put_push(&w, command[4] != 0);
    } else if (!strncmp(command, "PULL", 4)) {
        put_pull(&w, command[4] != 0);
    } else if (!strcmp(command, "ACKB") || (!strcmp(command, "RELEASE") && chance(&w, 40))) {
        put_ids(&w);
    } else if (!strcmp(command, "ACK") || !strcmp(command, "FAIL") || !strcmp(command, "RELEASE") || !strcmp(command, "HEARTBEAT")) {
        put_claim(&w);
    } else if (!strncmp(command, "CRON", 4)) {
        put_cron(&w, command);
    } else if (!strcmp(command, "GETJOBS")) {
        static const char *const states[] = {"waiting", "delayed", "waitingparent", "active", "completed", "failed"};
        put_queue(&w);
        put(&w, ",\"state\":\"%s\",\"limit\":%d", states[random_below(random, 6)], 1 + (int)random_below(random, 5));
    } else if (!strcmp(command, "PROGRESS")) {
        put_id(&w);
        put(&w, ",\"progress\":%d,\"message\":\"half\"", (int)random_below(random, 120));
    } else if (!strncmp(command, "GET", 3) || !strcmp(command, "CANCEL") || !strcmp(command, "WAITJOB")) {
        put_id(&w);
    } else {
        put_queue(&w);
        if (!strcmp(command, "RETRYDLQ") && chance(&w, 50))
            put_id(&w);
        if (!strcmp(command, "RATELIMIT") || !strcmp(command, "SETCONCURRENCY"))
            put(&w, ",\"limit\":%d", 1 + (int)random_below(random, 5));
        if (!strcmp(command, "SETQUEUE") && chance(&w, 95))
            put(&w, ",\"max_length\":%d", chance(&w, 50) ? 0 : 5 + (int)random_below(random, 30));
    }
    if (chance(&w, 10))
        put(&w, ",\"reqId\":\"r%d\"", (int)random_below(random, 100));
    put(&w, "}");
    return w.n;
}
