/* Hot objects in memory: what reads of the main table brought, until they are pushed out.
 *
 * A value in the cache is the newest committed one: the engine replaces it at each commit. Pushed out is, by a clock, what was not
 * asked for since the hand came by last. All memory that an entry takes is counted.
 */
#ifndef RD_STORE_CACHE_H
#define RD_STORE_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/err.h"
#include "store/types.h"

struct cache_entry;

struct cache {
    struct cache_entry *
        *buckets; /* owned; `cap` of them, a power of two; NULL until the first entry */
    size_t cap;
    size_t count;
    struct cache_entry *hand; /* of the ring of all entries; NULL: empty */
    uint64_t bytes;           /* of the entries and buckets */
    uint64_t limit_bytes;
    uint64_t hits;
    uint64_t misses;
    uint64_t hash_mask; /* all ones; tests narrow it so that entries collide */
};

/* Prepares an empty cache of at most `limit_bytes`; 0: it keeps nothing. */
void cache_init(struct cache *cache, uint64_t limit_bytes);

/* Frees everything. A zeroed struct is fine. */
void cache_free(struct cache *cache);

/* The value at `at`, whose row_hash is `hash`, borrowed until the next call, or NULL; counts a hit or a miss. */
struct blob *cache_get(struct cache *cache, const struct store_key *at, uint64_t hash);

/* Adds a row that is not there; keeps a reference to `value`. Without memory nothing happens. */
void cache_add(struct cache *cache, const struct store_key *at, uint64_t hash, struct blob *value);

/* The row was committed: replaces the value if the row is there; NULL: it was erased. */
void cache_update(struct cache *cache, const struct store_key *at, uint64_t hash,
                  struct blob *value);

/* Asserts the invariants. O(entries). */
void cache_check(const struct cache *cache);

#endif
