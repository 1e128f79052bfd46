/* Pages of keys. An entry: the length of the key, the key, the length of the object, the object; lengths as varints. */
#include "replication/scan_page.h"

#include <string.h>

#include "base/hash.h"
#include "replication/varint.h"

static struct resp_slice blob_slice(const struct blob *blob) {
    return (struct resp_slice){blob->bytes, blob->len};
}

int scan_order(uint16_t slot_a, struct resp_slice a, uint16_t slot_b, struct resp_slice b) {
    if (slot_a != slot_b)
        return slot_a < slot_b ? -1 : 1;
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0)
        return order < 0 ? -1 : 1;
    return (a.len > b.len) - (a.len < b.len);
}

/* ---- positions ----------------------------------------------------------------------------------- */

void scan_position_slot(struct scan_position *at, uint16_t slot) {
    blob_unref(at->key);
    *at = (struct scan_position){.slot = slot};
}

enum rd_err scan_position_key(struct scan_position *at, uint16_t slot, struct resp_slice key) {
    struct blob *blob;
    enum rd_err err = blob_new(key.data, key.len, &blob);
    if (err != RD_OK)
        return err;
    blob_unref(at->key);
    *at = (struct scan_position){.slot = slot, .key = blob};
    return RD_OK;
}

void scan_position_copy(struct scan_position *to, const struct scan_position *from) {
    struct blob *key = blob_ref(from->key);
    blob_unref(to->key);
    *to = (struct scan_position){.slot = from->slot, .key = key};
}

void scan_position_free(struct scan_position *at) {
    scan_position_slot(at, 0);
}

bool scan_position_passed(const struct scan_position *at, uint16_t slot, struct resp_slice key) {
    if (at->key == NULL)
        return slot < at->slot;
    return scan_order(slot, key, at->slot, blob_slice(at->key)) <= 0;
}

int scan_position_compare(const struct scan_position *a, const struct scan_position *b) {
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    if (a->key == NULL || b->key == NULL)
        return (a->key != NULL) - (b->key != NULL);
    return scan_order(a->slot, blob_slice(a->key), b->slot, blob_slice(b->key));
}

uint64_t scan_place(struct resp_slice key) {
    uint64_t place = hash_xxh64(key.data, key.len, 3) & ((UINT64_C(1) << SCAN_PLACE_BITS) - 1);
    return place == 0 ? 1 : place;
}

/* ---- pages --------------------------------------------------------------------------------------- */

/* Takes the bytes of all values away; the digest stays what it was. */
static enum rd_err strip(struct object *object) {
    struct blob *nothing;
    enum rd_err err = blob_new(NULL, 0, &nothing);
    if (err != RD_OK)
        return err;
    for (uint32_t i = 0; i < object->count; i++) {
        blob_unref(object->siblings[i].value);
        object->siblings[i].value = blob_ref(nothing);
    }
    blob_unref(nothing);
    return RD_OK;
}

static enum rd_err put(struct buf *page, struct resp_slice bytes) {
    enum rd_err err = varint_put(page, bytes.len);
    return err == RD_OK ? buf_append(page, bytes.data, bytes.len) : err;
}

enum rd_err scan_page_add(struct buf *page, struct resp_slice key, struct resp_slice value) {
    struct object object;
    struct buf bytes = {0};
    size_t before = buf_len(page);
    enum rd_err err = object_decode(value.data, value.len, &object);
    if (err != RD_OK)
        return err == RD_ENOMEM ? err : RD_ECORRUPT;
    err = strip(&object);
    if (err == RD_OK)
        err = object_encode(&object, &bytes);
    if (err == RD_OK)
        err = put(page, key);
    if (err == RD_OK)
        err = put(page, (struct resp_slice){buf_data(&bytes), buf_len(&bytes)});
    if (err != RD_OK)
        buf_truncate(page, before);
    buf_free(&bytes);
    object_free(&object);
    return err;
}

static enum rd_err take(struct resp_slice page, size_t *at, struct resp_slice *out) {
    uint64_t len;
    if (varint_get(page.data, page.len, at, &len) != RD_OK || len > page.len - *at)
        return RD_EPROTO;
    *out = (struct resp_slice){page.data + *at, (size_t)len};
    *at += (size_t)len;
    return RD_OK;
}

enum rd_err scan_page_next(struct resp_slice page, size_t *at, struct scan_entry *out) {
    size_t next = *at;
    struct scan_entry entry;
    if (take(page, &next, &entry.key) != RD_OK || take(page, &next, &entry.object) != RD_OK)
        return RD_EPROTO;
    *at = next;
    *out = entry;
    return RD_OK;
}

enum rd_err scan_page_check(struct resp_slice page, enum partitioner partitioner,
                            const struct scan_position *from, const struct scan_position *to) {
    struct scan_entry entry, last = {0};
    uint16_t last_slot = 0;
    for (size_t at = 0; at < page.len;) {
        bool first = at == 0;
        if (scan_page_next(page, &at, &entry) != RD_OK)
            return RD_EPROTO;
        uint16_t slot = slot_of_key(partitioner, entry.key.data, entry.key.len);
        if (first ? scan_position_passed(from, slot, entry.key)
                  : scan_order(slot, entry.key, last_slot, last.key) <= 0)
            return RD_EPROTO;
        if (!scan_position_passed(to, slot, entry.key))
            return RD_EPROTO;
        last = entry;
        last_slot = slot;
    }
    return RD_OK;
}
