/* Latencies in nanoseconds, log-linear like HdrHistogram: fixed size, adding is one shift and one increment. */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_BITS = 7,       /* 128 steps an octave: a value is off by less than 0.4 % */
    HISTOGRAM_OCTAVES = 36,   /* up to 2^42 ns, more than an hour */
    HISTOGRAM_SLOTS = (HISTOGRAM_OCTAVES + 1) << HISTOGRAM_BITS,
};

struct histogram {
    uint64_t total;
    uint64_t max_ns;
    uint64_t slots[HISTOGRAM_SLOTS];
};

/* The value below which `part` (0..1) of what was added lies; 0 when nothing was. */
double histogram_percentile_us(const struct histogram *histogram, double part);

static inline void histogram_add(struct histogram *histogram, uint64_t ns, uint64_t count)
{
    unsigned shift = 0;
    if (ns >> HISTOGRAM_BITS)
        shift = 63u - (unsigned)__builtin_clzll(ns) - HISTOGRAM_BITS;
    unsigned slot = (shift << HISTOGRAM_BITS) + (unsigned)(ns >> shift);
    histogram->slots[slot < HISTOGRAM_SLOTS ? slot : HISTOGRAM_SLOTS - 1] += count;
    histogram->total += count;
    if (ns > histogram->max_ns)
        histogram->max_ns = ns;
}

#endif
