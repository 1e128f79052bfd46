/* sim/machine: drives one node: events in, effects out, turns.
 *
 * 1. EFF_SEND and EFF_CLOSE wait in `out` until the turn ends; all else is carried out after the
 *    step.
 * 2. A planned crash ends the machine between two effects; machine->node is NULL from then on, so
 *    everything here looks again after each effect.
 */
#include "sim/machine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mem.h"

/* True if the machine has just died of a planned crash. */
static bool dies(struct world *world, uint32_t i) {
    struct machine *machine = &world->machines[i];
    if (machine->crash_after == 0 || --machine->crash_after > 0) {
        return false;
    }
    machine_crash(world, i, machine->crash_how);
    return true;
}

/* ---- lines and hashes ------------------------------------------------------------------------ */

static void frame_line(struct world *world, const char *from, const char *to, struct blob *frame) {
    struct resp_command_reader reader;
    resp_command_init(&reader, &world->limits);
    const struct resp_slice *argv;
    size_t argc, consumed;
    struct buf text = {0};
    if (resp_command_read(&reader, frame->bytes, frame->len, &consumed, &argv, &argc) == RD_OK) {
        trace_text_frame(&text, argv, argc);
    }
    trace_line(&world->trace, world->now_us, "%s -> %s  %.*s", from, to, (int)buf_len(&text),
               (const char *)buf_data(&text));
    buf_free(&text);
    resp_command_free(&reader);
}

static void put_line(struct world *world, uint32_t i, const struct effect *put) {
    struct buf text = {0};
    const struct row_key *at = &put->store_put.at;
    trace_text_bytes(&text, at->key->bytes, at->key->len);
    mem_printf(&text, " ");
    struct object object;
    if (put->store_put.value == NULL) {
        mem_printf(&text, "erased");
    } else if (at->space == STORE_OBJECTS &&
               object_decode(put->store_put.value->bytes, put->store_put.value->len, &object) ==
                   RD_OK) {
        trace_text_object(&text, &object);
        object_free(&object);
    } else {
        mem_printf(&text, "(row)");
    }
    trace_line(&world->trace, world->now_us, "%s stores  %.*s", network_name(world->network, i),
               (int)buf_len(&text), (const char *)buf_data(&text));
    buf_free(&text);
}

static void answer_line(struct world *world, uint32_t i, const struct op *op) {
    struct buf text = {0};
    history_text_answer(op, &text);
    trace_line(&world->trace, world->now_us, "%s -> client  %.*s", network_name(world->network, i),
               (int)buf_len(&text), (const char *)buf_data(&text));
    buf_free(&text);
}

/* ---- effects --------------------------------------------------------------------------------- */

static void reply(struct world *world, uint32_t i, struct effect *effect) {
    struct op *op = history_op(&world->history, effect->reply.tag);
    assert(op->node == i);
    trace_mark(&world->trace, world->now_us, EFF_REPLY, i,
               effect->reply.tag << 8 | effect->reply.reply->err);
    if (op->wants_token && effect->reply.reply->err == RD_OK) {
        mem_must(node_seal(world->machines[i].node, op->key->bytes, op->key->len,
                           &effect->reply.reply->object, &effect->reply.reply->context));
    }
    history_answer(&world->history, op, effect->reply.reply, world->now_us);
    if (world->trace.listener != NULL) {
        answer_line(world, i, op);
    }
    if (world->hooks.on_answer != NULL) {
        world->hooks.on_answer(world->hooks.arg, op);
    }
}

static void put(struct world *world, uint32_t i, struct effect *effect) {
    trace_mark(&world->trace, world->now_us, EFF_STORE_PUT, i, effect->store_put.new_digest);
    trace_bytes(&world->trace, effect->store_put.at.key->bytes, effect->store_put.at.key->len);
    if (effect->store_put.value != NULL) {
        trace_bytes(&world->trace, effect->store_put.value->bytes, effect->store_put.value->len);
    }
    if (world->trace.listener != NULL) {
        put_line(world, i, effect);
    }
    disk_put(&world->machines[i].disk, effect);
    if (world->hooks.on_row != NULL) {
        world->hooks.on_row(world->hooks.arg, i, effect);
    }
}

