/* The node's own struct, shared by the node_*.c files and nobody else. */
#ifndef RD_REPLICATION_NODE_PRIVATE_H
#define RD_REPLICATION_NODE_PRIVATE_H

#include "replication/birth.h"
#include "replication/coordinator.h"
#include "replication/core.h"
#include "replication/exchange.h"
#include "replication/forwarded.h"
#include "replication/hints.h"
#include "replication/member.h"
#include "replication/node.h"
#include "replication/peers.h"
#include "replication/placement.h"
#include "replication/reap.h"
#include "replication/replace.h"
#include "replication/replica.h"

#define NODE_MAGIC 0x4e4f4445u

/* The row STORE_META "identity": who this node is. */
struct identity {
    uint64_t generation;                  /* of this start */
    uint8_t birth_key[CONTEXT_KEY_BYTES]; /* the seal key it brings to a cluster it founds */
    bool dirty, durable;
    uint64_t batch; /* that holds the row; 0: none */
};

struct open_batch { /* a commit under way */
    uint64_t token;
    bool identity;
    bool birth;
    uint64_t birth_row;
    bool leaves; /* corrections of leaves */
};

#define MAX_OPEN_BATCHES 16

struct node {
    uint32_t magic;
    bool stepping;
    struct core core;
    struct members members;
    struct peers peers;
    struct birth birth;
    struct replica replica;
    struct hints hints;
    struct placement placement;
    struct coordinator co;
    struct scan_jobs scan_jobs;
    struct forwarded forwarded;
    struct budget budget; /* of all that nobody waits for */
    struct exchange exchange;
    struct scrub scrub;
    struct reap reap;
    struct identity identity;
    uint32_t parked; /* writes that wait for the birth */
    uint64_t next_batch;
    struct open_batch batches[MAX_OPEN_BATCHES]; /* oldest first */
    uint32_t batch_count;
    uint64_t next_probe_us; /* while the store takes no writes: when to see whether it does again */
    uint64_t next_tick_us, next_gossip_us;
    uint64_t layout_hash;  /* of what the placement was computed from, while unborn */
    uint64_t layout_epoch; /* the birth's epoch of which the placement is; 0: of no certificate */
    uint64_t places_epoch; /* the birth's epoch that requests and protocols have heard of */
    struct replace replace;
};

/* True if requests are served: born, or the seeds have been met. */
bool node_is_open(const struct node *node);

/* A client's request (node_client.c). */
void node_on_client(struct node *node, const struct client_request *client);

/* Starts a parked or fresh write, at a home here or by forwarding. */
void node_start_write(struct node *node, struct request *request);

/* A write that a peer forwarded to this node. */
void node_on_forward(struct node *node, uint16_t member, const struct wire_msg *msg);

/* A message of a ready link that is none of the handshake's (node_frames.c). The link may be
 * gone afterwards. */
void node_on_message(struct node *node, struct link *link, const struct wire_msg *msg);

/* A peer's SCAN and SCAN-ANSWER (node_scan.c). Error: RD_EPROTO. */
enum rd_err node_on_scan(struct node *node, uint16_t member, const struct wire_msg *msg);
enum rd_err node_on_scan_answer(struct node *node, uint16_t member, const struct wire_msg *msg);

/* Hands the local replica's finished lists to whoever asked; says whether there were any. */
bool node_give_scans(struct node *node);

/* An answer of the local replica. */
void node_on_replica_answer(struct node *node, const struct replica_answer *answer);

/* Tells a member that has just become reachable, over `link`, all that is known. */
void node_greet(struct node *node, uint16_t member, struct link *link);

/* Says all entries to everybody in reach. */
void node_spread(struct node *node);

/* What a handshake has brought to light. The link may be gone afterwards. */
void node_on_news(struct node *node, const struct peers_news *news);

/* Somebody has taken another's places: what waits for the one that is gone ends (node_places.c). */
void node_places_changed(struct node *node);

/* Begins one round of gossip. */
void node_gossip(struct node *node);

#endif
