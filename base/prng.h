/* A seeded pseudo-random generator (xoshiro256**, Blackman and Vigna 2018; state filled by splitmix64).
 *
 * Not for secrets as such: its strength is that of its seed, which a server draws from the system
 * (hash_random_bytes) and the simulator from the command line. The same seed gives the same sequence on every machine.
 */
#ifndef RD_BASE_PRNG_H
#define RD_BASE_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t s[4];
};

/* Starts the sequence of `seed`; every seed, also 0, is good. */
void prng_seed(struct prng *prng, uint64_t seed);

/* Starts from 256 bits of outside entropy; all-zero is accepted and treated as seed 0. */
void prng_seed_wide(struct prng *prng, const uint64_t seed[4]);

/* The next 64 bits. */
uint64_t prng_u64(struct prng *prng);

/* A uniform number in [0, bound), without modulo bias; asserts bound > 0. */
uint64_t prng_below(struct prng *prng, uint64_t bound);

/* True with probability `parts` in `of`; asserts of > 0. */
int prng_chance(struct prng *prng, uint64_t parts, uint64_t of);

/* Fills `len` bytes. */
void prng_fill(struct prng *prng, void *bytes, uint64_t len);

#endif
