/* Fuzzes replication/node: a node of a born cluster of three, with two proven links, is fed any
 * frames, clients' requests, ends of its disk's work, and time. It must not crash, must keep its
 * invariants (the rig checks them after each step), and must answer each request exactly once.
 *
 * The input is a list of actions: a byte that chooses, then what the action needs.
 */
#include <stdlib.h>
#include <string.h>

#include "replication/reap_pack.h"
#include "tests/lib/node_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at, *end;
};

static uint8_t take(struct input *input) {
    return input->at < input->end ? *input->at++ : 0;
}

static struct resp_slice take_bytes(struct input *input, size_t len) {
    size_t left = (size_t)(input->end - input->at);
    struct resp_slice bytes = {input->at, len < left ? len : left};
    input->at += bytes.len;
    return bytes;
}

/* The name of a request: mostly of one that is open, so that answers meet something. */
static uint64_t take_id(const struct rig *rig, struct input *input) {
    const struct coordinator *co = &rig->node->co;
    uint8_t byte = take(input);
    for (uint32_t i = 0, nth = byte % 8; i < co->slot_count && byte < 224; i++)
        if (co->slots[i] != NULL && nth-- == 0)
            return request_id(co->slots[i]);
    return byte;
}

/* An object that decodes: the input chooses actors and counters. */
static void make_object(struct input *input, struct buf *out) {
    struct object object = {0};
    struct blob *value;
    if (blob_new("v", 1, &value) != RD_OK)
        abort();
    for (uint8_t n = take(input) % 4; n > 0; n--) {
        struct context none = {0};
        uint8_t byte = take(input);
        struct dot dot = {{(byte & 1) != 0 ? RIG_OWN_INCARNATION : 1, byte >> 6},
                          1u + (byte >> 2 & 15)};
        if (!version_covers(&object.version, &dot) &&
            object_write(&object, &none, &dot, take(input), value, 0) != RD_OK)
            abort();
    }
    if (object_encode(&object, out) != RD_OK)
        abort();
    object_free(&object);
    blob_unref(value);
}

static void make_vector(struct input *input, struct buf *out) {
    struct version version = {0};
    for (uint8_t n = take(input) % 3; n > 0; n--) {
        uint8_t byte = take(input);
        struct dot dot = {{(byte & 1) != 0 ? RIG_OWN_INCARNATION : 1, byte >> 6},
                          1u + (byte >> 2 & 15)};
        if (version_advance(&version, &dot) != RD_OK)
            abort();
    }
    if (version_encode(&version, out) != RD_OK)
        abort();
    version_free(&version);
}

static struct resp_slice slice_of(const struct buf *buf) {
    return (struct resp_slice){buf_data(buf), buf_len(buf)};
}

static struct resp_slice take_key(struct input *input) {
    static const char *const keys[] = {"k", "l", ""};
    return rig_slice(keys[take(input) % 3]);
}

/* What replicas and coordinators say to each other. */
static void replica_frame(struct rig *rig, struct input *input, uint64_t link) {
    static const enum wire_kind kinds[] = {WIRE_READ, WIRE_READ_ANSWER, WIRE_WRITE,
                                           WIRE_WRITE_ANSWER};
    struct wire_msg msg = {.kind = kinds[take(input) % 4]};
    struct buf object = {0}, met = {0};
    switch (msg.kind) {
    case WIRE_READ:
        msg.read.id = take(input);
        msg.read.digest = take(input) % 2;
        msg.read.key = take_key(input);
        break;
    case WIRE_READ_ANSWER:
        msg.read_answer.id = take_id(rig, input);
        msg.read_answer.err = take(input) % (RD_ERR_COUNT + 1);
        msg.read_answer.same = take(input) % 2;
        make_object(input, &object);
        msg.read_answer.object = slice_of(&object);
        break;
    case WIRE_WRITE:
        msg.write.id = take(input);
        msg.write.round = take(input) % 4;
        msg.write.key = take_key(input);
        make_object(input, &object);
        msg.write.object = slice_of(&object);
        break;
    default:
        msg.write_answer.id = take_id(rig, input);
        msg.write_answer.round = take(input) % 4;
        msg.write_answer.err = take(input) % 2 == 0 ? RD_OK : take(input) % RD_ERR_COUNT;
        msg.write_answer.uncovered = take(input) % 2;
        make_object(input, &object);
        make_vector(input, &met);
        msg.write_answer.object = slice_of(&object);
        msg.write_answer.met = slice_of(&met);
    }
    rig_say_on(rig, link, &msg);
    buf_free(&object);
    buf_free(&met);
}

