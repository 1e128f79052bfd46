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

#include "base/blob.h"
#include "base/buf.h"
#include "base/err.h"
#include "replication/context.h"
#include "replication/node_id.h"
#include "replication/object.h"
#include "replication/preflist.h"
#include "replication/slot.h"
#include "resp/slice.h"

#define NODE_PROTOCOL_VERSION 1
#define NODE_HOST_BYTES 256 /* with the terminating zero: a DNS name or a numeric address */
#define NODE_NAME_BYTES 64
#define NODE_SECRET_BYTES 256

struct instant {
    uint64_t mono_us; /* never goes back; only differences matter */
    uint64_t wall_us; /* since 1970; may jump */
};

enum conflict_resolution { CONFLICT_SIBLINGS = 0, CONFLICT_LAST_WRITE_WINS = 1 };

struct node_address {
    char host[NODE_HOST_BYTES];
    uint16_t port;
};

/* ---- birth ---------------------------------------------------------------------------------------- */

struct node_conf {
    char cluster_name[NODE_NAME_BYTES];
    char secret[NODE_SECRET_BYTES]; /* cluster-secret; empty: none */
    uint32_t n, r, w;               /* replication-factor, read-quorum, write-quorum */
    uint32_t partitions;
    enum partitioner partitioner;
    enum conflict_resolution conflict_resolution;
    uint32_t vnodes;
    char zone[RING_ZONE_BYTES];
    char announce_host[NODE_HOST_BYTES]; /* empty: as peers see this node */
    uint16_t port;                       /* announced to clients */
    uint16_t cluster_port;               /* announced to peers */
    const struct node_address *seeds;    /* copied by node_new */
    size_t seed_count;
    uint32_t request_timeout_ms, gossip_interval_ms, failure_timeout_ms;
    uint32_t max_siblings;
    uint64_t max_object_bytes;
    uint32_t max_requests; /* in flight; above it clients get RD_EOVERLOADED */
    bool read_repair;
    bool trace; /* emit TRACE_DEBUG lines */
    /* Rows of STORE_META as the store held them at the start; NULL: absent. Borrowed by node_new. */
    struct blob *meta_identity; /* row "identity": node id and last incarnation */
    struct blob *meta_birth;    /* row "birth": the birth certificate, if the cluster was born */
};

struct node; /* opaque: one in a server, hundreds in the simulator */

/* Makes a node from its configuration and the rows its store held. `seed`: 256 bits from the system's
 * generator; never the same twice. `reason` gets one clear sentence on error. Errors: RD_ENOMEM, RD_ECONF, RD_ECORRUPT (a damaged meta row). Free with node_free. */
enum rd_err node_new(const struct node_conf *conf, const uint64_t seed[4], struct node **out,
                     char reason[256]);

/* Frees and nulls. Requests in flight are forgotten; the driver tells their clients. */
void node_free(struct node **node);

/* ---- events --------------------------------------------------------------------------------------- */

enum client_op {
    CLIENT_READ,     /* read R replicas, merge */
    CLIENT_WRITE,    /* set or delete one key */
    CLIENT_REPLICAS, /* what every replica of the key holds (DYNREPLICAS) */
    CLIENT_COUNT     /* live keys of the whole cluster (DBSIZE) */
};

struct client_request {
    uint64_t tag; /* the driver's name for it, given back in EFF_REPLY; exactly one reply per request */
    enum client_op op;
    const void *key; /* borrowed during the step */
    size_t key_len;
    uint32_t r, w;        /* 0: the node's own */
    bool monotonic;       /* READ: repair the R replicas before replying */
    struct blob *value;   /* WRITE: borrowed (a reference is taken if kept); NULL: delete */
    bool with_context;    /* WRITE: replace exactly what `context` covers (DYNSET, DYNDEL); else all that is there (SET, DEL) */
    const char *context;  /* WRITE with_context: a sealed token; borrowed; NULL: covers nothing */
    size_t context_len;
    uint64_t expires_ms;  /* WRITE: absolute wall ms; 0: never */
};

enum event_kind {
    EV_TIMER,     /* node_deadline_us has passed (or not: harmless) */
    EV_TURN_END,  /* the driver is about to commit and to write */
    EV_CLIENT,    /* a client's request */
    EV_LINK_UP,   /* a connection came, or one that was dialled stands */
    EV_LINK_DOWN, /* it is gone; no frame of it follows */
    EV_DIAL_FAILED,
    EV_FRAME,     /* one frame of a link: the arguments of one RESP array */
    EV_STORE_GOT, /* a read has finished */
    EV_STORE_DONE /* a commit has finished */
};

