/* The writer of values: appends RESP2 or RESP3 to a buffer.
 *
 * The caller says what it means in RESP3's terms; in protocol 2 the writer sends what Redis 7.2
 * sends to a RESP2 client instead: a map as a flat array, a set or push as an array, a boolean as
 * :1 or :0, a double, big number or verbatim string as a bulk string, null as "$-1" or "*-1", an
 * attribute not at all.
 *
 * Errors are remembered, so that a reply is written without looking and checked once:
 *
 *     struct resp_writer w;
 *     resp_writer_init(&w, &client->out, client->proto);
 *     resp_write_map(&w, 1);
 *     resp_write_text(&w, "id");
 *     resp_write_int(&w, id);
 *     err = resp_writer_end(&w);
 *
 * All values between two calls of resp_writer_end are one unit (usually one reply; several values
 * are allowed). If any write of a unit fails, the buffer is cut back to where the unit began, at
 * once, the rest of the unit is ignored, and resp_writer_end returns the first failure: a unit is
 * in the buffer wholly or not at all. Nobody else may append to or consume from the buffer within a
 * unit.
 *
 * The writer counts. A unit that ends with fewer or more values than its aggregates announced is a
 * programmer's error and asserts in resp_writer_end; else every later reply of the connection would
 * be mistaken for another.
 */
#ifndef RD_RESP_WRITER_H
#define RD_RESP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct resp_writer {
    struct buf *out; /* borrowed */
    int proto;       /* 2 or 3; the owner may change it between units (HELLO) */
    /* The rest is private to resp/writer.c. */
    enum rd_err failed; /* the unit's first failure */
    bool open;          /* a unit has begun */
    size_t mark;        /* buf_len(out) when it began */
    uint64_t owed;      /* values that open aggregates still expect */
    uint64_t muted;     /* values of attributes that protocol 2 leaves out */
    uint64_t started;   /* values begun while nothing was owed */
    uint32_t deferred;  /* resp_write_open without resp_write_close */
};

/* An aggregate whose size is not known when it begins; see resp_write_open. */
struct resp_deferred {
    size_t mark; /* the writer's state when it began; private */
    uint64_t owed;
    uint64_t muted;
    uint64_t started;
    uint32_t depth;
    bool silent;
};

/* Sets up a writer to `out`, which is borrowed; `proto` is 2 or 3. Nothing to free: a writer on the
 * stack for one reply is as good as one per connection. */
void resp_writer_init(struct resp_writer *w, struct buf *out, int proto);

/* Ends a unit. Returns RD_OK, or the unit's first failure (RD_ENOMEM, RD_ETOOBIG), of which nothing
 * is in the buffer then; either way the next unit starts afresh. Asserts that the values are
 * complete. */
enum rd_err resp_writer_end(struct resp_writer *w);

/* Gives the unit up: cuts the buffer back to where it began and forgets any failure. For a reply
 * that turns out to be another one while it is written. */
void resp_writer_cancel(struct resp_writer *w);

/* All functions below append one value, or the head of an aggregate, and return RD_OK or the unit's
 * first failure (RD_ENOMEM, RD_ETOOBIG), which may be older than the call; ignoring it is fine,
 * since resp_writer_end tells again. Bytes are copied. */

/* "+text". CR and LF become spaces. `text` is terminated by a zero. */
enum rd_err resp_write_simple(struct resp_writer *w, const char *text);

/* "+OK", the most common reply. */
enum rd_err resp_write_ok(struct resp_writer *w);

/* "-text", where text begins with a code ("ERR ", "WRONGTYPE "...). CR and LF become spaces. */
enum rd_err resp_write_error(struct resp_writer *w, const char *text);

/* The same, formatted. */
enum rd_err resp_write_errorf(struct resp_writer *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ":value". */
enum rd_err resp_write_int(struct resp_writer *w, int64_t value);

/* "$len" and the bytes; `bytes` may be NULL when len is 0. RD_ETOOBIG: more than half the address
 * space. */
enum rd_err resp_write_bulk(struct resp_writer *w, const void *bytes, size_t len);

/* A bulk string of the text, without its terminating zero. */
enum rd_err resp_write_text(struct resp_writer *w, const char *text);

/* A bulk string of the formatted text. */
enum rd_err resp_write_textf(struct resp_writer *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A bulk string of the decimal digits of `value`. */
enum rd_err resp_write_bulk_int(struct resp_writer *w, int64_t value);

/* "_"; protocol 2: "$-1". */
enum rd_err resp_write_null(struct resp_writer *w);

/* "_"; protocol 2: "*-1", where an array would have been expected. */
enum rd_err resp_write_null_array(struct resp_writer *w);

/* "#t" or "#f"; protocol 2: ":1" or ":0". */
enum rd_err resp_write_bool(struct resp_writer *w, bool value);

/* ",value"; protocol 2: a bulk string. At most 17 digits, fewer where they read back as the same
 * number; "inf", "-inf", "nan". */
enum rd_err resp_write_double(struct resp_writer *w, double value);

/* "(digits"; protocol 2: a bulk string. Asserts that `digits` is an optional sign and one digit or
 * more. */
enum rd_err resp_write_big_number(struct resp_writer *w, const char *digits);

/* "!len" and the text, which may contain anything; protocol 2: "-text", CR and LF becoming spaces.
 */
enum rd_err resp_write_bulk_error(struct resp_writer *w, const void *bytes, size_t len);

/* "=len", the format and the bytes; protocol 2: a bulk string of the bytes. Asserts that `format`
 * has three characters ("txt", "mkd"). */
enum rd_err resp_write_verbatim(struct resp_writer *w, const char *format, const void *bytes,
                                size_t len);

/* The head of an array; `count` values must follow. */
enum rd_err resp_write_array(struct resp_writer *w, size_t count);

/* The head of a set; `count` values must follow. */
enum rd_err resp_write_set(struct resp_writer *w, size_t count);

/* The head of a map; `pairs` times a key and a value must follow. */
enum rd_err resp_write_map(struct resp_writer *w, size_t pairs);

/* The head of a push; `count` values must follow, at least one (its kind). Only where no aggregate
 * is open. */
enum rd_err resp_write_push(struct resp_writer *w, size_t count);

/* The head of an attribute; `pairs` times a key and a value must follow, then the value that they
 * annotate. In protocol 2 the pairs are swallowed. */
enum rd_err resp_write_attribute(struct resp_writer *w, size_t pairs);

/* One value that is encoded already, as this protocol wants it (a cached reply). */
enum rd_err resp_write_raw(struct resp_writer *w, const void *bytes, size_t len);

/* Begins an aggregate whose size is not known yet: all values up to resp_write_close are its
 * children. They may nest, last opened first closed. `deferred` belongs to the caller and is
 * filled. */
enum rd_err resp_write_open(struct resp_writer *w, struct resp_deferred *deferred);

/* Ends it as an array, by putting the head in front of the children (which moves them once). */
enum rd_err resp_write_close_array(struct resp_writer *w, const struct resp_deferred *deferred);

/* Ends it as a set. */
enum rd_err resp_write_close_set(struct resp_writer *w, const struct resp_deferred *deferred);

/* Ends it as a map; asserts that the number of children is even. */
enum rd_err resp_write_close_map(struct resp_writer *w, const struct resp_deferred *deferred);

#endif
