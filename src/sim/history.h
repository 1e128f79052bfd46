/* The history: every request that a simulated client made, and what became of it. What the
 * checkers judge. */
#ifndef RD_SIM_HISTORY_H
#define RD_SIM_HISTORY_H

#include "replication/node.h"

/* One request. `tag` is its place in the history plus one. */
struct op {
    uint64_t tag;
    enum client_op kind;
    uint32_t node;        /* whom the client asked */
    uint32_t client;      /* who asked; for the workload */
    struct blob *key;     /* owned, as are the others */
    struct blob *value;   /* WRITE: NULL deletes; RMW: the order */
    struct blob *context; /* the token sent; NULL: none */
    bool with_context;
    const struct op *seen; /* WRITE with a context: the op that was answered with it; NULL: none */
    uint64_t value_id;     /* WRITE: a number that the value begins with; 0: it has none */
    bool monotonic;
    bool wants_token; /* READ: the context is wanted, as by DYNGET */
    uint32_t r, w;    /* 0: the node's own */
    uint64_t expires_ms;
    uint64_t cursor;   /* SCAN, FLUSH */
    uint32_t count;    /* SCAN */
    bool exact;        /* SCAN: pages may end anywhere */
    uint64_t asked_us; /* true time */

    bool answered; /* by the node, or because it died */
    uint64_t answered_us;
    enum rd_err err; /* also RD_EREFUSED: nobody listened; RD_ECLOSED: the node died first */
    char text[120];
    bool existed;                   /* of a deletion */
    uint32_t stand_ins;             /* fallbacks among the replicas that its answer rests on */
    uint64_t number;                /* of a count */
    uint64_t next_cursor;           /* of SCAN and FLUSH: 0 at the end */
    struct buf keys;                /* of a SCAN: as in client_reply */
    struct object object;           /* of a read: what came back */
    struct blob *result;            /* of a read-modify-write; NULL: none */
    struct blob *token;             /* the context that came back; NULL: none */
    struct replica_report *reports; /* of DYNREPLICAS; owned */
    size_t report_count;
};

struct history {
    struct op **ops; /* owned, each too: an op keeps its place in memory */
    size_t count, cap;
    size_t open; /* not yet answered */
};

/* Frees all; a zeroed struct is an empty history. */
void history_free(struct history *history);

/* Adds a copy of `request`, taking references of its own to its blobs, and returns it. */
struct op *history_add(struct history *history, const struct op *request, uint64_t now_us);

/* The op with that tag; asserts that there is one. */
struct op *history_op(const struct history *history, uint64_t tag);

/* Notes the answer: takes what `reply` holds and leaves it empty. Asserts that the op had none
 * before. */
void history_answer(struct history *history, struct op *op, struct client_reply *reply,
                    uint64_t now_us);

/* Appends what the client asks, such as "SET k v1". */
void history_text_request(const struct op *op, struct buf *out);

/* Appends what it was answered, such as "{v1 v2}" or "ok". */
void history_text_answer(const struct op *op, struct buf *out);

/* Notes that there will be no answer, because of `err`. */
void history_break(struct history *history, struct op *op, enum rd_err err, uint64_t now_us);

#endif
