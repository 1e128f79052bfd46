/* The step: which event goes to which protocol, and what follows from it within the same step.
 *
 * Invariants: (1) a step runs until nothing follows any more: replica answers, lost members, the
 * birth; (2) nothing is sent or dialled before the node's own id is on disk; (3) batches
 * complete in the order in which they were emitted. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/text.h"
#include "replication/bytes.h"
#include "replication/node_private.h"

#define PROBE_US 1000000 /* between two looks at a store that takes no writes */
#define REVIEW_SHARE                                                                               \
    4 /* requests that have waited for so much of request-timeout are looked at again */

/* ---- the identity --------------------------------------------------------------------------------- */

/* The row: id, generation, the last incarnation, the birth key; numbers big-endian. */
#define IDENTITY_BYTES (NODE_ID_BYTES + 16 + CONTEXT_KEY_BYTES)

/* Takes the identity from its row, or makes a new one. */
static enum rd_err init_identity(struct node *node, const struct blob *row, char reason[256]) {
    struct core *core = &node->core;
    struct identity *identity = &node->identity;
    actors_begin(&core->actors, &core->prng);
    identity->dirty = true;
    identity->generation = 1;
    if (RD_PLANTED(core, REUSED_DOT_AFTER_RESTART) && row != NULL && row->len == IDENTITY_BYTES)
        core->actors.incarnation = bytes_get_u64(row->bytes + NODE_ID_BYTES + 8);
    if (row == NULL) {
        prng_fill(&core->prng, core->self.bytes, NODE_ID_BYTES);
        prng_fill(&core->prng, identity->birth_key, CONTEXT_KEY_BYTES);
        return RD_OK;
    }
    if (row->len != IDENTITY_BYTES) {
        snprintf(reason, 256, "the stored node id is damaged");
        return RD_ECORRUPT;
    }
    memcpy(core->self.bytes, row->bytes, NODE_ID_BYTES);
    uint64_t last = bytes_get_u64(row->bytes + NODE_ID_BYTES);
    if (last == 0 || last >= INT64_MAX) {
        snprintf(reason, 256, "the stored node id is damaged");
        return RD_ECORRUPT;
    }
    identity->generation = last + 1;
    memcpy(identity->birth_key, row->bytes + NODE_ID_BYTES + 16, CONTEXT_KEY_BYTES);
    if (bytes_get_u64(row->bytes + NODE_ID_BYTES + 8) == core->actors.incarnation &&
        !RD_PLANTED(core, REUSED_DOT_AFTER_RESTART)) {
        snprintf(reason, 256,
                 "the system's random generator repeats itself: two starts of this "
                 "node got the same numbers, which could lose data");
        return RD_ECONF;
    }
    return RD_OK;
}

static enum rd_err init_self(struct node *node) {
    const struct node_conf *conf = &node->core.conf;
    uint16_t index;
    enum rd_err err = members_add(&node->members, &node->core.self, &index);
    if (err != RD_OK)
        return err;
    assert(index == MEMBER_SELF);
    struct member *self = &node->members.items[MEMBER_SELF];
    self->generation = node->identity.generation;
    self->version = 1;
    self->vnodes = conf->vnodes;
    self->address.port = conf->port;
    self->cluster_port = conf->cluster_port;
    memcpy(self->address.host, conf->announce_host, sizeof(self->address.host));
    memcpy(self->zone, conf->zone, sizeof(self->zone));
    memcpy(self->masked_key, node->identity.birth_key, MEMBER_MASKED_KEY_BYTES);
    certificate_mask(conf->secret, &node->core.self, self->masked_key);
    return RD_OK;
}

/* Emits the identity row as part of a batch. */
static bool flush_identity(struct node *node) {
    uint8_t row[IDENTITY_BYTES];
    struct blob *key, *value;
    memcpy(row, node->core.self.bytes, NODE_ID_BYTES);
    bytes_put_u64(row + NODE_ID_BYTES, node->identity.generation);
    bytes_put_u64(row + NODE_ID_BYTES + 8, node->core.actors.incarnation);
    memcpy(row + NODE_ID_BYTES + 16, node->identity.birth_key, CONTEXT_KEY_BYTES);
    if (blob_new("identity", 8, &key) != RD_OK)
        return false;
    if (blob_new(row, sizeof(row), &value) != RD_OK) {
        blob_unref(key);
        return false;
    }
    struct effect *effect = effects_push(node->core.effects, EFF_STORE_PUT);
    effect->store_put.at = (struct row_key){2, 0, key};
    effect->store_put.value = value;
    node->identity.dirty = false;
    return true;
}

