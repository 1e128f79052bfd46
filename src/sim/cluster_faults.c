/* sim/cluster: what may happen to nodes and frames, placement, and the trace; see cluster.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resp/command.h"
#include "sim/cluster_internal.h"
#include "sim/mem.h"

/* ---- the network ----------------------------------------------------------------------------- */

static void note(struct cluster *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct cluster *c, const char *format, ...) {
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cluster_note(c, text);
}

static void set_paths(struct cluster *c, unsigned a, unsigned b, enum network_path path) {
    uint64_t now_us = world_now_us(c->world);
    network_set_path(world_network(c->world), a - 1, b - 1, path, now_us);
    network_set_path(world_network(c->world), b - 1, a - 1, path, now_us);
}

void cluster_cut(struct cluster *c, unsigned a, unsigned b) {
    note(c, "n%u and n%u are cut off from each other", a, b);
    set_paths(c, a, b, PATH_SILENT);
    network_break(world_network(c->world), a - 1, b - 1, world_now_us(c->world));
    world_elapse(c->world, 10000); /* both ends notice */
}

void cluster_silence(struct cluster *c, unsigned from, unsigned to) {
    note(c, "nothing gets from n%u to n%u", from, to);
    network_set_path(world_network(c->world), from - 1, to - 1, PATH_SILENT,
                     world_now_us(c->world));
}

void cluster_heal(struct cluster *c, unsigned a, unsigned b) {
    note(c, "n%u and n%u can talk again", a, b);
    set_paths(c, a, b, PATH_OPEN);
}

void cluster_isolate(struct cluster *c, unsigned node) {
    note(c, "n%u is cut off", node);
    for (unsigned other = 1; other <= world_nodes(c->world); other++) {
        if (other != node) {
            set_paths(c, node, other, PATH_SILENT);
            network_break(world_network(c->world), node - 1, other - 1, world_now_us(c->world));
        }
    }
    world_elapse(c->world, 10000);
}

void cluster_heal_all(struct cluster *c) {
    note(c, "the network is whole again");
    for (unsigned a = 1; a <= world_nodes(c->world); a++) {
        for (unsigned b = a + 1; b <= world_nodes(c->world); b++) {
            set_paths(c, a, b, PATH_OPEN);
        }
    }
}

/* ---- machines -------------------------------------------------------------------------------- */

void cluster_crash(struct cluster *c, unsigned node) {
    world_crash(c->world, node - 1, CRASH_PROCESS);
}

void cluster_crash_losing_unsynced(struct cluster *c, unsigned node) {
    world_crash(c->world, node - 1, CRASH_POWER_WORST);
}

void cluster_restart(struct cluster *c, unsigned node) {
    enum rd_err err = world_start(c->world, node - 1);
    cluster_expect_true(c, err == RD_OK, "the node starts");
    c->ids[node - 1] = node_self(world_node(c->world, node - 1));
}

void cluster_wipe(struct cluster *c, unsigned node) {
    assert(world_state(c->world, node - 1) == NODE_OFF);
    note(c, "the disk of n%u is empty", node);
    store_mem_wipe(world_disk(c->world, node - 1)->store);
}

void cluster_erase(struct cluster *c, unsigned node, const char *key) {
    struct node *running = world_node(c->world, node - 1);
    assert(running != NULL);
    note(c, "n%u loses its row of %s", node, key);
    struct store_key at = {.space = STORE_OBJECTS,
                           .slot = node_slot(running, key, strlen(key)),
                           .key = key,
                           .key_len = strlen(key)};
    bool had = store_mem_erase_row(world_disk(c->world, node - 1)->store, &at);
    cluster_expect_true(c, had, "there is a row to erase");
}

void cluster_damage(struct cluster *c, unsigned node, const char *key) {
    struct node *running = world_node(c->world, node - 1);
    assert(running != NULL);
    note(c, "the row of %s on n%u is damaged", key, node);
    struct store_key at = {.space = STORE_OBJECTS,
                           .slot = node_slot(running, key, strlen(key)),
                           .key = key,
                           .key_len = strlen(key)};
    bool had = store_mem_corrupt_row(world_disk(c->world, node - 1)->store, &at);
    cluster_expect_true(c, had, "there is a row to damage");
}

