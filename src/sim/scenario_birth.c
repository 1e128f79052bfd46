/* Scenarios: how clusters form, and who does not belong to them. These make their own clusters. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "sim/scenario.h"

/* ---- bootstrap_race -------------------------------------------------------------------------- */

enum { FIVE = 5, ORDERS = 120 };

/* The `number`-th order of five. */
static void order_of(unsigned number, unsigned order[FIVE]) {
    unsigned left[FIVE] = {0, 1, 2, 3, 4};
    unsigned radix = ORDERS / FIVE;
    for (unsigned i = 0; i < FIVE; i++) {
        unsigned pick = number / radix;
        order[i] = left[pick];
        memmove(left + pick, left + pick + 1, (FIVE - 1 - pick) * sizeof *left);
        number %= radix;
        radix = i + 1 < FIVE - 1 ? radix / (FIVE - 1 - i) : 1;
    }
}

/* Starts them 300 ms apart and writes to each as soon as it answers, until that is acknowledged. */
static void race(unsigned number) {
    struct world_conf conf;
    unsigned order[FIVE];
    struct op *writes[FIVE] = {0};
    bool done[FIVE] = {0};
    cluster_conf(&conf, FIVE);
    conf.seed = number;
    conf.network.delay_mean_us = 1000;
    conf.node.partitions = 64; /* 120 clusters: their placements are most of what this costs */
    struct cluster *c = cluster_make(&conf);
    struct world *world = cluster_world(c);
    order_of(number, order);
    unsigned started = 0, acknowledged = 0;
    for (unsigned tick = 0; acknowledged < FIVE; tick++) {
        cluster_expect_true(c, tick < 6000, "within a minute each node has acknowledged a write");
        if (tick % 30 == 0 && started < FIVE) {
            cluster_restart(c, order[started++] + 1);
        }
        world_elapse(world, 10000);
        for (unsigned i = 0; i < FIVE; i++) {
            char key[8] = {'r', (char)('1' + i), 0};
            if (done[i] || world_state(world, i) != NODE_RUNNING) {
                continue;
            }
            if (writes[i] != NULL && writes[i]->answered && writes[i]->err == RD_OK) {
                done[i] = true;
                acknowledged++;
            } else if (writes[i] == NULL || writes[i]->answered) {
                writes[i] = cluster_set_later(c, i + 1, key, key);
            }
        }
    }
    cluster_form(c);
    struct node_stats first, other;
    node_stats(world_node(world, 0), &first);
    cluster_expect_true(c, first.members == FIVE, "there are five members");
    for (unsigned i = 0; i < FIVE; i++) {
        char key[8] = {'r', (char)('1' + i), 0};
        node_stats(world_node(world, i), &other);
        cluster_expect_true(c, strcmp(first.cluster_id, other.cluster_id) == 0,
                            "there is one cluster");
        cluster_expect_everywhere(c, key, key);
    }
    cluster_stop(&c);
}

void scenario_bootstrap_race(struct cluster *c) {
    assert(c == NULL);
    for (unsigned number = 0; number < ORDERS; number++) {
        race(number);
    }
}

/* ---- birth_answer_lost ----------------------------------------------------------------------- */

/* n1 proposes the birth, and what the others answer is lost on connections that stay. It may not
 * wait for that for ever: it asks again, and its next writes find a cluster. */
void scenario_birth_answer_lost(struct cluster *c) {
    cluster_lose(c, 2, 1, WIRE_BIRTH_YES, 1);
    cluster_lose(c, 3, 1, WIRE_BIRTH_YES, 1);
    cluster_expect_outcome(c, cluster_set_later(c, 1, "k", "v1"), RD_ECLUSTERDOWN);
    cluster_elapse_ms(c, 1000);
    cluster_set(c, 1, "k", "v2");
    cluster_expect_everywhere(c, "k", "v2");
}

/* ---- who does not belong --------------------------------------------------------------------- */

struct refusals {
    unsigned said[NETWORK_MAX_NODES]; /* warnings with "refuse" or the wanted word, by node */
    const char *word;
};

static void listen(void *arg, uint32_t node, enum log_level level, const char *text) {
    struct refusals *refusals = arg;
    if (level >= LOG_NOTICE && strstr(text, refusals->word) != NULL) {
        refusals->said[node]++;
    }
}

/* Three nodes and a stranger, n4, whose configuration `change` has altered. Each side says once
 * why it does not talk to the other, and the three serve without it. */
static void stranger(void (*change)(struct node_conf *conf), const char *word) {
    struct world_conf conf;
    struct refusals refusals = {.word = word};
    cluster_conf(&conf, 4);
    struct cluster *c = cluster_make(&conf);
    struct world *world = cluster_world(c);
    world_set_hooks(world, &(struct world_hooks){.arg = &refusals, .on_log = listen});
    change(world_node_conf(world, 3));
    cluster_record(c, true);
    for (unsigned node = 1; node <= 4; node++) {
        cluster_restart(c, node);
    }
    cluster_elapse_ms(c, 15000); /* a fresh node waits 10 s for a seed it cannot meet */
    cluster_set(c, 1, "k", "v");
    cluster_expect(c, 2, "k", "v");
    cluster_expect(c, 3, "k", "v");
    for (unsigned node = 1; node <= 3; node++) {
        struct node_stats stats;
        node_stats(world_node(world, node - 1), &stats);
        cluster_expect_true(c, stats.members == 3, "the three know three members");
    }
    struct node_stats stats;
    node_stats(world_node(world, 3), &stats);
    cluster_expect_true(c, stats.members == 1, "the stranger knows only itself");
    cluster_expect_true(c, refusals.said[3] > 0, "the stranger says why");
    cluster_expect_true(c, refusals.said[0] + refusals.said[1] + refusals.said[2] > 0,
                        "the others say why");
    cluster_expect_true(c, refusals.said[3] <= 8, "the stranger does not repeat itself");
    cluster_stop(&c);
}

