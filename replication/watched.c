/* Keys under watch. See watched.h.
 *
 * Invariants: an entry is in the bucket of its key's hash, each key at most once; count is how many there are. */
#include "replication/watched.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

static uint64_t bucket_of(struct resp_slice key) {
    return hash_xxh64(key.data, key.len, 3) % WATCHED_BUCKETS;
}

static struct resp_slice text_of(const struct blob *key) {
    return (struct resp_slice){key->bytes, key->len};
}

struct watched_key *watched_find(const struct watched *watched, struct resp_slice key) {
    if (watched->count == 0)
        return NULL;
    struct watched_key *at = watched->buckets[bucket_of(key)];
    while (at != NULL && (at->key->len != key.len ||
                          (key.len > 0 && memcmp(at->key->bytes, key.data, key.len) != 0)))
        at = at->next;
    return at;
}

bool watched_add(struct watched *watched, struct watched_key *entry) {
    assert(!entry->in_use);
    if (watched_find(watched, text_of(entry->key)) != NULL)
        return false;
    struct watched_key **bucket = &watched->buckets[bucket_of(text_of(entry->key))];
    entry->next = *bucket;
    entry->in_use = true;
    entry->touched = false;
    *bucket = entry;
    watched->count++;
    return true;
}

void watched_remove(struct watched *watched, struct watched_key *entry) {
    if (!entry->in_use)
        return;
    struct watched_key **at = &watched->buckets[bucket_of(text_of(entry->key))];
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    entry->in_use = false;
    watched->count--;
}

void watched_touch(struct watched *watched, const struct blob *key) {
    struct watched_key *entry = watched_find(watched, text_of(key));
    if (entry != NULL)
        entry->touched = true;
}

void watched_check(const struct watched *watched) {
    uint64_t count = 0;
    for (uint64_t i = 0; i < WATCHED_BUCKETS; i++)
        for (const struct watched_key *at = watched->buckets[i]; at != NULL; at = at->next) {
            assert(at->in_use && bucket_of(text_of(at->key)) == i);
            count++;
        }
    assert(count == watched->count);
}
