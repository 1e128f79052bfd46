/* The reader of requests: what a client sends to a Redis server, one command at a time.
 *
 * A command is an array of bulk strings ("multibulk") or, where allowed, an inline line of words
 * with Redis's quoting rules. The caller keeps the received bytes in a buffer of its own and offers
 * all that has not been consumed yet; the reader says whether a whole command is there, how long it
 * is, and where its arguments lie:
 *
 *     struct resp_command_reader reader;
 *     resp_command_init(&reader, &limits);
 *     for (;;) {
 *         err = resp_command_read(&reader, buf_data(in), buf_len(in), &consumed, &argv, &argc);
 *         if (err == RD_EINCOMPLETE) { receive more behind the same bytes; continue; }
 *         if (err != RD_OK) { reply with resp_command_error(&reader), close; break; }
 *         if (argc > 0) { execute(argv, argc); }
 *         buf_consume(in, consumed);
 *     }
 *
 * What was scanned once is not scanned again: however the bytes are cut into pieces, the work over
 * all calls is linear in the bytes, and the outcome is the same. The buffer may move in memory
 * between two calls. The reader looks at one command only and never past its end, so that limits
 * may be changed by a command (AUTH) before the next one is read. Nothing is ever allocated for a
 * count or length that a peer merely claims: memory grows with arguments that have arrived, and is
 * kept from command to command.
 *
 * Where the same mistakes are met, the sentences are those of Redis 7.2. Two things are stricter
 * than in Redis: a line must end in CR LF and a bulk string must be followed by CR LF (Redis skips
 * two bytes without looking). One is looser: a zero byte in an inline line is a byte like any
 * other.
 */
#ifndef RD_RESP_COMMAND_H
#define RD_RESP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "resp/slice.h"
#include "resp/words.h"

/* What one command may cost. Shared by any number of readers; the values may be changed between
 * calls and count from the next length that is read. */
struct resp_limits {
    size_t max_command_bytes; /* a whole command as received; "Protocol error: too big request" */
    size_t max_bulk_bytes;    /* one argument */
    size_t max_args;          /* arguments of a command */
    size_t max_inline_bytes;  /* an inline line, or the line of a count or length, without its LF */
    size_t max_unauth_args;   /* the same two for a reader that is not authenticated */
    size_t max_unauth_bulk_bytes; /* (multibulk only, as in Redis) */
    bool allow_inline;            /* false: anything but '*' is a protocol error */
};

/* Redis's defaults, but 16 MB for an argument: 1 GB, 16 MB, 1024*1024, 64 KB, 10, 16384, inline
 * allowed. */
void resp_limits_default(struct resp_limits *out);

/* The longest text of resp_command_error, with its terminating zero. */
#define RESP_COMMAND_ERROR_BYTES 64

/* A reader of one connection. All fields are private to resp/command.c. */
struct resp_command_reader {
    const struct resp_limits *limits; /* borrowed */
    struct resp_words args;           /* places relative to the command's start until it is whole */
    size_t args_left;                 /* arguments still to come */
    size_t pos;                       /* offset of the first byte that is not understood yet */
    size_t scanned;                   /* no line end lies between pos and this offset */
    size_t bulk_bytes;                /* length of the argument that is arriving */
    size_t offered;                   /* bytes offered by the last call */
    uint8_t state;
    bool authenticated;
    enum rd_err failed; /* the error that ended the stream */
    char error[RESP_COMMAND_ERROR_BYTES];
};

/* Makes `reader` ready for a new stream, allocating nothing. Borrows `limits` for the reader's
 * life. The reader starts authenticated (unlimited by the max_unauth_ values). */
void resp_command_init(struct resp_command_reader *reader, const struct resp_limits *limits);

/* Frees what the reader owns; resp_command_init makes it usable again. May be zeroed. */
void resp_command_free(struct resp_command_reader *reader);

/* Tells whether the connection has proven who it is; false applies the max_unauth_ limits from the
 * next count or length on. */
void resp_command_set_authenticated(struct resp_command_reader *reader, bool authenticated);

/* Looks for one command at the start of `data`.
 *
 * RD_OK: `*argv` has `*argc` arguments, borrowed from `data` (inline arguments with quotes: from
 *   the reader) until the next call with this reader or until the caller's bytes go; `*consumed`
 *   bytes are done with. argc 0 (an empty line, "*0", "*-1") is no command: drop the bytes and go
 *   on; argv is then NULL.
 * RD_EINCOMPLETE: call again with the same bytes and at least one more behind them. `data` may be
 *   elsewhere. Also for len 0.
 * RD_EPROTO, RD_ETOOBIG: malformed, or above a limit. resp_command_error has the sentence; the
 *   stream cannot be read any further, each later call returns the same error.
 * RD_ENOMEM: nothing is lost, the same call may be made again. */
enum rd_err resp_command_read(struct resp_command_reader *reader, const uint8_t *data, size_t len,
                              size_t *consumed, const struct resp_slice **argv, size_t *argc);

/* After RD_EPROTO or RD_ETOOBIG: the sentence, as Redis says it, without "-ERR " and without CR or
 * LF, such as "Protocol error: invalid bulk length". Else "". Borrowed from the reader. */
const char *resp_command_error(const struct resp_command_reader *reader);

/* After RD_EINCOMPLETE: how many bytes at least are missing, behind those offered, before the next
 * call can make progress worth having: all that is missing of the argument that is arriving, else
 * 1. At most max_bulk_bytes + 2. For the caller to reserve once; that a peer claims a length does
 * not mean that it will send it, so reserve no more than one can afford per connection. Without
 * meaning after any other outcome. */
size_t resp_command_wanted(const struct resp_command_reader *reader);

/* Gives back all memory that no incomplete command needs; for connections that have become idle.
 * Ends the life of the argv that was returned last. */
void resp_command_trim(struct resp_command_reader *reader);

#endif
