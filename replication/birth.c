/* Promises, proposals, and the certificate that ends both.
 *
 * Invariants: (1) a promise is said only when it is on disk, and so is a proposal; (2) BOUND has a
 * view with the node itself in it and at least one proposer; (3) BORN never ends, its certificate
 * names the node; (4) asking implies BOUND.
 *
 * The stored row: a byte for the state, then (BORN) the settings that the birth has fixed, a byte that is 1 if the node has taken another's
 * places and has been filled, a varint length and the packed records of places taken, and the certificate with its key in plain; or
 * (BOUND) a varint count of proposers, their ids and the view. */
#include "replication/birth.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "replication/varint.h"

#define RETRY_US 100000
#define ANSWER_US 1000000 /* a proposal without an answer for so long has been lost */

static struct resp_slice whole(const struct buf *buf) {
    return (struct resp_slice){buf_data(buf), buf_len(buf)};
}

static void changed(struct birth *birth) {
    birth->row++;
}

/* ---- views ---------------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b) {
    return memcmp(a, b, NODE_ID_BYTES);
}

static uint64_t view_hash(struct resp_slice view) {
    return hash_xxh64(view.data, view.len, 1);
}

/* Appends the ids of all members, sorted. */
static enum rd_err own_view(const struct birth *birth, struct buf *out) {
    uint8_t *at;
    size_t bytes = (size_t)birth->members->count * NODE_ID_BYTES;
    enum rd_err err = buf_reserve(out, bytes, &at);
    if (err != RD_OK)
        return err;
    for (uint16_t i = 0; i < birth->members->count; i++)
        memcpy(at + (size_t)i * NODE_ID_BYTES, birth->members->items[i].id.bytes, NODE_ID_BYTES);
    qsort(at, birth->members->count, NODE_ID_BYTES, compare_ids);
    buf_commit(out, bytes);
    return RD_OK;
}

static bool has_id(struct resp_slice ids, const struct node_id *id) {
    for (size_t at = 0; at < ids.len; at += NODE_ID_BYTES)
        if (memcmp(ids.data + at, id->bytes, NODE_ID_BYTES) == 0)
            return true;
    return false;
}

/* True if `view` is sorted, names this node and `proposer`, and nobody that is unknown here. */
static bool view_is_sound(const struct birth *birth, struct resp_slice view,
                          const struct node_id *proposer) {
    if (view.len == 0 || view.len % NODE_ID_BYTES != 0)
        return false;
    for (size_t at = 0; at < view.len; at += NODE_ID_BYTES) {
        struct node_id id;
        memcpy(id.bytes, view.data + at, NODE_ID_BYTES);
        if (at > 0 && memcmp(view.data + at - NODE_ID_BYTES, id.bytes, NODE_ID_BYTES) >= 0)
            return false;
        if (members_find(birth->members, &id) == MEMBER_NONE)
            return false;
    }
    return has_id(view, &birth->core->self) && has_id(view, proposer);
}

/* ---- binding -------------------------------------------------------------------------------------- */

static struct birth_promise *find_promise(const struct birth *birth,
                                          const struct node_id *proposer) {
    for (size_t i = 0; i < birth->promise_count; i++)
        if (node_id_compare(&birth->promises[i].proposer, proposer) == 0)
            return &birth->promises[i];
    return NULL;
}

static enum rd_err add_promise(struct birth *birth, const struct node_id *proposer,
                               uint64_t number) {
    if (birth->promise_count == birth->promise_cap) {
        size_t cap = birth->promise_cap == 0 ? 4 : birth->promise_cap * 2;
        struct birth_promise *grown = realloc(birth->promises, cap * sizeof(*grown));
        if (grown == NULL)
            return RD_ENOMEM;
        birth->promises = grown;
        birth->promise_cap = cap;
    }
    birth->promises[birth->promise_count++] = (struct birth_promise){*proposer, number};
    return RD_OK;
}

