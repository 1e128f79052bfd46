/* Allocations that fail inside a node's steps. See node_rig_oom.h. */
#include "tests/lib/node_rig_oom.h"

#include "tests/lib/oom.h"

static void begin_step(void *arg) {
    struct oom_steps *oom = arg;
    oom->before = oom_count();
    if (oom->left > 0 && oom->lasting)
        oom_fail_from((unsigned)oom->left);
    else if (oom->left > 0)
        oom_fail_at((unsigned)oom->left);
}

static void end_step(void *arg) {
    struct oom_steps *oom = arg;
    unsigned long made = oom_count() - oom->before;
    if (oom_stop()) {
        oom->fired = true;
        oom->left = 0;
    } else if (oom->left > 0) {
        oom->left = oom->left > made ? oom->left - made : 1;
    }
}

void oom_steps_watch(struct oom_steps *oom, struct rig *rig) {
    rig->before_step = begin_step;
    rig->after_step = end_step;
    rig->arg = oom;
}
