/* Hot objects in memory; see cache.h.
 *
 * 1. Each entry is in one bucket and in the ring; `hand` is in the ring.
 * 2. `bytes` is the sum over all entries, plus the buckets; it is at most limit_bytes after each call.
 */
#include "store/cache.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store/row.h"

#define MALLOC_BYTES 16 /* what the allocator takes for itself, at most */
#define FIRST_BUCKETS 256

struct cache_entry {
    struct cache_entry *bucket_next;
    struct cache_entry *next, *previous; /* the ring */
    uint64_t hash;
    struct blob *value; /* a reference */
    uint32_t key_len, sub_len;
    uint16_t slot;
    uint8_t space;
    bool asked; /* since the hand came by */
    uint8_t bytes[];
};

void cache_init(struct cache *cache, uint64_t limit_bytes) {
    *cache = (struct cache){.limit_bytes = limit_bytes, .hash_mask = UINT64_MAX};
}

static uint64_t entry_bytes(const struct cache_entry *entry) {
    return sizeof *entry + entry->key_len + entry->sub_len + sizeof(struct blob) +
           entry->value->len + 2 * MALLOC_BYTES;
}

static bool same(const struct cache_entry *entry, const struct store_key *at) {
    struct store_key own = {.space = (enum store_space)entry->space,
                            .slot = entry->slot,
                            .key = entry->bytes,
                            .key_len = entry->key_len,
                            .sub = entry->bytes + entry->key_len,
                            .sub_len = entry->sub_len};
    return row_same(&own, at);
}

/* The link to the entry, or to the end of its bucket. */
static struct cache_entry **find(const struct cache *cache, const struct store_key *at,
                                 uint64_t hash) {
    struct cache_entry **link = &cache->buckets[hash & (cache->cap - 1)];
    while (*link != NULL && ((*link)->hash != hash || !same(*link, at))) {
        link = &(*link)->bucket_next;
    }
    return link;
}

static void remove_at(struct cache *cache, struct cache_entry **link) {
    struct cache_entry *entry = *link;
    *link = entry->bucket_next;
    if (entry->next == entry) {
        cache->hand = NULL;
    } else {
        entry->previous->next = entry->next;
        entry->next->previous = entry->previous;
        cache->hand = cache->hand == entry ? entry->next : cache->hand;
    }
    cache->bytes -= entry_bytes(entry);
    cache->count--;
    blob_unref(entry->value);
    free(entry);
}

static void remove_entry(struct cache *cache, struct cache_entry *entry) {
    struct cache_entry **link = &cache->buckets[entry->hash & (cache->cap - 1)];
    while (*link != entry) {
        link = &(*link)->bucket_next;
    }
    remove_at(cache, link);
}

/* Pushes entries out until it is within its limit. Each turn of the hand takes marks away, so it ends. */
static void make_room(struct cache *cache) {
    while (cache->bytes > cache->limit_bytes && cache->hand != NULL) {
        struct cache_entry *entry = cache->hand;
        if (entry->asked) {
            entry->asked = false;
            cache->hand = entry->next;
        } else {
            remove_entry(cache, entry);
        }
    }
}

/* More buckets, if there is memory for them; the first ones are needed. */
static bool grow(struct cache *cache) {
    size_t cap = cache->cap == 0 ? FIRST_BUCKETS : cache->cap * 2;
    struct cache_entry **buckets = calloc(cap, sizeof(struct cache_entry *));
    if (buckets == NULL) {
        return cache->cap > 0;
    }
    struct cache_entry *entry = cache->hand;
    for (size_t i = 0; i < cache->count; i++, entry = entry->next) {
        struct cache_entry **head = &buckets[entry->hash & (cap - 1)];
        entry->bucket_next = *head;
        *head = entry;
    }
    cache->bytes += (cap - cache->cap) * sizeof(struct cache_entry *);
    free(cache->buckets);
    cache->buckets = buckets;
    cache->cap = cap;
    return true;
}

struct blob *cache_get(struct cache *cache, const struct store_key *at, uint64_t hash) {
    struct cache_entry *entry =
        cache->count == 0 ? NULL : *find(cache, at, hash & cache->hash_mask);
    if (entry == NULL) {
        cache->misses++;
        return NULL;
    }
    cache->hits++;
    entry->asked = true;
    return entry->value;
}

void cache_add(struct cache *cache, const struct store_key *at, uint64_t hash, struct blob *value) {
    size_t len = at->key_len + at->sub_len;
    if (len + value->len > cache->limit_bytes / 8) {
        return; /* one giant is not worth all the others */
    }
    if (cache->count >= cache->cap && !grow(cache)) {
        return;
    }
    struct cache_entry *entry = malloc(sizeof *entry + len);
    if (entry == NULL) {
        return;
    }
    *entry = (struct cache_entry){
        .hash = hash & cache->hash_mask,
        .value = blob_ref(value),
        .key_len = (uint32_t)at->key_len,
        .sub_len = (uint32_t)at->sub_len,
        .slot = at->slot,
        .space = (uint8_t)at->space,
    };
    if (at->key_len > 0) {
        memcpy(entry->bytes, at->key, at->key_len);
    }
    if (at->sub_len > 0) {
        memcpy(entry->bytes + at->key_len, at->sub, at->sub_len);
    }
    struct cache_entry **link = find(cache, at, entry->hash);
    assert(*link == NULL);
    *link = entry;
    if (cache->hand == NULL) {
        entry->next = entry->previous = entry;
        cache->hand = entry;
    } else { /* behind the hand: the last to be looked at */
        entry->next = cache->hand;
        entry->previous = cache->hand->previous;
        entry->previous->next = entry;
        cache->hand->previous = entry;
    }
    cache->count++;
    cache->bytes += entry_bytes(entry);
    make_room(cache);
}

void cache_update(struct cache *cache, const struct store_key *at, uint64_t hash,
                  struct blob *value) {
    struct cache_entry **link = cache->count == 0 ? NULL : find(cache, at, hash & cache->hash_mask);
    if (link == NULL || *link == NULL) {
        return;
    }
    if (value == NULL || value->len > cache->limit_bytes / 8) {
        remove_at(cache, link);
        return;
    }
    struct cache_entry *entry = *link;
    cache->bytes -= entry_bytes(entry);
    blob_ref(value);
    blob_unref(entry->value);
    entry->value = value;
    cache->bytes += entry_bytes(entry);
    make_room(cache);
}

void cache_free(struct cache *cache) {
    struct cache_entry *entry = cache->hand;
    for (size_t i = 0; i < cache->count; i++) {
        struct cache_entry *next = entry->next;
        blob_unref(entry->value);
        free(entry);
        entry = next;
    }
    free(cache->buckets);
    *cache = (struct cache){0};
}

void cache_check(const struct cache *cache) {
    uint64_t bytes = cache->cap * sizeof(struct cache_entry *);
    const struct cache_entry *entry = cache->hand;
    assert((cache->hand == NULL) == (cache->count == 0));
    for (size_t i = 0; i < cache->count; i++, entry = entry->next) {
        const struct cache_entry *other = cache->buckets[entry->hash & (cache->cap - 1)];
        while (other != NULL && other != entry) {
            other = other->bucket_next;
        }
        assert(other == entry && entry->next->previous == entry);
        bytes += entry_bytes(entry);
    }
    assert(entry == cache->hand && bytes == cache->bytes);
    assert(bytes <= cache->limit_bytes || cache->count == 0);
}
