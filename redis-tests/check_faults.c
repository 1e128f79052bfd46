/* Nodes that die, stop and stall while clients write: what was acknowledged stays, and what cannot be acknowledged says so. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/load.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"
#include "tests/lib/run.h"

#define NODES 3
#define SOME test_share(100) /* writes of each writer between two events */

static const char *const fsync_modes[] = {"appendfsync always\n", "appendfsync everysec\n",
                                          "appendfsync no\n"};

static void verify_everywhere(const struct load *load, const struct cluster *cluster) {
    for (size_t i = 0; i < cluster->count; i++) {
        load_verify(load, &cluster->nodes[i]);
    }
}

/* A write may have been acknowledged by nodes that stand in for a key's homes; a read of two homes that were both away may miss it until
 * the hints have been delivered. From then on nothing excuses a miss. */
static void wait_for_hints(const struct cluster *cluster) {
    for (size_t i = 0; i < cluster->count; i++) {
        WAIT_FOR(node_info(&cluster->nodes[i], "hints_pending") == 0);
    }
}

static void check_stores(const struct cluster *cluster) {
    struct buf output = {0};
    for (size_t i = 0; i < cluster->count; i++) {
        int status = proc_run(&output, "%s --check-store %s/data",
                              proc_built("src/redynamo-server"), cluster->nodes[i].dir);
        ck_assert_msg(status == 0, "%d: %s", status, show_text(&output));
    }
    buf_free(&output);
}

/* A node is killed in the middle of writes, is away for some, and comes back. */
START_TEST(kill_a_node) {
    struct cluster *c = cluster_start(NODES, fsync_modes[_i]);
    struct load load;
    load_start(&load, c, 0);
    for (size_t victim = 0; victim < NODES; victim++) {
        load_wait(&load, c, SOME);
        node_kill(&c->nodes[victim]);
        load_wait(&load, c, SOME);
        node_start(&c->nodes[victim]);
        cluster_wait(c);
    }
    load_wait(&load, c, SOME);
    load_stop(&load);
    verify_everywhere(&load, c);
    /* Each client may have met each death once. */
    ck_assert_msg(load_errors(&load) <= NODES * NODES, "%d errors, the last: %s",
                  load_errors(&load), load.writers[0].last_error);
    cluster_stop(c);
    check_stores(c);
    load_free(&load);
    cluster_free(&c);
}
END_TEST

/* All at once: what was acknowledged had reached the system, whatever appendfsync says. */
START_TEST(kill_all_nodes) {
    struct cluster *c = cluster_start(NODES, fsync_modes[_i]);
    struct load load;
    load_start(&load, c, 0);
    for (int round = 0; round < 3; round++) {
        load_wait(&load, c, SOME);
        for (size_t i = 0; i < NODES; i++) {
            kill(c->nodes[i].pid, SIGKILL);
        }
        for (size_t i = 0; i < NODES; i++) {
            node_kill(&c->nodes[i]);
        }
        for (size_t i = 0; i < NODES; i++) {
            node_launch(&c->nodes[(i + (size_t)round) % NODES]);
        }
        cluster_wait(c);
    }
    load_stop(&load);
    verify_everywhere(&load, c);
    cluster_stop(c);
    check_stores(c);
    load_free(&load);
    cluster_free(&c);
}
END_TEST

/* The first write a cluster acknowledges makes it one cluster for good, also if all die right behind it. */
START_TEST(kill_all_at_birth) {
    for (size_t round = 0; round < 4; round++) {
        struct cluster *c = cluster_start(NODES, "");
        struct client client;
        client_open(&client, c->nodes[round % NODES].port);
        expect(&client, "+OK", "SET first value");
        client_close(&client);
        for (size_t i = 0; i < NODES; i++) {
            kill(c->nodes[i].pid, SIGKILL);
        }
        for (size_t i = 0; i < NODES; i++) {
            node_kill(&c->nodes[i]);
        }
        for (size_t i = 0; i < NODES; i++) {
            node_launch(&c->nodes[i]);
        }
        cluster_wait(c);
        for (size_t i = 0; i < NODES; i++) {
            client_open(&client, c->nodes[i].port);
            expect(&client, "\"value\"", "GET first");
            client_close(&client);
            WAIT_FOR(node_info(&c->nodes[i], "cluster_born") == 1);
            ck_assert_int_eq(node_info(&c->nodes[i], "members"), NODES);
        }
        cluster_free(&c);
    }
}
END_TEST

