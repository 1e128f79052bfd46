/* What peers say to each other: RESP arrays of bulk strings, a name and its fields, readable with
 * redis-cli.
 *
 * One table gives names, fields, encoder and decoder. Numbers are decimal text, ids and objects are
 * bytes. A decoded message borrows the bytes of its frame. An unknown name, a wrong number of
 * fields or a field that is no number is RD_EPROTO; the caller logs it and drops the link. What the
 * fields mean is checked by whoever handles the message.
 */
#ifndef RD_REPLICATION_WIRE_H
#define RD_REPLICATION_WIRE_H

#include "base/blob.h"
#include "base/err.h"
#include "resp/slice.h"

enum wire_kind {
    /* the handshake: dialler HELLO, acceptor CHALLENGE, dialler PROOF, acceptor WELCOME; REFUSE
     * at any point */
    WIRE_HELLO,
    WIRE_CHALLENGE,
    WIRE_PROOF,
    WIRE_WELCOME,
    WIRE_REFUSE,
    /* is anybody there */
    WIRE_PING,
    WIRE_PONG,
    /* failure detection: does `target` answer? */
    WIRE_PROBE,
    WIRE_PROBE_ANSWER,
    /* membership (Dynamo 4.8) */
    WIRE_GOSSIP,
    WIRE_DIGEST,
    WIRE_ENTRIES,
    /* the birth of a cluster */
    WIRE_BIRTH_ASK,
    WIRE_BIRTH_YES,
    WIRE_BIRTH_NO,
    WIRE_BIRTH_RELEASE,
    WIRE_BORN,
    /* requests (Dynamo 4.5) */
    WIRE_READ,
    WIRE_READ_ANSWER,
    WIRE_WRITE,
    WIRE_WRITE_ANSWER,
    WIRE_FORWARD,
    WIRE_FORWARD_ANSWER,
    WIRE_COUNT,
    WIRE_COUNT_ANSWER,
    WIRE_SCAN,
    WIRE_SCAN_ANSWER,
    /* anti-entropy (Dynamo 4.7) */
    WIRE_ROOTS,
    WIRE_NODES,
    WIRE_NODES_ANSWER,
    WIRE_ROWS,
    WIRE_ROWS_ANSWER,
    WIRE_RECOUNT,
    /* forgetting what was deleted (reap.h) */
    WIRE_REAP_WATCH,
    WIRE_REAP_CHECK,
    WIRE_REAP_REPLACE,
    WIRE_REAP_ANSWER,
    WIRE_REAP_FENCE,
    WIRE_KINDS
};

/* HELLO and CHALLENGE: who speaks, and what must be equal in one cluster. */
struct wire_hello {
    uint64_t protocol;
    struct resp_slice cluster_name;
    struct resp_slice node;    /* node id */
    struct resp_slice nonce;   /* 16 fresh random bytes */
    struct resp_slice cluster; /* cluster id; empty: not born */
    uint64_t n, partitions, partitioner, conflict_resolution;
    struct resp_slice proof; /* HELLO: empty */
};

/* FORWARD flags. */
#define WIRE_FORWARD_DELETE 1u
#define WIRE_FORWARD_WITH_CONTEXT 2u
#define WIRE_FORWARD_HAS_CONTEXT 4u
#define WIRE_FORWARD_RMW 8u       /* value is the order of a read-modify-write */
#define WIRE_FORWARD_STAND_IN 16u /* to a node that is no home: none could take it */

/* SCAN flags. */
#define WIRE_SCAN_BEHIND_KEY 1u
#define WIRE_SCAN_TOMBSTONES 2u
#define WIRE_SCAN_HINTS 4u

