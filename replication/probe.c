/* Probes. What is decided about a peer is decided in failure.c; here are frames and the choice of relays. */
#include "replication/probe.h"

#include <string.h>

#include "base/text.h"

static struct resp_slice id_slice(const struct node_id *id) {
    return (struct resp_slice){id->bytes, NODE_ID_BYTES};
}

static bool is_id(struct resp_slice slice) {
    return slice.len == 0 || slice.len == NODE_ID_BYTES;
}

/* The member of a packed id; MEMBER_NONE if there is none, or it has no peer yet. */
static uint16_t member_of(const struct peers *peers, struct resp_slice slice) {
    struct node_id id;
    memcpy(id.bytes, slice.data, NODE_ID_BYTES);
    uint16_t member = members_find(peers->members, &id);
    return member < peers->peer_count ? member : MEMBER_NONE;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Asks up to PROBE_RELAYS others, picked at random, to probe `target`: a walk over all members from
 * a random one on, healthy ones first. */
static void ask_relays(struct peers *peers, uint16_t target) {
    struct wire_msg msg = {.kind = WIRE_PROBE};
    uint16_t count = peers->peer_count;
    uint16_t first = (uint16_t)prng_below(&peers->core->prng, count);
    unsigned asked = 0;
    msg.probe.sent_us = peers->core->now.mono_us;
    msg.probe.target = id_slice(&peers->members->items[target].id);
    for (int healthy = 1; healthy >= 0; healthy--)
        for (uint16_t i = 0; i < count && asked < PROBE_RELAYS; i++) {
            uint16_t relay = (uint16_t)((first + i) % count);
            if (relay != MEMBER_SELF && relay != target && peers_healthy(peers, relay) == healthy)
                asked += peers_say(peers, relay, &msg);
        }
}

static void log_state(struct peers *peers, uint16_t member) {
    struct peer *peer = &peers->peers[member];
    enum watch_state state = peer->watch.state;
    const struct member *named = &peers->members->items[member];
    if (state == peer->said)
        return;
    char id[NODE_ID_HEX + 1];
    text_hex(named->id.bytes, NODE_ID_BYTES, id);
    bool serious = state == WATCH_DOWN || peer->said == WATCH_DOWN;
    peers->turned |= peer->said == WATCH_UP;
    effects_log(peers->core->effects, serious ? LOG_NOTICE : LOG_VERBOSE,
                "The node %s at %s:%u is %s", id, named->address.host, named->cluster_port,
                watch_state_text(state));
    peer->said = state;
}

void probe_tick(struct peers *peers) {
    for (uint16_t i = 0; i < peers->peer_count; i++) {
        if (i == MEMBER_SELF)
            continue;
        struct wire_msg msg = {.kind = WIRE_PROBE};
        msg.probe.sent_us = peers->core->now.mono_us;
        struct watch_wish wish =
            watch_tick(&peers->failure, &peers->peers[i].watch, peers_reachable(peers, i));
        if (wish.probe)
            peers_say(peers, i, &msg);
        if (wish.relay)
            ask_relays(peers, i);
        log_state(peers, i);
    }
}

/* ---- answering ------------------------------------------------------------------------------- */

static void on_probe(struct peers *peers, uint16_t from, const struct wire_msg *msg) {
    struct wire_msg out = {.kind = WIRE_PROBE_ANSWER};
    out.probe.sent_us = msg->probe.sent_us;
    if (msg->probe.target.len == 0) {
        out.probe.asker = msg->probe.asker;
        peers_say(peers, from, &out);
        return;
    }
    uint16_t target = member_of(peers, msg->probe.target);
    if (target == MEMBER_NONE || target == MEMBER_SELF)
        return;
    out.kind = WIRE_PROBE;
    out.probe.asker = id_slice(&peers->members->items[from].id);
    peers_say(peers, target, &out);
    watch_doubted(&peers->failure, &peers->peers[target].watch);
}

static void on_answer(struct peers *peers, uint16_t from, const struct wire_msg *msg) {
    struct watch *watch = &peers->peers[from].watch;
    if (msg->probe.target.len > 0) {
        uint16_t target = member_of(peers, msg->probe.target);
        if (target != MEMBER_NONE && target != MEMBER_SELF)
            watch_vouched(&peers->failure, &peers->peers[target].watch, msg->probe.sent_us);
        return;
    }
    if (msg->probe.asker.len == 0) {
        if (watch->state == WATCH_SUSPECT && RD_PLANTED(peers->core, SUSPECT_NEVER_CLEARED))
            return;
        peers->revived |= !watch_answers(&peers->failure, watch);
        watch_answered(&peers->failure, watch, msg->probe.sent_us);
        return;
    }
    uint16_t asker = member_of(peers, msg->probe.asker);
    struct wire_msg out = {.kind = WIRE_PROBE_ANSWER};
    out.probe.sent_us = msg->probe.sent_us;
    out.probe.target = id_slice(&peers->members->items[from].id);
    if (asker != MEMBER_NONE && asker != MEMBER_SELF)
        peers_say(peers, asker, &out);
}

enum rd_err probe_message(struct peers *peers, uint16_t from, const struct wire_msg *msg) {
    bool both = msg->probe.asker.len > 0 && msg->probe.target.len > 0;
    if (both || !is_id(msg->probe.asker) || !is_id(msg->probe.target))
        return RD_EPROTO;
    if (msg->kind == WIRE_PROBE)
        on_probe(peers, from, msg);
    else
        on_answer(peers, from, msg);
    return RD_OK;
}
