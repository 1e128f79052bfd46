/* From a key to its slot and partition (see slot.h; Dynamo 4.2).
 *
 * Hash tags follow the Redis Cluster specification: if the key has a '{' and behind the first one a
 * '}', and something stands between that '{' and the first '}' behind it, only this is hashed.
 */
#include "replication/slot.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

#define SLOT_BITS 14

/* Narrows *key to its hash tag, if it has one. */
static void find_tag(const char **key, size_t *len) {
    const char *open = *len > 0 ? memchr(*key, '{', *len) : NULL;
    if (open == NULL) {
        return;
    }
    const char *tag = open + 1;
    const char *close = memchr(tag, '}', *len - (size_t)(tag - *key));
    if (close == NULL || close == tag) {
        return;
    }
    *key = tag;
    *len = (size_t)(close - tag);
}

uint16_t slot_of_key(enum partitioner partitioner, const void *key, size_t len) {
    const char *text = key;
    find_tag(&text, &len);
    if (partitioner == PARTITIONER_CRC16) {
        return hash_crc16(text, len) % SLOT_COUNT;
    }
    assert(partitioner == PARTITIONER_MD5);
    uint8_t digest[HASH_MD5_BYTES];
    hash_md5(text, len, digest);
    return (uint16_t)((digest[0] << 8 | digest[1]) >> (16 - SLOT_BITS));
}

/* A power of two in 1..16384, so that each partition has the same number of slots. */
static void check_partitions(uint32_t partitions) {
    assert(partitions >= 1 && partitions <= SLOT_COUNT);
    assert((partitions & (partitions - 1)) == 0);
}

uint16_t slot_partition(uint16_t slot, uint32_t partitions) {
    check_partitions(partitions);
    assert(slot < SLOT_COUNT);
    return (uint16_t)(slot / (SLOT_COUNT / partitions));
}

uint16_t slot_first(uint16_t partition, uint32_t partitions) {
    check_partitions(partitions);
    assert(partition < partitions);
    return (uint16_t)(partition * (SLOT_COUNT / partitions));
}
