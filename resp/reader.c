/* The reader of values. See resp/reader.h.
 *
 * Values are appended in the order of the wire. An aggregate with children is pushed on `open` and
 * popped when its last child is complete; its span is known then. The tree is whole when nothing is
 * open. No recursion, so depth costs nothing but its slot.
 *
 * Invariants:
 * 1. `pos` is the start of a value that is not in `values` yet; all below is understood and never
 *    looked at again.
 * 2. Between calls offsets are kept, no pointers: text becomes pointers only when the tree is
 *    whole.
 * 3. Every entry of `open` has left > 0, and values[open[i].value] is an aggregate.
 * 4. Nothing changes before what can fail for want of memory, so RD_ENOMEM may be retried.
 */
#include "resp/reader.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "resp/scan.h"

#define FIRST_VALUES 8

/* The longest spelling of a double that is read; writers need 24 characters. */
#define MAX_DOUBLE_BYTES 127

void resp_reader_limits_default(struct resp_reader_limits *out) {
    *out = (struct resp_reader_limits){
        .max_bulk_bytes = (size_t)512 << 20,
        .max_line_bytes = (size_t)64 << 10,
        .max_values = (uint32_t)16 << 20,
        .max_depth = RESP_MAX_DEPTH,
    };
}

void resp_reader_init(struct resp_reader *reader, const struct resp_reader_limits *limits) {
    *reader = (struct resp_reader){.limits = limits, .error = ""};
}

void resp_reader_free(struct resp_reader *reader) {
    free(reader->values);
    *reader = (struct resp_reader){.limits = reader->limits, .error = ""};
}

const char *resp_reader_error(const struct resp_reader *reader) {
    return reader->error;
}

size_t resp_reader_position(const struct resp_reader *reader) {
    return reader->pos;
}

/* Forgets the tree that was returned. */
static void begin(struct resp_reader *r) {
    r->values_count = 0;
    r->depth = 0;
    r->pos = 0;
    r->scanned = 0;
    r->body = 0;
    r->body_bytes = 0;
    r->done = false;
}

/* Ends the stream: remembers the error and its sentence (static text). */
static enum rd_err fail(struct resp_reader *r, enum rd_err err, const char *sentence) {
    r->error = sentence;
    r->failed = err;
    return err;
}

/* Appends a value that ends at offset `next`, and counts it as a child of the innermost open
 * aggregate. */
static enum rd_err push(struct resp_reader *r, const struct resp_value *value, size_t next) {
    if (r->values_count >= r->limits->max_values) {
        return fail(r, RD_ETOOBIG, "too many values");
    }
    if (r->values_count == r->values_cap) {
        uint64_t cap = r->values_cap == 0 ? FIRST_VALUES : (uint64_t)r->values_cap * 2;
        cap = cap > r->limits->max_values ? r->limits->max_values : cap;
        struct resp_value *values = realloc(r->values, (size_t)cap * sizeof(*values));
        if (values == NULL) {
            return RD_ENOMEM;
        }
        r->values = values;
        r->values_cap = (uint32_t)cap;
    }
    r->values[r->values_count++] = *value;
    if (r->depth > 0) {
        assert(r->open[r->depth - 1].left > 0);
        r->open[r->depth - 1].left--;
    }
    r->pos = next;
    r->body = 0;
    return RD_OK;
}

/* Pops the aggregates that have all their children. */
static void close_complete(struct resp_reader *r) {
    while (r->depth > 0 && r->open[r->depth - 1].left == 0) {
        uint32_t value = r->open[--r->depth].value;
        r->values[value].span = r->values_count - value;
    }
}

/* Finds the line at pos: `*line` is what lies between the marker and CR LF, `*next` the offset
 * behind them. */