/* Promises `view`, which is the one bound to if there is one, to `proposer`, in memory. */
static enum rd_err bind(struct birth *birth, struct resp_slice view, const struct node_id *proposer,
                        uint64_t number) {
    struct birth_promise *promise = find_promise(birth, proposer);
    if (promise != NULL) {
        promise->number = number;
        return RD_OK;
    }
    if (birth->state != BIRTH_BOUND) {
        buf_reset(&birth->view, 0);
        enum rd_err err = buf_append(&birth->view, view.data, view.len);
        if (err != RD_OK)
            return err;
    }
    enum rd_err err = add_promise(birth, proposer, number);
    if (err != RD_OK)
        return err;
    birth->view_hash = view_hash(whole(&birth->view));
    birth->state = BIRTH_BOUND;
    changed(birth);
    return RD_OK;
}

/* Takes the promise that answered question `number` of `proposer` back; without promises the
 * node is free again. A RELEASE may come behind the next question, over another link, and must
 * not undo that. */
static void release(struct birth *birth, const struct node_id *proposer, uint64_t number) {
    struct birth_promise *promise = find_promise(birth, proposer);
    if (promise == NULL || (promise->number != 0 && promise->number != number))
        return;
    *promise = birth->promises[--birth->promise_count];
    if (birth->promise_count == 0) {
        buf_free(&birth->view);
        birth->state = BIRTH_UNBORN;
        birth->view_hash = 0;
        birth->answer_count = 0; /* what was not said yet would promise what is on no disk */
    }
    changed(birth);
}

/* ---- becoming born -------------------------------------------------------------------------------- */

static bool accept_all(void *arg, const struct node_id *id) {
    (void)arg;
    (void)id;
    return true;
}

/* Puts the certificate's members into the member map, so that they can be dialled and placed. */
static enum rd_err learn_members(struct birth *birth, const struct certificate *certificate) {
    struct buf entries = {0};
    uint32_t count;
    enum rd_err err = members_encode_all(&certificate->members, &entries);
    if (err == RD_OK)
        err = members_merge(birth->members, whole(&entries), accept_all, NULL, &count);
    buf_free(&entries);
    return err;
}

/* The BORN frame of this node; NULL: it is not born, or memory is out. */
static struct blob *make_born(const struct birth *birth, bool wanted) {
    struct buf certificate = {0}, records = {0};
    struct blob *frame = NULL;
    if (birth->state == BIRTH_BORN &&
        certificate_encode(&birth->certificate, birth->core->conf.secret, &certificate) == RD_OK &&
        successors_pack(&birth->certificate.successors, &records) == RD_OK) {
        struct wire_msg msg = {.kind = WIRE_BORN};
        msg.born.certificate = whole(&certificate);
        msg.born.successors = whole(&records);
        msg.born.wanted = wanted;
        if (wire_encode(&msg, &frame) != RD_OK)
            frame = NULL;
    }
    buf_free(&certificate);
    buf_free(&records);
    return frame;
}

void birth_tell(struct birth *birth, uint16_t member) {
    struct blob *frame = make_born(birth, false);
    if (frame != NULL)
        peers_send(birth->peers, member, frame);
    blob_unref(frame);
}

void birth_tell_over(struct birth *birth, struct link *link, bool wanted) {
    struct blob *frame = make_born(birth, wanted);
    if (frame != NULL)
        peers_send_over(birth->peers, link, frame);
    blob_unref(frame);
}

/* Over every link: from here on whatever comes over it was sent by a node that knows this. */
static void tell_all(struct birth *birth) {
    struct blob *frame = make_born(birth, false);
    if (frame != NULL)
        peers_send_everywhere(birth->peers, frame);
    blob_unref(frame);
}

/* ---- places taken ---------------------------------------------------------------------------------- */

