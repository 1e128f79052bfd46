/* What the files of the exchange share among themselves: the session that this node drives. */
#ifndef RD_REPLICATION_EXCHANGE_PRIVATE_H
#define RD_REPLICATION_EXCHANGE_PRIVATE_H

#include "replication/exchange.h"

/* A node of a partition's tree, and the hash that somebody has for it. */
struct tree_node {
    uint16_t partition;
    uint8_t level;
    uint32_t index;
    uint64_t hash;
};
#define TREE_NODE_BYTES 15

enum exchange_phase {
    EXCHANGE_ROOTS,   /* the roots were sent */
    EXCHANGE_DESCEND, /* `frontier` holds nodes that differ one level up */
    EXCHANGE_SETTLE,  /* `found` holds leaves that differed: writes in flight settle */
    EXCHANGE_LOOK,    /* which of them still do goes to `kept` */
    EXCHANGE_LIST,    /* rows of `kept`, slot by slot */
    EXCHANGE_PAUSE,   /* `keys` differed: once more, writes in flight settle */
    EXCHANGE_KEYS     /* they are looked at again and mended */
};

/* A row of a list: its key and the digest of its object. */
struct listed_row {
    struct blob *key; /* owned */
    uint64_t digest;  /* 0: damaged */
};

struct row_list {
    struct listed_row *rows; /* owned, in the order of keys */
    size_t count, cap;
    bool end; /* nothing follows */
};

enum key_state { KEY_WAITING, KEY_OWN, KEY_THEIRS, KEY_STORING, KEY_DONE };

/* A key that differed. A digest of 0: there is no row; DIGEST_DAMAGED: it cannot be read. */
#define DIGEST_DAMAGED UINT64_MAX
struct exchange_key {
    struct blob *key; /* owned */
    uint64_t mine, theirs;
    enum key_state state;
    uint8_t storing; /* answers still expected in KEY_STORING */
    bool own_damaged;
    bool sent;         /* KEY_STORING: the peer's answer is one of them */
    uint64_t since_us; /* when its mending began */
    struct object own; /* KEY_THEIRS */
};

/* A slot being listed on both sides. */
struct exchange_lane {
    bool busy;
    uint16_t slot, leaves;
    bool own_page, awaiting; /* the own scan, the peer's page is under way */
    uint64_t asked; /* the id of the question that is awaited: a link may break behind it, */
                    /* and an answer to an earlier one come late */
    uint64_t own_token;
    uint64_t since_us; /* when the peer was asked */
    uint64_t again_us; /* the peer had no room for the scan: when to ask again; 0: it had */
    struct blob
        *after; /* owned: behind which key the peer's next page begins; NULL: the first one */
    struct row_list mine, theirs;
};

struct exchange_session {
    uint16_t member;
    uint64_t id;
    enum exchange_phase phase;
    bool awaiting;              /* the answer to a frame about nodes */
    uint64_t due_us;            /* end of a pause */
    uint64_t progress_us;       /* when something last happened */
    bool more;                  /* not all that differs fitted in */
    bool moved;                 /* a key was left alone because it was being written */
    bool of_keys;               /* of some damaged keys alone */
    struct tree_node *frontier; /* owned */
    uint32_t frontier_count;
    struct tree_node *found, *kept; /* owned: leaves, by (partition, index) */
    uint32_t found_count, kept_count, kept_next, looked;
    struct exchange_lane lanes[EXCHANGE_LANES];
    uint64_t questions;        /* about rows, so far */
    struct exchange_key *keys; /* owned */
    uint32_t key_count, key_next, key_open;
    uint64_t met_keys, met_bytes; /* of answers so far: how large a key is on average */
    uint64_t mended;              /* keys that were merged, this way or that */
};

/* ---- exchange.c ------------------------------------------------------------------------------- */

/* Encodes, counts and sends; false if the member is out of reach or memory is out. */
bool exchange_say(struct exchange *x, uint16_t member, const struct wire_msg *msg);

/* Something has come: the session is alive. */
void exchange_progress(struct exchange *x);

/* Goes on with the session as far as it can go without waiting. May end it. */
void exchange_run(struct exchange *x);

/* Ends the session; `whole`: it came to its end. */
void exchange_end(struct exchange *x, bool whole);

/* How long writes in flight are given. */
uint64_t exchange_settle_us(const struct exchange *x);

/* Notes a key that differed. False: there is no room, or memory is out. */
bool exchange_add_key(struct exchange_session *s, struct blob *key, uint64_t mine, uint64_t theirs);

/* ---- exchange_tree.c -------------------------------------------------------------------------- */

/* True if both this node and `member` are homes of the partition. */
bool exchange_shares(const struct exchange *x, uint16_t partition, uint16_t member);

/* Makes x->tree that of the partition. False: there is no store to look at, or memory is out. */
bool exchange_load(struct exchange *x, uint16_t partition);

/* Appends packed nodes. Error: RD_ENOMEM. */
enum rd_err exchange_pack(struct buf *out, const struct tree_node *node);

/* Unpacks the next node of *at and moves on; false at the end or where it is cut off. */
bool exchange_unpack(struct resp_slice *at, struct tree_node *out);

/* Answers ROOTS and NODES of a peer. */
enum rd_err exchange_serve_nodes(struct exchange *x, uint16_t member, const struct wire_msg *msg);

/* Sends the roots. False: nothing is shared, or it could not be sent. */
bool exchange_send_roots(struct exchange *x);

/* Sends a piece of the frontier, or of `found` for the second look. */
bool exchange_send_frontier(struct exchange *x);

/* Keeps all of `found`, in order, without a second look. */
void exchange_keep_found(struct exchange *x);
bool exchange_send_found(struct exchange *x);

/* Takes the answer to any of those. Error: RD_EPROTO. */
enum rd_err exchange_take_nodes(struct exchange *x, struct resp_slice nodes);

/* ---- exchange_rows.c -------------------------------------------------------------------------- */

/* Answers ROWS of a peer: begins a scan. */
void exchange_serve_rows(struct exchange *x, uint16_t member, const struct wire_msg *msg);

/* Goes on listing; true if all of `kept` has been listed. */
bool exchange_list(struct exchange *x);

/* Takes a page of the peer's rows. Error: RD_EPROTO. */
enum rd_err exchange_take_rows(struct exchange *x, const struct wire_msg *msg);

/* What the peer was asked about rows will not be answered: it is asked again. */
void exchange_list_lost(struct exchange *x);

/* Frees what the lane holds; it is free again. */
void exchange_lane_clear(struct exchange_lane *lane);

/* ---- exchange_keys.c -------------------------------------------------------------------------- */

/* Goes on mending; true if all keys are done. */
bool exchange_mend(struct exchange *x);

/* What the peer was asked about keys will not be answered. */
void exchange_mend_lost(struct exchange *x);

/* Frees what a key owns. */
void exchange_key_free(struct exchange_key *key);

#endif