/* ---- start and end -------------------------------------------------------------------------------- */

static enum rd_err check_conf(const struct node_conf *conf, char reason[256]) {
    const char *wrong = NULL;
    if (conf->n < 1 || conf->n > PREFLIST_MAX_N)
        wrong = "replication-factor is out of range";
    else if (conf->r < 1 || conf->r > conf->n || conf->w < 1 || conf->w > conf->n)
        wrong = "read-quorum and write-quorum must be between 1 and replication-factor";
    else if (conf->partitions < 1 || conf->partitions > SLOT_COUNT ||
             (conf->partitions & (conf->partitions - 1)) != 0)
        wrong = "partitions must be a power of two between 1 and 16384";
    else if (conf->vnodes < 1 || conf->vnodes > RING_MAX_VNODES)
        wrong = "vnodes is out of range";
    else if (conf->max_requests < 1 || conf->request_timeout_ms < 1 ||
             conf->gossip_interval_ms < 1 || conf->failure_timeout_ms < 1 || conf->max_siblings < 1)
        wrong = "a limit or an interval is zero";
    if (wrong != NULL)
        snprintf(reason, 256, "%s", wrong);
    return wrong == NULL ? RD_OK : RD_ECONF;
}

static void init_background(struct node *node) {
    budget_init(&node->budget, node->core.conf.handoff_rate, 0);
    scrub_init(&node->scrub, &node->core);
    node->scrub.placement = &node->placement;
    node->scrub.budget = &node->budget;
    exchange_init(&node->exchange, &node->core);
    node->exchange.members = &node->members;
    node->exchange.peers = &node->peers;
    node->exchange.placement = &node->placement;
    node->exchange.replica = &node->replica;
    node->exchange.budget = &node->budget;
    node->exchange.scrub = &node->scrub;
    reap_init(&node->reap, &node->core);
    node->reap.members = &node->members;
    node->reap.peers = &node->peers;
    node->reap.placement = &node->placement;
    node->reap.co = &node->co;
    node->reap.replica = &node->replica;
    node->reap.hints = &node->hints;
    node->reap.exchange = &node->exchange;
    node->reap.budget = &node->budget;
}

static enum rd_err init_parts(struct node *node, const struct node_conf *conf, char reason[256]) {
    struct core *core = &node->core;
    enum rd_err err = init_identity(node, conf->meta_identity, reason);
    if (err != RD_OK)
        return err;
    snprintf(reason, 256, "out of memory");
    err = init_self(node);
    if (err == RD_OK)
        err = peers_init(&node->peers, core, &node->members, conf->seeds, conf->seed_count);
    if (err == RD_OK)
        err = coordinator_init(&node->co, core);
    if (err != RD_OK)
        return err;
    replica_init(&node->replica, core);
    scan_jobs_init(&node->scan_jobs, core);
    node->co.scan_jobs = &node->scan_jobs;
    hints_init(&node->hints, core, &node->members, &node->peers, &node->budget);
    node->co.members = &node->members;
    node->co.peers = &node->peers;
    node->co.replica = &node->replica;
    node->co.hints = &node->hints.copies;
    node->co.placement = &node->placement;
    node->co.birth = &node->birth;
    init_background(node);
    replace_init(&node->replace, core);
    node->replace.members = &node->members;
    node->replace.peers = &node->peers;
    node->replace.placement = &node->placement;
    node->replace.exchange = &node->exchange;
    node->replace.birth = &node->birth;
    err = birth_init(&node->birth, core, &node->members, &node->peers, conf->meta_birth, reason);
    if (err == RD_ECORRUPT)
        snprintf(reason, 256, "the stored birth certificate is damaged or is another node's");
    return err;
}

enum rd_err node_new(const struct node_conf *conf, const uint64_t seed[4], struct node **out,
                     char reason[256]) {
    enum rd_err err = check_conf(conf, reason);
    if (err != RD_OK)
        return err;
    struct node *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        snprintf(reason, 256, "out of memory");
        return RD_ENOMEM;
    }
    node->magic = NODE_MAGIC;
    node->core.conf = *conf;
    node->core.conf.seeds = NULL;
    node->core.conf.seed_count = 0;
    node->core.conf.meta_identity = node->core.conf.meta_birth = NULL;
    prng_seed_wide(&node->core.prng, seed);
    err = init_parts(node, conf, reason);
    if (err != RD_OK) {
        node_free(&node);
        return err;
    }
    *out = node;
    return RD_OK;
}

