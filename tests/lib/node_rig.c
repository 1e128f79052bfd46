/* A node on a bench: see node_rig.h. */
#include "tests/lib/node_rig.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/birth.h"
#include "replication/scan_page.h"

#define ROOM_FOR_EFFECTS 1024 /* so that the queue never grows inside a step */

struct rig_row {
    UT_hash_handle hh;
    uint8_t key[256]; /* the space, then the key */
    struct blob *value;
};

static const uint8_t seal_key[CONTEXT_KEY_BYTES] = "the rig's key..";

/* ---- lists ----------------------------------------------------------------------------------- */

/* Appends a zeroed item to an array of any type and returns it. */
static void *append(void *array, size_t *count, size_t size) {
    void **items = array;
    *items = realloc(*items, (*count + 1) * size);
    assert(*items != NULL);
    void *item = (char *)*items + *count * size;
    memset(item, 0, size);
    ++*count;
    return item;
}

/* Takes item `at` out. */
static void drop(void *items, size_t *count, size_t size, size_t at) {
    assert(at < *count);
    char *place = (char *)items + at * size;
    memmove(place, place + size, (*count - at - 1) * size);
    --*count;
}

/* ---- the store ------------------------------------------------------------------------------- */

static struct rig_row *find_row(struct rig *rig, uint8_t space, const void *key, size_t len) {
    struct rig_row *row;
    uint8_t name[256] = {space};
    assert(len < sizeof(name));
    memcpy(name + 1, key, len);
    HASH_FIND(hh, rig->rows, name, len + 1, row);
    return row;
}

static void set_row(struct rig *rig, uint8_t space, const void *key, size_t len,
                    struct blob *value) {
    struct rig_row *row = find_row(rig, space, key, len);
    if (row == NULL) {
        row = calloc(1, sizeof(*row));
        assert(row != NULL && len < sizeof(row->key));
        row->key[0] = space;
        memcpy(row->key + 1, key, len);
        HASH_ADD(hh, rig->rows, key, len + 1, row);
    }
    blob_ref(value);
    blob_unref(row->value);
    row->value = value;
}

void rig_set_row(struct rig *rig, const char *key, struct blob *value) {
    set_row(rig, 0, key, strlen(key), value);
}

struct blob *rig_row(struct rig *rig, uint8_t space, const char *key) {
    struct rig_row *row = find_row(rig, space, key, strlen(key));
    return row == NULL ? NULL : row->value;
}

void rig_set_object(struct rig *rig, const char *key, const struct object *object) {
    struct buf bytes = {0};
    struct blob *value;
    assert(object_encode(object, &bytes) == RD_OK);
    assert(blob_new(buf_data(&bytes), buf_len(&bytes), &value) == RD_OK);
    rig_set_row(rig, key, value);
    blob_unref(value);
    buf_free(&bytes);
}

struct object rig_object(struct rig *rig, const char *key) {
    struct blob *row = rig_row(rig, 0, key);
    struct object object;
    assert(row != NULL);
    assert(object_decode(row->bytes, row->len, &object) == RD_OK);
    return object;
}

void rig_got(struct rig *rig, enum rd_err err) {
    assert(rig->get_count > 0);
    struct rig_get get = rig->gets[0];
    drop(rig->gets, &rig->get_count, sizeof(get), 0);
    struct rig_row *row = find_row(rig, get.at.space, get.at.key->bytes, get.at.key->len);
    struct event event = {.kind = EV_STORE_GOT};
    event.store_got.token = get.token;
    event.store_got.err = err;
    if (err == RD_OK) {
        event.store_got.value = row == NULL ? NULL : row->value;
        event.store_got.err = event.store_got.value == NULL ? RD_ENOTFOUND : RD_OK;
    }
    rig_step(rig, &event);
    blob_unref(get.at.key);
}

static int compare_rows(const void *left, const void *right) {
    const struct scanned_row *a = left, *b = right;
    return scan_order(a->slot, a->key, b->slot, b->key);
}

/* True if the row is an object with a value. */
static bool is_live(const struct blob *value) {
    struct object object;
    if (value == NULL || object_decode(value->bytes, value->len, &object) != RD_OK)
        return false;
    bool live = object.count > 0;
    object_free(&object);
    return live;
}

