/* sim/faults: see faults.h.
 *
 * A fault that lasts is noted in `lasting` and ended by a FAULTS_END event. Faults of one kind may
 * overlap: paths and machines are set to what the last one says, and whoever ends first ends it
 * for both. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/faults_internal.h"
#include "sim/mem.h"

#define STALL_MOST_US (UINT64_C(240) * 1000000)

struct faults *faults_new(struct world *world, const struct plan *plan) {
    struct faults *faults = mem_zero(sizeof *faults);
    faults->world = world;
    faults->plan = plan;
    prng_seed(&faults->prng, plan->seed ^ UINT64_C(0x6661756c7473));
    for (uint32_t i = 0; i < world_nodes(world); i++) {
        int64_t skew_us =
            (int64_t)prng_below(&faults->prng, 2 * (uint64_t)plan->skew_us + 1) - plan->skew_us;
        clock_set_ahead(world_clock(world, i), world_now_us(world), skew_us);
    }
    return faults;
}

void faults_free(struct faults **handle) {
    struct faults *faults = *handle;
    if (faults != NULL) {
        for (uint32_t i = 0; i < NETWORK_MAX_NODES; i++) {
            store_mem_image_free(&faults->backups[i]);
            store_mem_image_free(&faults->unmounted[i]);
        }
        losses_free(&faults->losses);
        free(faults->lasting);
        free(faults);
        *handle = NULL;
    }
}

static uint64_t around(struct faults *faults, uint64_t mean_us) {
    return 1 + prng_below(&faults->prng, 2 * mean_us + 1);
}

static void schedule_next(struct faults *faults) {
    if (faults->mean_us > 0 && faults->weight_sum > 0) {
        world_at(faults->world, world_now_us(faults->world) + around(faults, faults->mean_us),
                 FAULTS_NEXT, 0, faults->phase);
    }
}

uint32_t faults_draw_node(struct faults *faults) {
    return (uint32_t)prng_below(&faults->prng, world_nodes(faults->world));
}

void faults_last(struct faults *faults, const struct lasting *lasting, uint64_t mean_us) {
    faults->lasting =
        mem_grow(faults->lasting, &faults->cap, faults->count + 1, sizeof *faults->lasting);
    faults->lasting[faults->count] = *lasting;
    world_at(faults->world, world_now_us(faults->world) + around(faults, mean_us), FAULTS_END,
             faults->count++, faults->phase);
}

void faults_start_if_off(struct faults *faults, uint32_t node) {
    if (world_state(faults->world, node) == NODE_OFF && world_start(faults->world, node) != RD_OK) {
        faults_last(faults, &(struct lasting){.kind = FAULT_KILL, .node = node}, 500000);
    }
}

/* ---- phases ---------------------------------------------------------------------------------- */

static void begin_phase(struct faults *faults, uint64_t mean_us, uint64_t length_us) {
    faults->running = true;
    faults->phase++;
    faults->mean_us = mean_us;
    faults->length_us = length_us;
    faults->weight_sum = 0;
    for (int i = 0; i < FAULT_KINDS; i++) {
        faults->weight_sum += faults->weights[i];
    }
}

void faults_start(struct faults *faults) {
    memcpy(faults->weights, faults->plan->fault_weights, sizeof faults->weights);
    begin_phase(faults, faults->plan->fault_mean_us, faults->plan->fault_length_us);
    schedule_next(faults);
}

/* Kinds that take long whatever the length of faults, and those of disks that come back. */
static bool may_come_at_birth(int kind) {
    return kind != FAULT_SWIZZLE && kind != FAULT_STALL && kind < FAULT_UNMOUNT;
}

void faults_start_birth(struct faults *faults) {
    for (int i = 0; i < FAULT_KINDS; i++) {
        faults->weights[i] = may_come_at_birth(i) ? faults->plan->fault_weights[i] : 0;
    }
    begin_phase(faults, 200000, 400000);
    for (uint32_t i = 0; i < world_nodes(faults->world); i++) {
        world_at(faults->world, world_now_us(faults->world) + prng_below(&faults->prng, 2000000),
                 FAULTS_START, i, faults->phase);
    }
    schedule_next(faults);
}

/* ---- the network ----------------------------------------------------------------------------- */

