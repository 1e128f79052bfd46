/* The clocks of one simulated machine: a monotonic one that starts at each boot and may drift, and
 * a wall clock that may also be wrong by any amount and jump.
 *
 * True time is the simulation's own, in microseconds from its start. */
#ifndef RD_SIM_CLOCK_H
#define RD_SIM_CLOCK_H

#include <stdint.h>

#include "replication/instant.h"

/* Wall time at the start of every simulation: 2020-09-13 12:26:40 UTC. */
#define CLOCK_EPOCH_US (UINT64_C(1600000000) * 1000000)

#define CLOCK_MAX_DRIFT_PPM 100000 /* 10 % */

struct clock {
    uint64_t anchor_true_us; /* the drift below holds from here */
    uint64_t anchor_mono_us; /* what the monotonic clock showed then */
    int32_t drift_ppm;       /* how much faster than true time */
    int64_t wall_ahead_us;   /* wall clock minus (epoch + true time) at the anchor */
};

/* A clock that is right, at true time `now_us`, with a monotonic clock that shows `mono_us`. */
void clock_init(struct clock *clock, uint64_t now_us, uint64_t mono_us);

/* What the machine's clocks show at true time `now_us`, which is not before the anchor. */
struct instant clock_read(const struct clock *clock, uint64_t now_us);

/* From now on the machine's clocks run faster than true time by `drift_ppm`, in
 * +-CLOCK_MAX_DRIFT_PPM. */
void clock_set_drift(struct clock *clock, uint64_t now_us, int32_t drift_ppm);

/* Moves the wall clock by `by_us` (never before 1970). */
void clock_jump(struct clock *clock, int64_t by_us);

/* Makes the wall clock show true time plus `ahead_us`, from `now_us` on. */
void clock_set_ahead(struct clock *clock, uint64_t now_us, int64_t ahead_us);

/* The true time at which the monotonic clock will show at least `mono_us`; `now_us` if it does
 * already, UINT64_MAX for UINT64_MAX. */
uint64_t clock_true_us(const struct clock *clock, uint64_t now_us, uint64_t mono_us);

#endif
