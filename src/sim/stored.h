/* What the stores of a key's homes hold, read behind the nodes' backs: for checkers. */
#ifndef RD_SIM_STORED_H
#define RD_SIM_STORED_H

#include "sim/world.h"

enum stored_state { STORED_NOTHING, STORED_OBJECT, STORED_DAMAGED };

struct stored_copy {
    uint32_t machine; /* UINT32_MAX: the home is none of the machines */
    enum stored_state state;
    struct object object; /* owned; of a STORED_OBJECT */
};

/* Writes the copies of the key at its homes, as machine 0 (which must run, as must all others)
 * places them; returns how many, at most `max`. Free each object with object_free. */
size_t stored_copies(struct world *world, const struct blob *key, struct stored_copy *out,
                     size_t max);

#endif
