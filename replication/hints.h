/* Hinted handoff (Dynamo 4.6): what this node keeps for others, and how they get it.
 *
 *     IDLE --a healthy node may be owed something, or the ledger is wrong--> SCANNING --a page--> SENDING
 *      ^                                                                        ^              |  |  |
 *      |                                                                        +--page done---+  |  +-- the window or the budget is full: waits
 *      +---- all rows met, and the window is empty ----------------------------------------------+
 *
 * A pass goes over all hints in pages. Each object that is owed to a healthy node is sent to it as a
 * write of its own copy, to be merged there; a bounded number of frames and bytes is on its way at a
 * time, and handoff-rate bounds them per second. A write that is acknowledged is durable there, so
 * the node is struck off, unless the hint has changed since; what is owed to nobody any more is
 * erased. What is owed to a node that is gone goes to who has its places. What was not acknowledged is sent again by a later pass. A pass also counts all rows, so
 * the ledger is right again at its end; the first one does that after a start.
 */
#ifndef RD_REPLICATION_HINTS_H
#define RD_REPLICATION_HINTS_H

#include "replication/budget.h"
#include "replication/flow.h"
#include "replication/peers.h"
#include "replication/replica.h"

#define HINTS_WINDOW 64
#define HINTS_WINDOW_BYTES (4u << 20)

/* Ids of deliveries have this bit; ids of requests do not. */
#define HINTS_ID (UINT64_C(1) << 31)

struct delivery {
    uint64_t id; /* 0: free */
    struct blob *key;
    uint16_t member;
    struct node_id target; /* whom it is owed to: the member, or one whose places it has taken */
    uint64_t digest;       /* of the object sent */
    uint64_t bytes;
    uint64_t since_us, deadline_us;
};

struct hints {
    struct core *core;       /* borrowed */
    struct members *members; /* borrowed */
    struct peers *peers;     /* borrowed */
    struct replica copies;
    struct hint_ledger ledger;
    bool passing, scanning; /* a pass is under way; a page of it has been asked for */
    uint64_t scan;          /* number of the newest page */
    bool at_end;            /* no row is behind those that were met */
    uint64_t next_pass_us;
    struct delivery window[HINTS_WINDOW];
    uint32_t on_the_way;
    uint64_t bytes_on_the_way;
    uint64_t next_id;
    struct flow flow;      /* of deliveries */
    struct budget *budget; /* borrowed; may be overdrawn by one object */
};

/* Starts with nothing known. Borrows the rest for its life. */
void hints_init(struct hints *hints, struct core *core, struct members *members,
                struct peers *peers, struct budget *budget);

/* Frees all. */
void hints_free(struct hints *hints);

/* To be called about each PEERS_TICK_US. */
void hints_tick(struct hints *hints);

/* A page of the scan `number`. */
void hints_scanned(struct hints *hints, uint64_t number, enum rd_err err,
                   const struct scanned_row *rows, size_t count, bool end);

/* `member` has answered the delivery `id`. */
void hints_answered(struct hints *hints, uint64_t id, uint16_t member, enum rd_err err);

/* A member lost a link: what was on its way there is not awaited. */
void hints_lost(struct hints *hints, uint16_t member);

/* What is owed to member `index`, as far as it is known. */
struct hint_sum hints_owed(const struct hints *hints, uint16_t index);

/* Asserts the invariants. */
void hints_check(const struct hints *hints);

#endif
