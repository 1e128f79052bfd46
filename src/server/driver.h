/* The driver: runs one node in reality. It owns the node, its store and its links to peers; it turns what happens on sockets, timers and disk
 * into events, steps the node, and carries the effects out.
 *
 * The loop belongs to the program:
 *
 *     while (!stop) {
 *         event_base_loop(base, driver_idle ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK);   what one pass brings in is stepped
 *         driver_idle = driver_turn(driver);                                                  and carried out together
 *     }
 *
 * One turn: EV_TURN_END, frames to peers, one commit, its completions, and again while there are completions; then the acknowledgements are written to the
 * peers, and `before_sleep` lets the clients write each connection once.
 *
 * driver_submit never calls back: replies come out of driver_turn, which may be answered with new calls of driver_submit.
 */
#ifndef RD_SERVER_DRIVER_H
#define RD_SERVER_DRIVER_H

#include <stdbool.h>

#include "base/err.h"
#include "replication/node.h"

struct driver; /* opaque */
struct event_base;
struct log;
struct store;

struct driver_conf {
    struct event_base *base; /* borrowed */
    struct log *log;         /* borrowed */
    struct store *store;     /* taken, also on error */
    /* Both borrowed during driver_new: the node's configuration, whose meta rows are read from the store; and
     * the addresses of the port for peers, as net/listener.h has them. */
    const struct node_conf *node;
    const char *const *bind;
    size_t bind_count;
    uint16_t cluster_port;
    int backlog;
    bool refuse_remote_peers; /* only loopback peers may connect: no secret protects the port */
    /* The answer to a request: borrowed during the call; the callee may keep members by moving them out and zeroing them. */
    void (*on_reply)(void *arg, uint64_t tag, struct client_reply *reply);
    /* The end of a turn: write what is to be written. May call driver_submit. */
    void (*before_sleep)(void *arg);
    void *arg;
};

/* What INFO shows of the driver. */
struct driver_stats {
    uint64_t turns, commits, events;
    uint64_t frames_in, frames_out, bytes_in, bytes_out; /* to and from peers */
    uint64_t links;                                      /* that stand now */
    uint64_t dials, dials_failed, links_dropped;
};

/* Reads the node's rows, makes the node, listens for peers. `reason`: one sentence on error. Errors: RD_ENOMEM, RD_ECONF, RD_EIO, RD_ECORRUPT.
 * Free with driver_free. */
enum rd_err driver_new(const struct driver_conf *conf, struct driver **out, char reason[256]);

/* Closes links and store cleanly, frees and nulls; requests in flight are forgotten. Nothing is called back. */
void driver_free(struct driver **driver);

/* Steps one client request; exactly one on_reply with its tag follows in a later driver_settle or driver_turn. What it borrows may
 * go after the call. */
void driver_submit(struct driver *driver, const struct client_request *request);

/* Carries out what the steps so far asked for, as far as it needs no commit: replies to what was submitted may come in this
 * call. Does nothing while effects are being carried out already (within on_reply). */
void driver_settle(struct driver *driver);

/* Reads the clocks, for the steps that follow. To be called when input has been read, never before: a process that was stopped
 * in between must not take new requests for old ones. */
struct instant driver_read_clock(struct driver *driver);

/* The time as last read. */
struct instant driver_now(const struct driver *driver);

/* Carries out all that the steps since the last turn asked for. Returns true if nothing is left to do before the next event. */
bool driver_turn(struct driver *driver);

/* No new peers and no new dials from now on; what is in flight goes on. */
void driver_stop_listening(struct driver *driver);

/* For queries (node_stats, node_member, node_seal...) and node_set_quorum; never for node_step. Borrowed. */
struct node *driver_node(struct driver *driver);

/* For store_stats. Borrowed. */
const struct store *driver_store(const struct driver *driver);

/* Fills `out`. */
void driver_stats(const struct driver *driver, struct driver_stats *out);

#endif
