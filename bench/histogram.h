/* How long things took: counts of nanoseconds in buckets of the same relative width, after the idea of HdrHistogram.
 *
 * Exact below 128 ns; above that a bucket is 1/64 of its value wide or less, so that what hist_quantile says is at most 1.6% above the
 * truth. 32 KB, no allocation; the largest and the smallest value are kept exactly.
 */
#ifndef RD_BENCH_HISTOGRAM_H
#define RD_BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HIST_SUB_BITS 6
#define HIST_BUCKETS ((64 - HIST_SUB_BITS + 1) << HIST_SUB_BITS)

/* Zeroed: empty. */
struct histogram {
    uint64_t count;
    uint64_t max;
    double sum;
    uint64_t buckets[HIST_BUCKETS];
};

/* Counts `value`, any number. */
void hist_add(struct histogram *hist, uint64_t value);

/* Counts `value` `times` times. */
void hist_add_many(struct histogram *hist, uint64_t value, uint64_t times);

/* Adds all that `from` has counted. */
void hist_merge(struct histogram *hist, const struct histogram *from);

/* The smallest value that a share `q` (0 to 1) of all does not exceed, rounded up to the end of its bucket but never above the largest;
 * 0 if nothing was counted. */
uint64_t hist_quantile(const struct histogram *hist, double q);

/* Prints "end:count" of each bucket that is not empty, smallest first, with commas between. */
void hist_print(const struct histogram *hist, FILE *out);

/* 0 if nothing was counted. */
double hist_mean(const struct histogram *hist);

#endif