static void queue_out(struct machine *machine, uint64_t link, struct blob *frame) {
    machine->out =
        mem_grow(machine->out, &machine->out_cap, machine->out_count + 1, sizeof *machine->out);
    machine->out[machine->out_count++] = (struct outgoing){link, blob_ref(frame)};
}

static void carry_out(struct world *world, uint32_t i, struct effect *effect) {
    struct machine *machine = &world->machines[i];
    switch (effect->kind) {
    case EFF_DIAL:
        trace_mark(&world->trace, world->now_us, EFF_DIAL, i, effect->dial.port);
        network_dial(world->network, i, effect->dial.dial, effect->dial.host, effect->dial.port,
                     world->now_us);
        break;
    case EFF_SEND:
        queue_out(machine, effect->send.link, effect->send.frame);
        break;
    case EFF_CLOSE:
        queue_out(machine, effect->close.link, NULL);
        break;
    case EFF_STORE_GET:
        trace_mark(&world->trace, world->now_us, EFF_STORE_GET, i, effect->store_get.token);
        disk_get(&machine->disk, effect, world->now_us);
        break;
    case EFF_STORE_PUT:
        put(world, i, effect);
        break;
    case EFF_STORE_SCAN:
        trace_mark(&world->trace, world->now_us, EFF_STORE_SCAN, i, effect->store_scan.token);
        disk_scan(&machine->disk, &effect->store_scan, world->now_us);
        break;
    case EFF_STORE_COMMIT:
        assert(!machine->commit_asked); /* one per turn */
        machine->commit_asked = true;
        machine->commit_token = effect->store_commit.token;
        break;
    case EFF_REPLY:
        reply(world, i, effect);
        break;
    case EFF_LOG:
        if (effect->log.level > LOG_DEBUG) {
            trace_bytes(&world->trace, effect->log.text, strlen(effect->log.text));
        }
        trace_line(&world->trace, world->now_us, "%s %s %s", network_name(world->network, i),
                   effect->log.level == LOG_DEBUG ? "." : "#", effect->log.text);
        if (world->hooks.on_log != NULL) {
            world->hooks.on_log(world->hooks.arg, i, effect->log.level, effect->log.text);
        }
        break;
    }
}

static void step(struct world *world, uint32_t i, const struct event *event) {
    struct machine *machine = &world->machines[i];
    trace_mark(&world->trace, world->now_us, 1000u + event->kind, i, machine->steps);
    machine->steps++;
    world->steps++;
    node_step(machine->node, clock_read(&machine->clock, world->now_us), event, &machine->effects);
    if (world->conf.check_every > 0 && machine->steps % world->conf.check_every == 0) {
        node_check(machine->node);
    }
    for (size_t k = 0; k < machine->effects.count && machine->node != NULL; k++) {
        bool silent =
            machine->effects.items[k].kind == EFF_LOG; /* so that tracing changes nothing */
        if (silent || !dies(world, i)) {
            carry_out(world, i, &machine->effects.items[k]);
        }
    }
    effects_clear(&machine->effects);
}

void machine_step(struct world *world, uint32_t i, const struct event *event) {
    struct machine *machine = &world->machines[i];
    assert(machine->node != NULL);
    step(world, i, event);
    if (machine->node != NULL && !machine->turn_open) {
        machine->turn_open = true;
        queue_push(&world->queue,
                   &(struct sim_event){.at_us = world->now_us +
                                                prng_below(&world->prng, world->conf.turn_us + 1),
                                       .kind = WORLD_TURN,
                                       .node = i,
                                       .life = machine->life});
    }
}

/* ---- the end of a turn ----------------------------------------------------------------------- */

