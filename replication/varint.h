/* Unsigned LEB128 integers: 7 bits a byte, low bits first, shortest form only. */
#ifndef RD_REPLICATION_VARINT_H
#define RD_REPLICATION_VARINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define VARINT_MAX_BYTES 10

/* Appends `value`. Error: RD_ENOMEM. */
enum rd_err varint_put(struct buf *out, uint64_t value);

/* Writes `value` at `at`, which has room for VARINT_MAX_BYTES, and returns how many bytes it
 * took. */
size_t varint_write(uint8_t *at, uint64_t value);

/* varint_get for all values. */
enum rd_err varint_get_long(const uint8_t *bytes, size_t len, size_t *at, uint64_t *out);

/* Reads one value at *at (an index into `bytes`) and moves *at behind it. Error: RD_EPROTO (cut
 * off, not shortest, over 64 bits), *at unchanged. */
static inline enum rd_err varint_get(const uint8_t *bytes, size_t len, size_t *at, uint64_t *out) {
    if (*at < len && bytes[*at] < 0x80) {
        *out = bytes[(*at)++];
        return RD_OK;
    }
    return varint_get_long(bytes, len, at, out);
}

#endif
