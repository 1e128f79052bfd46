/* DYNREPLICAS: what each home of a key holds, asked of all of them, with those that do not answer shown as such. */
#ifndef RD_REPLICATION_OP_REPORT_H
#define RD_REPLICATION_OP_REPORT_H

#include "replication/op_read.h"

struct client_reply;

struct op_report {
    struct client_reply *reply; /* filled line by line; owned */
    struct object merged;       /* of all answers */
    uint16_t members[PREFLIST_MAX_N];
    uint8_t count, awaited;
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
