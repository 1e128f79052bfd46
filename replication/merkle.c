/* Merkle trees: see merkle.h. Invariant: a known inner node has only known children below it, so that forgetting goes upwards until
 * it meets a node that is forgotten already. */
#include "replication/merkle.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum rd_err merkle_init(struct merkle *tree, uint32_t leaf_count) {
    struct merkle made = {.levels = 1};
    assert(leaf_count >= 1 && leaf_count <= MERKLE_MAX_LEAVES);
    uint32_t total = leaf_count;
    made.width[0] = leaf_count;
    while (made.width[made.levels - 1] > 1) {
        uint8_t level = made.levels++;
        made.first[level] = total;
        made.width[level] = (made.width[level - 1] + MERKLE_FANOUT - 1) / MERKLE_FANOUT;
        total += made.width[level];
    }
    made.nodes = calloc(total, sizeof *made.nodes);
    made.known = calloc(total, sizeof *made.known);
    if (made.nodes == NULL || made.known == NULL) {
        merkle_free(&made);
        return RD_ENOMEM;
    }
    memset(made.known, true, leaf_count * sizeof *made.known);
    *tree = made;
    return RD_OK;
}

void merkle_free(struct merkle *tree) {
    free(tree->nodes);
    free(tree->known);
    *tree = (struct merkle){0};
}

static void forget_above(struct merkle *tree, uint32_t leaf) {
    uint32_t index = leaf;
    for (uint8_t level = 1; level < tree->levels; level++) {
        index /= MERKLE_FANOUT;
        bool *known = &tree->known[tree->first[level] + index];
        if (!*known)
            return;
        *known = false;
    }
}

/* Most leaves are what they were: whole runs of siblings are compared at once. */
void merkle_load(struct merkle *tree, const uint64_t *leaves) {
    uint32_t count = tree->width[0];
    for (uint32_t i = 0; i < count; i += MERKLE_FANOUT) {
        size_t run = (count - i < MERKLE_FANOUT ? count - i : MERKLE_FANOUT) * sizeof *leaves;
        if (memcmp(tree->nodes + i, leaves + i, run) == 0)
            continue;
        memcpy(tree->nodes + i, leaves + i, run);
        forget_above(tree, i);
    }
}

uint32_t merkle_children(const struct merkle *tree, uint8_t level, uint32_t index,
                         uint32_t *first) {
    assert(level > 0 && level < tree->levels && index < tree->width[level]);
    *first = index * MERKLE_FANOUT;
    uint32_t left = tree->width[level - 1] - *first;
    return left < MERKLE_FANOUT ? left : MERKLE_FANOUT;
}

uint64_t merkle_hash(struct merkle *tree, uint8_t level, uint32_t index) {
    assert(level < tree->levels && index < tree->width[level]);
    uint32_t at = tree->first[level] + index;
    if (tree->known[at])
        return tree->nodes[at];
    uint64_t below[MERKLE_FANOUT];
    uint32_t first, count = merkle_children(tree, level, index, &first);
    uint64_t any = 0;
    for (uint32_t i = 0; i < count; i++) {
        below[i] = merkle_hash(tree, (uint8_t)(level - 1), first + i);
        any |= below[i];
    }
    tree->nodes[at] = any == 0 ? 0 : hash_xxh64(below, count * sizeof *below, level);
    tree->known[at] = true;
    tree->hashed++;
    return tree->nodes[at];
}

uint64_t merkle_root(struct merkle *tree) {
    return merkle_hash(tree, (uint8_t)(tree->levels - 1), 0);
}
