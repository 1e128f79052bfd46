/* Who issues dots: this process's incarnation and its epochs (TRAPS amnesia_*: a dot issued twice
 * loses data).
 *
 * An incarnation is 64 random bits of this process start, never stored, so neither crash nor wipe
 * nor restored backup can repeat one. An actor is continued only if the object held has its entry;
 * a key without one gets a fresh epoch. Whenever the memory of what was issued may be wrong (own
 * dots come back that the held copy lacks, a local write failed, a row was lost) a fresh
 * incarnation begins, and nothing old is continued.
 */
#ifndef RD_REPLICATION_ACTORS_H
#define RD_REPLICATION_ACTORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "replication/version.h"

struct actors {
    uint64_t incarnation;
    uint32_t last_epoch;
};

/* Begins a fresh incarnation; also the first one. */
void actors_begin(struct actors *actors, struct prng *prng);

/* The next dot for a key whose held copy has the vector `held`: the caller must make it part of
 * the held copy at once, or never use it. Begins a fresh incarnation when the epochs are used
 * up. */
struct dot actors_next(struct actors *actors, struct prng *prng, const struct version *held);

/* The first dot of a fresh epoch: of an actor that nobody knows yet. */
struct dot actors_fresh(struct actors *actors, struct prng *prng);

/* True if `seen` has dots of the present incarnation that `held` lacks: the held copy has
 * forgotten something. */
bool actors_forgot(const struct actors *actors, const struct version *held,
                   const struct version *seen);

#endif
