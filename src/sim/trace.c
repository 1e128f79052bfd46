/* sim/trace: see trace.h. Lines hold nothing that changes with the seed alone: no ids, no stamps,
 * no actors. */
#include "sim/trace.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/hash.h"
#include "replication/wire.h"
#include "sim/mem.h"

#define LONGEST_SHOWN 40

void trace_bytes(struct trace *trace, const void *bytes, size_t len) {
    trace->hash = hash_xxh64(bytes, len, trace->hash);
    trace->items++;
}

void trace_mark(struct trace *trace, uint64_t at_us, uint32_t what, uint32_t node,
                uint64_t number) {
    uint8_t bytes[24];
    uint64_t fields[3] = {at_us, (uint64_t)what << 32 | node, number};
    for (size_t i = 0; i < sizeof bytes; i++) { /* little-endian on every machine */
        bytes[i] = (uint8_t)(fields[i / 8] >> (i % 8 * 8));
    }
    trace_bytes(trace, bytes, sizeof bytes);
}

void trace_line(struct trace *trace, uint64_t at_us, const char *format, ...) {
    if (trace->listener == NULL) {
        return;
    }
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    trace->listener(trace->arg, at_us, line);
}

void trace_text_bytes(struct buf *out, const void *bytes, size_t len) {
    const unsigned char *text = bytes;
    size_t shown = len < LONGEST_SHOWN ? len : LONGEST_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        if (text[i] < 33 || text[i] > 126) {
            mem_printf(out, "<%zu bytes>", len);
            return;
        }
    }
    if (len == 0) {
        mem_printf(out, "\"\"");
    } else {
        mem_printf(out, "%.*s%s", (int)shown, (const char *)bytes, shown < len ? "..." : "");
    }
}

void trace_text_object(struct buf *out, const struct object *object) {
    if (object_is_empty(object)) {
        mem_printf(out, "nothing");
        return;
    }
    mem_printf(out, "{");
    for (uint32_t i = 0; i < object->count; i++) {
        if (i > 0) {
            mem_printf(out, " ");
        }
        trace_text_bytes(out, object->siblings[i].value->bytes, object->siblings[i].value->len);
    }
    mem_printf(out, "}");
}

static void encoded_object(struct buf *out, struct resp_slice bytes) {
    struct object object;
    enum rd_err err = object_decode(bytes.data, bytes.len, &object);
    if (err != RD_OK) {
        mem_printf(out, "(%s)", rd_err_text(err));
        return;
    }
    trace_text_object(out, &object);
    object_free(&object);
}

static void outcome(struct buf *out, uint64_t err) {
    mem_printf(out, "%s", err < RD_ERR_COUNT ? rd_err_text((enum rd_err)err) : "?");
}

static void forward(struct buf *out, const struct wire_msg *msg) {
    bool removes = (msg->forward.flags & WIRE_FORWARD_DELETE) != 0;
    bool computes = (msg->forward.flags & WIRE_FORWARD_RMW) != 0;
    mem_printf(out, removes ? " DEL " : computes ? " APPEND " : " SET ");
    trace_text_bytes(out, msg->forward.key.data, msg->forward.key.len);
    if (!removes) {
        mem_printf(out, " ");
        trace_text_bytes(out, msg->forward.value.data, msg->forward.value.len);
    }
    if ((msg->forward.flags & WIRE_FORWARD_WITH_CONTEXT) != 0) {
        mem_printf(out, " with context");
    }
}

void trace_text_frame(struct buf *out, const struct resp_slice *argv, size_t argc) {
    struct wire_msg msg;
    if (wire_decode(argv, argc, &msg) != RD_OK) {
        mem_printf(out, "(no message)");
        return;
    }
    mem_printf(out, "%s", wire_name(msg.kind));
    switch (msg.kind) {
    case WIRE_REFUSE:
        mem_printf(out, " \"%.*s\"", (int)msg.refuse.text.len, (const char *)msg.refuse.text.data);
        break;
    case WIRE_READ:
        mem_printf(out, " ");
        trace_text_bytes(out, msg.read.key.data, msg.read.key.len);
        break;
    case WIRE_READ_ANSWER:
        mem_printf(out, " ");
        if (msg.read_answer.same) {
            mem_printf(out, "the same");
        } else if (msg.read_answer.err == RD_OK) {
            encoded_object(out, msg.read_answer.object);
        } else {
            outcome(out, msg.read_answer.err);
        }
        break;
    case WIRE_WRITE:
        mem_printf(out, msg.write.id == 0 ? " repair " : msg.write.round > 1 ? " again " : " ");
        trace_text_bytes(out, msg.write.key.data, msg.write.key.len);
        mem_printf(out, " ");
        encoded_object(out, msg.write.object);
        break;
    case WIRE_WRITE_ANSWER:
        mem_printf(out, " ");
        outcome(out, msg.write_answer.err);
        if (msg.write_answer.uncovered > 0) {
            mem_printf(out, ", beside it ");
            encoded_object(out, msg.write_answer.object);
        }
        break;
    case WIRE_FORWARD:
        forward(out, &msg);
        break;
    case WIRE_FORWARD_ANSWER:
        mem_printf(out, " ");
        outcome(out, msg.forward_answer.err);
        break;
    default:
        break; /* the name says enough */
    }
}
