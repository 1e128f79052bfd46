/* The node: all of Dynamo's logic as one pure state machine, events in, effects out.
 *
 * The driver (the server's loop, or the simulator) turns what happens into events and steps the node; the node appends
 * what should be done to an effects queue, which the driver drains after the step. Nothing in
 * here reads a clock, a socket, a file or a random device: the same bytes in give the same bytes out. `now` comes with
 * each step, randomness from a generator seeded at birth.
 *
 * One turn of the driver: step every event that came in; step EV_TURN_END, which makes the node emit the
 * batch of rows that this turn changed, closed by EFF_STORE_COMMIT; put the frames (EFF_SEND) on their way; commit the batch; step the completions.
 * A client is answered only by effects that follow the completion its answer rests on.
 *
 * Links are byte streams that carry frames. The node dials (EFF_DIAL), does the handshake itself, and closes what it
 * does not like. A link is named by a number the driver chose, never used twice in a process.
 */
#ifndef RD_REPLICATION_NODE_H
#define RD_REPLICATION_NODE_H

#include "base/err.h"
#include "replication/client_op.h"
#include "replication/effects.h"
#include "replication/instant.h"
#include "replication/node_conf.h"
#include "replication/node_id.h"
#include "replication/node_stats.h"
#include "replication/object.h"
#include "replication/rmw_port.h"
#include "replication/store_port.h"
#include "resp/slice.h"

/* ---- birth ---------------------------------------------------------------------------------------- */

struct node; /* opaque: one in a server, hundreds in the simulator */

/* Makes a node from its configuration and the rows its store held. `seed`: 256 bits from the system's
 * generator; never the same twice. `reason` gets one clear sentence on error. Errors: RD_ENOMEM, RD_ECONF, RD_ECORRUPT (a damaged meta row). Free with node_free. */
enum rd_err node_new(const struct node_conf *conf, const uint64_t seed[4], struct node **out,
                     char reason[256]);

/* Frees and nulls. Requests in flight are forgotten; the driver tells their clients. */
void node_free(struct node **node);

/* ---- events --------------------------------------------------------------------------------------- */

enum event_kind {
    EV_TIMER,     /* node_deadline_us has passed (or not: harmless) */
    EV_TURN_END,  /* the driver is about to commit and to write */
    EV_CLIENT,    /* a client's request */
    EV_LINK_UP,   /* a connection came, or one that was dialled stands */
    EV_LINK_DOWN, /* it is gone; no frame of it follows */
    EV_DIAL_FAILED,
    EV_FRAME,        /* one frame of a link: the arguments of one RESP array */
    EV_STORE_GOT,    /* a read has finished */
    EV_STORE_DONE,   /* a commit has finished */
    EV_STORE_SCANNED /* a page of a scan has come */
};

struct event {
    enum event_kind kind;
    union {
        const struct client_request *client;
        struct {
            uint64_t link;    /* chosen by the driver, never reused */
            uint64_t dial;    /* of the EFF_DIAL it answers; 0: it came from outside */
            const char *host; /* the peer's numeric address; borrowed */
        } link_up;
        struct {
            uint64_t link;
        } link_down;
        struct {
            uint64_t dial;
        } dial_failed;
        struct {
            uint64_t link;
            const struct resp_slice *argv; /* borrowed */
            size_t argc;
        } frame;
        struct {
            uint64_t token;
            enum rd_err err;    /* RD_OK, RD_ENOTFOUND, RD_ECORRUPT, RD_EIO ... */
            struct blob *value; /* borrowed */
        } store_got;
        struct {
            uint64_t token;
            enum rd_err err;
        } store_done;
        struct {
            uint64_t token;
            enum rd_err err;                /* of the page as a whole: count is 0 then */
            const struct scanned_row *rows; /* borrowed */
            size_t count;
            bool end; /* nothing comes behind them */
        } store_scanned;
    };
};

/* ---- the step ------------------------------------------------------------------------------------- */

