/* A hint: what this node keeps of a key for homes that missed it (Dynamo 4.6).
 *
 * One row per key: the merged object, and what is owed with it, to whom. It lies apart from the
 * node's own objects, is delivered by merge, and goes when nobody is owed it any more.
 */
#ifndef RD_REPLICATION_HINT_H
#define RD_REPLICATION_HINT_H

#include "replication/node_id.h"
#include "replication/object.h"
#include "replication/preflist.h"

#define HINT_MAX_TARGETS PREFLIST_MAX_N

/* What is owed with the object of a hint. A zeroed struct owes nothing to anybody. */
struct hint_owed {
    struct node_id targets[HINT_MAX_TARGETS]; /* sorted, each once */
    uint8_t count;
    bool must;        /* an acknowledgement rested on it: it is never dropped */
    uint64_t born_ms; /* wall clock, when the first of it came; 0: not yet */
    bool has_own;     /* this node has issued dots that this row remembers... */
    struct actor own; /* ...as this actor, and may go on as it while the row lives */
};

/* True if `id` is owed it. */
bool hint_owes(const struct hint_owed *owed, const struct node_id *id);

/* Adds a target; one that is there already stays. Error: RD_ETOOBIG, nothing changed. */
enum rd_err hint_owe(struct hint_owed *owed, const struct node_id *id);

/* Takes a target off; says whether it was there. */
bool hint_strike(struct hint_owed *owed, const struct node_id *id);

/* Joins `from` into `into`: all targets, `must` if either says so, the earlier birth; `into` keeps
 * its own actor. Error: RD_ETOOBIG, nothing changed. */
enum rd_err hint_join(struct hint_owed *into, const struct hint_owed *from);

/* True if both owe the same in the same way; births may differ. */
bool hint_same(const struct hint_owed *a, const struct hint_owed *b);

/* Writes `count` packed ids, as they stand in frames, to `owed->targets` of a zeroed `owed`.
 * Errors: RD_EPROTO (no whole ids, not ascending), RD_ETOOBIG. */
enum rd_err hint_unpack(const uint8_t *bytes, size_t len, struct hint_owed *owed);

/* Appends a row: a format byte, what is owed, the object's own encoding. Error: RD_ENOMEM. */
enum rd_err hint_encode(const struct hint_owed *owed, const struct object *object, struct buf *out);

/* Decodes all of a row into `*owed` and `*object` (both overwritten). Only canonical bytes are
 * accepted. Errors: RD_EPROTO, RD_ECORRUPT, RD_ETOOBIG, RD_ENOMEM; then nothing is owned. */
enum rd_err hint_decode(const void *bytes, size_t len, struct hint_owed *owed,
                        struct object *object);

/* Asserts the invariants: sorted, each once. */
void hint_check(const struct hint_owed *owed);

#endif
