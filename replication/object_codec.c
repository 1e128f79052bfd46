/* The bytes of an object: its digest and its canonical encoding (see object.h).
 *
 * Encoding, integers as varints unless said otherwise:
 *   format byte 1
 *   the vector (version_write)
 *   deletion stamp
 *   number of siblings, then each, newest first:
 *     index of its actor in the vector (it is always there), counter of its dot
 *     stamp, 8 bytes big-endian: it is large, a varint would be longer
 *     expiry in ms
 *     length of the value, the value
 *   XXH3 of all before it, 8 bytes big-endian
 *
 * Equal objects give equal bytes, and the decoder takes nothing else, so bytes can be compared
 * instead of objects. The checksum finds accidents on disk or wire; it is no defence against
 * forgers.
 */
#include "replication/object.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "replication/bytes.h"
#include "replication/hlc.h"
#include "replication/varint.h"

#define FORMAT 1
#define CHECKSUM_BYTES 8
#define MIN_SIBLING_BYTES (1 + 1 + 8 + 1 + 1)
#define MAX_SIBLING_BYTES (5 + VARINT_MAX_BYTES + 8 + VARINT_MAX_BYTES + 5)
#define MIN_OBJECT_BYTES (1 + 1 + 1 + 1 + CHECKSUM_BYTES)

/* Up to here double dots are looked for pair by pair. */
#define PAIRWISE_MAX 16

/* ---- digest ---------------------------------------------------------------------------------- */

/* Hashes words in runs of fixed length, each seeded with the hash so far: no allocation, however
 * large the object. */
struct digest {
    uint64_t hash;
    size_t used;
    uint8_t bytes[512];
};

static inline void digest_word(struct digest *digest, uint64_t word) {
    if (digest->used == sizeof digest->bytes) {
        digest->hash = hash_xxh64(digest->bytes, digest->used, digest->hash);
        digest->used = 0;
    }
    bytes_put_u64(digest->bytes + digest->used, word);
    digest->used += 8;
}

uint64_t object_digest(const struct object *object) {
    if (object_is_empty(object)) {
        return 0;
    }
    struct digest digest;
    digest.hash = 0;
    digest.used = 0;
    digest_word(&digest, object->version.count);
    for (uint32_t i = 0; i < object->version.count; i++) {
        const struct version_entry *entry = &object->version.entries[i];
        digest_word(&digest, entry->actor.incarnation);
        digest_word(&digest, entry->actor.epoch);
        digest_word(&digest, entry->counter);
    }
    digest_word(&digest, object->deleted_stamp);
    for (uint32_t i = 0; i < object->count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        digest_word(&digest, sibling->dot.actor.incarnation);
        digest_word(&digest, sibling->dot.actor.epoch);
        digest_word(&digest, sibling->dot.counter);
        digest_word(&digest, sibling->stamp);
        digest_word(&digest, sibling->expires_ms);
    }
    uint64_t hash = hash_xxh64(digest.bytes, digest.used, digest.hash);
    return hash != 0 ? hash : 1; /* 0 is the empty object's alone */
}

/* ---- encode ---------------------------------------------------------------------------------- */

static size_t write_sibling(const struct object *object, const struct sibling *sibling,
                            uint8_t *at) {
    uint32_t index = 0;
    bool found = version_find(&object->version, &sibling->dot.actor, &index);
    assert(found);
    size_t n = varint_write(at, index);
    n += varint_write(at + n, sibling->dot.counter);
    bytes_put_u64(at + n, sibling->stamp);
    n += 8;
    n += varint_write(at + n, sibling->expires_ms);
    n += varint_write(at + n, sibling->value->len);
    memcpy(at + n, sibling->value->bytes, sibling->value->len);
    return n + sibling->value->len;
}

/* At least as many bytes as write_object takes. */
static size_t encoded_most(const struct object *object) {
    size_t room = 1 + version_write_max(&object->version) + 2 * VARINT_MAX_BYTES +
                  (size_t)object->count * MAX_SIBLING_BYTES + CHECKSUM_BYTES;
    for (uint32_t i = 0; i < object->count; i++) {
        room += object->siblings[i].value->len;
    }
    return room;
}

static size_t write_object(const struct object *object, uint8_t *at) {
    size_t n = 0;
    at[n++] = FORMAT;
    n += version_write(&object->version, at + n);
    n += varint_write(at + n, object->deleted_stamp);
    n += varint_write(at + n, object->count);
    for (uint32_t i = 0; i < object->count; i++) {
        n += write_sibling(object, &object->siblings[i], at + n);
    }
    bytes_put_u64(at + n, hash_xxh64(at, n, 0));
    return n + CHECKSUM_BYTES;
}

enum rd_err object_encode(const struct object *object, struct buf *out) {
    uint8_t *at;
    size_t room = encoded_most(object);
    enum rd_err err = buf_reserve(out, room, &at);
    if (err != RD_OK) {
        return err;
    }
    size_t n = write_object(object, at);
    assert(n <= room);
    buf_commit(out, n);
    return RD_OK;
}

