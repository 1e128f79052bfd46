/* Hybrid logical clock (Kulkarni et al. 2014).
 *
 * A stamp is 48 bits of wall milliseconds and 16 bits of counter. Stamps order concurrent siblings,
 * never causal ones; a new stamp exceeds every stamp seen. Stamps from the future are never
 * clamped, only carried on.
 */
#ifndef RD_REPLICATION_HLC_H
#define RD_REPLICATION_HLC_H

#include <stdint.h>

struct hlc {
    uint64_t last; /* the highest stamp issued or seen */
};

/* No decoder accepts a stamp above this, so that one can always be added. */
#define HLC_MAX_STAMP (UINT64_MAX >> 1)

/* A new stamp: above `hlc->last`, and not before the wall clock. Only at HLC_MAX_STAMP itself,
 * which no honest clock reaches in four thousand years, does it repeat that stamp instead of making
 * one that nobody would decode; dots then break the tie. */
uint64_t hlc_next(struct hlc *hlc, uint64_t wall_us);

/* Notes a stamp seen in an object, a context or a message; asserts that it is no higher than
 * HLC_MAX_STAMP. */
void hlc_seen(struct hlc *hlc, uint64_t stamp);

/* The wall milliseconds in a stamp. */
uint64_t hlc_wall_ms(uint64_t stamp);

/* Asserts the invariant: no stamp above HLC_MAX_STAMP. */
void hlc_check(const struct hlc *hlc);

#endif
