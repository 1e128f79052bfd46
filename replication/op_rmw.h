/* A read-modify-write (DESIGN section 2: APPEND, INCR, SETNX...), at a home of the key.
 *
 *   op_rmw_start --> WAITING (the key has a turn) --> READING --> [compute] --> WRITING --nothing uncovered--> reply
 *                                                      ^ | nothing to change        | a replica kept something beside it
 *                                                      | +--> reply                 |
 *                                                      +----------------------------+ once; then it is only read, else -UNKNOWN
 *
 * READING is an op_read of all homes in reach, WRITING an op_write whose context is what was read. One turn at a time per key: requests that come
 * meanwhile wait, and the next turn takes all of them, reads once, computes one after the other, writes once. Such a batch shares its fate.
 *
 * Two homes can both take themselves for the one that runs the key's requests, for a moment after one of them has come back. So the read of
 * a turn says that it is one. A home that has a turn of its own lets such a read wait until its turn has ended, or, while it has only read itself
 * and the asker stands before it in the preference list, answers, and then waits for what that asker writes. No lock is kept
 * anywhere: where homes cannot reach each other both go on, and what they write are siblings.
 *
 * What is written first is out, when a replica says that it kept something beside it: a value that the computation has not seen. Then the homes are
 * read again, and the result computed again from what there would have been without the first write (`basis`), and written over all of it.
 * Nothing is covered that was not an input of the computation. If what was written has been replaced in the meantime by a writer who had seen it,
 * it has taken effect, and that is the end.
 *
 * It is computed again once. A sibling that stands beside the first dot knows nothing of it, or it would have replaced it; one that stands beside the
 * second may well come from a writer who had seen the first, and going on from that would do the thing twice. So if the second round
 * meets something too, the homes are only read a few times more, to see whether it is replaced (a plain SET does that in its own second round);
 * else the outcome is unknown.
 */
#ifndef RD_REPLICATION_OP_RMW_H
#define RD_REPLICATION_OP_RMW_H

#include <uthash.h>

#include "replication/client_op.h"
#include "replication/object.h"
#include "replication/preflist.h"
#include "replication/replica.h"

struct coordinator;
struct request;

#define RMW_ROUNDS 2    /* a turn writes so often at most */
#define RMW_LOOKS 4     /* and then looks so often whether that has been replaced */
#define RMW_BATCH 256   /* requests in one turn */
#define RMW_DEFERRED 32 /* peers' reads that wait for the end of a turn */

/* One request of this kind. Owned by it. */
struct rmw {
    struct rmw_key *key; /* borrowed; NULL: not at its home yet */
    struct request *next;
    enum rd_err err;    /* of the computation */
    struct buf reply;   /* of the computation */
    bool well;          /* the head's: the turn went well, whatever its own computation says */
    struct object read; /* the head's, like all below: what was read */
    struct object basis;
    struct dot own[RMW_ROUNDS]; /* dots written in this turn; zeroed: it was a deletion */
    uint32_t rounds;            /* writes so far */
    uint32_t looks;
    uint64_t round; /* the number of the last, on the wire */
};

/* A key that has a turn, or whose turn has just ended. */
struct rmw_key {
    UT_hash_handle hh;
    struct blob *key;      /* owned reference */
    struct request *head;  /* whose request the turn is; NULL: it has ended */
    struct request *batch; /* list: those that share it */
    struct request *waiting, *last_waiting;
    enum rd_err err; /* how it ended */
    char text[sizeof(((struct client_reply *)0)->text)];
    struct rmw_key *next_over;
    bool at_home; /* this node is a home of the key; else it stands in for one */
    struct asker deferred[RMW_DEFERRED];
    uint32_t deferred_count;
};

/* Part of the coordinator. Zeroed: no key has a turn. */
struct rmw_table {
    struct rmw_key *keys; /* hash, owned */
    struct rmw_key *over; /* list: turns that have ended and not been cleared up */
};

/* Makes `request`, with order.rmw filled, one of this kind. Error: RD_ENOMEM. */
enum rd_err op_rmw_make(struct request *request);

/* Starts it at this node, a home: in a turn of its own, or waiting for one. May end it at once. */
void op_rmw_start(struct coordinator *co, struct request *request);

/* The homes have been read. */
void op_rmw_read(struct coordinator *co, struct request *request, struct object *merged);

/* The own copy is at hand: computes, and fills the order. Returns whether it is to be written; else the request has ended or reads again. */
bool op_rmw_prepare(struct coordinator *co, struct request *request, const struct object *held);

/* A round has been acknowledged, with nothing uncovered, or with something. Returns whether the request is to be answered now; else it reads
 * again. */
bool op_rmw_written(struct coordinator *co, struct request *request, bool covered);

/* The answer to a request whose turn went well; NULL: no memory for one. */
struct client_reply *op_rmw_reply(struct coordinator *co, struct request *request);

/* True if something of the turn has been written, so that its outcome may be unknown. */
bool op_rmw_is_out(const struct request *request);

/* The deadline of one that waits or shares a turn has passed: ends it. */
void op_rmw_expired(struct coordinator *co, struct request *request);

/* For the coordinator: the request is being answered. */
void op_rmw_ended(struct coordinator *co, struct request *request,
                  const struct client_reply *reply);

/* For the coordinator: frees what the request owns; frees the table. */
void op_rmw_release(struct request *request);
void op_rmw_table_free(struct coordinator *co);

/* A peer reads `key` for a turn of its own. Returns true if the answer has to wait; then it comes by the replica when this node's turn has
 * ended. */
bool op_rmw_defers(struct coordinator *co, struct resp_slice key, const struct asker *asker);

/* Clears up after turns that have ended: answers who shared them, lets peers read, starts the next. Returns whether there was one. */
bool op_rmw_settle(struct coordinator *co);

#endif