void node_free(struct node **node) {
    struct node *at = *node;
    if (at == NULL)
        return;
    assert(at->magic == NODE_MAGIC && !at->stepping);
    reap_free(&at->reap);
    if (at->replica.core != NULL)
        replica_free(&at->replica);
    scan_jobs_free(&at->scan_jobs);
    hints_free(&at->hints);
    coordinator_free(&at->co);
    exchange_free(&at->exchange);
    scrub_free(&at->scrub);
    birth_free(&at->birth);
    placement_free(&at->placement);
    peers_free(&at->peers);
    members_free(&at->members);
    at->magic = 0;
    free(at);
    *node = NULL;
}

/* ---- placement ------------------------------------------------------------------------------------ */

/* The members whose places count: those of the certificate, or, before birth, all that are
 * known. */
static enum rd_err layout_members(const struct node *node, struct members *out) {
    struct members layout = {0};
    enum rd_err err = RD_OK;
    for (uint16_t i = 0; err == RD_OK && i < node->members.count; i++) {
        uint16_t index;
        if (node->members.items[i].generation == 0)
            continue;
        err = members_add(&layout, &node->members.items[i].id, &index);
        if (err == RD_OK)
            layout.items[index] = node->members.items[i];
    }
    if (err != RD_OK) {
        members_free(&layout);
        return err;
    }
    *out = layout;
    return RD_OK;
}

/* Computes the placement anew if what it rests on has changed. Without memory for it, it is
 * tried again at the next step; meanwhile the old one stays before the birth, and there is none
 * after it: two nodes with different homes for a key would lose writes. */
static void compute_placement(struct node *node) {
    const struct certificate *born = &node->birth.certificate;
    bool is_born = node->birth.state == BIRTH_BORN;
    uint64_t hash = is_born ? 0 : members_hash(&node->members);
    if (!is_born && hash == node->layout_hash)
        return;
    struct members known = {0};
    enum rd_err err = RD_OK;
    if (!is_born)
        err = layout_members(node, &known);
    if (err == RD_OK)
        err =
            placement_compute(&node->placement, &node->core.conf, is_born ? &born->members : &known,
                              &born->successors, &node->members);
    if (err == RD_OK) {
        node->layout_hash = hash;
        node->layout_epoch = is_born ? node->birth.epoch : 0;
    } else
        effects_log(node->core.effects, LOG_WARNING, "The placement could not be computed: %s",
                    rd_err_text(err));
    if (err != RD_OK && is_born)
        placement_free(&node->placement);
    members_free(&known);
}

/* The certificate of a born cluster has a number: a step costs nothing per member. */
static void refresh_placement(struct node *node) {
    if (node->birth.state != BIRTH_BORN || node->layout_epoch != node->birth.epoch)
        compute_placement(node);
}

/* ---- what follows from an event ------------------------------------------------------------------- */

static void request_lost(struct node *node, struct request *request, uint16_t member) {
    struct coordinator *co = &node->co;
    switch (request->kind) {
    case REQUEST_PARKED:
        break;
    case REQUEST_READ:
        op_read_lost(co, request, member);
        break;
    case REQUEST_WRITE:
        op_write_lost(co, request, member);
        break;
    case REQUEST_RMW: /* it has asked nobody */
        break;
    case REQUEST_FORWARD:
        op_forward_lost(co, request, member);
        break;
    case REQUEST_REPORT:
        op_report_lost(co, request, member);
        break;
    case REQUEST_COUNT:
        op_count_lost(co, request, member);
        break;
    case REQUEST_SCAN:
        op_scan_lost(co, request, member);
        break;
    }
}

static void request_expired(struct node *node, struct request *request) {
    struct coordinator *co = &node->co;
    switch (request->kind) {
    case REQUEST_PARKED:
        node->parked--;
        coordinator_fail(co, request, RD_ECLUSTERDOWN,
                         "the cluster is not born yet, and too few of the nodes it is to have "
                         "could agree on its birth; nothing was written");
        break;
    case REQUEST_READ:
        op_read_expired(co, request);
        break;
    case REQUEST_WRITE:
        op_write_expired(co, request);
        break;
    case REQUEST_RMW:
        op_rmw_expired(co, request);
        break;
    case REQUEST_FORWARD:
        op_forward_expired(co, request);
        break;
    case REQUEST_REPORT:
        op_report_expired(co, request);
        break;
    case REQUEST_COUNT:
        op_count_expired(co, request);
        break;
    case REQUEST_SCAN:
        op_scan_expired(co, request);
        break;
    }
}

