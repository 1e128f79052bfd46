/* Scenarios: nodes that are silent, slow, late or full, and what it costs the others' clients. */
#include "sim/scenario.h"

#include <stdio.h>
#include <string.h>

#include "sim/scenario_clients.h"

static const unsigned n123[] = {1, 2, 3};
#define MS UINT64_C(1000)

/* ---- a node that goes away ------------------------------------------------------------------- */

enum blow { BLOW_KILL, BLOW_POWER, BLOW_PAUSE };

static void strike(enum blow blow) {
    struct clients load = {0};
    const unsigned victim = 2;
    struct cluster *c = clients_cluster();
    clients_begin(c, &load, blow == BLOW_KILL ? 0 : victim);
    clients_run(c, &load, 1000);
    if (blow == BLOW_PAUSE) {
        world_pause(cluster_world(c), victim - 1);
    } else {
        world_crash(cluster_world(c), victim - 1,
                    blow == BLOW_KILL ? CRASH_PROCESS : CRASH_POWER_WORST);
    }
    clients_run(c, &load, 4000);
    if (blow == BLOW_PAUSE) {
        cluster_expect_true(c, cluster_seen(c, victim, MEMBER_SUSPECT) == 4, "all suspect it");
    }
    clients_run(c, &load, 6000);
    if (blow == BLOW_PAUSE) {
        cluster_expect_true(c, cluster_seen(c, victim, MEMBER_DOWN) == 4, "after 5 s it is down");
        world_resume(cluster_world(c), victim - 1);
        clients_run(c, &load, 100);
        for (unsigned other = 1; other <= 5; other++) {
            cluster_expect_true(c, cluster_state(c, victim, other) != MEMBER_DOWN,
                                "who stood still takes nobody for dead");
        }
    } else {
        cluster_restart(c, victim);
    }
    clients_run(c, &load, 3000);
    cluster_expect_true(c, cluster_seen(c, victim, MEMBER_UP) == 4, "all see it up again");
    char text[100];
    uint64_t longest = clients_percentile(&load, 0, 100);
    snprintf(text, sizeof text, "%u requests, %u retried, %u failed, longest %llu us", load.asked,
             load.retried, load.failed, (unsigned long long)longest);
    cluster_note(c, text);
    cluster_expect_true(c, load.failed == 0, "whoever retries once on another node succeeds");
    cluster_expect_true(c, longest < 600 * MS, "the longest gap is below request-timeout + 100 ms");
    clients_end(c, &load);
    cluster_stop(&c);
}

void scenario_killed_node(struct cluster *none) {
    (void)none;
    strike(BLOW_KILL);
}

void scenario_powerless_node(struct cluster *none) {
    (void)none;
    strike(BLOW_POWER);
}

void scenario_paused_node(struct cluster *none) {
    (void)none;
    strike(BLOW_PAUSE);
}

/* While n1 stands still the others overwrite what it holds. Woken, it must not answer from its own
 * copy alone; as soon as it has heard of somebody it may. */
void scenario_woken_from_pause(struct cluster *c) {
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "old");
    cluster_elapse_ms(c, 10);
    world_pause(cluster_world(c), 0);
    cluster_elapse_ms(c, 10000);
    cluster_set(c, 2, key, "new");
    struct op *first = cluster_get_r_later(c, 1, key, 1);
    struct op *second = cluster_get_r_later(c, 1, key, 1);
    world_resume(cluster_world(c), 0);
    cluster_await(c, first);
    cluster_await(c, second);
    cluster_expect_true(c, first->err == RD_ENOQUORUM && second->err == RD_ENOQUORUM,
                        "the woken node does not answer from what it held");
    cluster_elapse_ms(c, 500);
    struct op *later = cluster_await(c, cluster_get_r_later(c, 1, key, 1));
    cluster_expect_true(c, later->err == RD_OK, "it serves again soon");
    cluster_expect(c, 1, key, "new");
}

/* ---- lost frames ----------------------------------------------------------------------------- */

