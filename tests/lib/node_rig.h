/* One node on a bench: a test feeds it events, takes its effects one by one, plays its peers and
 * its store, and sees to it that every request is answered exactly once.
 *
 * The rig's node has the id 0x11... and is member 0 of its own map; peer i (from 1) has the id
 * whose bytes are all (i + 1) * 0x11. Nothing happens by itself: reads of the store wait for
 * rig_got or rig_load_all, commits for rig_committed or rig_settle, frames lie in the order in
 * which they were sent until rig_take takes them. After each step node_check runs, and effects that
 * cannot be are asserted.
 */
#ifndef RD_TESTS_NODE_RIG_H
#define RD_TESTS_NODE_RIG_H

#include "replication/node.h"
#include "replication/node_private.h"
#include "replication/wire.h"

#define RIG_MAX_PEERS 8
#define RIG_MAX_ARGS 16
#define RIG_OWN_INCARNATION 26 /* "Z" in object_text.h */

/* A frame that the node has sent, decoded; `msg` borrows `bytes`. */
struct rig_frame {
    uint64_t link;
    struct blob *bytes;
    struct wire_msg msg;
};

struct rig_get {
    uint64_t token;
    struct row_key at;
};

struct rig_put {
    struct row_key at;
    struct blob *value; /* NULL: erase */
    uint64_t batch;     /* of the commit that closed it; 0: none yet */
};

struct rig_reply {
    uint64_t tag;
    struct client_reply *reply; /* owned; NULL: the node had no memory for one */
};

struct rig_row;

struct rig {
    struct node *node;
    struct node_conf conf;
    struct instant now;
    struct effects effects;
    struct rig_row *rows; /* the store, by (space, key) */

    /* Effects that wait to be taken; each array owned. */
    struct rig_frame *frames;
    struct rig_get *gets;
    struct rig_put *puts;
    struct store_scan_order *scans;
    uint64_t *commits; /* tokens */
    struct rig_reply *replies;
    struct effect *dials;
    uint64_t *closes;
    size_t frame_count, get_count, put_count, commit_count, reply_count, dial_count, close_count;
    size_t scan_count;

    struct blob **kept; /* frames taken: alive until the rig ends */
    size_t kept_count;
    struct buf log;                 /* all lines of the log, each ended by a newline */
    uint64_t next_link;             /* link numbers, by the rig */
    uint64_t next_tag;              /* of requests */
    uint64_t unanswered;            /* requests without a reply */
    uint64_t peers[RIG_MAX_PEERS];  /* the ready link of each peer, 0: none; index as in the node */
    void (*before_step)(void *arg); /* around node_step alone; may be NULL */
    void (*after_step)(void *arg);
    void *arg;
};

/* A configuration with sane values: N=3 R=2 W=2, 16 partitions, no seeds, name "test", secret
 * "s"; and hardly any gossip. */
struct node_conf rig_conf(void);

/* The id of the rig's node (0) or of peer i. */
struct node_id rig_id(unsigned i);

/* Starts a node from `conf` and the rows in the rig's store (rig_reset to empty it). Steps
 * nothing. Asserts that the node can be made. `rig` is zeroed before its first use. */
void rig_start(struct rig *rig, const struct node_conf *conf);

/* The same for a node that knows its id, and whose cluster was born with it and the peers
 * 1..peers; settles, so that it is ready to dial and to serve. With `link` true each peer gets a
 * ready link and all that was said meanwhile is dropped. */
void rig_start_born(struct rig *rig, const struct node_conf *conf, unsigned peers, bool link);

/* Puts the rows "identity" (and "birth", if `peers` is not negative) of such a node into the
 * store. */
void rig_store_identity(struct rig *rig);
void rig_store_birth(struct rig *rig, unsigned peers);

/* Frees the node and forgets what it still wanted; rows stay, as after a crash. */
void rig_stop(struct rig *rig);

/* Frees everything. */
void rig_reset(struct rig *rig);

/* Steps one event and sorts the effects. */
void rig_step(struct rig *rig, const struct event *event);

/* Lets `ms` pass and steps EV_TIMER as often as the node wants it until then. */
void rig_elapse(struct rig *rig, uint64_t ms);

/* EV_TURN_END: returns how many rows were handed over. */
size_t rig_turn_end(struct rig *rig);

/* ---- the store ------------------------------------------------------------------------------- */

/* Answers the oldest read with what the store holds (RD_OK or RD_ENOTFOUND), or with `err` if
 * that is not RD_OK. Asserts that there is one. */
void rig_got(struct rig *rig, enum rd_err err);

/* Answers all reads. */
void rig_load_all(struct rig *rig);

