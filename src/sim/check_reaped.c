/* What was deleted or has expired leaves no row, and vectors stay small: when all is well and replicas agree, the reaper brings that
 * about by itself, within bounded time. Looks into the stores. */
#include "replication/shrink.h"
#include "sim/judge.h"
#include "sim/mem.h"
#include "sim/stored.h"
#include "sim/workload.h"

#define SECOND_US UINT64_C(1000000)
#define REAP_US (180 * SECOND_US)
#define IDLE_US (120 * SECOND_US)
#define LONG_MS UINT64_C(1000000000000) /* nothing is reaped any more */

static void set_grace(struct world *world, uint64_t grace_ms) {
    for (uint32_t i = 0; i < world_nodes(world); i++) {
        node_set_tombstone_grace(world_node(world, i), grace_ms);
    }
}

/* By the clock that is furthest behind: what lies in its future is not due yet. */
static uint64_t earliest_ms(struct world *world) {
    uint64_t earliest = UINT64_MAX;
    for (uint32_t i = 0; i < world_nodes(world); i++) {
        uint64_t wall_ms = world_instant(world, i).wall_us / 1000;
        earliest = wall_ms < earliest ? wall_ms : earliest;
    }
    return earliest;
}

/* What should not be there of a key; NULL: nothing. A copy that is damaged is in the way of all. */
static const char *left_of(struct world *world, const struct plan *plan, const struct blob *key,
                           uint64_t before_ms) {
    struct stored_copy copies[JUDGE_MAX_N];
    size_t count = stored_copies(world, key, copies, JUDGE_MAX_N);
    const char *left = NULL;
    bool damaged = false;
    for (size_t i = 0; i < count; i++) {
        damaged |= copies[i].state == STORED_DAMAGED;
    }
    for (size_t i = 0; i < count && !damaged; i++) {
        const struct object *object = &copies[i].object;
        uint64_t gone_ms = shrink_gone_ms(object);
        uint64_t due_ms = shrink_due_ms(object, plan->world.node.n);
        if (gone_ms != 0 && gone_ms <= before_ms) {
            left = object->count == 0 ? "a tombstone" : "what has expired";
        } else if (due_ms != 0 && due_ms <= before_ms) {
            left = "a vector with entries of no use";
        }
    }
    for (size_t i = 0; i < count; i++) {
        object_free(&copies[i].object);
    }
    return left;
}

static const char *first_left(struct world *world, const struct plan *plan, uint64_t before_ms,
                              uint32_t *number) {
    const char *left = NULL;
    for (uint32_t k = 0; k < plan->keys && left == NULL; k++) {
        struct blob *key = workload_key(k);
        left = left_of(world, plan, key, before_ms);
        *number = k;
        blob_unref(key);
    }
    return left;
}

/* Rounds that are under way end, and no other begins. */
static void rest(struct world *world) {
    uint64_t until_us = world_now_us(world) + IDLE_US;
    bool idle = false;
    set_grace(world, LONG_MS);
    while (!idle && world_now_us(world) < until_us) {
        world_elapse(world, SECOND_US);
        idle = true;
        for (uint32_t i = 0; i < world_nodes(world); i++) {
            idle = idle && node_background_idle(world_node(world, i));
        }
    }
}

void check_reaped(struct world *world, const struct plan *plan, struct buf *violation) {
    uint64_t before_ms = earliest_ms(world), until_us = world_now_us(world) + REAP_US;
    uint32_t number = 0;
    const char *left;
    if (buf_len(violation) > 0) {
        return;
    }
    set_grace(world, 0);
    while ((left = first_left(world, plan, before_ms, &number)) != NULL &&
           world_now_us(world) < until_us) {
        world_elapse(world, SECOND_US);
    }
    if (left != NULL) {
        mem_printf(violation, "left: %s of key %u, though the reaper has had its time", left,
                   number);
    }
    rest(world);
}
