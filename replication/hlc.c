/* Hybrid logical clock (see hlc.h).
 *
 * Invariant: `last` never falls, whatever the wall clock does, and never exceeds HLC_MAX_STAMP. A
 * wall clock that has jumped back is thus outrun by counting; the 16 counter bits carry over into
 * the milliseconds, which is harmless.
 */
#include "replication/hlc.h"

#include <assert.h>

#define COUNTER_BITS 16

void hlc_check(const struct hlc *hlc) {
    assert(hlc->last <= HLC_MAX_STAMP);
}

uint64_t hlc_next(struct hlc *hlc, uint64_t wall_us) {
    hlc_check(hlc);
    uint64_t wall_ms = wall_us / 1000;
    uint64_t wall = HLC_MAX_STAMP;
    if (wall_ms <= HLC_MAX_STAMP >> COUNTER_BITS) {
        wall = wall_ms << COUNTER_BITS;
    }
    if (hlc->last < HLC_MAX_STAMP) {
        hlc->last++;
    }
    if (hlc->last < wall) {
        hlc->last = wall;
    }
    return hlc->last;
}

void hlc_seen(struct hlc *hlc, uint64_t stamp) {
    assert(stamp <= HLC_MAX_STAMP);
    if (hlc->last < stamp) {
        hlc->last = stamp;
    }
}

uint64_t hlc_wall_ms(uint64_t stamp) {
    return stamp >> COUNTER_BITS;
}
