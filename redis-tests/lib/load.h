/* Writers that remember what was acknowledged to them, while a test does harm to the servers.
 *
 * Each writer is a thread with a connection to one node. It writes keys of its own once (WRITER.i), and between them, with growing
 * numbers, one register (WRITER.register). A refused or broken connection is dialled again until the load is stopped; an
 * error, or a reply that never came, says nothing about whether the write happened, unless it says that nothing was
 * written. load_verify then demands from each node that every acknowledged key is there, that none is there of which nothing was written, and
 * that no register is older than its last acknowledged number.
 */
#ifndef RD_REDIS_TESTS_LOAD_H
#define RD_REDIS_TESTS_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "redis-tests/lib/cluster.h"

#define LOAD_MAX_WRITES 100000

enum outcome { OUTCOME_UNKNOWN, OUTCOME_ACKNOWLEDGED, OUTCOME_REFUSED, OUTCOME_BROKEN };

struct writer {
    int number;
    int port;
    pthread_t thread;
    atomic_bool stop;
    atomic_int acknowledged; /* writes */
    atomic_int errors;       /* error replies, but for those that say that nothing was written */
    char last_error[256];    /* read it after load_stop */
    int written;             /* keys tried */
    int last_register;       /* the last acknowledged number, 0: none */
    int max_register;        /* the last number tried */
    uint8_t state[LOAD_MAX_WRITES]; /* of each key: enum outcome */
};

struct load {
    size_t count;
    struct writer *writers;
};

/* Starts one writer to each node of the cluster. `first_number` tells the writers of several loads apart. */
void load_start(struct load *load, const struct cluster *cluster, int first_number);

/* Waits until each writer has `more` more acknowledged writes than now; of a node that is not running none are awaited. */
void load_wait(const struct load *load, const struct cluster *cluster, int more);

/* Stops the writers and waits for them. */
void load_stop(struct load *load);

/* Error replies of all writers. */
int load_errors(const struct load *load);

/* Reads everything back through the node. */
void load_verify(const struct load *load, const struct node *node);

/* Frees what the load holds. */
void load_free(struct load *load);

#endif
