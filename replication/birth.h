/* How a cluster is born (DESIGN section 3; TRAPS bootstrap_race).
 *
 *                     birth_want (a write came)              all asked said YES
 *         UNBORN ------------------------> BOUND to a view ---------------------> BORN
 *           |  ^   BIRTH_ASK of a proposer    |  |  BIRTH_RELEASE, a NO             ^
 *           |  +------------------------------|--+                                 |
 *           +---------------------------------+----- BORN certificate arrives -----+
 *
 * Unborn nodes meet and merge freely. The first accepted write makes its coordinator propose the
 * members it knows (its view). Every member of the view that it can reach must promise to be born
 * with exactly that view, on disk, before anything is acknowledged, and these must be a majority of
 * it; a node promises one view at a time. So two births with different members cannot both complete
 * among nodes that reach each other, and the same view gives the same certificate whoever proposes
 * it. A node bound by a proposer that went away finishes that view itself at its next write.
 * Members of the view out of reach are told when they come. Two born clusters never merge.
 *
 * What changes after the birth is who holds the places of the certificate (successors.h): BORN says that too, over each link first of
 * all, and again when a record is added. So the receiver of any other frame can tell whether its sender knew (link->aware).
 */
#ifndef RD_REPLICATION_BIRTH_H
#define RD_REPLICATION_BIRTH_H

#include "replication/peers.h"

enum birth_state { BIRTH_UNBORN = 0, BIRTH_BOUND = 1, BIRTH_BORN = 2 };

struct birth_promise { /* of the view, to a proposer */
    struct node_id proposer;
    uint64_t number; /* of its question; 0: not known any more, or the node's own */
};

struct birth_ask { /* a promise that waits for the disk */
    uint16_t member;
    uint64_t number;
    uint64_t row; /* the row version that holds it */
};

struct birth {
    struct core *core;       /* borrowed */
    struct members *members; /* borrowed */
    struct peers *peers;     /* borrowed */
    enum birth_state state;
    struct certificate certificate; /* BORN */

    struct buf view;                /* BOUND: the packed, sorted ids promised */
    uint64_t view_hash;             /* of it */
    struct birth_promise *promises; /* owned; BOUND: to whom it was promised */
    size_t promise_count, promise_cap;

    bool asking;     /* this node has proposed `view` */
    bool asked;      /* the questions are out */
    uint64_t number; /* of these questions: answers to earlier ones do not count */
    uint64_t asked_us;
    uint8_t *awaited; /* owned: by member index, 1 where a YES is missing */
    uint16_t awaited_count, awaited_cap;
    uint64_t retry_us; /* no new proposal before */

    bool gone;      /* BORN: another has this node's places */
    uint64_t epoch; /* counts the changes of the certificate and its records in this process */

    struct birth_ask *answers; /* owned: promises to be said when they are on disk */
    size_t answer_count, answer_cap;
    uint64_t row;         /* version of the state to be stored */
    uint64_t row_flushed; /* handed to the store */
    uint64_t row_durable;
};

#define BIRTH_SETTINGS_BYTES 5

/* Writes the settings that a birth fixes, as they are stored with it, to `out`. */
void birth_settings(const struct node_conf *conf, uint8_t out[BIRTH_SETTINGS_BYTES]);

/* Appends the stored row of a node born with `certificate`; `synced`: it has taken another's places, and has been filled. Error:
 * RD_ENOMEM. */
enum rd_err birth_born_row(const struct node_conf *conf, const struct certificate *certificate,
                           bool synced, struct buf *out);

/* Starts from the stored row (NULL: none). Borrows the rest for its life. Errors: RD_ECORRUPT,
 * RD_ENOMEM, RD_ECONF (a setting that the birth has fixed is another now, `reason` names it). */
enum rd_err birth_init(struct birth *birth, struct core *core, struct members *members,
                       struct peers *peers, struct blob *row, char reason[256]);

/* Frees all. */
void birth_free(struct birth *birth);

/* A write waits: begins a proposal now or as soon as one can be made, and gives up one that got no
 * answer for long (a link may stay up and lose what is said on it). Called again on each tick while
 * writes wait. */
void birth_want(struct birth *birth);

/* A BIRTH_* or BORN message from `member` over `link`, which may be refused and gone afterwards. */
void birth_message(struct birth *birth, uint16_t member, struct link *link,
                   const struct wire_msg *msg);

/* The member lost a link while it may have been asked. */
void birth_lost(struct birth *birth, uint16_t member);

/* True if the state has changed since it was last handed to the store. */
bool birth_dirty(const struct birth *birth);

/* Appends the row to be stored (STORE_META "birth") and counts it as handed over;
 * birth->row_flushed then names it. Error: RD_ENOMEM. */
enum rd_err birth_flush(struct birth *birth, struct buf *out);

/* The flushed row `row` is on disk, or could not be stored: then it is dirty again. */
void birth_stored(struct birth *birth, uint64_t row, bool ok);

/* Says BORN to `member`, if born. */
void birth_tell(struct birth *birth, uint16_t member);

/* Says BORN over `link`, if born; `wanted`: and asks for the same in return. */
void birth_tell_over(struct birth *birth, struct link *link, bool wanted);

/* Node `by` takes the places of member `gone` from now on; everybody is told. Asserts that the cluster is born. Errors: RD_ENOMEM,
 * RD_ETOOBIG, RD_EREFUSED; nothing has changed then. */
enum rd_err birth_replace(struct birth *birth, const struct node_id *gone,
                          const struct node_id *by);

/* This node, which took another's places, has all that belongs there. */
void birth_filled(struct birth *birth);

#endif
