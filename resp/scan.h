/* Line ends, for the two readers of this folder; not for others. */
#ifndef RD_RESP_SCAN_H
#define RD_RESP_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "resp/slice.h"

/* Finds the first `byte` at or behind `start` and puts its offset into `*out`. `*scanned` is an
 * offset below which (from start on) none lies; it is moved on, so that no byte is looked at twice.
 * RD_EINCOMPLETE: none yet.
 * RD_ETOOBIG: none among the first max + 1 bytes. */
static inline enum rd_err resp_scan_for(uint8_t byte, const uint8_t *data, size_t len, size_t start,
                                        size_t max, size_t *scanned, size_t *out) {
    size_t from = *scanned > start ? *scanned : start;
    size_t to = len - start > max ? start + max + 1 : len;
    if (from < to) {
        const uint8_t *found = memchr(data + from, byte, to - from);
        if (found != NULL) {
            *scanned = (size_t)(found - data);
            *out = *scanned;
            return RD_OK;
        }
        *scanned = to;
    }
    return len - start > max ? RD_ETOOBIG : RD_EINCOMPLETE;
}

/* A slice that stands for a place relative to bytes that may still move, and its end as a real one.
 * An offset in place of the pointer saves a second array of the same size. */
static inline struct resp_slice resp_slice_relative(size_t offset, size_t len) {
    return (struct resp_slice){(const uint8_t *)(uintptr_t)offset, len};
}
static inline void resp_slice_settle(struct resp_slice *slice, const uint8_t *data) {
    slice->data = data + (uintptr_t)slice->data;
}

#endif
