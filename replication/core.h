/* What all protocols of one node share: configuration, time, randomness, and where effects go.
 *
 * `now` and `effects` are those of the step that runs; outside of a step they mean nothing.
 */
#ifndef RD_REPLICATION_CORE_H
#define RD_REPLICATION_CORE_H

#include "base/prng.h"
#include "replication/actors.h"
#include "replication/effects.h"
#include "replication/hlc.h"
#include "replication/instant.h"
#include "replication/node_conf.h"
#include "replication/node_id.h"
#include "replication/node_stats.h"
#include "replication/rmw_port.h"
#include "replication/store_port.h"
#include "replication/watched.h"

/* How many rows of this node are tombstones: counted once after a start, by a pass over the rows that are due, and kept up to date. */
struct tombstones {
    int64_t count;
    bool known;          /* it has been counted, and no commit has failed since */
    bool counting;       /* the pass is under way */
    uint64_t counted_ms; /* it has counted up to this due time */
};

struct core {
    struct node_conf conf; /* seeds and meta rows are nulled: their owners copied them */
    struct node_id self;
    struct instant now;
    struct effects *effects;
    uint64_t turns; /* ended: what was sent since then has not left this node */
    struct prng prng;
    struct hlc hlc;
    struct actors actors;
    enum rd_err store_err;   /* of the last commit: while it is an error, no dots are issued */
    struct node_stats stats; /* counters only; states are filled in by node_stats() */
    struct store_view view;  /* zeroed: there is none */
    struct watched watched;  /* keys that a reaper has asked about */
    struct tombstones tombstones;
    rmw_fn *rmw; /* NULL: there is none */
    void *rmw_arg;
};

/* Who asked for a scan: the top byte of its token. The rest is a number of the user's own. */
enum scan_user { SCAN_NOBODY, SCAN_HINTS, SCAN_EXCHANGE, SCAN_KEYS, SCAN_SCRUB, SCAN_REAP };
#define SCAN_USER_SHIFT 56
#define SCAN_NUMBER_MASK ((UINT64_C(1) << SCAN_USER_SHIFT) - 1)
#define SCAN_TOKEN(user, number) ((uint64_t)(user) << SCAN_USER_SHIFT | (number))

/* A line of the trace, built only if somebody wants it. */
#define core_trace(core, ...)                                                                      \
    do {                                                                                           \
        if ((core)->conf.trace)                                                                    \
            effects_log((core)->effects, LOG_DEBUG, __VA_ARGS__);                                  \
    } while (0)

#endif
