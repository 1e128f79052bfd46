/* Hashes and random bytes on top of libcrypto and xxhash; see hash.h. */
#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

void hash_md5(const void *bytes, size_t len, uint8_t out[HASH_MD5_BYTES]) {
    unsigned written = 0;
    if (!EVP_Digest(bytes, len, out, &written, EVP_md5(), NULL) || written != HASH_MD5_BYTES) {
        abort();
    }
}

void hash_hmac(const void *key, size_t key_len, const void *bytes, size_t len,
               uint8_t out[HASH_HMAC_BYTES]) {
    unsigned written = 0;
    assert(key_len <= INT32_MAX);
    /* A NULL key means "the key of the last call" to libcrypto. */
    const void *some_key = key_len == 0 ? "" : key;
    if (HMAC(EVP_sha256(), some_key, (int)key_len, bytes, len, out, &written) == NULL ||
        written != HASH_HMAC_BYTES) {
        abort();
    }
}

uint64_t hash_xxh64(const void *bytes, size_t len, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, len, seed);
}

/* Polynomial x^16 + x^12 + x^5 + 1, most significant bit first, four bits at a time: entry i is the
 * remainder of i * x^16. */
static const uint16_t crc16_nibbles[16] = {
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
    0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
};

uint16_t hash_crc16(const void *bytes, size_t len) {
    const uint8_t *p = bytes;
    uint16_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(crc << 4 ^ crc16_nibbles[crc >> 12 ^ p[i] >> 4]);
        crc = (uint16_t)(crc << 4 ^ crc16_nibbles[crc >> 12 ^ (p[i] & 15)]);
    }
    return crc;
}

int hash_equal(const void *a, const void *b, size_t len) {
    return len == 0 || CRYPTO_memcmp(a, b, len) == 0;
}

void hash_random_bytes(void *out, size_t len) {
    uint8_t *to = out;
    while (len > 0) {
        ssize_t got = getrandom(to, len, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            abort(); /* a system without its generator: going on would mean guessable secrets */
        }
        to += got;
        len -= (size_t)got;
    }
}
