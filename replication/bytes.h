/* 64-bit integers as 8 bytes, big-endian: what stands on wires and disks where a varint would be
 * longer. */
#ifndef RD_REPLICATION_BYTES_H
#define RD_REPLICATION_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Writes `value` at `at`, which has room for 8 bytes. */
static inline void bytes_put_u64(uint8_t *at, uint64_t value) {
    uint64_t big = htobe64(value);
    memcpy(at, &big, sizeof big);
}

/* Reads the 8 bytes at `at`. */
static inline uint64_t bytes_get_u64(const uint8_t *at) {
    uint64_t big;
    memcpy(&big, at, sizeof big);
    return be64toh(big);
}

#endif
