/* The state of a story's cluster, for cluster*.c only. */
#ifndef RD_SIM_CLUSTER_INTERNAL_H
#define RD_SIM_CLUSTER_INTERNAL_H

#include "sim/cluster.h"

/* What is to happen with the next frames of a kind. */
struct frame_rule {
    uint32_t from, to;
    enum wire_kind kind;
    unsigned left;
    bool keep;
};

struct kept_frame {
    uint32_t from;
    uint64_t link;
    struct blob *frame;
};

struct cluster {
    struct world *world;
    uint64_t answer_us;
    struct node_id *ids; /* of each machine, as of its last start */
    struct frame_rule *rules;
    size_t rule_count, rule_cap;
    struct kept_frame *kept;
    size_t kept_count, kept_cap;
    bool recording, all;
    uint64_t record_from_us;
    char alias[32]; /* the key of cluster_key_at; empty: none */
    struct buf story;
};

/* The network's tap: applies the rules. */
bool cluster_tap(void *arg, uint32_t from, uint32_t to, uint64_t link, struct blob *frame);

/* Listens to the world's trace. */
void trace_attach(struct cluster *c);

#endif
