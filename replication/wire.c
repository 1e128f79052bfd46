/* The peer codec: one table, read by an encoder and a decoder. */
#include "replication/wire.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/digits.h"
#include "base/text.h"

#define MAX_FIELDS 12

enum field_type { FIELD_END = 0, FIELD_NUMBER, FIELD_BYTES };

struct field {
    enum field_type type;
    uint16_t offset; /* in struct wire_msg */
};

struct form {
    const char *name;
    size_t name_len;
    struct field fields[MAX_FIELDS + 1]; /* up to FIELD_END */
};

#define NAME(text) text, sizeof(text) - 1
#define NUM(member)                                                                                \
    { FIELD_NUMBER, offsetof(struct wire_msg, member) }
#define BYTES(member)                                                                              \
    { FIELD_BYTES, offsetof(struct wire_msg, member) }
#define HELLO_FIELDS                                                                               \
    {                                                                                              \
        NUM(hello.protocol), BYTES(hello.cluster_name), BYTES(hello.node), BYTES(hello.nonce),     \
            BYTES(hello.cluster), NUM(hello.n), NUM(hello.partitions), NUM(hello.partitioner),     \
            NUM(hello.conflict_resolution), BYTES(hello.proof)                                     \
    }

static const struct form forms[WIRE_KINDS] = {
    [WIRE_HELLO] = {NAME("HELLO"), HELLO_FIELDS},
    [WIRE_CHALLENGE] = {NAME("CHALLENGE"), HELLO_FIELDS},
    [WIRE_PROOF] = {NAME("PROOF"), {BYTES(proof.proof)}},
    [WIRE_WELCOME] = {NAME("WELCOME"), {BYTES(welcome.seen_host)}},
    [WIRE_REFUSE] = {NAME("REFUSE"), {NUM(refuse.outcast), BYTES(refuse.text)}},
    [WIRE_PING] = {NAME("PING"), {{FIELD_END, 0}}},
    [WIRE_PONG] = {NAME("PONG"), {{FIELD_END, 0}}},
    [WIRE_PROBE] = {NAME("PROBE"), {NUM(probe.sent_us), BYTES(probe.asker), BYTES(probe.target)}},
    [WIRE_PROBE_ANSWER] = {NAME("PROBE-ANSWER"),
                           {NUM(probe.sent_us), BYTES(probe.asker), BYTES(probe.target)}},
    [WIRE_GOSSIP] = {NAME("GOSSIP"), {NUM(gossip.hash)}},
    [WIRE_DIGEST] = {NAME("DIGEST"), {BYTES(digest.lines)}},
    [WIRE_ENTRIES] = {NAME("ENTRIES"), {BYTES(entries.entries), BYTES(entries.wanted)}},
    [WIRE_BIRTH_ASK] = {NAME("BIRTH-ASK"),
                        {BYTES(birth_ask.view), NUM(birth_ask.finish), NUM(birth_ask.number)}},
    [WIRE_BIRTH_YES] = {NAME("BIRTH-YES"), {NUM(birth.view), NUM(birth.number)}},
    [WIRE_BIRTH_NO] = {NAME("BIRTH-NO"), {NUM(birth.view), NUM(birth.number)}},
    [WIRE_BIRTH_RELEASE] = {NAME("BIRTH-RELEASE"), {NUM(birth.view), NUM(birth.number)}},
    [WIRE_BORN] = {NAME("BORN"),
                   {BYTES(born.certificate), BYTES(born.successors), NUM(born.wanted)}},
    [WIRE_READ] = {NAME("READ"), {NUM(read.id), NUM(read.digest), NUM(read.turn), BYTES(read.key)}},
    [WIRE_READ_ANSWER] = {NAME("READ-ANSWER"),
                          {NUM(read_answer.id), NUM(read_answer.err), NUM(read_answer.same),
                           BYTES(read_answer.object)}},
    [WIRE_WRITE] = {NAME("WRITE"),
                    {NUM(write.id), NUM(write.round), BYTES(write.key), BYTES(write.object),
                     BYTES(write.targets), NUM(write.must)}},
    [WIRE_WRITE_ANSWER] = {NAME("WRITE-ANSWER"),
                           {NUM(write_answer.id), NUM(write_answer.round), NUM(write_answer.err),
                            NUM(write_answer.uncovered), BYTES(write_answer.object),
                            BYTES(write_answer.met)}},
    [WIRE_FORWARD] = {NAME("FORWARD"),
                      {NUM(forward.id), NUM(forward.flags), NUM(forward.r), NUM(forward.w),
                       NUM(forward.expires_ms), BYTES(forward.key), BYTES(forward.value),
                       BYTES(forward.context)}},
    [WIRE_FORWARD_ANSWER] = {NAME("FORWARD-ANSWER"),
                             {NUM(forward_answer.id), NUM(forward_answer.err),
                              NUM(forward_answer.handled), NUM(forward_answer.existed),
                              BYTES(forward_answer.text), BYTES(forward_answer.context),
                              NUM(forward_answer.stand_ins), BYTES(forward_answer.reply)}},
    [WIRE_COUNT] = {NAME("COUNT"), {NUM(count.id)}},
    [WIRE_COUNT_ANSWER] = {NAME("COUNT-ANSWER"), {NUM(count_answer.id), NUM(count_answer.number)}},
    [WIRE_SCAN] = {NAME("SCAN"),
                   {NUM(scan.id), NUM(scan.round), NUM(scan.flags), NUM(scan.slot), BYTES(scan.key),
                    NUM(scan.last_slot), NUM(scan.max_rows), NUM(scan.place)}},
    [WIRE_SCAN_ANSWER] = {NAME("SCAN-ANSWER"),
                          {NUM(scan_answer.id), NUM(scan_answer.round), NUM(scan_answer.err),
                           NUM(scan_answer.slot), NUM(scan_answer.behind_key),
                           BYTES(scan_answer.key), BYTES(scan_answer.page)}},
    [WIRE_ROOTS] = {NAME("TREE-ROOTS"), {NUM(nodes.id), BYTES(nodes.nodes)}},
    [WIRE_NODES] = {NAME("TREE-NODES"), {NUM(nodes.id), BYTES(nodes.nodes)}},
    [WIRE_NODES_ANSWER] = {NAME("TREE-NODES-ANSWER"),
                           {NUM(nodes_answer.id), NUM(nodes_answer.err),
                            BYTES(nodes_answer.nodes)}},
    [WIRE_ROWS] = {NAME("TREE-ROWS"),
                   {NUM(rows.id), NUM(rows.slot), NUM(rows.leaves), NUM(rows.resumed),
                    BYTES(rows.after)}},
    [WIRE_ROWS_ANSWER] = {NAME("TREE-ROWS-ANSWER"),
                          {NUM(rows_answer.id), NUM(rows_answer.err), NUM(rows_answer.end),
                           BYTES(rows_answer.last), BYTES(rows_answer.rows)}},
    [WIRE_RECOUNT] = {NAME("TREE-RECOUNT"), {NUM(recount.slot)}},
    [WIRE_REAP_WATCH] = {NAME("REAP-WATCH"), {NUM(reap.id), BYTES(reap.items)}},
    [WIRE_REAP_CHECK] = {NAME("REAP-CHECK"), {NUM(reap.id), BYTES(reap.items)}},
    [WIRE_REAP_REPLACE] = {NAME("REAP-REPLACE"), {NUM(reap.id), BYTES(reap.items)}},
    [WIRE_REAP_ANSWER] = {NAME("REAP-ANSWER"),
                          {NUM(reap_answer.id), NUM(reap_answer.step), NUM(reap_answer.err),
                           NUM(reap_answer.start), NUM(reap_answer.incarnation),
                           NUM(reap_answer.mark), BYTES(reap_answer.states),
                           BYTES(reap_answer.fences)}},
    [WIRE_REAP_FENCE] = {NAME("REAP-FENCE"), {NUM(fence.start), NUM(fence.number)}},
};

