/* The name of a node: 20 random bytes, born with its data directory and shown as 40 hex digits, as
 * Redis Cluster does. Addresses change, ids do not: everything durable is keyed by id. */
#ifndef RD_REPLICATION_NODE_ID_H
#define RD_REPLICATION_NODE_ID_H

#include <stdint.h>
#include <string.h>

#define NODE_ID_BYTES 20
#define NODE_ID_HEX 40

struct node_id {
    uint8_t bytes[NODE_ID_BYTES];
};

/* Orders ids as byte strings: negative, 0 or positive, as memcmp. */
static inline int node_id_compare(const struct node_id *a, const struct node_id *b) {
    return memcmp(a->bytes, b->bytes, NODE_ID_BYTES);
}

#endif
