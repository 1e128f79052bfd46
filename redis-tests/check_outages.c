/* Five nodes, and one that is killed or stands still under load: a client that retries once on another node notices nothing but a pause,
 * and when the node is back everything is where it belongs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/shop.h"
#include "tests/lib/run.h"

#define NODES 5
#define SOME (test_long() ? 300 : test_is_slow() ? 80 : 150) /* requests between two events */
#define STILL_MS (test_long() ? 10000 : 4000)                /* a node stands still */

/* request-timeout is longer than by default, for machines that are busy with other tests. */
static struct cluster *start(struct shop *shop) {
    struct cluster *c = cluster_start(
        NODES, "request-timeout 2000\nfailure-timeout 3000\nanti-entropy-interval 2000\n");
    struct shop_address nodes[NODES];
    for (size_t i = 0; i < NODES; i++) {
        snprintf(nodes[i].host, sizeof nodes[i].host, "127.0.0.1");
        nodes[i].port = c->nodes[i].port;
    }
    shop_open(shop, nodes, NODES, NULL);
    shop_wait(shop, SOME);
    shop_mark(shop);
    return c;
}

static void end(struct cluster *c, struct shop *shop) {
    shop_stop(shop);
    shop_judge(shop);
    ck_assert_int_eq(shop->failed, 0);
    long long delivered = 0;
    for (size_t i = 0; i < NODES; i++) {
        WAIT_FOR(node_info(&c->nodes[i], "hints_pending") == 0);
        delivered += node_info(&c->nodes[i], "hints_delivered");
    }
    ck_assert_int_gt(delivered, 0);
    for (size_t i = 0; i < NODES; i++) {
        WAIT_FOR(shop_agrees(shop, i, false));
    }
    shop_verify(shop);
    shop_free(shop);
    cluster_free(&c);
}

/* How the node with that port is called by another one. */
static bool is_called(const struct node *by, const struct node *node, const char *state) {
    struct client client;
    char pattern[200];
    client_open(&client, by->port);
    const char *text = ask(&client, "DYNCLUSTER NODES");
    snprintf(pattern, sizeof pattern, "\"cluster-port\", :%d,", node->bus_port);
    const char *at = strstr(text, pattern);
    const char *word = at != NULL ? strstr(at, "\"state\", \"") : NULL;
    bool is = word != NULL && strncmp(word + strlen("\"state\", \""), state, strlen(state)) == 0;
    client_close(&client);
    return is;
}

static void wait_called(const struct cluster *c, const struct node *node, const char *state) {
    for (size_t i = 0; i < NODES; i++) {
        if (&c->nodes[i] != node) {
            WAIT_FOR(is_called(&c->nodes[i], node, state));
        }
    }
}

/* The number behind `name` in a reply shown as text; -1: it is not there. */
static long long number_of(const char *text, const char *name) {
    char pattern[64];
    snprintf(pattern, sizeof pattern, "\"%s\", :", name);
    const char *at = text == NULL ? NULL : strstr(text, pattern);
    return at == NULL ? -1 : strtoll(at + strlen(pattern), NULL, 10);
}

/* What nodes keep for a dead one is told by INFO, DYNCLUSTER NODES and HINTS alike, and DYNREPLICAS names who keeps it. */
static void check_told(const struct cluster *c, size_t victim) {
    long long hints = 0, keepers = 0, forwarded = 0;
    char pattern[100], key[32];
    struct client client;
    for (size_t i = 0; i < NODES; i++) {
        if (i == victim) {
            continue;
        }
        client_open(&client, c->nodes[i].port);
        snprintf(pattern, sizeof pattern, "\"cluster-port\", :%d,", c->nodes[victim].bus_port);
        const char *text = ask(&client, "DYNCLUSTER NODES");
        long long pending = number_of(strstr(text, pattern), "hints-pending");
        ck_assert_int_gt(number_of(strstr(text, pattern), "last-heard-ms"), 0);
        text = ask(&client, "DYNCLUSTER HINTS");
        ck_assert_int_eq(strstr(text, "oldest-ms") != NULL, number_of(text, "hints") > 0);
        hints += pending;
        forwarded += node_info(&c->nodes[i], "requests_forwarded");
        keepers += number_of(text, "bytes") > 0;
        ck_assert_int_ge(node_info(&c->nodes[i], "hints_kept"),
                         node_info(&c->nodes[i], "hints_pending") > 0);
        client_close(&client);
    }
    ck_assert_int_gt(hints, 0);
    ck_assert_int_gt(keepers, 0);
    ck_assert_int_gt(forwarded, 0);
    client_open(&client, c->nodes[(victim + 1) % NODES].port);
    bool named = false;
    for (int i = 0; !named && i < 20; i++) { /* of most keys the dead node is a home */
        snprintf(key, sizeof key, "told.%d", i);
        expect(&client, "+OK", "SET %s v", key);
        named = strstr(ask(&client, "DYNREPLICAS %s", key), "\"fallback\"") != NULL;
    }
    ck_assert(named);
    client_close(&client);
}

