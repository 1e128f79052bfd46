/* The cluster as cluster-aware clients want to see it: members, and runs of slots that the same nodes hold.
 *
 * Computed from the node's members and preference lists when one of them has changed since the last look; replies that
 * are long can be kept here until then.
 */
#ifndef RD_SERVER_TOPOLOGY_H
#define RD_SERVER_TOPOLOGY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "replication/node.h"
#include "replication/preflist.h"

/* Slots whose home nodes are the same in the same order: the first healthy home first, then as preferred. */
struct topology_range {
    uint16_t first_slot, last_slot;
    uint16_t node_count;
    uint16_t nodes[PREFLIST_MAX_N]; /* indices of topology_member */
    uint32_t shard; /* ranges of the same nodes in the same order share a number, 0.. */
};

enum topology_reply { TOPOLOGY_SLOTS, TOPOLOGY_SHARDS, TOPOLOGY_REPLIES };

struct topology; /* opaque */

/* Makes an empty topology. Error: RD_ENOMEM. Free with topology_free. */
enum rd_err topology_new(struct topology **out);

/* Frees and nulls. */
void topology_free(struct topology **topology);

/* Looks at `node` and computes what has changed. Error: RD_ENOMEM, as it was before. */
enum rd_err topology_update(struct topology *topology, const struct node *node, struct instant now);

/* The members in order of id, as of the last update. Borrowed until the next. */
const struct member_view *topology_members(const struct topology *topology, size_t *count);

/* The ranges in order of slot, as of the last update. Borrowed until the next. */
const struct topology_range *topology_ranges(const struct topology *topology, size_t *count);

/* How many shards there are. */
uint32_t topology_shards(const struct topology *topology);

/* A place to keep an encoded reply in `proto` (2 or 3); empty after every change. Borrowed. */
struct buf *topology_kept(struct topology *topology, enum topology_reply which, int proto);

#endif
