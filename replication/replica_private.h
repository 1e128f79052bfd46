/* What replica.c, replica_store.c and replica_hint.c share: an entry of the table of keys in flight,
 * and those who wait for it. */
#ifndef RD_REPLICATION_REPLICA_PRIVATE_H
#define RD_REPLICATION_REPLICA_PRIVATE_H

#include "replication/replica.h"

/* What a waiter wants of a hint: that it is owed to more nodes, or, once delivered, to one less. */
struct waiter_hint {
    struct hint_owed owed;
    bool strike;
    struct node_id struck;
    uint64_t digest; /* of the object that was delivered */
};

/* What a waiter wants forgotten. */
struct waiter_shrink {
    uint64_t digest; /* of the copy as it must be */
    struct version kept;
};

/* What an entry of hints has beside its object. */
struct entry_hint {
    struct hint_owed owed;    /* with `held` */
    struct hint_owed counted; /* of the row, as the ledger knows it */
    uint64_t counted_bytes;   /* 0: no row */
};

struct waiter {
    struct waiter *next;
    enum replica_step step;
    struct asker asker;
    uint64_t batch;     /* the batch it waits for; 0: for the load, or for the next flush */
    bool loaded;        /* its part has been done on the loaded object */
    uint32_t uncovered; /* MERGE */
    struct version met; /* MERGE with something uncovered: of the object right after it */
    bool has_sent;
    struct object sent;           /* a merge that waits for the load */
    struct waiter_hint *hint;     /* owned; NULL among the node's own copies */
    struct waiter_shrink *shrink; /* owned; NULL: it wants nothing forgotten */
};

struct replica_entry {
    struct replica_entry *next_in_bucket;
    uint64_t hash;    /* of the key */
    struct blob *key; /* owned reference */
    uint16_t slot;
    bool loaded, dirty;
    bool detached; /* no longer in the hash: only answers name it */
    enum rd_err
        load_err; /* RD_OK, RD_ENOTFOUND, or RD_ECORRUPT: the row was damaged and counts as lost */
    uint64_t token;                                    /* of the store read under way */
    struct replica_entry *prev_loading, *next_loading; /* while one is */
    uint64_t last_batch; /* the newest batch that holds a row of this key, if still open; 0: none */
    uint32_t pins;       /* answers that name it */
    struct object held;
    struct blob *row;       /* of a dirty one: the encoding of `held`; NULL: not at hand */
    uint64_t digest;        /* of `held` */
    uint64_t stored_digest; /* of the row, as of the last flush */
    uint64_t stored_due_ms;
    bool stored_live;
    struct waiter *first, **tail;
    struct replica_entry *next_dirty;
    struct entry_hint *hint;           /* owned; NULL among the node's own copies */
    struct replica_entry *prev, *next; /* of the committing list, while last_batch is not 0 */
#ifdef RD_PLANTED_BUGS
    struct object durable; /* what `held` was when it was last all in the store */
#endif
};

/* ---- replica.c ----------------------------------------------------------------------------------- */

/* Queues the answer to `waiter` and frees it. */
void replica_answer(struct replica *replica, struct replica_entry *entry, struct waiter *waiter,
                    enum rd_err err);

/* Takes a new waiter in: serves it now if the entry is loaded, else lets it wait. */
void replica_admit(struct replica *replica, struct replica_entry *entry, struct waiter *waiter);

/* Lets a waiter wait, behind the others. */
void replica_append(struct replica_entry *entry, struct waiter *waiter);

/* A waiter, or NULL without memory. */
struct waiter *replica_waiter(struct replica *replica, enum replica_step step,
                              const struct asker *asker);

/* Frees a waiter that nobody has admitted, and what it brought. NULL is ignored. */
void replica_waiter_free(struct replica *replica, struct waiter *waiter);

/* Admits `waiter` (taken over, also on error) to the entry of `key`. Error: RD_ENOMEM. */
enum rd_err replica_ask(struct replica *replica, struct blob *key, struct waiter *waiter);

/* Begins to read the entry's row. */
void replica_ask_store(struct replica *replica, struct replica_entry *entry);

/* Takes the entry out of the hash, so that the next one who wants the key begins anew. */
void replica_detach(struct replica *replica, struct replica_entry *entry);

/* Frees the entry if nobody has any business with it. */
void replica_free_if_idle(struct replica *replica, struct replica_entry *entry);

/* The entry differs from its row. */
void replica_mark_dirty(struct replica *replica, struct replica_entry *entry);

/* ---- replica_shrink.c ---------------------------------------------------------------------------- */

/* Forgets what `waiter` wants forgotten. Errors: as shrink_apply; RD_EREFUSED too if the copy is not what it was. */
enum rd_err replica_apply_shrink(struct replica *replica, struct replica_entry *entry,
                                 const struct waiter *waiter);

/* ---- replica_hint.c ------------------------------------------------------------------------------ */

/* May `waiter`'s object be merged into the hint? Errors: RD_EOVERLOADED (no room: the targets are marked
 * if no acknowledgement was to rest on it), RD_ENOMEM, RD_ETOOBIG. */
enum rd_err replica_hint_admit(struct replica *replica, struct replica_entry *entry,
                               const struct waiter *waiter);

/* Adds what `waiter` wants owed. Says whether anything changed. */
bool replica_hint_join(struct replica *replica, struct replica_entry *entry,
                       const struct waiter *waiter);

/* Strikes a target off if the object is still the one that was delivered to it. */
void replica_hint_strike(struct replica *replica, struct replica_entry *entry,
                         const struct waiter *waiter);

/* Takes a row as the store held it into the entry. Errors: as hint_decode. */
enum rd_err replica_hint_loaded(struct replica_entry *entry, const struct blob *row);

/* The row of a hint is damaged: nobody knows to whom it was owed. */
void replica_hint_lost(struct replica *replica);

/* Makes the row to be stored (NULL: it is to be erased) and tells the ledger. Error: RD_ENOMEM,
 * nothing changed. */
enum rd_err replica_hint_row(struct replica *replica, struct replica_entry *entry,
                             struct blob **out);

/* The entry's row could not be stored: nobody knows what it is until it has been read again. */
void replica_hint_failed(struct replica *replica, struct replica_entry *entry);

#endif
