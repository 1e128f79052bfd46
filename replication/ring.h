/* The ring (Dynamo 4.2): where each member's virtual nodes stand.
 *
 * Each member has `vnodes` tokens, the first 64 bits of MD5(placement id, i), big-endian; ties go
 * to the lower placement id. The placement id is the node's own id, or the one that a replacement
 * inherited. A pure function of the members.
 */
#ifndef RD_REPLICATION_RING_H
#define RD_REPLICATION_RING_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "replication/node_id.h"

#define RING_MAX_MEMBERS 1024
#define RING_MAX_VNODES 4096
#define RING_ZONE_BYTES 64 /* with the terminating zero */

struct ring_member {
    struct node_id id;
    struct node_id placement;   /* usually equal to id */
    uint32_t vnodes;            /* 1..RING_MAX_VNODES */
    char zone[RING_ZONE_BYTES]; /* empty: a zone of its own */
};

struct ring_token {
    uint64_t position;
    uint16_t member; /* index into the members the ring was built from */
};

struct ring; /* opaque */

/* Builds the ring of `count` members (copied; any order, sorted by placement id inside, so that the same set
 * gives the same ring). Free with ring_free. Errors: RD_ENOMEM, RD_ECONF (no members, too many, bad
 * vnodes, a zone without end, an id twice). */
enum rd_err ring_new(const struct ring_member *members, size_t count, struct ring **out);

/* Frees and nulls. */
void ring_free(struct ring **ring);

/* The members, sorted by placement id; borrowed, lives as long as the ring. */
const struct ring_member *ring_members(const struct ring *ring, size_t *count);

/* The tokens, sorted by position; borrowed, lives as long as the ring. */
const struct ring_token *ring_tokens(const struct ring *ring, size_t *count);

/* The index of the first token at or clockwise after `position`. */
size_t ring_find(const struct ring *ring, uint64_t position);

/* Asserts the invariants: members sorted and distinct, tokens sorted, as many for each member as it
 * has vnodes. */
void ring_check(const struct ring *ring);

#endif