static bool all_idle(struct cluster *c) {
    for (uint32_t i = 0; i < world_nodes(c->world); i++) {
        const struct node *node = world_node(c->world, i);
        if (node != NULL && !node_background_idle(node)) {
            return false;
        }
    }
    return true;
}

uint64_t cluster_repair(struct cluster *c) {
    struct node_stats before, after;
    uint64_t until_us = world_now_us(c->world) + 120000000;
    world_stats(c->world, &before);
    for (uint32_t i = 0; i < world_nodes(c->world); i++) {
        struct node *node = world_node(c->world, i);
        if (node != NULL) {
            node_repair(node, UINT32_MAX);
        }
    }
    do {
        cluster_expect_true(c, world_now_us(c->world) < until_us, "anti-entropy comes to an end");
        world_elapse(c->world, 100000);
    } while (!all_idle(c));
    world_stats(c->world, &after);
    return after.antientropy_keys_repaired - before.antientropy_keys_repaired;
}

void cluster_skew_ms(struct cluster *c, unsigned node, int64_t ms) {
    note(c, "the clock of n%u is %lld ms ahead", node, (long long)ms);
    clock_set_ahead(world_clock(c->world, node - 1), world_now_us(c->world), ms * 1000);
}

void cluster_elapse_ms(struct cluster *c, uint64_t ms) {
    world_elapse(c->world, ms * 1000);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static bool kind_of(const struct blob *frame, enum wire_kind *kind) {
    struct resp_limits limits;
    struct resp_command_reader reader;
    resp_limits_default(&limits);
    resp_command_init(&reader, &limits);
    const struct resp_slice *argv;
    size_t argc, consumed;
    struct wire_msg msg;
    bool known =
        resp_command_read(&reader, frame->bytes, frame->len, &consumed, &argv, &argc) == RD_OK &&
        wire_decode(argv, argc, &msg) == RD_OK;
    if (known) {
        *kind = msg.kind;
    }
    resp_command_free(&reader);
    return known;
}

bool cluster_tap(void *arg, uint32_t from, uint32_t to, uint64_t link, struct blob *frame) {
    struct cluster *c = arg;
    enum wire_kind kind;
    if (c->rule_count == 0 || !kind_of(frame, &kind)) {
        return true;
    }
    for (size_t i = 0; i < c->rule_count; i++) {
        struct frame_rule *rule = &c->rules[i];
        if (rule->left == 0 || rule->from != from || rule->to != to || rule->kind != kind) {
            continue;
        }
        rule->left--;
        note(c, "    ... which is %s", rule->keep ? "kept back" : "lost");
        if (rule->keep) {
            c->kept = mem_grow(c->kept, &c->kept_cap, c->kept_count + 1, sizeof *c->kept);
            c->kept[c->kept_count++] = (struct kept_frame){from, link, blob_ref(frame)};
        }
        return false;
    }
    return true;
}

static void add_rule(struct cluster *c, unsigned from, unsigned to, enum wire_kind kind,
                     unsigned count, bool keep) {
    c->rules = mem_grow(c->rules, &c->rule_cap, c->rule_count + 1, sizeof *c->rules);
    c->rules[c->rule_count++] = (struct frame_rule){
        .from = from - 1, .to = to - 1, .kind = kind, .left = count, .keep = keep};
}

void cluster_lose(struct cluster *c, unsigned from, unsigned to, enum wire_kind kind,
                  unsigned count) {
    add_rule(c, from, to, kind, count, false);
}

void cluster_keep(struct cluster *c, unsigned from, unsigned to, enum wire_kind kind,
                  unsigned count) {
    add_rule(c, from, to, kind, count, true);
}

size_t cluster_release(struct cluster *c) {
    size_t count = c->kept_count;
    c->rule_count = 0;
    c->kept_count = 0;
    note(c, "what was kept back is sent on");
    for (size_t i = 0; i < count; i++) {
        struct kept_frame *kept = &c->kept[i];
        network_send(world_network(c->world), kept->from, kept->link, kept->frame,
                     world_now_us(c->world));
        blob_unref(kept->frame);
    }
    return count;
}

/* ---- placement ------------------------------------------------------------------------------- */

/* The machine of the member at `index` of `node`'s list; 0 if none. */
static unsigned machine_of(struct cluster *c, const struct node *node, uint16_t index) {
    struct member_view view;
    node_member(node, index, world_instant(c->world, 0), &view);
    for (unsigned i = 0; i < world_nodes(c->world); i++) {
        if (node_id_compare(&c->ids[i], &view.id) == 0) {
            return i + 1;
        }
    }
    return 0;
}

size_t cluster_homes(struct cluster *c, const char *key, unsigned *nodes, size_t max) {
    const struct node *node = NULL;
    for (uint32_t i = 0; i < world_nodes(c->world) && node == NULL; i++) {
        node = world_node(c->world, i);
    }
    assert(node != NULL);
    uint16_t list[RING_MAX_MEMBERS];
    size_t homes = 0;
    uint16_t partition = slot_partition(node_slot(node, key, strlen(key)), node_partitions(node));
    node_preflist(node, partition, list, RING_MAX_MEMBERS, &homes);
    for (size_t i = 0; i < homes && i < max; i++) {
        nodes[i] = machine_of(c, node, list[i]);
    }
    return homes < max ? homes : max;
}

void cluster_key_at(struct cluster *c, const unsigned *nodes, size_t count, char key[32]) {
    for (unsigned number = 1; number < 100000; number++) {
        unsigned homes[16];
        snprintf(key, 32, "k%u", number);
        size_t found = cluster_homes(c, key, homes, 16);
        if (found >= count && memcmp(homes, nodes, count * sizeof *nodes) == 0) {
            snprintf(c->alias, sizeof c->alias, "%s", key);
            return;
        }
    }
    cluster_expect_true(c, false, "some key has these homes");
}

/* ---- the trace ------------------------------------------------------------------------------- */

/* True for lines that are about the story, not about how a cluster stays alive. */
static bool tells(const char *line) {
    static const char *const upkeep[] = {"HELLO", "CHALLENGE", "PROOF",  "WELCOME", "PING",
                                         "PONG",  "PROBE",     "GOSSIP", "DIGEST",  "ENTRIES",
                                         "BIRTH", "BORN",      "TREE"};
    const char *arrow = strstr(line, " -> ");
    const char *space = strchr(line, ' ');
    if (space != NULL && (space[1] == '.' || space[1] == '#')) {
        return false; /* a line of the node's own log */
    }
    if (strstr(line, "(row)") != NULL) {
        return false;
    }
    const char *said = arrow != NULL ? strstr(arrow, "  ") : NULL;
    for (size_t i = 0; said != NULL && i < sizeof upkeep / sizeof *upkeep; i++) {
        if (strncmp(said + 2, upkeep[i], strlen(upkeep[i])) == 0) {
            return false;
        }
    }
    return true;
}

/* Appends the line, with the key of cluster_key_at called "k": which number it has changes with
 * the nodes' ids. */
static void tell(struct cluster *c, const char *line) {
    size_t len = strlen(c->alias);
    while (*line != 0) {
        bool word =
            len > 0 && strncmp(line, c->alias, len) == 0 && (line[len] == 0 || line[len] == ' ');
        mem_append(&c->story, line, 1);
        line += word ? len : 1;
    }
    mem_append(&c->story, "\n", 1);
}

static void hear(void *arg, uint64_t at_us, const char *line) {
    struct cluster *c = arg;
    if (!c->recording || (!c->all && !tells(line))) {
        return;
    }
    uint64_t us = at_us - c->record_from_us;
    mem_printf(&c->story, "%6llu.%03llu  ", (unsigned long long)(us / 1000),
               (unsigned long long)(us % 1000));
    tell(c, line);
}

void trace_attach(struct cluster *c) {
    world_trace(c->world)->listener = hear;
    world_trace(c->world)->arg = c;
}

void cluster_record(struct cluster *c, bool all) {
    buf_reset(&c->story, 0);
    c->recording = true;
    c->all = all;
    c->record_from_us = world_now_us(c->world);
}

void cluster_note(struct cluster *c, const char *text) {
    trace_line(world_trace(c->world), world_now_us(c->world), "%s", text);
}

const char *cluster_story(struct cluster *c) {
    mem_append(&c->story, "", 1);
    buf_truncate(&c->story,
                 buf_len(&c->story) - 1); /* the zero stays where it is until the next line */
    return (const char *)buf_data(&c->story);
}