void scenario_lossy_network(struct cluster *none) {
    (void)none;
    struct cluster *c = clients_cluster();
    struct clients load = {0};
    unsigned down = 0, suspect = 0, looks = 0;
    clients_begin(c, &load, 0);
    world_network_conf(cluster_world(c))->drop_ppm = 200000;
    for (unsigned i = 0; i < 6000; i++) { /* a minute */
        clients_run(c, &load, 10);
        for (unsigned node = 1; node <= 5; node++) {
            down += cluster_seen(c, node, MEMBER_DOWN);
            suspect += cluster_seen(c, node, MEMBER_SUSPECT);
            looks += 4;
        }
    }
    world_network_conf(cluster_world(c))->drop_ppm = 0;
    char text[100];
    snprintf(text, sizeof text, "of %u looks %u found a suspect and %u a dead node", looks, suspect,
             down);
    cluster_note(c, text);
    cluster_expect_true(c, down == 0, "no node is taken for dead");
    cluster_expect_true(c, suspect * 100 < looks, "hardly ever is one suspect");
    clients_run(c, &load, 2000);
    for (unsigned node = 1; node <= 5; node++) {
        cluster_expect_true(c, cluster_seen(c, node, MEMBER_UP) == 4, "in the end all are up");
    }
    clients_end(c, &load);
    cluster_stop(&c);
}

/* ---- slow and overloaded nodes --------------------------------------------------------------- */

/* All that n2 says or hears takes half a second longer. Reads through the others must not notice,
 * from the first one on; nor writes, as soon as it is suspect: before that, one may have been
 * forwarded to it, and only it can say what became of it. */
void scenario_slow_replica(struct cluster *none) {
    (void)none;
    struct cluster *c = clients_cluster();
    struct clients load = {.mix = CLIENTS_READ_ONLY};
    const unsigned slow = 2;
    clients_begin(c, &load, slow);
    clients_run(c, &load, 3000);
    uint64_t p99 = clients_percentile(&load, 0, 99);
    network_set_slow(world_network(cluster_world(c)), slow - 1, 500 * MS);
    size_t from = load.count;
    clients_run(c, &load, 3000);
    uint64_t reads = clients_percentile(&load, from, 99);
    uint64_t longest_read = clients_percentile(&load, from, 100);
    load.mix = CLIENTS_READ_AND_SET;
    from = load.count;
    clients_run(c, &load, 3000);
    uint64_t all = clients_percentile(&load, from, 99),
             longest = clients_percentile(&load, from, 100);
    char text[200];
    snprintf(text, sizeof text,
             "p99 before %llu us; slowed: reads p99 %llu us, longest %llu us; with writes p99 %llu "
             "us, longest %llu us",
             (unsigned long long)p99, (unsigned long long)reads, (unsigned long long)longest_read,
             (unsigned long long)all, (unsigned long long)longest);
    cluster_note(c, text);
    cluster_expect_true(c, longest_read <= p99 + 20 * MS,
                        "a slow replica costs readers no more than the p99 + 20 ms");
    cluster_expect_true(c, longest <= p99 + 20 * MS, "nor writers, once it is suspect");
    cluster_expect_true(c, load.failed == 0, "no request fails");
    cluster_expect_true(c, cluster_seen(c, slow, MEMBER_SUSPECT) == 4, "it is suspect, not down");
    network_set_slow(world_network(cluster_world(c)), slow - 1, 0);
    clients_run(c, &load, 2000);
    cluster_expect_true(c, cluster_seen(c, slow, MEMBER_UP) == 4, "and up once it is fast again");
    clients_end(c, &load);
    cluster_stop(&c);
}

/* Writers, from the moment on at which n2 becomes slow. What was forwarded to it just before it owed an answer cannot be taken back, and nobody
 * else may carry it out as well (TRAPS double_coordination): that is at most one request of each client. All else notices nothing. */
void scenario_slow_coordinator(struct cluster *none) {
    (void)none;
    struct cluster *c = clients_cluster();
    struct clients load = {0};
    const unsigned slow = 2;
    clients_begin(c, &load, slow);
    clients_run(c, &load, 3000);
    uint64_t bound = clients_percentile(&load, 0, 99) + 20 * MS;
    network_set_slow(world_network(cluster_world(c)), slow - 1, 500 * MS);
    size_t from = load.count;
    clients_run(c, &load, 5000);
    unsigned late = 0;
    for (size_t i = from; i < load.count; i++) {
        late += load.took_us[i] > bound;
    }
    uint64_t p99 = clients_percentile(&load, from, 99);
    char text[120];
    snprintf(text, sizeof text, "%zu requests, %u of them late, p99 %llu us, bound %llu us",
             load.count - from, late, (unsigned long long)p99, (unsigned long long)bound);
    cluster_note(c, text);
    cluster_expect_true(c, p99 <= bound, "the p99 is the others' + 20 ms at the most");
    cluster_expect_true(c, late <= CLIENTS_COUNT, "nobody notices it more than once");
    cluster_expect_true(c, load.failed == 0, "no request fails");
    clients_end(c, &load);
    cluster_stop(&c);
}

