/* The open batch of a store: the rows put since the last commit, in memory.
 *
 * A batch owns copies of the keys and a reference to each value. batch_seal sorts it and leaves one entry per row, so that an
 * engine writes its tree from left to right and touches every row once.
 */
#ifndef RD_STORE_BATCH_H
#define RD_STORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/row.h"

struct batch_row {
    struct store_key at;  /* points into `bytes` */
    struct row_value now; /* now.value NULL: erase */
    uint64_t old_digest;
    bool was_live;
    size_t order;   /* of submission */
    uint8_t *bytes; /* owned: key, then sub; NULL if both are empty */
};

/* A zeroed batch is an empty one. */
struct batch {
    struct batch_row *rows; /* owned */
    size_t count;
    size_t cap;
    bool poisoned; /* a row could not be remembered: the batch must not be committed */
};

/* Appends a copy of `put`, whose value gets one more reference. Error: RD_ENOMEM; the batch is poisoned then. */
enum rd_err batch_put(struct batch *batch, const struct store_put *put);

/* Sorts the rows; of several puts of one row the last is left, with what the first said of the row before. */
void batch_seal(struct batch *batch);

/* Forgets all rows, keeps some memory. */
void batch_clear(struct batch *batch);

/* Frees everything; the batch is empty and usable. */
void batch_free(struct batch *batch);

#endif
