/* Scenarios: anti-entropy. Replicas agree in the end though nobody reads, and that costs little. */
#include <assert.h>
#include <stdio.h>

#include "sim/scenario.h"

static const unsigned n123[] = {1, 2, 3};

static void turn_on(struct cluster *c, uint32_t interval_ms) {
    for (uint32_t i = 0; i < world_nodes(cluster_world(c)); i++) {
        struct node *node = world_node(cluster_world(c), i);
        node_set_anti_entropy(node, true, interval_ms);
    }
}

static struct node_stats totals(struct cluster *c) {
    struct node_stats stats;
    world_stats(cluster_world(c), &stats);
    return stats;
}

/* n3 misses writes and a deletion, and has one value that the others miss. */
void scenario_repair_in_the_background(struct cluster *c) {
    struct world_conf conf;
    char key[32];
    assert(c == NULL);
    cluster_conf(&conf, 3);
    conf.node.hinted_handoff = false; /* else the hints would be there first */
    c = cluster_make(&conf);
    cluster_form(c);
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, "gone", "x");
    cluster_elapse_ms(c, 10);
    cluster_isolate(c, 3);
    cluster_set(c, 1, key, "v1");
    cluster_del(c, 1, "gone");
    for (unsigned i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof name, "many%u", i);
        cluster_set(c, 1 + i % 2, name, "m");
    }
    cluster_heal_all(c);
    turn_on(c, 10000);
    cluster_elapse_ms(c, 60000);
    cluster_expect_stored(c, 3, key, "{v1}");
    cluster_expect_stored(c, 3, "gone", "{}");
    cluster_expect_stored(c, 3, "many49", "{m}");
    struct node_stats stats = totals(c);
    cluster_expect_true(c, stats.antientropy_keys_repaired == 52, "each copy was mended once");
    cluster_expect_true(c, stats.read_repairs == 0, "nobody had to read");
    cluster_expect_true(c, cluster_repair(c) == 0, "a second round repairs nothing");
    cluster_stop(&c);
}

/* Rows vanish from one disk and are damaged on another. */
void scenario_damaged_rows(struct cluster *c) {
    char name[32];
    for (unsigned i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "d%u", i);
        cluster_set(c, 1, name, "v");
    }
    cluster_elapse_ms(c, 100);
    for (unsigned i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "d%u", i);
        if (i % 3 == 0) {
            cluster_erase(c, 2, name);
        } else if (i == 1 || i == 2) {
            cluster_damage(c, 3, name);
        }
    }
    cluster_expect_true(c, cluster_repair(c) == 20, "all that vanished is there again");
    cluster_expect(c, 3, "d1", "v"); /* a read finds the damage */
    turn_on(c, 600000);
    for (unsigned i = 0; i < 600 && totals(c).antientropy_keys_repaired < 21; i++) {
        cluster_elapse_ms(c, 1000); /* the scrub walks slot by slot */
    }
    for (unsigned i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "d%u", i);
        cluster_expect_stored(c, 2, name, "{v}");
        cluster_expect_stored(c, 3, name, "{v}");
    }
    cluster_elapse_ms(c, 20000); /* leaves that counted a damaged row have been counted anew */
    cluster_expect_true(c, cluster_repair(c) == 0, "a second round repairs nothing");
}

/* A row is damaged, and written anew before anybody has read it: what it added to its leaf is not known, and stays in it. */
void scenario_drifted_tree(struct cluster *c) {
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 100);
    cluster_damage(c, 2, key);
    cluster_set(c, 1, key, "v2");
    cluster_elapse_ms(c, 100);
    cluster_expect_stored(c, 2, key, "{v2}");
    cluster_expect_true(c, cluster_repair(c) == 0, "the rows are the same, so none is repaired");
    cluster_elapse_ms(c, 5000);
    struct node_stats before = totals(c);
    cluster_expect_true(c, before.leaves_mended == 1, "the leaf was set right");
    cluster_expect_true(c, cluster_repair(c) == 0, "there is nothing to repair");
    cluster_elapse_ms(c, 5000);
    struct node_stats after = totals(c);
    cluster_expect_true(c, after.leaves_mended == 1, "and nothing more to set right");
    cluster_crash(c, 2);
    cluster_restart(c, 2);
    cluster_await_up(c, 1);
    cluster_expect_true(c, cluster_repair(c) == 0, "nor after a new start");
}

