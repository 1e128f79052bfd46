/* The store's front: checks, the open batch, the queue of completions, counts of live keys; see store.h.
 *
 * It knows no engine: the work goes through store_ops.
 *
 * 1. Every submission gets exactly one completion, delivered by store_poll in the order of submission.
 * 2. live[], stats.live_keys and leaves change only with a commit that succeeded (or when an engine counts anew), live[] never below
 *    0: they rest on what the puts say of the rows before, which a damaged row can belie. --check-store compares.
 */
#include "store/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_engine.h"

#define STORE_MAGIC 0x53544f52u

static struct store *checked(struct store *store) {
    assert(store != NULL && store->magic == STORE_MAGIC);
    return store;
}

enum rd_err store_init(struct store *store, const struct store_ops *ops) {
    store->ring = calloc(STORE_PENDING_RESERVED, sizeof *store->ring);
    if (store->ring == NULL) {
        return RD_ENOMEM;
    }
    store->leaves = calloc((size_t)SLOT_COUNT * STORE_LEAVES_PER_SLOT, sizeof *store->leaves);
    if (store->leaves == NULL) {
        free(store->ring);
        store->ring = NULL;
        return RD_ENOMEM;
    }
    store->ring_cap = STORE_PENDING_RESERVED;
    store->magic = STORE_MAGIC;
    store->ops = ops;
    store->stats.writable = true;
    return RD_OK;
}

/* ---- the queue ------------------------------------------------------------------------------------- */

static struct completion *ring_at(const struct store *store, size_t i) {
    return &store->ring[(store->ring_head + i) & (store->ring_cap - 1)];
}

const struct completion *store_waiting(const struct store *store, size_t i) {
    assert(i < store->ring_count);
    return ring_at(store, i);
}

static void ring_grow(struct store *store) {
    size_t cap = store->ring_cap * 2;
    struct completion *ring = malloc(cap * sizeof *ring);
    if (ring == NULL) {
        fprintf(stderr, "store: out of memory with %zu answers waiting\n", store->ring_count);
        abort();
    }
    for (size_t i = 0; i < store->ring_count; i++) {
        ring[i] = *ring_at(store, i);
    }
    free(store->ring);
    store->ring = ring;
    store->ring_cap = cap;
    store->ring_head = 0;
}

static void complete(struct store *store, struct completion done) {
    if (store->ring_count == store->ring_cap) {
        ring_grow(store);
    }
    *ring_at(store, store->ring_count++) = done;
    if (store->hold) {
        store->held++;
    }
}

static void completion_release(struct completion *done) {
    if (done->kind == COMPLETION_GET) {
        blob_unref(done->value);
    } else if (done->kind == COMPLETION_SCAN && done->page != NULL) {
        page_free(done->page);
        free(done->page);
    }
}

static void deliver(const struct completion *done, const struct store_handler *handler, void *arg) {
    switch (done->kind) {
    case COMPLETION_GET:
        handler->on_get(arg, done->token, done->err, done->value);
        break;
    case COMPLETION_COMMIT:
        handler->on_commit(arg, done->token, done->err);
        break;
    case COMPLETION_SCAN:
        if (done->page == NULL) {
            handler->on_scan(arg, done->token, done->err, NULL, 0, false);
        } else {
            handler->on_scan(arg, done->token, done->err, done->page->rows, done->page->count,
                             done->page->end);
        }
        break;
    }
}

size_t store_poll(struct store *store, const struct store_handler *handler, void *arg, size_t max) {
    checked(store);
    assert(!store->polling);
    store->polling = true;
    size_t ready = store->ring_count - store->held;
    size_t count = ready < max ? ready : max;
    for (size_t i = 0; i < count; i++) {
        struct completion done = *ring_at(store, 0);
        store->ring_head = (store->ring_head + 1) & (store->ring_cap - 1);
        store->ring_count--;
        deliver(&done, handler, arg);
        completion_release(&done);
    }
    store->polling = false;
    return count;
}

size_t store_pending(const struct store *store) {
    return store->ring_count;
}

int store_wake_fd(const struct store *store) {
    (void)store;
    return -1;
}

void store_forget(struct store *store) {
    assert(!store->polling);
    for (size_t i = 0; i < store->ring_count; i++) {
        completion_release(ring_at(store, i));
    }
    store->ring_head = store->ring_count = store->held = 0;
    batch_clear(&store->batch);
}

void store_fini(struct store *store) {
    store_forget(store);
    batch_free(&store->batch);
    free(store->ring);
    free(store->leaves);
    store->ring = NULL;
    store->leaves = NULL;
    store->magic = 0;
}

