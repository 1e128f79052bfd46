/* Promise 6: with sloppy quorums a write with W=1 is accepted by any node that can be reached, whatever other nodes do. What became of it may
 * be unknown where a node died or was cut off in the midst of it, but no node that serves and whose disk works says that there are too few.
 * A write with a context that names what only nodes out of reach have is another matter: accepted it would stand beside what it replaces.
 */
#include "sim/judge.h"

/* True if no fault of the plan keeps a disk from taking a write in time, or takes away what a coordinator must know. */
static bool disks_work(const struct plan *plan) {
    if (plan->world.disk.stall_ppm > 0 || plan->fault_weights[FAULT_SLOW_DISK] > 0) {
        return false;
    }
    for (int i = FAULT_DISK_FULL; i < FAULT_KINDS && plan->fault_mean_us > 0; i++) {
        bool harmless = i == FAULT_CLOCK_JUMP || i == FAULT_CLOCK_BACK || i == FAULT_CLOCK_DRIFT;
        if (!harmless && plan->fault_weights[i] > 0) {
            return false;
        }
    }
    return true;
}

void check_accepted(struct judge *judge, const struct history *history) {
    const struct node_conf *conf = &judge->plan->world.node;
    bool promised = conf->sloppy_quorum && conf->hinted_handoff &&
                    conf->max_hint_bytes >= JUDGE_PLENTY && disks_work(judge->plan);
    for (size_t i = 0; promised && i < history->count; i++) {
        const struct op *op = history->ops[i];
        if (op->kind == CLIENT_WRITE && (op->w > 0 ? op->w : conf->w) == 1 && op->context == NULL &&
            op->err == RD_ENOQUORUM) {
            judge_violated(judge, "refused: request %llu, a write with W=1, found no quorum: %s",
                           (unsigned long long)op->tag, op->text);
        }
    }
}
