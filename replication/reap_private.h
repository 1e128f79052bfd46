/* What the files of the reaper share among themselves. */
#ifndef RD_REPLICATION_REAP_PRIVATE_H
#define RD_REPLICATION_REAP_PRIVATE_H

#include "replication/reap.h"
#include "replication/reap_pack.h"

/* The steps of a round; on the wire too. */
enum reap_step { REAP_WATCH = 1, REAP_CHECK, REAP_REPLACE };

/* ---- a round that this node takes part in (reap_part.c) ------------------------------------------- */

enum item_state {
    ITEM_WAITING,
    ITEM_READING,
    ITEM_AGREED,
    ITEM_REFUSED,
    ITEM_SHRINKING,
    ITEM_DONE
};

struct reap_item {
    struct watched_key watch; /* its key is an owned reference */
    uint64_t digest;
    bool gone, home;
    bool wanted;     /* REPLACE names it */
    uint8_t reading; /* answers expected */
    enum item_state state;
    struct version kept; /* owned; with `wanted` */
};

struct reap_part {
    uint16_t member; /* who drives */
    uint64_t id;
    enum reap_step step;
    bool answered;           /* the step has been */
    struct reap_item *items; /* owned */
    uint32_t count, next, open;
    uint64_t until_us; /* forgotten then */
};

/* Answers an order of `member`, who may be this node. Error: RD_EPROTO. */
enum rd_err reap_part_order(struct reap *reap, uint16_t member, const struct wire_msg *msg);

/* Goes on where the budget held it back; forgets what has had its time. */
void reap_part_tick(struct reap *reap);

/* Frees all parts. */
void reap_part_free_all(struct reap *reap);

/* True if somebody waits for a fence of this node. */
bool reap_part_is_watching(const struct reap *reap);

/* ---- the round that this node drives (reap_round.c) ------------------------------------------------ */

struct reap_key {
    struct blob *key; /* owned */
    uint64_t digest;
    uint16_t partition;
    bool gone;                         /* all of it is to be forgotten */
    bool expired;                      /* for the time of its values is over */
    bool agreed;                       /* so far */
    struct version living, idle, kept; /* owned; unless gone */
};

struct reap_voice { /* of a member */
    bool member;    /* it is one, and is asked */
    bool answered;  /* the step that runs, or is not asked */
    uint64_t start, incarnation, mark;
    struct buf fences; /* owned; packed, as of its last CHECK */
};

struct reap_round {
    uint64_t id;
    enum reap_step step;
    bool resting;          /* between two steps, until due_us */
    bool filling;          /* it has not begun */
    uint64_t due_us;       /* end of the rest, or of patience */
    uint32_t tries;        /* of this step */
    struct reap_key *keys; /* owned; REAP_MAX_KEYS */
    uint32_t count;
    size_t bytes;              /* of their names */
    struct reap_voice *voices; /* owned, by member index */
    uint16_t voice_count;
};

/* A round to be filled. NULL: no memory. */
struct reap_round *reap_round_new(struct reap *reap);

/* Frees and nulls reap->round; NULL in it is ignored. */
void reap_round_free(struct reap *reap);

/* True if another key of that length has room. */
bool reap_round_has_room(const struct reap_round *round, size_t key_len);

/* Adds a key with the object that its first home, this node, has. Error: RD_ENOMEM, nothing was added. */
enum rd_err reap_round_add(struct reap_round *round, struct resp_slice key, uint16_t partition,
                           const struct object *object, bool gone);

/* True if every member can be reached. */
bool reap_all_reachable(const struct reap *reap);

/* Asks everybody to watch the keys. The round may be over afterwards. */
void reap_round_begin(struct reap *reap);

/* Goes on with the round, or gives it up. */
void reap_round_tick(struct reap *reap);

/* An answer of `member`, who may be this node. Error: RD_EPROTO. */
enum rd_err reap_round_answer(struct reap *reap, uint16_t member, const struct wire_msg *msg);

/* ---- reap.c ---------------------------------------------------------------------------------------- */

/* The round is over; `done`: something was forgotten. */
void reap_ended(struct reap *reap, bool done);

/* Encodes, counts and sends; false if `member` (another one) is out of reach or memory is out. */
bool reap_say(struct reap *reap, uint16_t member, const struct wire_msg *msg);

#endif
