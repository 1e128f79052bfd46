/* Pace: how many requests may be on their way in the node at once, all connections together.
 *
 * A request's time runs from the moment the node has it. So a long pipeline must wait outside: else its tail times out
 * with an unknown outcome, only because it stood in line. The pace keeps the line inside so short that answers come within a
 * quarter of the request timeout: it opens the window while answers come in time, and cuts it when they do not.
 */
#ifndef RD_SERVER_PACE_H
#define RD_SERVER_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_LEAST 64
#define PACE_FIRST 256
#define PACE_MOST 16384

struct pace {
    uint32_t window;  /* requests that may be on their way */
    uint32_t in_time; /* answers in time since the window last changed */
    bool cut_before;  /* it has been cut once: grow slowly from now on */
    uint64_t cut_us;  /* when it was cut last */
};

/* Starts with PACE_FIRST. */
void pace_init(struct pace *pace);

/* Learns from an answer at `now_us` (monotonic) to a request that was sent at `sent_us`, while `open` were on their way; `timeout_us` is
 * the request timeout. */
void pace_note(struct pace *pace, uint64_t now_us, uint64_t sent_us, uint64_t open,
               uint64_t timeout_us);

#endif
