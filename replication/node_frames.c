/* What peers say over ready links: each message goes to the protocol it belongs to. */
#include <assert.h>

#include "base/hash.h"
#include "replication/node_private.h"

static struct resp_slice buf_slice(const struct buf *buf) {
    return (struct resp_slice){buf_data(buf), buf_len(buf)};
}

/* ---- membership ----------------------------------------------------------------------------------- */

static bool may_know(void *arg, const struct node_id *id) {
    const struct node *node = arg;
    return node->birth.state != BIRTH_BORN ||
           members_find(&node->birth.certificate.members, id) != MEMBER_NONE ||
           successors_has_come(&node->birth.certificate.successors, id);
}

/* Sends entries and wishes, if there are any; passes an error of building them on as silence: gossip comes again. */
static void say_entries(struct node *node, uint16_t member, const struct buf *entries,
                        const struct buf *wanted) {
    if (buf_len(entries) == 0 && buf_len(wanted) == 0)
        return;
    struct wire_msg msg = {.kind = WIRE_ENTRIES};
    msg.entries.entries = buf_slice(entries);
    msg.entries.wanted = buf_slice(wanted);
    peers_say(&node->peers, member, &msg);
}

/* Once the cluster is born all know its members, and each member brings its own news: with hundreds of them, all entries over each new link
 * would be millions. */
static void introduce(struct node *node, uint16_t member) {
    struct buf entries = {0}, none = {0};
    enum rd_err err = node->birth.state == BIRTH_BORN
                          ? members_encode_one(&node->members.items[MEMBER_SELF], &entries)
                          : members_encode_all(&node->members, &entries);
    if (err == RD_OK)
        say_entries(node, member, &entries, &none);
    buf_free(&entries);
}

void node_greet(struct node *node, uint16_t member, struct link *link) {
    birth_tell_over(&node->birth, link, false); /* before anything else goes over it */
    exchange_met(&node->exchange, member);
    introduce(node, member);
}

void node_spread(struct node *node) {
    for (uint16_t i = 1; i < node->members.count; i++)
        if (peers_reachable(&node->peers, i))
            introduce(node, i);
}

/* Of all that gossip keeps the same everywhere: entries, and who has taken whose place. */
static uint64_t known_hash(const struct node *node) {
    const struct successors *records = &node->birth.certificate.successors;
    uint64_t hash = members_hash(&node->members);
    for (size_t i = 0; i < records->count; i++)
        hash += hash_xxh64(&records->items[i], sizeof(records->items[i]), 2);
    return hash;
}

void node_gossip(struct node *node) {
    uint16_t member = peers_random(&node->peers);
    if (member == MEMBER_NONE)
        return;
    struct wire_msg msg = {.kind = WIRE_GOSSIP};
    msg.gossip.hash = known_hash(node);
    peers_say(&node->peers, member, &msg);
}

static void on_gossip(struct node *node, uint16_t member, uint64_t hash) {
    struct buf lines = {0};
    struct wire_msg msg = {.kind = WIRE_DIGEST};
    if (hash == known_hash(node))
        return;
    if (node->birth.certificate.successors.count > 0)
        birth_tell(&node->birth, member);
    if (members_digest(&node->members, &lines) == RD_OK) {
        msg.digest.lines = buf_slice(&lines);
        peers_say(&node->peers, member, &msg);
    }
    buf_free(&lines);
}

static enum rd_err on_digest(struct node *node, uint16_t member, struct resp_slice lines) {
    struct buf entries = {0}, wanted = {0};
    enum rd_err err = members_compare(&node->members, lines, &entries, &wanted);
    if (err == RD_OK)
        say_entries(node, member, &entries, &wanted);
    buf_free(&entries);
    buf_free(&wanted);
    return err;
}

