/* sim/world: the loop of events, and the lives of machines; see world.h.
 *
 * An event carries the life (the start) of the machine it is for; what was meant for an earlier
 * life is dropped here, in one place. Only NETWORK_DIAL, which comes from outside, and the user's
 * events carry none. */
#include "sim/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/op_scan.h"
#include "sim/machine.h"
#include "sim/mem.h"

/* ---- birth ----------------------------------------------------------------------------------- */

void world_conf_default(struct world_conf *conf, uint32_t nodes, uint64_t seed) {
    *conf = (struct world_conf){
        .seed = seed,
        .nodes = nodes,
        .network = {.delay_min_us = 100, .delay_mean_us = 200, .dial_timeout_us = 1000000},
        .disk = {.get_min_us = 20, .get_mean_us = 30, .commit_min_us = 50, .commit_mean_us = 100},
        .turn_us = 50,
        .check_every = 1,
        .answer_us = 30000000};
    struct node_conf *node = &conf->node;
    snprintf(node->cluster_name, sizeof node->cluster_name, "redynamo");
    node->n = 3;
    node->r = 2;
    node->w = 2;
    node->partitions = 32;
    node->vnodes = 8;
    node->request_timeout_ms = 500;
    node->gossip_interval_ms = 1000;
    node->failure_timeout_ms = 5000;
    node->max_siblings = 100;
    node->max_object_bytes = 64 << 20;
    node->max_requests = 10000;
    node->read_repair = true;
    node->sloppy_quorum = node->hinted_handoff = true;
    node->max_hint_bytes = 1 << 30;
    node->handoff_rate = 64 << 20;
    node->tombstone_grace_ms = 86400000;
    node->anti_entropy_interval_ms = 60000; /* off unless somebody switches it on */
}

struct world *world_new(const struct world_conf *conf) {
    struct world *world = mem_zero(sizeof *world);
    world->conf = *conf;
    prng_seed(&world->prng, conf->seed);
    world->network =
        network_new(&world->queue, &world->conf.network, conf->nodes, prng_u64(&world->prng));
    world->machines = mem_zero(conf->nodes * sizeof *world->machines);
    world->seeds = mem_zero(conf->nodes * sizeof *world->seeds);
    resp_limits_default(&world->limits);
    world->limits.allow_inline = false;
    for (uint32_t i = 0; i < conf->nodes; i++) {
        struct machine *machine = &world->machines[i];
        snprintf(world->seeds[i].host, sizeof world->seeds[i].host, "%s",
                 network_name(world->network, i));
        world->seeds[i].port = WORLD_CLUSTER_PORT;
        machine->conf = conf->node;
        machine->conf.seeds = world->seeds;
        machine->conf.seed_count = conf->nodes;
        machine->conf.port = WORLD_CLUSTER_PORT - 10000;
        machine->conf.cluster_port = WORLD_CLUSTER_PORT;
        if (conf->zones > 1) {
            snprintf(machine->conf.zone, sizeof machine->conf.zone, "z%u", i % conf->zones);
        }
        machine->timer_us = UINT64_MAX;
        clock_init(&machine->clock, 0, 0);
        disk_init(&machine->disk, &world->queue, &world->conf.disk, i, prng_u64(&world->prng));
    }
    return world;
}

void world_free(struct world **handle) {
    struct world *world = *handle;
    if (world == NULL) {
        return;
    }
    world->hooks = (struct world_hooks){0};
    world->trace.listener = NULL;
    for (uint32_t i = 0; i < world->conf.nodes; i++) {
        struct machine *machine = &world->machines[i];
        world_crash(world, i, CRASH_PROCESS);
        disk_free(&machine->disk);
        effects_free(&machine->effects);
        free(machine->out);
        free(machine->backlog);
    }
    network_free(&world->network);
    queue_free(&world->queue);
    history_free(&world->history);
    free(world->machines);
    free(world->seeds);
    free(world);
    *handle = NULL;
}

/* ---- machines -------------------------------------------------------------------------------- */

enum rd_err world_start(struct world *world, uint32_t i) {
    return machine_start(world, i);
}

const char *world_start_reason(const struct world *world, uint32_t i) {
    return world->machines[i].start_reason;
}

void world_crash(struct world *world, uint32_t i, enum world_crash how) {
    machine_crash(world, i, how);
}

