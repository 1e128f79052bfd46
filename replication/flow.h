/* A flow of background work: how many pieces of one kind may be under way at a time.
 *
 * The budget bounds bytes per second; this bounds the queue that the work makes for others. The time that a piece takes when hardly
 * anything is under way is the least seen lately. Where even the fastest of a few pieces takes clearly longer a queue has formed, here
 * or at the peer, in which clients wait too: the width shrinks by an eighth, at most once per round. Else one more may be under way for each round.
 * What makes only some of them late, as networks do, is no queue. So a machine that has nothing else to do is used fully, and a busy one keeps its short queues. (Brakmo and Peterson's
 * TCP Vegas, 1994, does this to networks.)
 */
#ifndef RD_REPLICATION_FLOW_H
#define RD_REPLICATION_FLOW_H

#include <stdint.h>

#define FLOW_LEAST_WIDTH 2
#define FLOW_FIRST_WIDTH 8
#define FLOW_SAMPLES 8          /* pieces of which the fastest counts */
#define FLOW_CALM_US 700        /* so much more than the least is no queue */
#define FLOW_QUEUE_US 1500      /* so much is one */
#define FLOW_MEMORY_US 10000000 /* the least is that of this time, or twice as long */

struct flow {
    uint32_t most;                    /* pieces */
    uint32_t width_256;               /* in 1/256 of a piece */
    uint64_t least_us, next_least_us; /* of this and of the coming stretch; UINT64_MAX: none yet */
    uint64_t fastest_us;              /* of the last few */
    uint32_t samples;                 /* how many these are */
    uint64_t stretch_us;              /* when the coming one takes over */
    uint64_t shrunk_us;               /* when the width last shrank */
};

/* Starts with FLOW_FIRST_WIDTH, never to exceed `most`. */
void flow_init(struct flow *flow, uint32_t most);

/* How many pieces may be under way. */
uint32_t flow_width(const struct flow *flow);

/* A piece has taken `us`, until now. */
void flow_took(struct flow *flow, uint64_t us, uint64_t now_us);

#endif
