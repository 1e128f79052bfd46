/* The writer of values. See resp/writer.h.
 *
 * Each function first counts its value (enter, begin_value) and then appends all of its bytes or
 * none. The counting is flat: an aggregate of n adds n to `owed`, every value takes one away; a
 * unit is complete when nothing is owed. No stack is needed, except where an aggregate's size is
 * not known: resp_write_open puts the counters aside, in the caller's struct, and begins anew.
 *
 * Invariants:
 * 1. While a unit is open and has not failed, buf_len(out) >= mark.
 * 2. After a failure buf_len(out) == mark until the unit ends, and no counter means anything.
 * 3. While muted > 0 nothing is appended (the pairs of an attribute, in protocol 2).
 */
#include "resp/writer.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digits.h"

/* Room for any head, number or line end: a marker, 20 digits, CR LF. */
#define HEAD_BYTES 24

/* Room for any double: 17 digits, sign, point, exponent, zero; or 19 digits of an integer. */
#define DOUBLE_BYTES 32

void resp_writer_init(struct resp_writer *w, struct buf *out, int proto) {
    assert(proto == 2 || proto == 3);
    *w = (struct resp_writer){.out = out, .proto = proto};
}

/* Begins a unit if none is open. */
static inline void enter(struct resp_writer *w) {
    if (w->open) {
        return;
    }
    w->open = true;
    w->failed = RD_OK;
    w->mark = buf_len(w->out);
    w->owed = 0;
    w->muted = 0;
    w->started = 0;
    w->deferred = 0;
}

enum rd_err resp_writer_end(struct resp_writer *w) {
    enum rd_err err = w->open ? w->failed : RD_OK;
    if (w->open && err == RD_OK) {
        assert(w->owed == 0 && w->muted == 0 && w->deferred == 0 &&
               "the unit's values are not complete");
    }
    w->open = false;
    return err;
}

void resp_writer_cancel(struct resp_writer *w) {
    if (w->open) {
        buf_truncate(w->out, w->mark);
        w->open = false;
    }
}

/* Counts a value that `children` more values must follow. False: write nothing; w->failed is the
 * answer, which is RD_OK if the value is left out on purpose. */
static inline bool begin_value(struct resp_writer *w, uint64_t children) {
    enter(w);
    if (w->failed != RD_OK) {
        return false;
    }
    if (w->muted > 0) {
        w->muted += children;
        w->muted--;
        return false;
    }
    if (w->owed > 0) {
        w->owed--;
    } else {
        w->started++;
    }
    w->owed += children;
    return true;
}

/* Makes room for `bytes` at the tail. NULL: out of memory, the unit has failed and is gone. */
static inline uint8_t *reserve(struct resp_writer *w, size_t bytes) {
    uint8_t *room = NULL;
    w->failed = buf_reserve(w->out, bytes, &room);
    if (w->failed != RD_OK) {
        buf_truncate(w->out, w->mark);
        return NULL;
    }
    return room;
}

static inline uint8_t *put_crlf(uint8_t *p) {
    p[0] = '\r';
    p[1] = '\n';
    return p + 2;
}

static inline uint8_t *put_bytes(uint8_t *p, const void *bytes, size_t len) {
    if (len > 0) {
        memcpy(p, bytes, len);
    }
    return p + len;
}

static inline uint8_t *put_i64(uint8_t *p, int64_t value) {
    if (value >= 0) {
        return digits_put(p, (uint64_t)value);
    }
    *p = '-';
    return digits_put(p + 1, 0 - (uint64_t)value);
}

/* A marker, a number, CR LF: at most HEAD_BYTES. */
static inline uint8_t *put_head(uint8_t *p, char marker, uint64_t value) {
    *p = (uint8_t)marker;
    return put_crlf(digits_put(p + 1, value));
}

/* The bytes with CR and LF as spaces: what may stand in a line. */
static uint8_t *put_line(uint8_t *p, const void *bytes, size_t len) {
    const uint8_t *from = bytes;
    for (size_t i = 0; i < len; i++) {
        p[i] = from[i] == '\r' || from[i] == '\n' ? ' ' : from[i];
    }
    return p + len;
}

