/* Real clusters. */
#include "redis-tests/lib/cluster.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/run.h"

/* ---- configuration -------------------------------------------------------------------------------- */

static void print(struct buf *to, const char *format, int number) {
    ck_assert_int_eq(buf_printf(to, format, number), RD_OK);
}

/* Time limits are far above what a healthy node needs, also with sanitizers on a machine that is busy. */
void node_configure(struct node *node, const struct cluster *cluster, const char *directives) {
    struct buf text = {0};
    ck_assert_int_eq(buf_printf(&text,
                                "bind 127.0.0.1\nport %d\ncluster-port %d\ndir \"%s/data\"\n"
                                "request-timeout 10000\nfailure-timeout 10000\n",
                                node->port, node->bus_port, node->dir),
                     RD_OK);
    for (size_t i = 0; i < cluster->count; i++) {
        print(&text, "seed 127.0.0.1:%d\n", cluster->nodes[i].bus_port);
    }
    ck_assert_int_eq(buf_append(&text, directives, strlen(directives) + 1), RD_OK);
    proc_write_file(node->conf, (const char *)buf_data(&text));
    buf_free(&text);
}

static void node_make(struct node *node) {
    char data[PROC_PATH];
    proc_temp_dir(node->dir);
    snprintf(node->conf, sizeof node->conf, "%.400s/redynamo.conf", node->dir);
    snprintf(node->log, sizeof node->log, "%.400s/log", node->dir);
    snprintf(data, sizeof data, "%.400s/data", node->dir);
    ck_assert_int_eq(mkdir(data, 0755), 0);
    node->port = proc_port();
    node->bus_port = proc_port();
}

struct cluster *cluster_make(size_t count, const char *directives) {
    struct cluster *c = calloc(1, sizeof *c);
    ck_assert_ptr_nonnull(c);
    ck_assert_uint_le(count, CLUSTER_MAX_NODES);
    c->count = count;
    for (size_t i = 0; i < count; i++) {
        node_make(&c->nodes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        node_configure(&c->nodes[i], c, directives);
    }
    return c;
}

struct cluster *cluster_start(size_t count, const char *directives) {
    struct cluster *c = cluster_make(count, directives);
    for (size_t i = 0; i < count; i++) {
        node_launch(&c->nodes[i]);
    }
    cluster_wait(c);
    return c;
}

/* ---- states --------------------------------------------------------------------------------------- */

long long node_info(const struct node *node, const char *field) {
    struct client client;
    if (node->pid == 0 || node->paused || !client_try_open(&client, node->port)) {
        return -1;
    }
    long long value = client_info(&client, field);
    client_close(&client);
    return value;
}

size_t node_log_lines(const struct node *node, const char *text) {
    return proc_count_lines(node->log, text);
}

static bool is_alive(const struct node *node) {
    siginfo_t ended = {0};
    return waitid(P_PID, (id_t)node->pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == 0;
}

void cluster_wait(const struct cluster *cluster) {
    long long running = 0;
    for (size_t i = 0; i < cluster->count; i++) {
        running += cluster->nodes[i].pid != 0 && !cluster->nodes[i].paused;
    }
    for (size_t i = 0; i < cluster->count; i++) {
        const struct node *node = &cluster->nodes[i];
        if (node->pid != 0 && !node->paused) {
            WAIT_FOR(node_info(node, "cluster_open") == 1);
            WAIT_FOR(node_info(node, "members_up") == running);
        }
    }
}

/* ---- processes ------------------------------------------------------------------------------------ */

void node_launch(struct node *node) {
    char *const argv[] = {(char *)proc_built("src/redynamo-server"), node->conf, NULL};
    ck_assert_int_eq(node->pid, 0);
    node->pid = proc_start(argv, NULL, node->log);
    node->paused = false;
}

static bool answers(const struct node *node) {
    struct client client;
    ck_assert_msg(is_alive(node), "the node on port %d has died", node->port);
    if (!client_try_open(&client, node->port)) {
        return false;
    }
    expect(&client, "+PONG", "PING");
    client_close(&client);
    return true;
}

void node_start(struct node *node) {
    node_launch(node);
    WAIT_FOR(answers(node));
}

void node_stop(struct node *node) {
    ck_assert_int_gt(node->pid, 0);
    kill(node->pid, SIGTERM);
    int status = proc_wait(node->pid);
    node->pid = 0;
    ck_assert_msg(status == 0, "the node on port %d exited with %d", node->port, status);
}

void node_kill(struct node *node) {
    ck_assert_int_gt(node->pid, 0);
    kill(node->pid, SIGKILL);
    int status = proc_wait(node->pid);
    node->pid = 0;
    node->paused = false;
    ck_assert_int_eq(status, 128 + SIGKILL);
}

void node_pause(struct node *node) {
    kill(node->pid, SIGSTOP);
    WAIT_FOR(waitpid(node->pid, NULL, WUNTRACED | WNOHANG) == node->pid);
    node->paused = true;
}

void node_resume(struct node *node) {
    kill(node->pid, SIGCONT);
    node->paused = false;
}

void cluster_stop(struct cluster *cluster) {
    for (size_t i = 0; i < cluster->count; i++) {
        if (cluster->nodes[i].pid != 0) {
            kill(cluster->nodes[i].pid, SIGTERM);
        }
    }
    for (size_t i = 0; i < cluster->count; i++) {
        struct node *node = &cluster->nodes[i];
        int status = node->pid != 0 ? proc_wait(node->pid) : 0;
        node->pid = 0;
        if (status != 0) {
            run_fail("the node on port %d exited with %d", node->port, status);
        }
    }
}

void cluster_free(struct cluster **cluster) {
    cluster_stop(*cluster);
    for (size_t i = 0; i < (*cluster)->count && run_is_forked(); i++) {
        proc_run(NULL, "rm -rf '%s'", (*cluster)->nodes[i].dir);
    }
    free(*cluster);
    *cluster = NULL;
}