static void log_taken(struct birth *birth, const struct succession *record) {
    char gone[NODE_ID_HEX + 1], by[NODE_ID_HEX + 1];
    uint16_t index = members_find(birth->members, &record->gone);
    const struct member *at = index == MEMBER_NONE ? NULL : &birth->members->items[index];
    text_hex(record->gone.bytes, NODE_ID_BYTES, gone);
    text_hex(record->by.bytes, NODE_ID_BYTES, by);
    effects_log(birth->core->effects, LOG_NOTICE,
                "The node %s at %s:%u came back with an empty dir: as node %s it takes its old "
                "places, and counts neither for R nor for W until it is filled",
                gone, at == NULL ? "" : at->address.host, at == NULL ? 0u : at->cluster_port, by);
}

/* Sees whether this node itself still has its places. */
static void look_at_self(struct birth *birth) {
    const struct node_id *self = &birth->core->self;
    const struct successors *records = &birth->certificate.successors;
    if (birth->gone || certificate_has_holder(&birth->certificate, self))
        return;
    struct node_id holder = successors_holder(records, self);
    char hex[NODE_ID_HEX + 1];
    text_hex(holder.bytes, NODE_ID_BYTES, hex);
    birth->gone = birth->peers->retired = true;
    effects_log(birth->core->effects, LOG_WARNING,
                "This node's places were taken by node %s, which came with an empty dir to its "
                "address while this one was away. It serves nothing any more, so that no old state "
                "comes back; what is in this dir stays as it is. To have the machine in the "
                "cluster again, start it at that address with an empty dir",
                hex);
}

/* Makes the members known that took places, at the addresses of those they came for. */
static enum rd_err learn_successors(struct birth *birth, const struct successors *records) {
    struct members *members = birth->members;
    for (size_t i = 0; i < records->count; i++) {
        uint16_t index;
        enum rd_err err = members_add(members, &records->items[i].by, &index);
        if (err != RD_OK)
            return err;
        struct member *by = &members->items[index];
        uint16_t gone = members_find(members, &records->items[i].gone);
        if (by->came)
            continue;
        by->came = true;
        if (by->address.host[0] == 0 && gone != MEMBER_NONE && index != MEMBER_SELF) {
            by->address = members->items[gone].address;
            by->cluster_port = members->items[gone].cluster_port;
        }
        if (birth->core->effects != NULL && index != MEMBER_SELF)
            log_taken(birth, &records->items[i]);
    }
    return RD_OK;
}

/* Something about the places has changed. */
static void places_changed(struct birth *birth) {
    birth->epoch++;
    changed(birth);
    peers_nobody_is_aware(birth->peers);
    look_at_self(birth);
}

enum rd_err birth_replace(struct birth *birth, const struct node_id *gone,
                          const struct node_id *by) {
    struct successors *records = &birth->certificate.successors;
    bool is_new;
    assert(birth->state == BIRTH_BORN);
    enum rd_err err = successors_add(records, gone, by, &is_new);
    if (err != RD_OK || !is_new)
        return err;
    err = learn_successors(birth, records);
    places_changed(birth);
    tell_all(birth);
    return err;
}

/* Takes in the records that came over `link`. Error: RD_EPROTO. */
static enum rd_err take_successors(struct birth *birth, struct link *link,
                                   struct resp_slice packed) {
    struct successors *records = &birth->certificate.successors;
    bool any = false, all = false;
    enum rd_err err = successors_merge(records, packed, &any, &all);
    if (err == RD_EPROTO)
        return err;
    if (any) {
        if (learn_successors(birth, records) != RD_OK)
            all = false;
        places_changed(birth);
        tell_all(birth);
    }
    link->aware = all;
    if (!any && !all)
        birth_tell_over(birth, link, false); /* it knows less */
    return RD_OK;
}

void birth_filled(struct birth *birth) {
    struct member *self = &birth->members->items[MEMBER_SELF];
    self->synced = true;
    self->version++;
    changed(birth);
    effects_log(birth->core->effects, LOG_NOTICE,
                "This node has been filled: it counts for R and W in its places from now on");
}

