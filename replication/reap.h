/* Reaping: what was deleted, or has expired, leaves no row, and vectors lose the entries that are of no use (DESIGN section 2). By proof, not
 * by timer; `tombstone-grace` only adds waiting. The argument is in doc/architecture.md.
 *
 *   walk over due rows --> WATCH --> settle --> CHECK --> REPLACE --> walk on
 *                          all        fences     all       the homes
 *                          members    go round   members
 *
 * The first home of a key drives; a round has up to REAP_MAX_KEYS keys. WATCH: each member reads its rows, own and hints, and says whether
 * every home has the same object, nobody else has one, there is no hint, no request and no repair of the key; from then on it notices whatever is done with it
 * (watched.h). Between the two steps each member sends a fence over each of its links: what it sent before is behind it. CHECK: each member says whether
 * all is as it was, and which fence of each other it has met. If all of that holds, there was a moment between the steps at which the object stood on all homes
 * and no older state of it was anywhere, in no store, memory or network, and none can come back. REPLACE: each home puts the smaller object in
 * the place of that very one, or refuses. Whatever fails, the round ends for the key, and a later pass tries again.
 */
#ifndef RD_REPLICATION_REAP_H
#define RD_REPLICATION_REAP_H

#include "replication/coordinator.h"
#include "replication/exchange.h"
#include "replication/hints.h"

#define REAP_MAX_KEYS 1024    /* of a round */
#define REAP_MAX_BYTES 262144 /* of their names */
#define REAP_WINDOW 32        /* keys that are being read or replaced at a time */

struct reap_part;  /* what this node keeps of a round that it takes part in; private to reap*.c */
struct reap_round; /* the round that it drives */

struct reap {
    struct core *core; /* all borrowed */
    struct members *members;
    struct peers *peers;
    struct placement *placement;
    struct coordinator *co;
    struct replica *replica;
    struct hints *hints;
    struct exchange *exchange;
    struct budget *budget;
    uint64_t start;           /* names this process in its fences; never 0 */
    uint64_t mark;            /* the number of its last fence */
    uint64_t next_fence_us;   /* not before */
    struct reap_part **parts; /* owned, by the driver's member index; NULL: none */
    uint16_t part_count;
    struct reap_round *round; /* owned; NULL: none */
    uint64_t last_id;
    bool scanning; /* a page of due rows was asked for */
    uint64_t token;
    uint64_t after_ms; /* the walk goes on behind this row */
    uint16_t after_slot;
    struct blob *after; /* owned; NULL: from the start */
    bool any;           /* this pass has found something to forget */
    uint64_t pause_us;  /* between passes; longer where nothing came of it */
    uint64_t next_us;
};

/* Starts. The other pointers are set by the caller; configuration and placement are read later. */
void reap_init(struct reap *reap, struct core *core);

/* Frees all. */
void reap_free(struct reap *reap);

/* Goes on with what is under way and begins what is due; to be called about each PEERS_TICK_US, while the cluster is born. */
void reap_tick(struct reap *reap);

/* One of the REAP messages of `member`, but for fences. Error: RD_EPROTO. */
enum rd_err reap_message(struct reap *reap, uint16_t member, const struct wire_msg *msg);

/* Places have changed hands: the round that this node drives is given up, for it was agreed to by others. */
void reap_give_up(struct reap *reap);

/* An answer of a replica of this node to ASKER_REAP. */
void reap_own_answer(struct reap *reap, const struct replica_answer *answer);

/* A page of a scan with SCAN_REAP. */
void reap_scanned(struct reap *reap, uint64_t token, enum rd_err err,
                  const struct scanned_row *rows, size_t count, bool end);

/* True if this node drives no round: for checkers. */
bool reap_idle(const struct reap *reap);

/* Asserts the invariants. */
void reap_check(const struct reap *reap);

#endif
