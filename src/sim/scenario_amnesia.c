/* Scenarios: nodes that forget what they knew, and names of writes that must never come twice. */
#include <stdio.h>
#include <string.h>

#include "sim/mem.h"
#include "sim/scenario.h"

static const unsigned n123[] = {1, 2, 3};

static bool has_value(const struct op *read, const char *value) {
    for (uint32_t i = 0; i < read->object.count; i++) {
        struct buf text = {0};
        trace_text_bytes(&text, read->object.siblings[i].value->bytes,
                         read->object.siblings[i].value->len);
        mem_append(&text, "", 1);
        bool same = strcmp((const char *)buf_data(&text), value) == 0;
        buf_free(&text);
        if (same) {
            return true;
        }
    }
    return false;
}

static void expect_value(struct cluster *c, const char *key, const char *value) {
    for (unsigned node = 1; node <= 3; node++) {
        struct op *read = cluster_await(c, cluster_get_r_later(c, node, key, 3));
        cluster_expect_true(c, read->err == RD_OK && has_value(read, value), value);
        cluster_elapse_ms(c, 10);
    }
}

/* TRAPS b(1): n1 wrote three versions, loses its row, and coordinates again. */
void scenario_amnesia_local(struct cluster *c) {
    char key[32];
    cluster_key_at(c, n123, 3, key);
    struct op *seen = NULL;
    const char *values[] = {"v1", "v2", "v3"};
    for (int i = 0; i < 3; i++) {
        seen = cluster_dynset(c, 1, key, values[i], seen);
    }
    cluster_elapse_ms(c, 50);
    cluster_record(c, false);
    cluster_erase(c, 1, key);
    cluster_dynset(c, 1, key, "v4", NULL);
    cluster_elapse_ms(c, 10);
    expect_value(c, key, "v4");
    expect_value(c, key, "v3"); /* v4 was written blindly: it stays beside what was there */
}

/* n1's disk is put back to where it was many writes ago. */
void scenario_restored_backup(struct cluster *c) {
    struct world *world = cluster_world(c);
    char key[32], value[32];
    cluster_key_at(c, n123, 3, key);
    struct op *seen = NULL;
    struct store_mem_image *backup = NULL;
    for (int i = 1; i <= 50; i++) {
        snprintf(value, sizeof value, "v%d", i);
        seen = cluster_dynset(c, 1, key, value, seen);
        if (i == 10) {
            mem_must(store_mem_snapshot(world_disk(world, 0)->store, &backup));
        }
    }
    cluster_crash(c, 1);
    mem_must(store_mem_restore(world_disk(world, 0)->store, backup));
    store_mem_image_free(&backup);
    cluster_elapse_ms(c, 100);
    cluster_restart(c, 1);
    cluster_await_up(c, 1);
    cluster_await_up(c, 2);
    cluster_dynset(c, 1, key, "w1", NULL);
    cluster_dynset(c, 1, key, "w2", NULL);
    cluster_elapse_ms(c, 10);
    expect_value(c, key, "w1");
    expect_value(c, key, "w2");
    expect_value(c, key, "v50");
}

/* Each start of each node writes once, blindly: all dots differ, or a value would be missing. */
void scenario_same_actor_twice(struct cluster *c) {
    char value[32];
    char key[32];
    cluster_key_at(c, n123, 3, key);
    for (unsigned i = 0; i < 60; i++) {
        unsigned node = 1 + i % 3;
        cluster_crash(c, node);
        cluster_elapse_ms(c, 20);
        cluster_restart(c, node);
        cluster_await_up(c, node);
        snprintf(value, sizeof value, "v%u", i);
        cluster_dynset(c, node, key, value, NULL);
    }
    cluster_elapse_ms(c, 100);
    struct op *read = cluster_await(c, cluster_get_r_later(c, 1, key, 3));
    cluster_expect_true(c, read->err == RD_OK && read->object.count == 60,
                        "sixty writes, sixty siblings");
    for (uint32_t i = 1; i < read->object.count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            cluster_expect_true(c,
                                actor_compare(&read->object.siblings[i].dot.actor,
                                              &read->object.siblings[k].dot.actor) != 0,
                                "each start is an actor of its own");
        }
    }
}

void scenario_restart_storm(struct cluster *c) {
    char key[32], value[32];
    cluster_key_at(c, n123, 3, key);
    for (unsigned i = 0; i < 200; i++) {
        unsigned node = 1 + i % 3;
        snprintf(value, sizeof value, "v%u", i);
        cluster_set(c, node, key, value);
        cluster_crash_losing_unsynced(c, node);
        cluster_restart(c, node);
        cluster_await_up(c, node);
        cluster_await_up(c, 1 + node % 3);
        cluster_expect(c, 1 + node % 3, key, value);
    }
    struct op *grown = cluster_get(c, 1, key);
    cluster_expect_true(c, grown->object.version.count > 100, "each start left an entry");
    for (unsigned node = 1; node <= 3; node++) {
        node_set_tombstone_grace(world_node(cluster_world(c), node - 1), 0);
    }
    cluster_elapse_ms(c, 30000);
    struct op *pruned = cluster_get(c, 1, key);
    cluster_expect_true(c, pruned->object.version.count <= 2 * 3, "the vector is small again");
    cluster_set(c, 2, key, "last");
    cluster_elapse_ms(c, 10);
    cluster_expect_everywhere(c, key, "last");
    cluster_expect_true(c, cluster_repair(c) == 0, "and it is the same everywhere");
}
