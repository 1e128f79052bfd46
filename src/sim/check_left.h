/* No lie about what is left: whatever was destroyed, a read of all replicas shows just what their
 * stores together still hold, and never calls a damaged key absent. */
#ifndef RD_SIM_CHECK_LEFT_H
#define RD_SIM_CHECK_LEFT_H

#include "sim/world.h"

struct left {
    uint32_t damaged;     /* copies that cannot be read */
    struct object merged; /* owned: what the others hold, merged */
};

/* Looks at the copies of a key before they are read. `lww`: replicas keep the newest sibling only.
 * Free with object_free(&left.merged). */
struct left left_look(struct world *world, const struct blob *key, bool lww);

/* True if no read of all replicas can succeed before somebody writes: some copies are damaged, and
 * nothing is left with which they could be repaired. */
bool left_is_unreadable(const struct left *left);

/* Appends a sentence to `violation` if `read`, a read of all replicas made after left_look while
 * nobody wrote, says anything else. */
void check_left(const struct left *left, const struct op *read, struct buf *violation);

#endif