static enum rd_err find_line(struct resp_reader *r, const uint8_t *data, size_t len,
                             struct resp_slice *line, size_t *next) {
    size_t end = 0;
    size_t max = r->limits->max_line_bytes;
    max += max < SIZE_MAX; /* the marker */
    enum rd_err err = resp_scan_for('\r', data, len, r->pos, max, &r->scanned, &end);
    if (err == RD_ETOOBIG) {
        return fail(r, err, "a line is too long");
    }
    if (err != RD_OK) {
        return err;
    }
    if (end + 1 == len) {
        return RD_EINCOMPLETE;
    }
    if (data[end + 1] != '\n') {
        return fail(r, RD_EPROTO, "a carriage return without a line feed");
    }
    *line = (struct resp_slice){data + r->pos + 1, end - r->pos - 1};
    *next = end + 2;
    return RD_OK;
}

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

/* Steps over digits from `i` on. */
static size_t skip_digits(struct resp_slice text, size_t i) {
    while (i < text.len && is_digit(text.data[i])) {
        i++;
    }
    return i;
}

static bool is_text(struct resp_slice text, const char *expected) {
    size_t len = strlen(expected);
    return text.len == len && memcmp(text.data, expected, len) == 0;
}

/* An integer as RESP3 spells it: like Redis's, and with an optional '+'. */
static bool parse_int(struct resp_slice text, int64_t *out) {
    bool plus = text.len >= 2 && text.data[0] == '+' && is_digit(text.data[1]);
    return text_i64((const char *)text.data + plus, text.len - plus, out) == RD_OK;
}

static bool is_big_number(struct resp_slice text) {
    size_t sign = text.len > 0 && (text.data[0] == '-' || text.data[0] == '+');
    return text.len > sign && skip_digits(text, sign) == text.len;
}

/* [sign] digits [. digits] [e [sign] digits] */
static bool is_decimal(struct resp_slice text) {
    size_t start = text.len > 0 && (text.data[0] == '-' || text.data[0] == '+');
    size_t i = skip_digits(text, start);
    if (i == start) {
        return false;
    }
    if (i < text.len && text.data[i] == '.') {
        start = i + 1;
        i = skip_digits(text, start);
        if (i == start) {
            return false;
        }
    }
    if (i < text.len && (text.data[i] | 0x20) == 'e') {
        start = i + 1;
        start += start < text.len && (text.data[start] == '-' || text.data[start] == '+');
        i = skip_digits(text, start);
        return i > start && i == text.len;
    }
    return i == text.len;
}

/* strtod depends on the locale, which our programs leave at "C". */
static bool parse_double(struct resp_slice text, double *out) {
    char copy[MAX_DOUBLE_BYTES + 1];
    bool special = is_text(text, "inf") || is_text(text, "-inf") || is_text(text, "nan") ||
                   is_text(text, "-nan");
    if (text.len > MAX_DOUBLE_BYTES || (!special && !is_decimal(text))) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    *out = strtod(copy, NULL);
    return true;
}

/* Reads a value that is one line: the types + - : ( , # _ */
static enum rd_err read_line_value(struct resp_reader *r, const uint8_t *data, size_t len,
                                   struct resp_value *value) {
    struct resp_slice line = {NULL, 0};
    size_t next = 0;
    enum rd_err err = find_line(r, data, len, &line, &next);
    if (err != RD_OK) {
        return err;
    }
    struct resp_slice text = resp_slice_relative((size_t)(line.data - data), line.len);
    bool good = true;
    switch (value->type) {
    case RESP_INT:
        good = parse_int(line, &value->integer);
        break;
    case RESP_BOOL:
        good = is_text(line, "t") || is_text(line, "f");
        value->integer = good && line.data[0] == 't';
        break;
    case RESP_NULL:
        good = line.len == 0;
        break;
    case RESP_DOUBLE:
        value->text = text;
        good = parse_double(line, &value->number);
        break;
    case RESP_BIG_NUMBER:
        value->text = text;
        good = is_big_number(line);
        break;
    default:
        assert(value->type == RESP_SIMPLE || value->type == RESP_ERROR);
        value->text = text;
        good = line.len == 0 || memchr(line.data, '\n', line.len) == NULL;
        break;
    }
    return good ? push(r, value, next) : fail(r, RD_EPROTO, "a malformed line for its type");
}