/* Collects the rows in the range of a scan and behind its cursor, sorted; returns how many. */
static size_t collect(struct rig *rig, const struct store_scan_order *order,
                      struct scanned_row **rows) {
    size_t count = 0;
    for (const struct rig_row *row = rig->rows; row != NULL; row = row->hh.next) {
        struct scanned_row found = {.key = {row->key + 1, row->hh.keylen - 1},
                                    .value = row->value,
                                    .is_live = is_live(row->value)};
        found.slot = slot_of_key(rig->conf.partitioner, found.key.data, found.key.len);
        struct scanned_row after = {.slot = order->after_slot};
        if (order->after_key != NULL)
            after.key = (struct resp_slice){order->after_key->bytes, order->after_key->len};
        if (row->value == NULL || row->key[0] != order->space || order->due ||
            found.slot < order->first_slot || found.slot > order->last_slot ||
            (order->after_key != NULL && compare_rows(&found, &after) <= 0))
            continue;
        *(struct scanned_row *)append(rows, &count, sizeof(found)) = found;
    }
    if (count > 1)
        qsort(*rows, count, sizeof(**rows), compare_rows);
    return count;
}

void rig_scanned(struct rig *rig, enum rd_err err) {
    struct scanned_row *rows = NULL;
    assert(rig->scan_count > 0);
    struct store_scan_order order = rig->scans[0];
    drop(rig->scans, &rig->scan_count, sizeof(order), 0);
    size_t count = err == RD_OK ? collect(rig, &order, &rows) : 0;
    struct event event = {.kind = EV_STORE_SCANNED};
    event.store_scanned.token = order.token;
    event.store_scanned.err = err;
    event.store_scanned.rows = rows;
    event.store_scanned.count = count < order.max_rows ? count : order.max_rows;
    event.store_scanned.end = err == RD_OK && count <= order.max_rows;
    rig_step(rig, &event);
    blob_unref(order.after_key);
    free(rows);
}

void rig_load_all(struct rig *rig) {
    while (rig->get_count > 0)
        rig_got(rig, RD_OK);
}

size_t rig_turn_end(struct rig *rig) {
    size_t before = rig->put_count, commits = rig->commit_count;
    rig_step(rig, &(struct event){.kind = EV_TURN_END});
    assert(rig->commit_count <= commits + 1);
    assert(rig->put_count == before || rig->commit_count > commits);
    return rig->put_count - before;
}

void rig_committed(struct rig *rig, enum rd_err err) {
    assert(rig->commit_count > 0);
    uint64_t token = rig->commits[0];
    drop(rig->commits, &rig->commit_count, sizeof(token), 0);
    for (size_t i = 0; i < rig->put_count;) {
        struct rig_put put = rig->puts[i];
        if (put.batch != token) {
            i++;
            continue;
        }
        if (err == RD_OK)
            set_row(rig, put.at.space, put.at.key->bytes, put.at.key->len, put.value);
        blob_unref(put.at.key);
        blob_unref(put.value);
        drop(rig->puts, &rig->put_count, sizeof(put), i);
    }
    struct event event = {.kind = EV_STORE_DONE};
    event.store_done.token = token;
    event.store_done.err = err;
    rig_step(rig, &event);
}

void rig_settle(struct rig *rig) {
    do {
        rig_load_all(rig);
        rig_turn_end(rig);
        while (rig->commit_count > 0)
            rig_committed(rig, RD_OK);
    } while (rig->get_count > 0 || node_has_dirty_rows(rig->node));
}

/* ---- effects --------------------------------------------------------------------------------- */

static struct blob *keep(struct rig *rig, struct blob *blob) {
    *(struct blob **)append(&rig->kept, &rig->kept_count, sizeof(blob)) = blob;
    return blob;
}

size_t rig_split(const struct blob *bytes, struct resp_slice argv[RIG_MAX_ARGS]) {
    const uint8_t *at = bytes->bytes, *end = at + bytes->len;
    char *next;
    assert(at < end && *at == '*');
    size_t count = strtoul((const char *)at + 1, &next, 10);
    assert(count <= RIG_MAX_ARGS);
    at = (const uint8_t *)next + 2;
    for (size_t i = 0; i < count; i++) {
        assert(at < end && *at == '$');
        argv[i].len = strtoul((const char *)at + 1, &next, 10);
        argv[i].data = (const uint8_t *)next + 2;
        at = argv[i].data + argv[i].len + 2;
        assert(at <= end && at[-2] == '\r' && at[-1] == '\n');
    }
    assert(at == end);
    return count;
}

