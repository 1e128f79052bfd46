/* bench/keys: see the header. */
#include "bench/keys.h"

#include <assert.h>
#include <math.h>

static uint64_t common_divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

void keys_init(struct keys *keys, uint64_t count, bool zipfian, double theta) {
    assert(count > 0 && theta > 0 && theta < 1);
    *keys = (struct keys){.count = count, .zipfian = zipfian, .theta = theta};
    /* The golden section spreads consecutive ranks as far as can be. */
    keys->stride = (uint64_t)((double)count * 0.6180339887498949) | 1;
    while (common_divisor(count, keys->stride) != 1) {
        keys->stride++;
    }
    if (!zipfian) {
        return;
    }
    for (uint64_t i = 1; i <= count; i++) {
        keys->zeta += pow(1.0 / (double)i, theta);
    }
    double zeta2 = 1 + pow(0.5, theta);
    keys->alpha = 1 / (1 - theta);
    keys->half = zeta2;
    keys->eta =
        count < 3 ? 0 : (1 - pow(2.0 / (double)count, 1 - theta)) / (1 - zeta2 / keys->zeta);
}

/* 53 random bits as a number in [0, 1). */
static double unit(struct prng *prng) {
    return (double)(prng_u64(prng) >> 11) * 0x1p-53;
}

uint64_t keys_rank(const struct keys *keys, struct prng *prng) {
    double u = unit(prng);
    double uz = u * keys->zeta;
    if (uz < 1 || keys->count == 1) {
        return 0;
    }
    if (uz < keys->half || keys->count == 2) {
        return 1;
    }
    uint64_t rank =
        (uint64_t)((double)keys->count * pow(keys->eta * u - keys->eta + 1, keys->alpha));
    return rank < keys->count ? rank : keys->count - 1;
}

uint64_t keys_scatter(const struct keys *keys, uint64_t rank) {
    return (uint64_t)((unsigned __int128)rank * keys->stride % keys->count);
}

uint64_t keys_draw(const struct keys *keys, struct prng *prng) {
    return keys->zipfian ? keys_scatter(keys, keys_rank(keys, prng))
                         : prng_below(prng, keys->count);
}
