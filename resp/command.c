/* The reader of requests. See resp/command.h.
 *
 * It understands the bytes of one command from its start (offset 0) on and remembers how far it
 * came:
 *
 *     START --"*n"--> HEAD --"$len"--> BODY --bytes CR LF--> HEAD ... --last argument--> DONE
 *       '------------- an inline line, "*0", "*-1" -------------------------------------> DONE
 *
 * Invariants:
 * 1. All below `pos` is understood and never looked at again; no line end lies in [pos, scanned).
 * 2. Between calls offsets are kept, no pointers: the arguments of a multibulk become pointers only
 *    when the command is whole. (An inline line is understood in one go.)
 * 3. In HEAD and BODY args_left > 0. In BODY bulk_bytes is within all limits that held when its
 *    line was read.
 * 4. The state changes only behind what can fail, so RD_ENOMEM leaves it where the call may be
 *    repeated.
 */
#include "resp/command.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "resp/scan.h"

enum { START, HEAD, BODY, DONE };

/* Memory that is kept from command to command; above it, only as long as it is needed. */
#define KEEP_ARGS 1024
#define KEEP_UNQUOTED_BYTES 16384

void resp_limits_default(struct resp_limits *out) {
    *out = (struct resp_limits){
        .max_command_bytes = (size_t)1 << 30,
        .max_bulk_bytes = (size_t)16 << 20,
        .max_args = (size_t)1 << 20,
        .max_inline_bytes = (size_t)64 << 10,
        .max_unauth_args = 10,
        .max_unauth_bulk_bytes = 16384,
        .allow_inline = true,
    };
}

void resp_command_init(struct resp_command_reader *reader, const struct resp_limits *limits) {
    *reader = (struct resp_command_reader){.limits = limits, .state = START, .authenticated = true};
}

void resp_command_free(struct resp_command_reader *reader) {
    resp_words_free(&reader->args);
}

void resp_command_set_authenticated(struct resp_command_reader *reader, bool authenticated) {
    reader->authenticated = authenticated;
}

const char *resp_command_error(const struct resp_command_reader *reader) {
    return reader->error;
}

size_t resp_command_wanted(const struct resp_command_reader *reader) {
    if (reader->state != BODY) {
        return 1;
    }
    size_t need = reader->pos + reader->bulk_bytes + 2;
    return need > reader->offered ? need - reader->offered : 1;
}

void resp_command_trim(struct resp_command_reader *reader) {
    if (reader->state == START || reader->state == DONE) {
        resp_words_free(&reader->args);
    }
}

/* Forgets the command that was returned. */
static void begin(struct resp_command_reader *r) {
    if (r->args.cap > KEEP_ARGS || r->args.unquoted_cap > KEEP_UNQUOTED_BYTES) {
        resp_words_free(&r->args);
    }
    r->args.count = 0;
    r->args_left = 0;
    r->pos = 0;
    r->scanned = 0;
    r->bulk_bytes = 0;
    r->offered = 0;
    r->state = START;
}

/* Ends the stream: remembers the error and its sentence. */
static enum rd_err fail(struct resp_command_reader *r, enum rd_err err, const char *sentence) {
    int len = snprintf(r->error, sizeof(r->error), "Protocol error: %s", sentence);
    assert(len > 0 && (size_t)len < sizeof(r->error));
    r->failed = err;
    return err;
}

static enum rd_err fail_marker(struct resp_command_reader *r, char expected, uint8_t got) {
    char sentence[] = "expected '?', got '?'";
    sentence[10] = expected;
    sentence[19] = got == '\0' || got == '\r' || got == '\n' ? ' ' : (char)got;
    return fail(r, RD_EPROTO, sentence);
}

/* The number in the line at pos, behind its marker, when the line is short, whole and plain, as
 * nearly all are: returns the length of the whole line with CR LF. Else returns 0. */
static size_t read_short_number(const uint8_t *line, size_t len, int64_t *out) {
    size_t i = 1;
    uint32_t value = 0;
    if (len >= 5 && line[2] == '\r' && line[3] == '\n' && (uint8_t)(line[1] - '0') < 10) {
        *out = line[1] - '0';
        return 4;
    }
    while (i < len && i < 10 && (uint8_t)(line[i] - '0') < 10) {
        value = value * 10 + (uint32_t)(line[i] - '0');
        i++;
    }
    if (i == 1 || i + 1 >= len || line[i] != '\r' || line[i + 1] != '\n' ||
        (line[1] == '0' && i > 2)) {
        return 0;
    }
    *out = value;
    return i + 2;
}

