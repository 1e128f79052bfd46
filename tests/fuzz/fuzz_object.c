/* The decoders of objects and of hints, which end with one: whatever they accept is sound and encodes
 * to the very same bytes; merging an object is a join. The last 8 bytes of the input are replaced by the right checksum, otherwise nothing
 * would get past it. */
#include "replication/hint.h"
#include "replication/object.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_encode_to(const struct object *object, const uint8_t *bytes, size_t len) {
    struct buf buf = {0};
    enum rd_err err = object_encode(object, &buf);
    assert(err == RD_OK);
    assert(buf_len(&buf) == len && memcmp(buf_data(&buf), bytes, len) == 0);
    buf_free(&buf);
}

/* Merges the object with a part of itself: nothing may be gained or lost. */
static void must_absorb(const struct object *object, uint8_t choice) {
    struct object copy = {0};
    enum rd_err err = object_copy(object, &copy);
    assert(err == RD_OK);
    object_keep_newest(&copy);
    struct object one = {0};
    err = object_copy(choice & 1 ? object : &copy, &one);
    assert(err == RD_OK);
    struct object_merge_result result;
    err = object_merge(&one, choice & 1 ? &copy : object, &result);
    assert(err == RD_OK && !result.dot_clash);
    object_check(&one);
    assert(object_equal(&one, &copy)); /* what a copy with the same vector lacks was dropped */
    assert((object_digest(&one) == object_digest(object)) == object_equal(&one, object));
    object_free(&one);
    object_free(&copy);
}

static void try_hint(const uint8_t *bytes, size_t len) {
    struct hint_owed owed;
    struct object object;
    struct buf buf = {0};
    if (hint_decode(bytes, len, &owed, &object) != RD_OK) {
        return;
    }
    hint_check(&owed);
    object_check(&object);
    enum rd_err err = hint_encode(&owed, &object, &buf);
    assert(err == RD_OK);
    assert(buf_len(&buf) == len && memcmp(buf_data(&buf), bytes, len) == 0);
    buf_free(&buf);
    object_free(&object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct object object;
    try_hint(data, size);
    if (object_decode(data, size, &object) == RD_OK) { /* a seed of the corpus */
        object_check(&object);
        must_encode_to(&object, data, size);
        object_free(&object);
    }
    if (size < 8) {
        return 0;
    }
    uint8_t *bytes = malloc(size);
    assert(bytes != NULL);
    memcpy(bytes, data, size);
    uint64_t sum = hash_xxh64(bytes, size - 8, 0);
    for (unsigned i = 0; i < 8; i++) {
        bytes[size - 8 + i] = (uint8_t)(sum >> (56 - 8 * i));
    }
    try_hint(bytes, size);
    if (object_decode(bytes, size, &object) == RD_OK) {
        object_check(&object);
        must_encode_to(&object, bytes, size);
        must_absorb(&object, data[size - 1]);
        object_free(&object);
    }
    free(bytes);
    return 0;
}
