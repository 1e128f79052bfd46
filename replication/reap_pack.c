/* Packed pieces of REAP frames: numbers big-endian, a key behind its length, a vector in its own encoding. See reap_pack.h. */
#include "replication/reap_pack.h"

#include <string.h>

#include "replication/bytes.h"

#define WISH_HEAD 13 /* length, digest, flags */
#define FENCE_BYTES (NODE_ID_BYTES + 16)

static void put_u32(uint8_t *at, uint32_t number) {
    for (unsigned k = 0; k < 4; k++)
        at[k] = (uint8_t)(number >> (24 - 8 * k));
}

static uint32_t get_u32(const uint8_t *at) {
    uint32_t number = 0;
    for (unsigned k = 0; k < 4; k++)
        number = number << 8 | at[k];
    return number;
}

static void move(struct resp_slice *at, size_t bytes) {
    at->data += bytes;
    at->len -= bytes;
}

enum rd_err reap_pack_wish(struct buf *out, const struct reap_wish *wish) {
    uint8_t head[WISH_HEAD];
    size_t before = buf_len(out);
    put_u32(head, (uint32_t)wish->key.len);
    bytes_put_u64(head + 4, wish->digest);
    head[12] = wish->gone;
    enum rd_err err = buf_append(out, head, sizeof head);
    if (err == RD_OK && wish->key.len > 0)
        err = buf_append(out, wish->key.data, wish->key.len);
    if (err != RD_OK)
        buf_truncate(out, before);
    return err;
}

enum rd_err reap_unpack_wish(struct resp_slice *at, struct reap_wish *out) {
    if (at->len < WISH_HEAD)
        return RD_EPROTO;
    uint32_t len = get_u32(at->data);
    if (len > at->len - WISH_HEAD || at->data[12] > 1)
        return RD_EPROTO;
    *out = (struct reap_wish){.key = {at->data + WISH_HEAD, len},
                              .digest = bytes_get_u64(at->data + 4),
                              .gone = at->data[12] == 1};
    move(at, WISH_HEAD + len);
    return RD_OK;
}

enum rd_err reap_count_wishes(struct resp_slice items, uint32_t most, uint32_t *out) {
    uint32_t count = 0;
    while (items.len > 0) {
        struct reap_wish wish;
        if (reap_unpack_wish(&items, &wish) != RD_OK)
            return RD_EPROTO;
        if (++count > most)
            return RD_ETOOBIG;
    }
    if (count == 0)
        return RD_EPROTO;
    *out = count;
    return RD_OK;
}

enum rd_err reap_pack_vector(struct buf *out, uint32_t index, const struct version *kept) {
    uint8_t head[4];
    size_t before = buf_len(out);
    put_u32(head, index);
    enum rd_err err = buf_append(out, head, sizeof head);
    if (err == RD_OK)
        err = version_encode(kept, out);
    if (err != RD_OK)
        buf_truncate(out, before);
    return err;
}

enum rd_err reap_unpack_vector(struct resp_slice *at, uint32_t *index, struct version *out) {
    size_t taken;
    if (at->len < 4)
        return RD_EPROTO;
    enum rd_err err = version_decode(at->data + 4, at->len - 4, out, &taken);
    if (err != RD_OK)
        return err;
    *index = get_u32(at->data);
    move(at, 4 + taken);
    return RD_OK;
}

enum rd_err reap_pack_fence(struct buf *out, const struct reap_fence *fence) {
    uint8_t bytes[FENCE_BYTES];
    memcpy(bytes, fence->member.bytes, NODE_ID_BYTES);
    bytes_put_u64(bytes + NODE_ID_BYTES, fence->start);
    bytes_put_u64(bytes + NODE_ID_BYTES + 8, fence->number);
    return buf_append(out, bytes, sizeof bytes);
}

enum rd_err reap_unpack_fence(struct resp_slice *at, struct reap_fence *out) {
    if (at->len < FENCE_BYTES)
        return RD_EPROTO;
    memcpy(out->member.bytes, at->data, NODE_ID_BYTES);
    out->start = bytes_get_u64(at->data + NODE_ID_BYTES);
    out->number = bytes_get_u64(at->data + NODE_ID_BYTES + 8);
    move(at, FENCE_BYTES);
    return RD_OK;
}
