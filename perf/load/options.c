/* Why: options are checked before anything is measured, so that a typing error never costs a run. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char HELP[] =
    "usage: mqload [OPTIONS]\n"
    "Puts load on a job server and prints what it measured as one JSON object.\n"
    "\n"
    "  --target NAME      mqfast, echo, redis or beanstalkd [mqfast]\n"
    "  --workload NAME    push   D pushes a write on each connection [push]\n"
    "                     pushb  batches of B jobs, D batches a write\n"
    "                     cycle  D pushes, D pulls, D acks, each step in one write; a cycle is one operation\n"
    "                     pullb  B jobs pushed, pulled and acked in batches; a job is one operation\n"
    "                     fill   --ops jobs in batches of B, with random priorities 0..9\n"
    "  --host HOST        [127.0.0.1]\n"
    "  --port PORT        [6789]\n"
    "  --unix PATH        a Unix socket instead\n"
    "  --queue NAME       [bench]\n"
    "  --connections C    [1]\n"
    "  --depth D          requests in flight on a connection [1]\n"
    "  --batch B          [100]\n"
    "  --payload BYTES    of JSON in each job, at least 64 [100]\n"
    "  --priorities N     pushes have a random priority 0..N-1 [none; fill: 10]\n"
    "  --idle K           K more connections that ask once and then do nothing [0]\n"
    "  --ops N            stop after N operations\n"
    "  --seconds S        stop after S seconds [1, unless --ops is given]\n"
    "  --warmup-ops N     not measured [0]\n"
    "  --server-pid PID   measure that process's CPU time and memory\n"
    "  --help\n"
    "\n"
    "A refused answer ends the run with status 1.\n";

enum option_name {
    TARGET = 1, WORKLOAD, HOST, PORT, UNIX, QUEUE, CONNECTIONS, DEPTH, BATCH, PAYLOAD, PRIORITIES, IDLE, OPS, SECONDS,
    WARMUP_OPS, SERVER_PID, SHOW_HELP
};

static const struct option OPTIONS[] = {
    {"target", required_argument, NULL, TARGET},
    {"workload", required_argument, NULL, WORKLOAD},
    {"host", required_argument, NULL, HOST},
    {"port", required_argument, NULL, PORT},
    {"unix", required_argument, NULL, UNIX},
    {"queue", required_argument, NULL, QUEUE},
    {"connections", required_argument, NULL, CONNECTIONS},
    {"depth", required_argument, NULL, DEPTH},
    {"batch", required_argument, NULL, BATCH},
    {"payload", required_argument, NULL, PAYLOAD},
    {"priorities", required_argument, NULL, PRIORITIES},
    {"idle", required_argument, NULL, IDLE},
    {"ops", required_argument, NULL, OPS},
    {"seconds", required_argument, NULL, SECONDS},
    {"warmup-ops", required_argument, NULL, WARMUP_OPS},
    {"server-pid", required_argument, NULL, SERVER_PID},
    {"help", no_argument, NULL, SHOW_HELP},
    {0},
};

static uint64_t number(const char *option, uint64_t low, uint64_t high)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(optarg, &end, 10);
    if (errno || end == optarg || *end || optarg[0] == '-' || value < low || value > high)
        die("--%s: a number from %llu to %llu, not %s", option, (unsigned long long)low, (unsigned long long)high,
            optarg);
    return value;
}

static double seconds(void)
{
    char *end;
    double value = strtod(optarg, &end);
    if (end == optarg || *end || !(value > 0 && value < 86400))
        die("--seconds: more than 0 and less than a day, not %s", optarg);
    return value;
}

static void set(struct options *options, int option, const char *name)
{
    switch (option) {
    case TARGET: options->target = optarg; break;
    case WORKLOAD: options->workload = optarg; break;
    case HOST: options->address.host = optarg; break;
    case PORT: options->address.port = (int)number(name, 1, 65535); break;
    case UNIX: options->address.unix_path = optarg; break;
    case QUEUE: options->queue = optarg; break;
    case CONNECTIONS: options->connections = (unsigned)number(name, 1, 100000); break;
    case DEPTH: options->depth = (unsigned)number(name, 1, 10000); break;
    case BATCH: options->batch = (unsigned)number(name, 1, 10000); break;
    case PAYLOAD: options->payload_bytes = (unsigned)number(name, 64, 60000); break;
    case PRIORITIES: options->priorities = (unsigned)number(name, 1, 1000000); break;
    case IDLE: options->idle = (unsigned)number(name, 0, 1000000); break;
    case OPS: options->ops = number(name, 1, UINT64_MAX / 2); break;
    case SECONDS: options->seconds = seconds(); break;
    case WARMUP_OPS: options->warmup_ops = number(name, 0, UINT64_MAX / 2); break;
    case SERVER_PID: options->server_pid = (pid_t)number(name, 1, 1 << 30); break;
    case SHOW_HELP:
        fputs(HELP, stdout);
        exit(0);
    default:
        die("try mqload --help");
    }
}

void options_parse(struct options *options, int argc, char **argv)
{
    *options = (struct options){
        .target = "mqfast", .workload = "push", .queue = "bench", .address = {.host = "127.0.0.1", .port = 6789},
        .connections = 1, .depth = 1, .batch = 100, .payload_bytes = 100};
    int option, index = 0;
    while ((option = getopt_long(argc, argv, "", OPTIONS, &index)) != -1)
        set(options, option, OPTIONS[index].name);
    if (optind < argc)
        die("%s: only options are taken; try mqload --help", argv[optind]);
    if (strspn(options->queue, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
            strlen(options->queue) || !*options->queue || strlen(options->queue) > 200)
        die("--queue: letters, digits, - _ . and at most 200 of them, not %s", options->queue);
    if (strcmp(options->workload, "fill") == 0) {
        if (!options->ops || options->ops % ((uint64_t)options->batch * options->depth))
            die("fill needs --ops, a multiple of --batch times --depth");
        if (!options->priorities)
            options->priorities = 10;
    }
    if (!options->ops && !options->seconds)
        options->seconds = 1;
}
