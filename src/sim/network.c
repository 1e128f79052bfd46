/* sim/network: see network.h.
 *
 * A connection is two ends, numbered 2i+2 (the dialler's) and 2i+3: so a number names connection
 * and side, and none is ever used twice. An end that is closed hears nothing more. Per direction
 * `last_us` keeps frames in order: what may not overtake arrives no earlier than what was sent
 * before it. That an end was closed goes the same way as frames, behind them: so the other end can
 * be open, and hear, long after. */
#include "sim/network.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mem.h"

struct end {
    uint32_t node;
    uint64_t life;
    bool open; /* the process has it and has not closed it */
    bool mute; /* it ended, and no word of that will come; the peer learns of it when it sends */
    uint64_t up_us;      /* when the process learns of it: nothing arrives before */
    uint64_t last_us;    /* when the newest frame towards this end arrives */
    uint64_t stalled_us; /* until then nothing arrives, and nothing overtakes */
};

struct connection {
    struct end ends[2];
    uint64_t dial;
};

struct machine {
    char name[NETWORK_HOST_BYTES];
    char address[NETWORK_HOST_BYTES];
    uint16_t port; /* 0: nobody listens */
    uint64_t life;
    uint64_t slow_us;
};

struct held {
    uint64_t link;      /* of the receiving end */
    struct blob *frame; /* NULL: the other end was closed */
    uint64_t sent_us;
};

struct path {
    enum network_path state;
    struct held *held; /* owned, oldest first */
    size_t count, cap;
};

struct attempt {
    uint32_t from, to;
    uint64_t life; /* of the dialler */
    uint64_t dial;
};

struct network {
    struct queue *queue;
    const struct network_conf *conf;
    struct prng prng;
    uint32_t nodes;
    struct machine machines[NETWORK_MAX_NODES];
    struct path *paths; /* owned; nodes x nodes, [from * nodes + to] */
    struct connection *connections;
    size_t connection_count, connection_cap;
    size_t first_alive; /* connections before it have both ends closed */
    struct attempt *attempts;
    size_t attempt_count, attempt_cap;
    network_tap *tap;
    void *tap_arg;
    struct network_stats stats;
};

static uint64_t link_of(size_t connection, unsigned side) {
    return 2 * (uint64_t)connection + 2 + side;
}

static struct connection *connection_of(struct network *network, uint64_t link, unsigned *side) {
    assert(link >= 2 && (link - 2) / 2 < network->connection_count);
    *side = (unsigned)(link & 1);
    return &network->connections[(link - 2) / 2];
}