/* No id, that of one of the members or of a stranger, or bytes that are none. */
static struct resp_slice take_node(struct rig *rig, struct input *input) {
    static const uint8_t stranger[NODE_ID_BYTES] = {1};
    uint8_t which = take(input) % 8;
    if (which < rig->node->members.count)
        return (struct resp_slice){rig->node->members.items[which].id.bytes, NODE_ID_BYTES};
    return which == 5   ? (struct resp_slice){stranger, sizeof(stranger)}
           : which == 6 ? take_bytes(input, 3)
                        : (struct resp_slice){0};
}

/* The birth that the node knows, with records of places taken of the input's choice. */
static void say_born(struct rig *rig, struct input *input, uint64_t link) {
    struct wire_msg msg = {.kind = WIRE_BORN};
    struct buf certificate = {0}, records = {0};
    if (certificate_encode(&rig->node->birth.certificate, rig->conf.secret, &certificate) != RD_OK)
        abort();
    for (uint8_t n = take(input) % 3; n > 0; n--)
        for (int k = 0; k < 2; k++) {
            struct resp_slice id = take_node(rig, input);
            if (id.len > 0 && buf_append(&records, id.data, id.len) != RD_OK)
                abort();
        }
    msg.born.certificate = slice_of(&certificate);
    msg.born.successors = slice_of(&records);
    msg.born.wanted = take(input) % 2;
    rig_say_on(rig, link, &msg);
    buf_free(&certificate);
    buf_free(&records);
}

/* What the driver of a round of reaping says, or one who takes part. */
static void reap_frame(struct rig *rig, struct input *input, uint64_t link) {
    static const enum wire_kind kinds[] = {WIRE_REAP_WATCH, WIRE_REAP_CHECK, WIRE_REAP_REPLACE,
                                           WIRE_REAP_ANSWER, WIRE_REAP_FENCE};
    struct wire_msg msg = {.kind = kinds[take(input) % 5]};
    struct buf items = {0}, vector = {0};
    struct version kept = {0};
    size_t taken;
    enum rd_err err = RD_OK;
    for (uint8_t n = take(input) % 3; n > 0; n--) {
        if (msg.kind == WIRE_REAP_WATCH) {
            struct reap_wish wish = {take_key(input), take(input), take(input) % 2 == 0};
            err = reap_pack_wish(&items, &wish);
        } else if (msg.kind == WIRE_REAP_REPLACE) {
            make_vector(input, &vector);
            err = version_decode(buf_data(&vector), buf_len(&vector), &kept, &taken);
            if (err == RD_OK)
                err = reap_pack_vector(&items, take(input) % 3, &kept);
            version_free(&kept);
            buf_reset(&vector, 0);
        }
        if (err != RD_OK)
            abort();
    }
    if (msg.kind == WIRE_REAP_ANSWER) {
        msg.reap_answer.id = take(input) % 4;
        msg.reap_answer.step = take(input) % 5;
        msg.reap_answer.err = take(input) % 2 == 0 ? RD_OK : take(input) % RD_ERR_COUNT;
        msg.reap_answer.states = take_bytes(input, take(input) % 4);
        msg.reap_answer.fences = take_bytes(input, take(input) % 64);
    } else if (msg.kind == WIRE_REAP_FENCE) {
        msg.fence.start = take(input) % 3;
        msg.fence.number = take(input);
    } else {
        msg.reap.id = 1 + take(input) % 3;
        msg.reap.items = slice_of(&items);
    }
    rig_say_on(rig, link, &msg);
    buf_free(&items);
    buf_free(&vector);
}

