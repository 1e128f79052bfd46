/* Rows as both engines see them: their order, and the checksum that guards them. */
#ifndef RD_STORE_ROW_H
#define RD_STORE_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/blob.h"
#include "store/types.h"

/* What a row holds beside its key. */
struct row_value {
    struct blob *value;
    uint64_t digest; /* objects; else 0 */
    uint64_t due_ms; /* objects; else 0; at most INT64_MAX */
    bool live;       /* objects; else false */
};

/* A place in the order of due rows. */
struct store_due {
    uint64_t due_ms;
    struct store_key at;
};

/* The order of (space, slot, key, sub), bytes compared as unsigned, a prefix before what it begins: negative, 0 or positive,
 * as memcmp. */
int row_compare(const struct store_key *a, const struct store_key *b);

/* Are they the address of one row? */
bool row_same(const struct store_key *a, const struct store_key *b);

/* A hash of the address, the same on every machine: the leaves of Merkle trees rest on it. */
uint64_t row_hash(const struct store_key *at);

/* A checksum of all that the row holds, its key and space included, so that a row served for another one is found too.
 * The same on every machine. `value->value` must not be NULL. */
uint64_t row_checksum(const struct store_key *at, const struct row_value *value);

#endif
