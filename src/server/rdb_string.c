/* The RDB form of a string: a type byte, the string, two bytes of version and eight of CRC-64, these little-endian.
 *
 * A string is its length and its bytes; or, when the length's first two bits say so, a small integer or LZF-compressed
 * bytes. Lengths come from whoever sent the payload: nothing is allocated before they were compared with what is there. */
#include "server/rdb_string.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define TYPE_STRING 0
#define FOOTER_BYTES 10
#define INT8 0xC0
#define INT16 0xC1
#define INT32 0xC2
#define LZF 0xC3

uint64_t rdb_crc64(uint64_t crc, const void *bytes, size_t len) {
    const uint64_t polynomial = UINT64_C(0x95ac9329ac4bc9b5); /* bits reversed */
    uint64_t table[16];
    for (unsigned i = 0; i < 16; i++) {
        uint64_t at = i;
        for (int k = 0; k < 4; k++) {
            at = at & 1 ? at >> 1 ^ polynomial : at >> 1;
        }
        table[i] = at;
    }
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) { /* four bits at a time */
        crc = crc >> 4 ^ table[(crc ^ at[i]) & 15];
        crc = crc >> 4 ^ table[(crc ^ at[i] >> 4) & 15];
    }
    return crc;
}

static void put_le(uint8_t *to, uint64_t number, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(number >> (8 * i));
    }
}

static uint64_t get_le(const uint8_t *from, size_t bytes) {
    uint64_t number = 0;
    for (size_t i = bytes; i-- > 0;) {
        number = number << 8 | from[i];
    }
    return number;
}

/* ---- writing --------------------------------------------------------------------------------------- */

/* The head of a string of `len` bytes, or all of it if it is a small integer; returns its size. */
static size_t make_head(const void *bytes, size_t len, uint8_t head[16], bool *whole) {
    int64_t number;
    *whole = len <= 11 && text_i64(bytes, len, &number) == RD_OK && number >= INT32_MIN &&
             number <= INT32_MAX;
    if (*whole) {
        size_t size = number >= INT8_MIN && number <= INT8_MAX     ? 1
                      : number >= INT16_MIN && number <= INT16_MAX ? 2
                                                                   : 4;
        head[0] = size == 1 ? INT8 : size == 2 ? INT16 : INT32;
        put_le(head + 1, (uint64_t)number, size);
        return 1 + size;
    }
    if (len < 64) {
        head[0] = (uint8_t)len;
        return 1;
    }
    if (len < 16384) {
        head[0] = (uint8_t)(0x40 | len >> 8);
        head[1] = (uint8_t)len;
        return 2;
    }
    assert(len <= UINT32_MAX);
    head[0] = 0x80;
    for (int i = 0; i < 4; i++) {
        head[1 + i] = (uint8_t)(len >> (24 - 8 * i));
    }
    return 5;
}

enum rd_err rdb_dump(const void *bytes, size_t len, struct buf *out) {
    static const uint8_t type = TYPE_STRING;
    uint8_t head[16], footer[FOOTER_BYTES];
    bool whole;
    size_t from = buf_len(out), head_len = make_head(bytes, len, head, &whole);
    put_le(footer, RDB_VERSION_WRITTEN, 2);
    enum rd_err err = buf_append(out, &type, 1);
    err = err != RD_OK ? err : buf_append(out, head, head_len);
    err = err != RD_OK || whole ? err : buf_append(out, bytes, len);
    err = err != RD_OK ? err : buf_append(out, footer, 2);
    if (err == RD_OK) {
        put_le(footer, rdb_crc64(0, buf_data(out) + from, buf_len(out) - from), 8);
        err = buf_append(out, footer, 8);
    }
    return err;
}

