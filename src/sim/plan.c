/* sim/plan: see plan.h. */
#include "sim/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "sim/mem.h"
#include "sim/world.h"

#define LATE_MS 100 /* a node may answer so long after its request-timeout, by true time */

/* 0 with the chance of `off` in 100, else 1..most. */
static uint32_t swarm(struct prng *prng, uint32_t off, uint32_t most) {
    return prng_below(prng, 100) < off ? 0 : 1 + (uint32_t)prng_below(prng, most);
}

static uint32_t pick(struct prng *prng, const uint32_t *choices, size_t count) {
    return choices[prng_below(prng, count)];
}

static void draw_cluster(struct plan *plan, struct prng *prng) {
    static const uint32_t nodes[] = {1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 6, 7};
    static const uint32_t partitions[] = {1, 8, 16, 32};
    static const uint32_t zones[] = {1, 1, 1, 2, 3};
    struct world_conf *world = &plan->world;
    world_conf_default(world, pick(prng, nodes, sizeof nodes / sizeof *nodes), prng_u64(prng));
    world->check_every = 64;
    world->turn_us = prng_below(prng, 300);
    struct node_conf *node = &world->node;
    node->partitions = pick(prng, partitions, sizeof partitions / sizeof *partitions);
    node->partitioner = prng_chance(prng, 1, 4) ? PARTITIONER_MD5 : PARTITIONER_CRC16;
    node->conflict_resolution =
        prng_chance(prng, 1, 10) ? CONFLICT_LAST_WRITE_WINS : CONFLICT_SIBLINGS;
    if (prng_chance(prng, 1, 4)) { /* any N, R and W */
        node->n = 1 + (uint32_t)prng_below(prng, 5);
        node->r = 1 + (uint32_t)prng_below(prng, node->n);
        node->w = 1 + (uint32_t)prng_below(prng, node->n);
    }
    world->answer_us = (node->request_timeout_ms + LATE_MS) * UINT64_C(1000);
    node->max_siblings = prng_chance(prng, 1, 6) ? 4 : 100;
    if (prng_chance(prng, 1, 4)) {
        snprintf(node->secret, sizeof node->secret, "secret");
    }
    world->zones = pick(prng, zones, sizeof zones / sizeof *zones);
}

static void draw_weather(struct plan *plan, struct prng *prng) {
    struct network_conf *network = &plan->world.network;
    network->delay_min_us = 50 + prng_below(prng, 500);
    network->delay_mean_us = prng_below(prng, 2000);
    network->tail_ppm = swarm(prng, 40, 50000);
    network->tail_us = 1000 + prng_below(prng, 2000000);
    network->drop_ppm = swarm(prng, 60, prng_chance(prng, 1, 4) ? 100000 : 5000);
    network->duplicate_ppm = swarm(prng, 60, 50000);
    network->reorder_ppm = swarm(prng, 60, 300000);
    struct disk_conf *disk = &plan->world.disk;
    disk->get_mean_us = 10 + prng_below(prng, 1000);
    disk->commit_mean_us = 20 + prng_below(prng, 3000);
    disk->stall_ppm = swarm(prng, 60, 10000);
    disk->stall_us = 10000 + prng_below(prng, 700000);
}

static void draw_requests(struct plan *plan, struct prng *prng) {
    static const uint32_t keys[] = {1, 2, 4, 8, 16, 40};
    plan->clients = 2 + (uint32_t)prng_below(prng, 15);
    plan->keys = pick(prng, keys, sizeof keys / sizeof *keys);
    plan->hot_percent = swarm(prng, 50, 60);
    plan->ops = 1500 + (uint32_t)prng_below(prng, 2500);
    plan->sticky_percent = (uint32_t)prng_below(prng, 101);
    for (int i = 0; i < REQUEST_SCAN; i++) {
        plan->request_weights[i] = swarm(prng, 30, 20);
    }
    plan->request_weights[REQUEST_GET] += 20;
    plan->request_weights[REQUEST_COUNT] /= 8;
    plan->request_weights[REQUEST_REPLICAS] /= 8;
    if (prng_chance(
            prng, 1,
            3)) { /* nothing that hides a loss: writes with contexts and beside others only */
        plan->request_weights[REQUEST_SET] = plan->request_weights[REQUEST_DEL] = 0;
        plan->request_weights[REQUEST_DEL_SET] = plan->request_weights[REQUEST_SET_EXPIRING] = 0;
        plan->request_weights[REQUEST_SET_EMPTY] = 0;
        plan->request_weights[REQUEST_PUT_FRESH] += 15;
    } else {
        plan->request_weights[REQUEST_SET] += 10;
    }
    plan->attack_us = 20000000 + prng_below(prng, 40000000);
    plan->think_us = plan->attack_us * plan->clients / plan->ops;
}

