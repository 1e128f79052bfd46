/* Strings as DUMP and RESTORE carry them: Redis's RDB form, its version, and a checksum. */
#ifndef RD_SERVER_RDB_STRING_H
#define RD_SERVER_RDB_STRING_H

#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/err.h"

#define RDB_VERSION_WRITTEN                                                                        \
    10 /* Redis 7.0's: 7.0 and all later ones read it, and for strings nothing has changed since */
#define RDB_VERSION_READ 11 /* the newest that is read: Redis 7.2's */

/* Appends the payload of a string. It is never compressed. Error: RD_ENOMEM. */
enum rd_err rdb_dump(const void *bytes, size_t len, struct buf *out);

/* Reads a payload into a new blob of at most `max_bytes`. Errors: RD_ECORRUPT (version or checksum), RD_EPROTO (no string, or a damaged one), RD_ENOMEM. */
enum rd_err rdb_restore(const void *payload, size_t len, uint64_t max_bytes, struct blob **out);

/* The checksum: CRC-64 with Jones's polynomial, reflected, from `crc` on. */
uint64_t rdb_crc64(uint64_t crc, const void *bytes, size_t len);

#endif
