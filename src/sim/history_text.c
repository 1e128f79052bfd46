/* sim/history: requests and answers as text, for traces and failure reports. */
#include "sim/history.h"
#include "sim/mem.h"
#include "sim/trace.h"

static void blob_text(struct buf *out, const struct blob *blob) {
    trace_text_bytes(out, blob->bytes, blob->len);
}

void history_text_request(const struct op *op, struct buf *out) {
    switch (op->kind) {
    case CLIENT_READ:
        mem_printf(out, "GET ");
        blob_text(out, op->key);
        mem_printf(out, op->monotonic ? " monotonic" : "");
        break;
    case CLIENT_WRITE:
        mem_printf(out, "%s%s ", op->with_context ? "DYN" : "", op->value != NULL ? "SET" : "DEL");
        blob_text(out, op->key);
        if (op->value != NULL) {
            mem_printf(out, " ");
            blob_text(out, op->value);
        }
        if (op->context != NULL) {
            mem_printf(out, " with context");
        }
        break;
    case CLIENT_RMW:
        mem_printf(out, "APPEND ");
        blob_text(out, op->key);
        mem_printf(out, " ");
        blob_text(out, op->value);
        break;
    case CLIENT_REPLICAS:
        mem_printf(out, "REPLICAS ");
        blob_text(out, op->key);
        break;
    case CLIENT_COUNT:
        mem_printf(out, "COUNT");
        break;
    case CLIENT_SCAN:
    case CLIENT_FLUSH:
        mem_printf(out, "%s from %llu", op->kind == CLIENT_SCAN ? "SCAN" : "FLUSH",
                   (unsigned long long)op->cursor);
        break;
    }
    if (op->r > 0) {
        mem_printf(out, " R=%u", op->r);
    }
    if (op->w > 0) {
        mem_printf(out, " W=%u", op->w);
    }
}

void history_text_answer(const struct op *op, struct buf *out) {
    if (!op->answered) {
        mem_printf(out, "(no answer)");
    } else if (op->err != RD_OK) {
        mem_printf(out, "%s", rd_err_text(op->err));
    } else if (op->kind == CLIENT_READ) {
        trace_text_object(out, &op->object);
    } else if (op->kind == CLIENT_RMW) {
        blob_text(out, op->result);
    } else if (op->kind == CLIENT_COUNT) {
        mem_printf(out, "%llu", (unsigned long long)op->number);
    } else if (op->kind == CLIENT_WRITE && op->value == NULL) {
        mem_printf(out, op->existed ? "ok, existed" : "ok");
    } else {
        mem_printf(out, "ok");
    }
}