/* A frame of any other kind, whose numbers are likely and whose bytes are the input's. */
static void other_frame(struct rig *rig, struct input *input, uint64_t link) {
    struct wire_msg msg = {.kind = (enum wire_kind)(take(input) % WIRE_KINDS)};
    switch (msg.kind) {
    case WIRE_FORWARD:
        msg.forward.id = (take(input) & 15) == 0 ? 1 : ++rig->next_tag; /* seldom the same */
        msg.forward.flags = take(input) % 8;
        msg.forward.w = take(input) % 5;
        msg.forward.key = take_key(input);
        msg.forward.value = take_bytes(input, take(input) % 8);
        break;
    case WIRE_FORWARD_ANSWER:
        msg.forward_answer.id = take_id(rig, input);
        msg.forward_answer.err = take(input) % (RD_ERR_COUNT + 1);
        msg.forward_answer.handled = take(input) % 2;
        break;
    case WIRE_COUNT_ANSWER:
        msg.count_answer.id = take_id(rig, input);
        msg.count_answer.number = take(input);
        break;
    case WIRE_ENTRIES:
        msg.entries.entries = take_bytes(input, take(input));
        msg.entries.wanted = take_bytes(input, take(input) % 64);
        break;
    case WIRE_DIGEST:
        msg.digest.lines = take_bytes(input, take(input));
        break;
    case WIRE_BORN:
        msg.born.certificate = take_bytes(input, take(input));
        break;
    case WIRE_BIRTH_ASK:
        msg.birth_ask.view = take_bytes(input, take(input) % 128);
        break;
    case WIRE_REFUSE:
        msg.refuse.text = take_bytes(input, take(input));
        break;
    case WIRE_PROBE:
    case WIRE_PROBE_ANSWER:
        msg.probe.sent_us = rig->now.mono_us + 2 - take(input) % 4;
        msg.probe.asker = take_node(rig, input);
        msg.probe.target = take_node(rig, input);
        break;
    default:
        break;
    }
    rig_say_on(rig, link, &msg);
}

/* Any arguments at all. */
static void any_frame(struct rig *rig, struct input *input, uint64_t link) {
    struct resp_slice argv[RIG_MAX_ARGS];
    size_t argc = take(input) % (RIG_MAX_ARGS + 1);
    for (size_t i = 0; i < argc; i++)
        argv[i] = take_bytes(input, take(input) % 32);
    if (argc > 0 && take(input) % 2 == 0)
        argv[0] = rig_slice(wire_name((enum wire_kind)(take(input) % WIRE_KINDS)));
    rig_frame(rig, link, argv, argc);
}

/* A context of this cluster: what an object of the input covers, and perhaps a lone dot. */
static void make_token(struct rig *rig, struct input *input, const char *key, struct buf *out) {
    struct context context;
    struct object object;
    struct buf bytes = {0};
    make_object(input, &bytes);
    if (object_decode(buf_data(&bytes), buf_len(&bytes), &object) != RD_OK ||
        object_context(&object, &context) != RD_OK)
        abort();
    uint8_t byte = take(input);
    struct dot dot = {{(byte & 1) != 0 ? RIG_OWN_INCARNATION : 1, byte >> 6},
                      2u + (byte >> 2 & 15)};
    if ((byte & 2) != 0 && dot.counter > version_get(&context.version, &dot.actor) + 1) {
        context.has_dot = true;
        context.dot = dot;
    }
    if (context_seal(&context, rig->node->birth.certificate.seal_key, key, strlen(key), out) !=
        RD_OK)
        abort();
    context_free(&context);
    object_free(&object);
    buf_free(&bytes);
}

