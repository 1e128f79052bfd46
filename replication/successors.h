/* Who has taken whose place: permanent records of pairs (a node that is gone, the node that came back empty at its address).
 *
 * A place in the ring belongs to an id of the birth certificate and never moves; what changes is who holds it. Records are never taken
 * back: the set only grows, is merged by union, and so is the same everywhere in the end, whatever the order. A node that took a place
 * may be gone in its turn. If two claim one place, which takes two machines at one address on two sides of a cut, the lower id has it;
 * the other holds nothing. A node takes one place only: of several records that name it, the first one counts.
 */
#ifndef RD_REPLICATION_SUCCESSORS_H
#define RD_REPLICATION_SUCCESSORS_H

#include "base/buf.h"
#include "base/err.h"
#include "replication/node_id.h"
#include "replication/ring.h"
#include "resp/slice.h"

#include <stdbool.h>
#include <stddef.h>

#define SUCCESSORS_MAX (4 * RING_MAX_MEMBERS) /* records of one cluster */

struct succession {
    struct node_id gone, by;
};

struct successors {           /* zeroed: nobody is gone */
    struct succession *items; /* owned; sorted, each once */
    size_t count, cap;
};

/* Frees all; zeroed again. */
void successors_free(struct successors *all);

/* True if a record says that `id` is gone: somebody else has its place, whoever comes with its data. */
bool successors_is_gone(const struct successors *all, const struct node_id *id);

/* True if a record names `id` as one that took a place. */
bool successors_has_come(const struct successors *all, const struct node_id *id);

/* Who holds the place of `id` now, which may be `id` itself. */
struct node_id successors_holder(const struct successors *all, const struct node_id *id);

/* Adds a record. Says in `*changed` whether it is new. Errors: RD_ENOMEM, RD_ETOOBIG, RD_EREFUSED (both are one node); then nothing
 * has changed. */
enum rd_err successors_add(struct successors *all, const struct node_id *gone,
                           const struct node_id *by, bool *changed);

/* Appends all records, packed. Error: RD_ENOMEM. */
enum rd_err successors_pack(const struct successors *all, struct buf *out);

/* Adds packed records; `*changed`: some were new. `*whole`: they were all that are known now. Errors: RD_EPROTO (nothing changed),
 * RD_ENOMEM, RD_ETOOBIG. */
enum rd_err successors_merge(struct successors *all, struct resp_slice packed, bool *changed,
                             bool *whole);

#endif