static void set_path(struct faults *faults, uint32_t from, uint32_t to, enum network_path path) {
    network_set_path(world_network(faults->world), from, to, path, world_now_us(faults->world));
}

static void cut(struct faults *faults, uint32_t a, uint32_t b) {
    if (a == b) {
        return;
    }
    set_path(faults, a, b, PATH_SILENT);
    set_path(faults, b, a, PATH_SILENT);
    if (prng_chance(&faults->prng, 2, 3)) { /* else both wait for each other in silence */
        network_break(world_network(faults->world), a, b, world_now_us(faults->world));
    }
}

static void heal(struct faults *faults, uint32_t a, uint32_t b) {
    set_path(faults, a, b, PATH_OPEN);
    set_path(faults, b, a, PATH_OPEN);
}

/* Cuts (or heals) every pair of which one is on the side and the other is not; `bridge` stays with
 * both. */
static void split(struct faults *faults, uint32_t side, uint32_t bridge, bool heals) {
    uint32_t nodes = world_nodes(faults->world);
    for (uint32_t a = 0; a < nodes; a++) {
        for (uint32_t b = a + 1; b < nodes; b++) {
            bool apart = (side >> a & 1) != (side >> b & 1) && a != bridge && b != bridge;
            if (apart && heals) {
                heal(faults, a, b);
            } else if (apart) {
                cut(faults, a, b);
            }
        }
    }
}

void faults_isolate(struct faults *faults, uint32_t node, bool heals) {
    split(faults, UINT32_C(1) << node, UINT32_MAX, heals);
}

/* For seconds mostly, up to minutes; half the time one side gives the connections up at once, and dials anew. */
static void stall(struct faults *faults, uint32_t a, uint32_t b) {
    uint64_t most_us = prng_chance(&faults->prng, 1, 3) ? STALL_MOST_US : 2 * faults->length_us;
    uint64_t for_us = prng_below(&faults->prng, most_us + 1);
    network_stall(world_network(faults->world), a, b, world_now_us(faults->world), for_us,
                  prng_chance(&faults->prng, 1, 2));
}

static void begin_network(struct faults *faults, enum plan_fault kind) {
    uint32_t nodes = world_nodes(faults->world);
    struct lasting lasting = {
        .kind = kind, .node = faults_draw_node(faults), .other = faults_draw_node(faults)};
    if (nodes < 2 || lasting.node == lasting.other) {
        return;
    }
    switch (kind) {
    case FAULT_CUT:
        cut(faults, lasting.node, lasting.other);
        break;
    case FAULT_ONE_WAY:
        set_path(faults, lasting.node, lasting.other, PATH_SILENT);
        break;
    case FAULT_HELD:
        set_path(faults, lasting.node, lasting.other, PATH_HELD);
        break;
    case FAULT_ISOLATE:
        lasting.side = UINT32_C(1) << lasting.node;
        split(faults, lasting.side, UINT32_MAX, false);
        break;
    case FAULT_HALVES:
    case FAULT_BRIDGE:
        lasting.side = (uint32_t)prng_below(&faults->prng, UINT64_C(1) << nodes);
        lasting.other = kind == FAULT_BRIDGE ? lasting.node : UINT32_MAX;
        split(faults, lasting.side, lasting.other, false);
        break;
    case FAULT_STALL:
        stall(faults, lasting.node, lasting.other);
        return;
    case FAULT_FLAP:
        lasting.left = 2 + (uint32_t)prng_below(&faults->prng, 8);
        network_break(world_network(faults->world), lasting.node, lasting.other,
                      world_now_us(faults->world));
        faults_last(faults, &lasting, faults->length_us / 8);
        return;
    default: /* SWIZZLE: at each step one more node is cut off, or comes back */
        lasting.side = (1u << nodes) - 1;
        lasting.other = 0;
        lasting.left = 2 + (uint32_t)prng_below(&faults->prng, 2 * nodes - 1);
        faults_last(faults, &lasting, faults->length_us / 4);
        return;
    }
    faults_last(faults, &lasting, faults->length_us);
}

/* Some node of the set, which is not empty. */
static uint32_t draw_of(struct faults *faults, uint32_t set) {
    uint32_t node = faults_draw_node(faults);
    while ((set >> node & 1) == 0) {
        node = (node + 1) % world_nodes(faults->world);
    }
    return node;
}