/* Reads the number of the line at pos; `*next` is the offset behind its CR LF. RD_EPROTO (no
 * sentence yet): it is none. RD_ETOOBIG (no sentence yet): the line is too long. */
static enum rd_err read_number(struct resp_command_reader *r, const uint8_t *data, size_t len,
                               int64_t *out, size_t *next) {
    size_t short_line = read_short_number(data + r->pos, len - r->pos, out);
    if (short_line > 0) {
        *next = r->pos + short_line;
        return RD_OK;
    }
    size_t end = 0;
    enum rd_err err =
        resp_scan_for('\r', data, len, r->pos, r->limits->max_inline_bytes, &r->scanned, &end);
    if (err != RD_OK) {
        return err;
    }
    if (end + 1 == len) {
        return RD_EINCOMPLETE;
    }
    const char *digits = (const char *)data + r->pos + 1;
    if (data[end + 1] != '\n' || text_i64(digits, end - r->pos - 1, out) != RD_OK) {
        return RD_EPROTO;
    }
    *next = end + 2;
    return RD_OK;
}

/* START: reads "*n". */
static enum rd_err read_count(struct resp_command_reader *r, const uint8_t *data, size_t len) {
    int64_t count = 0;
    size_t next = 0;
    enum rd_err err = read_number(r, data, len, &count, &next);
    if (err == RD_ETOOBIG) {
        return fail(r, err, "too big mbulk count string");
    }
    if (err == RD_EPROTO) {
        return fail(r, err, "invalid multibulk length");
    }
    if (err != RD_OK) {
        return err;
    }
    if (count > 0 && (uint64_t)count > r->limits->max_args) {
        return fail(r, RD_ETOOBIG, "invalid multibulk length");
    }
    if (count > 0 && !r->authenticated && (uint64_t)count > r->limits->max_unauth_args) {
        return fail(r, RD_ETOOBIG, "unauthenticated multibulk length");
    }
    r->pos = next;
    r->args_left = count > 0 ? (size_t)count : 0;
    r->state = count > 0 ? HEAD : DONE;
    return RD_OK;
}

/* HEAD: reads "$len". */
static enum rd_err read_head(struct resp_command_reader *r, const uint8_t *data, size_t len) {
    const struct resp_limits *limits = r->limits;
    int64_t bytes = 0;
    size_t next = 0;
    if (r->pos == len) {
        return RD_EINCOMPLETE;
    }
    if (data[r->pos] != '$') {
        return fail_marker(r, '$', data[r->pos]);
    }
    enum rd_err err = read_number(r, data, len, &bytes, &next);
    if (err == RD_ETOOBIG) {
        return fail(r, err, "too big bulk count string");
    }
    if (err == RD_EPROTO || (err == RD_OK && bytes < 0)) {
        return fail(r, RD_EPROTO, "invalid bulk length");
    }
    if (err != RD_OK) {
        return err;
    }
    if ((uint64_t)bytes > limits->max_bulk_bytes) {
        return fail(r, RD_ETOOBIG, "invalid bulk length");
    }
    if (!r->authenticated && (uint64_t)bytes > limits->max_unauth_bulk_bytes) {
        return fail(r, RD_ETOOBIG, "unauthenticated bulk length");
    }
    if (limits->max_command_bytes < next + 2 ||
        (uint64_t)bytes > limits->max_command_bytes - next - 2) {
        return fail(r, RD_ETOOBIG, "too big request");
    }
    r->pos = next;
    r->bulk_bytes = (size_t)bytes;
    r->state = BODY;
    return RD_OK;
}

/* BODY: reads the bytes of an argument and the CR LF behind them. */
static enum rd_err read_body(struct resp_command_reader *r, const uint8_t *data, size_t len) {
    if (len - r->pos < r->bulk_bytes + 2) {
        return RD_EINCOMPLETE;
    }
    const uint8_t *end = data + r->pos + r->bulk_bytes;
    if (end[0] != '\r' || end[1] != '\n') {
        return fail(r, RD_EPROTO, "expected CRLF after bulk string");
    }
    enum rd_err err = resp_words_push(&r->args, resp_slice_relative(r->pos, r->bulk_bytes));
    if (err != RD_OK) {
        return err;
    }
    r->pos += r->bulk_bytes + 2;
    r->args_left--;
    r->state = r->args_left > 0 ? HEAD : DONE;
    return RD_OK;
}

