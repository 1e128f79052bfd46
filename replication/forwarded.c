/* Forwarded writes that have come lately; see forwarded.h. */
#include "replication/forwarded.h"

#include "base/hash.h"

bool forwarded_first(struct forwarded *forwarded, uint16_t member, uint64_t id) {
    uint64_t hash = hash_xxh64(&id, sizeof(id), member);
    struct forwarded_bucket *bucket = &forwarded->buckets[hash % FORWARDED_BUCKETS];
    for (unsigned i = 0; i < FORWARDED_DEPTH; i++)
        if (bucket->ids[i] == id && bucket->members[i] == member && id != 0)
            return false;
    bucket->ids[bucket->next] = id;
    bucket->members[bucket->next] = member;
    bucket->next = (uint16_t)((bucket->next + 1) % FORWARDED_DEPTH);
    return true;
}