/* Answers the oldest scan with a page of what the store holds, or with `err` if that is not RD_OK. No row of the rig is
 * ever due. Asserts that there is a scan. */
void rig_scanned(struct rig *rig, enum rd_err err);

/* Ends the oldest commit; its rows reach the store unless `err` is an error. Asserts that there
 * is one. */
void rig_committed(struct rig *rig, enum rd_err err);

/* Reads, EV_TURN_END and commits, again and again until the store has nothing to do. */
void rig_settle(struct rig *rig);

/* Puts a row of the object space; takes no reference. NULL erases. */
void rig_set_row(struct rig *rig, const char *key, struct blob *value);
void rig_set_object(struct rig *rig, const char *key, const struct object *object);

/* The object stored under `key`; asserts that there is one that decodes. Free with object_free. */
struct object rig_object(struct rig *rig, const char *key);

/* The stored row, or NULL. Borrowed. space: 0 objects, 2 meta. */
struct blob *rig_row(struct rig *rig, uint8_t space, const char *key);

/* ---- peers ----------------------------------------------------------------------------------- */

/* Connects peer i to the node and does the handshake; `born`: the peer says that it belongs to
 * the rig's cluster. Asserts that it succeeds. Returns the link. */
uint64_t rig_link(struct rig *rig, unsigned peer, bool born);

/* Plays the acceptor of the dial `dial`, as peer i: connects, does the handshake, and returns
 * the link. */
uint64_t rig_accept(struct rig *rig, uint64_t dial, unsigned peer, bool born);

/* Frames of any link and any peer. `rig_say_on` encodes and delivers. */
void rig_say_on(struct rig *rig, uint64_t link, const struct wire_msg *msg);
void rig_say(struct rig *rig, unsigned peer, const struct wire_msg *msg);

/* Delivers arguments as they are. */
void rig_frame(struct rig *rig, uint64_t link, const struct resp_slice *argv, size_t argc);

/* The link of `peer` breaks. */
void rig_cut(struct rig *rig, unsigned peer);

/* Takes the oldest frame sent to the peer, which must be of `kind`. The message lives until
 * rig_reset. Probes are passed over, unless `kind` is WIRE_PROBE: they come whenever a peer is made to wait. */
struct wire_msg rig_take(struct rig *rig, unsigned peer, enum wire_kind kind);
struct wire_msg rig_take_on(struct rig *rig, uint64_t link, enum wire_kind kind);

/* How many frames of `kind` wait for the peer; WIRE_KINDS: of any kind but PROBE. */
size_t rig_waiting(const struct rig *rig, unsigned peer, enum wire_kind kind);

/* Drops all frames that wait. */
void rig_drop_frames(struct rig *rig);

/* Splits the bytes of one frame into arguments; asserts that they are one array of bulk strings. */
size_t rig_split(const struct blob *bytes, struct resp_slice argv[RIG_MAX_ARGS]);

/* ---- clients --------------------------------------------------------------------------------- */

/* Steps a request, with a fresh tag, which is returned. */
uint64_t rig_ask(struct rig *rig, struct client_request request);

/* The same for usual ones. NULL value: delete. */
uint64_t rig_set(struct rig *rig, const char *key, const char *value);
uint64_t rig_get(struct rig *rig, const char *key, uint32_t r);

/* True if the request has been answered (and not taken yet). */
bool rig_replied(const struct rig *rig, uint64_t tag);

/* Takes the reply, which must be there. Free with client_reply_free. */
struct client_reply *rig_reply(struct rig *rig, uint64_t tag);

/* Takes the reply and checks its error; frees it. */
void rig_expect(struct rig *rig, uint64_t tag, enum rd_err err);

/* ---- the rest -------------------------------------------------------------------------------- */

/* True if the log has a line that contains `text`. */
bool rig_logged(const struct rig *rig, const char *text);

/* True if the node has closed the link (and not been asked about it before). */
bool rig_closed(struct rig *rig, uint64_t link);

/* A key whose homes include the node itself, or do not, by its partition. `nth` of them, from 0.
 * Static text. */
const char *rig_key(struct rig *rig, bool home, unsigned nth, char out[16]);

/* Vector and siblings without stamps, newest first: "A2 Z.1:1 | Z.1:1=v A2=w". "?" is an
 * incarnation that is no letter. Returns `out`. */
#define RIG_SHAPE_BYTES 1024
const char *rig_shape(const struct object *object, char out[RIG_SHAPE_BYTES]);

/* The node's counters. */
struct node_stats rig_stats(const struct rig *rig);

/* A slice of text. */
struct resp_slice rig_slice(const char *text);

#endif
