/* Failure detection: what one node thinks of each of its peers, for routing and for the operator. It never changes placement.
 *
 * After SWIM (Das, Gupta, Motivala 2002) and Lifeguard (Dadgar, Phillips, Currey 2017), on the links that are there anyway:
 *
 *     UP --nothing heard for `patience` of what was asked | a request missed | another node doubts it--> UP, doubted: it is probed, from the
 *        second probe on through three others too
 *     UP, doubted --a prompt answer--> UP
 *     UP, doubted --none in 2 x patience, or 4 x if there are other signs of life--> SUSPECT
 *     UP --its link breaks | many requests missed in a row--> SUSPECT at once
 *     SUSPECT --a prompt answer, a new link--> UP          SUSPECT --no sign of life in failure-timeout--> DOWN
 *     DOWN --a sign of life--> SUSPECT                     DOWN --a new link--> UP
 *
 * A sign of life is anything it says itself, or an answer that another node passes on: who lives but cannot be reached
 * from here, or answers late, stays suspect and never becomes down. A lost frame costs a probe, no suspicion.
 *
 * A node that is itself late must not accuse the others (Lifeguard's local health): each late step makes it more patient for a
 * while and starts all waiting anew. After a long gap between two steps (the process stood still) what the node knows of its peers
 * is old: each is unproven, and not healthy, until it has answered a probe sent since.
 *
 * Values only: no frames, no node. The names of probes are the times at which they were sent.
 */
#ifndef RD_REPLICATION_FAILURE_H
#define RD_REPLICATION_FAILURE_H

#include <stdbool.h>
#include <stdint.h>

/* What a node knows of itself. */
struct failure {
    uint64_t patience_us; /* of a healthy node */
    uint64_t timeout_us;  /* failure-timeout */
    uint64_t tick_us,
        wake_us;        /* the longest usual gap between steps; the shortest that is a pause */
    uint64_t step_us;   /* of the last step; 0: none yet */
    uint64_t late_us;   /* when a step came late last */
    uint64_t woke_us;   /* when the process went on after a pause; 0: never */
    uint64_t scored_us; /* when `score` changed last */
    uint32_t score;     /* 0: in time; up to FAILURE_MAX_SCORE */
    bool stale;         /* no peer has been heard since woke_us */
};
#define FAILURE_MAX_SCORE 8

enum watch_state { WATCH_UP, WATCH_SUSPECT, WATCH_DOWN };

/* What it knows of one peer. */
struct watch {
    enum watch_state state;
    uint64_t heard_us;   /* its last own words */
    uint64_t alive_us;   /* the last sign of life, own or passed on */
    uint64_t suspect_us; /* since when it is */
    uint64_t waiting_us; /* when it was asked the first thing since it was last heard; 0: nothing */
    uint64_t doubt_us;   /* since when it is doubted; 0: it is not */
    uint64_t probe_us;   /* when it was probed last */
    uint64_t proved_us;  /* the last time of which it is proven that it could be reached */
    uint64_t served_us;  /* when it last answered anything that it was asked */
    uint64_t hold_us;    /* suspect until then at the least */
    uint32_t missed;     /* requests in a row */
    uint32_t probes;     /* since it is doubted or suspect */
};
#define WATCH_MISSES 10

/* What a tick wants done. */
struct watch_wish {
    bool probe; /* send it a probe */
    bool relay; /* have others probe it as well */
};

/* What the gap since the last step says of this node. */
enum failure_gap { GAP_USUAL, GAP_LATE, GAP_WOKE };

/* Starts with the configuration's times; `tick_us` is how often the node is stepped at the least. */
void failure_init(struct failure *failure, uint32_t request_timeout_ms, uint32_t failure_timeout_ms,
                  uint64_t tick_us);

/* To be called first in each step. After GAP_WOKE call watch_woke for each peer. */
enum failure_gap failure_step(struct failure *failure, uint64_t now_us);

/* False after a pause, until a peer has been heard since, or failure-timeout has passed: then this node knows that it is alone. */
bool failure_is_fresh(const struct failure *failure);

/* How long this node waits for an answer before it doubts; twice that is what makes an answer prompt. */
uint64_t failure_patience_us(const struct failure *failure);

/* A peer that has no link yet: suspect since now. */
void watch_init(struct watch *watch, uint64_t now_us);

/* A link to it is ready: up. */
void watch_linked(struct failure *failure, struct watch *watch);

/* A link to it broke, or it refused one. */
void watch_lost(const struct failure *failure, struct watch *watch);

/* Something was sent to it that wants an answer. */
void watch_asked(const struct failure *failure, struct watch *watch);

/* It said something. */
void watch_heard(const struct failure *failure, struct watch *watch);

/* It answered a request in time. */
void watch_served(const struct failure *failure, struct watch *watch);

/* It left a request of `asked_us` without an answer. */
void watch_missed(const struct failure *failure, struct watch *watch, uint64_t asked_us);

/* Another node doubts it. */
void watch_doubted(const struct failure *failure, struct watch *watch);

/* It answered the probe of `asked_us`, a time that the peer may have made up: one in the future is ignored. */
void watch_answered(struct failure *failure, struct watch *watch, uint64_t asked_us);

/* Another node passed on its answer to the probe of `asked_us`. */
void watch_vouched(const struct failure *failure, struct watch *watch, uint64_t asked_us);

/* This node went on after a pause. */
void watch_woke(const struct failure *failure, struct watch *watch);

/* Time passes. `linked`: a frame can be sent to it now. */
struct watch_wish watch_tick(const struct failure *failure, struct watch *watch, bool linked);

/* True if nothing speaks against its answering at once. */
bool watch_is_healthy(const struct failure *failure, const struct watch *watch);

/* True if it has answered something within a healthy node's patience: what is sent to it now is not lost on somebody who has been gone for
 * longer than that. */
bool watch_answers(const struct failure *failure, const struct watch *watch);

/* False if this node stood still and the peer has not answered a probe sent since. */
bool watch_is_proven(const struct failure *failure, const struct watch *watch);

/* "up", "suspect", "down"; static storage. */
const char *watch_state_text(enum watch_state state);

#endif
