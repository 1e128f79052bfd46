/* A histogram of times; see timing.h. Bucket 4 * k + r holds the times from (4 + r) * 2^(k - 2). */
#include "store/timing.h"

#include <time.h>

#define HALVE_AT 8192

uint64_t timing_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static unsigned bucket_of(uint64_t us) {
    if (us < 4) {
        return (unsigned)us;
    }
    unsigned top = 63 - (unsigned)__builtin_clzll(us);
    unsigned bucket = 4 * (top - 1) + (unsigned)((us >> (top - 2)) & 3);
    return bucket < TIMING_BUCKETS ? bucket : TIMING_BUCKETS - 1;
}

void timing_add(struct timing *timing, uint64_t us) {
    timing->counts[bucket_of(us)]++;
    if (++timing->total < HALVE_AT) {
        return;
    }
    timing->total = 0;
    for (unsigned i = 0; i < TIMING_BUCKETS; i++) {
        timing->counts[i] /= 2;
        timing->total += timing->counts[i];
    }
}

uint64_t timing_p99_us(const struct timing *timing) {
    uint64_t above = timing->total / 100;
    uint64_t seen = 0;
    for (unsigned i = TIMING_BUCKETS; i > 0; i--) {
        seen += timing->counts[i - 1];
        if (seen > above) { /* the bucket's upper end */
            return i < 4 ? i : (uint64_t)(4 + i % 4) << (i / 4 - 1);
        }
    }
    return 0;
}
