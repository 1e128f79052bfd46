/* A write whose key has no home here, or one whose disk takes no writes, goes to a home that coordinates it: the first of the
 * healthy ones that answer fastest. If there is none the node coordinates it itself, as a fallback (Dynamo 4.6), or, if its own disk
 * takes no writes, another fallback does; where that is switched off, the first home in reach does.
 *
 * It is forwarded again only if it was provably not handled: turned away, or its link broke before the frame left this node. Once it
 * may have been, the client is told that the
 * outcome is unknown (TRAPS double_coordination). So, other than a read, it cannot be hedged: a second coordinator would issue a
 * second dot, and the first one's write, late, would come beside or after whatever has replaced the second's (doc/consistency.md).
 *
 * Therefore it is only sent to a home that has just answered something (peers_answers). Where none has, they are asked for a sign of life
 * first, and nothing is lost if none comes:
 *
 *     op_forward_start --a home has just answered--> SENT --> its answer, or -UNKNOWN: link lost, silent and suspect, deadline
 *             |                                       ^
 *             +--none has--> CHECKING --one answers---+
 *                                |
 *                                +--half the time is over: a fallback, as if they were suspect
 */
#ifndef RD_REPLICATION_OP_FORWARD_H
#define RD_REPLICATION_OP_FORWARD_H

#include <stdbool.h>

#include "replication/preflist.h"
#include "replication/wire.h"

struct coordinator;
struct request;

/* Homes, and then fallbacks. */
#define FORWARD_MAX_TRIES (2 * PREFLIST_MAX_N)

struct op_forward {
    uint16_t tried[FORWARD_MAX_TRIES]; /* members that turned it away */
    uint8_t tried_count;
    uint64_t began_us;
    bool checking;    /* it waits for a home to answer a probe; nobody has it */
    uint16_t member;  /* else: who has it now */
    uint64_t link;    /* over which it was sent */
    uint64_t turn;    /* in which */
    uint64_t sent_us; /* and when */
};

/* Starts, with request->order filled. May end the request at once. A read-modify-write goes to the first
 * home of all, and runs here if that is this node. */
void op_forward_start(struct coordinator *co, struct request *request);

/* The home has answered. */
void op_forward_answer(struct coordinator *co, struct request *request, uint16_t member,
                       const struct wire_msg *msg);

/* A home that had not answered for a while has, or time has passed: looks again. To be called of those that wait for that, and of all when
 * a member has become suspect. */
void op_forward_review(struct coordinator *co, struct request *request);

/* A member lost a link. */
void op_forward_lost(struct coordinator *co, struct request *request, uint16_t member);

/* The deadline has passed: ends the request. */
void op_forward_expired(struct coordinator *co, struct request *request);

#endif
