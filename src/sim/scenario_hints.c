/* Scenarios: homes that are away, nodes that stand in for them, and hints. The homes of the story's key
 * are n1 n2 n3; n4 n5 n6 are fallbacks. */
#include "sim/scenario.h"

#include <stdio.h>
#include <string.h>

#include "replication/preflist.h"
#include "sim/mem.h"
#include "store/store_mem.h"

static const unsigned n123[] = {1, 2, 3};

static struct node_stats stats_of(struct cluster *c, unsigned node) {
    struct node_stats stats;
    node_stats(world_node(cluster_world(c), node - 1), &stats);
    return stats;
}

static uint64_t hints(struct cluster *c) {
    uint64_t sum = 0;
    for (unsigned node = 1; node <= world_nodes(cluster_world(c)); node++) {
        struct node_stats stats = stats_of(c, node);
        sum += stats.hints_pending + !stats.hints_counted + stats.requests_in_flight;
    }
    return sum;
}

/* All is well again, and all hints have found their homes. */
static void heal(struct cluster *c) {
    cluster_heal_all(c);
    for (unsigned node = 1; node <= world_nodes(cluster_world(c)); node++) {
        cluster_await_up(c, node);
    }
    for (unsigned i = 0; i < 600 && hints(c) > 0; i++) {
        cluster_elapse_ms(c, 50);
    }
    cluster_expect_true(c, hints(c) == 0, "no hint is left after half a minute");
}

static void isolate_homes(struct cluster *c) {
    for (unsigned node = 1; node <= 3; node++) {
        cluster_isolate(c, node);
    }
}

/* A cluster that is born, and a key at n1 n2 n3. */
static void begin(struct cluster *c, char key[32]) {
    cluster_set(c, 1, "first", "v");
    cluster_elapse_ms(c, 100);
    cluster_key_at(c, n123, 3, key);
}

static void expect_homes(struct cluster *c, const char *key, const char *text) {
    for (unsigned node = 1; node <= 3; node++) {
        cluster_expect_stored(c, node, key, text);
    }
}

/* TRAPS b: n1 coordinates while its peers are away, and twice more when they are back. It loses its row, and gets back from fallbacks what
 * they kept of the first write only; what it writes then must not take the names of the others. */
void scenario_amnesia_partial(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_isolate(c, 2);
    cluster_isolate(c, 3);
    struct op *seen = cluster_dynset(c, 1, key, "v1", NULL);
    cluster_elapse_ms(c, 10);
    cluster_heal(c, 1, 2); /* who keeps the hints cannot deliver them yet */
    cluster_heal(c, 1, 3);
    cluster_heal(c, 2, 3);
    cluster_elapse_ms(c, 3000);
    seen = cluster_dynset(c, 1, key, "v2", seen);
    cluster_dynset(c, 1, key, "v3", seen);
    cluster_elapse_ms(c, 10);
    expect_homes(c, key, "{v3}");
    cluster_erase(c, 1, key);
    cluster_isolate(c, 2);
    cluster_isolate(c, 3);
    cluster_expect(c, 1, key, "v1");
    cluster_elapse_ms(c, 10);
    cluster_expect_stored(c, 1, key, "{v1}");
    cluster_dynset(c, 1, key, "v4", NULL);
    heal(c);
    cluster_await(c, cluster_get_r_later(c, 4, key, 3)); /* n1 gets back what it lost */
    cluster_elapse_ms(c, 10);
    expect_homes(c, key, "{v4 v3}");
}

/* n1's writes lie with fallbacks only, at different ages, when it forgets them all and writes again. */
void scenario_amnesia_noncoord(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_isolate(c, 2);
    cluster_isolate(c, 3);
    cluster_isolate(c, 5);
    struct op *seen = cluster_dynset(c, 1, key, "v1", NULL);
    cluster_heal_all(c);
    cluster_isolate(c, 2);
    cluster_isolate(c, 3);
    cluster_isolate(c, 4);
    seen = cluster_dynset(c, 1, key, "v2", seen);
    cluster_dynset(c, 1, key, "v3", seen);
    cluster_erase(c, 1, key);
    cluster_dynset(c, 1, key, "v5", NULL);
    heal(c);
    cluster_await(c, cluster_get_r_later(c, 4, key, 3)); /* n1 gets back what it lost */
    cluster_elapse_ms(c, 10);
    expect_homes(c, key, "{v5 v3}");
    cluster_expect_everywhere(c, key, "v5 v3");
}

