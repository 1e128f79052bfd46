/* Scenarios: what was deleted or has expired is forgotten, and does not return. The homes of the story's key are n1 n2 n3; n4 and n5 are
 * fallbacks. Deletions need not be remembered for any time: what holds them is the proof alone. */
#include "sim/scenario.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mem.h"
#include "store/store_mem.h"

static const unsigned n123[] = {1, 2, 3};

static struct node_stats totals(struct cluster *c) {
    struct node_stats stats;
    world_stats(cluster_world(c), &stats);
    return stats;
}

/* A cluster that is born and forgets at once, and a key at n1 n2 n3. */
static struct cluster *begin_with(struct world_conf *conf, char key[32]) {
    conf->node.tombstone_grace_ms = 0;
    conf->node.trace = false;
    struct cluster *c = cluster_make(conf);
    cluster_form(c);
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, "first", "v");
    cluster_elapse_ms(c, 100);
    return c;
}

static struct cluster *begin_checked(unsigned nodes, char key[32], uint32_t check_every) {
    struct world_conf conf;
    cluster_conf(&conf, nodes);
    conf.check_every = check_every;
    return begin_with(&conf, key);
}

static struct cluster *begin(unsigned nodes, char key[32]) {
    return begin_checked(nodes, key, 1);
}

static void expect_homes(struct cluster *c, const char *key, const char *text) {
    for (unsigned node = 1; node <= 3; node++) {
        cluster_expect_stored(c, node, key, text);
    }
}

static void count_row(void *arg, enum store_space space, const struct store_row *row) {
    (void)row;
    *(uint64_t *)arg += space == STORE_OBJECTS || space == STORE_HINTS;
}

/* Rows of objects and hints, and leaves that are not empty, on all disks. */
static uint64_t traces_left(struct cluster *c) {
    uint64_t left = 0;
    size_t leaves = (size_t)SLOT_COUNT * STORE_LEAVES_PER_SLOT;
    uint64_t *leaf = mem_zero(leaves * sizeof *leaf);
    for (uint32_t i = 0; i < world_nodes(cluster_world(c)); i++) {
        struct store *store = world_disk(cluster_world(c), i)->store;
        store_mem_each(store, count_row, &left);
        store_leaves(store, 0, SLOT_COUNT - 1, leaf);
        for (size_t k = 0; k < leaves; k++) {
            left += leaf[k] != 0;
        }
    }
    free(leaf);
    return left;
}

/* Deletes what the story began with, and expects that nothing is left of anything. */
static void expect_forgotten(struct cluster *c) {
    cluster_del(c, 1, "first");
    for (unsigned i = 0; i < 60 && traces_left(c) > 0; i++) {
        cluster_elapse_ms(c, 1000);
    }
    cluster_expect_true(c, traces_left(c) == 0, "no row, no hint, no leaf is left anywhere");
    for (unsigned node = 1; node <= world_nodes(cluster_world(c)); node++) {
        struct node_stats stats;
        node_stats(world_node(cluster_world(c), node - 1), &stats);
        cluster_expect_true(c, stats.tombstones == 0, "and no tombstone is counted");
    }
}

/* All is well again, all hints have found their homes, and all was compared. */
static void heal(struct cluster *c) {
    cluster_heal_all(c);
    for (unsigned node = 1; node <= world_nodes(cluster_world(c)); node++) {
        cluster_await_up(c, node);
    }
    for (unsigned i = 0; i < 600 && totals(c).hints_pending > 0; i++) {
        cluster_elapse_ms(c, 50);
    }
    cluster_repair(c);
}

void scenario_deleted_leaves_nothing(struct cluster *c) {
    char key[32];
    assert(c == NULL);
    c = begin(5, key);
    for (unsigned i = 0; i < 30; i++) {
        char name[32];
        snprintf(name, sizeof name, "d%u", i);
        cluster_set(c, 1 + i % 5, name, "v");
        cluster_del(c, 1 + (i + 1) % 5, name);
    }
    cluster_elapse_ms(c, 1000);
    cluster_expect_true(c, totals(c).tombstones == 90, "thirty tombstones on three homes each");
    expect_forgotten(c);
    cluster_expect_true(c, totals(c).tombstones_reaped == 31, "each was forgotten once");
    cluster_set(c, 2, "d7", "again");
    cluster_elapse_ms(c, 10000);
    cluster_expect_everywhere(c, "d7", "again");
    cluster_stop(&c);
}