static inline enum rd_err commit(struct resp_writer *w, const uint8_t *room, const uint8_t *end) {
    buf_commit(w->out, (size_t)(end - room));
    return RD_OK;
}

/* A value that is known text. */
static enum rd_err write_fixed(struct resp_writer *w, const char *text, size_t len) {
    if (!begin_value(w, 0)) {
        return w->failed;
    }
    uint8_t *room = reserve(w, len);
    return room == NULL ? w->failed : commit(w, room, put_bytes(room, text, len));
}

/* A value that is a marker and a line of foreign text. */
static enum rd_err write_line(struct resp_writer *w, char marker, const void *text, size_t len) {
    if (!begin_value(w, 0)) {
        return w->failed;
    }
    uint8_t *room = reserve(w, len < SIZE_MAX - HEAD_BYTES ? len + HEAD_BYTES : len);
    if (room == NULL) {
        return w->failed;
    }
    room[0] = (uint8_t)marker;
    return commit(w, room, put_crlf(put_line(room + 1, text, len)));
}

/* A value that is a marker, a length, and bytes, of which `prefix` (shorter than HEAD_BYTES) comes
 * first. */
static inline enum rd_err write_string(struct resp_writer *w, char marker, const char *prefix,
                                       size_t prefix_len, const void *bytes, size_t len) {
    if (!begin_value(w, 0)) {
        return w->failed;
    }
    /* A length near SIZE_MAX is left for buf_reserve to refuse. */
    uint8_t *room = reserve(w, len < SIZE_MAX - 2 * HEAD_BYTES ? len + 2 * HEAD_BYTES : len);
    if (room == NULL) {
        return w->failed;
    }
    uint8_t *p = put_head(room, marker, len + prefix_len);
    p = put_bytes(p, prefix, prefix_len);
    return commit(w, room, put_crlf(put_bytes(p, bytes, len)));
}

static enum rd_err write_aggregate(struct resp_writer *w, char marker, uint64_t count,
                                   uint64_t children) {
    if (!begin_value(w, children)) {
        return w->failed;
    }
    uint8_t *room = reserve(w, HEAD_BYTES);
    return room == NULL ? w->failed : commit(w, room, put_head(room, marker, count));
}

enum rd_err resp_write_simple(struct resp_writer *w, const char *text) {
    return write_line(w, '+', text, strlen(text));
}

enum rd_err resp_write_ok(struct resp_writer *w) {
    return write_fixed(w, "+OK\r\n", 5);
}

enum rd_err resp_write_error(struct resp_writer *w, const char *text) {
    return write_line(w, '-', text, strlen(text));
}

/* Writes formatted text; `marker` '$' makes it a bulk string, anything else a line. */
static enum rd_err write_formatted(struct resp_writer *w, char marker, const char *format,
                                   va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    assert(len >= 0 && "the format is wrong");
    if (!begin_value(w, 0)) {
        return w->failed;
    }
    uint8_t *room = reserve(w, (size_t)len + 2 * HEAD_BYTES);
    if (room == NULL) {
        return w->failed;
    }
    uint8_t *p = room;
    if (marker == '$') {
        p = put_head(p, marker, (uint64_t)len);
    } else {
        *p++ = (uint8_t)marker;
    }
    vsnprintf((char *)p, (size_t)len + 1, format, args);
    if (marker != '$') {
        put_line(p, p, (size_t)len);
    }
    return commit(w, room, put_crlf(p + len));
}

enum rd_err resp_write_errorf(struct resp_writer *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    enum rd_err err = write_formatted(w, '-', format, args);
    va_end(args);
    return err;
}

enum rd_err resp_write_textf(struct resp_writer *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    enum rd_err err = write_formatted(w, '$', format, args);
    va_end(args);
    return err;
}

