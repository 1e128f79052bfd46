/* Promise 3 without a single read: anti-entropy makes the replicas identical, and once they are a round of it repairs nothing and moves
 * no more than the roots of the trees. Looks into the stores. */
#include "sim/judge.h"
#include "sim/mem.h"
#include "sim/stored.h"
#include "sim/workload.h"

#define SECOND_US UINT64_C(1000000)
#define AGREE_US (600 * SECOND_US) /* slow hints and the scrub of damaged rows included */
#define ROUND_US (120 * SECOND_US)
#define ROOT_BYTES 15
#define FRAME_BYTES 300 /* of both frames of an exchange that finds nothing, beside the roots */

static bool is_quiet(struct world *world) {
    for (uint32_t i = 0; i < world_nodes(world); i++) {
        struct node_stats stats;
        node_stats(world_node(world, i), &stats);
        if (!node_background_idle(world_node(world, i)) || stats.hints_pending > 0) {
            return false;
        }
    }
    return true;
}

/* Exchanges between all pairs, begun on both sides. Returns the copies that they changed; UINT64_MAX: no end of it. */
static uint64_t one_round(struct world *world) {
    struct node_stats before, after;
    uint64_t until_us = world_now_us(world) + ROUND_US;
    world_stats(world, &before);
    for (uint32_t i = 0; i < world_nodes(world); i++) {
        node_repair(world_node(world, i), UINT32_MAX);
    }
    do {
        world_elapse(world, SECOND_US / 5);
    } while (!is_quiet(world) && world_now_us(world) < until_us);
    world_stats(world, &after);
    return is_quiet(world) ? after.antientropy_keys_repaired - before.antientropy_keys_repaired
                           : UINT64_MAX;
}

/* True if all copies that can be read are the same. */
static bool agrees(struct world *world, const struct blob *key) {
    struct stored_copy copies[JUDGE_MAX_N];
    size_t count = stored_copies(world, key, copies, JUDGE_MAX_N), first = 0;
    bool same = true;
    while (first < count && copies[first].state == STORED_DAMAGED) {
        first++;
    }
    for (size_t i = first; i < count; i++) {
        same = same && (copies[i].state == STORED_DAMAGED ||
                        (copies[i].state == copies[first].state &&
                         object_equal(&copies[i].object, &copies[first].object)));
    }
    for (size_t i = 0; i < count; i++) {
        object_free(&copies[i].object);
    }
    return same;
}

static bool all_agree(struct world *world, uint32_t keys) {
    bool same = true;
    for (uint32_t k = 0; k < keys && same; k++) {
        struct blob *key = workload_key(k);
        same = agrees(world, key);
        blob_unref(key);
    }
    return same;
}

void check_antientropy(struct world *world, const struct plan *plan, struct buf *violation) {
    struct node_stats before, after;
    uint64_t until_us = world_now_us(world) + AGREE_US;
    while (one_round(world) != 0 || !all_agree(world, plan->keys)) {
        if (world_now_us(world) >= until_us) {
            mem_printf(violation,
                       "different: replicas do not agree though anti-entropy has had its time");
            return;
        }
    }
    world_stats(world, &before);
    if (one_round(world) != 0) {
        mem_printf(violation, "restless: anti-entropy repairs what was the same");
    }
    world_stats(world, &after);
    if (plan->beyond) { /* where all copies are damaged trees may differ for good */
        return;
    }
    uint64_t exchanges = after.antientropy_exchanges - before.antientropy_exchanges;
    uint64_t bytes = after.antientropy_bytes - before.antientropy_bytes;
    if (bytes > (exchanges + 1) * (plan->world.node.partitions * ROOT_BYTES + FRAME_BYTES) &&
        buf_len(violation) == 0) {
        mem_printf(violation, "wasteful: %llu bytes in %llu exchanges that found nothing",
                   (unsigned long long)bytes, (unsigned long long)exchanges);
    }
}
