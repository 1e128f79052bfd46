/* sim/clock: see clock.h.
 *
 * Elapsed machine time is elapsed true time * (1 + drift), counted from an anchor that moves
 * whenever the drift changes, so that the monotonic clock never goes back. */
#include "sim/clock.h"

#include <assert.h>

#define MILLION 1000000

static uint64_t elapsed(const struct clock *clock, uint64_t now_us) {
    assert(now_us >= clock->anchor_true_us);
    uint64_t true_us = now_us - clock->anchor_true_us;
    int64_t drift = (int64_t)(true_us / MILLION) * clock->drift_ppm +
                    (int64_t)(true_us % MILLION) * clock->drift_ppm / MILLION;
    return (uint64_t)((int64_t)true_us + drift);
}

void clock_init(struct clock *clock, uint64_t now_us, uint64_t mono_us) {
    *clock = (struct clock){.anchor_true_us = now_us, .anchor_mono_us = mono_us};
}

struct instant clock_read(const struct clock *clock, uint64_t now_us) {
    uint64_t passed = elapsed(clock, now_us);
    int64_t wall =
        (int64_t)(CLOCK_EPOCH_US + clock->anchor_true_us + passed) + clock->wall_ahead_us;
    return (struct instant){.mono_us = clock->anchor_mono_us + passed,
                            .wall_us = wall > 0 ? (uint64_t)wall : 0};
}

void clock_set_drift(struct clock *clock, uint64_t now_us, int32_t drift_ppm) {
    assert(drift_ppm >= -CLOCK_MAX_DRIFT_PPM && drift_ppm <= CLOCK_MAX_DRIFT_PPM);
    uint64_t passed = elapsed(clock, now_us);
    uint64_t true_us = now_us - clock->anchor_true_us;
    clock->wall_ahead_us += (int64_t)passed - (int64_t)true_us;
    clock->anchor_mono_us += passed;
    clock->anchor_true_us = now_us;
    clock->drift_ppm = drift_ppm;
}

void clock_jump(struct clock *clock, int64_t by_us) {
    clock->wall_ahead_us += by_us;
}

void clock_set_ahead(struct clock *clock, uint64_t now_us, int64_t ahead_us) {
    clock_set_drift(clock, now_us, clock->drift_ppm);
    clock->wall_ahead_us = ahead_us;
}

uint64_t clock_true_us(const struct clock *clock, uint64_t now_us, uint64_t mono_us) {
    if (mono_us == UINT64_MAX) {
        return UINT64_MAX;
    }
    uint64_t shown = clock->anchor_mono_us + elapsed(clock, now_us);
    if (mono_us <= shown) {
        return now_us;
    }
    /* Rounded up: a timer that rings a little late is right, one that rings early would ring for
     * ever. */
    uint64_t wait = mono_us - shown;
    uint64_t rate = (uint64_t)(MILLION + clock->drift_ppm);
    if (wait > UINT64_MAX / MILLION - 1) {
        return UINT64_MAX;
    }
    uint64_t at = now_us + (wait * MILLION + rate - 1) / rate;
    while (clock->anchor_mono_us + elapsed(clock, at) < mono_us) {
        at++;
    }
    return at;
}
