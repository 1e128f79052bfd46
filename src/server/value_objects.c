/* Values from outside: OBJECT, MEMORY USAGE, DUMP, RESTORE. */
#include <string.h>

#include "base/text.h"
#include "server/rdb_string.h"
#include "server/values.h"

#define KEY_OVERHEAD_BYTES 72 /* of one key in the memtable and its index, about */
#define SHARED_INTEGERS 10000 /* Redis holds the numbers below it once for all keys, and says so */

/* ---- OBJECT ---------------------------------------------------------------------------------------- */

static int64_t refcount(const struct value_op *op) {
    int64_t number;
    bool shared = text_i64((const char *)op->value->bytes, op->value->len, &number) == RD_OK &&
                  number >= 0 && number < SHARED_INTEGERS;
    return shared ? INT32_MAX : 1;
}

/* The command is named by the row: "object|encoding"... */
void value_object(struct value_op *op) {
    if (value_checked(op)) {
        return;
    }
    const char *what = strchr(op->name, '|') + 1;
    if (op->value == NULL) {
        resp_write_null(&op->w);
    } else if (strcmp(what, "encoding") == 0) {
        resp_write_text(&op->w, value_encoding(op->value->bytes, op->value->len));
    } else if (strcmp(what, "refcount") == 0) {
        resp_write_int(&op->w, refcount(op));
    } else if (strcmp(what, "idletime") == 0) {
        uint64_t since_ms = op->now_ms > op->written_ms ? op->now_ms - op->written_ms : 0;
        resp_write_int(&op->w, (int64_t)(since_ms / 1000));
    } else {
        value_error(op,
                    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                    "Please note that when switching between policies at runtime LRU and LFU "
                    "data will take some time to adjust.");
    }
}

void value_memory_usage(struct value_op *op) {
    for (size_t i = 3; i < op->argc && !op->replied; i += 2) {
        int64_t samples;
        if (!value_arg_is(op, i, "samples") || i + 1 == op->argc) {
            value_error(op, "ERR syntax error");
        } else if (value_arg_i64(op, i + 1, NULL, &samples) && samples < 0) {
            value_error(op, "ERR syntax error");
        }
    }
    if (value_checked(op)) {
        return;
    }
    if (op->value == NULL) {
        resp_write_null(&op->w);
    } else {
        resp_write_int(&op->w, (int64_t)(op->value->len + op->argv[2].len + KEY_OVERHEAD_BYTES));
    }
}

/* ---- DUMP, RESTORE --------------------------------------------------------------------------------- */

void value_dump(struct value_op *op) {
    if (value_checked(op)) {
        return;
    }
    if (op->value == NULL) {
        resp_write_null(&op->w);
        return;
    }
    struct buf payload = {0};
    op->err = rdb_dump(op->value->bytes, op->value->len, &payload);
    resp_write_bulk(&op->w, buf_data(&payload), buf_len(&payload));
    buf_free(&payload);
}

struct restore_options {
    bool replace, absolute, idle, frequency;
};

static bool parse_number(struct value_op *op, size_t index, int64_t max, const char *error) {
    int64_t number;
    if (!value_arg_i64(op, index, NULL, &number)) {
        return false;
    }
    if (number < 0 || number > max) {
        value_error(op, error);
        return false;
    }
    return true;
}

static bool parse_options(struct value_op *op, struct restore_options *out) {
    for (size_t i = 4; i < op->argc; i++) {
        bool more = i + 1 < op->argc;
        if (value_arg_is(op, i, "replace")) {
            out->replace = true;
        } else if (value_arg_is(op, i, "absttl")) {
            out->absolute = true;
        } else if (value_arg_is(op, i, "idletime") && more && !out->frequency) {
            out->idle = true;
            if (!parse_number(op, ++i, INT64_MAX, "ERR Invalid IDLETIME value, must be >= 0")) {
                return false;
            }
        } else if (value_arg_is(op, i, "freq") && more && !out->idle) {
            out->frequency = true;
            if (!parse_number(op, ++i, 255, "ERR Invalid FREQ value, must be >= 0 and <= 255")) {
                return false;
            }
        } else {
            value_error(op, "ERR syntax error");
            return false;
        }
    }
    return true;
}

/* Parses the time to live into absolute milliseconds, 0 for none. */
static bool parse_ttl(struct value_op *op, bool absolute, uint64_t *out) {
    int64_t ttl;
    if (!value_arg_i64(op, 2, NULL, &ttl)) {
        return false;
    }
    if (ttl < 0) {
        value_error(op, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    *out = (uint64_t)ttl + (ttl != 0 && !absolute ? op->now_ms : 0);
    return true;
}

/* As in Redis, a key that is in the way comes before what is wrong with the rest. */
void value_restore(struct value_op *op) {
    struct restore_options options = {0};
    uint64_t expires_ms;
    struct blob *next = NULL;
    if (!parse_options(op, &options) || value_checked(op)) {
        return;
    }
    if (!options.replace && op->value != NULL) {
        value_error(op, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!parse_ttl(op, options.absolute, &expires_ms)) {
        return;
    }
    enum rd_err err = rdb_restore(op->argv[3].data, op->argv[3].len, op->max_bytes, &next);
    if (err == RD_ECORRUPT) {
        value_error(op, "ERR DUMP payload version or checksum are wrong");
    } else if (err == RD_EPROTO) {
        value_error(op, "ERR Bad data format");
    } else if (err != RD_OK) {
        op->err = err;
    } else {
        resp_write_ok(&op->w);
        value_set(op, next, expires_ms);
    }
}