/* n3 has the value and is away for long while the others delete it. */
void scenario_tombstone_vs_long_partition(struct cluster *c) {
    char key[32];
    assert(c == NULL);
    c = begin(4, key);
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 100);
    cluster_isolate(c, 3);
    cluster_del(c, 1, key);
    cluster_elapse_ms(c, 300000);
    cluster_expect_stored(c, 1, key, "{}");
    cluster_expect_stored(c, 2, key, "{}");
    cluster_expect_stored(c, 3, key, "{v1}");
    heal(c);
    cluster_expect_everywhere(c, key, "");
    expect_forgotten(c);
    cluster_expect_everywhere(c, key, "");
    cluster_stop(&c);
}

/* A fallback keeps the old value for n2 and is cut off; all homes have the deletion. */
void scenario_hint_after_reap(struct cluster *c) {
    char key[32];
    assert(c == NULL);
    c = begin(4, key);
    cluster_isolate(c, 2);
    cluster_set(c, 1, key, "v1"); /* n4 stands in for n2 */
    cluster_elapse_ms(c, 100);
    cluster_isolate(c, 4);
    cluster_heal(c, 2, 1);
    cluster_heal(c, 2, 3);
    cluster_elapse_ms(c, 8000); /* they see each other again */
    cluster_del(c, 1, key);
    cluster_elapse_ms(c, 60000);
    expect_homes(c, key, "{}"); /* n4 might know better */
    heal(c);
    cluster_expect_everywhere(c, key, "");
    expect_forgotten(c);
    cluster_expect_everywhere(c, key, "");
    cluster_stop(&c);
}

/* The tombstone waits at a fallback while the key is deleted, and written anew. */
void scenario_doomstone(struct cluster *c) {
    char key[32];
    assert(c == NULL);
    c = begin(4, key);
    cluster_isolate(c, 3);
    cluster_set(c, 1, key, "old");
    cluster_del(c, 1, key); /* n4 keeps it for n3 */
    cluster_elapse_ms(c, 100);
    cluster_isolate(c, 4);
    cluster_heal(c, 3, 1);
    cluster_heal(c, 3, 2);
    cluster_elapse_ms(c, 8000);
    cluster_repair(c);
    expect_homes(c, key, "{}");
    cluster_elapse_ms(c, 60000);
    expect_homes(c, key, "{}");
    cluster_set(c, 1, key, "new");
    cluster_elapse_ms(c, 1000);
    heal(c);
    cluster_elapse_ms(c, 60000);
    cluster_expect_everywhere(c, key, "new");
    expect_homes(c, key, "{new}");
    cluster_stop(&c);
}

/* One home is down from before the deletion until after the key is written anew. */
void scenario_doomstone_crash(struct cluster *c) {
    char key[32];
    assert(c == NULL);
    c = begin(3, key);
    cluster_set(c, 1, key, "old");
    cluster_elapse_ms(c, 100);
    cluster_crash(c, 3);
    cluster_del(c, 1, key);
    cluster_elapse_ms(c, 60000);
    cluster_expect_stored(c, 1, key, "{}");
    cluster_set(c, 2, key, "new");
    cluster_elapse_ms(c, 1000);
    cluster_restart(c, 3);
    heal(c);
    cluster_elapse_ms(c, 30000);
    cluster_expect_everywhere(c, key, "new");
    expect_homes(c, key, "{new}");
    cluster_stop(&c);
}

