/* What a node knows of its peers' health, for routing: who is asked first, who is passed over, and who is found out about first. The rules
 * are in failure.c; links are peers.c's. */
#include "replication/peers.h"

#define CHECK_US 1000 /* one probe in so long is enough for all who wonder */

static uint64_t now_us(const struct peers *peers) {
    return peers->core->now.mono_us;
}

void peers_missed(struct peers *peers, uint16_t member, uint64_t asked_us) {
    if (member < peers->peer_count)
        watch_missed(&peers->failure, &peers->peers[member].watch, asked_us);
}

void peers_served(struct peers *peers, uint16_t member) {
    if (member >= peers->peer_count)
        return;
    peers->revived |= !peers_answers(peers, member);
    watch_served(&peers->failure, &peers->peers[member].watch);
}

bool peers_answers(const struct peers *peers, uint16_t member) {
    return member < peers->peer_count &&
           watch_answers(&peers->failure, &peers->peers[member].watch);
}

bool peers_silent(const struct peers *peers, uint16_t member, uint64_t since_us) {
    return member < peers->peer_count && peers->peers[member].watch.heard_us <= since_us;
}

bool peers_check_on(struct peers *peers, uint16_t member) {
    struct wire_msg msg = {.kind = WIRE_PROBE};
    if (!peers_reachable(peers, member))
        return false;
    struct peer *peer = &peers->peers[member];
    if (peer->checked_us != 0 && now_us(peers) - peer->checked_us < CHECK_US)
        return true;
    peer->checked_us = now_us(peers);
    msg.probe.sent_us = now_us(peers);
    return peers_say(peers, member, &msg);
}

bool peers_take_turned(struct peers *peers) {
    bool turned = peers->turned;
    peers->turned = false;
    return turned;
}

bool peers_take_revived(struct peers *peers) {
    bool revived = peers->revived;
    peers->revived = false;
    return revived;
}

bool peers_view_is_fresh(const struct peers *peers) {
    return failure_is_fresh(&peers->failure);
}

bool peers_is_proven(const struct peers *peers, uint16_t member) {
    return member < peers->peer_count &&
           watch_is_proven(&peers->failure, &peers->peers[member].watch);
}

void peers_answered(struct peers *peers, uint16_t member, uint64_t us) {
    if (member < peers->peer_count)
        latency_add(&peers->peers[member].latency, us);
}

const struct latency *peers_latency(const struct peers *peers, uint16_t member) {
    return member < peers->peer_count ? &peers->peers[member].latency : NULL;
}

uint32_t peers_slowness(const struct peers *peers, uint16_t member) {
    if (member >= peers->peer_count)
        return 0;
    const struct peer *peer = &peers->peers[member];
    uint64_t waiting_us = peer->watch.waiting_us, late_us = peers->failure.late_us;
    if (waiting_us != 0 && waiting_us < late_us)
        waiting_us = late_us; /* this node was late itself */
    uint32_t owes = waiting_us == 0 ? 0 : latency_rank_of(now_us(peers) - waiting_us);
    uint32_t usually = latency_rank(&peer->latency);
    return owes > usually ? owes : usually;
}
