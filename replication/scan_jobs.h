/* The replica's side of a scan: reads its own rows, or its hints, page by page, for whoever asked, this node or a peer.
 *
 *     scan_jobs_start --> [slots without live keys are skipped] --> EFF_STORE_SCAN --page--> ... --> an answer in the queue
 *
 * An answer is as long as was asked for, and bounded: SCAN_ANSWER_ROWS, SCAN_ANSWER_BYTES, and no more than SCAN_LOOKED_ROWS rows are
 * looked at for one. It says how far it came: all keys up to there that were wanted are in it.
 */
#ifndef RD_REPLICATION_SCAN_JOBS_H
#define RD_REPLICATION_SCAN_JOBS_H

#include "replication/core.h"
#include "replication/scan_page.h"

#define SCAN_JOBS 256
#define SCAN_ANSWER_ROWS 1024
#define SCAN_ANSWER_BYTES (256u << 10)
#define SCAN_LOOKED_ROWS 4096

/* What is asked for. */
struct scan_order_for {
    uint16_t member;    /* who asks: MEMBER_SELF or a peer */
    uint64_t id, round; /* the asker's words, given back */
    struct scan_position from;
    uint16_t last_slot; /* included */
    uint32_t max_rows;
    bool tombstones; /* keys without a value too */
    bool hints;      /* what is kept for others, with or without a value; else own rows */
    uint64_t place;  /* not 0: no page, but where the first key of the slot with this place is */
};

/* An answer. Free with scan_answer_free. */
struct scan_answer {
    uint16_t member;
    uint64_t id, round;
    enum rd_err err;
    struct scan_position
        to; /* how far it came; of a place: behind the key, or else the start of some slot */
    struct buf page;
};

struct scan_job {
    bool used;
    uint32_t run; /* of this place in the table, so that no token is used twice */
    struct scan_order_for order;
    struct scan_position at; /* how far it has come */
    uint16_t run_last;       /* the last slot of the page that the store was asked for */
    uint32_t rows, looked;
    struct buf page;
};

struct scan_jobs {
    struct core *core;                     /* borrowed */
    struct scan_job jobs[SCAN_JOBS];       /* by the low byte of the token's number */
    struct scan_answer answers[SCAN_JOBS]; /* finished ones, a ring */
    uint32_t used, first_answer, answer_count;
};

/* Starts empty. Borrows core for its life. */
void scan_jobs_init(struct scan_jobs *jobs, struct core *core);

/* Frees all; nobody is answered any more. */
void scan_jobs_free(struct scan_jobs *jobs);

/* Takes an order on; its position is copied. Errors: RD_EOVERLOADED: no answer will come. */
enum rd_err scan_jobs_start(struct scan_jobs *jobs, const struct scan_order_for *order);

/* A page of the store has come for `token`. A token that nobody waits for is ignored; says whether somebody did. */
bool scan_jobs_scanned(struct scan_jobs *jobs, uint64_t token, enum rd_err err,
                       const struct scanned_row *rows, size_t count, bool end);

/* Takes the next answer; its memory passes to the caller. False: there is none. */
bool scan_jobs_next(struct scan_jobs *jobs, struct scan_answer *out);

/* Frees what an answer owns. */
void scan_answer_free(struct scan_answer *answer);

#endif