static void other_name(struct node_conf *conf) {
    snprintf(conf->cluster_name, sizeof conf->cluster_name, "another");
}

static void other_secret(struct node_conf *conf) {
    snprintf(conf->secret, sizeof conf->secret, "wrong");
}

static void other_n(struct node_conf *conf) {
    conf->n = 2;
}

static void other_partitions(struct node_conf *conf) {
    conf->partitions *= 2;
}

static void other_partitioner(struct node_conf *conf) {
    conf->partitioner = PARTITIONER_MD5;
}

static void other_resolution(struct node_conf *conf) {
    conf->conflict_resolution = CONFLICT_LAST_WRITE_WINS;
}

/* n3 of one cluster dies and its name and address go to a node of another. */
static void address_reused(void) {
    struct world_conf conf;
    cluster_conf(&conf, 4);
    struct cluster *c = cluster_make(&conf);
    struct world *world = cluster_world(c);
    for (unsigned node = 1; node <= 3; node++) {
        world_node_conf(world, node - 1)->seed_count = 3;
        cluster_restart(c, node);
    }
    struct node_conf *fourth = world_node_conf(world, 3);
    fourth->seed_count = 0; /* a cluster of its own */
    cluster_restart(c, 4);
    cluster_elapse_ms(c, 15000);
    cluster_set(c, 1, "k", "ours");
    cluster_set(c, 4, "k", "theirs");
    cluster_crash(c, 3);
    cluster_crash(c, 4);
    network_rename(world_network(world), 2, "gone", "10.0.0.99");
    network_rename(world_network(world), 3, "n3", "10.0.0.3");
    cluster_restart(c, 4);
    cluster_elapse_ms(c, 60000);
    struct node_stats ours, theirs;
    node_stats(world_node(world, 0), &ours);
    node_stats(world_node(world, 3), &theirs);
    cluster_expect_true(c, ours.members == 3 && theirs.members == 1,
                        "the member lists are disjoint");
    cluster_expect_true(c, strcmp(ours.cluster_id, theirs.cluster_id) != 0,
                        "there are two clusters");
    cluster_expect(c, 1, "k", "ours");
    cluster_expect(c, 2, "k", "ours");
    cluster_expect(c, 4, "k", "theirs");
    cluster_stop(&c);
}

void scenario_wrong_neighbour(struct cluster *c) {
    assert(c == NULL);
    stranger(other_name, "name");
    stranger(other_secret, "secret");
    address_reused();
}

void scenario_n_val_change(struct cluster *c) {
    assert(c == NULL);
    stranger(other_n, "replication-factor");
    stranger(other_partitions, "partitions");
    stranger(other_partitioner, "partitioner");
    stranger(other_resolution, "conflict-resolution");
}

static uint64_t hints_owed_in_all(struct cluster *c) {
    struct node_stats stats;
    uint64_t owed = 0;
    for (uint32_t i = 0; i < world_nodes(cluster_world(c)); i++) {
        if (world_state(cluster_world(c), i) == NODE_RUNNING) {
            node_stats(world_node(cluster_world(c), i), &stats);
            owed += stats.hints_pending;
        }
    }
    return owed;
}

/* n2 says that it is to be found where n1 is; then it is off for a while. Whoever dials it meets n1, and n1 itself. */
void scenario_handoff_to_self(struct cluster *c) {
    static const unsigned n234[] = {2, 3, 4};
    struct world_conf conf;
    char key[32], other[16];
    assert(c == NULL);
    cluster_conf(&conf, 5);
    c = cluster_make(&conf);
    struct world *world = cluster_world(c);
    snprintf(world_node_conf(world, 1)->announce_host, NODE_HOST_BYTES, "n1");
    cluster_form(c);
    cluster_key_at(c, n234, 3, key);
    cluster_set(c, 3, key, "v1");
    cluster_elapse_ms(c, 10);
    cluster_crash(c, 2);
    cluster_elapse_ms(c, 1000);
    cluster_set(c, 3, key, "v2");
    for (unsigned i = 0; i < 20; i++) { /* others keep hints for n2, too */
        snprintf(other, sizeof other, "other%u", i);
        cluster_set(c, 3 + i % 3, other, "v");
    }
    cluster_elapse_ms(c, 100);
    uint64_t owed = hints_owed_in_all(c);
    cluster_expect_true(c, owed > 5, "several keep hints for n2");
    cluster_crash(c, 1); /* so that all dial it anew, by both addresses */
    cluster_elapse_ms(c, 100);
    cluster_restart(c, 1);
    cluster_elapse_ms(c, 30000);
    cluster_expect_true(c, hints_owed_in_all(c) == owed, "the hints are kept");
    cluster_expect_stored(c, 1, key, "nothing");
    cluster_expect_stored(c, 2, key, "{v1}");
    cluster_restart(c, 2);
    cluster_await_up(c, 2);
    cluster_elapse_ms(c, 5000);
    cluster_expect_stored(c, 2, key, "{v2}");
    cluster_expect_true(c, hints_owed_in_all(c) == 0, "and come where they belong");
    cluster_stop(&c);
}