struct event {
    enum event_kind kind;
    union {
        const struct client_request *client;
        struct {
            uint64_t link;     /* chosen by the driver, never reused */
            uint64_t dial;     /* of the EFF_DIAL it answers; 0: it came from outside */
            const char *host;  /* the peer's numeric address; borrowed */
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
    };
};

/* ---- effects -------------------------------------------------------------------------------------- */

enum replica_state { REPLICA_OK, REPLICA_NOT_FOUND, REPLICA_FAILED, REPLICA_NO_ANSWER };

/* One line of DYNREPLICAS. */
struct replica_report {
    struct node_id node;
    struct node_address address; /* for clients */
    bool home;
    enum replica_state state;
    uint64_t digest;
    uint32_t siblings;
    struct buf clock; /* printable: incarnation.epoch:counter ... */
};

/* The answer to a client. Owned by the effect. */
struct client_reply {
    enum rd_err err;            /* RD_OK, or which error; then `text` says it in a sentence, without a code */
    char text[200];
    struct object object;       /* READ: merged, newest first, expired siblings still in it */
    struct buf context;         /* READ, WRITE with_context: the sealed token */
    bool existed;               /* WRITE delete: a reader would have seen the key before */
    struct replica_report *reports; /* REPLICAS */
    size_t report_count;
    uint64_t number;            /* COUNT */
};

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING };

enum effect_kind {
    EFF_DIAL,
    EFF_SEND,
    EFF_CLOSE,
    EFF_STORE_GET,
    EFF_STORE_PUT,
    EFF_STORE_COMMIT,
    EFF_REPLY,
    EFF_LOG /* also the trace: LOG_DEBUG lines, if node_conf.trace */
};

/* A row address in effects; the same shape as the store's (floor 2 does not know floor 3). */
struct row_key {
    uint8_t space; /* 0 objects, 1 hints, 2 meta, 3 leaves: as enum store_space */
    uint16_t slot;
    struct blob *key; /* a reference owned by the effect */
};

struct effect {
    enum effect_kind kind;
    union {
        struct {
            uint64_t dial;
            struct node_address to;
        } dial;
        struct {
            uint64_t link;
            struct blob *frame; /* a reference owned by the effect; shared by all receivers */
        } send;
        struct {
            uint64_t link;
        } close;
        struct {
            uint64_t token;
            struct row_key at;
        } store_get;
        struct {
            struct row_key at;
            struct blob *value; /* owned reference; NULL: erase */
            uint64_t old_digest, new_digest;
            uint64_t due_ms;
            bool was_live, is_live;
        } store_put;
        struct {
            uint64_t token;
        } store_commit;
        struct {
            uint64_t tag;
            struct client_reply *reply; /* owned */
        } reply;
        struct {
            enum log_level level;
            char *text; /* owned */
        } log;
    };
};

/* The queue. The driver zeroes it once, reads items[0..count) after a step, then calls effects_clear. */
struct effects {
    struct effect *items;
    size_t count;
    size_t cap;
};

/* Releases what the effects own and empties the queue, keeping its memory. */
void effects_clear(struct effects *effects);

/* Frees the queue and all in it. */
void effects_free(struct effects *effects);

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
    uint32_t partitions;    /* that it is a home of */
    uint64_t hints_pending; /* that this node holds for it */
    uint64_t heard_ms;      /* since it was last heard; 0 for the node itself */
    bool self;
};

struct node_stats {
    uint64_t read_repairs, sibling_reads, quorum_failures_read, quorum_failures_write;
    uint64_t requests_forwarded, late_answers, second_rounds, fresh_incarnations, dot_clashes;
    uint64_t frames_refused, links_refused, store_errors, corrupt_rows;
    uint64_t requests_in_flight, keys_in_flight;
    uint64_t partitions_owned; /* partitions this node is a home of */
    uint32_t members, members_up;
    bool born;   /* the cluster has accepted its first write */
    bool open;   /* requests are served (no -CLUSTERDOWN) */
    char cluster_id[NODE_ID_HEX + 1];
};

/* The node's own id. */
struct node_id node_self(const struct node *node);

/* The number of members, including the node itself, and one of them in order of id; asserts index < count. */
size_t node_member_count(const struct node *node);
void node_member(const struct node *node, size_t index, struct instant now, struct member_view *out);

/* The preference list of `partition`, homes first, then fallbacks, as indices for node_member. Writes up to `max`, returns how many;
 * `homes`: how many of them are homes. */
size_t node_preflist(const struct node *node, uint16_t partition, uint16_t *out, size_t max,
                     size_t *homes);

/* The number of partitions and the slot of a key under this node's partitioner. */
uint32_t node_partitions(const struct node *node);
uint16_t node_slot(const struct node *node, const void *key, size_t len);

/* Counters and states for INFO. */
void node_stats(const struct node *node, struct node_stats *out);

/* R and W as they are now; node_set_quorum changes them, R and W in 1..N. Error: RD_ECONF. */
void node_quorum(const struct node *node, uint32_t *n, uint32_t *r, uint32_t *w);
enum rd_err node_set_quorum(struct node *node, uint32_t r, uint32_t w);

/* Seals the context of a client that was shown `object` under `key`. Error: RD_ENOMEM. */
enum rd_err node_seal(const struct node *node, const void *key, size_t key_len,
                      const struct object *object, struct buf *out);

/* Live keys this node answers for in CLIENT_COUNT come from the driver's store: the driver sets how to count slots. `count` is
 * called inside steps, must not change anything, and gets first and last slot. */
void node_set_live_counter(struct node *node, uint64_t (*count)(void *arg, uint16_t first, uint16_t last),
                           void *arg);

/* Asserts the node's invariants; for tests and the simulator. */
void node_check(const struct node *node);

#endif
