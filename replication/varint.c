/* Unsigned LEB128 integers (see varint.h). One value has one spelling: the decoder refuses a last
 * byte of zero and bits beyond 64, so that equal values give equal bytes wherever they are hashed
 * or compared. */
#include "replication/varint.h"

#include <assert.h>

size_t varint_write(uint8_t *at, uint64_t value) {
    size_t n = 0;
    while (value >= 0x80) {
        at[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[n++] = (uint8_t)value;
    return n;
}

enum rd_err varint_put(struct buf *out, uint64_t value) {
    uint8_t *at;
    enum rd_err err = buf_reserve(out, VARINT_MAX_BYTES, &at);
    if (err != RD_OK) {
        return err;
    }
    buf_commit(out, varint_write(at, value));
    return RD_OK;
}

enum rd_err varint_get_long(const uint8_t *bytes, size_t len, size_t *at, uint64_t *out) {
    assert(*at <= len);
    uint64_t value = 0;
    for (unsigned i = 0; i < VARINT_MAX_BYTES; i++) {
        if (*at + i >= len) {
            return RD_EPROTO;
        }
        uint8_t byte = bytes[*at + i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80) {
            continue;
        }
        if (i > 0 && byte == 0) {
            return RD_EPROTO; /* not the shortest form */
        }
        if (i == VARINT_MAX_BYTES - 1 && byte > 1) {
            return RD_EPROTO; /* only one bit is left of 64 */
        }
        *at += i + 1;
        *out = value;
        return RD_OK;
    }
    return RD_EPROTO;
}
