/* The open batch of a store: the rows put since the last commit, in memory.
 *
 * A batch owns copies of the keys and a reference to each value. It has one entry per row, in the order in which they were first
 * put: an engine touches every row once.
 */
#ifndef RD_STORE_BATCH_H
#define RD_STORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/row.h"

struct batch_row {
    struct store_key at;  /* points into the arena */
    struct row_value now; /* now.value NULL: erase */
    uint64_t old_digest;
    uint64_t hash; /* row_hash */
    bool was_live;
};

/* A zeroed batch is an empty one. */
struct batch {
    struct batch_row *rows; /* owned */
    size_t count;
    size_t cap;
    uint32_t *places; /* owned; 2 * cap, by hash: the row's index plus 1; 0: free */
    struct arena keys;
    uint64_t ignored; /* bits of hashes that finding rows leaves out: tests make rows collide */
    bool poisoned;    /* a row could not be remembered: the batch must not be committed */
};

/* Adds a copy of `put`, whose value gets one more reference. If the row is in the batch already, it now has the new value, over what
 * the first put said of the row before. Error: RD_ENOMEM; the batch is poisoned then. */
enum rd_err batch_put(struct batch *batch, const struct store_put *put);

/* Forgets all rows, keeps some memory. */
void batch_clear(struct batch *batch);

/* Frees everything; the batch is empty and usable. */
void batch_free(struct batch *batch);

#endif
