/* Preference lists (Dynamo 4.3): for each partition its N home nodes, and everybody else in order as fallbacks.
 *
 * The walk goes clockwise from the partition's position (partition * 2^64 / partitions): distinct nodes, distinct zones
 * first (an empty zone is a zone of its own), nobody beyond 1.05 x its fair share (by vnodes) of home places (bounded load, Mirrokni et al.
 * 2016), unless the zone rule or too few members leave no other choice. Only if fewer zones than N exist is a zone
 * used twice. A pure function of members, N and the number of partitions: every node computes the same table.
 */
#ifndef RD_REPLICATION_PREFLIST_H
#define RD_REPLICATION_PREFLIST_H

#include "replication/ring.h"

#define PREFLIST_MAX_N 16

struct preflist; /* the table of all partitions; opaque */

/* Computes the table. `partitions` is a power of two, 1..16384; `n` 1..PREFLIST_MAX_N, capped at the number of members. Borrows the ring
 * for the table's lifetime. Free with preflist_free. Errors: RD_ENOMEM, RD_ECONF. */
enum rd_err preflist_new(const struct ring *ring, uint32_t partitions, uint32_t n,
                         struct preflist **out);

/* Frees and nulls. */
void preflist_free(struct preflist **preflist);

/* How many homes each partition has: n, or the number of members if that is less. */
uint32_t preflist_n(const struct preflist *preflist);

/* The homes of `partition`, preflist_n of them, as indices into ring_members, most preferred first. Borrowed. */
const uint16_t *preflist_homes(const struct preflist *preflist, uint16_t partition);

/* Writes up to `max` fallbacks of `partition` to `out`, in order of preference, and returns how many: the members
 * that are not homes, in an order that scatters a dead node's load over many. */
size_t preflist_fallbacks(const struct preflist *preflist, uint16_t partition, uint16_t *out,
                          size_t max);

#endif