/* n2 can hold 8 requests, each read of a disk takes 10 ms, and 40 clients ask it at once, and n1 and n3 ask
 * it for its copies. When nobody asks any more, nothing is left of it within a second. */
void scenario_overload_latch(struct cluster *none) {
    struct world_conf conf;
    (void)none;
    cluster_conf(&conf, 3);
    struct cluster *c = cluster_make(&conf);
    world_node_conf(cluster_world(c), 1)->max_requests = 8;
    cluster_form(c);
    cluster_set(c, 1, "key", "v");
    cluster_elapse_ms(c, 100);
    struct op *asked[120];
    unsigned refused = 0;
    world_disk_conf(cluster_world(c))->get_min_us = 10 * MS;
    for (unsigned i = 0; i < 120; i++) {
        char key[16];
        snprintf(key, sizeof key, "cold%u", i);
        asked[i] = cluster_get_later(c, i < 40 ? 2 : i % 2 == 0 ? 1 : 3, key);
    }
    for (unsigned i = 0; i < 120; i++) {
        refused += cluster_await(c, asked[i])->err == RD_EOVERLOADED;
    }
    cluster_expect_true(c, refused >= 30, "n2 turns most of its clients away");
    world_disk_conf(cluster_world(c))->get_min_us = 100;
    cluster_elapse_ms(c, 1000);
    for (unsigned i = 0; i < 8; i++) {
        char key[16];
        snprintf(key, sizeof key, "late%u", i);
        asked[i] = cluster_set_later(c, 2, key, "v");
    }
    for (unsigned i = 0; i < 8; i++) {
        cluster_expect_outcome(c, asked[i], RD_OK);
    }
    for (unsigned node = 1; node <= 3; node++) {
        cluster_expect_true(c, cluster_seen(c, node, MEMBER_UP) == 2,
                            "everybody is up for everybody");
    }
    cluster_stop(&c);
}

/* ---- a disk that is full --------------------------------------------------------------------- */

static bool holds(const struct op *read, const char *value) {
    for (uint32_t i = 0; i < read->object.count; i++) {
        const struct blob *held = read->object.siblings[i].value;
        if (held->len == strlen(value) && memcmp(held->bytes, value, held->len) == 0) {
            return true;
        }
    }
    return false;
}

/* The disk of n1 fills up in the midst of a write. Its peers keep the write; n1 refuses that one,
 * goes on reading, has others take the next ones, and never gives the lost dot to another value. */
void scenario_disk_full_or_readonly(struct cluster *c) {
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_dynset(c, 1, key, "v1", NULL);
    cluster_elapse_ms(c, 10);
    cluster_record(c, false);
    struct store *store = world_disk(cluster_world(c), 0)->store;
    store_mem_fail(store, STORE_MEM_COMMIT, RD_EFULL, UINT64_MAX);
    cluster_expect_outcome(c, cluster_dynset_later(c, 1, key, "v2", NULL), RD_EFULL);
    cluster_elapse_ms(c, 10);
    cluster_expect_stored(c, 1, key, "{v1}");
    cluster_expect_stored(c, 2, key, "{v2 v1}");
    cluster_expect(c, 1, key, "v2 v1");
    struct op *forwarded = cluster_dynset_later(c, 1, key, "v3", NULL);
    cluster_expect_outcome(c, forwarded, RD_OK);
    cluster_elapse_ms(c, 10);
    cluster_isolate(c, 1);
    cluster_expect_outcome(c, cluster_dynset_later(c, 1, key, "v4", NULL), RD_EFULL);
    cluster_heal_all(c);
    cluster_await_up(c, 1);
    store_mem_fail(store, STORE_MEM_COMMIT, RD_EFULL, 0);
    cluster_elapse_ms(c, 2000); /* it notices by itself */
    cluster_dynset(c, 1, key, "v5", NULL);
    cluster_elapse_ms(c, 10);
    struct op *read = cluster_await(c, cluster_get_r_later(c, 2, key, 3));
    cluster_expect_true(c, read->err == RD_OK, "all replicas answer");
    static const char *const values[] = {"v1", "v2", "v3", "v5"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        cluster_expect_true(c, holds(read, values[i]), "what a replica acknowledged is there");
    }
    cluster_expect_true(c, read->object.count == 4, "and nothing else");
}