static enum rd_err on_entries(struct node *node, uint16_t member, const struct wire_msg *msg) {
    struct buf entries = {0}, none = {0};
    uint32_t changed = 0;
    uint16_t before = node->members.count;
    enum rd_err err = members_merge(&node->members, msg->entries.entries, may_know, node, &changed);
    if (err == RD_OK)
        err = members_encode_wanted(&node->members, msg->entries.wanted, &entries);
    if (err == RD_OK)
        say_entries(node, member, &entries, &none);
    buf_free(&entries);
    if (node->members.count > before && node->birth.state != BIRTH_BORN)
        for (uint16_t i = 1; i < node->members.count; i++) /* news of a new member spread at once */
            if (i != member && peers_reachable(&node->peers, i))
                introduce(node, i);
    return err;
}

/* ---- requests ------------------------------------------------------------------------------------- */

static void answer_write(struct node *node, const struct asker *asker, enum rd_err err,
                         uint32_t uncovered, const struct object *object,
                         const struct version *met) {
    struct buf bytes = {0}, vector = {0};
    struct wire_msg msg = {.kind = WIRE_WRITE_ANSWER};
    if (uncovered > 0 && object != NULL &&
        (object_encode(object, &bytes) != RD_OK || version_encode(met, &vector) != RD_OK))
        err = RD_ENOMEM;
    msg.write_answer.id = asker->id;
    msg.write_answer.round = asker->round;
    msg.write_answer.err = err;
    msg.write_answer.uncovered = uncovered;
    if (err == RD_OK) {
        msg.write_answer.object = buf_slice(&bytes);
        msg.write_answer.met = buf_slice(&vector);
    }
    peers_say(&node->peers, asker->member, &msg);
    buf_free(&bytes);
    buf_free(&vector);
}

static void answer_read(struct node *node, const struct asker *asker, enum rd_err err,
                        const struct object *object, uint64_t digest) {
    struct buf bytes = {0};
    struct wire_msg msg = {.kind = WIRE_READ_ANSWER};
    bool same = err == RD_OK && asker->digest != 0 && digest == asker->digest;
    if (err == RD_OK && !same && object_encode(object, &bytes) != RD_OK)
        err = RD_ENOMEM;
    msg.read_answer.id = asker->id;
    msg.read_answer.err = err;
    msg.read_answer.same = same;
    if (err == RD_OK)
        msg.read_answer.object = buf_slice(&bytes);
    peers_say(&node->peers, asker->member, &msg);
    if ((asker->id & EXCHANGE_ID) != 0) {
        budget_spend(&node->budget, buf_len(&bytes));
        node->core.stats.antientropy_bytes += buf_len(&bytes);
    }
    buf_free(&bytes);
}

/* Where this node has its copy of the key: among its own, or, where it is no home, among the hints. */
static struct replica *node_copies(struct node *node, struct resp_slice key) {
    uint32_t partitions = node->core.conf.partitions;
    uint16_t slot = slot_of_key(node->core.conf.partitioner, key.data, key.len);
    bool home = placement_is_home(&node->placement, slot_partition(slot, partitions));
    return home || !placement_is_known(&node->placement) ? &node->replica : &node->hints.copies;
}

static void on_read(struct node *node, uint16_t member, const struct wire_msg *msg) {
    struct asker asker = {
        .kind = ASKER_PEER, .member = member, .id = msg->read.id, .digest = msg->read.digest};
    struct blob *key;
    if (msg->read.turn != 0 && op_rmw_defers(&node->co, msg->read.key, &asker))
        return;
    enum rd_err err = blob_new(msg->read.key.data, msg->read.key.len, &key);
    if (err == RD_OK) {
        err = replica_read(node_copies(node, msg->read.key), key, &asker);
        blob_unref(key);
    }
    if (err != RD_OK)
        answer_read(node, &asker, err, NULL, 0);
}

/* Takes in a hint for others. */
static enum rd_err keep_hint(struct node *node, struct blob *key, struct object *sent,
                             const struct hint_owed *owed, const struct asker *asker) {
    for (uint8_t i = 0; i < owed->count; i++)
        if (members_find(&node->members, &owed->targets[i]) == MEMBER_NONE) {
            object_free(sent);
            return RD_EREFUSED;
        }
    node->core.stats.hints_kept++;
    return replica_keep(&node->hints.copies, key, sent, owed, asker);
}

