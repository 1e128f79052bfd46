/* Members: who is known, a map from node id to entry (Dynamo 4.8).
 *
 * An entry is written only by the node it describes, with (generation, version), and merged by the
 * higher: a CRDT that gossip spreads in any order. What is local (links, who is up) is not here.
 * Members are named inside a process by an index that never changes; index 0 is the node itself.
 */
#ifndef RD_REPLICATION_MEMBER_H
#define RD_REPLICATION_MEMBER_H

#include "base/buf.h"
#include "base/err.h"
#include "replication/node_conf.h"
#include "replication/node_id.h"
#include "resp/slice.h"

#define MEMBER_SELF 0
#define MEMBER_NONE UINT16_MAX
#define MEMBER_MASKED_KEY_BYTES 16

struct member {
    struct node_id id;
    uint64_t generation;         /* grows with each process start; 0: nothing but the id is known */
    uint64_t version;            /* grows with each change within a generation */
    struct node_address address; /* for clients */
    uint16_t cluster_port;       /* for peers, on the same host */
    uint32_t vnodes;
    char zone[RING_ZONE_BYTES];
    uint8_t masked_key
        [MEMBER_MASKED_KEY_BYTES]; /* the seal key it would bring to a new cluster, masked by the secret */
    bool synced; /* of one that took another's places: it has all that belongs there */
    bool
        came; /* it took another's places: not part of the entry, but known from the cluster's records */
};

struct members {
    struct member *items; /* owned, by index */
    uint64_t *marks;      /* owned, by index: the first bytes of each id, for members_find */
    uint16_t count;
    uint16_t cap;
};

/* True if it took another's places and does not yet have what belongs there: it counts neither for R nor for W as a home. */
bool member_is_filling(const struct member *member);

/* Frees all; empty and usable again. */
void members_free(struct members *members);

/* The index of `id`, or MEMBER_NONE. */
uint16_t members_find(const struct members *members, const struct node_id *id);

/* The index of `id`, added with nothing else known if it is new. Errors: RD_ENOMEM, RD_ETOOBIG
 * (RING_MAX_MEMBERS). */
enum rd_err members_add(struct members *members, const struct node_id *id, uint16_t *out);

/* A hash over all entries' (id, generation, version): equal means that there is nothing to
 * gossip. */
uint64_t members_hash(const struct members *members);

/* Appends the lines (id, generation, version) of all members. Error: RD_ENOMEM. */
enum rd_err members_digest(const struct members *members, struct buf *out);

/* Compares with a peer's digest lines: appends to `entries` those entries of which it has less,
 * to `wanted` the ids of which it has more. Errors: RD_EPROTO, RD_ENOMEM. */
enum rd_err members_compare(const struct members *members, struct resp_slice lines,
                            struct buf *entries, struct buf *wanted);

/* Appends all known entries. Error: RD_ENOMEM. */
enum rd_err members_encode_all(const struct members *members, struct buf *out);

/* Appends the entries of the packed ids in `wanted` (unknown ones are skipped). Errors:
 * RD_EPROTO, RD_ENOMEM. */
enum rd_err members_encode_wanted(const struct members *members, struct resp_slice wanted,
                                  struct buf *out);

/* Merges packed entries: those that are newer replace, except the node's own (index 0). `accept`
 * says of an unknown id whether it may be added. `changed` counts entries added or replaced. An
 * own entry from an earlier life with a higher generation raises ours above it. Errors:
 * RD_EPROTO (nothing changed), RD_ENOMEM, RD_ETOOBIG. */
enum rd_err members_merge(struct members *members, struct resp_slice entries,
                          bool (*accept)(void *arg, const struct node_id *id), void *arg,
                          uint32_t *changed);

/* Unpacks `entries` into `*out` (overwritten), in their order, which must be that of ids. Free
 * with members_free. Errors: RD_EPROTO, RD_ETOOBIG, RD_ENOMEM. */
enum rd_err members_unpack(struct resp_slice entries, struct members *out);

/* Appends the packed entry of one member. Error: RD_ENOMEM. */
enum rd_err members_encode_one(const struct member *member, struct buf *out);

#endif
