/* Why: one program measures every server in the same way; this file puts its parts together and prints the result. */
#include "options.h"
#include "process.h"
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct idle {
    int *fds;
    uint64_t rss_before, rss_connected, rss_asked; /* of the server; 0 without its pid */
};

/* A JSON object of exactly `bytes` bytes, like a small job of a real queue. */
static char *make_payload(size_t bytes)
{
    static const char head[] = "{\"to\":\"user@example.org\",\"template\":\"welcome\",\"pad\":\"";
    size_t head_bytes = sizeof(head) - 1;
    char *payload = malloc(bytes + 1);
    if (!payload || bytes < head_bytes + 2)
        die("no memory for a payload of %zu bytes", bytes);
    memset(payload, 'x', bytes);
    memcpy(payload, head, head_bytes);
    memcpy(payload + bytes - 2, "\"}", 3);
    return payload;
}

/* Connections are accepted behind our back: the server has them all when it holds as many more files. */
static void wait_for_accepts(pid_t pid, long files)
{
    struct timespec pause = {.tv_nsec = 10000000};
    for (unsigned i = 0; i < 1000; i++) {
        if (process_files(pid) >= files)
            return;
        nanosleep(&pause, NULL);
    }
    die("the server did not accept all idle connections: its limit of open files is too low");
}

/* First connected only, then after one answered request each, which is when a server may have buffers for them. */
static void open_idle(struct idle *idle, const struct options *options, const struct target *target,
                      const struct shape *shape)
{
    *idle = (struct idle){0};
    if (!options->idle)
        return;
    char line[256];
    struct buf ping = {0};
    unsigned answers = target->ask(shape, STEP_PING, &ping);
    idle->fds = calloc(options->idle, sizeof(int));
    if (!idle->fds)
        die("out of memory");
    long files = 0;
    if (options->server_pid) {
        files = process_files(options->server_pid);
        idle->rss_before = process_rss_bytes(options->server_pid);
    }
    for (unsigned i = 0; i < options->idle; i++)
        idle->fds[i] = net_connect(&options->address);
    if (options->server_pid) {
        wait_for_accepts(options->server_pid, files + (long)options->idle);
        idle->rss_connected = process_rss_bytes(options->server_pid);
    }
    for (unsigned i = 0; i < options->idle; i++)
        net_ask(idle->fds[i], &ping, answers, line, sizeof(line));
    if (options->server_pid)
        idle->rss_asked = process_rss_bytes(options->server_pid);
    buf_free(&ping);
}

/* By reset: thousands of ports waiting for late packets would leave none for the next runs. */
static void close_idle(struct idle *idle, unsigned count)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    for (unsigned i = 0; i < count; i++) {
        setsockopt(idle->fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(idle->fds[i]);
    }
    free(idle->fds);
}

struct result {
    uint64_t ops, ns, load_cpu_ns, server_cpu_ns;
};

static uint64_t server_cpu_ns(const struct options *options)
{
    return options->server_pid ? process_cpu_ns(options->server_pid) : 0;
}

static uint64_t now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static struct result measure(struct run *run, const struct options *options)
{
    if (options->warmup_ops)
        run_for(run, options->warmup_ops, 0);
    *run_latencies(run) = (struct histogram){0};
    struct result before = {0, now_ns(), process_cpu_ns(0), server_cpu_ns(options)};
    uint64_t ops = run_for(run, options->ops, (uint64_t)(options->seconds * 1e9));
    return (struct result){ops, now_ns() - before.ns, process_cpu_ns(0) - before.load_cpu_ns,
                           server_cpu_ns(options) - before.server_cpu_ns};
}

static void print_result(const struct options *options, const struct result *result, const struct idle *idle,
                         const struct histogram *latencies)
{
    double ops = (double)result->ops, seconds = (double)result->ns / 1e9;
    printf("{\"target\":\"%s\",\"workload\":\"%s\",\"connections\":%u,\"depth\":%u,\"batch\":%u,", options->target,
           options->workload, options->connections, options->depth, options->batch);
    printf("\"payload_bytes\":%u,\"priorities\":%u,", options->payload_bytes, options->priorities);
    printf("\"ops\":%llu,\"seconds\":%.6f,\"rate\":%.1f,\"load_cpu_us\":%.4f,", (unsigned long long)result->ops, seconds,
           ops / seconds, (double)result->load_cpu_ns / 1e3 / ops);
    if (options->server_pid)
        printf("\"server_cpu_us\":%.4f,\"server_rss_bytes\":%llu,", (double)result->server_cpu_ns / 1e3 / ops,
               (unsigned long long)process_rss_bytes(options->server_pid));
    if (options->server_pid && options->idle)
        printf("\"idle\":{\"connections\":%u,\"rss_before\":%llu,\"rss_connected\":%llu,\"rss_asked\":%llu},",
               options->idle, (unsigned long long)idle->rss_before, (unsigned long long)idle->rss_connected,
               (unsigned long long)idle->rss_asked);
    printf("\"latency_us\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p99.9\":%.3f,\"max\":%.3f}}\n",
           histogram_percentile_us(latencies, 0.5), histogram_percentile_us(latencies, 0.9),
           histogram_percentile_us(latencies, 0.99), histogram_percentile_us(latencies, 0.999),
           (double)latencies->max_ns / 1000);
}

int main(int argc, char **argv)
{
    struct options options;
    options_parse(&options, argc, argv);
    const struct target *target = target_find(options.target);
    char *payload = make_payload(options.payload_bytes);
    struct shape shape = {.queue = options.queue, .payload = payload, .payload_bytes = options.payload_bytes,
                          .batch = options.batch, .priorities = options.priorities};
    struct workload workload;
    struct idle idle;
    workload_prepare(&workload, options.workload, target, &shape, options.depth);
    net_raise_file_limit((size_t)options.connections + options.idle + 64);

    struct run *run = run_create(&workload, &options.address, options.connections);
    open_idle(&idle, &options, target, &shape);
    struct result result = measure(run, &options);
    print_result(&options, &result, &idle, run_latencies(run));

    run_free(run);
    close_idle(&idle, options.idle);
    workload_free(&workload);
    free(payload);
    return 0;
}