START_TEST(a_node_is_killed) {
    struct shop shop;
    struct cluster *c = start(&shop);
    for (size_t victim = 0; victim < 3; victim++) {
        node_kill(&c->nodes[victim]);
        cluster_wait(c);
        shop_wait(&shop, SOME);
        if (victim == 0) {
            check_told(c, victim);
        }
        node_start(&c->nodes[victim]);
        cluster_wait(c);
        shop_wait(&shop, SOME);
    }
    shop_print(&shop, "kill -9 of three, by turns");
    end(c, &shop);
}
END_TEST

START_TEST(a_node_stands_still) {
    struct shop shop;
    struct cluster *c = start(&shop);
    node_pause(&c->nodes[1]);
    uint64_t until_ms = proc_now_ms() + STILL_MS;
    cluster_wait(c);
    shop_wait(&shop, SOME);
    wait_called(c, &c->nodes[1], "down");
    while (proc_now_ms() < until_ms) {
        proc_sleep_ms(50);
    }
    node_resume(&c->nodes[1]);
    cluster_wait(c);
    wait_called(c, &c->nodes[1], "up");
    shop_wait(&shop, SOME);
    shop_print(&shop, "SIGSTOP for some seconds");
    end(c, &shop);
}
END_TEST

/* What was missed while no hints were kept comes with DYNCLUSTER REPAIR, once, and to whoever asks for it. */
START_TEST(repair_on_demand) {
    struct cluster *c = cluster_start(3, "request-timeout 200\nfailure-timeout 2000\n"
                                         "hinted-handoff no\nanti-entropy no\n");
    struct client client;
    client_open(&client, c->nodes[0].port);
    expect(&client, "+OK", "SET before 1");
    node_kill(&c->nodes[2]);
    for (int i = 0; i < 40; i++) {
        expect(&client, "+OK", "SET missed.%d v", i);
    }
    client_close(&client);
    node_start(&c->nodes[2]);
    cluster_wait(c);
    client_open(&client, c->nodes[2].port);
    expect(&client, "*not-found*", "DYNREPLICAS missed.7");
    expect(&client, "-ERR there are 4096 partitions*", "DYNCLUSTER REPAIR PARTITION 4096");
    expect(&client, "-ERR *", "DYNCLUSTER REPAIR PARTITION x");
    expect(&client, "-ERR *", "DYNCLUSTER REPAIR SOMETHING");
    expect(&client, ":2", "DYNCLUSTER REPAIR");
    WAIT_FOR(client_info(&client, "antientropy_exchanges") >= 2);
    long long mended = client_info(&client, "antientropy_keys_repaired");
    ck_assert_int_ge(mended, 40);
    ck_assert_int_le(mended, 41); /* the first key may have been on its way to the third */
    ck_assert_int_gt(client_info(&client, "antientropy_bytes"), 0);
    ck_assert_int_eq(client_info(&client, "hints_delivered"), 0);
    long long exchanges = client_info(&client, "antientropy_exchanges");
    expect(&client, ":2", "DYNCLUSTER REPAIR ALL");
    WAIT_FOR(client_info(&client, "antientropy_exchanges") >= exchanges + 2);
    ck_assert_int_eq(client_info(&client, "antientropy_keys_repaired"), mended);
    client_close(&client);
    cluster_free(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("outages");
    TCase *own = run_group(suite, NULL, NULL);
    tcase_add_test(own, a_node_is_killed);
    tcase_add_test(own, a_node_stands_still);
    tcase_add_test(own, repair_on_demand);
    return run_tests(suite);
}