/* A fallback coordinates, delivers, forgets, and coordinates again: no dot comes twice. */
void scenario_fallback_forgets_and_returns(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_record(c, false);
    isolate_homes(c);
    cluster_dynset(c, 4, key, "v1", NULL);
    heal(c);
    expect_homes(c, key, "{v1}");
    isolate_homes(c);
    cluster_dynset(c, 4, key, "v2", NULL);
    struct op *read = cluster_get(c, 4, key);
    cluster_dynset(c, 4, key, "v3", read);
    heal(c);
    expect_homes(c, key, "{v3 v1}");
    cluster_expect_everywhere(c, key, "v3 v1");
}

/* A hint arrives when its home has something newer, whatever that home's clock says. */
void scenario_hint_delivers_stale(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_record(c, false);
    for (int again = 0; again < 2; again++) {
        cluster_isolate(c, 2);
        struct op *seen = cluster_await(c, cluster_get_later(c, 1, key));
        seen = cluster_dynset(c, 1, key, "v1", seen);
        cluster_elapse_ms(c, 10);
        for (unsigned node = 4; node <= 6; node++) {
            cluster_heal(c, node, 2);
            cluster_cut(c, node, 2); /* who keeps the hint cannot deliver it yet */
        }
        cluster_heal(c, 1, 2);
        cluster_heal(c, 3, 2);
        cluster_elapse_ms(c, 3000);
        cluster_dynset(c, 1, key, "v2", seen);
        heal(c);
        expect_homes(c, key, "{v2}");
        cluster_skew_ms(c, 2, -60000);
    }
}

static bool is_home(struct cluster *c, const char *key, unsigned node) {
    unsigned homes[PREFLIST_MAX_N];
    size_t count = cluster_homes(c, key, homes, PREFLIST_MAX_N);
    for (size_t i = 0; i < count; i++) {
        if (homes[i] == node) {
            return true;
        }
    }
    return false;
}

/* A home is away and the hints for it have hardly any room: writes go on, what is not kept is counted. When it is back it gets the rest by
 * anti-entropy, which is switched off here but for that; nobody reads. */
void scenario_hint_flood(struct cluster *c) {
    char key[16];
    for (unsigned node = 1; node <= 6; node++) {
        node_set_handoff(world_node(cluster_world(c), node - 1), true, true, 1000, 0);
    }
    cluster_isolate(c, 2);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "flood%u", i);
        cluster_set(c, 1 + 2 * (i % 2), key, "v");
    }
    uint64_t dropped = 0;
    for (unsigned node = 1; node <= 6; node++) {
        struct node_stats stats = stats_of(c, node);
        dropped += stats.hints_dropped;
        cluster_expect_true(c, stats.hint_bytes <= 1000, "hints keep to their room");
    }
    cluster_expect_true(c, dropped > 0, "some had no room, and were counted");
    heal(c);
    cluster_elapse_ms(c, 10000);
    uint64_t delivered = 0;
    for (unsigned i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "flood%u", i);
        if (is_home(c, key, 2)) {
            cluster_expect_stored(c, 2, key, "{v}");
        }
    }
    for (unsigned node = 1; node <= 6; node++) {
        delivered += stats_of(c, node).hints_delivered;
        cluster_expect_true(c, stats_of(c, node).read_repairs == 0, "nobody has read");
    }
    cluster_expect_true(c, delivered > 0, "some came as hints");
}

/* Only fallbacks have a write. However little room is left, they keep it; and they do not acknowledge
 * what they have no room for. */
void scenario_hint_is_the_only_copy(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_record(c, false);
    isolate_homes(c);
    cluster_set(c, 4, key, "v1");
    for (unsigned node = 4; node <= 6; node++) {
        node_set_handoff(world_node(cluster_world(c), node - 1), true, true, 0, 0);
    }
    struct op *refused = cluster_await(c, cluster_dynset_later(c, 4, key, "v2", NULL));
    cluster_expect_true(c, refused->err != RD_OK, "what cannot be kept is not acknowledged");
    heal(c);
    expect_homes(c, key, "{v1}");
}