static struct path *path_of(const struct network *network, uint32_t from, uint32_t to) {
    assert(from < network->nodes && to < network->nodes);
    return &network->paths[from * network->nodes + to];
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Exponentially distributed with mean 1, in 1/1024: by the number of halvings, which needs no
 * floating point and so is the same on every machine. */
static uint64_t exponential_1024(struct prng *prng) {
    uint64_t bits = prng_u64(prng);
    uint64_t halvings = 0;
    while (halvings < 12 && (bits & 1) != 0) {
        bits >>= 1;
        halvings++;
    }
    uint64_t within = (bits >> 16) & 1023; /* where in the halving: linear instead of logarithmic */
    return (halvings * 1024 + within) * 710 / 1024;
}

uint64_t network_draw_delay(const struct network_conf *conf, struct prng *prng) {
    uint64_t delay = conf->delay_min_us + conf->delay_mean_us * exponential_1024(prng) / 1024;
    if (conf->tail_ppm > 0 && prng_below(prng, 1000000) < conf->tail_ppm) {
        uint64_t scale = conf->tail_us >> prng_below(prng, 8);
        delay += prng_below(prng, scale + 1);
    }
    return delay;
}

static uint64_t draw_delay(struct network *network, uint32_t from, uint32_t to) {
    return network_draw_delay(network->conf, &network->prng) + network->machines[from].slow_us +
           network->machines[to].slow_us;
}

static bool happens(struct network *network, uint32_t ppm) {
    return ppm > 0 && prng_below(&network->prng, 1000000) < ppm;
}

static void push(struct network *network, uint32_t kind, uint64_t at_us, uint32_t node,
                 uint64_t life, uint64_t a, uint64_t b, struct blob *blob) {
    queue_push(network->queue, &(struct sim_event){.at_us = at_us,
                                                   .kind = kind,
                                                   .node = node,
                                                   .life = life,
                                                   .a = a,
                                                   .b = b,
                                                   .blob = blob_ref(blob)});
}

/* ---- life ------------------------------------------------------------------------------------ */

struct network *network_new(struct queue *queue, const struct network_conf *conf, uint32_t nodes,
                            uint64_t seed) {
    assert(nodes >= 1 && nodes <= NETWORK_MAX_NODES);
    struct network *network = mem_zero(sizeof *network);
    network->queue = queue;
    network->conf = conf;
    network->nodes = nodes;
    network->paths = mem_zero((size_t)nodes * nodes * sizeof *network->paths);
    prng_seed(&network->prng, seed);
    for (uint32_t i = 0; i < nodes; i++) {
        struct machine *machine = &network->machines[i];
        snprintf(machine->name, sizeof machine->name, "n%u", i + 1);
        snprintf(machine->address, sizeof machine->address, "10.0.0.%u", i + 1);
    }
    return network;
}

void network_free(struct network **handle) {
    struct network *network = *handle;
    if (network == NULL) {
        return;
    }
    for (size_t i = 0; i < (size_t)network->nodes * network->nodes; i++) {
        for (size_t k = 0; k < network->paths[i].count; k++) {
            blob_unref(network->paths[i].held[k].frame);
        }
        free(network->paths[i].held);
    }
    free(network->paths);
    free(network->connections);
    free(network->attempts);
    free(network);
    *handle = NULL;
}

void network_rename(struct network *network, uint32_t node, const char *name, const char *address) {
    assert(node < network->nodes);
    struct machine *machine = &network->machines[node];
    snprintf(machine->name, sizeof machine->name, "%s", name);
    snprintf(machine->address, sizeof machine->address, "%s", address);
}

const char *network_name(const struct network *network, uint32_t node) {
    assert(node < network->nodes);
    return network->machines[node].name;
}

void network_listen(struct network *network, uint32_t node, uint16_t port, uint64_t life) {
    assert(node < network->nodes && port > 0);
    network->machines[node].port = port;
    network->machines[node].life = life;
}

void network_set_tap(struct network *network, network_tap *tap, void *arg) {
    network->tap = tap;
    network->tap_arg = arg;
}

void network_set_slow(struct network *network, uint32_t node, uint64_t extra_us) {
    assert(node < network->nodes);
    network->machines[node].slow_us = extra_us;
}

void network_stats(const struct network *network, struct network_stats *out) {
    *out = network->stats;
}

/* ---- dialling -------------------------------------------------------------------------------- */

void network_dial(struct network *network, uint32_t from, uint64_t dial, const char *host,
                  uint16_t port, uint64_t now_us) {
    network->stats.dials++;
    uint64_t life = network->machines[from].life;
    for (uint32_t to = 0; to < network->nodes; to++) {
        struct machine *machine = &network->machines[to];
        if (strcmp(host, machine->name) != 0 && strcmp(host, machine->address) != 0) {
            continue;
        }
        bool heard = path_of(network, from, to)->state == PATH_OPEN &&
                     path_of(network, to, from)->state == PATH_OPEN;
        if (!heard) {
            break;
        }
        network->attempts = mem_grow(network->attempts, &network->attempt_cap,
                                     network->attempt_count + 1, sizeof *network->attempts);
        network->attempts[network->attempt_count] = (struct attempt){from, to, life, dial};
        push(network, NETWORK_DIAL, now_us + draw_delay(network, from, to), to, 0,
             network->attempt_count++, port, NULL);
        return;
    }
    network->stats.dials_failed++;
    push(network, NETWORK_DIAL_FAILED, now_us + network->conf->dial_timeout_us, from, life, dial, 0,
         NULL);
}

/* The attempt has reached the other machine: it is refused, or both ends learn of their
 * connection. */
static struct network_arrival arrive_dial(struct network *network, const struct sim_event *event) {
    struct attempt attempt = network->attempts[event->a];
    struct machine *machine = &network->machines[attempt.to];
    uint64_t back_us = event->at_us + draw_delay(network, attempt.to, attempt.from);
    if (machine->port == 0 || machine->port != event->b) {
        network->stats.dials_failed++;
        push(network, NETWORK_DIAL_FAILED, back_us, attempt.from, attempt.life, attempt.dial, 0,
             NULL);
        return (struct network_arrival){0};
    }
    if (network->machines[attempt.from].port == 0 ||
        network->machines[attempt.from].life != attempt.life) {
        return (struct network_arrival){0}; /* the dialler has died meanwhile */
    }
    network->connections = mem_grow(network->connections, &network->connection_cap,
                                    network->connection_count + 1, sizeof *network->connections);
    size_t i = network->connection_count++;
    network->connections[i] = (struct connection){.ends = {{.node = attempt.from,
                                                            .life = attempt.life,
                                                            .open = true,
                                                            .up_us = back_us,
                                                            .last_us = back_us},
                                                           {.node = attempt.to,
                                                            .life = machine->life,
                                                            .open = true,
                                                            .last_us = event->at_us}},
                                                  .dial = attempt.dial};
    network->stats.connections++;
    push(network, NETWORK_UP, back_us, attempt.from, attempt.life, link_of(i, 0), attempt.dial,
         NULL);
    return (struct network_arrival){.kind = NETWORK_UP,
                                    .link = link_of(i, 1),
                                    .host = network->machines[attempt.from].address,
                                    .peer = attempt.from};
}

/* ---- frames and ends ------------------------------------------------------------------------- */

static void hold(struct network *network, struct path *path, const struct held *held) {
    network->stats.held++;
    path->held = mem_grow(path->held, &path->cap, path->count + 1, sizeof *path->held);
    path->held[path->count++] = *held;
}

/* The word that the other end is gone, on its way to the end `link`. */
static void push_down(struct network *network, uint64_t link, uint64_t now_us) {
    unsigned side;
    struct connection *connection = connection_of(network, link, &side);
    struct end *end = &connection->ends[side];
    uint64_t at_us = now_us + draw_delay(network, connection->ends[!side].node, end->node);
    if (at_us < end->last_us) {
        at_us = end->last_us;
    }
    end->last_us = at_us;
    push(network, NETWORK_DOWN, at_us, end->node, end->life, link, 0, NULL);
}

/* The machine at the other end of `link` says that its end is gone, behind what it has sent before. Where its words vanish it may
 * repeat them until the path is open again, or not. */
static void say_down(struct network *network, uint64_t link, uint64_t now_us) {
    unsigned side;
    struct connection *connection = connection_of(network, link, &side);
    struct end *gone = &connection->ends[!side];
    struct path *path = path_of(network, gone->node, connection->ends[side].node);
    if (path->state == PATH_OPEN) {
        push_down(network, link, now_us);
    } else if (path->state == PATH_HELD || happens(network, 500000)) {
        hold(network, path, &(struct held){.link = link, .sent_us = now_us});
    } else {
        gone->mute = true;
    }
}

/* Sends one copy on its way to the end `link`. */
static void push_frame(struct network *network, const struct held *sent, uint64_t now_us) {
    unsigned side;
    struct connection *connection = connection_of(network, sent->link, &side);
    struct end *end = &connection->ends[side];
    uint64_t at_us = now_us + draw_delay(network, connection->ends[!side].node, end->node);
    bool waits = at_us < end->last_us;
    if (waits && at_us >= end->stalled_us && happens(network, network->conf->reorder_ppm)) {
        network->stats.overtaken++;
        at_us = at_us < end->up_us ? end->up_us : at_us;
    } else {
        if (waits) {
            at_us = end->last_us;
        }
        end->last_us = at_us;
    }
    push(network, NETWORK_FRAME, at_us, end->node, end->life, sent->link, sent->sent_us,
         sent->frame);
}

void network_send(struct network *network, uint32_t from, uint64_t link, struct blob *frame,
                  uint64_t now_us) {
    unsigned side;
    struct connection *connection = connection_of(network, link, &side);
    struct end *to = &connection->ends[!side];
    assert(connection->ends[side].node == from);
    if (!connection->ends[side].open) {
        return;
    }
    network->stats.frames++;
    network->stats.bytes += frame->len;
    struct path *path = path_of(network, from, to->node);
    if ((network->tap != NULL && !network->tap(network->tap_arg, from, to->node, link, frame)) ||
        path->state == PATH_SILENT || happens(network, network->conf->drop_ppm)) {
        network->stats.dropped++;
        return;
    }
    struct held sent = {link_of((link - 2) / 2, !side), frame, now_us};
    if (path->state == PATH_HELD) {
        blob_ref(frame);
        hold(network, path, &sent);
        return;
    }
    if (to->mute) {
        if (network->machines[to->node].port !=
            0) { /* it is back and knows nothing of this connection */
            say_down(network, link, now_us);
        }
        return;
    }
    push_frame(network, &sent, now_us);
    if (happens(network, network->conf->duplicate_ppm)) {
        network->stats.duplicated++;
        push_frame(network, &sent, now_us);
    }
}

uint32_t network_peer(const struct network *network, uint32_t from, uint64_t link) {
    const struct connection *connection = &network->connections[(link - 2) / 2];
    unsigned side = (unsigned)(link & 1);
    assert(connection->ends[side].node == from);
    (void)from;
    return connection->ends[!side].node;
}

/* Closed ends at the front of the table need not be looked at again. */
static void note_dead(struct network *network) {
    while (network->first_alive < network->connection_count) {
        struct connection *connection = &network->connections[network->first_alive];
        if (connection->ends[0].open || connection->ends[1].open) {
            return;
        }
        network->first_alive++;
    }
}

void network_close(struct network *network, uint32_t from, uint64_t link, uint64_t now_us) {
    unsigned side;
    struct connection *connection = connection_of(network, link, &side);
    assert(connection->ends[side].node == from);
    if (!connection->ends[side].open) {
        return;
    }
    connection->ends[side].open = false;
    if (connection->ends[!side].open) {
        say_down(network, link_of((link - 2) / 2, !side), now_us);
    }
    note_dead(network);
}

void network_crash(struct network *network, uint32_t node, uint64_t now_us, bool goodbye) {
    assert(node < network->nodes);
    network->machines[node].port = 0;
    for (size_t i = network->first_alive; i < network->connection_count; i++) {
        for (unsigned side = 0; side < 2; side++) {
            struct end *end = &network->connections[i].ends[side];
            if (end->node != node || !end->open) {
                continue;
            }
            end->open = false;
            end->mute = !goodbye;
            if (goodbye && network->connections[i].ends[!side].open) {
                say_down(network, link_of(i, !side), now_us);
            }
        }
    }
    note_dead(network);
}

/* ---- paths ----------------------------------------------------------------------------------- */

void network_set_path(struct network *network, uint32_t from, uint32_t to, enum network_path state,
                      uint64_t now_us) {
    struct path *path = path_of(network, from, to);
    path->state = state;
    if (state == PATH_HELD) {
        return;
    }
    for (size_t i = 0; i < path->count; i++) {
        unsigned side;
        const struct held *held = &path->held[i];
        bool open = connection_of(network, held->link, &side)->ends[side].open;
        if (state == PATH_OPEN && open && held->frame != NULL) {
            push_frame(network, held, now_us);
        } else if (state == PATH_OPEN && open) {
            push_down(network, held->link, now_us);
        } else if (held->frame == NULL) {
            connection_of(network, held->link, &side)->ends[!side].mute = true;
        }
        blob_unref(held->frame);
    }
    path->count = 0;
}

enum network_path network_path(const struct network *network, uint32_t from, uint32_t to) {
    return path_of(network, from, to)->state;
}

static bool joins(const struct connection *connection, uint32_t a, uint32_t b) {
    uint32_t first = connection->ends[0].node, second = connection->ends[1].node;
    return (first == a && second == b) || (first == b && second == a);
}

void network_break(struct network *network, uint32_t a, uint32_t b, uint64_t now_us) {
    for (size_t i = network->first_alive; i < network->connection_count; i++) {
        struct connection *connection = &network->connections[i];
        if (!joins(connection, a, b)) {
            continue;
        }
        for (unsigned side = 0; side < 2; side++) {
            struct end *end = &connection->ends[side];
            if (end->open) {
                uint64_t at_us = now_us + draw_delay(network, b, a);
                at_us = at_us < end->up_us ? end->up_us : at_us; /* each dial is answered */
                end->stalled_us = 0;
                end->last_us = now_us;
                push(network, NETWORK_DOWN, at_us, end->node, end->life, link_of(i, side), 0, NULL);
            }
        }
    }
}

void network_stall(struct network *network, uint32_t from, uint32_t to, uint64_t now_us,
                   uint64_t for_us, bool broken) {
    for (size_t i = network->first_alive; i < network->connection_count; i++) {
        struct connection *connection = &network->connections[i];
        for (unsigned side = 0; side < 2 && joins(connection, from, to); side++) {
            struct end *end = &connection->ends[side];
            if (!end->open) {
                continue;
            }
            if (broken && end->node == from) {
                uint64_t at_us = now_us < end->up_us ? end->up_us : now_us;
                push(network, NETWORK_DOWN, at_us, from, end->life, link_of(i, side), 0, NULL);
                continue;
            }
            end->stalled_us = now_us + for_us;
            end->last_us = end->last_us < end->stalled_us ? end->stalled_us : end->last_us;
        }
    }
}

uint64_t network_last_us(const struct network *network) {
    uint64_t last_us = 0;
    for (size_t i = network->first_alive; i < network->connection_count; i++) {
        for (unsigned side = 0; side < 2; side++) {
            const struct end *end = &network->connections[i].ends[side];
            last_us = end->open && end->last_us > last_us ? end->last_us : last_us;
        }
    }
    return last_us;
}

/* ---- arrival --------------------------------------------------------------------------------- */

/* A frame of the end `from` arrives late, in one way or another. */
static void count_late(struct network *network, const struct end *from,
                       const struct sim_event *event) {
    const struct machine *machine = &network->machines[from->node];
    network->stats.orphans += !from->open;
    network->stats.of_the_dead += machine->port != 0 && machine->life != from->life;
    network->stats.minutes_late += event->at_us - event->b >= NETWORK_LATE_US;
}

static struct network_arrival arrive_at_end(struct network *network,
                                            const struct sim_event *event) {
    unsigned side;
    struct connection *connection = connection_of(network, event->a, &side);
    struct end *end = &connection->ends[side];
    if (!end->open || end->life != network->machines[end->node].life) {
        return (struct network_arrival){0};
    }
    struct network_arrival arrival = {.kind = (enum network_kind)event->kind,
                                      .link = event->a,
                                      .peer = connection->ends[!side].node,
                                      .host =
                                          network->machines[connection->ends[!side].node].address};
    if (event->kind == NETWORK_UP) {
        arrival.dial = side == 0 ? connection->dial : 0;
    } else if (event->kind == NETWORK_FRAME) {
        arrival.frame = event->blob;
        count_late(network, &connection->ends[!side], event);
    } else {
        end->open = false;
        note_dead(network);
    }
    return arrival;
}

struct network_arrival network_arrive(struct network *network, const struct sim_event *event) {
    switch ((enum network_kind)event->kind) {
    case NETWORK_DIAL:
        return arrive_dial(network, event);
    case NETWORK_DIAL_FAILED:
        return (struct network_arrival){.kind = NETWORK_DIAL_FAILED, .dial = event->a};
    case NETWORK_UP:
    case NETWORK_FRAME:
    case NETWORK_DOWN:
        return arrive_at_end(network, event);
    }
    assert(!"an event of the network");
    return (struct network_arrival){0};
}
