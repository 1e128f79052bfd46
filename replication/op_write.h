/* A write (Dynamo 4.5), coordinated by a home of the key, or, if no home is healthy, by a fallback.
 *
 *   op_write_start --> LOADING --(lone dot unknown here)--> CATCHING_UP
 *                         |                                     |
 *                         +--> WRITING round 1 <----------------+
 *                                  | W acknowledged: nothing uncovered, or the write had a context --> reply
 *                                  | a plain SET or DEL, and a replica kept siblings it did not cover
 *                                  v
 *                              RELOADING --> WRITING round 2 --> reply --> LINGERING --> hints, done
 *
 * The coordinator's copy is changed first in memory (keys in flight) and goes to its own disk and
 * to all other homes at the same time; the reply waits for its own disk and W distinct nodes in
 * all. A plain SET or DEL takes the local copy for its context; what replicas hold beyond it is
 * covered by the second round, so it replaces everything acknowledged before it. As long as fewer than
 * W homes have been heard, a fallback stood in for one: what another home is found to hold in the next
 * round may be older than the write, and is covered by one more.
 *
 * For a home that is not healthy a fallback stands in, keeps the object as a hint for it, and
 * counts only where fewer than W homes are healthy (op_write_targets.h). A fallback that
 * coordinates has its own hint for its copy. After the reply the request lingers until all who
 * were asked have answered; for homes that have not when its time is up the coordinator keeps the
 * hint itself.
 */
#ifndef RD_REPLICATION_OP_WRITE_H
#define RD_REPLICATION_OP_WRITE_H

#include "replication/object.h"
#include "replication/op_write_targets.h"
#include "replication/quorum.h"
#include "replication/replica.h"

struct coordinator;
struct request;

enum write_state { WRITE_LOADING, WRITE_CATCHING_UP, WRITE_WRITING, WRITE_RELOADING };

/* What one replica said. */
struct write_answer {
    uint16_t member;
    uint64_t round;
    enum rd_err err;
    uint32_t uncovered;
    const struct object *object; /* borrowed; NULL if nothing is uncovered */
    const struct version
        *met; /* borrowed; what the replica knew when it merged the write; or NULL */
};

struct op_write {
    enum write_state state;
    uint64_t round; /* 1, 2...; at most one more than there are homes */
    uint32_t heard; /* homes (by place) that acknowledged an earlier round */
    struct quorum quorum;
    bool standing_in;    /* the node is no home of the key: its copy is a hint */
    uint8_t catching_up; /* answers still expected in CATCHING_UP */
    uint16_t silent;     /* others that could not be asked then, or gave no good answer */
    uint16_t listed;     /* of the partition's list of members so many were asked then; 0: homes */
    bool asked_again;    /* the homes have been, behind all others */
    bool stored;         /* the node's own copy is durable in this round */
    bool sent;           /* something left this node: the outcome may be unknown */
    bool existed;
    struct dot dot;       /* issued in the last round, unless the order is a deletion */
    struct object seen;   /* what other replicas hold beyond the local copy, beside the write */
    struct object over;   /* what others have in its place: its writers saw it */
    struct context met;   /* what those replicas knew of when they merged the round */
    struct buf context;   /* the sealed context for the reply */
    struct blob *encoded; /* the object that this round sends */
    struct write_targets to;
};

/* Starts the write for a request just opened, with request->order filled. May end it at once. */
void op_write_start(struct coordinator *co, struct request *request);

/* The local copy is at hand (states LOADING, RELOADING). */
void op_write_loaded(struct coordinator *co, struct request *request, enum rd_err err,
                     struct replica_entry *entry);

/* A replica answered the read of CATCHING_UP; `good`: with what it holds, `object` or nothing. */
void op_write_caught_up(struct coordinator *co, struct request *request, uint16_t member, bool good,
                        const struct object *object);

/* A replica has acknowledged or refused; the node itself too. */
void op_write_answer(struct coordinator *co, struct request *request,
                     const struct write_answer *answer);

/* A member lost a link: what it was asked may stay unanswered. */
void op_write_lost(struct coordinator *co, struct request *request, uint16_t member);

/* Time has passed, or a member has become suspect: looks for others in place of those that hold the write up. To be called before it is
 * answered. */
void op_write_review(struct coordinator *co, struct request *request);

/* A member is gone with its disk: what it acknowledged does not count any more. */
void op_write_gone(struct coordinator *co, struct request *request, uint16_t member);

/* Ends a write that lingers before its time. */
void op_write_make_way(struct coordinator *co, struct request *request);

/* The deadline has passed: ends the request. */
void op_write_expired(struct coordinator *co, struct request *request);

#endif