static void on_send(struct rig *rig, const struct effect *effect) {
    struct rig_frame *frame = append(&rig->frames, &rig->frame_count, sizeof(*frame));
    struct resp_slice argv[RIG_MAX_ARGS];
    frame->link = effect->send.link;
    frame->bytes = blob_ref(effect->send.frame);
    size_t argc = rig_split(frame->bytes, argv);
    assert(wire_decode(argv, argc, &frame->msg) == RD_OK);
}

static void on_reply(struct rig *rig, struct effect *effect) {
    for (size_t i = 0; i < rig->reply_count; i++)
        assert(rig->replies[i].tag != effect->reply.tag); /* answered twice */
    struct rig_reply *reply = append(&rig->replies, &rig->reply_count, sizeof(*reply));
    reply->tag = effect->reply.tag;
    reply->reply = effect->reply.reply;
    effect->reply.reply = NULL; /* taken over */
    assert(rig->unanswered > 0);
    rig->unanswered--;
}

static void on_commit(struct rig *rig, uint64_t token) {
    size_t rows = 0;
    for (size_t i = 0; i < rig->put_count; i++) {
        rows += rig->puts[i].batch == 0;
        if (rig->puts[i].batch == 0)
            rig->puts[i].batch = token;
    }
    assert(rows > 0 || rig->node->core.store_err != RD_OK); /* else a sync for nothing */
    *(uint64_t *)append(&rig->commits, &rig->commit_count, sizeof(token)) = token;
}

static void on_effect(struct rig *rig, struct effect *effect) {
    switch (effect->kind) {
    case EFF_DIAL:
        *(struct effect *)append(&rig->dials, &rig->dial_count, sizeof(*effect)) = *effect;
        break;
    case EFF_SEND:
        on_send(rig, effect);
        break;
    case EFF_CLOSE:
        *(uint64_t *)append(&rig->closes, &rig->close_count, sizeof(uint64_t)) = effect->close.link;
        for (int i = 0; i < RIG_MAX_PEERS; i++)
            if (rig->peers[i] == effect->close.link)
                rig->peers[i] = 0;
        break;
    case EFF_STORE_GET: {
        struct rig_get *get = append(&rig->gets, &rig->get_count, sizeof(*get));
        *get = (struct rig_get){effect->store_get.token, effect->store_get.at};
        blob_ref(get->at.key);
        break;
    }
    case EFF_STORE_PUT: {
        struct rig_put *put = append(&rig->puts, &rig->put_count, sizeof(*put));
        *put = (struct rig_put){effect->store_put.at, effect->store_put.value, 0};
        blob_ref(put->at.key);
        blob_ref(put->value);
        break;
    }
    case EFF_STORE_SCAN: {
        struct store_scan_order *scan = append(&rig->scans, &rig->scan_count, sizeof(*scan));
        *scan = effect->store_scan;
        blob_ref(scan->after_key);
        break;
    }
    case EFF_STORE_COMMIT:
        on_commit(rig, effect->store_commit.token);
        break;
    case EFF_REPLY:
        on_reply(rig, effect);
        break;
    case EFF_LOG:
        assert(buf_printf(&rig->log, "%s\n", effect->log.text) == RD_OK);
        break;
    }
}

void rig_step(struct rig *rig, const struct event *event) {
    if (rig->before_step != NULL)
        rig->before_step(rig->arg);
    node_step(rig->node, rig->now, event, &rig->effects);
    if (rig->after_step != NULL)
        rig->after_step(rig->arg);
    assert(rig->effects.count < ROOM_FOR_EFFECTS);
    node_check(rig->node);
    for (size_t i = 0; i < rig->effects.count; i++)
        on_effect(rig, &rig->effects.items[i]);
    effects_clear(&rig->effects);
}

void rig_elapse(struct rig *rig, uint64_t ms) {
    uint64_t until = rig->now.mono_us + ms * 1000;
    for (;;) {
        uint64_t due = node_deadline_us(rig->node);
        if (due > until)
            break;
        if (due > rig->now.mono_us) {
            rig->now.wall_us += due - rig->now.mono_us;
            rig->now.mono_us = due;
        }
        rig_step(rig, &(struct event){.kind = EV_TIMER});
        assert(node_deadline_us(rig->node) > rig->now.mono_us); /* else the driver spins */
    }
    rig->now.wall_us += until - rig->now.mono_us;
    rig->now.mono_us = until;
}

