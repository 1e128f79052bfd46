/* The order and the checksum of rows; see row.h. */
#include "store/row.h"

#include <string.h>

#include "base/hash.h"

static int bytes_compare(const void *a, size_t a_len, const void *b, size_t b_len) {
    size_t common = a_len < b_len ? a_len : b_len;
    int order = common == 0 ? 0 : memcmp(a, b, common);
    if (order != 0) {
        return order;
    }
    return (a_len > b_len) - (a_len < b_len);
}

int row_compare(const struct store_key *a, const struct store_key *b) {
    if (a->space != b->space) {
        return a->space < b->space ? -1 : 1;
    }
    if (a->slot != b->slot) {
        return a->slot < b->slot ? -1 : 1;
    }
    int order = bytes_compare(a->key, a->key_len, b->key, b->key_len);
    return order != 0 ? order : bytes_compare(a->sub, a->sub_len, b->sub, b->sub_len);
}

bool row_same(const struct store_key *a, const struct store_key *b) {
    return a->slot == b->slot && a->space == b->space && a->key_len == b->key_len &&
           a->sub_len == b->sub_len &&
           (a->key_len == 0 || memcmp(a->key, b->key, a->key_len) == 0) &&
           (a->sub_len == 0 || memcmp(a->sub, b->sub, a->sub_len) == 0);
}

uint64_t row_hash(const struct store_key *at) {
    uint64_t seed = ((uint64_t)at->space << 32) | at->slot;
    uint64_t hash = hash_xxh64(at->key_len == 0 ? "" : at->key, at->key_len, seed);
    return at->sub_len == 0 ? hash : hash_xxh64(at->sub, at->sub_len, hash);
}

static uint8_t *put_u64(uint8_t *to, uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) {
        *to++ = (uint8_t)(number >> shift);
    }
    return to;
}

/* One hash seeds the next. The lengths come first, so that no byte can move from one field to its
 * neighbour unnoticed. */
uint64_t row_checksum(const struct store_key *at, const struct row_value *value) {
    uint8_t head[7 * 8];
    uint8_t *end = head;
    end = put_u64(end, (uint64_t)at->space << 32 | at->slot);
    end = put_u64(end, at->key_len);
    end = put_u64(end, at->sub_len);
    end = put_u64(end, value->value->len);
    end = put_u64(end, value->digest);
    end = put_u64(end, value->due_ms);
    end = put_u64(end, value->live);
    uint64_t sum = hash_xxh64(head, (size_t)(end - head), 0);
    sum = hash_xxh64(at->key_len == 0 ? "" : at->key, at->key_len, sum);
    sum = hash_xxh64(at->sub_len == 0 ? "" : at->sub, at->sub_len, sum);
    return hash_xxh64(value->value->bytes, value->value->len, sum);
}
