/* The second half of FLUSHALL: deletes the keys of one page of a scan.
 *
 * What is deleted is exactly what the page showed: each key's tombstone is the merged object of all replicas that could be asked, without its
 * siblings. It adds no dot, so whoever has read the replicas may make it, and it is merged like a repair; what is written meanwhile or
 * afterwards is not covered by it and stays. A page is done when W homes of each of its keys have it on disk.
 */
#ifndef RD_REPLICATION_OP_FLUSH_H
#define RD_REPLICATION_OP_FLUSH_H

#include "replication/object.h"
#include "replication/preflist.h"

struct coordinator;
struct request;

struct flush_item {
    struct blob *key;      /* owned reference */
    struct object deleted; /* the tombstone; freed once it is sent */
    uint16_t homes[PREFLIST_MAX_N];
    uint16_t asked, answered; /* bits by position in `homes` */
    uint16_t filling;         /* likewise: those that count for nothing yet */
    uint8_t home_count, needed, good;
};

struct op_flush {
    struct flush_item *items; /* owned */
    uint32_t count, cap, done;
    uint64_t deleted; /* keys that a reader would have seen */
};

/* Notes one key of the page and what all replicas together hold of it; `live`: a reader would see it. `held` is left empty. Error: RD_ENOMEM. */
enum rd_err op_flush_add(struct coordinator *co, struct request *request, struct blob *key,
                         struct object *held, bool live);

/* Sends the deletions. May end the request at once. */
void op_flush_begin(struct coordinator *co, struct request *request);

/* A home has stored one of them, or has failed to. */
void op_flush_answer(struct coordinator *co, struct request *request, uint16_t member,
                     uint64_t round, bool good);

/* A member lost a link. */
void op_flush_lost(struct coordinator *co, struct request *request, uint16_t member);

/* The deadline has passed: ends the request. */
void op_flush_expired(struct coordinator *co, struct request *request);

/* Frees the items. */
void op_flush_free(struct op_flush *op);

#endif