/* ---- the certificate ------------------------------------------------------------------------------- */

static void adopt(struct birth *birth, struct certificate *certificate) {
    if (learn_members(birth, certificate) != RD_OK ||
        learn_successors(birth, &certificate->successors) != RD_OK) {
        certificate_free(certificate);
        return; /* it will be told again */
    }
    if (birth->state == BIRTH_BORN) { /* what happened since stays */
        struct successors kept = birth->certificate.successors;
        birth->certificate.successors = certificate->successors;
        certificate->successors = kept;
    }
    certificate_free(&birth->certificate);
    birth->certificate = *certificate;
    *certificate = (struct certificate){0};
    buf_free(&birth->view);
    birth->view_hash = 0;
    birth->asking = birth->asked = false;
    birth->answer_count = birth->promise_count = 0;
    birth->state = BIRTH_BORN;
    birth->peers->birth = &birth->certificate;
    birth->peers->outcast = false;
    changed(birth);
    char hex[NODE_ID_HEX + 1];
    text_hex(birth->certificate.cluster.bytes, NODE_ID_BYTES, hex);
    effects_log(birth->core->effects, LOG_NOTICE, "Cluster %.8s is born with %u members", hex,
                (unsigned)birth->certificate.members.count);
    if (birth->members->items[MEMBER_SELF].came)
        effects_log(birth->core->effects, LOG_NOTICE,
                    "This node takes the places of the member that was at its address before, "
                    "whose data is not here: it is being filled from the others, and counts "
                    "neither for R nor for W until it is");
    birth->epoch++;
    tell_all(birth); /* who told this node may not reach everybody who waits for its answer */
}

/* ---- the proposer --------------------------------------------------------------------------------- */

static void say_view(struct birth *birth, uint16_t member, enum wire_kind kind, uint64_t hash,
                     uint64_t number) {
    struct wire_msg msg = {.kind = kind};
    msg.birth.view = hash;
    msg.birth.number = number;
    peers_say(birth->peers, member, &msg);
}

/* Gives the proposal up, for a while; those asked are free again. */
static void withdraw(struct birth *birth) {
    core_trace(birth->core, "birth: withdraw");
    if (birth->asked)
        for (uint16_t i = 0; i < birth->members->count; i++)
            say_view(birth, i, WIRE_BIRTH_RELEASE, birth->view_hash, birth->number);
    birth->asking = birth->asked = false;
    birth->retry_us =
        birth->core->now.mono_us + RETRY_US + prng_below(&birth->core->prng, RETRY_US);
    release(birth, &birth->core->self, 0);
}

static void complete(struct birth *birth) {
    struct certificate made;
    enum rd_err err =
        certificate_make(birth->members, whole(&birth->view), birth->core->conf.secret, &made);
    if (err != RD_OK) {
        withdraw(birth);
        return;
    }
    adopt(birth, &made);
}

static void complete_if_all_said_yes(struct birth *birth) {
    for (uint16_t i = 0; i < birth->awaited_count; i++)
        if (birth->awaited[i])
            return;
    complete(birth);
}

/* The own promise is on disk: asks everybody in the view who can be reached. */
static void ask_all(struct birth *birth) {
    if (birth->awaited_cap < birth->members->count) {
        uint8_t *grown = realloc(birth->awaited, birth->members->count);
        if (grown == NULL) {
            withdraw(birth);
            return;
        }
        birth->awaited = grown;
        birth->awaited_cap = birth->members->count;
    }
    birth->awaited_count = birth->members->count;
    birth->asked = true;
    birth->asked_us = birth->core->now.mono_us;
    struct wire_msg msg = {.kind = WIRE_BIRTH_ASK};
    msg.birth_ask.view = whole(&birth->view);
    msg.birth_ask.finish = birth->promise_count > 1;
    msg.birth_ask.number = birth->number;
    size_t present = 1;
    for (uint16_t i = 0; i < birth->awaited_count; i++) {
        birth->awaited[i] = i != MEMBER_SELF &&
                            has_id(whole(&birth->view), &birth->members->items[i].id) &&
                            peers_reachable(birth->peers, i) && peers_say(birth->peers, i, &msg);
        present += birth->awaited[i];
    }
    if (present * 2 * NODE_ID_BYTES > buf_len(&birth->view))
        complete_if_all_said_yes(birth);
    else
        withdraw(birth); /* a minority cut off must not found a cluster of its own */
}

