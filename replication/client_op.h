/* What a client asks of the node and what it is answered: single-key operations. The server makes Redis's commands of them. */
#ifndef RD_REPLICATION_CLIENT_OP_H
#define RD_REPLICATION_CLIENT_OP_H

#include "base/blob.h"
#include "base/buf.h"
#include "base/err.h"
#include "replication/node_conf.h"
#include "replication/node_id.h"
#include "replication/object.h"
#include "resp/slice.h"

enum client_op {
    CLIENT_READ,     /* read R replicas, merge */
    CLIENT_WRITE,    /* set or delete one key */
    CLIENT_REPLICAS, /* what every replica of the key holds (DYNREPLICAS) */
    CLIENT_RMW,      /* read-modify-write of one key: `value` says how (rmw_port.h) */
    CLIENT_COUNT,    /* live keys of the whole cluster (DBSIZE) */
    CLIENT_SCAN,     /* one page of the keys of the whole cluster */
    CLIENT_FLUSH     /* deletes the keys of such a page */
};

struct client_request {
    uint64_t
        tag; /* the driver's name for it, given back in EFF_REPLY; exactly one reply per request */
    enum client_op op;
    const void *key; /* borrowed during the step */
    size_t key_len;
    uint32_t r, w;  /* 0: the node's own */
    bool monotonic; /* READ: repair the R replicas before replying */
    struct blob *
        value; /* WRITE: borrowed (a reference is taken if kept); NULL: delete. RMW: the order, never NULL */
    bool
        with_context; /* WRITE: replace exactly what `context` covers (DYNSET, DYNDEL); else all that is there (SET, DEL) */
    const char *context; /* WRITE with_context: a sealed token; borrowed; NULL: covers nothing */
    size_t context_len;
    uint64_t expires_ms; /* WRITE: absolute wall ms; 0: never */

    /* SCAN, FLUSH. `key`, if not NULL, is the key that the cursor stands behind, for a caller that has kept it. */
    uint64_t cursor;    /* 0: from the beginning */
    uint16_t last_slot; /* included; SLOT_COUNT - 1: all */
    uint32_t count;     /* so many keys are enough; at most 1024 */
    bool exact;         /* SCAN: the caller keeps after_key, so the page may end anywhere */
};

enum replica_state { REPLICA_OK, REPLICA_NOT_FOUND, REPLICA_FAILED, REPLICA_NO_ANSWER };

/* One line of DYNREPLICAS. */
struct replica_report {
    struct node_id node;
    struct node_address address; /* for clients */
    bool home;
    enum replica_state state;
    uint64_t digest;
    uint32_t siblings;
    bool current;     /* it knows all that those who answered know */
    struct buf clock; /* printable: incarnation.epoch:counter ... */
};

/* The answer to a client. Owned by the effect. */
struct client_reply {
    enum rd_err err;      /* RD_OK, or which error */
    struct object object; /* READ: merged, newest first, expired siblings still in it */
    struct buf reply;     /* RMW: of the computation */
    struct buf context;   /* WRITE with_context: the new sealed token (for a READ: node_seal) */
    uint32_t stand_ins;   /* of the nodes that answered and counted: fallbacks, no homes */
    bool existed;         /* WRITE delete: a reader would have seen the key before */
    struct replica_report *reports; /* REPLICAS */
    size_t report_count;
    uint64_t number;        /* COUNT; SCAN: of the keys found; FLUSH: of those deleted */
    uint64_t cursor;        /* SCAN, FLUSH: where it goes on; 0: nowhere, it is done */
    struct blob *after_key; /* and the key that the cursor stands behind, if any: a reference */
    struct buf keys;        /* SCAN: see client_reply_next_key */
    char text
        [200]; /* on an error: a sentence that says it, without a code. Last: it is seldom looked at */
};

/* The slot stands in a cursor from this bit on; what is below it names a key of the slot, 0: before the first one. Cursors have 52 bits. */
#define CLIENT_CURSOR_SLOT_SHIFT 38

/* Takes the key at *at (0 at first) from a list of keys, and moves *at behind it. False: there is none left. Borrowed. */
bool client_reply_next_key(const struct buf *keys, size_t *at, struct resp_slice *out);

/* Appends a key to such a list. Error: RD_ENOMEM, nothing was added. */
enum rd_err client_reply_add_key(struct buf *keys, struct resp_slice key);

/* Frees what the reply owns and the reply itself. NULL is ignored. */
void client_reply_free(struct client_reply *reply);

#endif
