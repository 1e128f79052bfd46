/* Which key comes next: numbers below a count, drawn evenly, or as YCSB draws its zipfian keys.
 *
 * Zipfian: the key of rank r (from 0) has the probability 1 / ((r + 1)^theta * zeta(count)); the method is that of Gray et al., "Quickly
 * generating billion-record synthetic databases" (1994). The ranks are then scattered over the numbers by a bijection (YCSB hashes them,
 * which makes some keys fall together), so that the hot ones are no neighbours.
 */
#ifndef RD_BENCH_KEYS_H
#define RD_BENCH_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

#define KEYS_THETA 0.99

struct keys {
    uint64_t count;
    bool zipfian;
    uint64_t stride; /* coprime to count */
    double theta, alpha, zeta, eta, half;
};

/* Prepares drawing from `count` keys (at least 1); theta in (0, 1). Zipfian costs O(count) once. */
void keys_init(struct keys *keys, uint64_t count, bool zipfian, double theta);

/* The next key, below count. */
uint64_t keys_draw(const struct keys *keys, struct prng *prng);

/* The next rank of a zipfian draw, 0 the most frequent: what keys_draw scatters. */
uint64_t keys_rank(const struct keys *keys, struct prng *prng);

/* The key of a rank. */
uint64_t keys_scatter(const struct keys *keys, uint64_t rank);

#endif
