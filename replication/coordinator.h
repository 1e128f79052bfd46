/* The coordinator's table of requests in flight, and what its operations work with.
 *
 * Requests are named by {slot, generation}, on the wire too, never by pointer: a late answer to a
 * finished request finds nothing, is counted and dropped. The table is bounded (max_requests);
 * above it a request is turned away before anything was done. Each request ends exactly once, by
 * coordinator_finish, after one reply.
 */
#ifndef RD_REPLICATION_COORDINATOR_H
#define RD_REPLICATION_COORDINATOR_H

#include "base/pool.h"
#include "replication/birth.h"
#include "replication/client_op.h"
#include "replication/op_count.h"
#include "replication/op_forward.h"
#include "replication/op_read.h"
#include "replication/op_report.h"
#include "replication/op_rmw.h"
#include "replication/op_scan.h"
#include "replication/op_write.h"
#include "replication/peers.h"
#include "replication/placement.h"
#include "replication/replica.h"

enum request_kind {
    REQUEST_PARKED, /* a write that waits for the cluster's birth */
    REQUEST_READ,
    REQUEST_WRITE,
    REQUEST_RMW, /* waits for its turn or shares one; whose turn it is, is a READ and then a WRITE */
    REQUEST_FORWARD,
    REQUEST_REPORT,
    REQUEST_COUNT,
    REQUEST_SCAN
};

/* Who is answered in the end. */
struct requester {
    bool is_peer;    /* a node that forwarded the request, else a client of this node */
    uint64_t tag;    /* the client's */
    uint16_t member; /* the peer */
    uint64_t id;     /* the peer's name for the request */
};

/* What a write wants, kept while it waits: everything owned. */
struct write_order {
    struct blob *value; /* NULL: delete */
    bool with_context;
    struct context context;
    struct blob *token; /* the sealed context as it came, to be forwarded; NULL: none */
    struct blob *rmw; /* a read-modify-write's own order; `value` is what it comes to; NULL: none */
    uint64_t expires_ms;
    uint32_t r, w; /* r: of a read-modify-write; 0: the node's own */
};

struct request {
    uint32_t slot, generation;
    enum request_kind kind;
    struct requester from;
    struct blob *key; /* owned reference; NULL for COUNT and SCAN */
    uint16_t partition;
    uint64_t started_us, deadline_us;
    bool replied; /* the requester has its answer; the request lives on for late answers */
    uint32_t
        silent; /* homes (by place) that have held it up: not waited for in what it does next */
    uint64_t hedge_us;           /* READ: when more replicas are asked; 0: not wanted */
    struct request *prev, *next; /* by deadline */
    struct request *hedge_prev, *hedge_next;
    struct write_order order; /* PARKED, WRITE, FORWARD, RMW */
    struct rmw *rmw;          /* owned; NULL: it is none */
    void (*release)(
        struct request *request); /* frees what the operation owns; set by it; may be NULL */
    union {
        struct op_read read;
        struct op_write write;
        struct op_forward forward;
        struct op_report report;
        struct op_count count;
        struct op_scan scan;
    };
};

struct coordinator {
    struct core *core; /* all borrowed */
    struct members *members;
    struct peers *peers;
    struct replica *replica; /* the node's own copies */
    struct replica *hints;   /* those it keeps for others */
    struct placement *placement;
    struct birth *birth;
    struct scan_jobs *scan_jobs;
    struct scan_memory scan_memory;
    struct request **slots; /* owned */
    uint32_t *generations;  /* owned, by slot */
    uint32_t *free_slots;   /* owned stack */
    uint32_t slot_count, free_count, in_flight;
    uint32_t lingering;        /* of those in flight: answered, and open for late answers */
    struct request *deadlines; /* list, earliest first */
    struct request *hedges;    /* list, earliest first */
    struct rmw_table rmw;
    bool checking;     /* a forward may be waiting for a home that answers */
    struct pool spare; /* requests that have ended */
};

