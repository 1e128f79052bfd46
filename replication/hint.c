/* Hints as values and as bytes; see hint.h. Not here: where they are kept (replica, hint_ledger)
 * and how they are delivered (hints).
 *
 * A row: format 1, flags, birth, the own actor if there is one, the number of targets, their ids in
 * order, the object. The object's encoding ends with a checksum of its own; the store guards the
 * row as a whole. */
#include "replication/hint.h"

#include <assert.h>
#include <string.h>

#include "replication/varint.h"

#define FORMAT 1
#define FLAG_MUST 1u
#define FLAG_OWN 2u

/* ---- values -------------------------------------------------------------------------------------- */

/* The place of `id`, or where it would stand. */
static uint8_t place_of(const struct hint_owed *owed, const struct node_id *id, bool *found) {
    uint8_t i = 0;
    while (i < owed->count && node_id_compare(&owed->targets[i], id) < 0)
        i++;
    *found = i < owed->count && node_id_compare(&owed->targets[i], id) == 0;
    return i;
}

bool hint_owes(const struct hint_owed *owed, const struct node_id *id) {
    bool found;
    place_of(owed, id, &found);
    return found;
}

enum rd_err hint_owe(struct hint_owed *owed, const struct node_id *id) {
    bool found;
    uint8_t at = place_of(owed, id, &found);
    if (found)
        return RD_OK;
    if (owed->count == HINT_MAX_TARGETS)
        return RD_ETOOBIG;
    memmove(&owed->targets[at + 1], &owed->targets[at],
            (owed->count - at) * sizeof(owed->targets[0]));
    owed->targets[at] = *id;
    owed->count++;
    return RD_OK;
}

bool hint_strike(struct hint_owed *owed, const struct node_id *id) {
    bool found;
    uint8_t at = place_of(owed, id, &found);
    if (!found)
        return false;
    owed->count--;
    memmove(&owed->targets[at], &owed->targets[at + 1],
            (owed->count - at) * sizeof(owed->targets[0]));
    return true;
}

enum rd_err hint_join(struct hint_owed *into, const struct hint_owed *from) {
    struct hint_owed joined = *into;
    for (uint8_t i = 0; i < from->count; i++)
        if (hint_owe(&joined, &from->targets[i]) != RD_OK)
            return RD_ETOOBIG;
    joined.must |= from->must;
    if (from->born_ms != 0 && (joined.born_ms == 0 || from->born_ms < joined.born_ms))
        joined.born_ms = from->born_ms;
    *into = joined;
    return RD_OK;
}

bool hint_same(const struct hint_owed *a, const struct hint_owed *b) {
    return a->count == b->count && a->must == b->must && a->has_own == b->has_own &&
           (!a->has_own || actor_compare(&a->own, &b->own) == 0) &&
           memcmp(a->targets, b->targets, a->count * sizeof(a->targets[0])) == 0;
}

void hint_check(const struct hint_owed *owed) {
    assert(owed->count <= HINT_MAX_TARGETS);
    for (uint8_t i = 1; i < owed->count; i++)
        assert(node_id_compare(&owed->targets[i - 1], &owed->targets[i]) < 0);
}

/* ---- bytes --------------------------------------------------------------------------------------- */

enum rd_err hint_unpack(const uint8_t *bytes, size_t len, struct hint_owed *owed) {
    if (len % NODE_ID_BYTES != 0)
        return RD_EPROTO;
    size_t count = len / NODE_ID_BYTES;
    if (count > HINT_MAX_TARGETS)
        return RD_ETOOBIG;
    struct node_id targets[HINT_MAX_TARGETS];
    for (size_t i = 0; i < count; i++) {
        memcpy(targets[i].bytes, bytes + i * NODE_ID_BYTES, NODE_ID_BYTES);
        if (i > 0 && node_id_compare(&targets[i - 1], &targets[i]) >= 0)
            return RD_EPROTO;
    }
    memcpy(owed->targets, targets, count * sizeof(targets[0]));
    owed->count = (uint8_t)count;
    return RD_OK;
}

enum rd_err hint_encode(const struct hint_owed *owed, const struct object *object,
                        struct buf *out) {
    uint8_t head[2 + 2 * VARINT_MAX_BYTES + 8 + 1] = {FORMAT};
    size_t at = 2;
    head[1] = (owed->must ? FLAG_MUST : 0) | (owed->has_own ? FLAG_OWN : 0);
    at += varint_write(head + at, owed->born_ms);
    if (owed->has_own) {
        for (int i = 0; i < 8; i++)
            head[at++] = (uint8_t)(owed->own.incarnation >> (56 - 8 * i));
        at += varint_write(head + at, owed->own.epoch);
    }
    head[at++] = owed->count;
    enum rd_err err = buf_append(out, head, at);
    if (err == RD_OK)
        err = buf_append(out, owed->targets, owed->count * sizeof(owed->targets[0]));
    return err == RD_OK ? object_encode(object, out) : err;
}

/* Reads the own actor at *at. */
static enum rd_err decode_own(const uint8_t *bytes, size_t len, size_t *at,
                              struct hint_owed *owed) {
    uint64_t epoch;
    if (len - *at < 8)
        return RD_EPROTO;
    for (int i = 0; i < 8; i++)
        owed->own.incarnation = owed->own.incarnation << 8 | bytes[(*at)++];
    if (varint_get(bytes, len, at, &epoch) != RD_OK || epoch > UINT32_MAX)
        return RD_EPROTO;
    owed->own.epoch = (uint32_t)epoch;
    owed->has_own = true;
    return RD_OK;
}

enum rd_err hint_decode(const void *bytes, size_t len, struct hint_owed *owed,
                        struct object *object) {
    const uint8_t *from = bytes;
    struct hint_owed read = {0};
    size_t at = 2;
    if (len < 2 || from[0] != FORMAT || (from[1] & ~(FLAG_MUST | FLAG_OWN)) != 0)
        return RD_EPROTO;
    read.must = (from[1] & FLAG_MUST) != 0;
    if (varint_get(from, len, &at, &read.born_ms) != RD_OK)
        return RD_EPROTO;
    if ((from[1] & FLAG_OWN) != 0 && decode_own(from, len, &at, &read) != RD_OK)
        return RD_EPROTO;
    if (at == len)
        return RD_EPROTO;
    size_t ids = (size_t)from[at++] * NODE_ID_BYTES;
    if (len - at < ids)
        return RD_EPROTO;
    enum rd_err err = hint_unpack(from + at, ids, &read);
    if (err == RD_OK)
        err = object_decode(from + at + ids, len - at - ids, object);
    if (err == RD_OK)
        *owed = read;
    return err;
}
