/* bench/histogram: see the header.
 *
 * A value below 2 * 64 is its own bucket. Above that the bucket is made of the position of the highest bit and the six bits behind it.
 */
#include "bench/histogram.h"

#include <assert.h>

#define SUBS (UINT64_C(1) << HIST_SUB_BITS)

static unsigned bucket_of(uint64_t value) {
    if (value < 2 * SUBS) {
        return (unsigned)value;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HIST_SUB_BITS;
    return (unsigned)(shift * SUBS + (value >> shift));
}

/* The largest value of a bucket. */
static uint64_t bucket_end(unsigned bucket) {
    if (bucket < 2 * SUBS) {
        return bucket;
    }
    unsigned shift = (unsigned)(bucket / SUBS - 1);
    uint64_t top = bucket - shift * SUBS;
    return (top << shift) + ((UINT64_C(1) << shift) - 1);
}

void hist_add_many(struct histogram *hist, uint64_t value, uint64_t times) {
    hist->count += times;
    hist->sum += (double)value * (double)times;
    if (times > 0 && value > hist->max) {
        hist->max = value;
    }
    unsigned bucket = bucket_of(value);
    assert(bucket < HIST_BUCKETS);
    hist->buckets[bucket] += times;
}

void hist_add(struct histogram *hist, uint64_t value) {
    hist_add_many(hist, value, 1);
}

void hist_merge(struct histogram *hist, const struct histogram *from) {
    hist->count += from->count;
    hist->sum += from->sum;
    if (from->max > hist->max) {
        hist->max = from->max;
    }
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        hist->buckets[i] += from->buckets[i];
    }
}

uint64_t hist_quantile(const struct histogram *hist, double q) {
    if (hist->count == 0) {
        return 0;
    }
    double wanted = q * (double)hist->count - 1e-6; /* 0.29 * 100 is a little more than 29 */
    uint64_t seen = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += hist->buckets[i];
        if (seen > 0 && (double)seen >= wanted) {
            uint64_t end = bucket_end(i);
            return end < hist->max ? end : hist->max;
        }
    }
    return hist->max;
}

void hist_print(const struct histogram *hist, FILE *out) {
    const char *comma = "";
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        if (hist->buckets[i] > 0) {
            fprintf(out, "%s%llu:%llu", comma, (unsigned long long)bucket_end(i),
                    (unsigned long long)hist->buckets[i]);
            comma = ",";
        }
    }
}

double hist_mean(const struct histogram *hist) {
    return hist->count == 0 ? 0 : hist->sum / (double)hist->count;
}
