/* How nodes become one cluster, and which nodes do not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/load.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Sends one command to a node and demands the reply. */
static void ask_node(const struct node *node, const char *command, const char *pattern) {
    struct client client;
    client_open(&client, node->port);
    expect(&client, pattern, "%s", command);
    client_close(&client);
}

/* ---- coming together ------------------------------------------------------------------------------- */

/* Whatever the order of start and however early clients write: one cluster, and nothing acknowledged is lost. */
START_TEST(every_order_of_start) {
    enum { NODES = 5 };
    static const int orders[][NODES] = {{0, 1, 2, 3, 4}, {4, 2, 0, 3, 1}, {2, 3, 4, 1, 0}};
    struct cluster *c = cluster_make(NODES, "");
    struct load load;
    char id[64] = "";
    load_start(&load, c, 0);
    for (int i = 0; i < NODES; i++) {
        node_launch(&c->nodes[orders[_i][i]]);
        proc_sleep_ms((unsigned)_i * 30);
    }
    cluster_wait(c);
    load_wait(&load, c, 100);
    load_stop(&load);
    for (int i = 0; i < NODES; i++) {
        struct client client;
        load_verify(&load, &c->nodes[i]);
        ck_assert_int_eq(node_info(&c->nodes[i], "members"), NODES);
        ck_assert_int_eq(node_info(&c->nodes[i], "cluster_born"), 1);
        client_open(&client, c->nodes[i].port);
        const char *at = strstr(ask(&client, "INFO dynamo"), "cluster_id:");
        ck_assert_ptr_nonnull(at);
        if (i == 0) {
            snprintf(id, sizeof id, "%.51s", at);
        }
        ck_assert(strncmp(at, id, strlen(id)) == 0);
        client_close(&client);
    }
    load_free(&load);
    cluster_free(&c);
}
END_TEST

/* With a seed missing the others wait 10 seconds and go on without it; unborn, they still take it in. */
START_TEST(a_seed_is_missing) {
    struct cluster *c = cluster_make(3, "");
    node_start(&c->nodes[0]);
    ask_node(&c->nodes[0], "SET a b", "-CLUSTERDOWN *");
    ask_node(&c->nodes[0], "GET a", "-CLUSTERDOWN *");
    ask_node(&c->nodes[0], "DYNGET a", "-CLUSTERDOWN *");
    ask_node(&c->nodes[0], "PING", "+PONG");
    ask_node(&c->nodes[0], "CLUSTER INFO", "\"cluster_state:fail*");
    node_start(&c->nodes[1]);
    WAIT_FOR(node_info(&c->nodes[1], "members_up") == 2);
    ask_node(&c->nodes[1], "SET a b", "-CLUSTERDOWN *");
    cluster_wait(c);
    ask_node(&c->nodes[0], "CLUSTER INFO", "\"cluster_state:ok*");
    node_start(&c->nodes[2]);
    cluster_wait(c);
    ask_node(&c->nodes[2], "SET a b", "+OK");
    ck_assert_int_eq(node_info(&c->nodes[0], "members"), 3);
    ck_assert_int_eq(node_info(&c->nodes[0], "cluster_born"), 1);
    cluster_free(&c);
}
END_TEST

START_TEST(the_right_secret) {
    struct cluster *c = cluster_start(3, "cluster-secret \"correct horse\"\ncluster-name stable\n");
    ask_node(&c->nodes[0], "SET a b", "+OK");
    ask_node(&c->nodes[1], "GET a", "\"b\"");
    cluster_free(&c);
}
END_TEST

/* A node is gone: the others see it at once, and see it come back; its state is told by DYNCLUSTER NODES. */
START_TEST(members_go_and_come) {
    struct cluster *c = cluster_start(3, "gossip-interval 100\nfailure-timeout 500\n");
    struct client client;
    client_open(&client, c->nodes[0].port);
    for (int round = 0; round < 2; round++) {
        expect(&client, "[[*\"state\", \"up\"*], [*\"state\", \"up\"*], [*\"state\", \"up\"*]]",
               "DYNCLUSTER NODES");
        node_kill(&c->nodes[2]);
        cluster_wait(c);
        WAIT_FOR(strstr(ask(&client, "DYNCLUSTER NODES"), "\"down\"") != NULL);
        expect(&client, "\"*fail*\"", "CLUSTER NODES");
        ck_assert_int_eq(node_info(&c->nodes[0], "members"), 3);
        node_start(&c->nodes[2]);
        cluster_wait(c);
        expect(&client, "\"*\"", "CLUSTER NODES");
        ck_assert_ptr_null(strstr(ask(&client, "CLUSTER NODES"), "fail"));
    }
    client_close(&client);
    cluster_free(&c);
}
END_TEST

