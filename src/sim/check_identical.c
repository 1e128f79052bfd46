/* Promise 3: when faults have ended and all replicas were read, they are identical. Looks into the
 * stores. */
#include <string.h>

#include "sim/judge.h"

struct look {
    const struct blob *key;
    bool found, damaged;
    uint64_t digest;
};

static void look_at_row(void *arg, enum store_space space, const struct store_row *row) {
    struct look *look = arg;
    struct object object;
    if (space != STORE_OBJECTS || row->key_len != look->key->len ||
        memcmp(row->key, look->key->bytes, row->key_len) != 0) {
        return;
    }
    look->found = true;
    if (row->value == NULL || object_decode(row->value->bytes, row->value->len, &object) != RD_OK) {
        look->damaged = true;
        return;
    }
    look->digest = object_digest(&object);
    object_free(&object);
}

/* The machine of the member, by its id. */
static uint32_t machine_of(struct world *world, const struct node *node, uint16_t index) {
    struct member_view view;
    node_member(node, index, world_instant(world, 0), &view);
    for (uint32_t i = 0; i < world_nodes(world); i++) {
        struct node_id id = node_self(world_node(world, i));
        if (node_id_compare(&id, &view.id) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

void check_identical(struct judge *judge, struct world *world, const struct judged_key *key) {
    const struct node *node = world_node(world, 0);
    uint16_t list[RING_MAX_MEMBERS];
    size_t homes = 0;
    uint16_t partition =
        slot_partition(node_slot(node, key->key->bytes, key->key->len), node_partitions(node));
    node_preflist(node, partition, list, RING_MAX_MEMBERS, &homes);
    struct look first = {0};
    for (size_t i = 0; i < homes; i++) {
        uint32_t machine = machine_of(world, node, list[i]);
        if (machine == UINT32_MAX) {
            judge_violated(judge, "stranger: a home of %.*s is none of the machines",
                           (int)key->key->len, (const char *)key->key->bytes);
            return;
        }
        struct look look = {.key = key->key};
        store_mem_each(world_disk(world, machine)->store, look_at_row, &look);
        if (i == 0) {
            first = look;
        }
        if (look.damaged || look.found != first.found || look.digest != first.digest) {
            judge_violated(judge, "different: the homes of %.*s do not hold the same object (n%u)",
                           (int)key->key->len, (const char *)key->key->bytes, machine + 1);
            return;
        }
    }
}
