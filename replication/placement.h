/* Placement: the ring and the preference lists of the members in force, in terms of member
 * indexes. */
#ifndef RD_REPLICATION_PLACEMENT_H
#define RD_REPLICATION_PLACEMENT_H

#include "replication/member.h"
#include "replication/node_conf.h"
#include "replication/preflist.h"
#include "replication/successors.h"

struct placement {
    struct ring *ring;
    struct preflist *preflist;
    uint16_t *to_member; /* owned: index in the ring -> index in the member map */
    size_t count;        /* members in the ring */
    uint32_t owned;      /* partitions whose homes include the node itself */
    uint32_t *homes_of;  /* owned: index in the ring -> partitions it is a home of */
};

/* Frees all; zeroed again. */
void placement_free(struct placement *placement);

/* True if there is one. */
bool placement_is_known(const struct placement *placement);

/* Computes the placement of the places in `layout` (ids, vnodes and zones count), each held by whom `successors` says, naming members
 * by their indexes in `known`, which has all holders. Replaces `*placement`, which stays as it
 * was on error. Errors: RD_ENOMEM, RD_ECONF, RD_ENOTFOUND. */
enum rd_err placement_compute(struct placement *placement, const struct node_conf *conf,
                              const struct members *layout, const struct successors *successors,
                              const struct members *known);

/* Writes the member indexes of the homes of `partition` to `out` (room for PREFLIST_MAX_N) and
 * returns how many. */
size_t placement_homes(const struct placement *placement, uint16_t partition, uint16_t *out);

/* The same for homes, then fallbacks, up to `max` in all. */
size_t placement_list(const struct placement *placement, uint16_t partition, uint16_t *out,
                      size_t max);

/* True if the node itself is a home of `partition`. */
bool placement_is_home(const struct placement *placement, uint16_t partition);

/* The partitions that member `index` is a home of. */
uint32_t placement_homes_of(const struct placement *placement, uint16_t index);

#endif
