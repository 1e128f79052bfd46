/* A read (Dynamo 4.5): R of the key's homes are asked, the answers merged, and those that were behind repaired. Where fewer than R homes are
 * healthy, fallbacks answer for the others, from their hints.
 *
 *     op_read_start --> OWN COPY --> READING --R answers--> reply --> LINGERING --all asked have answered--> repairs, done
 *                                     |   ^         \--MONOTONIC--> REPAIRING --all R repaired--> reply --> done
 *                                     |   +-- a failure, a lost link or the hedge: the next home is asked
 *                                     +------ no more homes, or the deadline: -NOQUORUM
 *
 * The best homes are asked: the node itself first, then those that answer fast. With R > 1 the own copy is read before the others are
 * asked, so that they can say "the same" to its digest instead of sending what is here already. When the answers take longer than nearly
 * all of a spared home's (its 99th percentile), that home is asked too: a slow replica costs no more than that. A small share of
 * reads asks all homes, so that what nobody reads with R > 1 is repaired too. A home that becomes suspect, or has said nothing when half of
 * request-timeout is over, is missing from then on; its answer still counts.
 *
 * Nil is an answer like any other, of a home. A fallback that has nothing counts only beside a home's answer: fallbacks alone cannot say that
 * a key is not there (TRAPS notfound_from_empty_fallback).
 *
 * The read of a read-modify-write (op_rmw.h) asks all homes and waits for all that are healthy, until half the time is over; it
 * hands over what it has merged instead of replying.
 */
#ifndef RD_REPLICATION_OP_READ_H
#define RD_REPLICATION_OP_READ_H

#include "replication/object.h"
#include "replication/preflist.h"
#include "replication/quorum.h"

struct coordinator;
struct request;

/* What one replica said; members are indexes, 0 the node itself. */
struct read_answer {
    uint16_t member;
    enum rd_err err;             /* RD_OK or RD_ENOTFOUND are good */
    bool same;                   /* its object has the digest it was asked with */
    const struct object *object; /* borrowed; NULL unless RD_OK and not the same */
    uint64_t digest;             /* of `object`, if it is known; else 0 */
};

struct read_home {
    uint16_t member;
    bool fallback; /* it is no home: it answers from its hint */
    bool filling;  /* a home that counts as a fallback does, until it has been filled */
    bool asked, answered, good;
    bool silent;     /* it has not answered, and is not waited for alone */
    bool damaged;    /* its row is: it has to be repaired, and counts for nothing */
    uint32_t number; /* in the quorum */
    uint64_t asked_us;
    uint64_t asked_digest; /* what it was told is here already */
    uint64_t digest;       /* of its answer */
    uint32_t again;        /* answers that come before the one that counts */
    bool repairing;        /* MONOTONIC: its repair has not been acknowledged */
};

#define READ_MAX_NODES (2 * PREFLIST_MAX_N)

struct op_read {
    struct quorum quorum;
    uint8_t home_count, count; /* homes; all */
    uint8_t healthy;           /* so many of the homes, the first, were healthy */
    bool monotonic, repairing;
    bool own_first;      /* the own copy is being read, the others are asked behind it */
    bool ask_all;        /* this read checks all homes */
    uint64_t own_digest; /* of the own copy; 0: none, or not read yet */
    uint64_t hedge_delay_us;
    struct object merged;
    /* Homes in the order in which they are asked, then fallbacks. Behind `count` they mean nothing. */
    struct read_home homes[READ_MAX_NODES];
};

/* Starts the read for a request just opened. May end it at once. */
void op_read_start(struct coordinator *co, struct request *request, uint32_t r, bool monotonic);

/* A replica has answered. */
void op_read_answer(struct coordinator *co, struct request *request,
                    const struct read_answer *answer);

/* Time has passed, or a member has become suspect: asks others in place of those that hold the read up. To be called before it is
 * answered. */
void op_read_review(struct coordinator *co, struct request *request);

/* A replica has acknowledged a repair, or failed to. */
void op_read_repaired(struct coordinator *co, struct request *request, uint16_t member, bool ok);

/* For a read-modify-write: what `member` answers, or has answered, is not enough; asks it once more. */
void op_read_again(struct coordinator *co, struct request *request, uint16_t member);

/* A member lost a link: what it was asked may stay unanswered. */
void op_read_lost(struct coordinator *co, struct request *request, uint16_t member);

/* The answers are late: asks a home that was spared. */
void op_read_hedge(struct coordinator *co, struct request *request);

/* The deadline has passed: ends the request. */
void op_read_expired(struct coordinator *co, struct request *request);

#endif
