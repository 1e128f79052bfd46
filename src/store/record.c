/* One commit as the journal keeps it; see record.h. Little-endian:
 *
 *   record: checksum of the rest (8), format 1 (1), flags (1), rows (4), then the rows
 *   row:    space (1), flags (1), slot (2), lengths of key, sub, value (4 each),
 *           objects only: old digest, new digest, due (8 each); then key, sub, value
 */
#include "store/record.h"

#include <string.h>

#include "base/hash.h"

#define FORMAT 1
#define HEAD_BYTES 14
#define ROW_BYTES 16
#define OBJECT_BYTES 24
#define MAX_BYTES 999000000u /* SQLite's own limit is 10^9 with the row's header */

enum { ROW_ERASE = 1, ROW_WAS_LIVE = 2, ROW_IS_LIVE = 4 };

static uint8_t *put_number(uint8_t *to, uint64_t number, int bytes) {
    for (int i = 0; i < bytes; i++) {
        *to++ = (uint8_t)(number >> (8 * i));
    }
    return to;
}

static uint64_t get_number(const uint8_t *from, int bytes) {
    uint64_t number = 0;
    for (int i = 0; i < bytes; i++) {
        number |= (uint64_t)from[i] << (8 * i);
    }
    return number;
}

struct mem_put record_put(const struct batch_row *row) {
    const struct blob *value = row->now.value;
    return (struct mem_put){
        .at = row->at,
        .hash = row->hash,
        .value = value == NULL ? NULL : value->bytes,
        .value_len = value == NULL ? 0 : value->len,
        .erase = value == NULL,
        .live = row->now.live,
        .digest = row->now.digest,
        .due_ms = row->now.due_ms,
    };
}

static size_t row_bytes(const struct batch_row *row) {
    return ROW_BYTES + (row->at.space == STORE_OBJECTS ? OBJECT_BYTES : 0) + row->at.key_len +
           row->at.sub_len + (row->now.value == NULL ? 0 : row->now.value->len);
}

static uint8_t *put_bytes(uint8_t *to, const void *bytes, size_t len) {
    if (len > 0) {
        memcpy(to, bytes, len);
    }
    return to + len;
}

static uint8_t *put_row(uint8_t *to, const struct batch_row *row) {
    const struct blob *value = row->now.value;
    size_t value_len = value == NULL ? 0 : value->len;
    uint8_t flags = (uint8_t)((value == NULL ? ROW_ERASE : 0) | (row->was_live ? ROW_WAS_LIVE : 0) |
                              (row->now.live ? ROW_IS_LIVE : 0));
    *to++ = (uint8_t)row->at.space;
    *to++ = flags;
    to = put_number(to, row->at.slot, 2);
    to = put_number(to, row->at.key_len, 4);
    to = put_number(to, row->at.sub_len, 4);
    to = put_number(to, value_len, 4);
    if (row->at.space == STORE_OBJECTS) {
        to = put_number(to, row->old_digest, 8);
        to = put_number(to, row->now.digest, 8);
        to = put_number(to, row->now.due_ms, 8);
    }
    to = put_bytes(to, row->at.key, row->at.key_len);
    to = put_bytes(to, row->at.sub, row->at.sub_len);
    return put_bytes(to, value == NULL ? NULL : value->bytes, value_len);
}

enum rd_err record_encode(const struct batch *batch, uint8_t flags, struct buf *out) {
    size_t bytes = HEAD_BYTES;
    for (size_t i = 0; i < batch->count; i++) {
        bytes += row_bytes(&batch->rows[i]);
        if (bytes > MAX_BYTES) {
            return RD_ETOOBIG;
        }
    }
    uint8_t *start;
    enum rd_err err = buf_reserve(out, bytes, &start);
    if (err != RD_OK) {
        return err;
    }
    uint8_t *to = start + 8;
    *to++ = FORMAT;
    *to++ = flags;
    to = put_number(to, batch->count, 4);
    for (size_t i = 0; i < batch->count; i++) {
        to = put_row(to, &batch->rows[i]);
    }
    put_number(start, hash_xxh64(start + 8, bytes - 8, 0), 8);
    buf_commit(out, bytes);
    return RD_OK;
}

/* Reads one row; NULL if it is not whole. */
static const uint8_t *get_row(const uint8_t *at, const uint8_t *end, struct record_row *out) {
    if (end - at < ROW_BYTES) {
        return NULL;
    }
    *out = (struct record_row){.put = {.at = {.space = (enum store_space)at[0]}}};
    uint8_t flags = at[1];
    struct store_key *key = &out->put.at;
    key->slot = (uint16_t)get_number(at + 2, 2);
    key->key_len = (size_t)get_number(at + 4, 4);
    key->sub_len = (size_t)get_number(at + 8, 4);
    out->put.value_len = (size_t)get_number(at + 12, 4);
    at += ROW_BYTES;
    if ((unsigned)key->space >= STORE_SPACES || key->slot >= SLOT_COUNT) {
        return NULL;
    }
    if (key->space == STORE_OBJECTS) {
        if (end - at < OBJECT_BYTES) {
            return NULL;
        }
        out->old_digest = get_number(at, 8);
        out->put.digest = get_number(at + 8, 8);
        out->put.due_ms = get_number(at + 16, 8);
        at += OBJECT_BYTES;
    }
    if ((uint64_t)(end - at) < (uint64_t)key->key_len + key->sub_len + out->put.value_len) {
        return NULL;
    }
    key->key = at;
    key->sub = key->sub_len == 0 ? NULL : at + key->key_len;
    out->put.value = at + key->key_len + key->sub_len;
    out->put.erase = (flags & ROW_ERASE) != 0;
    out->was_live = (flags & ROW_WAS_LIVE) != 0;
    out->put.live = (flags & ROW_IS_LIVE) != 0;
    return at + key->key_len + key->sub_len + out->put.value_len;
}

enum rd_err record_open(const void *bytes, size_t len, struct record_reader *out) {
    const uint8_t *at = bytes;
    if (len < HEAD_BYTES || get_number(at, 8) != hash_xxh64(at + 8, len - 8, 0) ||
        at[8] != FORMAT) {
        return RD_ECORRUPT;
    }
    struct record_reader reader = {
        .at = at + HEAD_BYTES,
        .end = at + len,
        .left = (uint32_t)get_number(at + 10, 4),
        .flags = at[9],
    };
    *out = reader;
    struct record_row row;
    for (; reader.left > 0; reader.left--) {
        reader.at = get_row(reader.at, reader.end, &row);
        if (reader.at == NULL) {
            return RD_ECORRUPT;
        }
    }
    return reader.at == reader.end ? RD_OK : RD_ECORRUPT;
}

bool record_next(struct record_reader *reader, struct record_row *out) {
    if (reader->left == 0) {
        return false;
    }
    reader->left--;
    reader->at = get_row(reader->at, reader->end, out);
    out->put.hash = row_hash(&out->put.at);
    return true;
}