/* A node comes back with its data at other ports: it is the same node, and clients are sent there. */
START_TEST(a_node_moves) {
    struct cluster *c = cluster_start(3, "");
    struct node *node = &c->nodes[2];
    char pattern[256];
    ask_node(&c->nodes[0], "SET a b", "+OK");
    node_stop(node);
    node->port = proc_port();
    node->bus_port = proc_port();
    node_configure(node, c, ""); /* the others still have its old address as a seed */
    node_start(node);
    cluster_wait(c);
    snprintf(pattern, sizeof pattern, "\"*127.0.0.1:%d@%d master*\"", node->port, node->bus_port);
    struct client client;
    client_open(&client, c->nodes[0].port);
    WAIT_FOR(show_matches(pattern, ask(&client, "CLUSTER NODES")));
    ck_assert_int_eq(node_info(&c->nodes[0], "members"), 3);
    expect(&client, "[*]", "DYNQUORUM W 3 R 3");
    expect(&client, "+OK", "SET a c");
    ask_node(node, "GET a", "\"c\"");
    /* and both ways: the others reach it when it is they who have to dial */
    client_close(&client);
    node_stop(&c->nodes[0]);
    node_start(&c->nodes[0]);
    cluster_wait(c);
    cluster_free(&c);
}
END_TEST

/* ---- staying apart --------------------------------------------------------------------------------- */

static const struct {
    const char *a, *b;
    const char *at_a, *at_b; /* what each tells the other */
} strangers[] = {
    {"cluster-name red\n", "cluster-name blue\n", "your cluster-name is 'blue', mine is 'red'",
     "your cluster-name is 'red', mine is 'blue'"},
    {"cluster-secret one\n", "cluster-secret two\n", "you do not know the cluster-secret",
     "you do not know the cluster-secret"},
    {"cluster-secret one\n", "", "you do not know the cluster-secret",
     "you do not know the cluster-secret"},
    {"replication-factor 3\n", "replication-factor 2\nread-quorum 1\n",
     "your replication-factor is 2, mine is 3", "your replication-factor is 3, mine is 2"},
    {"partitions 4096\n", "partitions 1024\n", "your partitions is 1024, mine is 4096",
     "your partitions is 4096, mine is 1024"},
    {"partitioner crc16\n", "partitioner md5\n", "your partitioner is md5, mine is crc16",
     "your partitioner is crc16, mine is md5"},
    {"conflict-resolution siblings\n", "conflict-resolution last-write-wins\n",
     "your conflict-resolution is last-write-wins, mine is siblings",
     "your conflict-resolution is siblings, mine is last-write-wins"},
};

static size_t lines(const struct node *node, const char *how, const char *what) {
    char text[256];
    snprintf(text, sizeof text, "%s: %s", how, what);
    return node_log_lines(node, text);
}

/* Nodes whose cluster-wide settings differ refuse each other for good, and each log says why, once. */
START_TEST(strangers_refuse_each_other) {
    struct cluster *c = cluster_make(2, "");
    struct node *a = &c->nodes[0], *b = &c->nodes[1];
    node_configure(a, c, strangers[_i].a);
    node_configure(b, c, strangers[_i].b);
    node_start(a);
    node_start(b);
    /* after several tries from both sides */
    WAIT_FOR(node_info(a, "links_refused") >= 3 && node_info(b, "links_refused") >= 3);
    for (int i = 0; i < 2; i++) {
        const struct node *node = &c->nodes[i];
        const char *tells = i == 0 ? strangers[_i].at_a : strangers[_i].at_b;
        const char *is_told = i == 0 ? strangers[_i].at_b : strangers[_i].at_a;
        ck_assert_int_eq(node_info(node, "members"), 1);
        WAIT_FOR(lines(node, ", telling it", tells) + lines(node, ", which said", is_told) > 0);
        ck_assert_uint_le(lines(node, ", telling it", tells), 2);
        ck_assert_uint_le(lines(node, ", which said", is_told), 2);
        ck_assert_uint_le(node_log_lines(node, "efused"), 4);
        ask_node(node, "SET a b", "-CLUSTERDOWN *");
    }
    cluster_free(&c);
}
END_TEST

