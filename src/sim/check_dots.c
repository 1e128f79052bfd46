/* sim/check_dots: see check_dots.h. An open hash table from (key, dot) to (stamp, expiry, value),
 * by hashes of 64 bits. */
#include "sim/check_dots.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "replication/hint.h"
#include "replication/object.h"
#include "sim/mem.h"
#include "store/types.h"

struct slot {
    uint64_t name; /* 0: free */
    uint64_t carries;
};

struct dots {
    struct slot *slots; /* owned; `size`, a power of two */
    size_t size, count;
};

struct dots *dots_new(void) {
    struct dots *dots = mem_zero(sizeof *dots);
    dots->size = 4096;
    dots->slots = mem_zero(dots->size * sizeof *dots->slots);
    return dots;
}

void dots_free(struct dots **handle) {
    if (*handle != NULL) {
        free((*handle)->slots);
        free(*handle);
        *handle = NULL;
    }
}

static struct slot *find(struct dots *dots, uint64_t name) {
    size_t i = name & (dots->size - 1);
    while (dots->slots[i].name != 0 && dots->slots[i].name != name) {
        i = (i + 1) & (dots->size - 1);
    }
    return &dots->slots[i];
}

static void grow(struct dots *dots) {
    struct slot *old = dots->slots;
    size_t size = dots->size;
    dots->size *= 2;
    dots->slots = mem_zero(dots->size * sizeof *dots->slots);
    for (size_t i = 0; i < size; i++) {
        if (old[i].name != 0) {
            *find(dots, old[i].name) = old[i];
        }
    }
    free(old);
}

static void see(struct dots *dots, uint64_t key_hash, const struct sibling *sibling,
                struct buf *violation) {
    uint64_t dot[4] = {key_hash, sibling->dot.actor.incarnation, sibling->dot.actor.epoch,
                       sibling->dot.counter};
    uint64_t times[2] = {sibling->stamp, sibling->expires_ms};
    uint64_t name = hash_xxh64(dot, sizeof dot, 0) | 1;
    uint64_t carries =
        hash_xxh64(sibling->value->bytes, sibling->value->len, hash_xxh64(times, sizeof times, 0));
    struct slot *slot = find(dots, name);
    if (slot->name == 0) {
        *slot = (struct slot){name, carries};
        dots->count++;
    } else if (slot->carries != carries && buf_len(violation) == 0) {
        mem_printf(violation, "clash: a dot carries two values, one of them %.*s",
                   (int)sibling->value->len, (const char *)sibling->value->bytes);
    }
}

void dots_see(struct dots *dots, const struct effect *put, struct buf *violation) {
    assert(put->kind == EFF_STORE_PUT);
    struct object object;
    struct hint_owed owed;
    const struct blob *row = put->store_put.value, *key = put->store_put.at.key;
    bool hint = put->store_put.at.space == STORE_HINTS;
    if ((put->store_put.at.space != STORE_OBJECTS && !hint) || row == NULL) {
        return;
    }
    enum rd_err err = hint ? hint_decode(row->bytes, row->len, &owed, &object)
                           : object_decode(row->bytes, row->len, &object);
    if (err != RD_OK) {
        mem_printf(violation, "undecodable: a node stores a row that is no object or hint");
        return;
    }
    uint64_t key_hash = hash_xxh64(key->bytes, key->len, 0);
    for (uint32_t i = 0; i < object.count; i++) {
        if (2 * dots->count >= dots->size) {
            grow(dots);
        }
        see(dots, key_hash, &object.siblings[i], violation);
    }
    object_free(&object);
}

size_t dots_count(const struct dots *dots) {
    return dots->count;
}
