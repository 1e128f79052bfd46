/* What acknowledgements rest on is kept, watched while the world runs, behind the nodes' backs:
 *
 * - when a client is told that its write is done, W stores hold it: as copies of homes, or as hints
 *   of fallbacks that may stand in for them;
 * - a hint on which an acknowledgement rests is never given up for a node that does not have it;
 * - when all has healed no store has a hint left.
 *
 * What faults have destroyed, or taken away for a while, is forgiven. */
#ifndef RD_SIM_CHECK_KEPT_H
#define RD_SIM_CHECK_KEPT_H

#include "sim/faults.h"
#include "sim/plan.h"
#include "sim/world.h"

struct kept; /* what was seen so far */

struct kept_input { /* all borrowed */
    struct world *world;
    const struct plan *plan;
    const struct faults *faults; /* NULL: there are none */
};

/* Starts with nothing seen. Free with kept_free. */
struct kept *kept_new(const struct kept_input *input);

/* Frees and nulls. */
void kept_free(struct kept **kept);

/* Looks at a row that machine `node` is about to store (an EFF_STORE_PUT). Appends a sentence to `violation` (empty) if it gives up
 * a hint that must be kept. */
void kept_see(struct kept *kept, uint32_t node, const struct effect *put, struct buf *violation);

/* Looks at the answer to a request. Appends a sentence to `violation` (empty) if it acknowledges a write that too few stores hold. */
void kept_answer(struct kept *kept, const struct op *op, struct buf *violation);

/* How many rows of hints all stores hold. */
size_t kept_hints(const struct world *world);

#endif
