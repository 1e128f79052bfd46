/* Scenarios: disks that come back empty. The node takes the places of the one that it was, under a name of its own, and counts for nothing
 * there until it has been filled (replication/replace.h). */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "sim/mem.h"
#include "sim/scenario.h"

static const unsigned n123[] = {1, 2, 3};

#define KEYS 60

static void key_name(unsigned i, char key[16]) {
    snprintf(key, 16, "w%u", i);
}

static void write_all(struct cluster *c, unsigned node, const char *value) {
    char key[16];
    for (unsigned i = 0; i < KEYS; i++) {
        key_name(i, key);
        cluster_set(c, node, key, value);
    }
    cluster_elapse_ms(c, 200);
}

/* How `node` describes node `other`. */
static enum member_status status_of(struct cluster *c, unsigned node, unsigned other) {
    struct world *world = cluster_world(c);
    const struct node *at = world_node(world, node - 1);
    struct node_id id = node_self(world_node(world, other - 1));
    struct member_view view;
    for (size_t i = 0; i < node_member_count(at); i++) {
        node_member(at, i, world_instant(world, node - 1), &view);
        if (node_id_compare(&view.id, &id) == 0) {
            return view.status;
        }
    }
    return MEMBER_REMOVED; /* not known */
}

static bool is_running(struct cluster *c, unsigned node) {
    return world_state(cluster_world(c), node - 1) == NODE_RUNNING;
}

/* True if all running nodes describe `other` so. */
static bool all_say(struct cluster *c, unsigned other, enum member_status status) {
    for (unsigned node = 1; node <= world_nodes(cluster_world(c)); node++) {
        if (is_running(c, node) && status_of(c, node, other) != status) {
            return false;
        }
    }
    return true;
}

static void await_status(struct cluster *c, unsigned other, enum member_status status) {
    for (unsigned tick = 0; !all_say(c, other, status); tick++) {
        cluster_expect_true(c, tick < 1200, "within a minute all see how the wiped node stands");
        cluster_elapse_ms(c, 50);
    }
}

static void come_back_empty(struct cluster *c, unsigned node) {
    cluster_crash(c, node);
    cluster_wipe(c, node);
    cluster_restart(c, node);
}

static struct op *write_with(struct cluster *c, unsigned node, const char *key, uint32_t w) {
    struct op request = {.kind = CLIENT_WRITE,
                         .node = node - 1,
                         .key = mem_blob(key, strlen(key)),
                         .value = mem_blob("x", 1),
                         .w = w};
    struct op *op = cluster_ask(c, &request);
    blob_unref(request.key);
    blob_unref(request.value);
    return cluster_await(c, op);
}

static struct op *read_with(struct cluster *c, unsigned node, const char *key, uint32_t r) {
    return cluster_await(c, cluster_get_r_later(c, node, key, r));
}

/* Everything is where it belongs, and nothing is left to do. */
static void expect_whole(struct cluster *c, const char *value) {
    char key[16];
    for (unsigned i = 0; i < KEYS; i++) {
        key_name(i, key);
        struct op *read = read_with(c, 1 + i % world_nodes(cluster_world(c)), key, 3);
        cluster_expect_true(
            c,
            read->err == RD_OK && read->stand_ins == 0 && read->object.count == 1 &&
                read->object.siblings[0].value->len == strlen(value) &&
                memcmp(read->object.siblings[0].value->bytes, value, strlen(value)) == 0,
            "all homes together have the value");
    }
    cluster_expect_true(c, cluster_repair(c) == 0, "and nothing differs");
}

/* ---- wiped_takes_its_places ------------------------------------------------------------------ */

/* Nobody else's places move, a hint for the old name reaches the new one, and writes go on meanwhile. */
void scenario_wiped_takes_its_places(struct cluster *c) {
    unsigned before[KEYS][3], after[3];
    char key[16];
    write_all(c, 1, "v1");
    for (unsigned i = 0; i < KEYS; i++) {
        key_name(i, key);
        cluster_homes(c, key, before[i], 3);
    }
    cluster_crash(c, 3);
    write_all(c, 1, "v2");
    cluster_wipe(c, 3);
    cluster_restart(c, 3);
    await_status(c, 3, MEMBER_JOINING);
    cluster_set(c, 3, "w0", "v3");
    cluster_set(c, 2, "w0", "v2");
    await_status(c, 3, MEMBER_MEMBER);
    for (unsigned i = 0; i < KEYS; i++) {
        key_name(i, key);
        cluster_homes(c, key, after, 3);
        cluster_expect_true(c, memcmp(before[i], after, sizeof after) == 0, "no place has moved");
        for (unsigned h = 0; h < 3; h++) {
            if (after[h] == 3) {
                cluster_expect_stored(c, 3, key, "{v2}");
            }
        }
    }
    cluster_elapse_ms(c, 5000);
    struct node_stats stats;
    for (unsigned node = 0; node < world_nodes(cluster_world(c)); node++) {
        node_stats(world_node(cluster_world(c), node), &stats);
        cluster_expect_true(c, stats.hints_pending == 0 && stats.members == 6,
                            "no hint is left, and there are as many members as before");
    }
    expect_whole(c, "v2");
    cluster_crash(c, 3); /* its name and its places are on its disk */
    cluster_restart(c, 3);
    cluster_await_up(c, 3);
    await_status(c, 3, MEMBER_MEMBER);
    expect_whole(c, "v2");
}