/* ---- start and end --------------------------------------------------------------------------- */

struct node_id rig_id(unsigned i) {
    struct node_id id;
    memset(id.bytes, (int)(0x11 * (i + 1)), sizeof(id.bytes));
    return id;
}

struct node_conf rig_conf(void) {
    struct node_conf conf = {.cluster_name = "test",
                             .secret = "s",
                             .n = 3,
                             .r = 2,
                             .w = 2,
                             .partitions = 16,
                             .vnodes = 16,
                             .announce_host = "127.0.0.1",
                             .port = 7000,
                             .cluster_port = 17000,
                             .request_timeout_ms = 500,
                             .gossip_interval_ms = 3600000,
                             .failure_timeout_ms = 5000,
                             .max_siblings = 100,
                             .max_object_bytes = 1 << 20,
                             .max_requests = 64,
                             .read_repair = true};
    return conf;
}

void rig_store_identity(struct rig *rig) {
    uint8_t row[NODE_ID_BYTES + 16 + CONTEXT_KEY_BYTES] = {0};
    struct node_id id = rig_id(0);
    struct blob *blob;
    memcpy(row, id.bytes, NODE_ID_BYTES);
    row[NODE_ID_BYTES + 7] = 1; /* the generation; the last incarnation was 0 */
    memcpy(row + NODE_ID_BYTES + 16, seal_key, CONTEXT_KEY_BYTES);
    assert(blob_new(row, sizeof(row), &blob) == RD_OK);
    set_row(rig, 2, "identity", 8, blob);
    blob_unref(blob);
}

static void make_certificate(const struct rig *rig, unsigned peers, struct certificate *out) {
    *out = (struct certificate){.cluster = rig_id(0)};
    memcpy(out->seal_key, seal_key, CONTEXT_KEY_BYTES);
    for (unsigned i = 0; i <= peers; i++) {
        struct node_id id = rig_id(i);
        uint16_t index;
        assert(members_add(&out->members, &id, &index) == RD_OK);
        struct member *member = &out->members.items[index];
        member->generation = member->version = 1;
        member->vnodes = rig->conf.vnodes == 0 ? 16 : rig->conf.vnodes;
        member->address.port = (uint16_t)(7000 + i);
        member->cluster_port = (uint16_t)(17000 + i);
        memcpy(member->address.host, "127.0.0.1", 10);
    }
}

void rig_store_birth(struct rig *rig, unsigned peers) {
    struct certificate certificate;
    struct buf row = {0};
    struct blob *blob;
    make_certificate(rig, peers, &certificate);
    assert(birth_born_row(&rig->conf, &certificate, false, &row) == RD_OK);
    assert(blob_new(buf_data(&row), buf_len(&row), &blob) == RD_OK);
    set_row(rig, 2, "birth", 5, blob);
    blob_unref(blob);
    buf_free(&row);
    certificate_free(&certificate);
}

void rig_start(struct rig *rig, const struct node_conf *conf) {
    const uint64_t seed[4] = {1, 2, 3, rig->next_link + 4};
    char reason[256] = "";
    rig->conf = *conf;
    rig->conf.meta_identity = rig_row(rig, 2, "identity");
    rig->conf.meta_birth = rig_row(rig, 2, "birth");
    if (rig->now.mono_us == 0)
        rig->now = (struct instant){1000000, 1700000000000000};
    rig->effects.items = calloc(ROOM_FOR_EFFECTS, sizeof(struct effect));
    rig->effects.cap = ROOM_FOR_EFFECTS;
    assert(rig->effects.items != NULL);
    enum rd_err err = node_new(&rig->conf, seed, &rig->node, reason);
    if (err != RD_OK)
        fprintf(stderr, "%s\n", reason);
    assert(err == RD_OK);
    rig->node->core.actors.incarnation = RIG_OWN_INCARNATION;
}

void rig_start_born(struct rig *rig, const struct node_conf *conf, unsigned peers, bool link) {
    rig->conf = *conf;
    rig_store_identity(rig);
    rig_store_birth(rig, peers);
    rig_start(rig, conf);
    rig_settle(rig);
    rig_step(rig, &(struct event){.kind = EV_TIMER}); /* dials, and gossips with nobody */
    for (unsigned i = 1; link && i <= peers; i++)
        rig_link(rig, i, true);
    rig_settle(rig);
    rig_drop_frames(rig);
}