static void draw_faults(struct plan *plan, struct prng *prng) {
    for (int i = 0; i < FAULT_KINDS; i++) {
        plan->fault_weights[i] = swarm(prng, 50, 10);
    }
    /* Losing data weakens what can be demanded: not too often, and whole disks less than rows. */
    bool destroys = prng_chance(prng, 1, 3);
    for (int i = PLAN_DESTROYING_FAULTS; i < FAULT_KINDS; i++) {
        uint32_t rarer = i >= FAULT_WIPE ? 3 : 1;
        plan->fault_weights[i] = destroys ? (plan->fault_weights[i] + rarer - 1) / rarer : 0;
    }
    plan->fault_mean_us = prng_chance(prng, 1, 12) ? 0 : 300000 + prng_below(prng, 2000000);
    plan->fault_length_us = 100000 + prng_below(prng, 6000000);
    static const int64_t skews[] = {
        0, 0, 1000, 100000, 60000000, INT64_C(3600000000), INT64_C(94608000000000)};
    plan->skew_us = skews[prng_below(prng, sizeof skews / sizeof *skews)];
    if (plan->skew_us == 0) {
        plan->fault_weights[FAULT_CLOCK_JUMP] = plan->fault_weights[FAULT_CLOCK_BACK] = 0;
    }
}

/* Sloppy quorums or none; hints without limits, or with hardly any room, or slowly delivered. */
static void draw_hints(struct plan *plan, struct prng *prng, enum plan_mode mode) {
    struct node_conf *node = &plan->world.node;
    bool tight = mode == PLAN_TIGHT;
    node->sloppy_quorum = !prng_chance(prng, 1, 6) || tight;
    node->hinted_handoff = !prng_chance(prng, 1, 10) || tight;
    if (prng_chance(prng, 1, 4) || tight) {
        node->max_hint_bytes = 300 + prng_below(prng, 2500);
    }
    if (prng_chance(prng, 1, 4)) {
        node->handoff_rate = 10000 + prng_below(prng, 100000);
    }
}

/* Anti-entropy, often or rarely, or not at all: then all is read before it is judged. */
static void draw_repair(struct plan *plan, struct prng *prng) {
    struct node_conf *node = &plan->world.node;
    node->anti_entropy = !prng_chance(prng, 1, 4);
    node->anti_entropy_interval_ms = 1000 + (uint32_t)prng_below(prng, 30000);
}

/* How much is attacked: the birth of the cluster, and what the promises rest on. */
static void draw_phases(struct plan *plan, struct prng *prng, enum plan_mode mode) {
    plan->birth_us = prng_chance(prng, 1, 4) ? 1000000 + prng_below(prng, 3000000) : 0;
    plan->beyond = (prng_chance(prng, 1, 8) && mode != PLAN_REAPING) || mode == PLAN_BEYOND;
    for (int i = PLAN_BEYOND_FAULTS; i < FAULT_KINDS; i++) {
        uint32_t weight = 1 + (uint32_t)prng_below(prng, 3);
        plan->fault_weights[i] = plan->beyond ? weight : 0;
    }
}

/* Nodes die and come back, but those that run are in touch: what read-modify-writes add up to can be judged. */
static void keep_together(struct plan *plan, struct prng *prng) {
    static const enum plan_fault kept[] = {FAULT_KILL,       FAULT_KILL_INSIDE, FAULT_CRASH_LOOP,
                                           FAULT_CLOCK_JUMP, FAULT_CLOCK_BACK,  FAULT_CLOCK_DRIFT};
    uint32_t weights[FAULT_KINDS] = {0};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        weights[kept[i]] = plan->fault_weights[kept[i]];
    }
    memcpy(plan->fault_weights, weights, sizeof weights);
    plan->fault_weights[FAULT_KILL] += 5;
    plan->request_weights[REQUEST_APPEND] += 60;
    struct network_conf *network = &plan->world.network;
    network->drop_ppm = network->duplicate_ppm = network->reorder_ppm = network->tail_ppm = 0;
    plan->world.disk.stall_ppm = 0;
    plan->birth_us = 0;
    plan->night = plan->night_us > 0 ? NIGHT_OFF : NIGHT_NONE;
    plan->request_weights[REQUEST_FLUSH] = 0;
    if (!prng_chance(prng, 1, 4)) { /* with fallbacks less can be demanded */
        plan->world.node.sloppy_quorum = false;
    }
}