enum rd_err resp_write_int(struct resp_writer *w, int64_t value) {
    if (!begin_value(w, 0)) {
        return w->failed;
    }
    uint8_t *room = reserve(w, HEAD_BYTES);
    if (room == NULL) {
        return w->failed;
    }
    room[0] = ':';
    return commit(w, room, put_crlf(put_i64(room + 1, value)));
}

enum rd_err resp_write_bulk(struct resp_writer *w, const void *bytes, size_t len) {
    return write_string(w, '$', NULL, 0, bytes, len);
}

enum rd_err resp_write_text(struct resp_writer *w, const char *text) {
    return write_string(w, '$', NULL, 0, text, strlen(text));
}

enum rd_err resp_write_bulk_int(struct resp_writer *w, int64_t value) {
    uint8_t digits[HEAD_BYTES];
    const uint8_t *end = put_i64(digits, value);
    return write_string(w, '$', NULL, 0, digits, (size_t)(end - digits));
}

enum rd_err resp_write_null(struct resp_writer *w) {
    return w->proto == 3 ? write_fixed(w, "_\r\n", 3) : write_fixed(w, "$-1\r\n", 5);
}

enum rd_err resp_write_null_array(struct resp_writer *w) {
    return w->proto == 3 ? write_fixed(w, "_\r\n", 3) : write_fixed(w, "*-1\r\n", 5);
}

enum rd_err resp_write_bool(struct resp_writer *w, bool value) {
    if (w->proto == 3) {
        return write_fixed(w, value ? "#t\r\n" : "#f\r\n", 4);
    }
    return write_fixed(w, value ? ":1\r\n" : ":0\r\n", 4);
}

/* Spells a double with 17 digits, or 16 or 15 where they read back the same; whole numbers without
 * point and exponent as far as they surely fit 64 bits. Returns the length, without a zero. */
static size_t spell_double(double value, char out[DOUBLE_BYTES]) {
    int len = 0;
    if (isnan(value)) {
        return (size_t)snprintf(out, DOUBLE_BYTES, "nan");
    }
    if (isinf(value)) {
        return (size_t)snprintf(out, DOUBLE_BYTES, "%s", value > 0 ? "inf" : "-inf");
    }
    bool minus_zero = value == 0 && signbit(value);
    if (value > -4e18 && value < 4e18 && value == (double)(int64_t)value && !minus_zero) {
        return (size_t)snprintf(out, DOUBLE_BYTES, "%" PRId64, (int64_t)value);
    }
    for (int digits = 15; digits <= 17; digits++) {
        len = snprintf(out, DOUBLE_BYTES, "%.*g", digits, value);
        assert(len > 0 && len < DOUBLE_BYTES);
        if (strtod(out, NULL) == value) {
            break;
        }
    }
    return (size_t)len;
}

enum rd_err resp_write_double(struct resp_writer *w, double value) {
    char text[DOUBLE_BYTES];
    size_t len = spell_double(value, text);
    return w->proto == 3 ? write_line(w, ',', text, len) : write_string(w, '$', NULL, 0, text, len);
}

enum rd_err resp_write_big_number(struct resp_writer *w, const char *digits) {
    const char *first = digits + (*digits == '-' || *digits == '+');
    size_t len = strlen(digits);
    assert(*first != '\0' && strspn(first, "0123456789") == strlen(first));
    return w->proto == 3 ? write_line(w, '(', digits, len)
                         : write_string(w, '$', NULL, 0, digits, len);
}

enum rd_err resp_write_bulk_error(struct resp_writer *w, const void *bytes, size_t len) {
    return w->proto == 3 ? write_string(w, '!', NULL, 0, bytes, len)
                         : write_line(w, '-', bytes, len);
}

enum rd_err resp_write_verbatim(struct resp_writer *w, const char *format, const void *bytes,
                                size_t len) {
    assert(strlen(format) == 3);
    if (w->proto == 2) {
        return write_string(w, '$', NULL, 0, bytes, len);
    }
    char prefix[] = {format[0], format[1], format[2], ':'};
    return write_string(w, '=', prefix, sizeof(prefix), bytes, len);
}

enum rd_err resp_write_array(struct resp_writer *w, size_t count) {
    return write_aggregate(w, '*', count, count);
}

