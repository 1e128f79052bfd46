/* Scenarios: read-modify-writes. */
#include <stdio.h>
#include <string.h>

#include "sim/scenario.h"

static const unsigned n123[] = {1, 2, 3};

static void begin(struct cluster *c, char key[32]) {
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, "other", "x");
    cluster_elapse_ms(c, 10);
}

/* n1 comes back from a pause and is the first to be asked again, by n3, which never took notice. What the others wrote meanwhile is unknown to its
 * own copy. */
void scenario_rmw_on_a_stale_home(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_record(c, false);
    cluster_append(c, 3, key, "a");
    cluster_elapse_ms(c, 10);
    cluster_crash(c, 1);
    cluster_elapse_ms(c, 10);
    cluster_append(c, 3, key, "b"); /* at n2 */
    cluster_append(c, 2, key, "c");
    cluster_restart(c, 1);
    cluster_await_up(c, 1);
    cluster_await_up(c, 3);
    cluster_expect_stored(c, 1, key, "{a}");
    cluster_append(c, 3, key, "d");
    cluster_expect_everywhere(c, key, "abcd");
    for (unsigned node = 1; node <= 3; node++) {
        cluster_expect_stored(c, node, key, "{abcd}");
    }
}

/* n1 and n2 each take themselves for the one that runs the key's requests: n4 has lost sight of n1, n5 has not. */
void scenario_rmw_two_coordinators(struct cluster *c) {
    char key[32], value[80] = "";
    struct op *ops[20];
    begin(c, key);
    cluster_cut(c, 4, 1);
    cluster_elapse_ms(c, 10);
    for (unsigned i = 0; i < 20; i++) {
        char letter[2] = {(char)('a' + i), 0};
        ops[i] = cluster_append_later(c, 4 + i % 2, key, letter);
        cluster_elapse_ms(c, i % 3);
    }
    unsigned done = 0;
    for (unsigned i = 0; i < 20; i++) {
        done += cluster_await(c, ops[i])->err == RD_OK;
    }
    cluster_expect_true(c, done == 20, "all are acknowledged");
    struct op *read = cluster_await(c, cluster_get_r_later(c, 2, key, 3));
    cluster_expect_true(c, read->object.count == 1, "there is one value");
    const struct blob *sum = read->object.siblings[0].value;
    snprintf(value, sizeof value, "%.*s", (int)sum->len, (const char *)sum->bytes);
    for (unsigned i = 0; i < 20; i++) {
        const char *first = strchr(value, 'a' + (int)i);
        cluster_expect_true(c, first != NULL && strchr(first + 1, 'a' + (int)i) == NULL,
                            "each letter is in the value, once");
    }
}

/* A plain SET of another node comes between a read and a write: it is either read, or replaces what was written. */
void scenario_rmw_beside_set(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_set(c, 1, key, "old");
    cluster_elapse_ms(c, 10);
    for (unsigned delay = 0; delay < 8; delay++) {
        struct op *append = cluster_append_later(c, 1, key, "+");
        cluster_elapse_ms(c, delay);
        struct op *set = cluster_set_later(c, 3, key, "new");
        cluster_expect_outcome(c, append, RD_OK);
        cluster_expect_outcome(c, set, RD_OK);
        cluster_elapse_ms(c, 20);
        struct op *read = cluster_get(c, 2, key);
        cluster_expect_true(c, read->object.count == 1, "one value is left");
        const struct blob *value = read->object.siblings[0].value;
        cluster_expect_true(c, value->len <= 4 && memcmp(value->bytes, "new", 3) == 0,
                            "the old value does not come back");
    }
}

/* The answer to a forwarded one is lost, and its frame comes twice: it takes effect once, and nobody says that it failed. */
void scenario_rmw_once(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_lose(c, 1, 4, WIRE_FORWARD_ANSWER, 1);
    cluster_expect_outcome(c, cluster_append_later(c, 4, key, "a"), RD_EUNKNOWN);
    cluster_expect(c, 2, key, "a");
    world_network_conf(cluster_world(c))->duplicate_ppm = 1000000;
    cluster_append(c, 4, key, "b");
    cluster_append(c, 2, key, "c");
    cluster_elapse_ms(c, 100);
    world_network_conf(cluster_world(c))->duplicate_ppm = 0;
    cluster_expect_everywhere(c, key, "abc");
}

/* Many at once on one key share turns: far fewer writes than requests. */
void scenario_rmw_batch(struct cluster *c) {
    char key[32];
    struct op *ops[100];
    begin(c, key);
    for (unsigned i = 0; i < 100; i++) {
        ops[i] = cluster_append_later(c, 1 + i % 4, key, "x");
    }
    for (unsigned i = 0; i < 100; i++) {
        cluster_expect_outcome(c, ops[i], RD_OK);
    }
    cluster_elapse_ms(c, 20);
    struct op *read = cluster_get(c, 2, key);
    cluster_expect_true(c, read->object.count == 1 && read->object.siblings[0].value->len == 100,
                        "all have been added");
    cluster_expect_true(c, read->object.siblings[0].dot.counter < 10,
                        "and few writes were needed for it");
}
