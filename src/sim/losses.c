/* sim/losses: see losses.h. There are few in a run: a list is enough. */
#include "sim/losses.h"

#include <assert.h>
#include <stdlib.h>

#include "sim/mem.h"

void losses_free(struct losses *losses) {
    free(losses->items);
    *losses = (struct losses){0};
}

void losses_add(struct losses *losses, uint32_t key, uint32_t node, uint64_t at_us) {
    assert(node < 64);
    losses->items = mem_grow(losses->items, &losses->cap, losses->count + 1, sizeof *losses->items);
    losses->items[losses->count++] = (struct loss){key, node, at_us};
}

uint32_t losses_count(const struct losses *losses, uint32_t key, uint64_t since_us,
                      uint64_t until_us) {
    uint64_t nodes = 0;
    for (size_t i = 0; i < losses->count; i++) {
        const struct loss *loss = &losses->items[i];
        if (loss->key == key && loss->at_us >= since_us && loss->at_us <= until_us) {
            nodes |= UINT64_C(1) << loss->node;
        }
    }
    return (uint32_t)__builtin_popcountll(nodes);
}
