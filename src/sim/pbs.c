/* sim/pbs: see pbs.h. Times count from when the write's coordinator sends it on. */
#include "sim/pbs.h"

#include <assert.h>
#include <stdbool.h>

/* Sorts a few numbers. */
static void sort(uint64_t *values, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        uint64_t value = values[i];
        uint32_t at = i;
        for (; at > 0 && values[at - 1] > value; at--) {
            values[at] = values[at - 1];
        }
        values[at] = value;
    }
}

/* When each replica has the write, to `has_us`; returns when the W-th acknowledgement is there.
 * `own`: the replica that coordinates; n: none. */
static uint64_t write(const struct pbs *pbs, uint32_t own, uint64_t *has_us, struct prng *prng) {
    uint64_t acknowledged[PBS_MAX_N];
    for (uint32_t i = 0; i < pbs->n; i++) {
        has_us[i] = i == own ? 0 : pbs->message(pbs->arg, prng);
        uint64_t kept_us = has_us[i] + pbs->commit(pbs->arg, prng);
        acknowledged[i] = kept_us + (i == own ? 0 : pbs->message(pbs->arg, prng));
    }
    sort(acknowledged, pbs->n);
    return acknowledged[pbs->w - 1];
}

/* All are asked; the first R answers count. */
static bool misses_by_paper(const struct pbs *pbs, uint64_t t_us, struct prng *prng) {
    uint64_t has_us[PBS_MAX_N];
    uint64_t begins_us = write(pbs, pbs->n, has_us, prng) + t_us;
    uint64_t answers[PBS_MAX_N]; /* when it is there, and in the lowest bit: stale */
    for (uint32_t i = 0; i < pbs->n; i++) {
        uint64_t reached_us = begins_us + pbs->message(pbs->arg, prng);
        uint64_t answer_us = reached_us + pbs->message(pbs->arg, prng);
        answers[i] = answer_us << 1 | (reached_us < has_us[i]);
    }
    sort(answers, pbs->n);
    for (uint32_t i = 0; i < pbs->r; i++) {
        if ((answers[i] & 1) == 0) {
            return false;
        }
    }
    return true;
}

/* The reader's own copy, then the first R-1 others. */
static bool misses_by_ours(const struct pbs *pbs, uint64_t t_us, struct prng *prng) {
    uint64_t has_us[PBS_MAX_N];
    uint32_t writer = (uint32_t)prng_below(prng, pbs->n);
    uint32_t reader = (uint32_t)prng_below(prng, pbs->n);
    uint64_t begins_us = write(pbs, writer, has_us, prng) + t_us;
    bool stale = begins_us + pbs->get(pbs->arg, prng) < has_us[reader];
    for (uint32_t i = 0, asked = 1; asked < pbs->r; i++) {
        if (i != reader) {
            asked++;
            uint64_t reached_us = begins_us + pbs->message(pbs->arg, prng);
            stale = reached_us + pbs->get(pbs->arg, prng) < has_us[i] && stale;
        }
    }
    return stale;
}

double pbs_stale(const struct pbs *pbs, uint64_t t_us, uint32_t trials, struct prng *prng) {
    assert(pbs->n >= 1 && pbs->n <= PBS_MAX_N && trials > 0);
    assert(pbs->r >= 1 && pbs->r <= pbs->n && pbs->w >= 1 && pbs->w <= pbs->n);
    uint32_t stale = 0;
    for (uint32_t i = 0; i < trials; i++) {
        stale += pbs->model == PBS_PAPER ? misses_by_paper(pbs, t_us, prng)
                                         : misses_by_ours(pbs, t_us, prng);
    }
    return (double)stale / trials;
}
