/* The open batch of a store; see batch.h. */
#include "store/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "replication/slot.h"

/* What batch_clear leaves allocated: a usual batch of a busy loop's turn. */
#define KEEP_ROWS 1024

static enum rd_err make_room(struct batch *batch) {
    if (batch->count < batch->cap) {
        return RD_OK;
    }
    size_t cap = batch->cap == 0 ? 16 : batch->cap * 2;
    struct batch_row *rows = realloc(batch->rows, cap * sizeof *rows);
    if (rows == NULL) {
        return RD_ENOMEM;
    }
    batch->rows = rows;
    batch->cap = cap;
    return RD_OK;
}

static enum rd_err copy_key(struct batch_row *row, const struct store_key *at) {
    size_t len = at->key_len + at->sub_len;
    row->at = (struct store_key){.space = at->space, .slot = at->slot};
    row->bytes = NULL;
    if (len == 0) {
        return RD_OK;
    }
    row->bytes = malloc(len);
    if (row->bytes == NULL) {
        return RD_ENOMEM;
    }
    if (at->key_len > 0) {
        memcpy(row->bytes, at->key, at->key_len);
        row->at.key = row->bytes;
        row->at.key_len = at->key_len;
    }
    if (at->sub_len > 0) {
        memcpy(row->bytes + at->key_len, at->sub, at->sub_len);
        row->at.sub = row->bytes + at->key_len;
        row->at.sub_len = at->sub_len;
    }
    return RD_OK;
}

enum rd_err batch_put(struct batch *batch, const struct store_put *put) {
    const struct store_key *at = &put->at;
    assert((unsigned)at->space < STORE_SPACES && at->slot < SLOT_COUNT);
    assert(at->key_len <= STORE_MAX_KEY_BYTES && at->sub_len <= STORE_MAX_KEY_BYTES);
    bool object = at->space == STORE_OBJECTS;
    if (batch->poisoned || make_room(batch) != RD_OK ||
        copy_key(&batch->rows[batch->count], at) != RD_OK) {
        batch->poisoned = true;
        return RD_ENOMEM;
    }
    struct batch_row *row = &batch->rows[batch->count];
    row->order = batch->count++;
    row->old_digest = object ? put->old_digest : 0;
    row->was_live = object && put->was_live;
    row->now = (struct row_value){.value = blob_ref(put->value)};
    if (object && put->value != NULL) {
        row->now.digest = put->new_digest;
        row->now.due_ms = put->due_ms > INT64_MAX ? INT64_MAX : put->due_ms;
        row->now.live = put->is_live;
    }
    return RD_OK;
}

static int row_order(const void *a, const void *b) {
    const struct batch_row *left = a;
    const struct batch_row *right = b;
    int order = row_compare(&left->at, &right->at);
    return order != 0 ? order : (left->order > right->order) - (left->order < right->order);
}

static void row_release(struct batch_row *row) {
    blob_unref(row->now.value);
    free(row->bytes);
}

void batch_seal(struct batch *batch) {
    assert(!batch->poisoned);
    if (batch->count < 2) {
        return;
    }
    qsort(batch->rows, batch->count, sizeof *batch->rows, row_order);
    size_t last = 0;
    for (size_t i = 1; i < batch->count; i++) {
        struct batch_row *row = &batch->rows[i];
        if (row_compare(&batch->rows[last].at, &row->at) == 0) {
            row->old_digest = batch->rows[last].old_digest;
            row->was_live = batch->rows[last].was_live;
            row_release(&batch->rows[last]);
        } else {
            last++;
        }
        batch->rows[last] = *row;
    }
    batch->count = last + 1;
}

void batch_clear(struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        row_release(&batch->rows[i]);
    }
    batch->count = 0;
    batch->poisoned = false;
    if (batch->cap > KEEP_ROWS) {
        free(batch->rows);
        batch->rows = NULL;
        batch->cap = 0;
    }
}

void batch_free(struct batch *batch) {
    batch_clear(batch);
    free(batch->rows);
    *batch = (struct batch){0};
}