static void flush(struct world *world, uint32_t i) {
    struct machine *machine = &world->machines[i];
    for (size_t k = 0; k < machine->out_count && machine->node != NULL; k++) {
        struct outgoing *out = &machine->out[k];
        if (dies(world, i)) {
            break;
        }
        trace_mark(&world->trace, world->now_us, EFF_SEND, i, out->link);
        if (out->frame == NULL) {
            network_close(world->network, i, out->link, world->now_us);
            continue;
        }
        trace_bytes(&world->trace, out->frame->bytes, out->frame->len);
        if (world->trace.listener != NULL) {
            frame_line(world, network_name(world->network, i),
                       network_name(world->network, network_peer(world->network, i, out->link)),
                       out->frame);
        }
        network_send(world->network, i, out->link, out->frame, world->now_us);
    }
    for (size_t k = 0; k < machine->out_count; k++) {
        blob_unref(machine->out[k].frame);
    }
    machine->out_count = 0;
}

/* One timer event at most is under way: when it comes too early, because the deadline has moved
 * back meanwhile, it is set again. */
void machine_set_timer(struct world *world, uint32_t i) {
    struct machine *machine = &world->machines[i];
    uint64_t at_us = clock_true_us(&machine->clock, world->now_us, node_deadline_us(machine->node));
    if (at_us >= machine->timer_us) {
        return;
    }
    machine->timer_us = at_us;
    queue_push(
        &world->queue,
        &(struct sim_event){
            .at_us = at_us, .kind = WORLD_TIMER, .node = i, .life = machine->life, .a = at_us});
}

void machine_timer(struct world *world, uint32_t i, uint64_t set_for_us) {
    struct machine *machine = &world->machines[i];
    if (set_for_us != machine->timer_us) {
        return; /* an earlier one has been set since */
    }
    machine->timer_us = UINT64_MAX;
    uint64_t deadline_us = node_deadline_us(machine->node);
    if (clock_read(&machine->clock, world->now_us).mono_us < deadline_us) {
        machine_set_timer(world, i);
    } else {
        machine_step(world, i, &(struct event){.kind = EV_TIMER});
    }
}

void machine_end_turn(struct world *world, uint32_t i) {
    struct machine *machine = &world->machines[i];
    machine->turn_open = false;
    step(world, i, &(struct event){.kind = EV_TURN_END});
    flush(world, i);
    if (machine->node == NULL) {
        return;
    }
    assert(!node_has_dirty_rows(machine->node) || machine->commit_asked);
    if (machine->commit_asked) {
        machine->commit_asked = false;
        disk_commit(&machine->disk, machine->commit_token, world->now_us);
    }
    machine_set_timer(world, i);
}

/* ---- what comes in --------------------------------------------------------------------------- */

void machine_frame(struct world *world, uint32_t i, const struct network_arrival *arrival) {
    struct resp_command_reader reader;
    resp_command_init(&reader, &world->limits);
    struct event event = {.kind = EV_FRAME, .frame = {.link = arrival->link}};
    size_t consumed;
    enum rd_err err = resp_command_read(&reader, arrival->frame->bytes, arrival->frame->len,
                                        &consumed, &event.frame.argv, &event.frame.argc);
    assert(err == RD_OK && consumed == arrival->frame->len); /* nodes send whole frames */
    trace_bytes(&world->trace, arrival->frame->bytes, arrival->frame->len);
    machine_step(world, i, &event);
    resp_command_free(&reader);
}

void machine_completion(struct world *world, uint32_t i) {
    struct disk_completion completion = disk_arrive(&world->machines[i].disk);
    struct event event = {0};
    switch (completion.work) {
    case DISK_GET:
        event.kind = EV_STORE_GOT;
        event.store_got.token = completion.token;
        event.store_got.err = completion.err;
        event.store_got.value = completion.value;
        break;
    case DISK_COMMIT:
        event.kind = EV_STORE_DONE;
        event.store_done.token = completion.token;
        event.store_done.err = completion.err;
        break;
    case DISK_SCAN:
        event.kind = EV_STORE_SCANNED;
        event.store_scanned.token = completion.token;
        event.store_scanned.err = completion.err;
        event.store_scanned.rows = completion.rows;
        event.store_scanned.count = completion.count;
        event.store_scanned.end = completion.end;
        break;
    }
    trace_mark(&world->trace, world->now_us, event.kind, i, completion.err);
    machine_step(world, i, &event);
    disk_completion_free(&completion);
}
