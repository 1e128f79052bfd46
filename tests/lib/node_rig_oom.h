/* Makes an allocation fail inside the steps of the node on a rig, and nowhere else: not in the rig, not in the test.
 *
 * For programs that are linked with $(OOM_LDFLAGS). One life of the node for each allocation of its steps:
 *
 *     struct oom_steps oom = {0};
 *     for (unsigned long n = 1; n == 1 || oom.fired; n++) {
 *         oom = (struct oom_steps){.left = n};
 *         ... start the rig, oom_steps_watch(&oom, &rig), live, reset the rig
 *     }
 */
#ifndef RD_TESTS_NODE_RIG_OOM_H
#define RD_TESTS_NODE_RIG_OOM_H

#include <stdbool.h>

#include "tests/lib/node_rig.h"

struct oom_steps {
    unsigned long left; /* allocations in steps until one fails; 0: none will */
    bool lasting;       /* all behind it in the same step fail too */
    bool fired;         /* it has failed */
    unsigned long before;
};

/* From now on the allocations of the rig's steps count. Borrows `oom` until the rig is reset. */
void oom_steps_watch(struct oom_steps *oom, struct rig *rig);

#endif