/* `side` are the nodes that are still to be cut off; when there is none, or time is short, those that are cut off come back, in any
 * order. Between two that are cut off nothing goes until both are back. */
static void swizzle(struct faults *faults, struct lasting *next) {
    uint32_t nodes = world_nodes(faults->world), off = next->other;
    if (next->side != 0 && next->left > (uint32_t)__builtin_popcount(off)) {
        uint32_t node = draw_of(faults, next->side);
        next->side &= ~(1u << node);
        next->other |= 1u << node;
        split(faults, 1u << node, UINT32_MAX, false);
        return;
    }
    next->side = 0;
    if (off == 0) {
        return;
    }
    uint32_t node = draw_of(faults, off);
    next->other &= ~(1u << node);
    for (uint32_t peer = 0; peer < nodes; peer++) {
        if (peer != node && (next->other >> peer & 1) == 0) {
            heal(faults, node, peer);
        }
    }
}

/* The next step of a fault that goes on. */
static void repeat(struct faults *faults, struct lasting *lasting) {
    struct lasting next = *lasting;
    if (lasting->left == 0) {
        return;
    }
    next.left--;
    if (lasting->kind == FAULT_FLAP) {
        network_break(world_network(faults->world), lasting->node, lasting->other,
                      world_now_us(faults->world));
        faults_last(faults, &next, faults->length_us / 8);
        return;
    }
    if (lasting->kind == FAULT_CRASH_LOOP) {
        if (world_state(faults->world, lasting->node) == NODE_OFF) {
            faults_start_if_off(faults, lasting->node);
            world_crash_after(faults->world, lasting->node, 1 + prng_below(&faults->prng, 40),
                              CRASH_PROCESS);
        }
        faults_last(faults, &next, 50000);
        return;
    }
    swizzle(faults, &next);
    faults_last(faults, &next, faults->length_us / 4);
}

/* ---- processes and machines ------------------------------------------------------------------ */

static void begin_process(struct faults *faults, enum plan_fault kind) {
    struct lasting lasting = {.kind = kind, .node = faults_draw_node(faults)};
    uint64_t inside = 1 + prng_below(&faults->prng, 200);
    if (world_state(faults->world, lasting.node) != NODE_RUNNING) {
        return;
    }
    enum world_crash power = prng_chance(&faults->prng, 1, 3) ? CRASH_POWER_WORST : CRASH_POWER;
    switch (kind) {
    case FAULT_KILL:
        world_crash(faults->world, lasting.node, CRASH_PROCESS);
        faults_last(faults, &lasting, faults->length_us / 10);
        return;
    case FAULT_POWER:
        world_crash(faults->world, lasting.node, power);
        break;
    case FAULT_KILL_INSIDE:
        world_crash_after(faults->world, lasting.node, inside, CRASH_PROCESS);
        break;
    case FAULT_POWER_INSIDE:
        world_crash_after(faults->world, lasting.node, inside, power);
        break;
    case FAULT_CRASH_LOOP:
        world_crash(faults->world, lasting.node, CRASH_PROCESS);
        lasting.left = 2 + (uint32_t)prng_below(&faults->prng, 6);
        faults_last(faults, &lasting, 20000);
        return;
    case FAULT_PAUSE:
        world_pause(faults->world, lasting.node);
        break;
    case FAULT_SLOW_DISK:
        world_disk(faults->world, lasting.node)->slow_us = 1000 + prng_below(&faults->prng, 100000);
        break;
    default: /* SLOW */
        network_set_slow(world_network(faults->world), lasting.node,
                         1000 + prng_below(&faults->prng, 300000));
        break;
    }
    faults_last(faults, &lasting, faults->length_us);
}

/* ---- begin and end --------------------------------------------------------------------------- */

static void begin(struct faults *faults, enum plan_fault kind) {
    faults->counts[kind]++;
    if (kind <= FAULT_SLOW_DISK) {
        begin_process(faults, kind);
    } else if (kind <= FAULT_SWIZZLE) {
        begin_network(faults, kind);
    } else {
        faults_begin_disk(faults, kind);
    }
}