/* Writes without a pause, each second an exchange of every pair. */
void scenario_tree_moves_under_exchange(struct cluster *c) {
    struct world_conf conf;
    assert(c == NULL);
    cluster_conf(&conf, 5);
    conf.node.trace = false;
    conf.check_every = 64;
    conf.network.delay_mean_us = 2000;
    conf.disk.commit_mean_us = 3000;
    c = cluster_make(&conf);
    cluster_form(c);
    cluster_set(c, 1, "first", "x");
    turn_on(c, 1000);
    struct op *last[16] = {0};
    unsigned acknowledged = 0;
    for (unsigned i = 0; i < 6000; i++) {
        char key[32], value[32];
        struct op **op = &last[i % 16];
        if (*op != NULL) {
            cluster_await(c, *op);
            acknowledged += (*op)->err == RD_OK;
        }
        snprintf(key, sizeof key, "t%u", i % 7 == 0 ? i % 5 : i * 31 % 1500);
        snprintf(value, sizeof value, "v%u", i);
        *op = cluster_set_later(c, 1 + i % 5, key, value);
        if (i % 300 == 0) {
            for (uint32_t n = 0; n < 5; n++) {
                node_repair(world_node(cluster_world(c), n), UINT32_MAX);
            }
        }
    }
    cluster_expect_true(c, acknowledged > 5900, "the writes went on");
    cluster_elapse_ms(c, 5000);
    struct node_stats stats = totals(c);
    cluster_expect_true(c, stats.antientropy_exchanges >= 100, "there were exchanges");
    cluster_expect_true(c, stats.antientropy_keys_repaired == 0, "nothing was repaired");
    cluster_expect_true(c, stats.leaves_mended == 0, "no tree was doubted without a reason");
    cluster_expect_true(c, cluster_repair(c) == 0, "nor is there anything to repair");
    cluster_stop(&c);
}

/* What one round between three nodes with `rows` keys, `differing` of which one of them has lost, moves. */
static uint64_t cost(unsigned rows, unsigned differing, uint64_t *messages) {
    struct world_conf conf;
    cluster_conf(&conf, 3);
    conf.node.trace = false;
    conf.check_every = 0;
    conf.node.partitions = 64;
    struct cluster *c = cluster_make(&conf);
    cluster_form(c);
    struct op *last[64] = {0};
    for (unsigned i = 0; i < rows; i++) {
        char key[32];
        if (last[i % 64] != NULL) {
            cluster_await(c, last[i % 64]);
        }
        snprintf(key, sizeof key, "c%u", i);
        last[i % 64] = cluster_set_later(c, 1 + i % 3, key, "v");
    }
    cluster_elapse_ms(c, 1000);
    for (unsigned i = 0; i < differing; i++) {
        char key[32];
        snprintf(key, sizeof key, "c%u", i * (rows / differing));
        cluster_erase(c, 2, key);
    }
    struct node_stats before = totals(c);
    node_repair(world_node(cluster_world(c), 0), UINT32_MAX);
    cluster_elapse_ms(c, 30000);
    struct node_stats after = totals(c);
    cluster_expect_true(
        c, after.antientropy_keys_repaired - before.antientropy_keys_repaired == differing,
        "all that was lost is there again");
    *messages = after.antientropy_messages - before.antientropy_messages;
    cluster_stop(&c);
    return after.antientropy_bytes - before.antientropy_bytes;
}

void scenario_cost_of_exchange(struct cluster *c) {
    static const unsigned rows[] = {500, 4000}, differing[] = {0, 1, 20};
    uint64_t bytes[2][3], messages[2][3];
    assert(c == NULL);
    (void)c;
    for (unsigned m = 0; m < 2; m++) {
        for (unsigned k = 0; k < 3; k++) {
            bytes[m][k] = cost(rows[m], differing[k], &messages[m][k]);
        }
        assert(messages[m][0] == 4); /* two pairs: one question, one answer */
        for (unsigned k = 1; k < 3; k++) {
            assert(bytes[m][k] < bytes[m][0] + differing[k] * 1500);
            assert(messages[m][k] < messages[m][0] + differing[k] * 8 + 1);
        }
    }
    assert(bytes[0][0] == bytes[1][0]); /* whatever the rows, if none differs */
}

/* n3 has missed much, and each second all its connections break. */
void scenario_cursor_restart(struct cluster *c) {
    struct world_conf conf;
    enum { ROWS = 3000 };
    assert(c == NULL);
    cluster_conf(&conf, 3);
    conf.node.hinted_handoff = false;
    conf.node.trace = false;
    conf.check_every = 64;
    c = cluster_make(&conf);
    cluster_form(c);
    cluster_set(c, 1, "first", "x");
    cluster_isolate(c, 3);
    struct op *last[64] = {0};
    for (unsigned i = 0; i < ROWS; i++) {
        char key[32];
        if (last[i % 64] != NULL) {
            cluster_await(c, last[i % 64]);
        }
        snprintf(key, sizeof key, "r%u", i);
        last[i % 64] = cluster_set_later(c, 1 + i % 2, key, "v");
    }
    cluster_heal_all(c);
    turn_on(c, 1000);
    unsigned seconds = 0;
    while (seconds < 120 && totals(c).antientropy_keys_repaired < ROWS) {
        cluster_elapse_ms(c, 900);
        cluster_isolate(c, 3);
        cluster_elapse_ms(c, 100);
        cluster_heal_all(c);
        seconds++;
    }
    cluster_expect_true(c, seconds < 120, "it is refilled between the cuts");
    cluster_elapse_ms(c, 10000);
    cluster_expect_true(c, cluster_repair(c) == 0, "and nothing is left");
    cluster_stop(&c);
}
