/* Strings: APPEND, GETRANGE, SUBSTR, SETRANGE, and SET in all its forms. */
#include <string.h>
#include <strings.h>

#include "server/values.h"

/* Replies the value that the key has, or nil. */
static void reply_value(struct value_op *op) {
    if (op->value == NULL) {
        resp_write_null(&op->w);
    } else {
        resp_write_bulk(&op->w, op->value->bytes, op->value->len);
    }
}

/* ---- parts ----------------------------------------------------------------------------------------- */

void value_append(struct value_op *op) {
    const struct resp_slice *more = &op->argv[2];
    if (value_checked(op) || (op->value != NULL && !value_fits(op, op->value->len, more->len))) {
        return;
    }
    size_t old = value_len(op);
    struct blob *next = value_grown(op, old + more->len);
    if (next != NULL) {
        if (more->len > 0) {
            memcpy(next->bytes + old, more->data, more->len);
        }
        resp_write_int(&op->w, (int64_t)next->len);
        value_set(op, next, op->expires_ms);
    }
}

void value_get_range(struct value_op *op) {
    int64_t start, end, len = (int64_t)value_len(op);
    if (!value_arg_i64(op, 2, NULL, &start) || !value_arg_i64(op, 3, NULL, &end) ||
        value_checked(op)) {
        return;
    }
    bool empty = len == 0 || (start < 0 && end < 0 && start > end);
    start = start < 0 ? (start < -len ? 0 : start + len) : start;
    end = end < 0 ? (end < -len ? 0 : end + len) : end;
    end = end >= len ? len - 1 : end;
    if (empty || start > end) {
        resp_write_bulk(&op->w, "", 0);
    } else {
        resp_write_bulk(&op->w, value_bytes(op) + start, (size_t)(end - start + 1));
    }
}

void value_setrange(struct value_op *op) {
    int64_t offset;
    const struct resp_slice *part = &op->argv[3];
    if (!value_arg_i64(op, 2, NULL, &offset)) {
        return;
    }
    if (offset < 0) {
        value_error(op, "ERR offset is out of range");
    }
    if (value_checked(op)) {
        return;
    }
    if (part->len == 0) {
        resp_write_int(&op->w, (int64_t)value_len(op));
        return;
    }
    if (!value_fits(op, (uint64_t)offset, part->len)) {
        return;
    }
    struct blob *next = value_grown(op, (size_t)offset + part->len);
    if (next != NULL) {
        memcpy(next->bytes + offset, part->data, part->len);
        resp_write_int(&op->w, (int64_t)next->len);
        value_set(op, next, op->expires_ms);
    }
}

/* ---- SET and its like ------------------------------------------------------------------------------ */

struct set_options {
    bool nx, xx, get, keepttl, persist;
    size_t time_at; /* index of the time; 0: none */
    bool seconds, relative;
};

/* Takes one of EX, PX, EXAT, PXAT with its time at `*i`. */
static bool take_time(const struct value_op *op, size_t *i, struct set_options *options) {
    static const struct {
        const char *word;
        bool seconds, relative;
    } words[] = {
        {"ex", true, true}, {"px", false, true}, {"exat", true, false}, {"pxat", false, false}};
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        bool other = options->time_at != 0 && (options->seconds != words[k].seconds ||
                                               options->relative != words[k].relative);
        if (value_arg_is(op, *i, words[k].word) && !other && !options->keepttl &&
            !options->persist && *i + 1 < op->argc) {
            *i += 1;
            options->time_at = *i;
            options->seconds = words[k].seconds;
            options->relative = words[k].relative;
            return true;
        }
    }
    return false;
}

/* Parses the options from argument `first` on. SET knows more of them than GETEX. */
static bool parse(struct value_op *op, size_t first, bool is_set, struct set_options *options) {
    for (size_t i = first; i < op->argc; i++) {
        if (is_set && value_arg_is(op, i, "nx") && !options->xx) {
            options->nx = true;
        } else if (is_set && value_arg_is(op, i, "xx") && !options->nx) {
            options->xx = true;
        } else if (is_set && value_arg_is(op, i, "get")) {
            options->get = true;
        } else if (is_set && value_arg_is(op, i, "keepttl") && options->time_at == 0) {
            options->keepttl = true;
        } else if (!is_set && value_arg_is(op, i, "persist") && options->time_at == 0) {
            options->persist = true;
        } else if (!take_time(op, &i, options)) {
            value_error(op, "ERR syntax error");
            return false;
        }
    }
    return true;
}

bool value_set_reads(const struct resp_slice *argv, size_t argc) {
    static const char *const words[] = {"nx", "xx", "get", "keepttl"};
    for (size_t i = 3; i < argc; i++) {
        for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
            if (argv[i].len == strlen(words[k]) &&
                strncasecmp((const char *)argv[i].data, words[k], argv[i].len) == 0) {
                return true;
            }
        }
    }
    return false;
}

void value_set_options(struct value_op *op) {
    struct set_options options = {0};
    int64_t expires_ms = 0;
    if (!parse(op, 3, true, &options) ||
        (options.time_at != 0 &&
         !value_time(op, options.time_at, options.seconds, options.relative, &expires_ms)) ||
        value_checked(op)) {
        return;
    }
    bool sets = !(options.nx && op->value != NULL) && !(options.xx && op->value == NULL);
    if (options.get) {
        reply_value(op);
    } else if (sets) {
        resp_write_ok(&op->w);
    } else {
        resp_write_null(&op->w);
    }
    if (sets) {
        value_set_bytes(op, op->argv[2].data, op->argv[2].len);
        op->next_expires_ms = options.keepttl ? op->expires_ms : (uint64_t)expires_ms;
    }
}

void value_setnx(struct value_op *op) {
    if (value_checked(op)) {
        return;
    }
    resp_write_int(&op->w, op->value == NULL);
    if (op->value == NULL) {
        value_set_bytes(op, op->argv[2].data, op->argv[2].len);
    }
}

void value_getset(struct value_op *op) {
    if (value_checked(op)) {
        return;
    }
    reply_value(op);
    value_set_bytes(op, op->argv[2].data, op->argv[2].len);
    op->next_expires_ms = 0;
}

void value_getdel(struct value_op *op) {
    if (value_checked(op)) {
        return;
    }
    reply_value(op);
    value_delete(op);
}

/* As in Redis, the time is looked at only if there is a key. */
void value_getex(struct value_op *op) {
    struct set_options options = {0};
    int64_t expires_ms = 0;
    if (!parse(op, 2, false, &options) || value_checked(op)) {
        return;
    }
    if (op->value != NULL && options.time_at != 0 &&
        !value_time(op, options.time_at, options.seconds, options.relative, &expires_ms)) {
        return;
    }
    reply_value(op);
    bool persists = options.persist && op->expires_ms != 0;
    if (op->value != NULL && (options.time_at != 0 || persists)) {
        value_set(op, blob_ref(op->value), (uint64_t)expires_ms);
    }
}
