/* How long something takes: a histogram of the last some thousand times, for a percentile. */
#ifndef RD_STORE_TIMING_H
#define RD_STORE_TIMING_H

#include <stdint.h>

#define TIMING_BUCKETS 128 /* four for each doubling */

/* A zeroed struct is an empty one. */
struct timing {
    uint32_t counts[TIMING_BUCKETS];
    uint32_t total;
};

/* The monotonic clock in microseconds. */
uint64_t timing_now_us(void);

/* Adds one time. Old ones fade: all counts are halved now and then. */
void timing_add(struct timing *timing, uint64_t us);

/* 99 of 100 took at most so long, to a fifth; 0 if there are none. */
uint64_t timing_p99_us(const struct timing *timing);

#endif