/* HEAD: reads arguments that are whole, short and within all limits, as nearly all are, and stops at the first that is not, for the
 * others to read and judge. Error: RD_ENOMEM. */
static enum rd_err read_plain_args(struct resp_command_reader *r, const uint8_t *data, size_t len) {
    const struct resp_limits *limits = r->limits;
    size_t most = r->authenticated ? limits->max_bulk_bytes : limits->max_unauth_bulk_bytes;
    size_t pos = r->pos;
    if (most > limits->max_bulk_bytes) {
        most = limits->max_bulk_bytes;
    }
    size_t end = len < limits->max_command_bytes ? len : limits->max_command_bytes;
    while (r->args_left > 0 && pos < end && data[pos] == '$') {
        int64_t bytes = 0;
        size_t line = read_short_number(data + pos, end - pos, &bytes);
        if (line == 0 || (size_t)bytes > most || end - pos - line < (size_t)bytes + 2) {
            break;
        }
        const uint8_t *behind = data + pos + line + bytes;
        if (behind[0] != '\r' || behind[1] != '\n') {
            break;
        }
        enum rd_err err = resp_words_push(&r->args, resp_slice_relative(pos + line, (size_t)bytes));
        if (err != RD_OK) {
            return err;
        }
        pos += line + (size_t)bytes + 2;
        r->pos = pos;
        r->args_left--;
    }
    r->state = r->args_left > 0 ? HEAD : DONE;
    return RD_OK;
}

/* HEAD and BODY, up to DONE. */
static enum rd_err read_args(struct resp_command_reader *r, const uint8_t *data, size_t len) {
    if (r->state == HEAD && r->scanned <= r->pos) {
        enum rd_err err = read_plain_args(r, data, len);
        if (err != RD_OK) {
            return err;
        }
    }
    while (r->state != DONE) {
        enum rd_err err = r->state == HEAD ? read_head(r, data, len) : read_body(r, data, len);
        if (err != RD_OK) {
            return err;
        }
    }
    for (size_t i = 0; i < r->args.count; i++) {
        resp_slice_settle(&r->args.items[i], data);
    }
    return RD_OK;
}

/* START: reads an inline command. */
static enum rd_err read_inline(struct resp_command_reader *r, const uint8_t *data, size_t len) {
    size_t end = 0;
    enum rd_err err =
        resp_scan_for('\n', data, len, 0, r->limits->max_inline_bytes, &r->scanned, &end);
    if (err == RD_ETOOBIG) {
        return fail(r, err, "too big inline request");
    }
    if (err != RD_OK) {
        return err;
    }
    /* A CR at the end needs no care: it is white space to the words. */
    err = resp_words_split(&r->args, data, end, r->limits->max_args);
    if (err == RD_EPROTO) {
        return fail(r, err, "unbalanced quotes in request");
    }
    if (err == RD_ETOOBIG) {
        return fail(r, err, "too big inline request");
    }
    if (err != RD_OK) {
        return err;
    }
    r->pos = end + 1;
    r->state = DONE;
    return RD_OK;
}

enum rd_err resp_command_read(struct resp_command_reader *reader, const uint8_t *data, size_t len,
                              size_t *consumed, const struct resp_slice **argv, size_t *argc) {
    enum rd_err err = RD_OK;
    if (reader->failed != RD_OK) {
        return reader->failed;
    }
    if (reader->state == DONE) {
        begin(reader);
    }
    assert(len >= reader->offered && "the bytes of an incomplete command must be offered again");
    reader->offered = len;
    if (len == 0) {
        return RD_EINCOMPLETE;
    }
    if (reader->state == START) {
        if (data[0] == '*') {
            err = read_count(reader, data, len);
        } else if (reader->limits->allow_inline) {
            err = read_inline(reader, data, len);
        } else {
            err = fail_marker(reader, '*', data[0]);
        }
    }
    if (err == RD_OK && reader->state != DONE) {
        err = read_args(reader, data, len);
    }
    if (err != RD_OK) {
        return err;
    }
    *consumed = reader->pos;
    *argv = reader->args.count > 0 ? reader->args.items : NULL;
    *argc = reader->args.count;
    return RD_OK;
}
