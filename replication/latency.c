/* A ring of samples, and a percentile that is computed every eighth sample only. */
#include "replication/latency.h"

#include <assert.h>

#define RECOMPUTE_EVERY 8
#define RANK_UNIT_US 8000
#define LONGEST_US 3600000000u

/* The least sample with 99 of 100 at or below it: among fewer than 100 it is the greatest. */
static uint32_t percentile(const struct latency *latency) {
    static_assert(LATENCY_SAMPLES < 100, "else it takes a sort");
    uint32_t count = latency->count < LATENCY_SAMPLES ? latency->count : LATENCY_SAMPLES;
    uint32_t greatest = 0;
    for (uint32_t i = 0; i < count; i++)
        greatest = latency->ring_us[i] > greatest ? latency->ring_us[i] : greatest;
    return greatest;
}

void latency_add(struct latency *latency, uint64_t us) {
    uint32_t sample = us < LONGEST_US ? (uint32_t)us : LONGEST_US;
    latency->ring_us[latency->count++ % LATENCY_SAMPLES] = sample;
    if (latency->count == UINT32_MAX)
        latency->count = LATENCY_SAMPLES * RECOMPUTE_EVERY; /* a full ring, at the same place */
    if (latency->count == 1)
        latency->mean_us = sample;
    else
        latency->mean_us = (uint32_t)(((uint64_t)latency->mean_us * 7 + sample) / 8);
    if (latency->count % RECOMPUTE_EVERY == 0)
        latency->p99_us = percentile(latency);
}

uint64_t latency_p99_us(const struct latency *latency, uint64_t unknown_us) {
    return latency->count < RECOMPUTE_EVERY ? unknown_us : latency->p99_us;
}

uint32_t latency_rank_of(uint64_t us) {
    uint32_t rank = 0;
    for (uint64_t units = us / RANK_UNIT_US; units > 0; units /= 2)
        rank++;
    return rank;
}

uint32_t latency_rank(const struct latency *latency) {
    return latency_rank_of(latency->mean_us);
}