static void end(struct faults *faults, size_t number) {
    struct lasting lasting = faults->lasting[number];
    switch (lasting.kind) {
    case FAULT_KILL:
    case FAULT_POWER:
    case FAULT_KILL_INSIDE:
    case FAULT_POWER_INSIDE:
        faults_start_if_off(faults, lasting.node);
        break;
    case FAULT_CRASH_LOOP:
        if (lasting.left == 0) {
            faults_start_if_off(faults, lasting.node);
        }
        repeat(faults, &lasting);
        break;
    case FAULT_PAUSE:
        world_resume(faults->world, lasting.node);
        break;
    case FAULT_SLOW:
        network_set_slow(world_network(faults->world), lasting.node, 0);
        break;
    case FAULT_SLOW_DISK:
        world_disk(faults->world, lasting.node)->slow_us = 0;
        break;
    case FAULT_CUT:
    case FAULT_ONE_WAY:
    case FAULT_HELD:
        heal(faults, lasting.node, lasting.other);
        break;
    case FAULT_ISOLATE:
        split(faults, lasting.side, UINT32_MAX, true);
        break;
    case FAULT_HALVES:
    case FAULT_BRIDGE:
        split(faults, lasting.side, lasting.other, true);
        break;
    case FAULT_FLAP:
    case FAULT_SWIZZLE:
        repeat(faults, &lasting);
        break;
    default:
        faults_end_disk(faults, &lasting);
        break;
    }
}

void faults_event(struct faults *faults, const struct sim_event *event) {
    if (!faults->running || event->b != faults->phase) {
        return;
    }
    if (event->kind == FAULTS_START) {
        faults_start_if_off(faults, (uint32_t)event->a);
        return;
    }
    if (event->kind == FAULTS_END) {
        end(faults, event->a);
        return;
    }
    uint32_t drawn = (uint32_t)prng_below(&faults->prng, faults->weight_sum);
    int kind = 0;
    while (drawn >= faults->weights[kind]) {
        drawn -= faults->weights[kind++];
    }
    begin(faults, (enum plan_fault)kind);
    schedule_next(faults);
}

void faults_heal(struct faults *faults) {
    struct network_conf *network = world_network_conf(faults->world);
    faults->running = false;
    network->drop_ppm = network->duplicate_ppm = network->reorder_ppm = network->tail_ppm = 0;
    world_disk_conf(faults->world)->stall_ppm = 0;
    for (uint32_t a = 0; a < world_nodes(faults->world); a++) {
        world_crash_after(faults->world, a, UINT64_MAX, CRASH_PROCESS); /* none any more */
        network_set_slow(world_network(faults->world), a, 0);
        world_disk(faults->world, a)->slow_us = 0;
        faults_mend(faults, a);
        world_resume(faults->world, a);
        if (world_state(faults->world, a) == NODE_OFF) {
            enum rd_err err = world_start(faults->world, a);
            assert(err == RD_OK);
            (void)err;
        }
        for (uint32_t b = 0; b < a; b++) {
            heal(faults, a, b);
        }
    }
}

void faults_night(struct faults *faults) {
    uint32_t node = faults_draw_node(faults);
    uint64_t now_us = world_now_us(faults->world);
    faults_heal(faults);
    faults->away = node;
    switch (faults->plan->night) {
    case NIGHT_OFF:
        world_crash(faults->world, node, CRASH_PROCESS);
        break;
    case NIGHT_POWER:
        world_crash(faults->world, node, CRASH_POWER);
        break;
    case NIGHT_STILL:
        world_pause(faults->world, node);
        break;
    default: /* CUT, SILENT */
        for (uint32_t peer = 0; peer < world_nodes(faults->world); peer++) {
            if (peer != node) {
                set_path(faults, node, peer, PATH_SILENT);
                set_path(faults, peer, node, PATH_SILENT);
                if (faults->plan->night == NIGHT_CUT) {
                    network_break(world_network(faults->world), node, peer, now_us);
                }
            }
        }
        break;
    }
}

void faults_morning(struct faults *faults) {
    world_resume(faults->world, faults->away);
    faults_isolate(faults, faults->away, true);
    faults_start(faults);
    faults_start_if_off(faults, faults->away);
}

const uint64_t *faults_counts(const struct faults *faults) {
    return faults->counts;
}

const struct losses *faults_losses(const struct faults *faults) {
    return &faults->losses;
}
