/* sim/machine: starts, crashes, pauses.
 *
 * What survives a crash is the disk (as much as the kind of crash leaves) and the clock's error;
 * all else is the process's and gone. The requests it had not answered are broken. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "sim/machine.h"
#include "sim/mem.h"
#include "sim/sums.h"
#include "store/port.h"

/* The rows of the store that a node is told at its birth. RD_ENOTFOUND is no error. */
static enum rd_err read_meta(struct machine *machine, const char *name, struct blob **out) {
    *out = NULL;
    enum rd_err err = store_meta_get(machine->disk.store, name, out);
    return err == RD_ENOTFOUND ? RD_OK : err;
}

static enum rd_err make_node(struct world *world, struct machine *machine) {
    uint64_t seed[4];
    for (int k = 0; k < 4; k++) {
        seed[k] = prng_u64(&world->prng);
    }
    snprintf(machine->start_reason, sizeof machine->start_reason, "the store cannot be read");
    struct node_conf conf = machine->conf;
    enum rd_err err = read_meta(machine, "identity", &conf.meta_identity);
    if (err == RD_OK) {
        err = read_meta(machine, "birth", &conf.meta_birth);
    }
    if (err == RD_OK) {
        err = node_new(&conf, seed, &machine->node, machine->start_reason);
    }
    blob_unref(conf.meta_identity);
    blob_unref(conf.meta_birth);
    return err;
}

enum rd_err machine_start(struct world *world, uint32_t i) {
    struct machine *machine = &world->machines[i];
    assert(machine->state == NODE_OFF);
    machine->life++;
    disk_attach(&machine->disk, machine->life);
    /* A machine's monotonic clock starts anew, anywhere but at 0. */
    struct instant was = clock_read(&machine->clock, world->now_us);
    int64_t ahead_us = (int64_t)(was.wall_us - CLOCK_EPOCH_US) - (int64_t)world->now_us;
    int32_t drift_ppm = machine->clock.drift_ppm;
    clock_init(&machine->clock, world->now_us, prng_below(&world->prng, 1000000000));
    clock_set_drift(&machine->clock, world->now_us, drift_ppm);
    clock_set_ahead(&machine->clock, world->now_us, ahead_us);

    enum rd_err err = make_node(world, machine);
    trace_mark(&world->trace, world->now_us, 2000, i, err);
    trace_line(&world->trace, world->now_us, "%s %s", network_name(world->network, i),
               err == RD_OK ? "starts" : machine->start_reason);
    if (err != RD_OK) {
        return err;
    }
    machine->start_reason[0] = 0;
    machine->state = NODE_RUNNING;
    machine->timer_us = UINT64_MAX;
    const struct store_view view = port_view(machine->disk.store);
    node_set_store_view(machine->node, &view);
    node_set_rmw(machine->node, sums_compute, NULL);
    network_listen(world->network, i, machine->conf.cluster_port, machine->life);
    machine->resumed_us = world->now_us;
    machine_step(
        world, i,
        &(struct event){.kind = EV_TIMER}); /* it dials its seeds, and asks for more timers */
    return RD_OK;
}

void machine_add_stats(struct node_stats *sum, const struct node *node) {
    struct node_stats one;
    node_stats(node, &one);
    sum->read_repairs += one.read_repairs;
    sum->hints_kept += one.hints_kept;
    sum->hints_delivered += one.hints_delivered;
    sum->hints_dropped += one.hints_dropped;
    sum->hints_refused += one.hints_refused;
    sum->stand_ins += one.stand_ins;
    sum->sibling_reads += one.sibling_reads;
    sum->quorum_failures_read += one.quorum_failures_read;
    sum->quorum_failures_write += one.quorum_failures_write;
    sum->requests_forwarded += one.requests_forwarded;
    sum->late_answers += one.late_answers;
    sum->second_rounds += one.second_rounds;
    sum->fresh_incarnations += one.fresh_incarnations;
    sum->dot_clashes += one.dot_clashes;
    sum->frames_refused += one.frames_refused;
    sum->links_refused += one.links_refused;
    sum->links_silent += one.links_silent;
    sum->store_errors += one.store_errors;
    sum->corrupt_rows += one.corrupt_rows;
    sum->antientropy_exchanges += one.antientropy_exchanges;
    sum->antientropy_keys_repaired += one.antientropy_keys_repaired;
    sum->antientropy_bytes += one.antientropy_bytes;
    sum->antientropy_messages += one.antientropy_messages;
    sum->leaves_mended += one.leaves_mended;
    sum->tombstones += one.tombstones;
    sum->tombstones_reaped += one.tombstones_reaped;
    sum->vectors_pruned += one.vectors_pruned;
    sum->reap_messages += one.reap_messages;
}

