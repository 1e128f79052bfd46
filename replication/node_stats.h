/* What a node counts, for INFO and for tests. */
#ifndef RD_REPLICATION_NODE_STATS_H
#define RD_REPLICATION_NODE_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "replication/node_id.h"

struct node_stats {
    uint64_t read_repairs, sibling_reads, quorum_failures_read, quorum_failures_write;
    uint64_t requests_forwarded, late_answers, second_rounds, fresh_incarnations, dot_clashes;
    uint64_t frames_refused, links_refused, store_errors, corrupt_rows;
    uint64_t links_silent; /* given up because nothing was heard over them */
    uint64_t hints_kept;   /* writes that were merged into hints of this node */
    uint64_t hints_delivered, hints_dropped;
    uint64_t hints_refused; /* for want of room, by a fallback that was to acknowledge */
    uint64_t stand_ins;     /* acknowledgements of fallbacks that counted */
    uint64_t hints_pending; /* objects owed, once for each node that they are owed to */
    uint64_t hint_bytes;    /* of all their rows */
    bool hints_counted;     /* these are known: all rows have been counted since the start */
    uint64_t antientropy_exchanges, antientropy_keys_repaired, antientropy_bytes;
    uint64_t antientropy_messages, leaves_mended;
    uint64_t tombstones; /* rows of this node that are one, as far as they have been counted */
    uint64_t tombstones_reaped, vectors_pruned; /* by rounds that this node drove */
    uint64_t expired_reaped;                    /* of those reaped: they had expired */
    uint64_t reap_messages;                     /* sent, fences not counted */
    uint64_t requests_in_flight, keys_in_flight;
    uint64_t partitions_owned; /* partitions this node is a home of */
    uint32_t members, members_up;
    uint32_t members_joining; /* that are being filled */
    bool born;                /* the cluster has accepted its first write */
    bool open;                /* requests are served (no -CLUSTERDOWN) */
    char cluster_id[NODE_ID_HEX + 1];
};

#endif
