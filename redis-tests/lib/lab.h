/* A laboratory: nodes in network namespaces of their own, on one bridge, between which single directions can be made silent.
 *
 * Everything lives in a namespace that lab_enter makes for the test program itself, and in one per node that is held by a process which
 * dies with the test: however the test ends, the system takes interfaces, bridge and namespaces away with it. A direction is made silent by
 * giving the sender a wrong hardware address for the receiver: what it sends arrives nowhere, and nobody is told.
 */
#ifndef RD_REDIS_TESTS_LAB_H
#define RD_REDIS_TESTS_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "redis-tests/lib/proc.h"
#include "redis-tests/lib/shop.h"

#define LAB_NODES 5

struct lab_node {
    pid_t holder; /* of its namespace */
    pid_t pid;    /* 0: not running */
    bool paused;
    int skew_s; /* its wall clock is so far ahead, from its next start on */
    char dir[PROC_PATH], conf[PROC_PATH], log[PROC_PATH];
};

struct lab {
    struct lab_node nodes[LAB_NODES];
    struct shop_address addresses[LAB_NODES];
    struct shop_reach
        reach; /* a node counts as in reach again only when lab_wait has seen that it is */
};

/* Takes this process into a network namespace of its own. False if the system does not let it, or has no tools for it; `why` says what is
 * missing. */
bool lab_enter(char why[200]);

/* Builds the network and starts all nodes, with `directives` added to their configuration; waits until they serve. Asserts. */
struct lab *lab_open(const char *directives);

/* Stops all nodes (SIGTERM, each must exit with 0) and takes the network down. Frees and nulls. */
void lab_close(struct lab **lab);

void lab_start(struct lab *lab, size_t node); /* does not wait */
void lab_kill(struct lab *lab, size_t node);
void lab_pause(struct lab *lab, size_t node);
void lab_resume(struct lab *lab, size_t node);

/* The disk of a node that is off: its dir is empty from now on, what was in it is kept aside. And the two change places. */
void lab_empty(struct lab *lab, size_t node);
void lab_swap(struct lab *lab, size_t node);

/* Nothing that `from` sends reaches `to` any more; and again. */
void lab_silence(struct lab *lab, size_t from, size_t to);
void lab_heal(struct lab *lab, size_t from, size_t to);

/* Silences both directions between each two nodes of different sides; `side[i]`: of node i, 0: it is on all sides. */
void lab_divide(struct lab *lab, const int side[LAB_NODES]);

/* Heals all. */
void lab_heal_all(struct lab *lab);

/* True if the node's answer to a command line is a text or an error that begins so. */
bool lab_says(const struct lab *lab, size_t node, const char *command, const char *begins);

/* A number of the node's INFO; -1 if it does not answer. */
long long lab_info(const struct lab *lab, size_t node, const char *field);

/* Waits until every node runs, serves, and counts all as up. */
void lab_wait(struct lab *lab);

#endif