void birth_want(struct birth *birth) {
    if (birth->asked && birth->core->now.mono_us - birth->asked_us > ANSWER_US)
        withdraw(birth);
    if (birth->state == BIRTH_BORN || birth->asking || birth->retry_us > birth->core->now.mono_us)
        return;
    struct buf view = {0};
    enum rd_err err = RD_OK;
    if (birth->state == BIRTH_UNBORN)
        err = own_view(birth, &view);
    if (err == RD_OK)
        err = bind(birth, birth->state == BIRTH_BOUND ? whole(&birth->view) : whole(&view),
                   &birth->core->self, 0);
    buf_free(&view);
    if (err != RD_OK)
        return;
    birth->asking = true;
    birth->number = prng_u64(&birth->core->prng) | 1;
    if (birth->row_durable == birth->row)
        ask_all(birth); /* else birth_stored goes on */
}

void birth_lost(struct birth *birth, uint16_t member) {
    if (birth->asked && member < birth->awaited_count && birth->awaited[member])
        withdraw(birth);
}

/* ---- messages ------------------------------------------------------------------------------------- */

static enum rd_err answer_when_stored(struct birth *birth, uint16_t member, uint64_t number) {
    if (birth->answer_count == birth->answer_cap) {
        size_t cap = birth->answer_cap == 0 ? 8 : birth->answer_cap * 2;
        struct birth_ask *grown = realloc(birth->answers, cap * sizeof(*grown));
        if (grown == NULL)
            return RD_ENOMEM;
        birth->answers = grown;
        birth->answer_cap = cap;
    }
    birth->answers[birth->answer_count++] = (struct birth_ask){member, number, birth->row};
    return RD_OK;
}

static void on_ask(struct birth *birth, uint16_t member, const struct wire_msg *msg) {
    struct resp_slice view = msg->birth_ask.view;
    uint64_t hash = view_hash(view), number = msg->birth_ask.number;
    const struct node_id *proposer = &birth->members->items[member].id;
    if (birth->state == BIRTH_BORN) {
        birth_tell(birth, member);
        return;
    }
    bool smaller = view.len < (size_t)birth->members->count * NODE_ID_BYTES;
    bool may = view_is_sound(birth, view, proposer) &&
               (birth->state == BIRTH_BOUND ? hash == birth->view_hash
                                            : !smaller || msg->birth_ask.finish);
    if (may && bind(birth, view, proposer, number) == RD_OK &&
        answer_when_stored(birth, member, number) == RD_OK) {
        if (birth->row_durable >= birth->row)
            birth_stored(birth, birth->row_durable, true);
        return;
    }
    say_view(birth, member, WIRE_BIRTH_NO, hash, number);
}

/* BORN comes to a born node. The link may be gone afterwards. */
static void compare_births(struct birth *birth, struct link *link, const struct wire_msg *msg,
                           struct certificate *told) {
    struct resp_slice bytes = msg->born.certificate;
    struct buf ours = {0};
    if (node_id_compare(&told->cluster, &birth->certificate.cluster) != 0) {
        peers_refuse(birth->peers, link,
                     "you were born into another cluster, and clusters that were born "
                     "apart never merge",
                     false);
        return;
    }
    if (certificate_encode(&birth->certificate, birth->core->conf.secret, &ours) == RD_OK &&
        bytes.len == buf_len(&ours) && memcmp(bytes.data, buf_data(&ours), bytes.len) < 0)
        adopt(birth, told); /* two proposers of one view: all settle on the lower text */
    buf_free(&ours);
    if (take_successors(birth, link, msg->born.successors) != RD_OK)
        peers_drop(birth->peers, link, "its records of places taken are malformed");
    else if (msg->born.wanted == 1)
        birth_tell_over(birth, link, false);
}

