/* Hashes and random bytes: the only module that includes libcrypto and xxhash.
 *
 * Functions that wrap libcrypto abort the process if the library itself fails (a broken installation),
 * so callers need no error path for them.
 */
#ifndef RD_BASE_HASH_H
#define RD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_MD5_BYTES 16
#define HASH_HMAC_BYTES 32

/* MD5 of `len` bytes, for placement only (the paper's hash), never for security. */
void hash_md5(const void *bytes, size_t len, uint8_t out[HASH_MD5_BYTES]);

/* HMAC-SHA-256 (RFC 2104) of `len` bytes under `key`. An empty key is allowed. */
void hash_hmac(const void *key, size_t key_len, const void *bytes, size_t len,
               uint8_t out[HASH_HMAC_BYTES]);

/* XXH3, 64 bits: digests, checksums, hash tables. Stable across machines. */
uint64_t hash_xxh64(const void *bytes, size_t len, uint64_t seed);

/* CRC16 (XMODEM) as Redis Cluster uses it for slots, without the modulo. */
uint16_t hash_crc16(const void *bytes, size_t len);

/* True if both are equal; takes the same time wherever they differ. */
int hash_equal(const void *a, const void *b, size_t len);

/* Bytes of the system's cryptographic generator, for seeds and ids. */
void hash_random_bytes(void *out, size_t len);

#endif
