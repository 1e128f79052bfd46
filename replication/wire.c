/* The peer codec: one table, read by an encoder and a decoder. */
#include "replication/wire.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define MAX_FIELDS 12

enum field_type { FIELD_END = 0, FIELD_NUMBER, FIELD_BYTES };

struct field {
    enum field_type type;
    uint16_t offset; /* in struct wire_msg */
};

struct form {
    const char *name;
    struct field fields[MAX_FIELDS + 1]; /* up to FIELD_END */
};

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
    [WIRE_HELLO] = {"HELLO", HELLO_FIELDS},
    [WIRE_CHALLENGE] = {"CHALLENGE", HELLO_FIELDS},
    [WIRE_PROOF] = {"PROOF", {BYTES(proof.proof)}},
    [WIRE_WELCOME] = {"WELCOME", {BYTES(welcome.seen_host)}},
    [WIRE_REFUSE] = {"REFUSE", {NUM(refuse.outcast), BYTES(refuse.text)}},
    [WIRE_PING] = {"PING", {{FIELD_END, 0}}},
    [WIRE_PONG] = {"PONG", {{FIELD_END, 0}}},
    [WIRE_PROBE] = {"PROBE", {NUM(probe.sent_us), BYTES(probe.asker), BYTES(probe.target)}},
    [WIRE_PROBE_ANSWER] = {"PROBE-ANSWER",
                           {NUM(probe.sent_us), BYTES(probe.asker), BYTES(probe.target)}},
    [WIRE_GOSSIP] = {"GOSSIP", {NUM(gossip.hash)}},
    [WIRE_DIGEST] = {"DIGEST", {BYTES(digest.lines)}},
    [WIRE_ENTRIES] = {"ENTRIES", {BYTES(entries.entries), BYTES(entries.wanted)}},
    [WIRE_BIRTH_ASK] = {"BIRTH-ASK",
                        {BYTES(birth_ask.view), NUM(birth_ask.finish), NUM(birth_ask.number)}},
    [WIRE_BIRTH_YES] = {"BIRTH-YES", {NUM(birth.view), NUM(birth.number)}},
    [WIRE_BIRTH_NO] = {"BIRTH-NO", {NUM(birth.view), NUM(birth.number)}},
    [WIRE_BIRTH_RELEASE] = {"BIRTH-RELEASE", {NUM(birth.view), NUM(birth.number)}},
    [WIRE_BORN] = {"BORN", {BYTES(born.certificate)}},
    [WIRE_READ] = {"READ", {NUM(read.id), NUM(read.digest), NUM(read.turn), BYTES(read.key)}},
    [WIRE_READ_ANSWER] = {"READ-ANSWER",
                          {NUM(read_answer.id), NUM(read_answer.err), NUM(read_answer.same),
                           BYTES(read_answer.object)}},
    [WIRE_WRITE] = {"WRITE",
                    {NUM(write.id), NUM(write.round), BYTES(write.key), BYTES(write.object),
                     BYTES(write.targets), NUM(write.must)}},
    [WIRE_WRITE_ANSWER] = {"WRITE-ANSWER",
                           {NUM(write_answer.id), NUM(write_answer.round), NUM(write_answer.err),
                            NUM(write_answer.uncovered), BYTES(write_answer.object),
                            BYTES(write_answer.met)}},
    [WIRE_FORWARD] = {"FORWARD",
                      {NUM(forward.id), NUM(forward.flags), NUM(forward.r), NUM(forward.w),
                       NUM(forward.expires_ms), BYTES(forward.key), BYTES(forward.value),
                       BYTES(forward.context)}},
    [WIRE_FORWARD_ANSWER] = {"FORWARD-ANSWER",
                             {NUM(forward_answer.id), NUM(forward_answer.err),
                              NUM(forward_answer.handled), NUM(forward_answer.existed),
                              BYTES(forward_answer.text), BYTES(forward_answer.context),
                              NUM(forward_answer.stand_ins), BYTES(forward_answer.reply)}},
    [WIRE_COUNT] = {"COUNT", {NUM(count.id)}},
    [WIRE_COUNT_ANSWER] = {"COUNT-ANSWER", {NUM(count_answer.id), NUM(count_answer.number)}},
    [WIRE_SCAN] = {"SCAN",
                   {NUM(scan.id), NUM(scan.round), NUM(scan.flags), NUM(scan.slot), BYTES(scan.key),
                    NUM(scan.last_slot), NUM(scan.max_rows), NUM(scan.place)}},
    [WIRE_SCAN_ANSWER] = {"SCAN-ANSWER",
                          {NUM(scan_answer.id), NUM(scan_answer.round), NUM(scan_answer.err),
                           NUM(scan_answer.slot), NUM(scan_answer.behind_key),
                           BYTES(scan_answer.key), BYTES(scan_answer.page)}},
    [WIRE_ROOTS] = {"TREE-ROOTS", {NUM(nodes.id), BYTES(nodes.nodes)}},
    [WIRE_NODES] = {"TREE-NODES", {NUM(nodes.id), BYTES(nodes.nodes)}},
    [WIRE_NODES_ANSWER] = {"TREE-NODES-ANSWER",
                           {NUM(nodes_answer.id), NUM(nodes_answer.err),
                            BYTES(nodes_answer.nodes)}},
    [WIRE_ROWS] = {"TREE-ROWS",
                   {NUM(rows.id), NUM(rows.slot), NUM(rows.leaves), NUM(rows.resumed),
                    BYTES(rows.after)}},
    [WIRE_ROWS_ANSWER] = {"TREE-ROWS-ANSWER",
                          {NUM(rows_answer.id), NUM(rows_answer.err), NUM(rows_answer.end),
                           BYTES(rows_answer.last), BYTES(rows_answer.rows)}},
    [WIRE_RECOUNT] = {"TREE-RECOUNT", {NUM(recount.slot)}},
    [WIRE_REAP_WATCH] = {"REAP-WATCH", {NUM(reap.id), BYTES(reap.items)}},
    [WIRE_REAP_CHECK] = {"REAP-CHECK", {NUM(reap.id), BYTES(reap.items)}},
    [WIRE_REAP_REPLACE] = {"REAP-REPLACE", {NUM(reap.id), BYTES(reap.items)}},
    [WIRE_REAP_ANSWER] = {"REAP-ANSWER",
                          {NUM(reap_answer.id), NUM(reap_answer.step), NUM(reap_answer.err),
                           NUM(reap_answer.start), NUM(reap_answer.incarnation),
                           NUM(reap_answer.mark), BYTES(reap_answer.states),
                           BYTES(reap_answer.fences)}},
    [WIRE_REAP_FENCE] = {"REAP-FENCE", {NUM(fence.start), NUM(fence.number)}},
};

