/* Effects: what the node wants done, as data, in the order in which it wants it.
 *
 * Sends, replies and logs may be lost without harm to what is promised; store effects may not. The queue's own memory is the one thing a
 * step cannot do without: if a few hundred bytes for it are not to be had, the process ends. A Dynamo node that dies loses
 * nothing that was acknowledged; one that forgets half an effect may.
 */
#ifndef RD_REPLICATION_EFFECTS_H
#define RD_REPLICATION_EFFECTS_H

#include "base/blob.h"
#include "base/pool.h"
#include "replication/client_op.h"
#include "replication/node_conf.h"

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING };

enum effect_kind {
    EFF_DIAL,
    EFF_SEND,
    EFF_CLOSE,
    EFF_STORE_GET,
    EFF_STORE_PUT,
    EFF_STORE_COMMIT,
    EFF_STORE_SCAN,
    EFF_REPLY,
    EFF_LOG /* also the trace: LOG_DEBUG lines, if node_conf.trace */
};

/* A row address in effects; the same shape as the store's (floor 2 does not know floor 3). */
struct row_key {
    uint8_t space; /* 0 objects, 1 hints, 2 meta, 3 leaves: as enum store_space */
    uint16_t slot;
    struct blob *key; /* a reference owned by the effect */
};

/* A page of rows in order of (slot, key), or of those that are due. The answer is EV_STORE_SCANNED with the same token. */
struct store_scan_order {
    uint64_t token;
    uint8_t space;
    uint16_t first_slot, last_slot; /* both included */
    bool due; /* objects only: rows whose due_ms is in 1..due_before_ms, in order of (due_ms, slot,
               * key); the range means nothing then */
    uint64_t due_before_ms;
    uint64_t due_after_ms;  /* with after_slot and after_key */
    uint16_t after_slot;    /* with after_key: only rows behind this one */
    struct blob *after_key; /* a reference owned by the effect; NULL: from the start of the range */
    uint32_t max_rows;      /* 1..SCAN_MAX_ROWS */
    uint32_t max_bytes;     /* of values, about; one row comes in any case */
};

struct effect {
    enum effect_kind kind;
    union {
        struct {
            uint64_t dial;
            uint16_t port;
            char *host; /* owned */
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
        struct store_scan_order store_scan;
        struct {
            uint64_t tag;
            struct client_reply *reply; /* owned; NULL: there was no memory for one (RD_ENOMEM) */
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
    struct pool spare_replies; /* of effects_clear, for effects_reply_new */
};

/* Releases what the effects own and empties the queue, keeping its memory. */
void effects_clear(struct effects *effects);

/* Frees the queue and all in it. */
void effects_free(struct effects *effects);

/* ---- for the protocols inside: appending ---------------------------------------------------------- */

/* Appends one zeroed effect of `kind` and returns it, to be filled at once. Never fails (see above). */
struct effect *effects_push(struct effects *effects, enum effect_kind kind);

/* Appends a frame for `link`; takes a reference of its own. */
void effects_send(struct effects *effects, uint64_t link, struct blob *frame);

/* A zeroed reply (but for the text behind its first byte), to be freed with client_reply_free. NULL without memory. */
struct client_reply *effects_reply_new(struct effects *effects);

/* Appends a reply; takes `reply` over. */
void effects_reply(struct effects *effects, uint64_t tag, struct client_reply *reply);

/* Appends a line of the log. A line that cannot be allocated is dropped. */
void effects_log(struct effects *effects, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
