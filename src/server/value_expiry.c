/* Times to live: EXPIRE and its like, TTL and its like, PERSIST. */
#include <string.h>

#include "server/values.h"

/* ---- EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT ----------------------------------------------------------- */

struct conditions {
    bool nx, xx, gt, lt;
};

static bool parse_conditions(struct value_op *op, struct conditions *out) {
    for (size_t i = 3; i < op->argc; i++) {
        if (value_arg_is(op, i, "nx")) {
            out->nx = true;
        } else if (value_arg_is(op, i, "xx")) {
            out->xx = true;
        } else if (value_arg_is(op, i, "gt")) {
            out->gt = true;
        } else if (value_arg_is(op, i, "lt")) {
            out->lt = true;
        } else {
            value_errorf(op, "ERR Unsupported option %.*s",
                         (int)(op->argv[i].len < 128 ? op->argv[i].len : 128),
                         (const char *)op->argv[i].data);
            return false;
        }
    }
    if (out->nx && (out->xx || out->gt || out->lt)) {
        value_error(op, "ERR NX and XX, GT or LT options at the same time are not compatible");
    } else if (out->gt && out->lt) {
        value_error(op, "ERR GT and LT options at the same time are not compatible");
    }
    return !op->replied;
}

/* Unlike SET, this takes times in the past, which remove the key. */
static bool parse_when(struct value_op *op, int64_t *out) {
    bool seconds = op->name[0] != 'p';
    bool relative = strchr(op->name, 'a') == NULL;
    int64_t when, base = relative ? (int64_t)op->now_ms : 0;
    if (!value_arg_i64(op, 2, NULL, &when)) {
        return false;
    }
    bool bad = seconds && (when > INT64_MAX / 1000 || when < INT64_MIN / 1000);
    if (!bad) {
        when = seconds ? when * 1000 : when;
        bad = when > INT64_MAX - base;
    }
    if (bad) {
        value_errorf(op, "ERR invalid expire time in '%s' command", op->name);
        return false;
    }
    *out = when + base;
    return true;
}

static bool is_met(const struct value_op *op, const struct conditions *if_, int64_t when) {
    bool expires = op->expires_ms != 0;
    int64_t now = (int64_t)op->expires_ms;
    if ((if_->nx && expires) || (if_->xx && !expires)) {
        return false;
    }
    if (if_->gt && (!expires || when <= now)) {
        return false;
    }
    return !(if_->lt && expires && when >= now);
}

void value_expire(struct value_op *op) {
    struct conditions conditions = {0};
    int64_t when;
    if (!parse_conditions(op, &conditions) || !parse_when(op, &when) || value_checked(op)) {
        return;
    }
    bool does = op->value != NULL && is_met(op, &conditions, when);
    resp_write_int(&op->w, does);
    if (does && when <= (int64_t)op->now_ms) {
        value_delete(op);
    } else if (does) {
        value_set(op, blob_ref(op->value), (uint64_t)when);
    }
}

void value_persist(struct value_op *op) {
    if (value_checked(op)) {
        return;
    }
    bool does = op->value != NULL && op->expires_ms != 0;
    resp_write_int(&op->w, does);
    if (does) {
        value_set(op, blob_ref(op->value), 0);
    }
}

/* ---- TTL, PTTL, EXPIRETIME, PEXPIRETIME ------------------------------------------------------------- */

void value_expiretime(struct value_op *op) {
    if (value_checked(op)) {
        return;
    }
    bool ms = op->name[0] == 'p', absolute = strchr(op->name, 'e') != NULL;
    if (op->value == NULL || op->expires_ms == 0) {
        resp_write_int(&op->w, op->value == NULL ? -2 : -1);
        return;
    }
    uint64_t base = absolute ? 0 : op->now_ms;
    uint64_t left = op->expires_ms > base ? op->expires_ms - base : 0;
    resp_write_int(&op->w, (int64_t)(ms ? left : (left + 500) / 1000));
}
