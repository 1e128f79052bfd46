/* Commands on one value: pure functions from arguments and what a key holds to a reply and what the key is to hold.
 *
 * The same function serves a command that reads (it runs where the client is, on what a read found) and one that changes
 * (it runs at a home of the key, as a read-modify-write). The row of the command names it. A function first looks at its arguments only; when it has found
 * nothing wrong with them it asks value_checked, and returns if that says so: so a wrong command is answered at once, whatever the cluster is
 * doing.
 *
 * A function writes one reply, with op->w. It may write an error at any time before it has written anything else. */
#ifndef RD_SERVER_VALUE_H
#define RD_SERVER_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/buf.h"
#include "replication/rmw_port.h"
#include "resp/slice.h"
#include "resp/writer.h"

struct command_table;

struct value_op {
    const struct resp_slice *argv; /* the whole command; borrowed */
    size_t argc;
    const char *name; /* of the command, lower case */
    uint64_t now_ms;
    uint64_t max_bytes; /* proto-max-bulk-len */
    bool checking;      /* there is no value yet: only the arguments are to be looked at */

    struct blob *value;  /* what the key holds, borrowed; NULL: there is no such key */
    uint64_t expires_ms; /* 0: never */
    uint64_t written_ms; /* when it was written; 0: not known (where values are changed) */

    struct resp_writer w;
    enum rmw_change change;
    struct blob *next; /* VALUE_SET: one reference */
    uint64_t next_expires_ms;
    enum rd_err err; /* RD_ENOMEM */
    bool replied;    /* an error was written */
};

typedef void value_fn(struct value_op *op);

/* True if the function is to go no further: the arguments are wrong (the error is written), or nothing but them was to be checked. */
bool value_checked(const struct value_op *op);

/* Writes an error, once. */
void value_error(struct value_op *op, const char *text);
void value_errorf(struct value_op *op, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Parses argument `index`; on failure writes `error` (NULL: Redis's words for no integer) and returns false. */
bool value_arg_i64(struct value_op *op, size_t index, const char *error, int64_t *out);

/* True if argument `index` is there and is `word`, in any case. */
bool value_arg_is(const struct value_op *op, size_t index, const char *word);

/* The bytes of the value: "" if there is none. */
const uint8_t *value_bytes(const struct value_op *op);
size_t value_len(const struct value_op *op);

/* Makes the key hold `blob` (a reference is taken over; NULL: there was no memory for it) until `expires_ms`. */
void value_set(struct value_op *op, struct blob *blob, uint64_t expires_ms);

/* Makes it hold a copy of `bytes`, with the expiry it has. */
void value_set_bytes(struct value_op *op, const void *bytes, size_t len);

/* A blob of the old value, grown with zeros to `len` bytes at least; NULL and op->err without memory. */
struct blob *value_grown(struct value_op *op, size_t len);

/* Removes the key. */
void value_delete(struct value_op *op);

/* Computes the absolute milliseconds of argument `index`, a time in seconds or not, from now or not. On a wrong one writes Redis's error and returns false. */
bool value_time(struct value_op *op, size_t index, bool seconds, bool relative, int64_t *out_ms);

/* Writes the error and returns false if a string of `len` + `more` bytes is longer than a string may be. */
bool value_fits(struct value_op *op, uint64_t len, uint64_t more);

/* Redis's name for how it would hold these bytes: int, embstr, raw. */
const char *value_encoding(const void *bytes, size_t len);

/* ---- running --------------------------------------------------------------------------------------- */

/* Runs `fn` and ends the reply, in `out`, which must be empty. `op` has all inputs filled in. Returns RD_OK, or RD_ENOMEM: nothing is in `out`, and
 * nothing is to be changed. */
enum rd_err value_run(value_fn *fn, struct value_op *op, int proto, struct buf *out);

/* Packs a command as the order of a read-modify-write. Errors: RD_ENOMEM, RD_ETOOBIG. */
enum rd_err value_pack(const struct resp_slice *argv, size_t argc, int proto, struct blob **out);

/* The computation of read-modify-writes. `commands`: where the functions are; `max_bytes`: as in value_op; the rest as in rmw_port.h. */
enum rd_err value_compute(const struct command_table *commands, uint64_t max_bytes,
                          const struct rmw_input *in, struct rmw_output *out);

#endif
