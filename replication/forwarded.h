/* Which forwarded writes have come lately (TRAPS double_coordination).
 *
 * A write must be coordinated once. A frame that comes twice, however that may happen, would be
 * coordinated twice: two dots, the second of which knows nothing of what has replaced the first.
 * So the newest names of forwarded writes are remembered: a bounded number, the oldest of a bucket
 * making room for the next. Zeroed: none. */
#ifndef RD_REPLICATION_FORWARDED_H
#define RD_REPLICATION_FORWARDED_H

#include <stdbool.h>
#include <stdint.h>

#define FORWARDED_BUCKETS 1024 /* a power of two */
#define FORWARDED_DEPTH 4

struct forwarded_bucket {
    uint64_t ids[FORWARDED_DEPTH]; /* 0: none; a peer's names are never 0 */
    uint16_t members[FORWARDED_DEPTH];
    uint16_t next; /* where the next one goes */
};

struct forwarded {
    struct forwarded_bucket buckets[FORWARDED_BUCKETS];
};

/* Notes that `member` has forwarded its request `id`. Returns false if it is known to have done so
 * before. */
bool forwarded_first(struct forwarded *forwarded, uint16_t member, uint64_t id);

#endif
