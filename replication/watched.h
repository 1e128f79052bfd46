/* Keys under watch: those that a reaper has asked about (reap.h), and whether anything has been done with them since.
 *
 * Whatever may send an older state of a key to somebody, or changes a copy of it, touches the key first; reading alone does not. No
 * function allocates: entries are the caller's, chained by hash.
 */
#ifndef RD_REPLICATION_WATCHED_H
#define RD_REPLICATION_WATCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/blob.h"
#include "resp/slice.h"

#define WATCHED_BUCKETS 1024 /* a power of two */

struct watched_key {
    struct watched_key *next; /* of the bucket */
    struct blob *key;         /* the caller's reference */
    bool in_use;              /* it is in the table */
    bool touched;             /* since it was added */
};

/* Zeroed: no keys. */
struct watched {
    struct watched_key *buckets[WATCHED_BUCKETS];
    uint64_t count;
};

/* Adds `entry`, with its key set, untouched. False, and nothing changed: another one watches that key. Borrows it until it is
 * removed. */
bool watched_add(struct watched *watched, struct watched_key *entry);

/* Takes `entry` out if it is in. */
void watched_remove(struct watched *watched, struct watched_key *entry);

/* The entry of a key; NULL: it is not watched. */
struct watched_key *watched_find(const struct watched *watched, struct resp_slice key);

/* Something is done with the key. */
void watched_touch(struct watched *watched, const struct blob *key);

/* Asserts the invariants. */
void watched_check(const struct watched *watched);

#endif