void machine_skip_answered(struct world *world) {
    while (world->first_open < world->history.count &&
           world->history.ops[world->first_open]->answered) {
        world->first_open++;
    }
}

/* The clients of a node that died are told by their broken connections. */
static void break_requests(struct world *world, uint32_t i) {
    machine_skip_answered(world);
    for (size_t k = world->first_open; k < world->history.count; k++) {
        struct op *op = world->history.ops[k];
        if (op->answered || op->node != i) {
            continue;
        }
        history_break(&world->history, op, RD_ECLOSED, world->now_us);
        if (world->hooks.on_answer != NULL) {
            world->hooks.on_answer(world->hooks.arg, op);
        }
    }
}

/* What was to come, and what the open turn was to send at its end: another life must not send it. */
static void drop_queues(struct machine *machine) {
    for (size_t k = 0; k < machine->backlog_count; k++) {
        blob_unref(machine->backlog[k].blob);
    }
    machine->backlog_count = 0;
    for (size_t k = 0; k < machine->out_count; k++) {
        blob_unref(machine->out[k].frame);
    }
    machine->out_count = 0;
}

void machine_crash(struct world *world, uint32_t i, enum world_crash how) {
    static const enum disk_crash keeps[] = {DISK_KEEPS_ALL, DISK_KEEPS_SOME, DISK_KEEPS_NONE};
    struct machine *machine = &world->machines[i];
    if (machine->state == NODE_OFF) {
        return;
    }
    trace_mark(&world->trace, world->now_us, 2001, i, how);
    trace_line(&world->trace, world->now_us, "%s %s", network_name(world->network, i),
               how == CRASH_PROCESS ? "is killed" : "loses power");
    machine->state = NODE_OFF;
    struct node_stats last;
    node_stats(machine->node, &last);
    world->died_unready += !last.open;
    machine_add_stats(&world->ended, machine->node);
    node_free(&machine->node);
    network_crash(world->network, i, world->now_us, how == CRASH_PROCESS);
    disk_crash(&machine->disk, keeps[how]);
    drop_queues(machine);
    machine->turn_open = false;
    machine->commit_asked = false;
    machine->crash_after = 0;
    break_requests(world, i);
}

void machine_pause(struct world *world, uint32_t i) {
    if (world->machines[i].state == NODE_RUNNING) {
        world->machines[i].state = NODE_PAUSED;
        trace_line(&world->trace, world->now_us, "%s stands still",
                   network_name(world->network, i));
    }
}

/* Which of the sources of events this one comes from: a connection, the disk, clients, ... */
static uint64_t source_of(const struct sim_event *event, uint64_t salt) {
    bool linked =
        event->kind == NETWORK_UP || event->kind == NETWORK_FRAME || event->kind == NETWORK_DOWN;
    uint64_t source[2] = {linked ? NETWORK_FRAME : event->kind, linked ? event->a : 0};
    return hash_xxh64(source, sizeof source, salt);
}

static int compare_waiting(const void *left, const void *right) {
    const struct sim_event *a = left, *b = right;
    if (a->at_us != b->at_us) {
        return a->at_us < b->at_us ? -1 : 1;
    }
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

/* What has come meanwhile: a system that polls names what is ready in any order, and only what came over one connection is in order. */
static void mix_backlog(struct world *world, struct machine *machine) {
    uint64_t salt = prng_u64(&world->prng);
    for (size_t k = 0; k < machine->backlog_count; k++) {
        machine->backlog[k].at_us = source_of(&machine->backlog[k], salt);
        machine->backlog[k].sequence = k;
    }
    if (machine->backlog_count > 0) {
        qsort(machine->backlog, machine->backlog_count, sizeof *machine->backlog, compare_waiting);
    }
}

void machine_resume(struct world *world, uint32_t i) {
    struct machine *machine = &world->machines[i];
    if (machine->state != NODE_PAUSED) {
        return;
    }
    machine->state = NODE_RUNNING;
    machine->resumed_us = world->now_us;
    trace_line(&world->trace, world->now_us, "%s goes on", network_name(world->network, i));
    mix_backlog(world, machine);
    for (size_t k = 0; k < machine->backlog_count; k++) {
        machine->backlog[k].at_us = world->now_us;
        queue_push(&world->queue, &machine->backlog[k]);
    }
    machine->backlog_count = 0;
}

void machine_postpone(struct world *world, uint32_t i, struct sim_event *event) {
    struct machine *machine = &world->machines[i];
    machine->backlog = mem_grow(machine->backlog, &machine->backlog_cap, machine->backlog_count + 1,
                                sizeof *machine->backlog);
    machine->backlog[machine->backlog_count++] = *event;
    event->blob = NULL; /* gone with it */
}
