/* Scenarios: nodes that are silent, slow, late or full, and what it costs the others' clients. */
#include "sim/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned n123[] = {1, 2, 3};
#define MS UINT64_C(1000)

static enum member_state state_of(struct cluster *c, unsigned node, unsigned other) {
    struct member_view view;
    struct node *at = world_node(cluster_world(c), node - 1);
    struct node_id id = node_self(world_node(cluster_world(c), other - 1));
    for (size_t i = 0; i < node_member_count(at); i++) {
        node_member(at, i, world_instant(cluster_world(c), node - 1), &view);
        if (node_id_compare(&view.id, &id) == 0) {
            return view.state;
        }
    }
    return MEMBER_DOWN;
}

/* How many of the others see `node` in that state. */
static unsigned seen(struct cluster *c, unsigned node, enum member_state state) {
    unsigned count = 0;
    for (unsigned other = 1; other <= world_nodes(cluster_world(c)); other++) {
        count += other != node && world_state(cluster_world(c), other - 1) == NODE_RUNNING &&
                 state_of(c, other, node) == state;
    }
    return count;
}

/* ---- clients that retry once ----------------------------------------------------------------- */

#define CLIENTS 8
#define KEYS 40

struct client {
    unsigned node; /* that it is connected to */
    struct op *op; /* under way; NULL: none */
    bool again;    /* it is the second try */
    uint64_t since_us;
    uint64_t next_us; /* when it asks again */
};

struct load {
    struct client clients[CLIENTS];
    unsigned avoid; /* no client is connected to it; 0: none */
    bool reads_only;
    unsigned asked, retried, failed;
    uint64_t *took_us; /* owned; of each request, the second try counted in */
    size_t count, cap;
};

static unsigned next_node(struct cluster *c, const struct load *load, unsigned node) {
    do {
        node = node % world_nodes(cluster_world(c)) + 1;
    } while (node == load->avoid);
    return node;
}

static void ask(struct cluster *c, struct load *load, struct client *client) {
    char key[16], value[16];
    snprintf(key, sizeof key, "key%u", load->asked * 7 % KEYS);
    snprintf(value, sizeof value, "v%u", load->asked);
    client->op = load->reads_only || load->asked % 2 == 0
                     ? cluster_get_later(c, client->node, key)
                     : cluster_set_later(c, client->node, key, value);
}

static void note_time(struct load *load, uint64_t us) {
    if (load->count == load->cap) {
        load->cap = load->cap * 2 + 64;
        load->took_us = realloc(load->took_us, load->cap * sizeof *load->took_us);
    }
    if (load->took_us != NULL) {
        load->took_us[load->count++] = us;
    }
}

/* One client's turn: sees its answer, or asks. Each asks every 10 ms. */
static void turn(struct cluster *c, struct load *load, struct client *client) {
    uint64_t now = world_now_us(cluster_world(c));
    if (client->op == NULL && now >= client->next_us) {
        load->asked++;
        client->since_us = now;
        client->again = false;
        ask(c, load, client);
    }
    if (client->op == NULL || !client->op->answered) {
        return;
    }
    if (client->op->err != RD_OK && !client->again) {
        client->again = true;
        client->node = next_node(c, load, client->node);
        load->retried++;
        ask(c, load, client);
        return;
    }
    load->failed += client->op->err != RD_OK;
    note_time(load, client->op->answered_us - client->since_us);
    client->op = NULL;
    client->next_us = now + 10 * MS;
}

static void begin_load(struct cluster *c, struct load *load, unsigned avoid) {
    for (unsigned i = 0; i < CLIENTS; i++) {
        load->clients[i].node = next_node(c, load, i);
    }
    load->avoid = avoid;
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (load->clients[i].node == avoid) {
            load->clients[i].node = next_node(c, load, avoid);
        }
    }
}

static void run_load(struct cluster *c, struct load *load, uint64_t ms) {
    uint64_t until_us = world_now_us(cluster_world(c)) + ms * MS;
    while (world_now_us(cluster_world(c)) < until_us) {
        for (unsigned i = 0; i < CLIENTS; i++) {
            turn(c, load, &load->clients[i]);
        }
        world_elapse(cluster_world(c), MS);
    }
}

static void end_load(struct cluster *c, struct load *load) {
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (load->clients[i].op != NULL) {
            cluster_await(c, load->clients[i].op);
        }
    }
    free(load->took_us);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The given percentile of what was noted since `from`. */
static uint64_t percentile(struct load *load, size_t from, unsigned percent) {
    size_t count = load->count - from;
    if (count == 0) {
        return 0;
    }
    qsort(load->took_us + from, count, sizeof *load->took_us, compare);
    return load->took_us[from + (count * percent + 99) / 100 - 1];
}

/* Five nodes with a little in them; thousands of requests are to come, so that not every line is
 * written and not every step checked. */
static struct cluster *start_and_fill(void) {
    struct world_conf conf;
    cluster_conf(&conf, 5);
    conf.node.trace = false;
    conf.check_every = 16;
    struct cluster *c = cluster_make(&conf);
    cluster_form(c);
    for (unsigned i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%u", i);
        cluster_set(c, 1 + i % 5, key, "v");
    }
    cluster_elapse_ms(c, 100);
    return c;
}

/* ---- a node that goes away ------------------------------------------------------------------- */

enum blow { BLOW_KILL, BLOW_POWER, BLOW_PAUSE };

