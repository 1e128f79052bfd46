/* What operators and drivers see of a node: queries that change nothing. */
#include <assert.h>
#include <string.h>

#include "base/text.h"
#include "replication/node_private.h"

struct node_id node_self(const struct node *node) {
    return node->core.self;
}

/* The members shown: those that count, which before birth are all that said who they are. */
size_t node_member_count(const struct node *node) {
    return node->members.count;
}

static enum member_state state_of(const struct node *node, uint16_t index, struct instant now,
                                  uint64_t *heard_ms) {
    *heard_ms = 0;
    if (index == MEMBER_SELF)
        return MEMBER_UP;
    if (index >= node->peers.peer_count)
        return MEMBER_DOWN;
    const struct watch *watch = &node->peers.peers[index].watch;
    *heard_ms = now.mono_us > watch->heard_us ? (now.mono_us - watch->heard_us) / 1000 : 0;
    switch (watch->state) {
    case WATCH_UP:
        return MEMBER_UP;
    case WATCH_SUSPECT:
        return MEMBER_SUSPECT;
    case WATCH_DOWN:
        break;
    }
    return MEMBER_DOWN;
}

static enum member_status status_of(const struct node *node, const struct member *member) {
    if (node->birth.state == BIRTH_BORN &&
        !certificate_has_holder(&node->birth.certificate, &member->id))
        return MEMBER_REMOVED;
    return member_is_filling(member) ? MEMBER_JOINING : MEMBER_MEMBER;
}

void node_member(const struct node *node, size_t index, struct instant now,
                 struct member_view *out) {
    assert(index < node->members.count);
    const struct member *member = &node->members.items[index];
    *out = (struct member_view){.id = member->id,
                                .address = member->address,
                                .cluster_port = member->cluster_port,
                                .vnodes = member->vnodes,
                                .status = status_of(node, member),
                                .self = index == MEMBER_SELF};
    memcpy(out->zone, member->zone, sizeof(out->zone));
    out->state = state_of(node, (uint16_t)index, now, &out->heard_ms);
    if (index != MEMBER_SELF) {
        struct hint_sum owed = hints_owed(&node->hints, (uint16_t)index);
        out->hints_pending = owed.count;
        out->hint_bytes = owed.bytes;
        out->hint_oldest_ms = owed.oldest_ms;
    }
    out->partitions = placement_homes_of(&node->placement, (uint16_t)index);
}

size_t node_preflist(const struct node *node, uint16_t partition, uint16_t *out, size_t max,
                     size_t *homes) {
    uint16_t first[PREFLIST_MAX_N];
    *homes = placement_homes(&node->placement, partition, first);
    if (*homes > max)
        *homes = max;
    return placement_list(&node->placement, partition, out, max);
}

uint32_t node_partitions(const struct node *node) {
    return node->core.conf.partitions;
}

uint16_t node_slot(const struct node *node, const void *key, size_t len) {
    return slot_of_key(node->core.conf.partitioner, key, len);
}

void node_stats(const struct node *node, struct node_stats *out) {
    *out = node->core.stats;
    out->leaves_mended = node->scrub.mended;
    int64_t tombstones = node->core.tombstones.count;
    out->tombstones = tombstones > 0 ? (uint64_t)tombstones : 0;
    out->requests_in_flight = node->co.in_flight;
    out->keys_in_flight = node->replica.entry_count + node->hints.copies.entry_count;
    out->hints_pending = 0;
    for (size_t i = 0; i < node->hints.ledger.target_count; i++)
        out->hints_pending += node->hints.ledger.targets[i].sum.count;
    out->hint_bytes = node->hints.ledger.bytes;
    out->hints_counted = node->hints.ledger.counted;
    out->partitions_owned = node->placement.owned;
    out->members = 0;
    for (uint16_t i = 0; i < node->members.count; i++)
        out->members += status_of(node, &node->members.items[i]) != MEMBER_REMOVED;
    out->members_joining = 0;
    for (size_t i = 0; i < node->placement.count; i++)
        out->members_joining +=
            member_is_filling(&node->members.items[node->placement.to_member[i]]);
    out->members_up = 1u + peers_up_count(&node->peers);
    out->born = node->birth.state == BIRTH_BORN;
    out->open = node_is_open(node);
    out->cluster_id[0] = 0;
    if (out->born)
        text_hex(node->birth.certificate.cluster.bytes, NODE_ID_BYTES, out->cluster_id);
}

void node_quorum(const struct node *node, uint32_t *n, uint32_t *r, uint32_t *w) {
    *n = node->core.conf.n;
    *r = node->core.conf.r;
    *w = node->core.conf.w;
}

enum rd_err node_set_quorum(struct node *node, uint32_t r, uint32_t w) {
    uint32_t n = node->core.conf.n;
    if (r < 1 || r > n || w < 1 || w > n)
        return RD_ECONF;
    node->core.conf.r = r;
    node->core.conf.w = w;
    return RD_OK;
}

void node_set_handoff(struct node *node, bool sloppy_quorum, bool hinted_handoff,
                      uint64_t max_hint_bytes, uint64_t handoff_rate) {
    struct node_conf *conf = &node->core.conf;
    conf->sloppy_quorum = sloppy_quorum;
    conf->hinted_handoff = hinted_handoff;
    conf->max_hint_bytes = max_hint_bytes;
    conf->handoff_rate = handoff_rate;
}

enum rd_err node_seal(const struct node *node, const void *key, size_t key_len,
                      const struct object *object, struct buf *out) {
    struct context context;
    enum rd_err err = object_context(object, &context);
    if (err != RD_OK)
        return err;
    /* before the birth only the empty context exists, and the zero key seals it: see node_client.c */
    err = context_seal(&context, node->birth.certificate.seal_key, key, key_len, out);
    context_free(&context);
    return err;
}

void node_set_store_view(struct node *node, const struct store_view *view) {
    node->core.view = *view;
}

unsigned node_repair(struct node *node, uint32_t partition) {
    assert(partition == UINT32_MAX || partition < node->core.conf.partitions);
    return node->birth.state == BIRTH_BORN ? exchange_repair(&node->exchange, partition) : 0;
}

bool node_background_idle(const struct node *node) {
    return exchange_idle(&node->exchange) && reap_idle(&node->reap) &&
           node->scrub.wanted_count == 0 && !scrub_dirty(&node->scrub) && !node->scrub.mending;
}

void node_set_anti_entropy(struct node *node, bool on, uint32_t interval_ms) {
    node->core.conf.anti_entropy = on;
    node->core.conf.anti_entropy_interval_ms = interval_ms;
}

void node_set_tombstone_grace(struct node *node, uint64_t grace_ms) {
    node->core.conf.tombstone_grace_ms = grace_ms;
}

void node_set_rmw(struct node *node, rmw_fn *rmw, void *arg) {
    node->core.rmw = rmw;
    node->core.rmw_arg = arg;
}

void node_check(const struct node *node) {
    assert(node->magic == NODE_MAGIC && !node->stepping);
    assert(node_id_compare(&node->members.items[MEMBER_SELF].id, &node->core.self) == 0);
    peers_check(&node->peers);
    replica_check(&node->replica);
    hints_check(&node->hints);
    coordinator_check(&node->co);
    exchange_check(&node->exchange);
    reap_check(&node->reap);
    uint32_t parked = 0;
    for (const struct request *at = node->co.deadlines; at != NULL; at = at->next)
        parked += at->kind == REQUEST_PARKED;
    assert(parked == node->parked);
    for (uint32_t i = 1; i < node->batch_count; i++)
        assert(node->batches[i - 1].token < node->batches[i].token);
}