void rig_drop_frames(struct rig *rig) {
    for (size_t i = 0; i < rig->frame_count; i++)
        blob_unref(rig->frames[i].bytes);
    rig->frame_count = 0;
}

void rig_stop(struct rig *rig) {
    node_free(&rig->node);
    effects_free(&rig->effects);
    rig_drop_frames(rig);
    for (size_t i = 0; i < rig->get_count; i++)
        blob_unref(rig->gets[i].at.key);
    for (size_t i = 0; i < rig->scan_count; i++)
        blob_unref(rig->scans[i].after_key);
    for (size_t i = 0; i < rig->put_count; i++) {
        blob_unref(rig->puts[i].at.key);
        blob_unref(rig->puts[i].value);
    }
    for (size_t i = 0; i < rig->reply_count; i++)
        client_reply_free(rig->replies[i].reply);
    rig->get_count = rig->put_count = rig->commit_count = rig->reply_count = 0;
    rig->dial_count = rig->close_count = rig->scan_count = 0;
    rig->unanswered = 0;
    memset(rig->peers, 0, sizeof(rig->peers));
}

void rig_reset(struct rig *rig) {
    struct rig_row *row, *next;
    rig_stop(rig);
    HASH_ITER(hh, rig->rows, row, next) {
        HASH_DELETE(hh, rig->rows, row);
        blob_unref(row->value);
        free(row);
    }
    for (size_t i = 0; i < rig->kept_count; i++)
        blob_unref(rig->kept[i]);
    free(rig->frames);
    free(rig->gets);
    free(rig->scans);
    free(rig->puts);
    free(rig->commits);
    free(rig->replies);
    free(rig->dials);
    free(rig->closes);
    free(rig->kept);
    buf_free(&rig->log);
    *rig = (struct rig){0};
}

/* ---- peers ----------------------------------------------------------------------------------- */

/* What a peer knows of itself, for its side of the handshake. */
static void make_peer(struct rig *rig, unsigned peer, struct core *core) {
    *core = (struct core){.conf = rig->conf, .self = rig_id(peer), .now = rig->now};
    prng_seed(&core->prng, peer * 1000 + rig->next_link);
}

static uint64_t link_up(struct rig *rig, uint64_t dial, const char *host) {
    struct event event = {.kind = EV_LINK_UP};
    event.link_up.link = ++rig->next_link;
    event.link_up.dial = dial;
    event.link_up.host = host;
    rig_step(rig, &event);
    return event.link_up.link;
}

static struct handshake_facts facts_of(const struct wire_hello *hello) {
    struct handshake_facts facts = {.born = hello->cluster.len > 0};
    memcpy(facts.node.bytes, hello->node.data, NODE_ID_BYTES);
    memcpy(facts.nonce, hello->nonce.data, HANDSHAKE_NONCE_BYTES);
    if (facts.born)
        memcpy(facts.cluster.bytes, hello->cluster.data, NODE_ID_BYTES);
    return facts;
}

uint64_t rig_link(struct rig *rig, unsigned peer, bool born) {
    struct certificate birth = {.cluster = rig_id(0)};
    struct handshake_facts mine, theirs;
    uint8_t proof[HASH_HMAC_BYTES];
    struct core core;
    struct wire_msg msg;
    make_peer(rig, peer, &core);
    uint64_t link = link_up(rig, 0, "127.0.0.1");
    handshake_own(&core, born ? &birth : NULL, &mine);
    handshake_hello(&core, &mine, WIRE_HELLO, NULL, &msg);
    rig_say_on(rig, link, &msg);
    struct wire_msg challenge = rig_take_on(rig, link, WIRE_CHALLENGE);
    theirs = facts_of(&challenge.hello);
    handshake_prove(rig->conf.secret, true, &mine, &theirs, proof);
    msg = (struct wire_msg){.kind = WIRE_PROOF};
    msg.proof.proof = (struct resp_slice){proof, sizeof(proof)};
    rig_say_on(rig, link, &msg);
    rig_take_on(rig, link, WIRE_WELCOME);
    rig->peers[peer] = link;
    return link;
}