static bool tell_lost(struct node *node) {
    uint16_t member = peers_take_lost(&node->peers);
    if (member == MEMBER_NONE)
        return false;
    struct request *request, *next;
    DL_FOREACH_SAFE(node->co.deadlines, request, next) request_lost(node, request, member);
    birth_lost(&node->birth, member);
    hints_lost(&node->hints, member);
    exchange_lost(&node->exchange, member);
    return true;
}

/* Looks again at requests that a silent node may hold up: at those for which some time is over, and at all when somebody has become suspect. */
static void review_requests(struct node *node) {
    struct coordinator *co = &node->co;
    bool all = peers_take_turned(&node->peers);
    struct request *request, *next;
    DL_FOREACH_SAFE(co->deadlines, request, next) {
        if (!all && !coordinator_waited(co, request->started_us, REVIEW_SHARE))
            break;
        if (request->replied)
            continue;
        if (request->kind == REQUEST_READ)
            op_read_review(co, request);
        else if (request->kind == REQUEST_WRITE)
            op_write_review(co, request);
        else if (request->kind == REQUEST_FORWARD)
            op_forward_review(co, request);
    }
}

/* Somebody answers again: forwards may have waited for that. */
static void wake_forwards(struct node *node) {
    struct coordinator *co = &node->co;
    bool revived = peers_take_revived(&node->peers);
    if (!revived || !co->checking)
        return;
    struct request *request, *next;
    co->checking = false;
    DL_FOREACH_SAFE(co->deadlines, request, next)
    if (request->kind == REQUEST_FORWARD && request->forward.checking) {
        co->checking = true;
        op_forward_review(co, request);
    }
}

static void start_parked(struct node *node) {
    struct request *request, *next;
    DL_FOREACH_SAFE(node->co.deadlines, request, next)
    if (request->kind == REQUEST_PARKED) {
        node->parked--;
        node_start_write(node, request);
    }
}

/* Runs what follows until nothing does. */
static void settle(struct node *node) {
    struct replica_answer answer;
    do {
        refresh_placement(node);
        wake_forwards(node);
        if (node->places_epoch != node->birth.epoch)
            node_places_changed(node);
        if (node->parked > 0 && node->birth.state == BIRTH_BORN &&
            placement_is_known(&node->placement))
            start_parked(node);
        while (replica_next(&node->replica, &answer) || replica_next(&node->hints.copies, &answer))
            node_on_replica_answer(node, &answer);
    } while (op_rmw_settle(&node->co) || node_give_scans(node) || tell_lost(node));
}

/* ---- events --------------------------------------------------------------------------------------- */

/* What nobody waits for: a bit at a time. */
static void tick_background(struct node *node) {
    for (size_t i = 0; i < node->hints.ledger.target_count; i++) {
        struct hint_target *target = &node->hints.ledger.targets[i];
        uint16_t member = target->behind ? peers_holder(&node->peers, &target->id) : MEMBER_NONE;
        if (member == MEMBER_NONE)
            continue;
        target->behind = false;
        if (member != MEMBER_SELF)
            exchange_mark(&node->exchange, member);
    }
    if (replace_tick(&node->replace))
        node_spread(node);
    exchange_tick(&node->exchange);
    scrub_tick(&node->scrub);
    reap_tick(&node->reap);
}

static void on_timer(struct node *node) {
    uint64_t now = node->core.now.mono_us;
    while (node->co.deadlines != NULL && node->co.deadlines->deadline_us <= now)
        request_expired(node, node->co.deadlines);
    while (node->co.hedges != NULL && node->co.hedges->hedge_us <= now) {
        struct request *request = node->co.hedges;
        DL_DELETE2(node->co.hedges, request, hedge_prev, hedge_next);
        request->hedge_us = 0;
        if (request->kind == REQUEST_SCAN)
            op_scan_hedge(&node->co, request);
        else
            op_read_hedge(&node->co, request);
    }
    if (node->next_tick_us <= now && node->identity.durable) {
        budget_set_rate(&node->budget, node->core.conf.handoff_rate);
        budget_lag(&node->budget, node->next_tick_us == 0 ? 0 : now - node->next_tick_us);
        node->next_tick_us = now + PEERS_TICK_US;
        peers_tick(&node->peers);
        review_requests(node);
        hints_tick(&node->hints);
        if (node->birth.state == BIRTH_BORN && !node->birth.gone)
            tick_background(node);
        if (node->parked > 0)
            birth_want(&node->birth);
    }
    if (node->next_gossip_us <= now && node->identity.durable) {
        uint64_t interval = (uint64_t)node->core.conf.gossip_interval_ms * 1000;
        node->next_gossip_us = now + interval / 2 + prng_below(&node->core.prng, interval + 1);
        node_gossip(node);
    }
}

