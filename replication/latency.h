/* How fast peers answer: recent samples per peer, for ranking replicas and for deciding when a read asks one more (Dynamo 6.2 and the
 * hedged requests of Dean and Barroso, The Tail at Scale, 2013). */
#ifndef RD_REPLICATION_LATENCY_H
#define RD_REPLICATION_LATENCY_H

#include <stdint.h>

#define LATENCY_SAMPLES 64

/* A zeroed struct knows nothing yet. */
struct latency {
    uint32_t ring_us[LATENCY_SAMPLES];
    uint32_t count;   /* samples ever taken */
    uint32_t mean_us; /* exponentially weighted, 1/8 for the newest */
    uint32_t p99_us;  /* over the ring, computed every few samples */
};

/* Takes one sample; above an hour counts as an hour. */
void latency_add(struct latency *latency, uint64_t us);

/* The 99th percentile of the last LATENCY_SAMPLES; `unknown_us` if fewer than 8 have been taken. */
uint64_t latency_p99_us(const struct latency *latency, uint64_t unknown_us);

/* A coarse rank for sorting: how often the mean can be halved before it is below 8 ms, plus one; 0
 * if it is, or if nothing is known. Small differences do not reorder. */
uint32_t latency_rank(const struct latency *latency);

/* The rank of one time. */
uint32_t latency_rank_of(uint64_t us);

#endif