/* SIGTERM to one after another under load: each exits with 0 and nothing is lost; also of a node alone. */
START_TEST(rolling_restart) {
    struct cluster *c = cluster_start(NODES, "");
    struct load load;
    load_start(&load, c, 0);
    for (size_t i = 0; i < NODES; i++) {
        load_wait(&load, c, SOME);
        node_stop(&c->nodes[i]);
        load_wait(&load, c, SOME);
        node_start(&c->nodes[i]);
        cluster_wait(c);
    }
    load_stop(&load);
    verify_everywhere(&load, c);
    load_free(&load);
    cluster_free(&c);
}
END_TEST

START_TEST(stop_a_node_alone) {
    struct cluster *c = cluster_start(1, "");
    struct load load;
    load_start(&load, c, 0);
    for (int round = 0; round < 3; round++) {
        load_wait(&load, c, SOME);
        node_stop(&c->nodes[0]);
        node_start(&c->nodes[0]);
        cluster_wait(c);
    }
    load_wait(&load, c, SOME);
    struct client client;
    client_open(&client, c->nodes[0].port);
    load_stop(&load);
    expect(&client, "closed", "SHUTDOWN");
    client_close(&client);
    ck_assert_int_eq(proc_wait(c->nodes[0].pid), 0);
    c->nodes[0].pid = 0;
    node_start(&c->nodes[0]);
    cluster_wait(c);
    verify_everywhere(&load, c);
    cluster_stop(c);
    check_stores(c);
    load_free(&load);
    cluster_free(&c);
}
END_TEST

/* ---- quorums --------------------------------------------------------------------------------------- */

START_TEST(too_few_replicas) {
    struct cluster *c = cluster_start(NODES, "");
    struct client client;
    client_open(&client, c->nodes[0].port);
    expect(&client, "+OK", "SET key before");
    node_kill(&c->nodes[2]);
    cluster_wait(c);
    static const struct exchange one_down[] = {
        {"SET key two", "+OK"},
        {"GET key", "\"two\""},
        {"DYNQUORUM W 3 R 3", "[*]"},
        {"SET key three",
         "-NOQUORUM 2 of 3 replicas can be reached, 3 are needed; nothing was written"},
        {"DEL key", "-NOQUORUM 2 of 3 *nothing was written"},
        {"MSET key three other three", "-NOQUORUM 2 of 3 *"},
        {"DYNSET key three", "-NOQUORUM 2 of 3 *nothing was written"},
        {"GET key", "-NOQUORUM 2 of 3 replicas can be reached, 3 are needed"},
        {"MGET key other", "-NOQUORUM 2 of 3 *"},
        {"DYNGET key", "-NOQUORUM 2 of 3 *"},
        {"DYNGET key R 2", "[\"*\", [\"two\"]]"},
        {"DYNSET key three W 2", "\"*\""},
        {"DYNQUORUM RESET", "[*]"},
        {"DYNGET key", "[\"*\", [\"three\", \"two\"]]"},
        {"DYNREPLICAS key", "[*\"no-answer\"*]"},
        {"SET key two", "+OK"},
        {"CONFIG SET write-quorum 3", "+OK"},
        {"SET key three", "-NOQUORUM *"},
        {"CONFIG SET write-quorum 2", "+OK"},
    };
    PLAY(&client, one_down);
    node_kill(&c->nodes[1]);
    cluster_wait(c);
    static const struct exchange two_down[] = {
        {"SET key one",
         "-NOQUORUM 1 of 3 replicas can be reached, 2 are needed; nothing was written"},
        {"GET key", "-NOQUORUM 1 of 3 *"},
        {"EXISTS key", "-NOQUORUM 1 of 3 *"},
        {"PING", "+PONG"},
        {"DYNQUORUM W 1 R 1", "[*]"},
        {"GET key", "\"two\""},
        {"SET key one", "+OK"},
        {"GET key", "\"one\""},
    };
    PLAY(&client, two_down);
    ck_assert_int_gt(node_info(&c->nodes[0], "quorum_failures_write"), 0);
    ck_assert_int_gt(node_info(&c->nodes[0], "quorum_failures_read"), 0);
    node_start(&c->nodes[1]);
    node_start(&c->nodes[2]);
    cluster_wait(c);
    expect(&client, "[*\"r\", :2, \"w\", :2*]", "DYNQUORUM RESET");
    expect(&client, "\"one\"", "GET key");
    client_close(&client);
    cluster_free(&c);
}
END_TEST