/* With W homes in reach no fallback takes a home's place in the quorum, however slow that home is. */
void scenario_sloppy_acks_do_not_intersect(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_isolate(c, 1);
    cluster_skew_ms(c, 1, -60000);
    cluster_skew_ms(c, 3, -60000);
    cluster_elapse_ms(c, 1000);
    cluster_record(c, false);
    cluster_keep(c, 2, 3, WIRE_WRITE, 1);
    struct op *first = cluster_set_later(c, 2, key, "v1");
    cluster_elapse_ms(c, 100);
    cluster_expect_true(c, !first->answered, "n2 and a fallback for n1 are no two homes");
    cluster_release(c);
    cluster_expect_outcome(c, first, RD_OK);
    cluster_expect_true(c, first->stand_ins == 0, "two homes have it");
    cluster_heal_all(c);
    cluster_await_up(c, 3);
    cluster_set(c, 3, key, "v2");
    heal(c);
    expect_homes(c, key, "{v2}");
}

/* A plain SET whose first round rests on a fallback hears of what was acknowledged before only in its second: it covers that, too. */
void scenario_sloppy_first_round(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_skew_ms(c, 2, 3600000);
    cluster_isolate(c, 1);
    cluster_set(c, 2, key, "v0"); /* n4 keeps it for n1 */
    cluster_isolate(c, 4);
    cluster_elapse_ms(c, 1000);
    cluster_set(c, 2, key, "v1"); /* n5 or n6 this */
    for (unsigned node = 4; node <= 6; node++) {
        cluster_lose(c, node, 1, WIRE_WRITE, UINT32_MAX);
    }
    cluster_heal(c, 1, 4);
    cluster_elapse_ms(c, 3000);
    cluster_record(c, false);
    cluster_keep(c, 4, 1, WIRE_WRITE_ANSWER, 1);
    struct op *last = cluster_set_later(c, 1, key, "v2");
    cluster_elapse_ms(c, 10);
    cluster_heal_all(c);
    cluster_elapse_ms(c, 100);
    cluster_expect_true(c, !last->answered, "n4's answer is on its way");
    cluster_release(c);
    cluster_expect_outcome(c, last, RD_OK);
    cluster_expect_true(c, last->stand_ins == 0, "two homes have it");
    heal(c);
    expect_homes(c, key, "{v2}");
}

/* Fallbacks that have nothing do not make a nil. */
void scenario_notfound_from_empty_fallback(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 10);
    cluster_record(c, false);
    cluster_isolate(c, 1);
    cluster_isolate(c, 2);
    cluster_expect(c, 4, key, "v1");
    cluster_expect(c, 3, key, "v1");
    cluster_isolate(c, 3);
    cluster_expect_outcome(c, cluster_get_later(c, 4, key), RD_ENOQUORUM);
    cluster_expect_outcome(c, cluster_get_r_later(c, 5, key, 1), RD_ENOQUORUM);
    heal(c);
    cluster_expect_everywhere(c, key, "v1");
}

static struct op *set_w1(struct cluster *c, unsigned node, const char *key, const char *value) {
    struct op request = {.kind = CLIENT_WRITE,
                         .node = node - 1,
                         .w = 1,
                         .key = mem_blob(key, strlen(key)),
                         .value = mem_blob(value, strlen(value))};
    struct op *op = cluster_await(c, cluster_ask(c, &request));
    blob_unref(request.key);
    blob_unref(request.value);
    return op;
}

/* Promise 6: with W=1 a write is taken while any one node can be reached; also by a home whose own disk is full, as long as it can reach
 * anybody else at all. */