/* ---- wiped_beside_a_cut ---------------------------------------------------------------------- */

/* While another replica is cut off nobody can know how many copies are left: the node stays outside. */
void scenario_wiped_beside_a_cut(struct cluster *c) {
    write_all(c, 1, "v1");
    cluster_isolate(c, 2);
    write_all(c, 1, "v2");
    come_back_empty(c, 3);
    cluster_elapse_ms(c, 15000);
    cluster_expect_true(c, status_of(c, 1, 3) == MEMBER_REMOVED, "it is not let in");
    struct op *refused = cluster_await(c, cluster_set_later(c, 3, "w1", "lost"));
    cluster_expect_true(c, refused->err == RD_ECLUSTERDOWN, "it does not serve");
    cluster_heal_all(c);
    await_status(c, 3, MEMBER_MEMBER);
    cluster_elapse_ms(c, 5000);
    expect_whole(c, "v2");
}

/* ---- two_wiped_one_at_a_time ----------------------------------------------------------------- */

/* Two of four replicas are lost, and two are enough for W: both come back, the second when the first has been filled. */
void scenario_two_wiped_one_at_a_time(struct cluster *c) {
    struct world_conf conf;
    assert(c == NULL);
    cluster_conf(&conf, 5);
    conf.node.n = 4;
    conf.node.r = 3;
    c = cluster_make(&conf);
    cluster_form(c);
    write_all(c, 1, "v1");
    cluster_crash(c, 3);
    cluster_crash(c, 4);
    cluster_wipe(c, 3);
    cluster_wipe(c, 4);
    cluster_restart(c, 3);
    cluster_restart(c, 4);
    bool both = false;
    for (unsigned tick = 0; !all_say(c, 3, MEMBER_MEMBER) || !all_say(c, 4, MEMBER_MEMBER);
         tick++) {
        cluster_expect_true(c, tick < 2400, "within two minutes both have their places");
        both |= status_of(c, 1, 3) == MEMBER_JOINING && status_of(c, 1, 4) == MEMBER_JOINING;
        cluster_elapse_ms(c, 50);
    }
    cluster_expect_true(c, !both, "one at a time");
    cluster_elapse_ms(c, 5000);
    expect_whole(c, "v1");
    cluster_stop(&c);
}

/* ---- wiped_twice ----------------------------------------------------------------------------- */

/* The disk is lost again while it is being filled, and once more afterwards. */
void scenario_wiped_twice(struct cluster *c) {
    write_all(c, 1, "v1");
    for (unsigned times = 0; times < 3; times++) {
        come_back_empty(c, 3);
        await_status(c, 3, times == 0 ? MEMBER_JOINING : MEMBER_MEMBER);
    }
    cluster_elapse_ms(c, 5000);
    expect_whole(c, "v1");
}

/* ---- old_disk_turns_up ----------------------------------------------------------------------- */

/* The disk that was thought lost comes back, with what was true long ago: it is told so, and serves nothing. */
void scenario_old_disk_turns_up(struct cluster *c) {
    struct store_mem_image *old = NULL, *new = NULL;
    struct store *disk = world_disk(cluster_world(c), 2)->store;
    write_all(c, 1, "v1");
    cluster_crash(c, 3);
    mem_must(store_mem_snapshot(disk, &old));
    cluster_wipe(c, 3);
    cluster_restart(c, 3);
    await_status(c, 3, MEMBER_MEMBER);
    write_all(c, 1, "v2");
    cluster_crash(c, 3);
    mem_must(store_mem_snapshot(disk, &new));
    mem_must(store_mem_restore(disk, old));
    cluster_restart(c, 3);
    cluster_elapse_ms(c, 5000);
    for (unsigned starts = 0; starts < 2; starts++) {
        struct op *op = cluster_await(c, cluster_set_later(c, 3, "w1", "zombie"));
        cluster_expect_true(c, op->err == RD_EREMOVED, "it serves nothing");
        op = cluster_await(c, cluster_get_later(c, 3, "w1"));
        cluster_expect_true(c, op->err == RD_EREMOVED, "not even reads");
        cluster_crash(c, 3);
        cluster_isolate(c, 3); /* it has been told, and does not forget it */
        cluster_restart(c, 3);
        cluster_elapse_ms(c, 1000);
    }
    cluster_crash(c, 3);
    cluster_heal_all(c);
    mem_must(store_mem_restore(disk, new));
    store_mem_image_free(&old);
    store_mem_image_free(&new);
    cluster_restart(c, 3);
    await_status(c, 3, MEMBER_MEMBER);
    cluster_elapse_ms(c, 5000);
    expect_whole(c, "v2");
}