static size_t field_count(const struct form *form) {
    size_t count = 0;
    while (form->fields[count].type != FIELD_END)
        count++;
    return count;
}

const char *wire_name(enum wire_kind kind) {
    assert((unsigned)kind < WIRE_KINDS);
    return forms[kind].name;
}

/* One argument as text: its bytes, or its number written to `scratch`. */
static struct resp_slice field_text(const struct wire_msg *msg, const struct field *field,
                                    char scratch[24]) {
    const char *base = (const char *)msg + field->offset;
    struct resp_slice slice;
    if (field->type == FIELD_BYTES) {
        memcpy(&slice, base, sizeof(slice));
        return slice;
    }
    uint64_t number;
    memcpy(&number, base, sizeof(number));
    int len = snprintf(scratch, 24, "%llu", (unsigned long long)number);
    return (struct resp_slice){(const uint8_t *)scratch, (size_t)len};
}

/* The bytes that one bulk string takes with its head: at most this many besides its content. */
#define BULK_OVERHEAD 26

static size_t put_bulk(uint8_t *at, struct resp_slice text) {
    int head = snprintf((char *)at, BULK_OVERHEAD, "$%zu\r\n", text.len);
    if (text.len > 0)
        memcpy(at + head, text.data, text.len);
    memcpy(at + head + text.len, "\r\n", 2);
    return (size_t)head + text.len + 2;
}

enum rd_err wire_encode(const struct wire_msg *msg, struct blob **out) {
    const struct form *form = &forms[msg->kind];
    size_t count = field_count(form);
    struct resp_slice texts[MAX_FIELDS + 1];
    char scratch[MAX_FIELDS][24];
    texts[0] = (struct resp_slice){(const uint8_t *)form->name, strlen(form->name)};
    size_t bound = BULK_OVERHEAD * 2 + texts[0].len;
    for (size_t i = 0; i < count; i++) {
        texts[i + 1] = field_text(msg, &form->fields[i], scratch[i]);
        bound += BULK_OVERHEAD + texts[i + 1].len;
    }
    struct blob *frame;
    enum rd_err err = blob_alloc(bound, &frame);
    if (err != RD_OK)
        return err;
    size_t at = (size_t)snprintf((char *)frame->bytes, BULK_OVERHEAD, "*%zu\r\n", count + 1);
    for (size_t i = 0; i <= count; i++)
        at += put_bulk(frame->bytes + at, texts[i]);
    assert(at <= bound);
    frame->len = (uint32_t)at; /* nobody else has seen the blob yet */
    *out = frame;
    return RD_OK;
}

static int same_text(struct resp_slice text, const char *name) {
    return text.len == strlen(name) && memcmp(text.data, name, text.len) == 0;
}

enum rd_err wire_decode(const struct resp_slice *argv, size_t argc, struct wire_msg *out) {
    if (argc == 0)
        return RD_EPROTO;
    size_t kind = 0;
    while (kind < WIRE_KINDS && !same_text(argv[0], forms[kind].name))
        kind++;
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
