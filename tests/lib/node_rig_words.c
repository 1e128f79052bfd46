/* Stories about one key: see node_rig_words.h. */
#include "tests/lib/node_rig_words.h"

#include <check.h>
#include <string.h>

#include "tests/unit/object_text.h"

static struct resp_slice slice_of(const struct buf *buf) {
    return (struct resp_slice){buf_data(buf), buf_len(buf)};
}

/* Encodes the object that `text` says and returns how many siblings it has. */
static uint32_t encode_text(const char *text, struct buf *out) {
    if (text == NULL)
        return 0;
    struct object object = object_of(text);
    uint32_t count = object.count;
    ck_assert_int_eq(object_encode(&object, out), RD_OK);
    object_free(&object);
    return count;
}

void rig_answer_write(struct rig *rig, unsigned peer, const struct wire_msg *write, enum rd_err err,
                      const char *text) {
    struct wire_msg msg = {.kind = WIRE_WRITE_ANSWER};
    struct buf bytes = {0};
    msg.write_answer.id = write->write.id;
    msg.write_answer.round = write->write.round;
    msg.write_answer.err = err;
    msg.write_answer.uncovered = encode_text(text, &bytes);
    msg.write_answer.object = slice_of(&bytes);
    rig_say(rig, peer, &msg);
    buf_free(&bytes);
}

void rig_ack(struct rig *rig, unsigned peer, const struct wire_msg *write) {
    rig_answer_write(rig, peer, write, RD_OK, NULL);
}

void rig_answer_read(struct rig *rig, unsigned peer, const struct wire_msg *read,
                     const char *text) {
    struct wire_msg msg = {.kind = WIRE_READ_ANSWER};
    struct buf bytes = {0};
    msg.read_answer.id = read->read.id;
    msg.read_answer.err = text == NULL ? RD_ENOTFOUND : RD_OK;
    encode_text(text, &bytes);
    msg.read_answer.object = slice_of(&bytes);
    rig_say(rig, peer, &msg);
    buf_free(&bytes);
}

void rig_fail_read(struct rig *rig, unsigned peer, const struct wire_msg *read, enum rd_err err) {
    struct wire_msg msg = {.kind = WIRE_READ_ANSWER};
    msg.read_answer.id = read->read.id;
    msg.read_answer.err = err;
    rig_say(rig, peer, &msg);
}

void rig_elapse_probed(struct rig *rig, uint64_t ms, unsigned silent) {
    for (uint64_t passed = 0; passed < ms; passed += 10) {
        rig_elapse(rig, ms - passed < 10 ? ms - passed : 10);
        for (unsigned peer = 1; peer < RIG_MAX_PEERS; peer++)
            while (rig->peers[peer] != 0 && rig_waiting(rig, peer, WIRE_PROBE) > 0) {
                struct wire_msg probe = rig_take(rig, peer, WIRE_PROBE);
                probe.kind = WIRE_PROBE_ANSWER;
                if (peer != silent && probe.probe.target.len == 0)
                    rig_say(rig, peer, &probe);
            }
    }
}

void rig_check_shape(const struct object *object, const char *shape) {
    char text[RIG_SHAPE_BYTES];
    ck_assert_str_eq(rig_shape(object, text), shape);
}

void rig_check_sent(const struct wire_msg *write, uint64_t round, const char *shape) {
    struct object object;
    ck_assert_uint_eq(write->write.round, round);
    ck_assert_int_eq(object_decode(write->write.object.data, write->write.object.len, &object),
                     RD_OK);
    rig_check_shape(&object, shape);
    object_free(&object);
}

void rig_check_stored(struct rig *rig, const char *key, const char *shape) {
    struct object object = rig_object(rig, key);
    rig_check_shape(&object, shape);
    object_free(&object);
}

void rig_check_error(struct rig *rig, uint64_t tag, enum rd_err err, const char *text) {
    struct client_reply *reply = rig_reply(rig, tag);
    ck_assert_int_eq(reply->err, err);
    ck_assert_str_eq(reply->text, text);
    client_reply_free(reply);
}

void rig_put_object(struct rig *rig, const char *key, const char *text) {
    struct object object = object_of(text);
    rig_set_object(rig, key, &object);
    object_free(&object);
}

void rig_commit(struct rig *rig, enum rd_err err) {
    rig_turn_end(rig);
    rig_committed(rig, err);
}

uint64_t rig_write_with(struct rig *rig, const char *key, const char *value,
                        const struct context *context) {
    struct client_request request = {
        .op = CLIENT_WRITE, .key = key, .key_len = strlen(key), .with_context = true};
    struct buf token = {0};
    if (context != NULL) {
        ck_assert_int_eq(
            context_seal(context, rig->node->birth.certificate.seal_key, key, strlen(key), &token),
            RD_OK);
        request.context = (const char *)buf_data(&token);
        request.context_len = buf_len(&token);
    }
    if (value != NULL)
        ck_assert_int_eq(blob_new(value, strlen(value), &request.value), RD_OK);
    uint64_t tag = rig_ask(rig, request);
    blob_unref(request.value);
    buf_free(&token);
    return tag;
}

uint64_t rig_write_after(struct rig *rig, const char *key, const char *value, const char *shown) {
    struct context context = {0};
    if (shown != NULL) {
        struct object object = object_of(shown);
        ck_assert_int_eq(object_context(&object, &context), RD_OK);
        object_free(&object);
    }
    uint64_t tag = rig_write_with(rig, key, value, &context);
    context_free(&context);
    return tag;
}

void rig_expect_object(struct rig *rig, uint64_t tag, const char *shape) {
    struct client_reply *reply = rig_reply(rig, tag);
    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(reply->err, RD_OK);
    rig_check_shape(&reply->object, shape);
    client_reply_free(reply);
}