/* A page of a scan goes to whoever asked for it. */
static void on_scanned(struct node *node, const struct event *event) {
    switch ((enum scan_user)(event->store_scanned.token >> SCAN_USER_SHIFT)) {
    case SCAN_KEYS:
        if (!scan_jobs_scanned(&node->scan_jobs, event->store_scanned.token,
                               event->store_scanned.err, event->store_scanned.rows,
                               event->store_scanned.count, event->store_scanned.end))
            node->core.stats.late_answers++;
        break;
    case SCAN_HINTS:
        hints_scanned(&node->hints, event->store_scanned.token & SCAN_NUMBER_MASK,
                      event->store_scanned.err, event->store_scanned.rows,
                      event->store_scanned.count, event->store_scanned.end);
        break;
    case SCAN_EXCHANGE:
        exchange_scanned(&node->exchange, event->store_scanned.token, event->store_scanned.err,
                         event->store_scanned.rows, event->store_scanned.count,
                         event->store_scanned.end);
        break;
    case SCAN_SCRUB:
        scrub_scanned(&node->scrub, event->store_scanned.token, event->store_scanned.err,
                      event->store_scanned.rows, event->store_scanned.count,
                      event->store_scanned.end);
        break;
    case SCAN_REAP:
        reap_scanned(&node->reap, event->store_scanned.token, event->store_scanned.err,
                     event->store_scanned.rows, event->store_scanned.count,
                     event->store_scanned.end);
        break;
    case SCAN_NOBODY:
        node->core.stats.late_answers++;
        break;
    }
}

/* Emits the birth's row as part of a batch. */
static bool flush_birth(struct node *node, struct open_batch *batch) {
    struct buf bytes = {0};
    struct blob *key = NULL, *value = NULL;
    bool ok = blob_new("birth", 5, &key) == RD_OK && birth_flush(&node->birth, &bytes) == RD_OK &&
              blob_new(buf_data(&bytes), buf_len(&bytes), &value) == RD_OK;
    if (ok) {
        struct effect *effect = effects_push(node->core.effects, EFF_STORE_PUT);
        effect->store_put.at = (struct row_key){2, 0, key};
        effect->store_put.value = value;
        batch->birth = true;
        batch->birth_row = node->birth.row_flushed;
    } else {
        blob_unref(key);
        birth_stored(&node->birth, node->birth.row_flushed, false);
    }
    buf_free(&bytes);
    return ok;
}

/* While the store takes no writes: true if it is time to find out whether it does again, by a
 * commit that may be empty. */
static bool must_probe(struct node *node) {
    if (node->core.store_err == RD_OK || node->batch_count > 0 ||
        node->next_probe_us > node->core.now.mono_us)
        return false;
    node->next_probe_us = node->core.now.mono_us + PROBE_US;
    return true;
}

/* Emits the batch of this turn, if there is anything in it. No write may be stored before the birth
 * that it rests on: without memory for that row the whole batch waits. */
static void on_turn_end(struct node *node) {
    struct open_batch batch = {.token = node->next_batch + 1};
    if (node->batch_count == MAX_OPEN_BATCHES ||
        (birth_dirty(&node->birth) && !flush_birth(node, &batch)))
        return;
    size_t rows = replica_flush(&node->replica, batch.token) +
                  replica_flush(&node->hints.copies, batch.token);
    if (node->identity.dirty)
        batch.identity = flush_identity(node);
    batch.leaves = scrub_flush(&node->scrub) > 0;
    if (rows == 0 && !batch.identity && !batch.birth && !batch.leaves && !must_probe(node))
        return;
    node->next_batch = batch.token;
    node->batches[node->batch_count++] = batch;
    effects_push(node->core.effects, EFF_STORE_COMMIT)->store_commit.token = batch.token;
}

/* Notes whether the store takes writes. While it does not, the node coordinates none: each would
 * leave a burnt dot, and an actor that never ends, in the vectors of the other replicas. */