/* Reads the line of a length or count at pos. -1 is said only by the nulls of RESP2. */
static enum rd_err read_length(struct resp_reader *r, const uint8_t *data, size_t len,
                               bool nullable, int64_t *out, size_t *next) {
    struct resp_slice line = {NULL, 0};
    int64_t length = 0;
    enum rd_err err = find_line(r, data, len, &line, next);
    if (err != RD_OK) {
        return err;
    }
    if (is_text(line, "?")) {
        return fail(r, RD_EPROTO, "streamed types are not supported");
    }
    if (text_i64((const char *)line.data, line.len, &length) != RD_OK ||
        length < (nullable ? -1 : 0)) {
        return fail(r, RD_EPROTO, "an invalid length");
    }
    *out = length;
    return RD_OK;
}

/* Reads a value with a length and bytes: the types $ ! = */
static enum rd_err read_bulk_value(struct resp_reader *r, const uint8_t *data, size_t len,
                                   struct resp_value *value) {
    if (r->body == 0) {
        int64_t length = 0;
        size_t next = 0;
        enum rd_err err = read_length(r, data, len, value->type == RESP_BULK, &length, &next);
        if (err != RD_OK) {
            return err;
        }
        if (length < 0) {
            value->type = RESP_NULL;
            return push(r, value, next);
        }
        if ((uint64_t)length > r->limits->max_bulk_bytes) {
            return fail(r, RD_ETOOBIG, "a string is too long");
        }
        r->body = next;
        r->body_bytes = (size_t)length;
    }
    if (len - r->body < r->body_bytes + 2) {
        return RD_EINCOMPLETE;
    }
    const uint8_t *end = data + r->body + r->body_bytes;
    if (end[0] != '\r' || end[1] != '\n') {
        return fail(r, RD_EPROTO, "a string longer than its length");
    }
    value->text = resp_slice_relative(r->body, r->body_bytes);
    if (value->type == RESP_VERBATIM) {
        if (r->body_bytes < 4 || data[r->body + 3] != ':') {
            return fail(r, RD_EPROTO, "a verbatim string without a format");
        }
        memcpy(value->format, data + r->body, 3);
        value->text = resp_slice_relative(r->body + 4, r->body_bytes - 4);
    }
    return push(r, value, r->body + r->body_bytes + 2);
}

/* Reads the head of an aggregate: the types * % ~ | > */
static enum rd_err read_aggregate(struct resp_reader *r, const uint8_t *data, size_t len,
                                  struct resp_value *value) {
    int64_t length = 0;
    size_t next = 0;
    uint32_t max_depth =
        r->limits->max_depth < RESP_MAX_DEPTH ? r->limits->max_depth : RESP_MAX_DEPTH;
    if (r->depth >= max_depth) {
        return fail(r, RD_ETOOBIG, "nested too deep");
    }
    if (value->type == RESP_PUSH && r->depth > 0) {
        return fail(r, RD_EPROTO, "a push within another value");
    }
    enum rd_err err = read_length(r, data, len, value->type == RESP_ARRAY, &length, &next);
    if (err != RD_OK) {
        return err;
    }
    if (length < 0) {
        value->type = RESP_NULL;
        return push(r, value, next);
    }
    if (length > (int64_t)r->limits->max_values) {
        return fail(r, RD_ETOOBIG, "too many values");
    }
    bool pairs = value->type == RESP_MAP || value->type == RESP_ATTRIBUTE;
    uint64_t children =
        (uint64_t)length * (pairs ? 2 : 1) + (value->type == RESP_ATTRIBUTE ? 1 : 0);
    if (children >= r->limits->max_values - r->values_count) {
        return fail(r, RD_ETOOBIG, "too many values");
    }
    value->count = (uint32_t)children;
    err = push(r, value, next);
    if (err == RD_OK && children > 0) {
        r->open[r->depth].value = r->values_count - 1;
        r->open[r->depth].left = (uint32_t)children;
        r->depth++;
    }
    return err;
}

