/* Real clusters: N server processes on loopback, each with a folder, a configuration file and a log of its own.
 *
 *     struct cluster *c = cluster_start(3, "appendfsync always\n");
 *     ... node_kill(&c->nodes[1]); ... node_start(&c->nodes[1]); cluster_wait(c); ...
 *     cluster_free(&c);
 *
 * Where a test fails run_tests shows the end of each log that cluster_free did not remove. Everything here asserts through Check.
 */
#ifndef RD_REDIS_TESTS_CLUSTER_H
#define RD_REDIS_TESTS_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "redis-tests/lib/proc.h"

#define CLUSTER_MAX_NODES 7
#define NODE_DIRECTIVES 1024

struct node {
    int port;            /* for clients */
    int bus_port;        /* for peers */
    pid_t pid;           /* 0: not running */
    bool paused;         /* by node_pause */
    char dir[PROC_PATH]; /* holds redynamo.conf, log, and data/ */
    char conf[PROC_PATH];
    char log[PROC_PATH];
};

struct cluster {
    size_t count;
    struct node nodes[CLUSTER_MAX_NODES];
};

/* Takes ports and writes configurations of `count` nodes, each of which has all as seeds. Starts nothing. `directives`: more
 * lines for each configuration file, each ended by LF; they win over the lines that are written anyway. */
struct cluster *cluster_make(size_t count, const char *directives);

/* The same, starts all, and waits until every node serves. */
struct cluster *cluster_start(size_t count, const char *directives);

/* Waits until every node that runs (and is not paused) is open and counts exactly those as up. */
void cluster_wait(const struct cluster *cluster);

/* Sends SIGTERM to all that run; if one does not exit with 0 the test program does not either. They can be started again. */
void cluster_stop(struct cluster *cluster);

/* The same; then, if this test runs in a process of its own, removes the files. Frees and nulls. */
void cluster_free(struct cluster **cluster);

/* Writes the configuration of one node anew: seeds are the nodes of `cluster`. */
void node_configure(struct node *node, const struct cluster *cluster, const char *directives);

/* Starts the process and waits until it answers PING. */
void node_start(struct node *node);

/* Starts the process and does not wait. */
void node_launch(struct node *node);

/* SIGTERM; demands that it exits with 0. */
void node_stop(struct node *node);

/* SIGKILL, and waits until the process is gone. */
void node_kill(struct node *node);

/* SIGSTOP and SIGCONT. */
void node_pause(struct node *node);
void node_resume(struct node *node);

/* A number of the node's INFO, such as "members_up"; -1 if it does not answer or has no such field. */
long long node_info(const struct node *node, const char *field);

/* Lines of the node's log that contain `text`. */
size_t node_log_lines(const struct node *node, const char *text);

#endif