/* ---- counts_for_nothing_until_filled --------------------------------------------------------- */

/* n3 is kept from being filled: what it asks for gets lost. */
static struct cluster *begin_unfilled(bool sloppy) {
    struct world_conf conf;
    cluster_conf(&conf, 3);
    conf.node.sloppy_quorum = sloppy;
    struct cluster *c = cluster_make(&conf);
    cluster_form(c);
    write_all(c, 1, "v1");
    cluster_lose(c, 3, 1, WIRE_ROOTS, UINT32_MAX);
    cluster_lose(c, 3, 2, WIRE_ROOTS, UINT32_MAX);
    cluster_lose(c, 1, 3, WIRE_ROOTS, UINT32_MAX);
    cluster_lose(c, 2, 3, WIRE_ROOTS, UINT32_MAX);
    come_back_empty(c, 3);
    await_status(c, 3, MEMBER_JOINING);
    cluster_elapse_ms(c, 10000);
    return c;
}

static void expect_read(struct cluster *c, unsigned node, uint32_t r, uint32_t stand_ins) {
    struct op *read = read_with(c, node, "w7", r);
    cluster_expect_true(
        c, read->err == RD_OK && read->stand_ins == stand_ins && read->object.count == 1,
        "a read finds the value");
}

void scenario_counts_for_nothing_until_filled(struct cluster *c) {
    assert(c == NULL);
    c = begin_unfilled(false);
    for (unsigned node = 1; node <= 3; node++) {
        cluster_expect_true(c, write_with(c, node, "w8", 3)->err == RD_ENOQUORUM, "not for W");
        cluster_expect_true(c, read_with(c, node, "w7", 3)->err == RD_ENOQUORUM, "not for R");
        cluster_expect_true(c, write_with(c, node, "w8", 2)->err == RD_OK, "the others do");
        expect_read(c, node, 1, 0);
        expect_read(c, node, 2, 0);
    }
    cluster_crash(c, 2);
    cluster_elapse_ms(c, 100);
    for (unsigned node = 1; node <= 3; node += 2) {
        cluster_expect_true(c, write_with(c, node, "w8", 2)->err != RD_OK, "one is left for W");
        cluster_expect_true(c, read_with(c, node, "w7", 2)->err != RD_OK, "and one for R");
        expect_read(c, node, 1, 0);
    }
    cluster_stop(&c);

    c = begin_unfilled(true); /* as a fallback it counts, where fallbacks do */
    struct op *op = write_with(c, 1, "w8", 3);
    cluster_expect_true(c, op->err == RD_OK && op->stand_ins == 1, "it stands in for itself");
    expect_read(c, 3, 3, 1);
    expect_read(c, 1, 2, 0);
    cluster_crash(c, 1);
    cluster_crash(c, 2);
    cluster_elapse_ms(c, 100);
    op = read_with(c, 3, "w9", 1);
    cluster_expect_true(c, op->err == RD_ENOQUORUM, "alone it cannot say that there is nothing");
    cluster_expect_true(c, write_with(c, 3, "w9", 1)->err == RD_OK, "but takes a write with W=1");
    cluster_release(c); /* no frame is lost any more */
    cluster_restart(c, 1);
    cluster_restart(c, 2);
    await_status(c, 3, MEMBER_MEMBER);
    op = write_with(c, 1, "w8", 3);
    cluster_expect_true(c, op->err == RD_OK && op->stand_ins == 0, "filled it is a home");
    cluster_stop(&c);
}

/* ---- join_from_stale_source ------------------------------------------------------------------ */

/* A write that n1 missed was acknowledged by n2 and n3; n3's disk is lost, and only n1 can be asked: that is not enough. */
void scenario_join_from_stale_source(struct cluster *c) {
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "old");
    cluster_elapse_ms(c, 100);
    cluster_isolate(c, 1);
    cluster_set(c, 2, key, "new");
    cluster_crash(c, 3);
    cluster_wipe(c, 3);
    for (unsigned node = 4; node <= 6; node++) { /* whoever keeps a hint for n1 */
        cluster_crash(c, node);
    }
    cluster_heal_all(c);
    cluster_cut(c, 2, 3);
    cluster_lose(c, 1, 2, WIRE_ROOTS, UINT32_MAX);
    cluster_lose(c, 2, 1, WIRE_ROOTS, UINT32_MAX);
    cluster_lose(c, 2, 1, WIRE_WRITE, UINT32_MAX);
    cluster_restart(c, 3);
    for (unsigned node = 4; node <= 6; node++) {
        cluster_silence(c, node, 1);
        cluster_restart(c, node);
    }
    cluster_elapse_ms(c, 20000);
    cluster_expect_true(c, status_of(c, 1, 3) != MEMBER_MEMBER, "one source is not enough");
    cluster_release(c);
    cluster_heal_all(c);
    await_status(c, 3, MEMBER_MEMBER);
    cluster_expect_stored(c, 3, key, "{new}");
}