/* Lists of all keys in a quarter of the plans; in half of these, seldom, their deletion, which hides what else may be wrong. */
static void draw_scans(struct plan *plan, struct prng *prng) {
    bool scans = prng_chance(prng, 1, 4);
    plan->request_weights[REQUEST_SCAN] = scans ? 1 + (uint32_t)prng_below(prng, 8) : 0;
    plan->request_weights[REQUEST_FLUSH] = scans && prng_chance(prng, 1, 2);
}

/* Half of the plans forget what was deleted at once, or soon; not where old copies of disks come back, which the grace is for. */
static void draw_grace(struct plan *plan, struct prng *prng) {
    bool restores = plan->fault_mean_us > 0 && (plan->fault_weights[FAULT_RESTORE] > 0 ||
                                                plan->fault_weights[FAULT_RESTORE_ALL] > 0);
    uint64_t grace_ms = prng_chance(prng, 1, 2) ? 0 : prng_below(prng, 10000);
    if (prng_chance(prng, 1, 2) && !restores) {
        plan->world.node.tombstone_grace_ms = grace_ms;
    }
}

/* A machine is away for up to two hours in one of sixteen plans. How soon a silent link is given up differs from plan to plan, too. */
static void draw_night(struct plan *plan, struct prng *prng) {
    static const uint32_t patience_s[] = {3, 10, 30};
    static const uint32_t silence_ms[] = {5000, 5000, 5000, 2000, 15000};
    plan->patience_us =
        pick(prng, patience_s, sizeof patience_s / sizeof *patience_s) * UINT64_C(1000000);
    /* A fresh node's patience with its seeds is shorter than the longest. */
    plan->world.node.failure_timeout_ms =
        pick(prng, silence_ms, sizeof silence_ms / sizeof *silence_ms - (plan->birth_us > 0));
    uint64_t night_us = UINT64_C(60000000) * (10 + prng_below(prng, 110));
    enum plan_night night = (enum plan_night)(1 + prng_below(prng, NIGHT_KINDS - 1));
    if (prng_chance(prng, 1, 16) && plan->world.nodes > 1) {
        plan->night = night;
        plan->night_us = night_us;
    }
}

/* Much is deleted and forgotten at once, over and over, while frames are late and next to nothing else goes wrong: reaping needs keys
 * that nobody touches for seconds, and everybody within reach. A hint would tell that a frame is late, so most do without. */
static void forget_much(struct plan *plan, struct prng *prng) {
    struct node_conf *node = &plan->world.node;
    struct network_conf *network = &plan->world.network;
    plan->world.nodes =
        3 + (uint32_t)prng_below(prng, 2); /* few paths, so that those that are held matter */
    node->n = 3;
    node->r = node->w = 2;
    plan->attack_us = 90000000 + prng_below(prng, 90000000);
    plan->think_us = plan->attack_us * plan->clients / plan->ops;
    plan->keys = 40 + (uint32_t)prng_below(prng, 80);
    plan->hot_percent = 0;
    plan->skew_us = 0;
    plan->request_weights[REQUEST_DEL] += 25;
    plan->request_weights[REQUEST_REMOVE_FRESH] += 15;
    plan->request_weights[REQUEST_SET] += 15;
    plan->request_weights[REQUEST_FLUSH] = 0;
    memset(plan->fault_weights, 0, sizeof plan->fault_weights);
    plan->fault_weights[FAULT_HELD] = 4 + (uint32_t)prng_below(prng, 8);
    plan->fault_weights[FAULT_STALL] = (uint32_t)prng_below(prng, 4);
    plan->fault_weights[FAULT_KILL] = plan->fault_weights[FAULT_PAUSE] = 1;
    plan->fault_mean_us = 1000000 + prng_below(prng, 3000000);
    plan->fault_length_us = 2000000 + prng_below(prng, 4000000);
    network->drop_ppm = network->tail_ppm = 0;
    node->failure_timeout_ms = plan->birth_us > 0 ? 5000 : 15000;
    node->tombstone_grace_ms = 0;
    node->hinted_handoff = prng_chance(prng, 1, 3);
    node->anti_entropy = true;
    node->anti_entropy_interval_ms = 1000 + (uint32_t)prng_below(prng, 10000);
    plan->night = NIGHT_NONE;
}