static void client(struct rig *rig, struct input *input) {
    static const char *const keys[] = {"k", "l", ""};
    uint8_t byte = take(input);
    const char *key = keys[take(input) % 3];
    struct client_request request = {
        .op = (enum client_op)(byte % 4), .key = key, .key_len = strlen(key)};
    request.r = request.w = byte >> 2 & 3;
    request.monotonic = (byte & 16) != 0;
    request.with_context = (byte & 32) != 0;
    struct buf token = {0};
    if ((byte & 64) != 0 && request.with_context) {
        make_token(rig, input, key, &token);
        request.context = (const char *)buf_data(&token);
        request.context_len = buf_len(&token);
    }
    if ((byte & 128) == 0 && blob_new("value", 5, &request.value) != RD_OK)
        abort();
    rig_ask(rig, request);
    blob_unref(request.value);
    buf_free(&token);
}

/* True if both ends still hold places: else the handshake comes to no good end. */
static bool may_come(const struct rig *rig, unsigned peer) {
    struct node_id id = rig_id(peer);
    return !rig->node->birth.gone && certificate_has_holder(&rig->node->birth.certificate, &id);
}

static void act(struct rig *rig, struct input *input) {
    static const enum rd_err errors[] = {RD_OK, RD_OK, RD_OK, RD_EIO, RD_ECORRUPT};
    uint8_t action = take(input);
    unsigned peer = 1 + (action >> 7);
    switch (action % 13) {
    case 0:
    case 1:
    case 2:
        client(rig, input);
        break;
    case 3:
    case 4:
        if (rig->peers[peer] != 0)
            replica_frame(rig, input, rig->peers[peer]);
        break;
    case 5:
        if (rig->peers[peer] != 0)
            other_frame(rig, input, rig->peers[peer]);
        break;
    case 6:
        if (rig->peers[peer] != 0)
            any_frame(rig, input, rig->peers[peer]);
        break;
    case 7:
        if (rig->get_count > 0)
            rig_got(rig, errors[take(input) % 5]);
        break;
    case 8:
        if ((action & 64) != 0 && rig->commit_count > 0)
            rig_committed(rig, errors[take(input) % 4]);
        else
            rig_turn_end(rig);
        break;
    case 10:
        if (rig->peers[peer] != 0)
            say_born(rig, input, rig->peers[peer]);
        break;
    case 11:
        if (rig->peers[peer] != 0)
            reap_frame(rig, input, rig->peers[peer]);
        break;
    case 9:
        rig_elapse(rig, take(input) % 4 * 50);
        break;
    default:
        if (rig->peers[peer] == 0 && may_come(rig, peer))
            rig_link(rig, peer, true);
        else if (rig->peers[peer] == 0)
            break;
        else if ((action & 64) != 0)
            rig_cut(rig, peer);
    }
    rig_drop_frames(rig);
    rig->dial_count = rig->close_count = 0;
}

static void drop_replies(struct rig *rig) {
    while (rig->reply_count > 0)
        client_reply_free(rig_reply(rig, rig->replies[0].tag));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, data + size};
    struct node_conf conf = rig_conf();
    struct rig rig = {0};
    conf.max_requests = 6;
    conf.partitions = conf.vnodes = 1;
    conf.conflict_resolution = (enum conflict_resolution)(take(&input) % 2);
    rig_start_born(&rig, &conf, 2, true);
    while (input.at < input.end) {
        act(&rig, &input);
        drop_replies(&rig);
    }
    rig_settle(&rig);
    rig_elapse(&rig, 1000);
    rig_settle(&rig);
    drop_replies(&rig);
    struct node_stats stats = rig_stats(&rig);
    if (rig.unanswered != 0 || stats.requests_in_flight != 0 || stats.keys_in_flight != 0)
        abort();
    rig_reset(&rig);
    return 0;
}
