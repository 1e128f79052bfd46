/* Whom a write is sent to, and who stands in for whom (Dynamo 4.5 and 4.6: sloppy quorum).
 *
 * All homes in reach get the whole object. For each home that is not healthy a healthy fallback is
 * asked to keep it as a hint; where there is none left the coordinator keeps the hint itself, and
 * remains one acknowledgement. With h of the homes healthy a fallback counts only while h < W, and
 * only W - h of them do: so W homes in reach always make a real quorum (TRAPS
 * sloppy_acks_do_not_intersect). A home that is lost, or refuses, after it was asked is no longer
 * healthy, and is replaced at once; so is one that becomes suspect, or has said nothing when half of
 * request-timeout is over (a fallback, too). A fallback that is to count is told so and never drops the
 * hint; one that was asked before that was known is asked again. A home that is being filled (replace.h) is sent the object like any
 * other, and counts as a fallback does, where fallbacks may.
 */
#ifndef RD_REPLICATION_OP_WRITE_TARGETS_H
#define RD_REPLICATION_OP_WRITE_TARGETS_H

#include "base/err.h"
#include "replication/hint.h"
#include "replication/preflist.h"
#include "replication/quorum.h"

struct coordinator;
struct request;

#define WRITE_MAX_TARGETS (2 * PREFLIST_MAX_N)

/* Frames to fallbacks that are to count say so in their round, too: a late answer to one that was
 * not must not be taken for it. */
#define WRITE_ROUND_MUST 256

struct write_target {
    uint16_t member;
    bool asked, answered;
    bool good; /* it has the object, durably */
    bool
        missed; /* a home: not healthy when asked, or lost since, or silent, or it refused; a fallback: silent */
    bool must;    /* a fallback: asked as one that is to count */
    bool filling; /* a home that counts as a fallback does, until it has been filled */
    uint8_t home; /* a fallback: the place of the home that it stands for */
    bool has_number;
    uint32_t number; /* in the quorum */
    uint64_t asked_us;
};

struct write_targets {
    uint8_t home_count, count;
    uint32_t kept; /* bit i: the coordinator itself keeps a hint for home i */
    /* Homes first, then fallbacks as they are asked. Behind `count` they mean nothing. */
    struct write_target all[WRITE_MAX_TARGETS];
};

/* Lists the homes. Returns how many nodes can be counted on at the most. */
uint32_t write_targets_start(struct coordinator *co, struct request *request);

/* Begins a round: sees who is healthy and chooses fallbacks, sends nothing yet. */
void write_targets_plan(struct coordinator *co, struct request *request);

/* What the coordinator's own hint owes; nothing if it keeps none. */
void write_targets_own(struct coordinator *co, const struct request *request,
                       struct hint_owed *out);

/* The homes that have acknowledged the round, one bit for each by its place. */
uint32_t write_targets_good_homes(const struct request *request);

/* Sends the round's object (request->write.encoded) to all that are planned, and counts on them and
 * on this node. */
void write_targets_send(struct coordinator *co, struct request *request);

/* The target that answers as `member` in `round`; NULL if nobody was asked like that, or has
 * answered before. */
struct write_target *write_targets_find(struct request *request, uint16_t member, uint64_t round);

/* Takes the answer in, and replaces who cannot be counted on. `err`: what it said. */
void write_targets_answered(struct coordinator *co, struct request *request,
                            struct write_target *target, enum rd_err err);

/* Replaces those that have become suspect, or are silent, half the time being over: what they still answer counts. */
void write_targets_review(struct coordinator *co, struct request *request);

/* A member lost a link: whoever was asked there and has not answered is replaced. */
void write_targets_lost(struct coordinator *co, struct request *request, uint16_t member);

/* `member` is gone, with all it had. False: the round rests on its acknowledgement, which counts for nothing now. */
bool write_targets_gone(struct coordinator *co, struct request *request, uint16_t member);

/* True if nobody is awaited any more. */
bool write_targets_complete(const struct request *request);

/* Nobody is waited for any more: the coordinator keeps a hint for each home that is not known to have
 * the object of an acknowledged write, or to have somebody who keeps it. `expired`: those that have
 * not answered had their time. */
void write_targets_finish(struct coordinator *co, struct request *request, bool expired);

#endif
