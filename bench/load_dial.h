/* Making connections, and what is asked before anything is measured; all of it blocks. */
#ifndef RD_BENCH_LOAD_DIAL_H
#define RD_BENCH_LOAD_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/load_conf.h"

#define LOAD_SLOTS 16384

/* A connection with TCP_NODELAY, still blocking; -1 with `reason` if it cannot be made. */
int dial(const struct load_node *node, char reason[LOAD_REASON_BYTES]);

/* Sends DYNQUORUM with what is not 0 of r and w, and reads the reply. */
bool dial_set_quorum(int fd, unsigned r, unsigned w, char reason[LOAD_REASON_BYTES]);

/* Asks for CLUSTER SLOTS: replaces conf's nodes by those it names, and sets a bit for each node that is named for a slot. */
bool dial_slots(int fd, struct load_conf *conf, uint64_t homes[LOAD_SLOTS],
                char reason[LOAD_REASON_BYTES]);

#endif