enum rd_err resp_write_set(struct resp_writer *w, size_t count) {
    return write_aggregate(w, w->proto == 3 ? '~' : '*', count, count);
}

enum rd_err resp_write_map(struct resp_writer *w, size_t pairs) {
    uint64_t children = (uint64_t)pairs * 2;
    return w->proto == 3 ? write_aggregate(w, '%', pairs, children)
                         : write_aggregate(w, '*', children, children);
}

enum rd_err resp_write_push(struct resp_writer *w, size_t count) {
    enter(w);
    assert(w->failed != RD_OK || (w->owed == 0 && w->muted == 0 && w->deferred == 0));
    return write_aggregate(w, w->proto == 3 ? '>' : '*', count, count);
}

enum rd_err resp_write_attribute(struct resp_writer *w, size_t pairs) {
    uint64_t children = (uint64_t)pairs * 2;
    enter(w);
    if (w->failed != RD_OK) {
        return w->failed;
    }
    if (w->muted > 0) {
        w->muted += children;
        return RD_OK;
    }
    /* An attribute is no value itself, but the one that it annotates must come. */
    if (w->owed == 0) {
        w->started++;
        w->owed = 1;
    }
    if (w->proto == 2) {
        w->muted = children;
        return RD_OK;
    }
    w->owed += children;
    uint8_t *room = reserve(w, HEAD_BYTES);
    return room == NULL ? w->failed : commit(w, room, put_head(room, '|', pairs));
}

enum rd_err resp_write_raw(struct resp_writer *w, const void *bytes, size_t len) {
    return write_fixed(w, bytes, len);
}

enum rd_err resp_write_open(struct resp_writer *w, struct resp_deferred *deferred) {
    /* Muted before: so is all that is inside, whatever it counts. */
    bool silent = w->open && w->muted > 0;
    begin_value(w, 0);
    *deferred = (struct resp_deferred){
        .mark = buf_len(w->out),
        .owed = w->owed,
        .muted = w->muted,
        .started = w->started,
        .depth = ++w->deferred,
        .silent = silent,
    };
    w->owed = 0;
    w->started = 0;
    w->muted = silent ? UINT64_MAX / 2 : 0;
    return w->failed;
}

/* Ends the aggregate and puts its head in front of the children. */
static enum rd_err close_deferred(struct resp_writer *w, const struct resp_deferred *deferred,
                                  char marker, bool pairs) {
    uint8_t head[HEAD_BYTES];
    uint64_t children = w->started;
    assert(w->open);
    if (w->failed != RD_OK) {
        return w->failed;
    }
    assert(w->deferred == deferred->depth &&
           "aggregates must be closed in the order of their opening");
    assert(deferred->silent || (w->owed == 0 && w->muted == 0 && (!pairs || children % 2 == 0)));
    w->deferred--;
    w->owed = deferred->owed;
    w->muted = deferred->muted;
    w->started = deferred->started;
    if (deferred->silent) {
        return RD_OK;
    }
    bool halve = pairs && w->proto == 3;
    size_t head_len = (size_t)(put_head(head, marker, halve ? children / 2 : children) - head);
    uint8_t *room = reserve(w, head_len);
    if (room == NULL) {
        return w->failed;
    }
    size_t body = buf_len(w->out) - deferred->mark;
    memmove(room - body + head_len, room - body, body);
    memcpy(room - body, head, head_len);
    buf_commit(w->out, head_len);
    return RD_OK;
}

enum rd_err resp_write_close_array(struct resp_writer *w, const struct resp_deferred *deferred) {
    return close_deferred(w, deferred, '*', false);
}

enum rd_err resp_write_close_set(struct resp_writer *w, const struct resp_deferred *deferred) {
    return close_deferred(w, deferred, w->proto == 3 ? '~' : '*', false);
}

enum rd_err resp_write_close_map(struct resp_writer *w, const struct resp_deferred *deferred) {
    return close_deferred(w, deferred, w->proto == 3 ? '%' : '*', true);
}
