/* Scenarios: hints, exchanges and scrub are all at work, and clients hardly notice.
 *
 * The disks do one thing after the other, so whatever the background asks of them at once stands in the clients' way. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/load.h"
#include "sim/mem.h"
#include "sim/scenario.h"

#define SECOND_US UINT64_C(1000000)
#define KEYS 4000
#define NODES 5

/* ---- a disk that has lost its rows ----------------------------------------------------------- */

struct row_names {
    struct blob *keys[KEYS];
    uint16_t slots[KEYS];
    size_t count;
};

static void note_row(void *arg, enum store_space space, const struct store_row *row) {
    struct row_names *names = arg;
    if (space == STORE_OBJECTS && names->count < KEYS) {
        names->slots[names->count] = row->slot;
        names->keys[names->count++] = mem_blob(row->key, row->key_len);
    }
}

/* All objects vanish from the disk; who the node is stays. Returns how many there were. */
static size_t lose_objects(struct disk *disk) {
    struct row_names *names = mem_zero(sizeof *names);
    store_mem_each(disk->store, note_row, names);
    size_t count = names->count;
    for (size_t i = 0; i < count; i++) {
        struct store_key at = {.space = STORE_OBJECTS,
                               .slot = names->slots[i],
                               .key = names->keys[i]->bytes,
                               .key_len = names->keys[i]->len};
        store_mem_erase_row(disk->store, &at);
        blob_unref(names->keys[i]);
    }
    free(names);
    return count;
}

/* ---- the story ------------------------------------------------------------------------------- */

static uint64_t pending(struct lab *lab) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < NODES; i++) {
        struct node_stats stats;
        if (world_state(lab->world, i) == NODE_RUNNING) {
            node_stats(world_node(lab->world, i), &stats);
            sum += stats.hints_pending;
        }
    }
    return sum;
}

static size_t objects_of(struct lab *lab, uint32_t node) {
    struct row_names *names = mem_zero(sizeof *names);
    store_mem_each(world_disk(lab->world, node)->store, note_row, names);
    size_t count = names->count;
    for (size_t i = 0; i < count; i++) {
        blob_unref(names->keys[i]);
    }
    free(names);
    return count;
}

static void expect(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "background_beside_clients: not so: %s\n", what);
        abort();
    }
}

struct outcome {
    size_t lost;   /* rows of the fourth node */
    uint64_t owed; /* hints for the fifth */
    unsigned seconds;
    bool done;
    double p99_ms; /* of what clients asked meanwhile */
};

/* The fourth node comes back with an empty store, the fifth to many hints; the scrub walks all the while. `rate`: what may be spent on all of it. */
static struct outcome come_back(uint64_t rate, unsigned most_seconds) {
    struct world_conf conf;
    lab_conf(&conf, NODES, 3, 2, 2, 7);
    conf.node.hinted_handoff = conf.node.sloppy_quorum = conf.node.anti_entropy = true;
    conf.node.anti_entropy_interval_ms = 2000;
    conf.node.handoff_rate = rate;
    conf.disk = (struct disk_conf){
        .get_min_us = 50, .get_mean_us = 50, .commit_min_us = 100, .commit_mean_us = 400};
    struct lab *lab = lab_new(&conf);
    struct load_conf load_conf = {
        .interval_us = 1000, .keys = KEYS, .read_percent = 50, .patience_us = 2 * SECOND_US};
    struct load *load = load_start(lab, &load_conf);
    struct outcome outcome = {0};
    world_elapse(lab->world, 12 * SECOND_US); /* most keys are there */
    world_crash(lab->world, 3, CRASH_PROCESS);
    outcome.lost = lose_objects(world_disk(lab->world, 3));
    world_crash(lab->world, 4, CRASH_PROCESS);
    world_elapse(lab->world, 6 * SECOND_US);
    outcome.owed = pending(lab);
    mem_must(world_start(lab->world, 3));
    mem_must(world_start(lab->world, 4));
    uint64_t from_us = world_now_us(lab->world);
    do {
        world_elapse(lab->world, SECOND_US);
        outcome.seconds++;
        outcome.done = pending(lab) == 0 && objects_of(lab, 3) >= outcome.lost;
    } while (outcome.seconds < most_seconds && !outcome.done);
    outcome.p99_ms = load_figures(load, LOAD_ALL, from_us, world_now_us(lab->world)).p99_ms;
    load_stop(load);
    load_free(&load);
    lab_free(&lab);
    return outcome;
}

/* The same twice: once nothing may be spent on repair, once as much as usual. */
void scenario_background_beside_clients(struct cluster *c) {
    assert(c == NULL);
    (void)c;
    struct outcome busy = come_back(64 << 20, 60);
    struct outcome quiet = come_back(1, busy.seconds);
    expect(busy.lost > KEYS / 3 && busy.owed > 500, "there was much to be done");
    expect(busy.done && !quiet.done, "it was done, and only in the background");
    expect(busy.p99_ms < 1.5 * quiet.p99_ms, "the p99 has grown by less than half");
}
