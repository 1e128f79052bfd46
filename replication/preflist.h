/* Preference lists (Dynamo 4.3): for each partition its N home nodes, and everybody else in order
 * as fallbacks.
 *
 * The walk goes clockwise from the partition's position (partition * 2^64 / partitions): distinct
 * nodes, distinct zones first (an empty zone is a zone of its own), nobody beyond 1.07 x its fair
 * share of home places (by vnodes, as far as the zone rule allows; bounded load, Mirrokni et al.
 * 2016), unless the zone rule or too few members leave no other choice. Only if fewer zones than N
 * exist is a zone used twice. Of its homes one is put first so that nobody leads many more
 * partitions than its share. A pure function of members, N and the number of partitions: every node
 * computes the same table.
 */
#ifndef RD_REPLICATION_PREFLIST_H
#define RD_REPLICATION_PREFLIST_H

#include "replication/ring.h"

#define PREFLIST_MAX_N 16

struct preflist; /* the table of all partitions; opaque */

/* Computes the table. `partitions` is a power of two, 1..16384; `n` 1..PREFLIST_MAX_N, capped at
 * the number of members. Borrows the ring for the table's lifetime. Free with preflist_free.
 * Errors: RD_ENOMEM, RD_ECONF. */
enum rd_err preflist_new(const struct ring *ring, uint32_t partitions, uint32_t n,
                         struct preflist **out);

/* Frees and nulls. */
void preflist_free(struct preflist **preflist);

/* How many homes each partition has: n, or the number of members if that is less. */
uint32_t preflist_n(const struct preflist *preflist);

/* The homes of `partition`, preflist_n of them, as indices into ring_members, most preferred first.
 * Borrowed. */
const uint16_t *preflist_homes(const struct preflist *preflist, uint16_t partition);

/* Writes up to `max` fallbacks of `partition` to `out`, in order of preference, and returns how
 * many: the members that are not homes, as the walk meets them behind the last home. With many
 * vnodes each partition meets others first, so that a dead node's load scatters. Computed anew by
 * each call. */
size_t preflist_fallbacks(const struct preflist *preflist, uint16_t partition, uint16_t *out,
                          size_t max);

/* Asserts the invariants: the homes of each partition are distinct members, in as many zones as can
 * be. */
void preflist_check(const struct preflist *preflist);

#endif
