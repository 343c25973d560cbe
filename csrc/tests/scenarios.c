#include "tests/scenarios.h"

#include "tests/engine.h"

#include <stdlib.h>

/* The first four ids of queue "q". */
#define A "1613"
#define B "2637"
#define C "3661"
#define D "4685"

#define PUSH(rest) "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":{\"n\":1}" rest "}"
#define PULL "{\"cmd\":\"PULL\",\"queue\":\"q\",\"timeout\":0}"
#define PULL_LEASED "{\"cmd\":\"PULL\",\"queue\":\"q\",\"timeout\":0,\"lease\":50}"
#define ON(command, id, rest) "{\"cmd\":\"" command "\",\"id\":" id rest "}"
#define QUEUE(command, rest) "{\"cmd\":\"" command "\",\"queue\":\"q\"" rest "}"
#define CRON_SET QUEUE("CRON", ",\"name\":\"c\",\"schedule\":\"*/5\",\"data\":1,\"unique_key\":\"k\"")
#define CRON_DO(command) "{\"cmd\":\"" command "\",\"name\":\"c\"}"
#define BURY(id) ON("FAIL", id, ",\"error\":\"e\",\"unrecoverable\":true")

const struct scenario scenarios[] = {
    {"push to a new queue", {NULL}, PUSH(""), false},
    {"push to a known queue", {PUSH("")}, PUSH(""), false},
    {"push with everything", {NULL},
     PUSH(",\"priority\":1,\"delay\":5,\"ttl\":6,\"timeout\":7,\"max_attempts\":8,\"backoff\":9,\"unique_key\":\"k\""), false},
    {"push of a large payload", {NULL},
     "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", false},
    {"push of a duplicate", {PUSH(",\"unique_key\":\"k\"")}, PUSH(",\"unique_key\":\"k\""), false},
    {"pushb", {NULL}, QUEUE("PUSHB", ",\"jobs\":[{\"data\":1},{\"data\":2,\"delay\":9},{\"data\":3,\"unique_key\":\"k\"}]"), true},
    {"pushb with refused items", {NULL}, QUEUE("PUSHB", ",\"jobs\":[{\"data\":1},7,{\"data\":3,\"priority\":\"x\"},{}]"), true},
    {"pushb with refused items only", {NULL}, QUEUE("PUSHB", ",\"jobs\":[7,{}]"), true},
    {"pull", {PUSH("")}, PULL, false},
    {"pull with a timeout", {PUSH(",\"timeout\":100")}, PULL_LEASED, false},
    {"pull from nothing", {NULL}, PULL, false},
    {"pullb", {PUSH(""), PUSH(""), PUSH(",\"priority\":3")}, QUEUE("PULLB", ",\"count\":3"), true},
    {"ack", {PUSH(",\"unique_key\":\"k\""), PULL}, ON("ACK", A, ""), false},
    {"ack with a result", {PUSH(""), PULL}, ON("ACK", A, ",\"result\":[1,2]"), false},
    {"ack of nothing", {NULL}, ON("ACK", A, ""), false},
    {"ackb", {PUSH(""), PUSH(""), PULL, PULL}, "{\"cmd\":\"ACKB\",\"ids\":[" A "," B "," C "],\"results\":[1,null,2]}", true},
    {"fail and retry", {PUSH(",\"backoff\":5"), PULL}, ON("FAIL", A, ",\"error\":\"bad\""), false},
    {"fail and retry at once", {PUSH(""), PULL}, ON("FAIL", A, ""), false},
    {"fail again", {PUSH(""), PULL, ON("FAIL", A, ",\"error\":\"first\""), PULL}, ON("FAIL", A, ",\"error\":\"second\""), false},
    {"fail for good", {PUSH(",\"max_attempts\":1,\"unique_key\":\"k\""), PULL}, ON("FAIL", A, ",\"error\":\"bad\""), false},
    {"fail for good without text", {PUSH(""), PULL}, ON("FAIL", A, ",\"unrecoverable\":true"), false},
    {"release", {PUSH(""), PULL}, ON("RELEASE", A, ""), false},
    {"release with a delay", {PUSH(""), PULL}, ON("RELEASE", A, ",\"delay\":9"), false},
    {"release of many", {PUSH(""), PUSH(""), PULL, PULL}, "{\"cmd\":\"RELEASE\",\"ids\":[" A "," B "],\"delay\":9}", true},
    {"heartbeat", {PUSH(",\"timeout\":50"), PULL_LEASED}, ON("HEARTBEAT", A, ",\"lease\":500"), false},
    {"progress", {PUSH(""), PULL}, ON("PROGRESS", A, ",\"progress\":50,\"message\":\"half\""), false},
    {"progress again", {PUSH(""), PULL, ON("PROGRESS", A, ",\"progress\":1,\"message\":\"a\"")}, ON("PROGRESS", A, ",\"progress\":2,\"message\":\"b\""), false},
    {"getprogress", {PUSH(""), PULL}, ON("GETPROGRESS", A, ""), false},
    {"getjob", {PUSH("")}, ON("GETJOB", A, ""), false},
    {"getresult", {PUSH(""), PULL, ON("ACK", A, ",\"result\":1")}, ON("GETRESULT", A, ""), false},
    {"cancel", {PUSH(",\"unique_key\":\"k\"")}, ON("CANCEL", A, ""), false},
    {"cancel of a held job", {PUSH(""), PULL}, ON("CANCEL", A, ""), false},
    {"dlq", {PUSH(""), PULL, BURY(A)}, QUEUE("DLQ", ""), false},
    {"retrydlq", {PUSH(",\"unique_key\":\"k\""), PULL, BURY(A)}, QUEUE("RETRYDLQ", ",\"id\":" A), false},
    {"retrydlq of all", {PUSH(",\"unique_key\":\"k\""), PUSH(""), PULL, PULL, BURY(A), BURY(B)}, QUEUE("RETRYDLQ", ""), true},
    {"purgedlq", {PUSH(""), PULL, BURY(A)}, QUEUE("PURGEDLQ", ""), true},
    {"drain", {PUSH(""), PUSH(",\"delay\":9")}, QUEUE("DRAIN", ""), true},
    {"pause of a new queue", {NULL}, QUEUE("PAUSE", ""), false},
    {"pause of a known queue", {PUSH("")}, QUEUE("PAUSE", ""), false},
    {"resume", {QUEUE("PAUSE", ""), PUSH("")}, QUEUE("RESUME", ""), false},
    {"ispaused", {PUSH("")}, QUEUE("ISPAUSED", ""), false},
    {"ratelimit of a new queue", {NULL}, QUEUE("RATELIMIT", ",\"limit\":5"), false},
    {"ratelimitclear", {QUEUE("RATELIMIT", ",\"limit\":5")}, QUEUE("RATELIMITCLEAR", ""), false},
    {"setconcurrency of a new queue", {NULL}, QUEUE("SETCONCURRENCY", ",\"limit\":5"), false},
    {"setqueue of a new queue", {NULL}, QUEUE("SETQUEUE", ",\"max_length\":5"), false},
    {"clearconcurrency", {QUEUE("SETCONCURRENCY", ",\"limit\":5")}, QUEUE("CLEARCONCURRENCY", ""), false},
    {"push that depends", {PUSH(""), PUSH("")}, PUSH(",\"depends_on\":[" A "," B "]"), false},
    {"getjob of a dependent", {PUSH(""), PUSH(",\"depends_on\":[" A "]")}, ON("GETJOB", B, ""), false},
    {"cancel of a dependent", {PUSH(""), PUSH(",\"depends_on\":[" A "]")}, ON("CANCEL", B, ""), false},
    {"drain of dependents", {PUSH(""), PUSH(",\"depends_on\":[" A "]")}, QUEUE("DRAIN", ""), true},
    {"obliterate", {PUSH(""), PUSH(",\"depends_on\":[" A "]"), PUSH(",\"delay\":9"), PULL}, QUEUE("OBLITERATE", ""), true},
    {"getjobs", {PUSH(""), PUSH("")}, QUEUE("GETJOBS", ",\"state\":\"waiting\",\"preview\":3"), false},
    {"waitjob of what is done", {PUSH(""), PULL, ON("ACK", A, ",\"result\":7")}, ON("WAITJOB", A, ""), false},
    {"waitjob of what is dead", {PUSH(""), PULL, BURY(A)}, ON("WAITJOB", A, ""), false},
    {"metrics", {PUSH(""), QUEUE("RATELIMIT", ",\"limit\":5")}, "{\"cmd\":\"METRICS\"}", false},
    {"topology", {NULL}, "{\"cmd\":\"TOPOLOGY\"}", false},
    {"subscribe", {NULL}, QUEUE("SUBSCRIBE", ",\"events\":[]"), false},
    {"cron again", {CRON_SET}, CRON_SET, false},
    {"cronrun", {CRON_SET}, CRON_DO("CRONRUN"), false},
    {"cronpause", {CRON_SET}, CRON_DO("CRONPAUSE"), false},
    {"crondelete", {CRON_SET}, CRON_DO("CRONDELETE"), false},
    {"cronlist", {CRON_SET}, "{\"cmd\":\"CRONLIST\"}", false},
    {"listqueues", {PUSH(""), QUEUE("PAUSE", "")}, "{\"cmd\":\"LISTQUEUES\"}", false},
    {"stats", {PUSH("")}, "{\"cmd\":\"STATS\"}", false},
    {"ping", {NULL}, "{\"cmd\":\"PING\",\"reqId\":\"r\"}", false},
    {"hello", {NULL}, "{\"cmd\":\"HELLO\"}", false},
    {"auth", {NULL}, "{\"cmd\":\"AUTH\",\"token\":\"t\"}", false},
    {"nonsense", {NULL}, "nonsense", false},
    {"an unknown command", {NULL}, "{\"cmd\":\"NOPE\"}", false},
};

const size_t scenario_n = sizeof scenarios / sizeof *scenarios;

void scenario_prepare(const struct scenario *scenario, struct mq_engine *engine)
{
    for (int i = 0; i < 8 && scenario->before[i]; i++) {
        if (scenario->before[i][0] == '+')
            later(engine, strtol(scenario->before[i], NULL, 10));
        else
            run_ok(engine, "%s", scenario->before[i]);
    }
}
