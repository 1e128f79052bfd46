/* Merkle trees (Dynamo 4.7): a value over the leaves of one partition.
 *
 * A leaf is the order-free sum of the rows of one bucket of keys, kept by the store with each commit. An inner node is the hash of
 * up to MERKLE_FANOUT children; it is worked out when somebody asks for it and forgotten when a leaf below it changes. Level 0 are the
 * leaves, the highest level is the root alone. A part without rows hashes to 0 at every level, so that two empty parts are equal
 * whatever their size.
 */
#ifndef RD_REPLICATION_MERKLE_H
#define RD_REPLICATION_MERKLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define MERKLE_FANOUT 16
#define MERKLE_MAX_LEVELS 6       /* 16^5 leaves and the root */
#define MERKLE_MAX_LEAVES 1048576 /* 16^5 */

struct merkle {
    uint64_t *nodes;                   /* owned: all levels, the leaves first */
    bool *known;                       /* owned: by node; leaves always are */
    uint32_t first[MERKLE_MAX_LEVELS]; /* where each level begins */
    uint32_t width[MERKLE_MAX_LEVELS]; /* nodes of each level */
    uint8_t levels;                    /* at least 1 */
    uint64_t hashed;                   /* inner nodes worked out so far */
};

/* Makes a tree of `leaf_count` (1..MERKLE_MAX_LEAVES) empty leaves. Error: RD_ENOMEM. Free with merkle_free. */
enum rd_err merkle_init(struct merkle *tree, uint32_t leaf_count);

/* Frees all; zeroed again. */
void merkle_free(struct merkle *tree);

/* Takes new values for all leaves; what hangs on those that changed is forgotten. */
void merkle_load(struct merkle *tree, const uint64_t *leaves);

/* The hash of a node; asserts that there is one. */
uint64_t merkle_hash(struct merkle *tree, uint8_t level, uint32_t index);

/* The hash of the root. */
uint64_t merkle_root(struct merkle *tree);

/* The children of a node of a level above 0: *first on the level below, and how many. */
uint32_t merkle_children(const struct merkle *tree, uint8_t level, uint32_t index, uint32_t *first);

#endif