/* A read repairs a replica that was away. */
START_TEST(read_repair) {
    struct cluster *c = cluster_start(NODES, "");
    struct client client;
    client_open(&client, c->nodes[0].port);
    node_kill(&c->nodes[2]);
    cluster_wait(c);
    expect(&client, "+OK", "SET key value");
    node_start(&c->nodes[2]);
    cluster_wait(c);
    WAIT_FOR(strcmp(ask(&client, "DYNGET key R 3"), "closed") != 0 &&
             strstr(ask(&client, "DYNREPLICAS key"), "not-found") == NULL);
    expect(&client,
           "[[*\"ok\", \"siblings\", :1,*], [*\"ok\", \"siblings\", :1,*], [*\"ok\", \"siblings\", "
           ":1,*]]",
           "DYNREPLICAS key");
    client_close(&client);
    cluster_free(&c);
}
END_TEST

/* A node that hears and says nothing: the others go on, count it as down, and take it back when it wakes up. */
START_TEST(a_node_stalls) {
    struct cluster *c =
        cluster_start(NODES, "gossip-interval 100\nfailure-timeout 500\nrequest-timeout 2000\n");
    struct load load;
    load_start(&load, c, 0);
    load_wait(&load, c, SOME);
    node_pause(&c->nodes[1]);
    cluster_wait(c);
    load_wait(&load, c, SOME);
    node_resume(&c->nodes[1]);
    cluster_wait(c);
    load_wait(&load, c, SOME);
    load_stop(&load);
    verify_everywhere(&load, c);
    load_free(&load);
    cluster_free(&c);
}
END_TEST

/* One random fault of a random node: killed, stopped, stalled, or, if it is out, back again. */
static void harm(struct cluster *c, struct prng *prng) {
    struct node *node = &c->nodes[prng_below(prng, c->count)];
    uint64_t what = prng_below(prng, 4);
    if (node->pid == 0) {
        node_launch(node);
    } else if (node->paused) {
        node_resume(node);
    } else if (what == 0) {
        WAIT_FOR(node_info(node, "members") > 0); /* it has begun to listen to signals */
        node_stop(node);
    } else if (what == 1) {
        node_pause(node);
    } else {
        node_kill(node);
    }
}

/* Several nodes out at a time, at random, while clients write; then all come back, and when the
 * hints are delivered nothing acknowledged is missing. */
START_TEST(a_bad_day) {
    struct cluster *c =
        cluster_start(5, "gossip-interval 100\nfailure-timeout 500\nrequest-timeout 1000\n");
    struct prng prng;
    struct load load;
    prng_seed(&prng, (uint64_t)_i);
    load_start(&load, c, 0);
    for (int event = 0; event < 40; event++) {
        proc_sleep_ms((unsigned)prng_below(&prng, 100));
        harm(c, &prng);
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->nodes[i].paused) {
            node_resume(&c->nodes[i]);
        } else if (c->nodes[i].pid == 0) {
            node_launch(&c->nodes[i]);
        }
    }
    cluster_wait(c);
    load_wait(&load, c, 10);
    load_stop(&load);
    wait_for_hints(c);
    verify_everywhere(&load, c);
    cluster_stop(c);
    check_stores(c);
    load_free(&load);
    cluster_free(&c);
}
END_TEST

