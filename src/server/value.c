/* What functions on values share, and how they are run. */
#include "server/value.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "server/command_table.h"

#define MOST_ARGUMENTS (1u << 20)

bool value_checked(const struct value_op *op) {
    return op->replied || op->checking;
}

void value_error(struct value_op *op, const char *text) {
    assert(!op->replied);
    op->replied = true;
    resp_write_error(&op->w, text);
}

void value_errorf(struct value_op *op, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    value_error(op, text);
}

bool value_arg_i64(struct value_op *op, size_t index, const char *error, int64_t *out) {
    const struct resp_slice *arg = &op->argv[index];
    if (text_i64((const char *)arg->data, arg->len, out) == RD_OK) {
        return true;
    }
    value_error(op, error != NULL ? error : "ERR value is not an integer or out of range");
    return false;
}

bool value_arg_is(const struct value_op *op, size_t index, const char *word) {
    if (index >= op->argc) {
        return false;
    }
    const struct resp_slice *arg = &op->argv[index];
    return arg->len == strlen(word) && strncasecmp((const char *)arg->data, word, arg->len) == 0;
}

const uint8_t *value_bytes(const struct value_op *op) {
    return op->value != NULL ? op->value->bytes : (const uint8_t *)"";
}

size_t value_len(const struct value_op *op) {
    return op->value != NULL ? op->value->len : 0;
}

void value_set(struct value_op *op, struct blob *blob, uint64_t expires_ms) {
    assert(op->change == RMW_KEEP);
    if (blob == NULL) {
        op->err = RD_ENOMEM;
        return;
    }
    op->change = RMW_SET;
    op->next = blob;
    op->next_expires_ms = expires_ms;
}

void value_set_bytes(struct value_op *op, const void *bytes, size_t len) {
    struct blob *blob = NULL;
    op->err = blob_new(bytes, len, &blob);
    if (op->err == RD_OK) {
        value_set(op, blob, op->expires_ms);
    }
}

struct blob *value_grown(struct value_op *op, size_t len) {
    size_t old = value_len(op), size = old > len ? old : len;
    struct blob *blob = NULL;
    op->err = blob_alloc(size, &blob);
    if (op->err != RD_OK) {
        return NULL;
    }
    memcpy(blob->bytes, value_bytes(op), old);
    memset(blob->bytes + old, 0, size - old);
    return blob;
}

void value_delete(struct value_op *op) {
    op->change = op->value != NULL ? RMW_DELETE : RMW_KEEP;
}

bool value_time(struct value_op *op, size_t index, bool seconds, bool relative, int64_t *out_ms) {
    int64_t time;
    if (!value_arg_i64(op, index, NULL, &time)) {
        return false;
    }
    int64_t base = relative ? (int64_t)op->now_ms : 0;
    bool bad = time <= 0 || (seconds && time > INT64_MAX / 1000);
    if (!bad) {
        time = seconds ? time * 1000 : time;
        bad = time > INT64_MAX - base;
    }
    if (bad) {
        value_errorf(op, "ERR invalid expire time in '%s' command", op->name);
        return false;
    }
    *out_ms = time + base;
    return true;
}

bool value_fits(struct value_op *op, uint64_t len, uint64_t more) {
    if (len <= op->max_bytes && more <= op->max_bytes - len) {
        return true;
    }
    value_error(op, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

const char *value_encoding(const void *bytes, size_t len) {
    int64_t number;
    if (len <= 20 && text_i64(bytes, len, &number) == RD_OK) {
        return "int";
    }
    return len <= 44 ? "embstr" : "raw";
}

/* ---- running --------------------------------------------------------------------------------------- */

enum rd_err value_run(value_fn *fn, struct value_op *op, int proto, struct buf *out) {
    resp_writer_init(&op->w, out, proto);
    fn(op);
    if (op->checking && !op->replied && op->err == RD_OK) {
        return RD_OK;
    }
    if (op->err != RD_OK) {
        resp_writer_cancel(&op->w);
    } else {
        op->err = resp_writer_end(&op->w);
    }
    if (op->err != RD_OK && op->change == RMW_SET) {
        blob_unref(op->next);
        op->next = NULL;
        op->change = RMW_KEEP;
    }
    return op->err;
}

static void put_u32(uint8_t *at, uint32_t number) {
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(number >> (8 * i));
    }
}

static uint32_t get_u32(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The form: protocol, number of arguments, and each with its length before it. */
enum rd_err value_pack(const struct resp_slice *argv, size_t argc, int proto, struct blob **out) {
    uint64_t bytes = 5;
    for (size_t i = 0; i < argc; i++) {
        bytes += 4 + (uint64_t)argv[i].len;
    }
    if (argc > MOST_ARGUMENTS || bytes > UINT32_MAX) {
        return RD_ETOOBIG;
    }
    struct blob *blob;
    enum rd_err err = blob_alloc(bytes, &blob);
    if (err != RD_OK) {
        return err;
    }
    uint8_t *at = blob->bytes;
    *at = (uint8_t)proto;
    put_u32(at + 1, (uint32_t)argc);
    at += 5;
    for (size_t i = 0; i < argc; i++) {
        put_u32(at, (uint32_t)argv[i].len);
        if (argv[i].len > 0) {
            memcpy(at + 4, argv[i].data, argv[i].len);
        }
        at += 4 + argv[i].len;
    }
    *out = blob;
    return RD_OK;
}

/* Returns the arguments, which borrow the order, in memory of their own. Errors: RD_EREFUSED, RD_ENOMEM. */
static enum rd_err unpack(const struct blob *order, struct resp_slice **argv, size_t *argc,
                          int *proto) {
    if (order->len < 5 || (order->bytes[0] != 2 && order->bytes[0] != 3)) {
        return RD_EREFUSED;
    }
    uint32_t count = get_u32(order->bytes + 1), at = 5;
    if (count == 0 || count > MOST_ARGUMENTS || count > order->len / 4) {
        return RD_EREFUSED;
    }
    struct resp_slice *args = malloc(count * sizeof *args);
    if (args == NULL) {
        return RD_ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (order->len - at < 4 || get_u32(order->bytes + at) > order->len - at - 4) {
            free(args);
            return RD_EREFUSED;
        }
        args[i] =
            (struct resp_slice){.data = order->bytes + at + 4, .len = get_u32(order->bytes + at)};
        at += 4 + (uint32_t)args[i].len;
    }
    *argv = args;
    *argc = count;
    *proto = order->bytes[0];
    return RD_OK;
}

enum rd_err value_compute(const struct command_table *commands, uint64_t max_bytes,
                          const struct rmw_input *in, struct rmw_output *out) {
    struct resp_slice *argv;
    size_t argc;
    int proto;
    enum rd_err err = unpack(in->order, &argv, &argc, &proto);
    if (err != RD_OK) {
        return err;
    }
    const struct command *row = command_find(commands, argv[0].data, argv[0].len);
    if (row == NULL || row->value == NULL || !command_arity_ok(row, argc)) {
        free(argv);
        return RD_EREFUSED;
    }
    struct value_op op = {.argv = argv,
                          .argc = argc,
                          .name = row->name,
                          .now_ms = in->now_ms,
                          .max_bytes = max_bytes,
                          .value = in->value,
                          .expires_ms = in->expires_ms};
    err = value_run(row->value, &op, proto, &out->reply);
    free(argv);
    if (err == RD_OK) {
        out->change = op.change;
        out->value = op.next;
        out->expires_ms = op.next_expires_ms;
    }
    return err;
}