uint64_t rig_accept(struct rig *rig, uint64_t dial, unsigned peer, bool born) {
    struct certificate birth = {.cluster = rig_id(0)};
    struct handshake_facts mine, theirs;
    uint8_t proof[HASH_HMAC_BYTES];
    struct core core;
    struct wire_msg msg;
    make_peer(rig, peer, &core);
    uint64_t link = link_up(rig, dial, "127.0.0.1");
    struct wire_msg hello = rig_take_on(rig, link, WIRE_HELLO);
    theirs = facts_of(&hello.hello);
    handshake_own(&core, born ? &birth : NULL, &mine);
    handshake_prove(rig->conf.secret, false, &theirs, &mine, proof);
    handshake_hello(&core, &mine, WIRE_CHALLENGE, proof, &msg);
    rig_say_on(rig, link, &msg);
    rig_take_on(rig, link, WIRE_PROOF);
    msg = (struct wire_msg){.kind = WIRE_WELCOME};
    msg.welcome.seen_host = rig_slice("127.0.0.1");
    rig_say_on(rig, link, &msg);
    rig->peers[peer] = link;
    return link;
}

void rig_frame(struct rig *rig, uint64_t link, const struct resp_slice *argv, size_t argc) {
    struct event event = {.kind = EV_FRAME};
    event.frame.link = link;
    event.frame.argv = argv;
    event.frame.argc = argc;
    rig_step(rig, &event);
}

void rig_say_on(struct rig *rig, uint64_t link, const struct wire_msg *msg) {
    struct resp_slice argv[RIG_MAX_ARGS];
    struct blob *frame;
    assert(link != 0);
    assert(wire_encode(msg, &frame) == RD_OK);
    size_t argc = rig_split(frame, argv);
    rig_frame(rig, link, argv, argc);
    blob_unref(frame);
}

void rig_say(struct rig *rig, unsigned peer, const struct wire_msg *msg) {
    rig_say_on(rig, rig->peers[peer], msg);
}

void rig_cut(struct rig *rig, unsigned peer) {
    struct event event = {.kind = EV_LINK_DOWN};
    assert(rig->peers[peer] != 0);
    event.link_down.link = rig->peers[peer];
    rig->peers[peer] = 0;
    rig_step(rig, &event);
}

/* Probes come whenever a test makes a peer wait, between what it is about: each is passed over where the other is
 * looked for. */
static bool is_aside(const struct rig_frame *frame, enum wire_kind wanted) {
    return (frame->msg.kind == WIRE_PROBE) != (wanted == WIRE_PROBE);
}

struct wire_msg rig_take_on(struct rig *rig, uint64_t link, enum wire_kind kind) {
    for (size_t i = 0; i < rig->frame_count; i++) {
        struct rig_frame frame = rig->frames[i];
        if (frame.link != link || is_aside(&frame, kind))
            continue;
        if (frame.msg.kind != kind)
            fprintf(stderr, "expected %s, found %s\n", wire_name(kind), wire_name(frame.msg.kind));
        assert(frame.msg.kind == kind);
        keep(rig, frame.bytes);
        drop(rig->frames, &rig->frame_count, sizeof(frame), i);
        return frame.msg;
    }
    fprintf(stderr, "expected %s, found nothing\n", wire_name(kind));
    assert(!"a frame for the link");
    abort();
}

struct wire_msg rig_take(struct rig *rig, unsigned peer, enum wire_kind kind) {
    return rig_take_on(rig, rig->peers[peer], kind);
}

size_t rig_waiting(const struct rig *rig, unsigned peer, enum wire_kind kind) {
    size_t count = 0;
    for (size_t i = 0; i < rig->frame_count; i++)
        count += rig->frames[i].link == rig->peers[peer] && !is_aside(&rig->frames[i], kind) &&
                 (kind == WIRE_KINDS || rig->frames[i].msg.kind == kind);
    return count;
}

struct resp_slice rig_slice(const char *text) {
    return (struct resp_slice){(const uint8_t *)text, strlen(text)};
}

/* ---- clients --------------------------------------------------------------------------------- */

uint64_t rig_ask(struct rig *rig, struct client_request request) {
    request.tag = ++rig->next_tag;
    rig->unanswered++;
    rig_step(rig, &(struct event){.kind = EV_CLIENT, .client = &request});
    return request.tag;
}