/* The deletion is late at n3. Reads see it, and bring it there; nobody forgets it before. */
void scenario_read_repair_vs_delete(struct cluster *c) {
    char key[32];
    assert(c == NULL);
    c = begin(3, key);
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 100);
    cluster_keep(c, 1, 3, WIRE_WRITE, 1);
    cluster_del(c, 1, key);
    cluster_expect_stored(c, 3, key, "{v1}");
    cluster_lose(c, 1, 3, WIRE_REAP_WATCH, 100);
    cluster_lose(c, 1, 3, WIRE_WRITE, 1000); /* only what n2 sends repairs n3 */
    for (unsigned i = 0; i < 50; i++) {
        struct op *read = cluster_await(c, cluster_get_r_later(c, 1 + i % 2, key, 3));
        cluster_expect_true(c, read->err == RD_OK && read->object.count == 0,
                            "all three read together show nothing");
        cluster_elapse_ms(c, 100);
    }
    expect_homes(c, key, "{}");
    cluster_expect_true(c, totals(c).tombstones_reaped == 0, "n3 has not been asked");
    cluster_lose(c, 1, 3, WIRE_REAP_WATCH, 0);
    cluster_lose(c, 1, 3, WIRE_WRITE, 0);
    cluster_release(c);
    cluster_elapse_ms(c, 1000);
    cluster_expect_everywhere(c, key, "");
    expect_forgotten(c);
    cluster_stop(&c);
}

/* A write is held up on its way from n2 to n3 for half a minute, while the key is deleted everywhere. No hint tells of it, all homes agree, n1, which drives
 * the round, reaches everybody: only the fence that is missing between those two holds it back. */
void scenario_late_frame_vs_reap(struct cluster *c) {
    struct world_conf conf;
    char key[32];
    assert(c == NULL);
    cluster_conf(&conf, 3);
    conf.node.hinted_handoff = false;
    conf.node.failure_timeout_ms = 60000; /* else n3 drops the link, and what is on it */
    c = begin_with(&conf, key);
    struct network *network = world_network(cluster_world(c));
    network_set_path(network, 1, 2, PATH_HELD, world_now_us(cluster_world(c)));
    cluster_set(c, 2, key, "v1");
    cluster_del(c, 1, key);
    cluster_elapse_ms(c, 10);
    expect_homes(c, key, "{}");
    cluster_elapse_ms(c, 30000);
    expect_homes(c, key, "{}");
    network_set_path(network, 1, 2, PATH_OPEN, world_now_us(cluster_world(c)));
    cluster_elapse_ms(c, 100);
    cluster_expect_everywhere(c, key, "");
    heal(c);
    expect_forgotten(c);
    cluster_expect_everywhere(c, key, "");
    cluster_stop(&c);
}

/* ---- expiry ----------------------------------------------------------------------------------------- */

static struct op *set_expiring(struct cluster *c, unsigned node, const char *key,
                               uint64_t expires_ms) {
    struct op request = {.kind = CLIENT_WRITE,
                         .node = node - 1,
                         .key = mem_blob(key, strlen(key)),
                         .value = mem_blob("x", 1),
                         .expires_ms = expires_ms};
    struct op *op = cluster_ask(c, &request);
    blob_unref(request.key);
    blob_unref(request.value);
    return op;
}

static void set_grace(struct cluster *c, uint64_t grace_ms) {
    for (uint32_t i = 0; i < world_nodes(cluster_world(c)); i++) {
        node_set_tombstone_grace(world_node(cluster_world(c), i), grace_ms);
    }
}

/* Writes `count` keys that expire together, at a time by n3's clock. Each had a value before that does not expire. */
static void write_expiring(struct cluster *c, unsigned count, uint64_t expires_ms) {
    struct op *last[32] = {0};
    for (unsigned i = 0; i < 2 * count; i++) {
        char name[32];
        struct op **op = &last[i % 32];
        if (*op != NULL) {
            cluster_expect_outcome(c, *op, RD_OK);
        }
        snprintf(name, sizeof name, "e%u", i % count);
        *op = i < count ? cluster_set_later(c, 1 + i % 3, name, "for ever")
                        : set_expiring(c, 1 + i % 3, name, expires_ms);
    }
    cluster_elapse_ms(c, 1000);
}

static uint64_t wall_ms(struct cluster *c, unsigned node) {
    return world_instant(cluster_world(c), node - 1).wall_us / 1000;
}

