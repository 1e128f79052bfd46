/* sim/history: see history.h. */
#include "sim/history.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/mem.h"

static void op_free(struct op *op) {
    blob_unref(op->key);
    blob_unref(op->value);
    blob_unref(op->context);
    blob_unref(op->token);
    blob_unref(op->result);
    object_free(&op->object);
    buf_free(&op->keys);
    for (size_t i = 0; i < op->report_count; i++) {
        buf_free(&op->reports[i].clock);
    }
    free(op->reports);
    free(op);
}

void history_free(struct history *history) {
    for (size_t i = 0; i < history->count; i++) {
        op_free(history->ops[i]);
    }
    free(history->ops);
    *history = (struct history){0};
}

struct op *history_add(struct history *history, const struct op *request, uint64_t now_us) {
    history->ops = mem_grow(history->ops, &history->cap, history->count + 1, sizeof(struct op *));
    struct op *op = mem_zero(sizeof *op);
    *op = *request;
    op->tag = history->count + 1;
    op->asked_us = now_us;
    blob_ref(op->key);
    blob_ref(op->value);
    blob_ref(op->context);
    history->ops[history->count++] = op;
    history->open++;
    return op;
}

struct op *history_op(const struct history *history, uint64_t tag) {
    assert(tag >= 1 && tag <= history->count);
    return history->ops[tag - 1];
}

static void finish(struct history *history, struct op *op, enum rd_err err, uint64_t now_us) {
    assert(!op->answered && history->open > 0); /* exactly one answer per request */
    op->answered = true;
    op->answered_us = now_us;
    op->err = err;
    history->open--;
}

void history_answer(struct history *history, struct op *op, struct client_reply *reply,
                    uint64_t now_us) {
    finish(history, op, reply->err, now_us);
    snprintf(op->text, sizeof op->text, "%.119s", reply->text);
    op->existed = reply->existed;
    op->stand_ins = reply->stand_ins;
    op->number = reply->number;
    op->object = reply->object;
    reply->object = (struct object){0};
    if (buf_len(&reply->context) > 0) {
        op->token = mem_blob(buf_data(&reply->context), buf_len(&reply->context));
    }
    op->next_cursor = reply->cursor;
    op->keys = reply->keys;
    reply->keys = (struct buf){0};
    if (op->kind == CLIENT_RMW && reply->err == RD_OK) {
        op->result = mem_blob(buf_data(&reply->reply), buf_len(&reply->reply));
    }
    op->reports = reply->reports;
    op->report_count = reply->report_count;
    reply->reports = NULL;
    reply->report_count = 0;
}

void history_break(struct history *history, struct op *op, enum rd_err err, uint64_t now_us) {
    finish(history, op, err, now_us);
}
