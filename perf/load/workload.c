/* Why: every request is put together before the clock starts, so that the generator has nothing to do but send. */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    unsigned phases_count;
    enum step steps[PHASES_MAX];
    bool batches;
} KINDS[] = {
    {"push", 1, {STEP_PUSH}, false},
    {"pushb", 1, {STEP_PUSHB}, true},
    {"fill", 1, {STEP_PUSHB}, true},
    {"cycle", 3, {STEP_PUSH, STEP_PULL, STEP_ACK}, false},
    {"pullb", 3, {STEP_PUSHB, STEP_PULLB, STEP_ACKB}, true},
};

static bool pushes(enum step step)
{
    return step == STEP_PUSH || step == STEP_PUSHB;
}

/* Enough jobs to look random, few enough bytes to stay in the cache. */
static unsigned variants_for(unsigned jobs)
{
    unsigned variants = 4096 / jobs;
    return variants > 64 ? 64 : variants < 4 ? 4 : variants;
}

static void prepare_phase(struct phase *phase, const struct workload *workload, enum step step, unsigned depth)
{
    *phase = (struct phase){.step = step};
    phase->from_answers = workload->target->acks_name_ids && (step == STEP_ACK || step == STEP_ACKB);
    phase->variants = pushes(step) && workload->shape->priorities ? variants_for(workload->ops) : 1;
    phase->requests = calloc(phase->variants, sizeof(struct buf));
    if (!phase->requests)
        die("out of memory");
    for (unsigned i = 0; i < phase->variants; i++) {
        phase->answers = 0;
        for (unsigned n = 0; n < depth; n++)
            phase->answers += workload->target->ask(workload->shape, step, &phase->requests[i]);
    }
}

void workload_prepare(struct workload *workload, const char *name, const struct target *target,
                      const struct shape *shape, unsigned depth)
{
    for (unsigned i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
        if (strcmp(name, KINDS[i].name) != 0)
            continue;
        *workload = (struct workload){.name = name, .target = target, .shape = shape};
        workload->phases_count = KINDS[i].phases_count;
        workload->ops = depth * (KINDS[i].batches ? shape->batch : 1);
        for (unsigned n = 0; n < workload->phases_count; n++)
            prepare_phase(&workload->phases[n], workload, KINDS[i].steps[n], depth);
        return;
    }
    die("no workload %s: push, pushb, cycle, pullb or fill", name);
}

void workload_free(struct workload *workload)
{
    for (unsigned n = 0; n < workload->phases_count; n++) {
        for (unsigned i = 0; i < workload->phases[n].variants; i++)
            buf_free(&workload->phases[n].requests[i]);
        free(workload->phases[n].requests);
    }
}

const struct target *target_find(const char *name)
{
    static const struct target *const all[] = {&target_mqfast, &target_echo, &target_redis, &target_beanstalkd};
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(name, all[i]->name) == 0)
            return all[i];
    die("no target %s: mqfast, echo, redis or beanstalkd", name);
}

_Noreturn void target_refused(const char *name, enum step step, const char *at, const char *end)
{
    static const char *const steps[] = {"push", "pull", "ack", "batch push", "batch pull", "batch ack", "ping"};
    int shown = end - at > 300 ? 300 : (int)(end - at);
    die("%s refused a %s or answered it short: %.*s", name, steps[step], shown, at);
}

unsigned target_random(unsigned n)
{
    static unsigned long long state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 33) % n);
}
