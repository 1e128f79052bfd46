/* SCAN: one page of the keys of the whole cluster, in order of (slot, key), from R replicas of each partition; and the first half of
 * FLUSHALL, which deletes what such a page shows (op_flush.h).
 *
 *     op_scan_start --> [LOCATING: which key does the cursor stand behind] --> WAVE --all asked have answered--> merged --+
 *                                                                               ^                                         |
 *                                                                               +-- not enough yet, a node was lost ------+--> reply
 *
 * A wave is a run of partitions. As few members are asked as have R homes of each partition among them (all reachable ones for a flush; where homes
 * are away, fallbacks for their hints: op_scan_wave.h), and each lists what it holds of the whole run, deleted keys left out. The lists are merged as far as the shortest one reaches. A key is shown if the
 * objects of its replicas, merged, are live. Where a replica that was asked does not list a key, it may never have had it, or may know that it was
 * deleted: the wave is asked again from there, deleted keys too. So a scan of replicas that agree costs no tombstone.
 *
 * A page ends between two slots where that can be. A slot of very many keys is cut behind a key, and the cursor names that key by a hash
 * (scan_page.h). The node that made the page remembers which key it was; any other one looks through the slot for it, and the page that follows has its full
 * time behind that, so that a client moves on however long the slot is and wherever it asks. If the key is not
 * there any more, the slot begins anew: a key may be shown twice, and never is left out.
 */
#ifndef RD_REPLICATION_OP_SCAN_H
#define RD_REPLICATION_OP_SCAN_H

#include "replication/client_op.h"
#include "replication/op_flush.h"
#include "replication/ring.h"
#include "replication/scan_jobs.h"

struct coordinator;
struct request;

/* One member that was asked, and its list. */
struct scan_source {
    uint16_t member;
    bool hints; /* what it keeps for others, else its own rows */
    bool answered;
    struct scan_position to;
    struct buf page;
    size_t at; /* behind the entry at hand */
    bool have; /* there is an entry at hand */
    uint16_t slot;
    struct scan_entry entry;
};

#define SCAN_CUT_ROWS 256      /* of one slot in a page, before it is cut */
#define SCAN_LOCATE_TIMEOUTS 8 /* a place is looked for during so many request-timeouts */

enum scan_state { SCAN_LOCATING, SCAN_WAVE, SCAN_DELETING };

struct op_scan {
    enum scan_state state;
    bool flush;
    bool exact; /* the caller goes on from keys, not from cursors: a page may end anywhere */
    uint32_t r, count;
    uint16_t last_slot;           /* of what is wanted */
    struct scan_position at;      /* all before it is done */
    uint64_t began_cursor, place; /* where the request began; LOCATING: what is looked for */
    uint64_t round;
    uint16_t wave_last;       /* the last slot of the wave under way */
    uint32_t wave_partitions; /* how many the next one is to have */
    uint32_t in_slot;         /* keys looked at in the slot of `at` */
    bool tombstones;
    struct scan_source *sources; /* owned */
    uint32_t source_count, source_cap, awaited;
    uint8_t failed[RING_MAX_MEMBERS / 8]; /* bit by member: it said no; not asked again */
    uint8_t silent[RING_MAX_MEMBERS / 8]; /* the same: it let this request wait; asked last */
    uint64_t asked_us;
    uint64_t locate_until_us; /* LOCATING: when it is given up */
    uint32_t stand_ins;       /* fallbacks among the R nodes of some partition, at most */
    struct buf keys;          /* found so far, as client_reply has them */
    uint32_t key_count;
    struct op_flush deletion;
};

/* Where recent cursors stood, so that the next page need not look for it. */
#define SCAN_REMEMBERED 64
#define SCAN_REMEMBERED_BYTES 65536
struct scan_memory {
    struct {
        uint64_t cursor;
        struct blob *key;
    } places[SCAN_REMEMBERED];
    uint32_t next;
};

/* Frees what is remembered. */
void scan_memory_free(struct scan_memory *memory);

/* Starts. May end the request at once. */
void op_scan_start(struct coordinator *co, struct request *request,
                   const struct client_request *client);

/* A member has answered, or this node itself. Takes position and page of the answer over where it needs them. */
void op_scan_answer(struct coordinator *co, struct request *request, struct scan_answer *answer);

/* A member lost a link. */
void op_scan_lost(struct coordinator *co, struct request *request, uint16_t member);

/* Some member has been silent for long: asks others, if there are any. */
void op_scan_hedge(struct coordinator *co, struct request *request);

/* The deadline has passed: ends the request, with what there is if there is something. */
void op_scan_expired(struct coordinator *co, struct request *request);

/* Replies with the page, once the merged lists are done and, in a flush, its deletions too. */
void op_scan_finish(struct coordinator *co, struct request *request);

#endif