/* ---- after a restart ------------------------------------------------------------------------------- */

START_TEST(the_whole_cluster_restarts) {
    struct cluster *c = cluster_start(NODES, "");
    struct client client;
    char id[64], context[1024];
    client_open(&client, c->nodes[0].port);
    snprintf(id, sizeof id, "%s", ask(&client, "CLUSTER MYID"));
    for (int i = 0; i < 100; i++) {
        expect(&client, "+OK", "SET key%d value%d", i, i);
    }
    expect(&client, ":1", "DEL key7");
    expect(&client, "+OK", "SET short v PX 1");
    expect(&client, "\"*\"", "DYNSET both a");
    expect(&client, "\"*\"", "DYNSET both b");
    snprintf(context, sizeof context, "%s", ask(&client, "DYNSET mine first"));
    client_close(&client);
    cluster_stop(c);
    check_stores(c);
    for (size_t i = NODES; i-- > 0;) {
        node_launch(&c->nodes[i]);
    }
    cluster_wait(c);
    client_open(&client, c->nodes[0].port);
    expect(&client, id, "CLUSTER MYID");
    for (int i = 0; i < 100; i++) {
        char value[32];
        snprintf(value, sizeof value, "\"value%d\"", i);
        expect(&client, i == 7 ? "nil" : value, "GET key%d", i);
    }
    expect(&client, "nil", "GET short");
    expect(&client, "[\"*\", [\"b\", \"a\"]]", "DYNGET both");
    expect(&client, "\"*\"", "DYNSET mine second CONTEXT %s", context);
    expect(&client, "[\"*\", [\"second\"]]", "DYNGET mine");
    client_close(&client);
    cluster_free(&c);
}
END_TEST

/* --check-store can also say no. */
START_TEST(a_damaged_store_is_noticed) {
    struct cluster *c = cluster_start(1, "");
    struct client client;
    struct buf output = {0};
    client_open(&client, c->nodes[0].port);
    for (int i = 0; i < 200; i++) {
        expect(&client, "+OK", "SET key%d %0200d", i, i);
    }
    client_close(&client);
    cluster_stop(c);
    check_stores(c);
    /* One byte in each copy of a value: some lie in parts of pages that are free. */
    int status =
        proc_run(&output,
                 "cd %s/data && f=data.db && "
                 "python3 -c \"import sys; p = sys.argv[1]; b = bytearray(open(p, 'rb').read()); "
                 "open(p, 'wb').write(b.replace(b'0' * 150, b'0' * 75 + b'1' * 75))\" \"$f\"",
                 c->nodes[0].dir);
    ck_assert_msg(status == 0, "%s", show_text(&output));
    status = proc_run(&output, "%s --check-store %s/data", proc_built("src/redynamo-server"),
                      c->nodes[0].dir);
    ck_assert_msg(status == 1, "%d: %s", status, show_text(&output));
    buf_free(&output);
    cluster_free(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("faults");
    TCase *own = run_group(suite, NULL, NULL);
    tcase_add_loop_test(own, kill_a_node, 0, 2);
    tcase_add_loop_test(own, kill_all_nodes, 0, 3);
    tcase_add_test(own, kill_all_at_birth);
    tcase_add_test(own, rolling_restart);
    tcase_add_test(own, stop_a_node_alone);
    tcase_add_test(own, too_few_replicas);
    tcase_add_test(own, read_repair);
    tcase_add_test(own, a_node_stalls);
    tcase_add_loop_test(own, a_bad_day, 0, test_share(3));
    tcase_add_test(own, the_whole_cluster_restarts);
    tcase_add_test(own, a_damaged_store_is_noticed);
    return run_tests(suite);
}