enum rd_err object_encode_blob(const struct object *object, struct blob **out) {
    struct blob *blob;
    size_t room = encoded_most(object);
    enum rd_err err = blob_alloc(room, &blob);
    if (err != RD_OK) {
        return err;
    }
    size_t n = write_object(object, blob->bytes);
    assert(n <= room);
    blob_shorten(blob, n);
    *out = blob;
    return RD_OK;
}

/* ---- decode ---------------------------------------------------------------------------------- */

/* Reads one sibling at *at into the next free place of `object`, which has room. */
static enum rd_err read_sibling(const uint8_t *bytes, size_t len, size_t *at,
                                struct object *object) {
    uint64_t index;
    struct sibling sibling = {0};
    if (varint_get(bytes, len, at, &index) != RD_OK || index >= object->version.count ||
        varint_get(bytes, len, at, &sibling.dot.counter) != RD_OK || len - *at < 8) {
        return RD_EPROTO;
    }
    const struct version_entry *entry = &object->version.entries[index];
    sibling.dot.actor = entry->actor;
    sibling.stamp = bytes_get_u64(bytes + *at);
    *at += 8;
    if (sibling.dot.counter == 0 || sibling.dot.counter > entry->counter ||
        sibling.stamp > HLC_MAX_STAMP) {
        return RD_EPROTO;
    }
    uint64_t value_len;
    if (varint_get(bytes, len, at, &sibling.expires_ms) != RD_OK ||
        varint_get(bytes, len, at, &value_len) != RD_OK || value_len > len - *at) {
        return RD_EPROTO;
    }
    if (object->count > 0) {
        const struct sibling *last = &object->siblings[object->count - 1];
        if (last->stamp < sibling.stamp ||
            (last->stamp == sibling.stamp && dot_compare(&last->dot, &sibling.dot) <= 0)) {
            return RD_EPROTO;
        }
    }
    enum rd_err err = blob_new(bytes + *at, value_len, &sibling.value);
    if (err != RD_OK) {
        return err;
    }
    *at += value_len;
    object->siblings[object->count++] = sibling;
    return RD_OK;
}

static int by_dot(const void *a, const void *b) {
    return dot_compare(a, b);
}

/* Refuses an object in which a dot appears twice, with two stamps: in order, but no object. */
static enum rd_err refuse_double_dots(const struct object *object) {
    if (object->count <= PAIRWISE_MAX) {
        for (uint32_t i = 1; i < object->count; i++) {
            for (uint32_t j = 0; j < i; j++) {
                if (dot_compare(&object->siblings[i].dot, &object->siblings[j].dot) == 0) {
                    return RD_EPROTO;
                }
            }
        }
        return RD_OK;
    }
    struct dot *dots = malloc(object->count * sizeof *dots);
    if (dots == NULL) {
        return RD_ENOMEM;
    }
    for (uint32_t i = 0; i < object->count; i++) {
        dots[i] = object->siblings[i].dot;
    }
    qsort(dots, object->count, sizeof *dots, by_dot);
    enum rd_err err = RD_OK;
    for (uint32_t i = 1; i < object->count && err == RD_OK; i++) {
        err = dot_compare(&dots[i - 1], &dots[i]) == 0 ? RD_EPROTO : RD_OK;
    }
    free(dots);
    return err;
}

/* Reads all behind the vector, and makes room for it once its size has been found possible. */
static enum rd_err read_siblings(const uint8_t *bytes, size_t len, size_t at,
                                 struct object *object) {
    uint64_t count;
    if (varint_get(bytes, len, &at, &object->deleted_stamp) != RD_OK ||
        object->deleted_stamp > HLC_MAX_STAMP || varint_get(bytes, len, &at, &count) != RD_OK) {
        return RD_EPROTO;
    }
    if (count > OBJECT_MAX_SIBLINGS) {
        return RD_ETOOBIG;
    }
    if (count > (len - at) / MIN_SIBLING_BYTES ||
        (object->version.count == 0 && object->deleted_stamp > 0)) {
        return RD_EPROTO;
    }
    if (count > 0) {
        object->siblings = malloc(count * sizeof *object->siblings);
        if (object->siblings == NULL) {
            return RD_ENOMEM;
        }
        object->cap = (uint32_t)count;
    }
    for (uint32_t i = 0; i < count; i++) {
        enum rd_err err = read_sibling(bytes, len, &at, object);
        if (err != RD_OK) {
            return err;
        }
    }
    return at == len ? refuse_double_dots(object) : RD_EPROTO;
}

enum rd_err object_decode(const void *bytes, size_t len, struct object *out) {
    const uint8_t *at = bytes;
    if (len < MIN_OBJECT_BYTES) {
        return RD_ECORRUPT;
    }
    size_t body = len - CHECKSUM_BYTES;
    if (bytes_get_u64(at + body) != hash_xxh64(at, body, 0)) {
        return RD_ECORRUPT;
    }
    if (at[0] != FORMAT) {
        return RD_EPROTO;
    }
    struct object object = {0};
    size_t taken;
    enum rd_err err = version_decode(at + 1, body - 1, &object.version, &taken);
    if (err == RD_OK) {
        err = read_siblings(at, body, 1 + taken, &object);
    }
    if (err != RD_OK) {
        object_free(&object);
        return err;
    }
    *out = object;
    return RD_OK;
}
