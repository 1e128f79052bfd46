/* Counting answers (Dynamo 4.5): a pure value, apart from the state machine of the request that
 * owns it. */
#ifndef RD_REPLICATION_QUORUM_H
#define RD_REPLICATION_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

#define QUORUM_MAX_NODES 64

enum quorum_verdict {
    QUORUM_OPEN, /* more answers are needed and may come */
    QUORUM_MET,  /* `needed` good answers have come; final */
    QUORUM_LOST  /* too many have failed; final unless quorum_expect adds one */
};

struct quorum {
    uint32_t needed;   /* good answers that finish the request */
    uint32_t expected; /* nodes asked so far */
    uint32_t good;     /* distinct nodes that answered well */
    uint32_t bad;      /* distinct nodes that failed */
    uint64_t answered; /* bit i: the i-th node asked has answered */
};

/* Starts to count towards `needed` >= 1 good answers, with nobody asked yet. */
void quorum_init(struct quorum *quorum, uint32_t needed);

/* Notes that one more node has been asked and returns its number, 0.. ; asserts that there are at
 * most QUORUM_MAX_NODES. */
uint32_t quorum_expect(struct quorum *quorum);

/* Counts the answer of node number `which`; a second answer of the same node is ignored. Returns
 * the verdict so far. */
enum quorum_verdict quorum_add(struct quorum *quorum, uint32_t which, bool good);

/* True if node number `which` has answered. */
bool quorum_has(const struct quorum *quorum, uint32_t which);

/* The verdict so far. With fewer nodes asked than needed it is QUORUM_LOST: ask all, then look. */
enum quorum_verdict quorum_verdict(const struct quorum *quorum);

/* Asserts the invariants: answers counted once each, none from a node that was not asked. */
void quorum_check(const struct quorum *quorum);

#endif