static void on_born(struct birth *birth, struct link *link, const struct wire_msg *msg) {
    struct certificate told;
    bool any, all;
    if (certificate_decode(msg->born.certificate, birth->core->conf.secret, &told) != RD_OK) {
        peers_drop(birth->peers, link, "its birth certificate is malformed");
        return;
    }
    char reason[HANDSHAKE_REASON_BYTES];
    if (birth->state == BIRTH_BORN) {
        compare_births(birth, link, msg, &told);
        certificate_free(&told);
        return;
    }
    enum rd_err err = successors_merge(&told.successors, msg->born.successors, &any, &all);
    if (err != RD_OK) {
        certificate_free(&told);
        if (err == RD_EPROTO)
            peers_drop(birth->peers, link, "its records of places taken are malformed");
        return; /* without memory: it will be told again */
    }
    if (!certificate_has_holder(&told, &birth->core->self)) {
        char hex[NODE_ID_HEX + 1];
        text_hex(told.cluster.bytes, NODE_ID_BYTES, hex);
        snprintf(reason, sizeof(reason),
                 "cluster %.8s was born without this node, and joining a born cluster is not "
                 "supported yet",
                 hex);
        birth->peers->outcast = true;
        peers_refuse(birth->peers, link, reason, false);
        certificate_free(&told);
        return;
    }
    adopt(birth, &told);
    link->aware = birth->state == BIRTH_BORN;
}

/* True if a YES or NO answers what is asked now. A late one says what was promised then, and may
 * have been released since. */
static bool is_answer(const struct birth *birth, const struct wire_msg *msg) {
    return birth->asked && msg->birth.view == birth->view_hash &&
           msg->birth.number == birth->number;
}

void birth_message(struct birth *birth, uint16_t member, struct link *link,
                   const struct wire_msg *msg) {
    switch (msg->kind) {
    case WIRE_BIRTH_ASK:
        on_ask(birth, member, msg);
        break;
    case WIRE_BIRTH_YES:
        if (is_answer(birth, msg) && member < birth->awaited_count) {
            birth->awaited[member] = 0;
            complete_if_all_said_yes(birth);
        }
        break;
    case WIRE_BIRTH_NO:
        if (is_answer(birth, msg))
            withdraw(birth);
        break;
    case WIRE_BIRTH_RELEASE:
        if (birth->state == BIRTH_BOUND && msg->birth.view == birth->view_hash)
            release(birth, &birth->members->items[member].id, msg->birth.number);
        break;
    case WIRE_BORN:
        on_born(birth, link, msg);
        break;
    default:
        assert(!"a message of the birth");
    }
}

/* ---- the disk ------------------------------------------------------------------------------------- */

bool birth_dirty(const struct birth *birth) {
    return birth->row != birth->row_flushed;
}

void birth_settings(const struct node_conf *conf, uint8_t out[BIRTH_SETTINGS_BYTES]) {
    out[0] = (uint8_t)conf->n;
    out[1] = (uint8_t)conf->partitioner;
    out[2] = (uint8_t)conf->conflict_resolution;
    out[3] = (uint8_t)(conf->partitions >> 8);
    out[4] = (uint8_t)conf->partitions;
}