/* ---- late_acknowledgement -------------------------------------------------------------------- */

/* Finds a key of which n1 is a home and `without` is none. */
static void key_without(struct cluster *c, unsigned without, char key[32]) {
    for (unsigned number = 1;; number++) {
        unsigned homes[5], first = 0;
        bool found = false;
        snprintf(key, 32, "k%u", number);
        for (size_t i = 0; i < cluster_homes(c, key, homes, 5); i++) {
            found |= homes[i] == without;
            first |= homes[i] == 1;
        }
        if (first && !found) {
            return;
        }
    }
}

/* n1 coordinates a write for which it waits: n5 has acknowledged it, and what went to n2 is on its way. n5's disk is lost, and it is filled
 * from n2, n3 and n4, which have nothing. When the write reaches n2 at last, n2 must not make it an acknowledged one. */
void scenario_late_acknowledgement(struct cluster *c) {
    struct world_conf conf;
    char key[32], other[32];
    assert(c == NULL);
    cluster_conf(&conf, 6);
    conf.node.n = 5;
    conf.node.r = conf.node.w = 3;
    conf.node.request_timeout_ms = 60000;
    conf.node.sloppy_quorum = false;
    c = cluster_make(&conf);
    cluster_form(c);
    key_without(c, 5, other);
    cluster_set(c, 1, other, "first"); /* the cluster is born, and n5 has no rows */
    key_without(c, 6, key);
    cluster_elapse_ms(c, 100);
    cluster_keep(c, 1, 2, WIRE_WRITE, 1);
    cluster_lose(c, 1, 3, WIRE_WRITE, 1);
    cluster_lose(c, 1, 4, WIRE_WRITE, 1);
    struct op *late = cluster_set_later(c, 1, key, "v2");
    cluster_elapse_ms(c, 50);
    cluster_expect_stored(c, 5, key, "{v2}");
    for (unsigned node = 3; node <= 6; node++) { /* n1 does not hear of what happens now */
        cluster_cut(c, 1, node);
    }
    cluster_lose(c, 2, 1, WIRE_BORN, UINT32_MAX);
    come_back_empty(c, 5);
    while (status_of(c, 2, 5) != MEMBER_MEMBER) {
        cluster_elapse_ms(c, 50);
        cluster_expect_true(c, !late->answered, "the write waits");
    }
    cluster_release(c);
    cluster_elapse_ms(c, 500);
    bool acknowledged = late->answered && late->err == RD_OK;
    struct op *read = read_with(c, 3, key, 3);
    cluster_expect_true(c, read->err == RD_OK && !acknowledged,
                        "nobody is told that a write is safe which a quorum does not see");
    cluster_heal_all(c);
    cluster_await(c, late);
    cluster_stop(&c);
}

/* ---- prune_false_concurrency ----------------------------------------------------------------- */

#define ROUNDS 20

/* The homes of a key are replaced again and again, and one writer goes on: no vector that was shortened makes siblings, and none stays long. */
void scenario_prune_false_concurrency(struct cluster *c) {
    struct world_conf conf;
    char key[32], value[16];
    assert(c == NULL);
    cluster_conf(&conf, 4);
    conf.node.tombstone_grace_ms = 0;
    conf.node.trace = false;
    c = cluster_make(&conf);
    cluster_form(c);
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "v");
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned wiped = 1 + i % 3, writer = 1 + (i + 1) % 3;
        come_back_empty(c, wiped);
        for (unsigned k = 0; k < 3; k++) {
            snprintf(value, sizeof value, "v%u.%u", i, k);
            cluster_dynset(c, writer, key, value, cluster_get(c, writer, key));
            cluster_elapse_ms(c, 100);
        }
        await_status(c, wiped, MEMBER_MEMBER);
        cluster_dynset(c, wiped, key, value, cluster_get(c, wiped, key)); /* it issues dots, too */
    }
    for (unsigned seconds = 0; seconds < 120; seconds++) {
        struct op *read = read_with(c, 4, key, 3);
        cluster_expect_true(c, read->err == RD_OK && read->object.count == 1, "there is one value");
        if (read->object.version.count <= 6) {
            cluster_stop(&c);
            return;
        }
        cluster_elapse_ms(c, 1000);
    }
    cluster_expect_true(c, false, "the vector has two entries for each home at the most");
}
