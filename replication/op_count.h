/* DBSIZE: every healthy member counts the live keys of the partitions whose first healthy home it is, and the sum is the answer. */
#ifndef RD_REPLICATION_OP_COUNT_H
#define RD_REPLICATION_OP_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "replication/ring.h"

struct coordinator;
struct request;

struct op_count {
    uint64_t sum;
    uint8_t awaited[RING_MAX_MEMBERS / 8]; /* bit by member index */
    uint16_t awaited_count;
};

/* Starts. May end the request at once. */
void op_count_start(struct coordinator *co, struct request *request);

/* A member has counted. */
void op_count_answer(struct coordinator *co, struct request *request, uint16_t member,
                     uint64_t number);

/* A member lost a link: its share is missing. */
void op_count_lost(struct coordinator *co, struct request *request, uint16_t member);

/* The deadline has passed: replies with what came. */
void op_count_expired(struct coordinator *co, struct request *request);

/* The live keys of the partitions whose first healthy home this node is. */
uint64_t op_count_own(const struct coordinator *co);

#endif
