/* Probabilistically bounded staleness (Bailis et al., PVLDB 2012): how likely a read that begins a
 * time t after a write's acknowledgement misses the write, predicted from the delays of messages
 * alone, by Monte Carlo.
 *
 * Four delays make a case: W (write to a replica), A (its acknowledgement), R (read request), S
 * (its response). Two models:
 *   PBS_PAPER: the coordinators are no replicas; reads and writes go to all N, the first R and W
 *              answers count;
 *   PBS_OURS:  the coordinators are replicas, chosen at random; a write is kept by its coordinator
 *              at once and sent to the others; a read takes the coordinator's own copy first, then
 *              asks R-1 others in a fixed order of preference. */
#ifndef RD_SIM_PBS_H
#define RD_SIM_PBS_H

#include <stdint.h>

#include "base/prng.h"

#define PBS_MAX_N 16

enum pbs_model { PBS_PAPER, PBS_OURS };

/* Draws one delay in microseconds. */
typedef uint64_t pbs_draw(void *arg, struct prng *prng);

struct pbs {
    enum pbs_model model;
    uint32_t n, r, w;  /* 1..n, n up to PBS_MAX_N */
    pbs_draw *message; /* W, A, R and S */
    pbs_draw *commit;  /* what keeping a write takes; part of W in the paper's model */
    pbs_draw *get;     /* what looking a copy up takes; part of R there, and not asked for */
    void *arg;
};

/* The share of reads, of `trials`, that miss a write acknowledged `t_us` before: 0..1. */
double pbs_stale(const struct pbs *pbs, uint64_t t_us, uint32_t trials, struct prng *prng);

#endif
