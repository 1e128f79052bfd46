/* A histogram of times; see latency.h. Bucket 4 * k + r holds the times from (4 + r) * 2^(k - 2). */
#include "store/latency.h"

#include <time.h>

#define HALVE_AT 8192

uint64_t latency_now_us(void) {
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
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

void latency_add(struct latency *latency, uint64_t us) {
    latency->counts[bucket_of(us)]++;
    if (++latency->total < HALVE_AT) {
        return;
    }
    latency->total = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        latency->counts[i] /= 2;
        latency->total += latency->counts[i];
    }
}

uint64_t latency_p99_us(const struct latency *latency) {
    uint64_t above = latency->total / 100;
    uint64_t seen = 0;
    for (unsigned i = LATENCY_BUCKETS; i > 0; i--) {
        seen += latency->counts[i - 1];
        if (seen > above) { /* the bucket's upper end */
            return i < 4 ? i : (uint64_t)(4 + i % 4) << (i / 4 - 1);
        }
    }
    return 0;
}