/* Reserves the table of core->conf.max_requests. Error: RD_ENOMEM. The pointers to the others
 * are set by the caller. */
enum rd_err coordinator_init(struct coordinator *co, struct core *core);

/* Frees all requests without replies. */
void coordinator_free(struct coordinator *co);

/* Opens a request of `kind` with the deadline of request-timeout. `key` (borrowed, copied) is
 * that of all but REQUEST_COUNT and REQUEST_SCAN; it may be empty, and then NULL. Errors: RD_EOVERLOADED,
 * RD_ENOMEM. */
enum rd_err coordinator_open(struct coordinator *co, enum request_kind kind,
                             const struct requester *from, const void *key, size_t key_len,
                             struct request **out);

/* The request's name, never 0, and the request of a name, or NULL if it has ended. */
uint64_t request_id(const struct request *request);
struct request *coordinator_find(struct coordinator *co, uint64_t id);

/* Asks for a hedge at `at_us`. */
void coordinator_hedge_at(struct coordinator *co, struct request *request, uint64_t at_us);

/* Moves the request's deadline. */
void coordinator_deadline_at(struct coordinator *co, struct request *request, uint64_t at_us);

/* The homes of the request's key that are in `silent`; and notes that `member`, if it is a home, is one of them, or has answered after all. */
bool coordinator_is_silent(const struct coordinator *co, const struct request *request,
                           uint16_t member);
void coordinator_note_silent(const struct coordinator *co, struct request *request, uint16_t member,
                             bool silent);

/* True if one part in `share` of request-timeout has passed since `since_us`. */
bool coordinator_waited(const struct coordinator *co, uint64_t since_us, uint32_t share);

/* True if `member`, asked at `asked_us` and silent since, is no longer to be waited for alone: it has become suspect, or half the request's
 * time is over. A fallback is nobody in particular, and has less time: the next one will do. */
bool coordinator_holds_up(const struct coordinator *co, const struct request *request,
                          uint16_t member, bool home, uint64_t asked_us);

/* A zeroed reply with `err`, or NULL without memory. */
struct client_reply *coordinator_reply_new(struct coordinator *co, enum rd_err err);

/* Answers the requester, once; the request stays in the table for what comes late, until
 * coordinator_close. `reply` as for coordinator_finish. */
void coordinator_reply(struct coordinator *co, struct request *request, struct client_reply *reply);

/* Ends a request that has been answered. */
void coordinator_close(struct coordinator *co, struct request *request);

/* Ends `request` with `reply` (taken over; NULL: out of memory): to the client, or as
 * FORWARD_ANSWER to the peer. */
void coordinator_finish(struct coordinator *co, struct request *request,
                        struct client_reply *reply);

/* Ends `request` with an error and a formatted sentence. */
void coordinator_fail(struct coordinator *co, struct request *request, enum rd_err err,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Ends a request that was never opened, in the same way. `handled` is always no: nothing was
 * done. */
void coordinator_turn_away(struct coordinator *co, const struct requester *from, enum rd_err err,
                           const char *text);

/* The homes of the request's key as member indexes (room for PREFLIST_MAX_N) and their number. */
size_t coordinator_homes(const struct coordinator *co, const struct request *request,
                         uint16_t *out);

/* True if `member` is this node or can be reached now. */
bool coordinator_can_ask(const struct coordinator *co, uint16_t member);

/* True if `member` is this node or healthy (peers_healthy): the predicate for routing. */
bool coordinator_healthy(const struct coordinator *co, uint16_t member);

/* The healthy fallbacks of a partition, in order of preference, up to `max`; this node is one
 * if it is no home. None where sloppy quorums or hints are switched off. Returns how many. */
size_t coordinator_fallbacks(const struct coordinator *co, uint16_t partition, uint16_t *out,
                             size_t max);

/* The asker of a local replica operation for `request`. */
struct asker request_asker(const struct request *request, uint64_t round);

/* Asserts the invariants. */
void coordinator_check(const struct coordinator *co);

#endif