enum rd_err birth_born_row(const struct node_conf *conf, const struct certificate *certificate,
                           bool synced, struct buf *out) {
    struct buf records = {0};
    uint8_t head[1 + BIRTH_SETTINGS_BYTES + 1] = {BIRTH_BORN};
    birth_settings(conf, head + 1);
    head[1 + BIRTH_SETTINGS_BYTES] = synced;
    enum rd_err err = successors_pack(&certificate->successors, &records);
    if (err == RD_OK)
        err = buf_append(out, head, sizeof(head));
    if (err == RD_OK)
        err = varint_put(out, buf_len(&records));
    if (err == RD_OK)
        err = buf_append(out, buf_data(&records), buf_len(&records));
    if (err == RD_OK)
        err = certificate_encode(certificate, NULL, out);
    buf_free(&records);
    return err;
}

enum rd_err birth_flush(struct birth *birth, struct buf *out) {
    uint8_t state = (uint8_t)birth->state;
    enum rd_err err;
    if (birth->state == BIRTH_BORN)
        err = birth_born_row(&birth->core->conf, &birth->certificate,
                             birth->members->items[MEMBER_SELF].synced, out);
    else
        err = buf_append(out, &state, 1);
    if (err == RD_OK && birth->state == BIRTH_BOUND) {
        err = varint_put(out, birth->promise_count);
        for (size_t i = 0; err == RD_OK && i < birth->promise_count; i++)
            err = buf_append(out, birth->promises[i].proposer.bytes, NODE_ID_BYTES);
        if (err == RD_OK)
            err = buf_append(out, buf_data(&birth->view), buf_len(&birth->view));
    }
    if (err == RD_OK)
        birth->row_flushed = birth->row;
    return err;
}

void birth_stored(struct birth *birth, uint64_t row, bool ok) {
    if (!ok) {
        if (birth->row_flushed == row)
            birth->row_flushed = row - 1; /* dirty again */
        return;
    }
    if (row > birth->row_durable)
        birth->row_durable = row;
    size_t kept = 0;
    for (size_t i = 0; i < birth->answer_count; i++) {
        struct birth_ask *answer = &birth->answers[i];
        if (answer->row > birth->row_durable)
            birth->answers[kept++] = *answer;
        else if (birth->state == BIRTH_BOUND)
            say_view(birth, answer->member, WIRE_BIRTH_YES, birth->view_hash, answer->number);
    }
    birth->answer_count = kept;
    if (birth->asking && !birth->asked && birth->row_durable == birth->row)
        ask_all(birth);
}

/* ---- start and end -------------------------------------------------------------------------------- */

static struct node_id id_at(struct resp_slice ids, size_t at) {
    struct node_id id;
    memcpy(id.bytes, ids.data + at, NODE_ID_BYTES);
    return id;
}

/* True if `view` is sorted and names this node. */
static bool own_view_is_sound(const struct birth *birth, struct resp_slice view) {
    for (size_t at = NODE_ID_BYTES; at < view.len; at += NODE_ID_BYTES)
        if (compare_ids(view.data + at - NODE_ID_BYTES, view.data + at) >= 0)
            return false;
    return has_id(view, &birth->core->self);
}

static enum rd_err read_bound(struct birth *birth, struct resp_slice bytes) {
    size_t at = 0;
    uint64_t count;
    if (varint_get(bytes.data, bytes.len, &at, &count) != RD_OK || count == 0 ||
        count > RING_MAX_MEMBERS || bytes.len - at <= count * NODE_ID_BYTES ||
        (bytes.len - at) % NODE_ID_BYTES != 0)
        return RD_ECORRUPT;
    struct resp_slice proposers = {bytes.data + at, count * NODE_ID_BYTES};
    struct resp_slice view = {proposers.data + proposers.len, bytes.len - at - proposers.len};
    if (!own_view_is_sound(birth, view))
        return RD_ECORRUPT;
    enum rd_err err = buf_append(&birth->view, view.data, view.len);
    for (size_t i = 0; err == RD_OK && i < proposers.len; i += NODE_ID_BYTES) {
        struct node_id proposer = id_at(proposers, i);
        err = add_promise(birth, &proposer, 0);
    }
    for (size_t i = 0; err == RD_OK && i < view.len; i += NODE_ID_BYTES) {
        struct node_id member = id_at(view, i);
        uint16_t index;
        err = members_add(birth->members, &member, &index);
    }
    birth->view_hash = view_hash(view);
    birth->state = BIRTH_BOUND;
    return err == RD_ETOOBIG ? RD_ECORRUPT : err;
}