/* Steps the node: the only way in. Appends to `effects`. Never fails, never blocks, must not be re-entered. */
void node_step(struct node *node, struct instant now, const struct event *event,
               struct effects *effects);

/* The monotonic microsecond at which the node wants EV_TIMER; UINT64_MAX: no timer wanted. */
uint64_t node_deadline_us(const struct node *node);

/* True if something was changed that waits for EV_TURN_END. */
bool node_has_dirty_rows(const struct node *node);

/* ---- what an operator sees: queries that change nothing ------------------------------------------- */

enum member_state { MEMBER_UP, MEMBER_SUSPECT, MEMBER_DOWN };
enum member_status { MEMBER_JOINING, MEMBER_MEMBER, MEMBER_LEAVING, MEMBER_REMOVED };

struct member_view {
    struct node_id id;
    struct node_address address; /* for clients */
    uint16_t cluster_port;
    char zone[RING_ZONE_BYTES];
    uint32_t vnodes;
    enum member_state state;
    enum member_status status;
    uint32_t partitions;     /* that it is a home of */
    uint64_t hints_pending;  /* that this node holds for it */
    uint64_t hint_bytes;     /* of their rows */
    uint64_t hint_oldest_ms; /* the wall clock when the oldest of them came; 0: there is none */
    uint64_t heard_ms;       /* since it was last heard; 0 for the node itself */
    bool self;
};

/* The node's own id. */
struct node_id node_self(const struct node *node);

/* The number of members known. Index 0 is the node itself, and an index always names the same member. */
size_t node_member_count(const struct node *node);

/* Describes one member; asserts index < count. */
void node_member(const struct node *node, size_t index, struct instant now,
                 struct member_view *out);

/* The preference list of `partition`, homes first, then fallbacks, as indices for node_member. Writes up to `max`, returns how many;
 * `homes`: how many of them are homes. */
size_t node_preflist(const struct node *node, uint16_t partition, uint16_t *out, size_t max,
                     size_t *homes);

/* The number of partitions. */
uint32_t node_partitions(const struct node *node);

/* The slot of a key under this node's partitioner. */
uint16_t node_slot(const struct node *node, const void *key, size_t len);

/* Counters and states for INFO. */
void node_stats(const struct node *node, struct node_stats *out);

/* N, and R and W as they are now. */
void node_quorum(const struct node *node, uint32_t *n, uint32_t *r, uint32_t *w);

/* Changes R and W of requests to come, both in 1..N. Error: RD_ECONF. */
enum rd_err node_set_quorum(struct node *node, uint32_t r, uint32_t w);

/* Changes how writes are kept for others from now on (see node_conf.h). */
void node_set_handoff(struct node *node, bool sloppy_quorum, bool hinted_handoff,
                      uint64_t max_hint_bytes, uint64_t handoff_rate);

/* Seals the context of a client that was shown `object` under `key`. Error: RD_ENOMEM. */
enum rd_err node_seal(const struct node *node, const void *key, size_t key_len,
                      const struct object *object, struct buf *out);

/* Says what the node may look up in the store, before the first step (copied). Without it the node counts nothing and compares no trees. */
void node_set_store_view(struct node *node, const struct store_view *view);

/* Begins exchanges with all that share `partition` (UINT32_MAX: any) and can be reached, and returns how many. They take a few seconds;
 * the next timer begins them. Not to be called within a step. */
unsigned node_repair(struct node *node, uint32_t partition);

/* True if no exchange or recount is under way or wanted right now. */
bool node_background_idle(const struct node *node);

/* Switches anti-entropy on or off, and changes its interval. */
void node_set_anti_entropy(struct node *node, bool on, uint32_t interval_ms);

/* Changes how long a deletion is remembered at least. */
void node_set_tombstone_grace(struct node *node, uint64_t grace_ms);

/* Says what read-modify-writes compute, before the first step. Without it they are refused. `arg` is borrowed for the node's life. */
void node_set_rmw(struct node *node, rmw_fn *rmw, void *arg);

/* Asserts the node's invariants; for tests and the simulator. */
void node_check(const struct node *node);

#endif
