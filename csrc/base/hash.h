/* Hashes: XXH64 for names (part of the durable format: it may never change) and a mixer for integers. */
#ifndef MQ_HASH_H
#define MQ_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH64 of n bytes with seed 0, as its published specification defines it. */
uint64_t mq_hash_bytes(const void *bytes, size_t n);

/* A bijection of 64-bit integers that spreads every input bit over all output bits (the finaliser of splitmix64). */
static inline uint64_t mq_hash_u64(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
