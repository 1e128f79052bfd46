/* The background budget: how much of what nobody waits for may be done now. One for all of it: hints, exchanges, scrubbing,
 * reaping.
 *
 * A token bucket of bytes, filled at handoff-rate, and the loop's own lag: when timers come late the loop has more to do than it can,
 * so the rate is halved at once, and regained slowly when they come in time again. Clients are not slowed by what is background.
 */
#ifndef RD_REPLICATION_BUDGET_H
#define RD_REPLICATION_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_LAG_US 5000    /* a timer that comes later than this says that the loop is behind */
#define BUDGET_BURST_MS 200   /* what the bucket holds, in time */
#define BUDGET_LEAST_SHARE 64 /* the rate never falls below this part of what is configured */

struct budget {
    uint64_t rate;      /* bytes per second, as configured; 0: without limit */
    uint64_t allowed;   /* bytes per second now: between rate / BUDGET_LEAST_SHARE and rate */
    int64_t tokens;     /* bytes; negative after a piece that was larger than expected */
    uint64_t filled_us; /* when tokens were last added */
    uint64_t spent;     /* bytes, all in all */
};

/* Starts full. `rate`: bytes per second; 0: without limit. */
void budget_init(struct budget *budget, uint64_t rate, uint64_t now_us);

/* Changes the rate. */
void budget_set_rate(struct budget *budget, uint64_t rate);

/* Tells how late the last regular timer came: called at each of them. */
void budget_lag(struct budget *budget, uint64_t lag_us);

/* True if another piece of work may be begun. */
bool budget_open(struct budget *budget, uint64_t now_us);

/* Notes that so many bytes were sent, received or read. */
void budget_spend(struct budget *budget, uint64_t bytes);

#endif