/* A node that was not there when the cluster was born is told so by name, and serves nobody. */
START_TEST(a_sixth_node_comes_too_late) {
    struct cluster *c = cluster_make(6, "");
    struct node *late = &c->nodes[5];
    char text[128], id[64];
    struct cluster five = {.count = 5};
    memcpy(five.nodes, c->nodes, sizeof five.nodes);
    for (size_t i = 0; i < 5; i++) {
        node_configure(&c->nodes[i], &five, "");
        node_launch(&c->nodes[i]);
    }
    cluster_wait(c);
    ask_node(&c->nodes[3], "SET a b", "+OK");
    WAIT_FOR(node_info(&c->nodes[0], "cluster_born") == 1);
    node_start(late);
    struct client client;
    client_open(&client, late->port);
    snprintf(id, sizeof id, "%s", ask(&client, "CLUSTER MYID"));
    snprintf(text, sizeof text, "was born without node %.8s, and joining a born cluster", id + 1);
    WAIT_FOR(node_log_lines(late, text) > 0 || node_log_lines(late, "born without this node") > 0);
    WAIT_FOR(node_info(late, "links_refused") + node_log_lines(late, "efused") > 0);
    expect(&client, "-CLUSTERDOWN the cluster was born without this node*", "SET c d");
    expect(&client, "-CLUSTERDOWN *", "GET a");
    WAIT_FOR(node_log_lines(&c->nodes[0], text) == 1);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(node_info(&c->nodes[i], "members"), 5);
        ck_assert_int_eq(node_info(&c->nodes[i], "members_up"), 5);
        ask_node(&c->nodes[i], "GET a", "\"b\"");
        ck_assert_uint_le(node_log_lines(&c->nodes[i], "efused"), 2);
    }
    client_close(&client);
    cluster_free(&c);
}
END_TEST

/* Two clusters born apart, then pointed at each other, stay two. */
START_TEST(two_born_clusters_never_merge) {
    struct cluster *c = cluster_make(4, "");
    struct cluster half = {.count = 2};
    for (size_t i = 0; i < 2; i++) {
        memcpy(half.nodes, &c->nodes[2 * i], 2 * sizeof half.nodes[0]);
        node_configure(&c->nodes[2 * i], &half, "");
        node_configure(&c->nodes[2 * i + 1], &half, "");
    }
    for (size_t i = 0; i < 4; i++) {
        node_launch(&c->nodes[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        WAIT_FOR(node_info(&c->nodes[i], "members_up") == 2);
        WAIT_FOR(node_info(&c->nodes[i], "cluster_open") == 1);
    }
    ask_node(&c->nodes[0], "SET a left", "+OK");
    ask_node(&c->nodes[2], "SET a right", "+OK");
    cluster_stop(c);
    for (size_t i = 0; i < 4; i++) {
        node_configure(&c->nodes[i], c, "");
        node_launch(&c->nodes[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        WAIT_FOR(node_info(&c->nodes[i], "members_up") == 2);
        WAIT_FOR(node_info(&c->nodes[i], "links_refused") > 0);
        ck_assert_int_eq(node_info(&c->nodes[i], "members"), 2);
        ck_assert_uint_ge(node_log_lines(&c->nodes[i], "clusters that were born apart never merge"),
                          1);
        ask_node(&c->nodes[i], "GET a", i < 2 ? "\"left\"" : "\"right\"");
    }
    cluster_free(&c);
}
END_TEST

static const struct {
    const char *directives;
    const char *named;
} changes[] = {
    {"replication-factor 2\n", "replication-factor"},
    {"replication-factor 5\n", "replication-factor"},
    {"partitioner md5\n", "partitioner"},
    {"partitions 64\n", "partitions"},
    {"conflict-resolution last-write-wins\n", "conflict-resolution"},
};

/* What was fixed when the cluster was born: a start with something else says so in one line and does not happen; with
 * the old value the node is back. */
START_TEST(settings_fixed_at_birth) {
    struct cluster *c = cluster_start(2, "");
    struct node *node = &c->nodes[1];
    char text[128];
    ask_node(node, "SET a b", "+OK");
    WAIT_FOR(node_info(node, "cluster_born") == 1);
    node_stop(node);
    for (size_t i = 0; i < COUNT(changes); i++) {
        size_t lines = proc_count_lines(node->log, "");
        node_configure(node, c, changes[i].directives);
        node_launch(node);
        ck_assert_int_eq(proc_wait(node->pid), 1);
        node->pid = 0;
        snprintf(text, sizeof text, "'%s' is not what it was when the cluster was born",
                 changes[i].named);
        ck_assert_uint_ge(node_log_lines(node, text), 1);
        ck_assert_uint_le(proc_count_lines(node->log, ""), lines + 2); /* logged, and said */
    }
    node_configure(node, c, "write-quorum 1\n");
    node_start(node);
    cluster_wait(c);
    ask_node(node, "GET a", "\"b\"");
    cluster_free(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("membership");
    TCase *own = run_group(suite, NULL, NULL);
    tcase_add_loop_test(own, every_order_of_start, 0, 3);
    tcase_add_test(own, a_seed_is_missing);
    tcase_add_test(own, the_right_secret);
    tcase_add_test(own, members_go_and_come);
    tcase_add_test(own, a_node_moves);
    tcase_add_loop_test(own, strangers_refuse_each_other, 0, (int)COUNT(strangers));
    tcase_add_test(own, a_sixth_node_comes_too_late);
    tcase_add_test(own, two_born_clusters_never_merge);
    tcase_add_test(own, settings_fixed_at_birth);
    return run_tests(suite);
}