void world_crash_after(struct world *world, uint32_t i, uint64_t effects, enum world_crash how) {
    assert(effects > 0);
    world->machines[i].crash_after = effects;
    world->machines[i].crash_how = how;
}

void world_pause(struct world *world, uint32_t i) {
    machine_pause(world, i);
}

void world_resume(struct world *world, uint32_t i) {
    machine_resume(world, i);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void handle_network(struct world *world, const struct sim_event *event) {
    struct network_arrival arrival = network_arrive(world->network, event);
    uint32_t i = event->node;
    switch (arrival.kind) {
    case NETWORK_UP:
        machine_step(
            world, i,
            &(struct event){
                .kind = EV_LINK_UP,
                .link_up = {.link = arrival.link, .dial = arrival.dial, .host = arrival.host}});
        break;
    case NETWORK_DIAL_FAILED:
        machine_step(
            world, i,
            &(struct event){.kind = EV_DIAL_FAILED, .dial_failed = {.dial = arrival.dial}});
        break;
    case NETWORK_FRAME:
        machine_frame(world, i, &arrival);
        break;
    case NETWORK_DOWN:
        machine_step(world, i,
                     &(struct event){.kind = EV_LINK_DOWN, .link_down = {.link = arrival.link}});
        break;
    case NETWORK_DIAL:
        break; /* never an arrival */
    }
}

static void handle_client(struct world *world, const struct sim_event *event) {
    struct op *op = history_op(&world->history, event->a);
    if (op->answered) {
        return;
    }
    struct client_request request = {
        .tag = op->tag,
        .op = op->kind,
        .key = op->key != NULL ? op->key->bytes : NULL,
        .key_len = op->key != NULL ? op->key->len : 0,
        .r = op->r,
        .w = op->w,
        .monotonic = op->monotonic,
        .value = op->value,
        .with_context = op->with_context,
        .context = op->context != NULL ? (const char *)op->context->bytes : NULL,
        .context_len = op->context != NULL ? op->context->len : 0,
        .expires_ms = op->expires_ms,
        .cursor = op->cursor,
        .last_slot = SLOT_COUNT - 1,
        .count = op->count,
        .exact = op->exact};
    trace_mark(&world->trace, world->now_us, 2002, event->node, op->tag);
    if (world->trace.listener != NULL) {
        struct buf text = {0};
        history_text_request(op, &text);
        trace_line(&world->trace, world->now_us, "client -> %s  %.*s",
                   network_name(world->network, op->node), (int)buf_len(&text),
                   (const char *)buf_data(&text));
        buf_free(&text);
    }
    machine_step(world, event->node, &(struct event){.kind = EV_CLIENT, .client = &request});
}

static void handle(struct world *world, const struct sim_event *event) {
    switch (event->kind) {
    case WORLD_TURN:
        machine_end_turn(world, event->node);
        break;
    case WORLD_TIMER:
        machine_timer(world, event->node, event->a);
        break;
    case WORLD_CLIENT:
        handle_client(world, event);
        break;
    case DISK_FINISHED:
        machine_completion(world, event->node);
        break;
    default:
        handle_network(world, event);
        break;
    }
}

/* What is to be done with an event, given the state of the machine it is for. */
static void dispatch(struct world *world, struct sim_event *event) {
    if (event->kind >= WORLD_USER_KIND) {
        if (world->hooks.on_event != NULL) {
            world->hooks.on_event(world->hooks.arg, event);
        }
        return;
    }
    struct machine *machine = &world->machines[event->node];
    if (event->kind == NETWORK_DIAL) {
        if (machine->state == NODE_OFF) {
            network_arrive(world->network, event); /* refused: nobody is told here */
            return;
        }
        if (machine->state == NODE_PAUSED) { /* the system accepts for it */
            struct network_arrival arrival = network_arrive(world->network, event);
            *event = (struct sim_event){
                .kind = NETWORK_UP, .node = event->node, .life = machine->life, .a = arrival.link};
            if (arrival.kind == 0) {
                return;
            }
        }
    } else if (machine->state == NODE_OFF || event->life != machine->life) {
        return;
    }
    if (machine->state == NODE_PAUSED) {
        machine_postpone(world, event->node, event);
        return;
    }
    handle(world, event);
}

bool world_step(struct world *world, uint64_t until_us) {
    if (queue_next_us(&world->queue) >= until_us) {
        world->now_us = until_us;
        return false;
    }
    struct sim_event event;
    queue_pop(&world->queue, &event);
    assert(event.at_us >= world->now_us);
    world->now_us = event.at_us;
    dispatch(world, &event);
    blob_unref(event.blob);
    return true;
}

void world_elapse(struct world *world, uint64_t us) {
    uint64_t until_us = world->now_us + us;
    while (world_step(world, until_us)) {
    }
}

void world_at(struct world *world, uint64_t at_us, uint32_t kind, uint64_t a, uint64_t b) {
    assert(kind >= WORLD_USER_KIND && at_us >= world->now_us);
    queue_push(&world->queue, &(struct sim_event){.at_us = at_us, .kind = kind, .a = a, .b = b});
}

/* ---- clients --------------------------------------------------------------------------------- */

struct op *world_ask(struct world *world, const struct op *request) {
    struct op *op = history_add(&world->history, request, world->now_us);
    struct machine *machine = &world->machines[op->node];
    if (machine->state == NODE_OFF) {
        history_break(&world->history, op, RD_EREFUSED, world->now_us);
        return op;
    }
    queue_push(&world->queue, &(struct sim_event){.at_us = world->now_us,
                                                  .kind = WORLD_CLIENT,
                                                  .node = op->node,
                                                  .life = machine->life,
                                                  .a = op->tag});
    return op;
}

uint64_t world_resumed_us(const struct world *world, uint32_t node) {
    assert(node < world->conf.nodes);
    return world->machines[node].resumed_us;
}

uint64_t world_answer_us(const struct world *world, const struct op *op) {
    uint64_t place = op->cursor & ((UINT64_C(1) << CLIENT_CURSOR_SLOT_SHIFT) - 1);
    bool looks = (op->kind == CLIENT_SCAN || op->kind == CLIENT_FLUSH) && place != 0;
    return world->conf.answer_us * (looks ? SCAN_LOCATE_TIMEOUTS + 1 : 1);
}

bool world_is_stuck(struct world *world) {
    machine_skip_answered(world);
    for (size_t k = world->first_open; k < world->history.count; k++) {
        const struct op *op = world->history.ops[k];
        const struct machine *machine = &world->machines[op->node];
        uint64_t since_us = op->asked_us > machine->resumed_us ? op->asked_us : machine->resumed_us;
        if (!op->answered && machine->state == NODE_RUNNING &&
            world->now_us - since_us > world_answer_us(world, op)) {
            return true;
        }
    }
    return false;
}

/* ---- what there is --------------------------------------------------------------------------- */

void world_set_hooks(struct world *world, const struct world_hooks *hooks) {
    world->hooks = *hooks;
}

uint64_t world_now_us(const struct world *world) {
    return world->now_us;
}

enum world_node_state world_state(const struct world *world, uint32_t node) {
    assert(node < world->conf.nodes);
    return world->machines[node].state;
}

struct node_conf *world_node_conf(struct world *world, uint32_t node) {
    assert(node < world->conf.nodes);
    return &world->machines[node].conf;
}

struct node *world_node(const struct world *world, uint32_t node) {
    assert(node < world->conf.nodes);
    return world->machines[node].node;
}

struct disk *world_disk(struct world *world, uint32_t node) {
    assert(node < world->conf.nodes);
    return &world->machines[node].disk;
}

struct clock *world_clock(struct world *world, uint32_t node) {
    assert(node < world->conf.nodes);
    return &world->machines[node].clock;
}

struct network *world_network(struct world *world) {
    return world->network;
}

struct network_conf *world_network_conf(struct world *world) {
    return &world->conf.network;
}

struct disk_conf *world_disk_conf(struct world *world) {
    return &world->conf.disk;
}

struct instant world_instant(const struct world *world, uint32_t node) {
    return clock_read(&world->machines[node].clock, world->now_us);
}

uint32_t world_nodes(const struct world *world) {
    return world->conf.nodes;
}

const struct history *world_history(const struct world *world) {
    return &world->history;
}

struct trace *world_trace(struct world *world) {
    return &world->trace;
}

void world_stats(const struct world *world, struct node_stats *out) {
    *out = world->ended;
    for (uint32_t i = 0; i < world->conf.nodes; i++) {
        if (world->machines[i].node != NULL) {
            machine_add_stats(out, world->machines[i].node);
        }
    }
}

uint64_t world_died_unready(const struct world *world) {
    return world->died_unready;
}

uint64_t world_steps(const struct world *world) {
    return world->steps;
}
