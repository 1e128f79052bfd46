/* From a key to its slot and partition.
 *
 * 16384 slots; `crc16` is Redis Cluster's function, which makes every cluster-aware client a
 * zero-hop router, `md5` the paper's hash (Dynamo 4.2): the top 14 bits of the digest. Hash tags
 * {...} count for both. A partition is a run of slots with fixed boundaries.
 */
#ifndef RD_REPLICATION_SLOT_H
#define RD_REPLICATION_SLOT_H

#include <stddef.h>
#include <stdint.h>

#define SLOT_COUNT 16384

enum partitioner { PARTITIONER_CRC16 = 0, PARTITIONER_MD5 = 1 };

/* The slot of `key`, 0..16383. */
uint16_t slot_of_key(enum partitioner partitioner, const void *key, size_t len);

/* The partition of `slot` among `partitions` (a power of two, 1..16384, asserted). */
uint16_t slot_partition(uint16_t slot, uint32_t partitions);

/* The first slot of `partition`; the last one is the next partition's first minus one. */
uint16_t slot_first(uint16_t partition, uint32_t partitions);

#endif
