/* Anti-entropy (Dynamo 4.7): two replicas compare the Merkle trees of all partitions they share, and mend what differs.
 *
 *   ROOTS --> DESCEND --> (pause) --> LOOK AGAIN --> LIST --> (pause) --> KEYS --> done
 *     all      only where   in-flight    which leaves   (key, digest)       per key: the own copy, then READ with
 *     roots    hashes       writes       still differ   of those leaves     its digest; what has not moved on either
 *     at once  differ       settle                      on both sides       side since is merged both ways
 *
 * The node that began an exchange drives it, the other one answers and keeps nothing but the scans that are under way. A write in flight
 * is no divergence: a leaf must differ twice, some time apart, and then a key must differ twice, with at least one side unchanged in
 * between. Repairs are merges of whole objects, as everywhere. One exchange at a time is driven by a node; of each pair the one with the
 * lower id begins, unless asked to (DYNCLUSTER REPAIR, a mark of dropped hints).
 *
 * Leaves are those of the store, as of the last commit. If two leaves differ though their rows do not, one of them has drifted from its
 * rows: both sides are told to count them anew (scrub.h).
 */
#ifndef RD_REPLICATION_EXCHANGE_H
#define RD_REPLICATION_EXCHANGE_H

#include "replication/budget.h"
#include "replication/flow.h"
#include "replication/merkle.h"
#include "replication/op_read.h"
#include "replication/op_write.h"
#include "replication/peers.h"
#include "replication/placement.h"
#include "replication/replica.h"
#include "replication/scrub.h"

/* Ids of READ and WRITE frames that belong to an exchange; requests never have this bit. */
#define EXCHANGE_ID (UINT64_C(1) << 63)

#define EXCHANGE_MAX_NODES 2048 /* in one message */
#define EXCHANGE_MAX_FRONTIER (EXCHANGE_MAX_NODES * (MERKLE_FANOUT + 2))
#define EXCHANGE_MAX_LEAVES 16384
#define EXCHANGE_MANY_LEAVES                                                                       \
    1024 /* so many differ for no writes in flight: they are not looked at twice */
#define EXCHANGE_MAX_KEYS 32768
#define EXCHANGE_LANES 16   /* slots that are being listed at a time */
#define EXCHANGE_WINDOW 256 /* keys that are being mended at a time, fewer if they are large: */
#define EXCHANGE_WINDOW_BYTES (4u << 20)
#define EXCHANGE_SERVES 32 /* scans for others at a time */

struct exchange_session; /* what this node drives; private to exchange*.c */

struct exchange_pair {    /* by member index */
    uint64_t next_us;     /* when to exchange with it again */
    uint64_t interval_us; /* adapted: shorter where something was found */
    bool wanted;          /* by an operator or a mark: whoever has the lower id */
    uint64_t passes;      /* exchanges driven from here that left nothing out */
};

struct exchange_serve { /* a scan for a peer; token 0: free */
    uint64_t token;
    uint16_t member;
    uint64_t id;
    uint16_t slot, leaves;
};

struct exchange {
    struct core *core; /* all borrowed */
    struct members *members;
    struct peers *peers;
    struct placement *placement;
    struct replica *replica;
    struct budget *budget;
    struct scrub *scrub;
    struct flow pages, mending; /* of slots being listed, and keys being mended */
    struct merkle tree;         /* of whichever partition was looked at last */
    uint64_t *leaves;           /* its leaves, owned */
    uint32_t leaf_count;
    struct exchange_pair *pairs; /* owned */
    uint16_t pair_count;
    struct exchange_session *session; /* owned; NULL: none */
    uint64_t next_id, next_token;
    struct exchange_serve serves[EXCHANGE_SERVES];
    struct blob *damaged[64]; /* keys whose own row is damaged, to be fetched; owned */
    uint32_t damaged_count;
    uint64_t fetch_us; /* when they are asked for again */
};

/* Starts; core, view and configuration are read later. The other pointers are set by the caller. */
void exchange_init(struct exchange *x, struct core *core);

/* Frees all. */
void exchange_free(struct exchange *x);

/* Goes on with what is under way and begins what is due; to be called about each PEERS_TICK_US, while the cluster is born. */
void exchange_tick(struct exchange *x);

/* A link of `member` has become ready: it may have missed something. */
void exchange_met(struct exchange *x, uint16_t member);

/* `member` needs an exchange with this node: writes for it were dropped. */
void exchange_mark(struct exchange *x, uint16_t member);

/* An operator wants exchanges now, of `partition` or (UINT32_MAX) all: returns how many will be begun. */
unsigned exchange_repair(struct exchange *x, uint32_t partition);

/* This node is being filled: wants an exchange with `member`, unless one is under way or due. False: there is nothing to exchange with it. */
bool exchange_ask(struct exchange *x, uint16_t member);

/* How many exchanges with `member` driven by this node have come to their end and left nothing out. */
uint64_t exchange_passes(const struct exchange *x, uint16_t member);

/* The own row of `key` is damaged: fetches the object from another replica. */
void exchange_damaged(struct exchange *x, struct blob *key);

/* One of the TREE messages. Error: RD_EPROTO. */
enum rd_err exchange_message(struct exchange *x, uint16_t member, const struct wire_msg *msg);

/* Answers to READ and WRITE frames with EXCHANGE_ID. */
void exchange_read_answer(struct exchange *x, uint64_t id, const struct read_answer *answer);
void exchange_write_answer(struct exchange *x, uint64_t id, uint16_t member, enum rd_err err);

/* An answer of the own replica to ASKER_EXCHANGE. */
void exchange_own_answer(struct exchange *x, const struct replica_answer *answer);

/* A page of a scan with SCAN_EXCHANGE. */
void exchange_scanned(struct exchange *x, uint64_t token, enum rd_err err,
                      const struct scanned_row *rows, size_t count, bool end);

/* `member` holds no place any more: nothing is exchanged with it. */
void exchange_gone(struct exchange *x, uint16_t member);

/* A member has lost a link: its answers may never come. */
void exchange_lost(struct exchange *x, uint16_t member);

/* Touches (watched.h) the keys of which an object is being mended. */
void exchange_touch_open(struct exchange *x);

/* True if nothing is under way or overdue: for checkers. */
bool exchange_idle(const struct exchange *x);

/* Asserts the invariants. */
void exchange_check(const struct exchange *x);

#endif