static enum rd_err on_write(struct node *node, uint16_t member, const struct wire_msg *msg) {
    struct asker asker = {.kind = ASKER_PEER,
                          .member = member,
                          .id = msg->write.id,
                          .round = msg->write.round,
                          .epoch = node->birth.epoch};
    struct object sent;
    struct blob *key;
    struct hint_owed owed = {.must = msg->write.must == 1};
    if (hint_unpack(msg->write.targets.data, msg->write.targets.len, &owed) != RD_OK)
        return RD_EPROTO;
    if (node->birth.state != BIRTH_BORN) {
        answer_write(node, &asker, RD_ECLUSTERDOWN, 0, NULL, NULL);
        return RD_OK;
    }
    enum rd_err err = object_decode(msg->write.object.data, msg->write.object.len, &sent);
    if (err == RD_EPROTO || err == RD_ECORRUPT || err == RD_ETOOBIG)
        return RD_EPROTO;
    if (msg->write.id == 0)
        asker.kind = ASKER_NONE;
    asker.repair = (msg->write.id & EXCHANGE_ID) != 0;
    if (err == RD_OK) {
        err = blob_new(msg->write.key.data, msg->write.key.len, &key);
        if (err == RD_OK) {
            if (owed.count > 0 && node_copies(node, msg->write.key) == &node->hints.copies)
                err = keep_hint(node, key, &sent, &owed, &asker);
            else
                err = replica_merge(&node->replica, key, &sent, &asker);
            blob_unref(key);
        } else {
            object_free(&sent);
        }
    }
    if (err != RD_OK && asker.kind == ASKER_PEER)
        answer_write(node, &asker, err, 0, NULL, NULL);
    return RD_OK;
}

static void route_read_answer(struct node *node, uint64_t id, const struct read_answer *answer) {
    if ((id & EXCHANGE_ID) != 0) {
        exchange_read_answer(&node->exchange, id, answer);
        return;
    }
    struct request *request = coordinator_find(&node->co, id);
    if (request == NULL)
        return;
    if (request->kind == REQUEST_READ)
        op_read_answer(&node->co, request, answer);
    else if (request->kind == REQUEST_REPORT)
        op_report_answer(&node->co, request, answer);
    else if (request->kind == REQUEST_WRITE)
        op_write_caught_up(&node->co, request, answer->member,
                           answer->err == RD_OK || answer->err == RD_ENOTFOUND, answer->object);
}

static void route_write_answer(struct node *node, uint64_t id, const struct write_answer *answer) {
    if ((id & EXCHANGE_ID) != 0) {
        exchange_write_answer(&node->exchange, id, answer->member, answer->err);
        return;
    }
    if ((id & HINTS_ID) != 0) {
        hints_answered(&node->hints, id, answer->member, answer->err);
        return;
    }
    struct request *request = coordinator_find(&node->co, id);
    if (request == NULL)
        return;
    if (request->kind == REQUEST_WRITE)
        op_write_answer(&node->co, request, answer);
    else if (request->kind == REQUEST_READ)
        op_read_repaired(&node->co, request, answer->member, answer->err == RD_OK);
    else if (request->kind == REQUEST_SCAN)
        op_flush_answer(&node->co, request, answer->member, answer->round, answer->err == RD_OK);
}

/* Decodes the object of an answer into *object if there is one. Damage is RD_EPROTO. */
static enum rd_err answer_object(struct resp_slice bytes, struct object *object,
                                 const struct object **out) {
    *out = NULL;
    if (bytes.len == 0)
        return RD_OK;
    enum rd_err err = object_decode(bytes.data, bytes.len, object);
    if (err == RD_OK)
        *out = object;
    return err == RD_OK || err == RD_ENOMEM ? err : RD_EPROTO;
}

static enum rd_err known_err(uint64_t err) {
    return err < RD_ERR_COUNT ? (enum rd_err)err : RD_EREFUSED;
}

