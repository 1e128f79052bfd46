/* No dot ever carries two values: watched while the world runs, on every row that a node stores.
 *
 * A dot is a name of one write under one key. If it is ever given to two, one of them vanishes
 * wherever the other is known. */
#ifndef RD_SIM_CHECK_DOTS_H
#define RD_SIM_CHECK_DOTS_H

#include "base/buf.h"
#include "replication/effects.h"

struct dots; /* every dot seen so far, and what it carries */

/* Starts with none. Free with dots_free. */
struct dots *dots_new(void);

/* Frees and nulls. */
void dots_free(struct dots **dots);

/* Looks at a row that is being stored (an EFF_STORE_PUT; other rows than objects and hints are ignored).
 * Appends a sentence to `violation` if a dot in it carried something else before. */
void dots_see(struct dots *dots, const struct effect *put, struct buf *violation);

/* How many different dots were seen. */
size_t dots_count(const struct dots *dots);

#endif