struct wire_msg {
    enum wire_kind kind;
    union {
        struct wire_hello hello; /* HELLO, CHALLENGE */
        struct {
            struct resp_slice proof;
        } proof;
        struct {
            struct resp_slice seen_host; /* the dialler's address as the acceptor sees it */
        } welcome;
        struct {
            uint64_t outcast;       /* 1: the peer's cluster was born without the node it refuses */
            struct resp_slice text; /* one sentence for the log */
        } refuse;
        struct {
            uint64_t sent_us;         /* by the clock of the node that asks; given back */
            struct resp_slice asker;  /* node id, if it is not the sender that wants to know */
            struct resp_slice target; /* node id, if it is not the receiver that is meant */
        } probe;                      /* PROBE, PROBE-ANSWER */
        struct {
            uint64_t hash; /* of all member entries: equal means nothing to say */
        } gossip;
        struct {
            struct resp_slice lines; /* packed (node id, generation, version) */
        } digest;
        struct {
            struct resp_slice entries; /* packed member entries */
            struct resp_slice wanted;  /* packed node ids whose entries the sender wants */
        } entries;
        struct {
            struct resp_slice view; /* packed node ids, sorted */
            uint64_t finish; /* 1: an earlier proposal that was interrupted is to be finished */
            uint64_t number; /* of this question, given back in the answer; never 0 */
        } birth_ask;
        struct {
            uint64_t view;   /* hash of the view that is answered or released */
            uint64_t number; /* of the question that is answered or withdrawn */
        } birth;
        struct {
            struct resp_slice certificate;
            struct resp_slice successors; /* packed; see successors.h */
            uint64_t wanted;              /* 1: the receiver is to say its own over this link */
        } born;
        struct {
            uint64_t id; /* request, given back in the answer */
            uint64_t
                digest; /* of what the asker holds: who holds the same need not send it; 0: send it */
            uint64_t
                turn; /* 1: for a read-modify-write, which wants to be the only one (op_rmw.h) */
            struct resp_slice key;
        } read;
        struct {
            uint64_t id;
            uint64_t err;  /* enum rd_err; RD_OK or RD_ENOTFOUND are good answers */
            uint64_t same; /* 1: the object has the digest that was asked with, and is not sent */
            struct resp_slice object; /* empty unless RD_OK and not the same */
        } read_answer;
        struct {
            uint64_t id; /* 0: no answer is wanted (a repair) */
            uint64_t round;
            struct resp_slice key;
            struct resp_slice object;
            struct resp_slice targets; /* packed ids, sorted: kept as a hint for these; empty: the
                                        * receiver's own copy */
            uint64_t must; /* 1: an acknowledgement is to rest on the hint: it is kept for good */
        } write;
        struct {
            uint64_t id;
            uint64_t round;
            uint64_t err;
            uint64_t uncovered;       /* siblings that the replica keeps beside what was sent */
            struct resp_slice object; /* the replica's whole object if uncovered > 0 */
            struct resp_slice
                met; /* and the version vector that it had when the write was merged */
        } write_answer;
        struct {
            uint64_t id;
            uint64_t flags;
            uint64_t r, w;
            uint64_t expires_ms;
            struct resp_slice key, value, context;
        } forward;
        struct {
            uint64_t id;
            uint64_t err;
            uint64_t handled; /* 0: the request was turned away before anything was done */
            uint64_t existed;
            struct resp_slice text, context;
            uint64_t stand_ins;      /* fallbacks among the acknowledgements that counted */
            struct resp_slice reply; /* of a read-modify-write */
        } forward_answer;
        struct {
            uint64_t id;
        } count;
        struct {
            uint64_t id;
            uint64_t number;
        } count_answer;
        struct {
            uint64_t id;
            uint64_t round; /* given back, as is id */
            uint64_t flags;
            uint64_t slot;         /* from its start, or from behind the key */
            struct resp_slice key; /* with BEHIND_KEY; may be empty */
            uint64_t last_slot;    /* included */
            uint64_t max_rows;
            uint64_t place; /* not 0: where the first key of the slot with this place is wanted */
        } scan;
        struct {
            uint64_t id;
            uint64_t round;
            uint64_t err;
            uint64_t slot;          /* all before it is in the page */
            uint64_t behind_key;    /* 1: the key too */
            struct resp_slice key;  /* may be empty */
            struct resp_slice page; /* see scan_page.h */
        } scan_answer;
        struct {
            uint64_t id; /* of the exchange */
            struct resp_slice
                nodes; /* packed nodes of trees with the sender's hashes; ROOTS: roots */
        } nodes;       /* ROOTS, NODES */
        struct {
            uint64_t id, err;
            struct resp_slice nodes; /* of those that differ: the children, or the leaf itself, with
                                      * the answerer's hashes */
        } nodes_answer;
        struct {
            uint64_t id, slot;
            uint64_t leaves;         /* a bit for each leaf of the slot that is wanted */
            uint64_t resumed;        /* 1: only rows behind `after` */
            struct resp_slice after; /* a key */
        } rows;
        struct {
            uint64_t id, err;
            uint64_t end;           /* 1: no more rows follow */
            struct resp_slice last; /* the key behind which the next page begins */
            struct resp_slice rows; /* packed (key, digest) */
        } rows_answer;
        struct {
            uint64_t slot; /* whose leaves the receiver should count anew */
        } recount;
        struct {
            uint64_t id;             /* of the round, given back in the answer */
            struct resp_slice items; /* WATCH: packed keys; CHECK: empty; REPLACE: packed vectors */
        } reap;                      /* REAP-WATCH, REAP-CHECK, REAP-REPLACE */
        struct {
            uint64_t id;
            uint64_t step;  /* which of the three it answers: an enum reap_step */
            uint64_t err;   /* RD_OK; RD_EOVERLOADED: ask again later; else the round is over */
            uint64_t start; /* of the process that answers */
            uint64_t incarnation;     /* in which it issues dots */
            uint64_t mark;            /* of its fences: the last it had sent */
            struct resp_slice states; /* a byte for each key: 1: agreed */
            struct resp_slice fences; /* CHECK: packed: the last that it has heard of each member */
        } reap_answer;
        struct {
            uint64_t start, number;
        } fence; /* REAP-FENCE */
    };
};

/* The longest frame a peer may send before it has proven itself. */
#define WIRE_MAX_HANDSHAKE_BYTES 65536

/* Encodes `msg` into a new frame, to be released with blob_unref. Errors: RD_ENOMEM, RD_ETOOBIG. */
enum rd_err wire_encode(const struct wire_msg *msg, struct blob **out);

/* Decodes the arguments of one frame into `*out`, which borrows them. Error: RD_EPROTO. */
enum rd_err wire_decode(const struct resp_slice *argv, size_t argc, struct wire_msg *out);

/* The name of a kind, such as "READ-ANSWER"; static storage. */
const char *wire_name(enum wire_kind kind);

#endif
