/*
 * What differs between servers: how a step is asked for and how its answer looks. One table a server; everything
 * else of the generator is the same for all of them.
 */
#ifndef LOAD_TARGET_H
#define LOAD_TARGET_H

#include "buf.h"

#include <stdbool.h>

enum step { STEP_PUSH, STEP_PULL, STEP_ACK, STEP_PUSHB, STEP_PULLB, STEP_ACKB, STEP_PING };

struct shape {
    const char *queue;
    const char *payload; /* JSON, without line breaks */
    size_t payload_bytes;
    unsigned batch;      /* jobs in one PUSHB, PULLB or ACKB */
    unsigned priorities; /* pushes have a random priority 0..priorities-1; 0: they have none */
};

struct target {
    const char *name;
    bool acks_name_ids; /* acks are written while answers to pulls are read; otherwise they never change */

    /* Appends what a connection says first; returns how many answer lines that has. */
    unsigned (*greet)(const struct shape *shape, struct buf *out);

    /* Appends the request of one step; returns how many answers it has. Acks get fixed ids. */
    unsigned (*ask)(const struct shape *shape, enum step step, struct buf *out);

    /*
     * The end of the first answer in [at, end), or NULL while it is incomplete. Where acks name ids, the answer to a
     * pull appends its ack to `acks`. A refusal ends the program.
     */
    const char *(*answer)(const struct shape *shape, enum step step, const char *at, const char *end, struct buf *acks);
};

extern const struct target target_mqfast, target_echo, target_redis, target_beanstalkd;

/* The table of that name; ends the program if there is none. */
const struct target *target_find(const char *name);

_Noreturn void target_refused(const char *name, enum step step, const char *at, const char *end);

/* Uniform in 0..n-1, from a fixed seed: every run asks the same. */
unsigned target_random(unsigned n);

#endif
