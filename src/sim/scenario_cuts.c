/* Scenarios: networks that are cut without a word, and clients that reach both sides. Whoever retries once on another node sees no request fail,
 * but for those that the node asked second could not serve whatever it did; and these are named by state, not by number:
 *
 * - it can reach fewer nodes than R or W, itself counted;
 * - it reads, and can reach no home of the key: that others have nothing proves nothing (TRAPS notfound_from_empty_fallback);
 * - the context names a write that those it can reach do not know, and it cannot reach all. */
#include "sim/scenario.h"

#include <stdio.h>
#include <string.h>

#include "replication/preflist.h"
#include "sim/scenario_clients.h"

#define MS UINT64_C(1000)
#define NODES 5

/* One fault: between nodes of different sides nothing gets through (0: on all sides); or single directions. */
struct cut {
    const char *name;
    int side[NODES];
    unsigned one_way[2][2]; /* from, to; 0: none */
};

static const struct cut cuts[] = {
    {"one cut off", {1, 1, 1, 2, 1}, {{0, 0}, {0, 0}}},
    {"halves", {1, 1, 2, 2, 2}, {{0, 0}, {0, 0}}},
    {"bridge", {1, 1, 0, 2, 2}, {{0, 0}, {0, 0}}},
    {"two cut off", {1, 2, 1, 3, 1}, {{0, 0}, {0, 0}}},
    {"one pair", {1, 2, 0, 0, 0}, {{0, 0}, {0, 0}}},
    {"one way", {0, 0, 0, 0, 0}, {{1, 2}, {3, 4}}},
};

static void set_path(struct cluster *c, unsigned from, unsigned to, enum network_path path) {
    network_set_path(world_network(cluster_world(c)), from - 1, to - 1, path,
                     world_now_us(cluster_world(c)));
}

/* What is sent waits until all is well again, as it does in TCP. */
static void apply(struct cluster *c, const struct cut *cut) {
    for (unsigned a = 1; a <= NODES; a++) {
        for (unsigned b = 1; b <= NODES; b++) {
            int x = cut->side[a - 1], y = cut->side[b - 1];
            if (a != b && x != 0 && y != 0 && x != y) {
                set_path(c, a, b, PATH_HELD);
            }
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        if (cut->one_way[i][0] != 0) {
            set_path(c, cut->one_way[i][0], cut->one_way[i][1], PATH_HELD);
        }
    }
}

static bool reaches(struct cluster *c, unsigned a, unsigned b) {
    const struct network *network = world_network(cluster_world(c));
    return a == b || (network_path(network, a - 1, b - 1) == PATH_OPEN &&
                      network_path(network, b - 1, a - 1) == PATH_OPEN);
}

/* True if no node in that place could have served it. */
static bool cannot_be_served(struct cluster *c, const struct op *op) {
    unsigned homes[PREFLIST_MAX_N], node = op->node + 1, reached = 0, homes_reached = 0;
    char key[32];
    snprintf(key, sizeof key, "%.*s", (int)op->key->len, (const char *)op->key->bytes);
    size_t count = cluster_homes(c, key, homes, PREFLIST_MAX_N);
    for (unsigned other = 1; other <= NODES; other++) {
        reached += reaches(c, node, other);
    }
    for (size_t i = 0; i < count; i++) {
        homes_reached += reaches(c, node, homes[i]);
    }
    bool reads = op->kind == CLIENT_READ || op->kind == CLIENT_RMW;
    return reached < 2 || (reads && homes_reached == 0) ||
           (op->seen != NULL && reached < NODES && strstr(op->text, "the context names") != NULL);
}

/* Each fault a few times, at other moments of what the clients do. `pause_ms`: between two requests of a client. */
static void cut_again_and_again(uint64_t pause_ms, unsigned times) {
    struct clients load = {.mix = CLIENTS_ALL_KINDS, .excuse = cannot_be_served};
    struct cluster *c = clients_cluster();
    clients_begin(c, &load, 0);
    load.pause_us = pause_ms * MS;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts * times; i++) {
        const struct cut *cut = &cuts[i % (sizeof cuts / sizeof *cuts)];
        size_t from = load.count;
        unsigned failed = load.failed, excused = load.excused, retried = load.retried;
        clients_run(c, &load, 97 + i * 13 % 59);
        apply(c, cut);
        clients_run(c, &load, 1500);
        cluster_heal_all(c);
        clients_run(c, &load, 100);
        char text[200];
        snprintf(text, sizeof text,
                 "%s: %zu requests, %u retried, %u failed, %u could not be served, longest %llu us",
                 cut->name, load.count - from, load.retried - retried, load.failed - failed,
                 load.excused - excused, (unsigned long long)clients_percentile(&load, from, 100));
        cluster_note(c, text);
        for (unsigned node = 1; node <= NODES; node++) {
            cluster_await_up(c, node);
        }
    }
    cluster_expect_true(c, load.failed == 0, "whoever retries once on another node succeeds");
    cluster_expect_true(c, clients_percentile(&load, 0, 100) < 850 * MS,
                        "the longest gap is below 1.5 x request-timeout + 100 ms");
    clients_end(c, &load);
    cluster_stop(&c);
}

void scenario_cut_under_load(struct cluster *none) {
    (void)none;
    cut_again_and_again(10, 3);
}

/* Nobody has heard of anybody for a while when the network is cut. */
void scenario_cut_in_silence(struct cluster *none) {
    (void)none;
    cut_again_and_again(400, 4);
}