static enum rd_err on_read_answer(struct node *node, uint16_t member, const struct wire_msg *msg) {
    struct object object = {0};
    struct read_answer answer = {.member = member,
                                 .err = known_err(msg->read_answer.err),
                                 .same = msg->read_answer.same == 1};
    enum rd_err err = answer_object(msg->read_answer.object, &object, &answer.object);
    bool bare = answer.err == RD_OK && err == RD_OK && answer.object == NULL && !answer.same;
    if (err == RD_EPROTO || bare)
        return RD_EPROTO;
    if (err != RD_OK)
        answer.err = err;
    route_read_answer(node, msg->read_answer.id, &answer);
    object_free(&object);
    return RD_OK;
}

/* Decodes the vector that goes with the object of a write's answer. Damage is RD_EPROTO. */
static enum rd_err answer_met(struct resp_slice bytes, struct version *met,
                              const struct version **out) {
    size_t taken;
    if (bytes.len == 0)
        return RD_OK;
    enum rd_err err = version_decode(bytes.data, bytes.len, met, &taken);
    if (err == RD_OK && taken != bytes.len) {
        version_free(met);
        err = RD_EPROTO;
    }
    if (err == RD_OK)
        *out = met;
    return err == RD_OK || err == RD_ENOMEM ? err : RD_EPROTO;
}

static enum rd_err on_write_answer(struct node *node, uint16_t member, const struct wire_msg *msg) {
    struct object object = {0};
    struct version met = {0};
    struct write_answer answer = {.member = member,
                                  .round = msg->write_answer.round,
                                  .err = known_err(msg->write_answer.err),
                                  .uncovered = msg->write_answer.uncovered > 0};
    enum rd_err err = answer_object(msg->write_answer.object, &object, &answer.object);
    if (err == RD_OK)
        err = answer_met(msg->write_answer.met, &met, &answer.met);
    if (err != RD_OK)
        answer.err = err;
    if (err != RD_EPROTO)
        route_write_answer(node, msg->write_answer.id, &answer);
    object_free(&object);
    version_free(&met);
    return err == RD_EPROTO ? err : RD_OK;
}

static void on_count(struct node *node, uint16_t member, uint64_t id) {
    struct wire_msg msg = {.kind = WIRE_COUNT_ANSWER};
    msg.count_answer.id = id;
    msg.count_answer.number = op_count_own(&node->co);
    peers_say(&node->peers, member, &msg);
}

static void on_forward_answer(struct node *node, uint16_t member, const struct wire_msg *msg) {
    struct request *request = coordinator_find(&node->co, msg->forward_answer.id);
    if (request != NULL && request->kind == REQUEST_FORWARD)
        op_forward_answer(&node->co, request, member, msg);
}

static void on_count_answer(struct node *node, uint16_t member, const struct wire_msg *msg) {
    struct request *request = coordinator_find(&node->co, msg->count_answer.id);
    if (request != NULL && request->kind == REQUEST_COUNT)
        op_count_answer(&node->co, request, member, msg->count_answer.number);
}

/* ---- dispatch ------------------------------------------------------------------------------------- */

/* Everything but the birth's messages, which may end the link. */
static enum rd_err dispatch(struct node *node, uint16_t member, const struct wire_msg *msg) {
    switch (msg->kind) {
    case WIRE_GOSSIP:
        on_gossip(node, member, msg->gossip.hash);
        return RD_OK;
    case WIRE_DIGEST:
        return on_digest(node, member, msg->digest.lines);
    case WIRE_ENTRIES:
        return on_entries(node, member, msg);
    case WIRE_READ:
        on_read(node, member, msg);
        return RD_OK;
    case WIRE_READ_ANSWER:
        return on_read_answer(node, member, msg);
    case WIRE_WRITE:
        return on_write(node, member, msg);
    case WIRE_WRITE_ANSWER:
        return on_write_answer(node, member, msg);
    case WIRE_FORWARD:
        node_on_forward(node, member, msg);
        return RD_OK;
    case WIRE_FORWARD_ANSWER:
        on_forward_answer(node, member, msg);
        return RD_OK;
    case WIRE_COUNT:
        on_count(node, member, msg->count.id);
        return RD_OK;
    case WIRE_COUNT_ANSWER:
        on_count_answer(node, member, msg);
        return RD_OK;
    case WIRE_SCAN:
        return node_on_scan(node, member, msg);
    case WIRE_SCAN_ANSWER:
        return node_on_scan_answer(node, member, msg);
    case WIRE_ROOTS:
    case WIRE_NODES:
    case WIRE_NODES_ANSWER:
    case WIRE_ROWS:
    case WIRE_ROWS_ANSWER:
    case WIRE_RECOUNT:
        return exchange_message(&node->exchange, member, msg);
    case WIRE_REAP_WATCH:
    case WIRE_REAP_CHECK:
    case WIRE_REAP_REPLACE:
    case WIRE_REAP_ANSWER:
        return node->birth.state == BIRTH_BORN ? reap_message(&node->reap, member, msg) : RD_OK;
    default:
        return RD_EPROTO;
    }
}