static void note_store(struct node *node, enum rd_err err) {
    struct core *core = &node->core;
    if (err != RD_OK && core->store_err == RD_OK) {
        node->next_probe_us = core->now.mono_us;
        effects_log(core->effects, LOG_WARNING,
                    "The store takes no writes (%s): until it does, this node coordinates none",
                    rd_err_text(err));
    } else if (err == RD_OK && core->store_err != RD_OK) {
        effects_log(core->effects, LOG_NOTICE, "The store takes writes again");
    }
    core->store_err = err;
}

static void on_stored(struct node *node, uint64_t token, enum rd_err err) {
    assert(node->batch_count > 0 && node->batches[0].token == token);
    struct open_batch batch = node->batches[0];
    memmove(node->batches, node->batches + 1, --node->batch_count * sizeof(batch));
    if (batch.identity) {
        node->identity.durable = node->identity.durable || err == RD_OK;
        node->identity.dirty = err != RD_OK;
    }
    if (batch.birth)
        birth_stored(&node->birth, batch.birth_row, err == RD_OK);
    if (batch.leaves)
        scrub_stored(&node->scrub);
    note_store(node, err);
    replica_stored(&node->replica, token, err);
    replica_stored(&node->hints.copies, token, err);
}

static void on_frame(struct node *node, const struct event *event) {
    struct link *link = peers_link(&node->peers, event->frame.link);
    struct wire_msg msg;
    struct peers_news news = {0};
    if (link == NULL)
        return; /* closed from this side while the frame was under way */
    if (wire_decode(event->frame.argv, event->frame.argc, &msg) != RD_OK) {
        peers_drop(&node->peers, link, "it sent a frame that cannot be decoded");
        return;
    }
    core_trace(&node->core, "frame %s from %s", wire_name(msg.kind), link->host);
    if (!peers_message(&node->peers, link, &msg, &news))
        node_on_message(node, link, &msg);
    node_on_news(node, &news);
}

static void on_link_up(struct node *node, const struct event *event) {
    if (!node->identity.durable) {
        effects_push(node->core.effects, EFF_CLOSE)->close.link = event->link_up.link;
        return;
    }
    peers_link_up(&node->peers, event->link_up.link, event->link_up.dial, event->link_up.host);
}

static void dispatch(struct node *node, const struct event *event) {
    switch (event->kind) {
    case EV_TIMER:
        on_timer(node);
        break;
    case EV_TURN_END:
        node->core.turns++;
        on_turn_end(node);
        break;
    case EV_CLIENT:
        node_on_client(node, event->client);
        break;
    case EV_LINK_UP:
        on_link_up(node, event);
        break;
    case EV_LINK_DOWN:
        peers_link_down(&node->peers, event->link_down.link);
        break;
    case EV_DIAL_FAILED:
        peers_dial_failed(&node->peers, event->dial_failed.dial);
        break;
    case EV_FRAME:
        on_frame(node, event);
        break;
    case EV_STORE_GOT:
        replica_got((event->store_got.token & REPLICA_HINT_TOKEN) != 0 ? &node->hints.copies
                                                                       : &node->replica,
                    event->store_got.token, event->store_got.err, event->store_got.value);
        break;
    case EV_STORE_DONE:
        on_stored(node, event->store_done.token, event->store_done.err);
        break;
    case EV_STORE_SCANNED:
        on_scanned(node, event);
        break;
    }
}

void node_step(struct node *node, struct instant now, const struct event *event,
               struct effects *effects) {
    assert(node->magic == NODE_MAGIC && !node->stepping);
    node->stepping = true;
    node->core.now = now;
    node->core.effects = effects;
    refresh_placement(node);
    peers_step(&node->peers);
    dispatch(node, event);
    settle(node);
    node->core.effects = NULL;
    node->stepping = false;
}

uint64_t node_deadline_us(const struct node *node) {
    uint64_t due = UINT64_MAX;
    if (node->identity.durable)
        due = node->next_tick_us < node->next_gossip_us ? node->next_tick_us : node->next_gossip_us;
    if (node->co.deadlines != NULL && node->co.deadlines->deadline_us < due)
        due = node->co.deadlines->deadline_us;
    if (node->co.hedges != NULL && node->co.hedges->hedge_us < due)
        due = node->co.hedges->hedge_us;
    return due;
}

bool node_has_dirty_rows(const struct node *node) {
    return node->batch_count < MAX_OPEN_BATCHES &&
           (node->identity.dirty || birth_dirty(&node->birth) || replica_dirty(&node->replica) ||
            replica_dirty(&node->hints.copies) || scrub_dirty(&node->scrub));
}
