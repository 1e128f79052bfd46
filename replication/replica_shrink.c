/* Keys in flight that become smaller: what a reaper has proved to be of no use any more is forgotten. See replica.h and reap.h. */
#include <assert.h>
#include <stdlib.h>

#include "replication/replica_private.h"
#include "replication/shrink.h"

enum rd_err replica_shrink(struct replica *replica, struct blob *key, uint64_t digest,
                           struct version *kept, const struct asker *asker) {
    struct waiter *waiter = replica_waiter(replica, REPLICA_STORED, asker);
    assert(replica->ledger == NULL);
    if (waiter == NULL || (waiter->shrink = calloc(1, sizeof(*waiter->shrink))) == NULL) {
        replica_waiter_free(replica, waiter);
        version_free(kept);
        return RD_ENOMEM;
    }
    *waiter->shrink = (struct waiter_shrink){digest, *kept};
    *kept = (struct version){0};
    return replica_ask(replica, key, waiter);
}

enum rd_err replica_apply_shrink(struct replica *replica, struct replica_entry *entry,
                                 const struct waiter *waiter) {
    uint64_t wall_ms = replica->core->now.wall_us / 1000;
    if (replica_digest(entry) != waiter->shrink->digest)
        return RD_EREFUSED;
    enum rd_err err = shrink_apply(&entry->held, &waiter->shrink->kept, wall_ms);
    if (err == RD_OK)
        replica_mark_dirty(replica, entry);
    return err;
}