/* ---- live keys and leaves -------------------------------------------------------------------------- */

void store_counts_reset(struct store *store) {
    for (size_t slot = 0; slot < SLOT_COUNT; slot++) {
        store->live[slot] = 0;
    }
    for (size_t i = 0; i < (size_t)SLOT_COUNT * STORE_LEAVES_PER_SLOT; i++) {
        if (store->leaves[i] != 0) { /* else the page may stay untouched */
            store->leaves[i] = 0;
        }
    }
    store->stats.live_keys = 0;
}

void store_live_add(struct store *store, uint16_t slot, uint32_t count) {
    assert(slot < SLOT_COUNT);
    store->live[slot] += count;
    store->stats.live_keys += count;
}

static_assert(STORE_LEAVES_PER_SLOT == 16, "four bits of a hash choose the leaf");

static unsigned leaf_of(uint64_t hash) {
    return (unsigned)(hash >> 60);
}

/* Whoever changes this changes what is on disk and what replicas compare. The steps are splitmix64's last ones (Steele et al. 2014). */
static uint64_t leaf_share(uint64_t hash, uint64_t digest) {
    uint64_t mixed = hash ^ (digest * 0x9e3779b97f4a7c15u);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return digest == 0 ? 0 : mixed ^ (mixed >> 31);
}

unsigned store_leaf_of(const struct store_key *at) {
    return leaf_of(row_hash(at));
}

uint64_t store_leaf_share(const struct store_key *at, uint64_t digest) {
    return leaf_share(row_hash(at), digest);
}

void store_counts_change(struct store *store, const struct store_key *at, uint64_t hash,
                         bool was_live, bool is_live, uint64_t old_digest, uint64_t new_digest) {
    if (is_live && !was_live) {
        store_live_add(store, at->slot, 1);
    } else if (was_live && !is_live && store->live[at->slot] > 0) {
        store->live[at->slot]--;
        store->stats.live_keys--;
    }
    if (old_digest != new_digest) {
        store->leaves[(size_t)at->slot * STORE_LEAVES_PER_SLOT + leaf_of(hash)] ^=
            leaf_share(hash, old_digest) ^ leaf_share(hash, new_digest);
    }
}

bool store_leaf_mend(struct store *store, const struct store_key *at) {
    const uint8_t *key = at->key;
    if (at->space != STORE_LEAVES || at->key_len != STORE_LEAF_MEND_BYTES ||
        key[0] >= STORE_LEAVES_PER_SLOT) {
        return false;
    }
    uint64_t change = 0;
    for (unsigned i = 1; i < STORE_LEAF_MEND_BYTES; i++) {
        change = change << 8 | key[i];
    }
    store->leaves[(size_t)at->slot * STORE_LEAVES_PER_SLOT + key[0]] ^= change;
    return true;
}

static void counts_update(struct store *store) {
    for (size_t i = 0; i < store->batch.count; i++) {
        const struct batch_row *row = &store->batch.rows[i];
        if (store_leaf_mend(store, &row->at)) {
            continue;
        }
        if (row->at.space == STORE_OBJECTS) {
            store_counts_change(store, &row->at, row->hash, row->was_live, row->now.live,
                                row->old_digest, row->now.digest);
        }
    }
}

void store_leaves(const struct store *store, uint16_t first_slot, uint16_t last_slot,
                  uint64_t *out) {
    assert(first_slot <= last_slot && last_slot < SLOT_COUNT);
    size_t slots = (size_t)last_slot - first_slot + 1;
    memcpy(out, store->leaves + (size_t)first_slot * STORE_LEAVES_PER_SLOT,
           slots * STORE_LEAVES_PER_SLOT * sizeof *out);
}

uint64_t store_live_count(const struct store *store, uint16_t first_slot, uint16_t last_slot) {
    assert(last_slot < SLOT_COUNT);
    if (first_slot == 0 && last_slot == SLOT_COUNT - 1) {
        return store->stats.live_keys;
    }
    uint64_t count = 0;
    for (size_t slot = first_slot; slot <= last_slot; slot++) {
        count += store->live[slot];
    }
    return count;
}

/* ---- submissions ----------------------------------------------------------------------------------- */

static void key_check(const struct store_key *at) {
    assert((unsigned)at->space < STORE_SPACES && at->slot < SLOT_COUNT);
    assert(at->key_len == 0 || at->key != NULL);
    assert(at->sub_len == 0 || at->sub != NULL);
}

