/* What a node is told at birth: its configuration and what its store remembered. */
#ifndef RD_REPLICATION_NODE_CONF_H
#define RD_REPLICATION_NODE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "replication/planted.h"
#include "replication/ring.h"
#include "replication/slot.h"

#define NODE_PROTOCOL_VERSION 2 /* grows with each change of what peers say, or of an entry */
#define NODE_HOST_BYTES 256     /* with the terminating zero: a DNS name or a numeric address */
#define NODE_NAME_BYTES 64
#define NODE_SECRET_BYTES 256

enum conflict_resolution { CONFLICT_SIBLINGS = 0, CONFLICT_LAST_WRITE_WINS = 1 };

struct node_address {
    char host[NODE_HOST_BYTES];
    uint16_t port;
};

struct node_conf {
    char cluster_name[NODE_NAME_BYTES];
    char secret[NODE_SECRET_BYTES]; /* cluster-secret; empty: none */
    uint32_t n, r, w;               /* replication-factor, read-quorum, write-quorum */
    uint32_t partitions;
    enum partitioner partitioner;
    enum conflict_resolution conflict_resolution;
    uint32_t vnodes;
    char zone[RING_ZONE_BYTES];
    char announce_host[NODE_HOST_BYTES]; /* empty: as peers see this node */
    uint16_t port;                       /* announced to clients */
    uint16_t cluster_port;               /* announced to peers */
    const struct node_address *seeds;    /* copied by node_new */
    size_t seed_count;
    uint32_t request_timeout_ms, gossip_interval_ms, failure_timeout_ms;
    uint32_t max_siblings;
    uint64_t max_object_bytes;
    uint32_t max_requests; /* in flight; above it clients get RD_EOVERLOADED */
    bool read_repair;
    bool sloppy_quorum;      /* acknowledgements of fallbacks may count */
    bool hinted_handoff;     /* what homes miss is kept for them */
    uint64_t max_hint_bytes; /* of all hints together */
    uint64_t handoff_rate;   /* bytes per second of background transfer; 0: as fast as it goes */
    bool anti_entropy;
    uint32_t anti_entropy_interval_ms; /* of a pair of replicas, on average */
    uint64_t tombstone_grace_ms;       /* a deletion is remembered at least so long */
    bool trace;                        /* emit TRACE_DEBUG lines */
    enum planted_bug planted_bug; /* read only where RD_PLANTED_BUGS is defined: tests of tests */
    /* Rows of STORE_META as the store held them at the start; NULL: absent. Borrowed by node_new. */
    struct blob *meta_identity; /* row "identity": node id and last incarnation */
    struct blob *meta_birth;    /* row "birth": the birth certificate, if the cluster was born */
};

#endif