/* Reads the value at pos; an aggregate only up to its children. */
static enum rd_err read_value(struct resp_reader *r, const uint8_t *data, size_t len) {
    static const char markers[] = "+-:$*_,#(!=%~|>"; /* in the order of enum resp_type */
    uint8_t marker = data[r->pos];
    const char *known = marker == '\0' ? NULL : strchr(markers, marker);
    if (known == NULL) {
        bool streamed = marker == ';' || marker == '.';
        return fail(r, RD_EPROTO,
                    streamed ? "streamed types are not supported" : "an unknown type");
    }
    struct resp_value value = {
        .type = (uint8_t)(known - markers), .marker = (char)marker, .span = 1};
    switch (value.type) {
    case RESP_BULK:
    case RESP_BULK_ERROR:
    case RESP_VERBATIM:
        return read_bulk_value(r, data, len, &value);
    case RESP_ARRAY:
    case RESP_MAP:
    case RESP_SET:
    case RESP_ATTRIBUTE:
    case RESP_PUSH:
        return read_aggregate(r, data, len, &value);
    default:
        return read_line_value(r, data, len, &value);
    }
}

static bool has_text(const struct resp_value *value) {
    switch (value->type) {
    case RESP_SIMPLE:
    case RESP_ERROR:
    case RESP_BULK:
    case RESP_DOUBLE:
    case RESP_BIG_NUMBER:
    case RESP_BULK_ERROR:
    case RESP_VERBATIM:
        return true;
    default:
        return false;
    }
}

enum rd_err resp_reader_read(struct resp_reader *reader, const uint8_t *data, size_t len,
                             size_t *consumed, const struct resp_value **root) {
    if (reader->failed != RD_OK) {
        return reader->failed;
    }
    if (reader->done) {
        begin(reader);
    }
    assert(len >= reader->pos && "the bytes of an incomplete value must be offered again");
    do {
        enum rd_err err = reader->pos < len ? read_value(reader, data, len) : RD_EINCOMPLETE;
        if (err != RD_OK) {
            return err;
        }
        close_complete(reader);
    } while (reader->depth > 0);
    for (uint32_t i = 0; i < reader->values_count; i++) {
        if (has_text(&reader->values[i])) {
            resp_slice_settle(&reader->values[i].text, data);
        }
    }
    reader->done = true;
    *consumed = reader->pos;
    *root = reader->values;
    return RD_OK;
}

const struct resp_value *resp_value_plain(const struct resp_value *value) {
    while (value->type == RESP_ATTRIBUTE) {
        value = resp_value_child(value, value->count - 1);
    }
    return value;
}

const struct resp_value *resp_value_child(const struct resp_value *value, uint32_t index) {
    assert(index < value->count);
    const struct resp_value *child = value + 1;
    while (index-- > 0) {
        child += child->span;
    }
    return child;
}

bool resp_value_is(const struct resp_value *value, const char *text) {
    return has_text(value) && is_text(value->text, text);
}

const struct resp_value *resp_value_lookup(const struct resp_value *map, const char *key) {
    map = resp_value_plain(map);
    if (map->type != RESP_MAP && map->type != RESP_ARRAY) {
        return NULL;
    }
    const struct resp_value *child = map + 1;
    for (uint32_t i = 0; i + 1 < map->count; i += 2) {
        const struct resp_value *name = resp_value_plain(child);
        const struct resp_value *value = child + child->span;
        if ((name->type == RESP_SIMPLE || name->type == RESP_BULK) && resp_value_is(name, key)) {
            return value;
        }
        child = value + value->span;
    }
    return NULL;
}
