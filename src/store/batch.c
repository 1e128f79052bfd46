/* The open batch of a store; see batch.h.
 *
 * 1. Addresses in `rows` are distinct. 2. Each row is found from the place of its hash without passing a free one; at most half of the
 * places are taken.
 */
#include "store/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "replication/slot.h"

/* What batch_clear leaves allocated: a usual batch of a busy loop's turn. */
#define KEEP_ROWS 1024
#define FIRST_ROWS 64

/* The place of the row at `at`, or the free one where it belongs. */
static uint32_t *place_of(const struct batch *batch, const struct store_key *at, uint64_t hash) {
    size_t mask = 2 * batch->cap - 1;
    uint64_t wanted = hash & ~batch->ignored;
    for (size_t i = wanted & mask;; i = (i + 1) & mask) {
        uint32_t place = batch->places[i];
        const struct batch_row *row = place == 0 ? NULL : &batch->rows[place - 1];
        if (row == NULL || ((row->hash & ~batch->ignored) == wanted && row_same(&row->at, at))) {
            return &batch->places[i];
        }
    }
}

static enum rd_err make_room(struct batch *batch) {
    if (batch->count < batch->cap) {
        return RD_OK;
    }
    size_t cap = batch->cap == 0 ? FIRST_ROWS : batch->cap * 2;
    uint32_t *places = calloc(2 * cap, sizeof *places);
    struct batch_row *rows = realloc(batch->rows, cap * sizeof *rows);
    batch->rows = rows == NULL ? batch->rows : rows;
    if (places == NULL || rows == NULL) {
        free(places);
        return RD_ENOMEM;
    }
    free(batch->places);
    batch->places = places;
    batch->cap = cap;
    for (size_t i = 0; i < batch->count; i++) {
        *place_of(batch, &rows[i].at, rows[i].hash) = (uint32_t)i + 1;
    }
    return RD_OK;
}

static enum rd_err copy_key(struct batch *batch, const struct store_key *from,
                            struct store_key *to) {
    uint8_t *bytes = arena_alloc(&batch->keys, from->key_len + from->sub_len);
    if (bytes == NULL) {
        return RD_ENOMEM;
    }
    *to = (struct store_key){.space = from->space, .slot = from->slot};
    if (from->key_len > 0) {
        memcpy(bytes, from->key, from->key_len);
        to->key = bytes;
        to->key_len = from->key_len;
    }
    if (from->sub_len > 0) {
        memcpy(bytes + from->key_len, from->sub, from->sub_len);
        to->sub = bytes + from->key_len;
        to->sub_len = from->sub_len;
    }
    return RD_OK;
}

/* The row at `put->at`, added if it is new; NULL without memory. */
static struct batch_row *row_for(struct batch *batch, const struct store_put *put) {
    uint64_t hash = row_hash(&put->at);
    if (make_room(batch) != RD_OK) {
        return NULL;
    }
    uint32_t *place = place_of(batch, &put->at, hash);
    if (*place != 0) {
        return &batch->rows[*place - 1];
    }
    struct batch_row *row = &batch->rows[batch->count];
    bool object = put->at.space == STORE_OBJECTS;
    *row = (struct batch_row){
        .hash = hash,
        .old_digest = object ? put->old_digest : 0,
        .was_live = object && put->was_live,
    };
    if (copy_key(batch, &put->at, &row->at) != RD_OK) {
        return NULL;
    }
    *place = (uint32_t)++batch->count;
    return row;
}

enum rd_err batch_put(struct batch *batch, const struct store_put *put) {
    const struct store_key *at = &put->at;
    assert((unsigned)at->space < STORE_SPACES && at->slot < SLOT_COUNT);
    assert(at->key_len <= STORE_MAX_KEY_BYTES && at->sub_len <= STORE_MAX_KEY_BYTES);
    struct batch_row *row = batch->poisoned ? NULL : row_for(batch, put);
    if (row == NULL) {
        batch->poisoned = true;
        return RD_ENOMEM;
    }
    blob_unref(row->now.value);
    row->now = (struct row_value){.value = blob_ref(put->value)};
    if (at->space == STORE_OBJECTS && put->value != NULL) {
        row->now.digest = put->new_digest;
        row->now.due_ms = put->due_ms > INT64_MAX ? INT64_MAX : put->due_ms;
        row->now.live = put->is_live;
    }
    return RD_OK;
}

void batch_clear(struct batch *batch) {
    if (batch->cap > KEEP_ROWS) {
        batch_free(batch);
        return;
    }
    for (size_t i = 0; i < batch->count; i++) {
        blob_unref(batch->rows[i].now.value);
    }
    if (batch->count > 0) {
        memset(batch->places, 0, 2 * batch->cap * sizeof *batch->places);
    }
    arena_reset(&batch->keys);
    batch->count = 0;
    batch->poisoned = false;
}

void batch_free(struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        blob_unref(batch->rows[i].now.value);
    }
    free(batch->rows);
    free(batch->places);
    arena_free(&batch->keys);
    *batch = (struct batch){.ignored = batch->ignored};
}