uint64_t rig_set(struct rig *rig, const char *key, const char *value) {
    struct client_request request = {.op = CLIENT_WRITE, .key = key, .key_len = strlen(key)};
    if (value != NULL)
        assert(blob_new(value, strlen(value), &request.value) == RD_OK);
    uint64_t tag = rig_ask(rig, request);
    blob_unref(request.value);
    return tag;
}

uint64_t rig_get(struct rig *rig, const char *key, uint32_t r) {
    return rig_ask(rig, (struct client_request){
                            .op = CLIENT_READ, .key = key, .key_len = strlen(key), .r = r});
}

static size_t find_reply(const struct rig *rig, uint64_t tag) {
    size_t at = 0;
    while (at < rig->reply_count && rig->replies[at].tag != tag)
        at++;
    return at;
}

bool rig_replied(const struct rig *rig, uint64_t tag) {
    return find_reply(rig, tag) < rig->reply_count;
}

struct client_reply *rig_reply(struct rig *rig, uint64_t tag) {
    size_t at = find_reply(rig, tag);
    assert(at < rig->reply_count);
    struct client_reply *reply = rig->replies[at].reply;
    drop(rig->replies, &rig->reply_count, sizeof(rig->replies[0]), at);
    return reply;
}

void rig_expect(struct rig *rig, uint64_t tag, enum rd_err err) {
    struct client_reply *reply = rig_reply(rig, tag);
    assert(reply != NULL);
    if (reply->err != err)
        fprintf(stderr, "expected %s, found %s: %s\n", rd_err_name(err), rd_err_name(reply->err),
                reply->text);
    assert(reply->err == err);
    client_reply_free(reply);
}

/* ---- the rest -------------------------------------------------------------------------------- */

bool rig_logged(const struct rig *rig, const char *text) {
    return memmem(buf_data(&rig->log), buf_len(&rig->log), text, strlen(text)) != NULL;
}

bool rig_closed(struct rig *rig, uint64_t link) {
    for (size_t i = 0; i < rig->close_count; i++)
        if (rig->closes[i] == link) {
            drop(rig->closes, &rig->close_count, sizeof(link), i);
            return true;
        }
    return false;
}

const char *rig_key(struct rig *rig, bool home, unsigned nth, char out[16]) {
    for (unsigned i = 0; i < 100000; i++) {
        uint16_t list[PREFLIST_MAX_N];
        size_t homes;
        bool here = false;
        snprintf(out, 16, "k%u", i);
        uint16_t partition =
            slot_partition(node_slot(rig->node, out, strlen(out)), rig->conf.partitions);
        node_preflist(rig->node, partition, list, PREFLIST_MAX_N, &homes);
        for (size_t h = 0; h < homes; h++)
            here = here || list[h] == MEMBER_SELF;
        if (here == home && nth-- == 0)
            return out;
    }
    assert(!"such a key");
    return NULL;
}

static void put_dot(struct buf *out, const struct actor *actor, uint64_t counter) {
    char letter = actor->incarnation >= 1 && actor->incarnation <= 26
                      ? (char)('A' + actor->incarnation - 1)
                      : '?';
    assert(buf_printf(out, "%c", letter) == RD_OK);
    if (actor->epoch != 0)
        assert(buf_printf(out, ".%u:", actor->epoch) == RD_OK);
    assert(buf_printf(out, "%llu", (unsigned long long)counter) == RD_OK);
}

const char *rig_shape(const struct object *object, char out[RIG_SHAPE_BYTES]) {
    struct buf text = {0};
    for (uint32_t i = 0; i < object->version.count; i++) {
        put_dot(&text, &object->version.entries[i].actor, object->version.entries[i].counter);
        assert(buf_append(&text, " ", 1) == RD_OK);
    }
    assert(buf_append(&text, "|", 1) == RD_OK);
    for (uint32_t i = 0; i < object->count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        assert(buf_append(&text, " ", 1) == RD_OK);
        put_dot(&text, &sibling->dot.actor, sibling->dot.counter);
        assert(buf_printf(&text, "=%.*s", (int)sibling->value->len,
                          (const char *)sibling->value->bytes) == RD_OK);
    }
    snprintf(out, RIG_SHAPE_BYTES, "%.*s", (int)buf_len(&text), (const char *)buf_data(&text));
    buf_free(&text);
    return out;
}

struct node_stats rig_stats(const struct rig *rig) {
    struct node_stats stats;
    node_stats(rig->node, &stats);
    return stats;
}