static enum rd_err get_now(struct store *store, const struct store_key *at, struct blob **out) {
    key_check(at);
    store->stats.gets++;
    enum rd_err err = store->ops->get(store, at, out);
    if (err == RD_ECORRUPT) {
        store->stats.corrupt_rows++;
    }
    return err;
}

void store_get(struct store *store, const struct store_key *at, uint64_t token) {
    checked(store);
    struct completion done = {.kind = COMPLETION_GET, .token = token};
    done.err = get_now(store, at, &done.value);
    complete(store, done);
}

enum rd_err store_meta_get(struct store *store, const char *name, struct blob **out) {
    checked(store);
    struct store_key at = {.space = STORE_META, .key = name, .key_len = strlen(name)};
    return get_now(store, &at, out);
}

enum rd_err store_put(struct store *store, const struct store_put *put) {
    checked(store);
    key_check(&put->at);
    store->stats.puts++;
    return batch_put(&store->batch, put);
}

static enum rd_err commit_now(struct store *store) {
    if (store->batch.poisoned) {
        return RD_ENOMEM;
    }
    return store->ops->commit(store, &store->batch, !store->stats.writable);
}

void store_commit(struct store *store, uint64_t token) {
    checked(store);
    struct completion done = {.kind = COMPLETION_COMMIT, .token = token};
    done.err = commit_now(store);
    if (done.err == RD_OK) {
        counts_update(store);
        done.commit = ++store->stats.commits;
    } else {
        store->stats.commit_errors++;
    }
    store->stats.writable = done.err == RD_OK;
    batch_clear(&store->batch);
    complete(store, done);
}

/* Queues what a scan found; a page that failed is dropped. */
static void complete_scan(struct store *store, uint64_t token, enum rd_err err, struct page *page) {
    struct completion done = {.kind = COMPLETION_SCAN, .token = token, .err = err};
    if (err == RD_OK) {
        page_seal(page);
        for (size_t i = 0; i < page->count; i++) {
            store->stats.corrupt_rows += page->rows[i].err == RD_ECORRUPT;
        }
        done.page = page;
    } else if (page != NULL) {
        page_free(page);
        free(page);
    }
    complete(store, done);
}

static struct store_key cursor_key(enum store_space space, const struct store_cursor *cursor) {
    struct store_key key = {.space = space,
                            .slot = cursor->slot,
                            .key = cursor->key,
                            .key_len = cursor->key_len,
                            .sub = cursor->sub,
                            .sub_len = cursor->sub_len};
    key_check(&key);
    return key;
}

void store_scan(struct store *store, const struct store_range *range,
                const struct store_cursor *cursor, size_t max_rows, size_t max_bytes,
                uint64_t token) {
    checked(store);
    assert((unsigned)range->space < STORE_SPACES && range->last_slot < SLOT_COUNT);
    assert(range->first_slot <= range->last_slot && max_rows > 0);
    struct store_key behind = {.space = range->space};
    bool from_start = cursor == NULL || cursor->key == NULL || cursor->slot < range->first_slot;
    if (!from_start) {
        behind = cursor_key(range->space, cursor);
    }
    struct page *page = calloc(1, sizeof *page);
    enum rd_err err = page == NULL ? RD_ENOMEM
                                   : store->ops->scan(store, range, from_start ? NULL : &behind,
                                                      max_rows, max_bytes, page);
    complete_scan(store, token, err, page);
}

void store_scan_due(struct store *store, uint64_t before_ms, const struct store_due_cursor *cursor,
                    size_t max_rows, size_t max_bytes, uint64_t token) {
    struct store_due behind;
    checked(store);
    assert(max_rows > 0);
    if (cursor != NULL) {
        behind = (struct store_due){cursor->due_ms, cursor_key(STORE_OBJECTS, &cursor->at)};
    }
    uint64_t before = before_ms > INT64_MAX ? INT64_MAX : before_ms;
    struct page *page = calloc(1, sizeof *page);
    enum rd_err err = page == NULL
                          ? RD_ENOMEM
                          : store->ops->scan_due(store, before, cursor == NULL ? NULL : &behind,
                                                 max_rows, max_bytes, page);
    complete_scan(store, token, err, page);
}

/* ---- the rest -------------------------------------------------------------------------------------- */

void store_stats(const struct store *store, struct store_stats *out) {
    *out = store->stats;
    store->ops->stats(store, out);
}

void store_close(struct store **store) {
    if (*store == NULL) {
        return;
    }
    assert(!checked(*store)->polling);
    (*store)->ops->close(*store);
    *store = NULL;
}
