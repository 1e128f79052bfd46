/* Between the node's words and the store's. Nothing is decided here. */
#include "store/port.h"

#include <assert.h>

static struct store_key key_of(const struct row_key *at) {
    return (struct store_key){.space = (enum store_space)at->space,
                              .slot = at->slot,
                              .key = at->key->bytes,
                              .key_len = at->key->len};
}

void port_get(struct store *store, const struct effect *effect) {
    const struct store_key at = key_of(&effect->store_get.at);
    store_get(store, &at, effect->store_get.token);
}

enum rd_err port_put(struct store *store, const struct effect *effect) {
    const struct store_put row = {.at = key_of(&effect->store_put.at),
                                  .value = effect->store_put.value,
                                  .old_digest = effect->store_put.old_digest,
                                  .new_digest = effect->store_put.new_digest,
                                  .due_ms = effect->store_put.due_ms,
                                  .was_live = effect->store_put.was_live,
                                  .is_live = effect->store_put.is_live};
    return store_put(store, &row);
}

void port_scan(struct store *store, const struct store_scan_order *order) {
    assert(order->max_rows >= 1 && order->max_rows <= SCAN_MAX_ROWS);
    const struct store_range range = {(enum store_space)order->space, order->first_slot,
                                      order->last_slot};
    struct store_cursor after = {.slot = order->after_slot};
    if (order->after_key != NULL) {
        after.key = order->after_key->bytes;
        after.key_len = order->after_key->len;
    }
    if (order->due) {
        const struct store_due_cursor behind = {order->due_after_ms, after};
        store_scan_due(store, order->due_before_ms, order->after_key == NULL ? NULL : &behind,
                       order->max_rows, order->max_bytes, order->token);
        return;
    }
    store_scan(store, &range, order->after_key == NULL ? NULL : &after, order->max_rows,
               order->max_bytes, order->token);
}

void port_rows(const struct store_row *rows, size_t count, struct scanned_row *out) {
    assert(count <= SCAN_MAX_ROWS);
    for (size_t i = 0; i < count; i++)
        out[i] = (struct scanned_row){.slot = rows[i].slot,
                                      .key = {rows[i].key, rows[i].key_len},
                                      .value = rows[i].value,
                                      .err = rows[i].err,
                                      .is_live = rows[i].is_live,
                                      .due_ms = rows[i].due_ms};
}

static uint64_t live_count(void *arg, uint16_t first_slot, uint16_t last_slot) {
    return store_live_count(arg, first_slot, last_slot);
}

static void leaves(void *arg, uint16_t first_slot, uint16_t last_slot, uint64_t *out) {
    store_leaves(arg, first_slot, last_slot, out);
}

static struct store_key object_row(uint16_t slot, struct resp_slice key) {
    return (struct store_key){
        .space = STORE_OBJECTS, .slot = slot, .key = key.data, .key_len = key.len};
}

static unsigned leaf_of(void *arg, uint16_t slot, struct resp_slice key) {
    (void)arg;
    const struct store_key at = object_row(slot, key);
    return store_leaf_of(&at);
}

static uint64_t leaf_share(void *arg, uint16_t slot, struct resp_slice key, uint64_t digest) {
    (void)arg;
    const struct store_key at = object_row(slot, key);
    return store_leaf_share(&at, digest);
}

struct store_view port_view(struct store *store) {
    return (struct store_view){.arg = store,
                               .live_count = live_count,
                               .leaves = leaves,
                               .leaf_of = leaf_of,
                               .leaf_share = leaf_share,
                               .leaves_per_slot = STORE_LEAVES_PER_SLOT};
}