/* Clocks wrong by a minute, either way; a node that is away when the keys expire, and comes back. */
void scenario_ttl_divergence(struct cluster *c) {
    enum { KEYS = 200 };
    char key[32];
    assert(c == NULL);
    c = begin(4, key);
    set_grace(c, 1000000000);
    cluster_skew_ms(c, 1, 60000);
    cluster_skew_ms(c, 2, -60000);
    uint64_t expires_ms = wall_ms(c, 3) + 90000;
    write_expiring(c, KEYS, expires_ms);
    cluster_isolate(c, 4);
    for (unsigned i = 0; i < 220; i++) { /* until it has expired by n2's clock, too */
        char name[32];
        snprintf(name, sizeof name, "e%u", i % KEYS);
        struct op *read = cluster_await(c, cluster_get_r_later(c, 1 + i % 3, name, 2));
        cluster_expect_true(c, read->err == RD_OK, "reads go on");
        cluster_elapse_ms(c, 1000);
    }
    struct node_stats before = totals(c);
    heal(c);
    cluster_expect_true(c, cluster_repair(c) == 0, "nothing is repaired because it has expired");
    struct node_stats after = totals(c);
    cluster_expect_true(c, after.antientropy_keys_repaired == before.antientropy_keys_repaired,
                        "nor was it when the node came back");
    set_grace(c, 0);
    expect_forgotten(c);
    cluster_expect_everywhere(c, "e7", "");
    cluster_stop(&c);
}

/* n2 dies after each of its writes, so the vector of the key is crowded with former processes. The value has expired by the clock of n1, who drives, and
 * by nobody else's. */
void scenario_expired_here_alive_there(struct cluster *c) {
    enum { LIVES = 8, HOUR_MS = 3600000 };
    char key[32];
    assert(c == NULL);
    c = begin(3, key);
    set_grace(c, 1000000000);
    for (unsigned i = 0; i < LIVES; i++) {
        cluster_set(c, 2, key, "former");
        cluster_crash(c, 2);
        cluster_restart(c, 2);
        cluster_await_up(c, 2);
    }
    cluster_skew_ms(c, 1, 2 * HOUR_MS);
    uint64_t expires_ms = wall_ms(c, 2) + HOUR_MS;
    cluster_expect_outcome(c, set_expiring(c, 2, key, expires_ms), RD_OK);
    heal(c);
    set_grace(c, 0);
    cluster_elapse_ms(c, 30000);
    expect_homes(c, key, "{x}");
    cluster_expect_true(c, totals(c).tombstones_reaped == 0, "two homes can still read it");
    cluster_expect_true(c, totals(c).vectors_pruned == 1,
                        "but its vector needs no clock to become small");
    cluster_skew_ms(c, 2, 2 * HOUR_MS);
    cluster_skew_ms(c, 3, 2 * HOUR_MS);
    expect_forgotten(c);
    cluster_stop(&c);
}

/* Many keys expire in one millisecond: nothing is sent then, and forgetting them costs few messages, at a bounded pace. */
void scenario_million_expiries(struct cluster *c) {
    enum { KEYS = 4000 };
    char key[32];
    assert(c == NULL);
    c = begin_checked(3, key, 512);
    uint64_t expires_ms = wall_ms(c, 1) + 20000;
    set_grace(c, 30000);
    write_expiring(c, KEYS, expires_ms);
    struct node_stats start = totals(c);
    while (wall_ms(c, 1) < expires_ms + 25000) {
        cluster_elapse_ms(c, 1000);
    }
    struct node_stats expired = totals(c);
    cluster_expect_true(c, expired.reap_messages == start.reap_messages,
                        "while the deletion must be remembered nobody says anything");
    cluster_expect_everywhere(c, "e3", "");
    unsigned seconds = 0;
    for (; seconds < 120 && totals(c).tombstones_reaped < KEYS; seconds++) {
        cluster_elapse_ms(c, 1000);
    }
    struct node_stats after = totals(c);
    cluster_expect_true(c, after.tombstones_reaped == KEYS, "all are forgotten");
    cluster_expect_true(c, seconds >= 4, "but not all at once");
    cluster_expect_true(c, after.reap_messages - start.reap_messages < KEYS / 20,
                        "by far fewer messages than keys");
    expect_forgotten(c);
    cluster_stop(&c);
}