/* Names what is not as it was at birth (TRAPS n_val_change). */
static enum rd_err compare_settings(const struct node_conf *conf,
                                    const uint8_t born[BIRTH_SETTINGS_BYTES], char reason[256]) {
    uint8_t now[BIRTH_SETTINGS_BYTES];
    birth_settings(conf, now);
    if (memcmp(now, born, sizeof(now)) == 0)
        return RD_OK;
    const char *what = now[0] != born[0]   ? "replication-factor"
                       : now[1] != born[1] ? "partitioner"
                       : now[2] != born[2] ? "conflict-resolution"
                                           : "partitions";
    snprintf(reason, 256, "'%s' is not what it was when the cluster was born, and cannot change",
             what);
    return RD_ECONF;
}

/* What is behind the settings in the row of a born node. */
static enum rd_err read_born(struct birth *birth, struct resp_slice rest) {
    struct successors records = {0};
    size_t at = 1;
    uint64_t len;
    bool any, all;
    if (rest.len < 1 || rest.data[0] > 1 || varint_get(rest.data, rest.len, &at, &len) != RD_OK ||
        len > rest.len - at)
        return RD_ECORRUPT;
    enum rd_err err =
        successors_merge(&records, (struct resp_slice){rest.data + at, (size_t)len}, &any, &all);
    if (err == RD_OK)
        err = certificate_decode((struct resp_slice){rest.data + at + len, rest.len - at - len},
                                 NULL, &birth->certificate);
    if (err != RD_OK) {
        successors_free(&records);
        return err == RD_ENOMEM ? err : RD_ECORRUPT;
    }
    birth->certificate.successors = records;
    if (members_find(&birth->certificate.members, &birth->core->self) == MEMBER_NONE &&
        !successors_has_come(&records, &birth->core->self))
        return RD_ECORRUPT;
    err = learn_members(birth, &birth->certificate);
    if (err == RD_OK)
        err = learn_successors(birth, &records);
    birth->members->items[MEMBER_SELF].synced = rest.data[0] == 1;
    birth->state = BIRTH_BORN;
    birth->epoch = 1;
    birth->gone = birth->peers->retired =
        !certificate_has_holder(&birth->certificate, &birth->core->self);
    birth->peers->birth = &birth->certificate;
    return err;
}

enum rd_err birth_init(struct birth *birth, struct core *core, struct members *members,
                       struct peers *peers, struct blob *row, char reason[256]) {
    *birth = (struct birth){.core = core, .members = members, .peers = peers};
    if (row == NULL)
        return RD_OK;
    if (row->len == 0)
        return RD_ECORRUPT;
    struct resp_slice rest = {row->bytes + 1, row->len - 1};
    if (row->bytes[0] == BIRTH_UNBORN)
        return RD_OK;
    if (row->bytes[0] == BIRTH_BOUND)
        return read_bound(birth, rest);
    if (row->bytes[0] != BIRTH_BORN)
        return RD_ECORRUPT;
    if (rest.len < BIRTH_SETTINGS_BYTES)
        return RD_ECORRUPT;
    enum rd_err err = compare_settings(&core->conf, rest.data, reason);
    if (err != RD_OK)
        return err;
    rest = (struct resp_slice){rest.data + BIRTH_SETTINGS_BYTES, rest.len - BIRTH_SETTINGS_BYTES};
    return read_born(birth, rest);
}

void birth_free(struct birth *birth) {
    certificate_free(&birth->certificate);
    buf_free(&birth->view);
    free(birth->promises);
    free(birth->awaited);
    free(birth->answers);
    *birth = (struct birth){0};
}
