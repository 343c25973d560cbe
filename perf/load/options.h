/* What the generator was asked to do. */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include "net.h"

#include <stdint.h>
#include <sys/types.h>

struct options {
    const char *target, *workload, *queue;
    struct address address;
    unsigned connections, depth, batch, priorities, payload_bytes, idle;
    uint64_t ops, warmup_ops; /* 0: no such end, none */
    double seconds;           /* 0: no such end */
    pid_t server_pid;         /* 0: CPU and memory of the server are left out */
};

/* Ends the program with one line for a wrong option, and for --help. */
void options_parse(struct options *options, int argc, char **argv);

#endif
