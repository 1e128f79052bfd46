/* Version vectors over actors (Dynamo 4.4; Preguica, Almeida et al. 2012-2014).
 *
 * An actor is one incarnation of a node (64 random bits per process start, never stored) and an
 * epoch (a counter in its memory), so that no crash, wipe or restored backup can issue a dot twice.
 * A dot (actor, counter) names one write. A vector holds, for each actor, how many of its dots are
 * covered: all of 1..counter.
 */
#ifndef RD_REPLICATION_VERSION_H
#define RD_REPLICATION_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"

struct actor {
    uint64_t incarnation;
    uint32_t epoch;
};

struct dot {
    struct actor actor;
    uint64_t counter; /* from 1 */
};

struct version_entry {
    struct actor actor;
    uint64_t counter; /* from 1 */
};

/* A zeroed struct is the empty vector. Entries are sorted by actor, one per actor. */
struct version {
    struct version_entry *entries; /* owned */
    uint32_t count;
    uint32_t cap;
};

/* What a decoder accepts at most. */
#define VERSION_MAX_ENTRIES 65536

/* No decoder accepts a counter above this, so that one more can always be counted. */
#define VERSION_MAX_COUNTER (UINT64_MAX >> 1)

/* The longest encoding of a dot. */
#define DOT_MAX_BYTES (8 + 5 + 10)

/* Orders actors by (incarnation, epoch). */
int actor_compare(const struct actor *a, const struct actor *b);

/* Orders dots by (actor, counter). */
int dot_compare(const struct dot *a, const struct dot *b);

/* Frees the entries; the vector is empty and usable again. */
static inline void version_free(struct version *version) {
    if (version->entries != NULL) {
        free(version->entries);
    }
    *version = (struct version){0};
}

/* Makes `*to` (overwritten, so empty or freed before) a copy of `from`. Error: RD_ENOMEM. */
enum rd_err version_copy(const struct version *from, struct version *to);

/* How many dots of `actor` are covered; 0 if none. */
uint64_t version_get(const struct version *version, const struct actor *actor);

/* True if `actor` has an entry; then *index is its place. */
bool version_find(const struct version *version, const struct actor *actor, uint32_t *index);

/* True if the vector covers `dot`. */
bool version_covers(const struct version *version, const struct dot *dot);

/* True if `a` covers all that `b` covers. */
bool version_descends(const struct version *a, const struct version *b);

/* How two vectors stand to each other: a bit for each side that covers a dot which the other does
 * not. */
enum version_order {
    VERSION_EQUAL = 0,
    VERSION_LEFT_AHEAD = 1,
    VERSION_RIGHT_AHEAD = 2,
    VERSION_CONCURRENT = 3
};

/* Compares in one pass over both. */
enum version_order version_compare(const struct version *left, const struct version *right);

/* True if both cover the same dots. */
bool version_equal(const struct version *a, const struct version *b);

/* Makes room for `count` entries in all, so that changes up to there allocate nothing. Error:
 * RD_ENOMEM, nothing changed. */
enum rd_err version_reserve(struct version *version, size_t count);

/* Raises the entry of `dot`'s actor to at least dot->counter. Error: RD_ENOMEM, nothing changed. */
enum rd_err version_advance(struct version *version, const struct dot *dot);

/* Joins `from` into `into` (the maximum of each entry). Error: RD_ENOMEM, nothing changed. */
enum rd_err version_join(struct version *into, const struct version *from);

/* The entry of `incarnation` with the highest epoch, or NULL. Borrowed until the next change. */
const struct version_entry *version_newest_epoch(const struct version *version,
                                                 uint64_t incarnation);

/* An upper bound of the bytes that version_write takes. */
size_t version_write_max(const struct version *version);

/* Writes the canonical encoding (equal vectors give equal bytes) at `at`, which has room for
 * version_write_max bytes, and returns how many bytes it took. */
size_t version_write(const struct version *version, uint8_t *at);

/* Writes one dot at `at`, which has room for DOT_MAX_BYTES, and returns how many bytes it took. */
size_t dot_write(const struct dot *dot, uint8_t *at);

/* Reads one dot at *at and moves *at behind it. Error: RD_EPROTO (cut off, not canonical, counter 0
 * or above VERSION_MAX_COUNTER), *at unchanged. */
enum rd_err dot_read(const uint8_t *bytes, size_t len, size_t *at, struct dot *out);

/* Appends what version_write writes. Error: RD_ENOMEM. */
enum rd_err version_encode(const struct version *version, struct buf *out);

/* Reads one encoded vector from the start of `bytes` into `*out` (overwritten) and says how many
 * bytes it took. Only canonical bytes are accepted. Errors: RD_EPROTO, RD_ETOOBIG, RD_ENOMEM. */
enum rd_err version_decode(const uint8_t *bytes, size_t len, struct version *out, size_t *taken);

/* Asserts the invariants: sorted, unique, no zero counters. */
void version_check(const struct version *version);

#endif
