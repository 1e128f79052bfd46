/* sim/stored: see stored.h. */
#include "sim/stored.h"

#include <string.h>

#include "replication/slot.h"
#include "sim/mem.h"

struct look {
    const struct blob *key;
    struct stored_copy *copy;
};

static void look_at_row(void *arg, enum store_space space, const struct store_row *row) {
    struct look *look = arg;
    if (space != STORE_OBJECTS || row->key_len != look->key->len ||
        memcmp(row->key, look->key->bytes, row->key_len) != 0) {
        return;
    }
    bool reads = row->value != NULL &&
                 object_decode(row->value->bytes, row->value->len, &look->copy->object) == RD_OK;
    look->copy->state = reads ? STORED_OBJECT : STORED_DAMAGED;
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

size_t stored_copies(struct world *world, const struct blob *key, struct stored_copy *out,
                     size_t max) {
    const struct node *node = world_node(world, 0);
    uint16_t list[RING_MAX_MEMBERS];
    size_t homes = 0;
    uint16_t partition =
        slot_partition(node_slot(node, key->bytes, key->len), node_partitions(node));
    node_preflist(node, partition, list, RING_MAX_MEMBERS, &homes);
    for (size_t i = 0; i < homes && i < max; i++) {
        out[i] = (struct stored_copy){.machine = machine_of(world, node, list[i])};
        struct look look = {key, &out[i]};
        if (out[i].machine != UINT32_MAX) {
            store_mem_each(world_disk(world, out[i].machine)->store, look_at_row, &look);
        }
    }
    return homes < max ? homes : max;
}