void scenario_one_reachable_node(struct cluster *c) {
    char key[32];
    begin(c, key);
    struct store *store = world_disk(cluster_world(c), 0)->store;
    for (unsigned node = 1; node <= 6; node++) {
        cluster_isolate(c, node);
    }
    for (unsigned node = 1; node <= 6; node++) {
        cluster_expect_true(c, set_w1(c, node, key, "alone")->err == RD_OK, "each alone takes it");
    }
    store_mem_fail(store, STORE_MEM_COMMIT, RD_EFULL, UINT64_MAX);
    cluster_expect_true(c, set_w1(c, 1, key, "full")->err == RD_EFULL, "but not with a full disk");
    cluster_elapse_ms(c, 10);
    cluster_expect_true(c, set_w1(c, 1, key, "full")->err == RD_EFULL, "which it knows by now");
    cluster_heal(c, 1, 5);
    cluster_elapse_ms(c, 3000);
    struct op *taken = set_w1(c, 1, key, "by a fallback");
    cluster_expect_true(c, taken->err == RD_OK && taken->stand_ins == 1, "n5 takes it for n1");
    store_mem_fail(store, STORE_MEM_COMMIT, RD_EFULL, 0);
    heal(c);
    cluster_set(c, 2, key, "last");
    cluster_elapse_ms(c, 10);
    expect_homes(c, key, "{last}");
}

/* max-siblings refuses clients, never what replicas owe each other. */
void scenario_limit_blocks_heal(struct cluster *none) {
    struct world_conf conf;
    char key[32], value[16];
    (void)none;
    cluster_conf(&conf, 6);
    conf.node.max_siblings = 4;
    struct cluster *c = cluster_make(&conf);
    cluster_form(c);
    begin(c, key);
    static const unsigned side[] = {1, 4}, other[] = {2, 3, 5, 6};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < 4; k++) {
            cluster_cut(c, side[i], other[k]);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        snprintf(value, sizeof value, "a%u", i);
        cluster_dynset(c, 1, key, value, NULL);
        snprintf(value, sizeof value, "b%u", i);
        cluster_dynset(c, 2, key, value, NULL);
    }
    heal(c);
    struct op *read = cluster_await(c, cluster_get_r_later(c, 5, key, 3));
    cluster_expect_true(c, read->err == RD_OK && read->object.count == 8, "all eight are there");
    cluster_expect_outcome(c, cluster_dynset_later(c, 1, key, "c", NULL), RD_ETOOMANYSIBLINGS);
    cluster_dynset(c, 6, key, "d", cluster_get(c, 6, key));
    cluster_elapse_ms(c, 100);
    expect_homes(c, key, "{d}");
    cluster_stop(&c);
}

/* A DYNDEL names, alone, a write that only a fallback keeps, though all homes are back: while that one is away nothing can be deleted, and
 * when it can be asked it is. */
void scenario_context_of_a_fallback(struct cluster *c) {
    char key[32];
    begin(c, key);
    isolate_homes(c);
    for (unsigned node = 5; node <= 6; node++) {
        cluster_isolate(c, node);
    }
    struct op request = {.kind = CLIENT_WRITE,
                         .node = 3,
                         .w = 1,
                         .with_context = true,
                         .key = mem_blob(key, strlen(key)),
                         .value = mem_blob("v1", 2)};
    cluster_expect_outcome(c, cluster_ask(c, &request), RD_OK);
    blob_unref(request.value);
    request.value = mem_blob("v2", 2);
    struct op *seen = cluster_ask(c, &request);
    cluster_expect_outcome(c, seen, RD_OK);
    cluster_expect_true(c, seen->stand_ins == 1, "n4 stands in for the homes");
    blob_unref(request.key);
    blob_unref(request.value);

    cluster_heal_all(c);
    cluster_isolate(c, 4);
    cluster_elapse_ms(c, 3000);
    cluster_expect_outcome(c, cluster_dynset_later(c, 1, key, NULL, seen), RD_ENOQUORUM);
    for (unsigned node = 1; node <= 3; node++) {
        cluster_keep(c, 4, node, WIRE_WRITE, 1000); /* what it owes does not arrive */
    }
    cluster_heal_all(c);
    cluster_elapse_ms(c, 3000);
    expect_homes(c, key, "nothing");
    cluster_dynset(c, 1, key, NULL, seen);
    cluster_elapse_ms(c, 10);
    expect_homes(c, key, "{v1}");
    cluster_release(c);
    heal(c);
    expect_homes(c, key, "{v1}");
    cluster_expect_everywhere(c, key, "v1");
}
