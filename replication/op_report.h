/* DYNREPLICAS: what each home of a key holds, asked of all of them, with those that do not answer shown as such; and, behind them, what
 * healthy fallbacks keep of it as a hint, if they do. */
#ifndef RD_REPLICATION_OP_REPORT_H
#define RD_REPLICATION_OP_REPORT_H

#include "replication/op_read.h"

struct client_reply;

#define REPORT_MAX_NODES (3 * PREFLIST_MAX_N)

struct op_report {
    struct client_reply *reply;         /* filled line by line; owned */
    struct object merged;               /* of all answers */
    uint16_t members[REPORT_MAX_NODES]; /* as the lines of the reply: homes, then fallbacks */
    uint8_t home_count, count, awaited;
};

/* Starts. May end the request at once. */
void op_report_start(struct coordinator *co, struct request *request);

/* A replica has answered. */
void op_report_answer(struct coordinator *co, struct request *request,
                      const struct read_answer *answer);

/* A member lost a link. */
void op_report_lost(struct coordinator *co, struct request *request, uint16_t member);

/* The deadline has passed: replies with what came. */
void op_report_expired(struct coordinator *co, struct request *request);

#endif
