/* The reader of values: everything that RESP2 and RESP3 can say, as a tree.
 *
 * For those who talk to a server: tests, tools, the simulator. (Requests are read by
 * resp/command.h.) It is used like the command reader: the caller keeps the bytes and offers all
 * that it has not consumed; the bytes may move between calls, none is scanned twice, and the result
 * does not depend on how they were cut.
 *
 * A tree is an array of values in the order of the wire. The children of `v` begin at v + 1, and
 * the value behind v with all that is in it is v + v->span:
 *
 *     const struct resp_value *child = v + 1;
 *     for (uint32_t i = 0; i < v->count; i++, child += child->span) { use child }
 *
 * Text is borrowed from the caller's bytes. Memory is bounded by the bytes that have arrived (about
 * 30 times, for a flood of the smallest values) and by max_values; a count that is only claimed
 * allocates nothing.
 */
#ifndef RD_RESP_READER_H
#define RD_RESP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "resp/slice.h"

enum resp_type {
    RESP_SIMPLE,     /* +text                text                               */
    RESP_ERROR,      /* -text                text                               */
    RESP_INT,        /* :n                   integer                            */
    RESP_BULK,       /* $len                 text                               */
    RESP_ARRAY,      /* *n                   count children                     */
    RESP_NULL,       /* _  and  $-1  and  *-1   (marker says which)             */
    RESP_DOUBLE,     /* ,n                   number; text as it was spelled     */
    RESP_BOOL,       /* #t #f                integer 0 or 1                     */
    RESP_BIG_NUMBER, /* (n                   text: an optional sign, digits     */
    RESP_BULK_ERROR, /* !len                 text                               */
    RESP_VERBATIM,   /* =len                 text without prefix; format        */
    RESP_MAP,        /* %n                   count = 2n children, key then value */
    RESP_SET,        /* ~n                   count children                     */
    RESP_ATTRIBUTE,  /* |n                   count = 2n + 1: the pairs, then what they annotate */
    RESP_PUSH        /* >n                   count children; at the top only    */
};

struct resp_value {
    uint8_t type;           /* enum resp_type */
    char marker;            /* the first byte on the wire: '+', '-', ':' ... */
    char format[4];         /* RESP_VERBATIM: "txt", "mkd"..., terminated; else "" */
    uint32_t count;         /* children; 0 for all that is not an aggregate */
    uint32_t span;          /* values in this subtree, itself included */
    struct resp_slice text; /* see enum resp_type; {NULL, 0} where there is none */
    union {
        int64_t integer; /* RESP_INT, RESP_BOOL */
        double number;   /* RESP_DOUBLE */
    };
};

/* What one top-level value may cost. */
struct resp_reader_limits {
    size_t max_bulk_bytes; /* one bulk string, bulk error or verbatim string */
    size_t max_line_bytes; /* a simple string, error, number or length line, without CR LF */
    uint32_t max_values;   /* values in the tree */
    uint32_t max_depth;    /* aggregates inside each other; at most RESP_MAX_DEPTH */
};

/* The deepest nesting that any reader accepts. */
#define RESP_MAX_DEPTH 32

/* 512 MB, 64 KB, 16 million values, RESP_MAX_DEPTH. */
void resp_reader_limits_default(struct resp_reader_limits *out);

/* A reader of one stream. All fields are private to resp/reader.c. */
struct resp_reader {
    const struct resp_reader_limits *limits; /* borrowed */
    struct resp_value *values; /* owned; text is relative to the start until the tree is whole */
    uint32_t values_cap;
    uint32_t values_count;
    uint32_t depth; /* aggregates that are open */
    struct {
        uint32_t value; /* index in values */
        uint32_t left;  /* children still to come */
    } open[RESP_MAX_DEPTH];
    size_t pos;         /* offset of the first value that is not understood yet */
    size_t scanned;     /* no line end lies between pos and this offset */
    size_t body;        /* offset of the string that is arriving; 0: its length is not known yet */
    size_t body_bytes;  /* its length */
    bool done;          /* the last call returned a tree */
    enum rd_err failed; /* the error that ended the stream */
    const char *error;  /* static text */
};

/* Makes `reader` ready for a new stream, allocating nothing. Borrows `limits` for the reader's
 * life. */
void resp_reader_init(struct resp_reader *reader, const struct resp_reader_limits *limits);

/* Frees what the reader owns; resp_reader_init makes it usable again. May be zeroed. */
void resp_reader_free(struct resp_reader *reader);

/* Looks for one value, with all that it contains, at the start of `data`.
 *
 * RD_OK: `*root` is the tree, owned by the reader and valid, as is the text it borrows from `data`,
 *   until the next call with this reader or until the caller's bytes go; `*consumed` bytes are done
 *   with.
 * RD_EINCOMPLETE: call again with the same bytes and at least one more behind them. Also for len 0.
 * RD_EPROTO, RD_ETOOBIG: malformed (streamed types are refused too), or above a limit.
 *   resp_reader_error says what, resp_reader_position where; each later call returns the same
 *   error.
 * RD_ENOMEM: nothing is lost, the same call may be made again. */
enum rd_err resp_reader_read(struct resp_reader *reader, const uint8_t *data, size_t len,
                             size_t *consumed, const struct resp_value **root);

/* After RD_EPROTO or RD_ETOOBIG: what was wrong, one line. Else "". Static storage. */
const char *resp_reader_error(const struct resp_reader *reader);

/* After RD_EPROTO or RD_ETOOBIG: the offset, in the bytes offered last, of the value that was
 * wrong. */
size_t resp_reader_position(const struct resp_reader *reader);

/* Steps over attributes: returns the value that `value` annotates, or `value` if it is no
 * attribute. */
const struct resp_value *resp_value_plain(const struct resp_value *value);

/* Child number `index` of `value`; asserts index < count. Linear in the index. */
const struct resp_value *resp_value_child(const struct resp_value *value, uint32_t index);

/* The value beside the key `key` (simple or bulk string, exact bytes) of a map, or of an array of
 * pairs as RESP2 sends maps. NULL if there is none or `map` is neither. */
const struct resp_value *resp_value_lookup(const struct resp_value *map, const char *key);

/* True if the text of `value` is exactly `text`. */
bool resp_value_is(const struct resp_value *value, const char *text);

#endif