/* ---- reading --------------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *at;
    size_t left;
};

static const uint8_t *take(struct reader *r, uint64_t bytes) {
    if (bytes > r->left) {
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += bytes;
    r->left -= bytes;
    return at;
}

/* Reads a length; `*special`: it is one of the forms that are not plain, and which. */
static bool read_len(struct reader *r, uint64_t *len, uint8_t *special) {
    const uint8_t *first = take(r, 1), *more;
    *special = 0;
    if (first == NULL) {
        return false;
    }
    size_t wide = *first == 0x80 ? 4 : *first == 0x81 ? 8 : 0;
    if (*first >> 6 == 0) {
        *len = *first;
    } else if (*first >> 6 == 1) {
        if ((more = take(r, 1)) == NULL) {
            return false;
        }
        *len = (uint64_t)(*first & 0x3f) << 8 | *more;
    } else if (*first >> 6 == 3) {
        *special = *first;
    } else {
        if (wide == 0 || (more = take(r, wide)) == NULL) {
            return false;
        }
        *len = 0;
        for (size_t i = 0; i < wide; i++) {
            *len = *len << 8 | more[i];
        }
    }
    return true;
}

/* LZF: a control byte below 32 is followed by that many literal bytes and one; else its upper three bits are a length (7: the next byte adds to it) and the rest, with the next byte, how far back the copy begins. */
static bool unpack(struct reader *r, uint8_t *to, size_t len) {
    size_t at = 0;
    while (r->left > 0) {
        unsigned control = *take(r, 1);
        if (control < 32) {
            const uint8_t *literal = take(r, control + 1);
            if (literal == NULL || len - at < control + 1) {
                return false;
            }
            memcpy(to + at, literal, control + 1);
            at += control + 1;
            continue;
        }
        size_t run = control >> 5;
        const uint8_t *more = take(r, run == 7 ? 2 : 1);
        if (more == NULL) {
            return false;
        }
        run += run == 7 ? *more++ : 0;
        size_t back = ((size_t)(control & 31) << 8 | *more) + 1;
        run += 2;
        if (back > at || len - at < run) {
            return false;
        }
        for (size_t i = 0; i < run; i++, at++) { /* what is copied may overlap its copy */
            to[at] = to[at - back];
        }
    }
    return at == len;
}

static enum rd_err read_packed(struct reader *r, uint64_t max_bytes, struct blob **out) {
    uint64_t packed, len;
    uint8_t special, special2;
    const uint8_t *bytes;
    if (!read_len(r, &packed, &special) || special != 0 || !read_len(r, &len, &special2) ||
        special2 != 0 || (bytes = take(r, packed)) == NULL || len > max_bytes ||
        len / 264 > packed || len == 0) {
        return RD_EPROTO;
    }
    struct blob *blob;
    enum rd_err err = blob_alloc(len, &blob);
    if (err != RD_OK) {
        return err;
    }
    struct reader inside = {bytes, packed};
    if (!unpack(&inside, blob->bytes, len)) {
        blob_unref(blob);
        return RD_EPROTO;
    }
    *out = blob;
    return RD_OK;
}

static enum rd_err read_string(struct reader *r, uint64_t max_bytes, struct blob **out) {
    uint64_t len = 0;
    uint8_t special;
    if (!read_len(r, &len, &special)) {
        return RD_EPROTO;
    }
    if (special == 0) {
        const uint8_t *bytes = take(r, len);
        return bytes == NULL || len > max_bytes ? RD_EPROTO : blob_new(bytes, len, out);
    }
    if (special == LZF) {
        return read_packed(r, max_bytes, out);
    }
    size_t size = special == INT8 ? 1 : special == INT16 ? 2 : special == INT32 ? 4 : 0;
    const uint8_t *bytes = take(r, size);
    if (size == 0 || bytes == NULL) {
        return RD_EPROTO;
    }
    uint64_t bits = get_le(bytes, size);
    int64_t number = size == 1 ? (int8_t)bits : size == 2 ? (int16_t)bits : (int32_t)bits;
    char text[24];
    int text_len = snprintf(text, sizeof text, "%lld", (long long)number);
    return blob_new(text, (size_t)text_len, out);
}

enum rd_err rdb_restore(const void *payload, size_t len, uint64_t max_bytes, struct blob **out) {
    const uint8_t *bytes = payload;
    if (len < FOOTER_BYTES || get_le(bytes + len - FOOTER_BYTES, 2) > RDB_VERSION_READ ||
        get_le(bytes + len - 8, 8) != rdb_crc64(0, bytes, len - 8)) {
        return RD_ECORRUPT;
    }
    struct reader r = {bytes, len - FOOTER_BYTES};
    const uint8_t *type = take(&r, 1);
    return type == NULL || *type != TYPE_STRING ? RD_EPROTO : read_string(&r, max_bytes, out);
}