void plan_draw(struct plan *plan, uint64_t seed, enum plan_mode mode) {
    struct prng prng;
    prng_seed(&prng, seed);
    *plan = (struct plan){.seed = seed};
    draw_cluster(plan, &prng);
    draw_weather(plan, &prng);
    draw_requests(plan, &prng);
    draw_faults(plan, &prng);
    draw_phases(plan, &prng, mode);
    draw_hints(plan, &prng, mode);
    draw_repair(plan, &prng);
    draw_night(plan, &prng);
    bool together = prng_chance(&prng, 1, 8) && !plan->beyond;
    draw_scans(plan, &prng);
    if (together) {
        keep_together(plan, &prng);
    }
    draw_grace(plan, &prng);
    bool forgets = prng_chance(&prng, 1, 10) && !plan->beyond && !together;
    if (mode == PLAN_REAPING || (forgets && mode == PLAN_AS_DRAWN)) {
        forget_much(plan, &prng);
    }
}

void plan_text(const struct plan *plan, struct buf *out) {
    static const char *const requests[] = {
#define PLAN_TEXT(name, text) text,
        PLAN_REQUESTS(PLAN_TEXT)};
    static const char *const faults[] = {PLAN_FAULTS(PLAN_TEXT)};
    static const char *const nights[] = {PLAN_NIGHTS(PLAN_TEXT)};
#undef PLAN_TEXT
    const struct world_conf *world = &plan->world;
    const struct node_conf *node = &world->node;
    mem_printf(out,
               "  %u nodes in %u zones, N=%u R=%u W=%u, %u partitions, %s, %s, max-siblings %u\n",
               world->nodes, world->zones, node->n, node->r, node->w, node->partitions,
               node->partitioner == PARTITIONER_MD5 ? "md5" : "crc16",
               node->conflict_resolution == CONFLICT_SIBLINGS ? "siblings" : "last-write-wins",
               node->max_siblings);
    mem_printf(out, "  %s quorums, hints %s, at most %llu bytes of them, %llu bytes/s\n",
               node->sloppy_quorum ? "sloppy" : "strict",
               node->hinted_handoff ? "kept" : "not kept", (unsigned long long)node->max_hint_bytes,
               (unsigned long long)node->handoff_rate);
    mem_printf(out, "  deletions remembered for %llu ms; silence of %u ms means down\n",
               (unsigned long long)node->tombstone_grace_ms, node->failure_timeout_ms);
    mem_printf(out,
               "  network: delay %llu+%llu us, tail %u ppm of %llu us, drop %u, duplicate %u, "
               "overtake %u ppm\n",
               (unsigned long long)world->network.delay_min_us,
               (unsigned long long)world->network.delay_mean_us, world->network.tail_ppm,
               (unsigned long long)world->network.tail_us, world->network.drop_ppm,
               world->network.duplicate_ppm, world->network.reorder_ppm);
    mem_printf(
        out,
        "  disk: read %llu us, commit %llu us, stall %u ppm of %llu us; clocks wrong by %lld s\n",
        (unsigned long long)world->disk.get_mean_us, (unsigned long long)world->disk.commit_mean_us,
        world->disk.stall_ppm, (unsigned long long)world->disk.stall_us,
        (long long)(plan->skew_us / 1000000));
    mem_printf(out,
               "  %u clients (%u%% sticky), %u requests, %u keys (%u%% to one), attack of %llu s\n",
               plan->clients, plan->sticky_percent, plan->ops, plan->keys, plan->hot_percent,
               (unsigned long long)(plan->attack_us / 1000000));
    for (int i = 0; i < REQUEST_KINDS; i++) {
        if (plan->request_weights[i] > 0) {
            mem_printf(out, "    %3u x %s\n", plan->request_weights[i], requests[i]);
        }
    }
    mem_printf(out, "  a fault each %llu ms, lasting %llu ms, %s the promise; formed %s\n",
               (unsigned long long)(plan->fault_mean_us / 1000),
               (unsigned long long)(plan->fault_length_us / 1000),
               plan->beyond ? "also BEYOND" : "within",
               plan->birth_us > 0 ? "under attack" : "in peace");
    if (plan->night != NIGHT_NONE) {
        mem_printf(out, "  a night of %llu minutes without %s\n",
                   (unsigned long long)(plan->night_us / 60000000), nights[plan->night]);
    }
    for (int i = 0; i < FAULT_KINDS && plan->fault_mean_us > 0; i++) {
        if (plan->fault_weights[i] > 0) {
            mem_printf(out, "    %3u x %s\n", plan->fault_weights[i], faults[i]);
        }
    }
}