const char *wire_name(enum wire_kind kind) {
    assert((unsigned)kind < WIRE_KINDS);
    return forms[kind].name;
}

/* The bytes that one bulk string takes besides its content, at most: marker, length, two line ends. */
#define BULK_OVERHEAD (1 + DIGITS_MAX + 4)

static uint8_t *put_line_end(uint8_t *at) {
    at[0] = '\r';
    at[1] = '\n';
    return at + 2;
}

static uint8_t *put_head(uint8_t *at, char marker, uint64_t number) {
    *at = (uint8_t)marker;
    return put_line_end(digits_put(at + 1, number));
}

static uint8_t *put_bulk(uint8_t *at, const void *text, size_t len) {
    at = put_head(at, '$', len);
    if (len > 0)
        memcpy(at, text, len);
    return put_line_end(at + len);
}

static struct resp_slice bytes_of(const struct wire_msg *msg, const struct field *field) {
    struct resp_slice slice;
    memcpy(&slice, (const char *)msg + field->offset, sizeof(slice));
    return slice;
}

static uint8_t *put_field(uint8_t *at, const struct wire_msg *msg, const struct field *field) {
    uint8_t digits[DIGITS_MAX];
    uint64_t number;
    if (field->type == FIELD_BYTES) {
        struct resp_slice slice = bytes_of(msg, field);
        return put_bulk(at, slice.data, slice.len);
    }
    memcpy(&number, (const char *)msg + field->offset, sizeof(number));
    return put_bulk(at, digits, (size_t)(digits_put(digits, number) - digits));
}

