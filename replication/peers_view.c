/* What a node thinks of its peers, asked by those who choose among them. Links and dials are peers.c's. */
#include "replication/peers.h"

bool peers_is_vacant(const struct peers *peers, uint16_t member) {
    return member < peers->peer_count && peers->peers[member].vacant;
}

static struct node_id holder_of(const struct peers *peers, const struct node_id *id) {
    return peers->birth != NULL ? successors_holder(&peers->birth->successors, id) : *id;
}

uint16_t peers_holder(const struct peers *peers, const struct node_id *id) {
    struct node_id holder = holder_of(peers, id);
    return members_find(peers->members, &holder);
}

bool peers_holds(const struct peers *peers, uint16_t member, const struct node_id *id) {
    struct node_id holder = holder_of(peers, id);
    return node_id_compare(&holder, &peers->members->items[member].id) == 0;
}

uint16_t peers_reachable_count(const struct peers *peers) {
    uint16_t count = 0;
    for (uint16_t i = 0; i < peers->peer_count; i++)
        count += peers_reachable(peers, i);
    return count;
}

uint16_t peers_up_count(const struct peers *peers) {
    uint16_t count = 0;
    for (uint16_t i = 0; i < peers->peer_count; i++)
        count += i != MEMBER_SELF && peers->peers[i].watch.state == WATCH_UP;
    return count;
}

uint16_t peers_random(struct peers *peers) {
    uint16_t count = peers_reachable_count(peers);
    if (count == 0)
        return MEMBER_NONE;
    uint64_t pick = prng_below(&peers->core->prng, count);
    for (uint16_t i = 0; i < peers->peer_count; i++)
        if (peers_reachable(peers, i) && pick-- == 0)
            return i;
    return MEMBER_NONE;
}