static void strike(enum blow blow) {
    struct load load = {0};
    const unsigned victim = 2;
    struct cluster *c = start_and_fill();
    begin_load(c, &load, blow == BLOW_KILL ? 0 : victim);
    run_load(c, &load, 1000);
    if (blow == BLOW_PAUSE) {
        world_pause(cluster_world(c), victim - 1);
    } else {
        world_crash(cluster_world(c), victim - 1,
                    blow == BLOW_KILL ? CRASH_PROCESS : CRASH_POWER_WORST);
    }
    run_load(c, &load, 4000);
    if (blow == BLOW_PAUSE) {
        cluster_expect_true(c, seen(c, victim, MEMBER_SUSPECT) == 4, "all suspect it");
    }
    run_load(c, &load, 6000);
    if (blow == BLOW_PAUSE) {
        cluster_expect_true(c, seen(c, victim, MEMBER_DOWN) == 4, "after 5 s it is down");
        world_resume(cluster_world(c), victim - 1);
        run_load(c, &load, 100);
        for (unsigned other = 1; other <= 5; other++) {
            cluster_expect_true(c, state_of(c, victim, other) != MEMBER_DOWN,
                                "who stood still takes nobody for dead");
        }
    } else {
        cluster_restart(c, victim);
    }
    run_load(c, &load, 3000);
    cluster_expect_true(c, seen(c, victim, MEMBER_UP) == 4, "all see it up again");
    char text[100];
    uint64_t longest = percentile(&load, 0, 100);
    snprintf(text, sizeof text, "%u requests, %u retried, %u failed, longest %llu us", load.asked,
             load.retried, load.failed, (unsigned long long)longest);
    cluster_note(c, text);
    cluster_expect_true(c, load.failed == 0, "whoever retries once on another node succeeds");
    cluster_expect_true(c, longest < 600 * MS, "the longest gap is below request-timeout + 100 ms");
    end_load(c, &load);
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
    struct cluster *c = start_and_fill();
    struct load load = {0};
    unsigned down = 0, suspect = 0, looks = 0;
    begin_load(c, &load, 0);
    world_network_conf(cluster_world(c))->drop_ppm = 200000;
    for (unsigned i = 0; i < 6000; i++) { /* a minute */
        run_load(c, &load, 10);
        for (unsigned node = 1; node <= 5; node++) {
            down += seen(c, node, MEMBER_DOWN);
            suspect += seen(c, node, MEMBER_SUSPECT);
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
    run_load(c, &load, 2000);
    for (unsigned node = 1; node <= 5; node++) {
        cluster_expect_true(c, seen(c, node, MEMBER_UP) == 4, "in the end all are up");
    }
    end_load(c, &load);
    cluster_stop(&c);
}

/* ---- slow and overloaded nodes --------------------------------------------------------------- */

/* All that n2 says or hears takes half a second longer. Reads through the others must not notice,
 * from the first one on; nor writes, as soon as it is suspect: before that, one may have been
 * forwarded to it, and only it can say what became of it. */
void scenario_slow_replica(struct cluster *none) {
    (void)none;
    struct cluster *c = start_and_fill();
    struct load load = {.reads_only = true};
    const unsigned slow = 2;
    begin_load(c, &load, slow);
    run_load(c, &load, 3000);
    uint64_t p99 = percentile(&load, 0, 99);
    network_set_slow(world_network(cluster_world(c)), slow - 1, 500 * MS);
    size_t from = load.count;
    run_load(c, &load, 3000);
    uint64_t reads = percentile(&load, from, 99);
    uint64_t longest_read = percentile(&load, from, 100);
    load.reads_only = false;
    from = load.count;
    run_load(c, &load, 3000);
    uint64_t all = percentile(&load, from, 99), longest = percentile(&load, from, 100);
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
    cluster_expect_true(c, seen(c, slow, MEMBER_SUSPECT) == 4, "it is suspect, not down");
    network_set_slow(world_network(cluster_world(c)), slow - 1, 0);
    run_load(c, &load, 2000);
    cluster_expect_true(c, seen(c, slow, MEMBER_UP) == 4, "and up once it is fast again");
    end_load(c, &load);
    cluster_stop(&c);
}

/* Writers, from the moment on at which n2 becomes slow. What was forwarded to it just before it owed an answer cannot be taken back, and nobody
 * else may carry it out as well (TRAPS double_coordination): that is at most one request of each client. All else notices nothing. */
void scenario_slow_coordinator(struct cluster *none) {
    (void)none;
    struct cluster *c = start_and_fill();
    struct load load = {0};
    const unsigned slow = 2;
    begin_load(c, &load, slow);
    run_load(c, &load, 3000);
    uint64_t bound = percentile(&load, 0, 99) + 20 * MS;
    network_set_slow(world_network(cluster_world(c)), slow - 1, 500 * MS);
    size_t from = load.count;
    run_load(c, &load, 5000);
    unsigned late = 0;
    for (size_t i = from; i < load.count; i++) {
        late += load.took_us[i] > bound;
    }
    uint64_t p99 = percentile(&load, from, 99);
    char text[120];
    snprintf(text, sizeof text, "%zu requests, %u of them late, p99 %llu us, bound %llu us",
             load.count - from, late, (unsigned long long)p99, (unsigned long long)bound);
    cluster_note(c, text);
    cluster_expect_true(c, p99 <= bound, "the p99 is the others' + 20 ms at the most");
    cluster_expect_true(c, late <= CLIENTS, "nobody notices it more than once");
    cluster_expect_true(c, load.failed == 0, "no request fails");
    end_load(c, &load);
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
        cluster_expect_true(c, seen(c, node, MEMBER_UP) == 2, "everybody is up for everybody");
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