enum rd_err wire_encode(const struct wire_msg *msg, struct blob **out) {
    const struct form *form = &forms[msg->kind];
    size_t count = 0, bound = 2 * BULK_OVERHEAD + form->name_len;
    for (; form->fields[count].type != FIELD_END; count++) {
        const struct field *field = &form->fields[count];
        bound +=
            BULK_OVERHEAD + (field->type == FIELD_BYTES ? bytes_of(msg, field).len : DIGITS_MAX);
    }
    struct blob *frame;
    enum rd_err err = blob_alloc(bound, &frame);
    if (err != RD_OK)
        return err;
    uint8_t *at = put_head(frame->bytes, '*', count + 1);
    at = put_bulk(at, form->name, form->name_len);
    for (size_t i = 0; i < count; i++)
        at = put_field(at, msg, &form->fields[i]);
    assert((size_t)(at - frame->bytes) <= bound);
    blob_shorten(frame, (size_t)(at - frame->bytes));
    *out = frame;
    return RD_OK;
}

static bool is_called(const struct form *form, struct resp_slice name) {
    return name.len == form->name_len && memcmp(name.data, form->name, name.len) == 0;
}

/* WIRE_KINDS if there is none. The messages of requests, which are most of all, are looked at first. */
static size_t kind_of(struct resp_slice name) {
    for (size_t i = 0; i < WIRE_KINDS; i++) {
        size_t kind = (WIRE_READ + i) % WIRE_KINDS;
        if (is_called(&forms[kind], name))
            return kind;
    }
    return WIRE_KINDS;
}

static size_t field_count(const struct form *form) {
    size_t count = 0;
    while (form->fields[count].type != FIELD_END)
        count++;
    return count;
}

enum rd_err wire_decode(const struct resp_slice *argv, size_t argc, struct wire_msg *out) {
    if (argc == 0)
        return RD_EPROTO;
    size_t kind = kind_of(argv[0]);
    if (kind == WIRE_KINDS || argc - 1 != field_count(&forms[kind]))
        return RD_EPROTO;
    struct wire_msg msg;
    memset(&msg, 0, sizeof(msg));
    msg.kind = (enum wire_kind)kind;
    for (size_t i = 1; i < argc; i++) {
        const struct field *field = &forms[kind].fields[i - 1];
        char *base = (char *)&msg + field->offset;
        if (field->type == FIELD_BYTES) {
            memcpy(base, &argv[i], sizeof(argv[i]));
            continue;
        }
        uint64_t number;
        if (text_u64((const char *)argv[i].data, argv[i].len, &number) != RD_OK)
            return RD_EPROTO;
        memcpy(base, &number, sizeof(number));
    }
    *out = msg;
    return RD_OK;
}
