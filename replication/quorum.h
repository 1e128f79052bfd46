/* Counting answers (Dynamo 4.5): a pure value, apart from the state machine of the request that
 * owns it.
 *
 * Two kinds of nodes answer: homes, each of which counts, and stand-ins (fallbacks that answer for
 * homes out of reach), of which only as many count as the owner allows: with W homes in reach none
 * does, or a sloppy quorum would take the place of a real one. */
#ifndef RD_REPLICATION_QUORUM_H
#define RD_REPLICATION_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

#define QUORUM_MAX_NODES 64

enum quorum_verdict {
    QUORUM_OPEN, /* more answers are needed and may come */
    QUORUM_MET,  /* `needed` good answers have come; final */
    QUORUM_LOST  /* too many have failed; final unless one more is expected or allowed */
};

/* Of one kind of nodes. */
struct quorum_tally {
    uint32_t asked; /* so far */
    uint32_t good;  /* distinct nodes that answered well */
    uint32_t bad;   /* distinct nodes that failed */
};

struct quorum {
    uint32_t needed; /* good answers that finish the request */
    struct quorum_tally homes;
    struct quorum_tally stand_ins;
    uint32_t room;        /* so many stand-ins count */
    uint64_t answered;    /* bit i: the i-th node asked has answered */
    uint64_t standing_in; /* bit i: it is no home */
};

/* Starts to count towards `needed` >= 1 good answers, with nobody asked yet and no stand-ins
 * allowed. */
void quorum_init(struct quorum *quorum, uint32_t needed);

/* Notes that one more home has been asked and returns its number, 0.. ; asserts that there are at
 * most QUORUM_MAX_NODES. */
uint32_t quorum_expect(struct quorum *quorum);

/* The same for a stand-in. */
uint32_t quorum_expect_stand_in(struct quorum *quorum);

/* So many stand-ins may count from now on. */
void quorum_allow(struct quorum *quorum, uint32_t room);

/* Counts the answer of node number `which`; a second answer of the same node is ignored. Returns
 * the verdict so far. */
enum quorum_verdict quorum_add(struct quorum *quorum, uint32_t which, bool good);

/* True if node number `which` has answered. */
bool quorum_has(const struct quorum *quorum, uint32_t which);

/* The good answers that count, and how many of them are stand-ins': only as many as homes are missing. */
uint32_t quorum_counted(const struct quorum *quorum);
uint32_t quorum_stand_ins(const struct quorum *quorum);

/* The verdict so far. With fewer nodes asked than needed it is QUORUM_LOST: ask all, then look. */
enum quorum_verdict quorum_verdict(const struct quorum *quorum);

/* Asserts the invariants: answers counted once each, none from a node that was not asked. */
void quorum_check(const struct quorum *quorum);

#endif