/* True if an acknowledgement of the write `id` may be one of W for a client: repairs and hints are acknowledged for themselves. */
static bool is_counted(uint64_t id) {
    return id != 0 && (id & (EXCHANGE_ID | HINTS_ID)) == 0;
}

/* A write of a node that did not know, when it sent it, who holds which place (replace.h): it may count an acknowledgement of one that is
 * gone. It hears what is known here, and nothing is acknowledged. Says whether `msg` is one. */
static bool refuse_unaware(struct node *node, struct link *link, const struct wire_msg *msg) {
    struct asker asker = {
        .kind = ASKER_PEER, .member = link->member, .id = msg->write.id, .round = msg->write.round};
    if (msg->kind != WIRE_WRITE || link->aware || !is_counted(msg->write.id) ||
        node->birth.certificate.successors.count == 0)
        return false;
    birth_tell_over(&node->birth, link, true);
    answer_write(node, &asker, RD_EREFUSED, 0, NULL, NULL);
    return true;
}

void node_on_message(struct node *node, struct link *link, const struct wire_msg *msg) {
    if (node->birth.gone)
        return;
    if (msg->kind >= WIRE_BIRTH_ASK && msg->kind <= WIRE_BORN) {
        birth_message(&node->birth, link->member, link, msg);
        return;
    }
    if (msg->kind == WIRE_REAP_FENCE) { /* all that came over this link before was sent before */
        link->fence_start = msg->fence.start;
        link->fence_number = msg->fence.number;
        return;
    }
    if (refuse_unaware(node, link, msg))
        return;
    if (dispatch(node, link->member, msg) == RD_EPROTO)
        peers_drop(&node->peers, link, "it sent a frame that cannot be decoded");
}

void node_on_replica_answer(struct node *node, const struct replica_answer *answer) {
    const struct asker *asker = &answer->asker;
    bool usable = answer->err == RD_OK;
    const struct object *held = usable ? replica_held(answer->entry) : NULL;
    if (asker->kind == ASKER_EXCHANGE) {
        exchange_own_answer(&node->exchange, answer);
        return;
    }
    if (asker->kind == ASKER_REAP) {
        reap_own_answer(&node->reap, answer);
        return;
    }
    if (asker->kind == ASKER_PEER) {
        if (answer->step == REPLICA_READ)
            answer_read(node, asker, answer->err, held, usable ? replica_digest(answer->entry) : 0);
        else if (answer->err == RD_OK && is_counted(asker->id) && asker->epoch != node->birth.epoch)
            answer_write(node, asker, RD_EREFUSED, 0, NULL,
                         NULL); /* it came before that was known */
        else
            answer_write(node, asker, answer->err, answer->uncovered, held, &answer->met);
        return;
    }
    if (answer->step == REPLICA_READ) {
        struct read_answer read = {.member = MEMBER_SELF,
                                   .err = answer->err,
                                   .object = held,
                                   .digest = usable ? replica_digest(answer->entry) : 0};
        route_read_answer(node, asker->id, &read);
    } else if (answer->step == REPLICA_STORED) {
        struct write_answer write = {
            .member = MEMBER_SELF, .round = asker->round, .err = answer->err};
        route_write_answer(node, asker->id, &write);
    } else {
        struct request *request = coordinator_find(&node->co, asker->id);
        if (request != NULL && request->kind == REQUEST_WRITE)
            op_write_loaded(&node->co, request, answer->err, answer->entry);
    }
}
