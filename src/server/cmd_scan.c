/* Commands on all keys of the cluster: SCAN, KEYS, RANDOMKEY, FLUSHALL, FLUSHDB. Each asks the node for one page after the other; what a page
 * is, and how it comes about, is the node's affair (replication/op_scan).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/text.h"
#include "replication/slot.h"
#include "server/call.h"
#include "server/commands.h"

#define PAGE_KEYS 1024
#define SCAN_MOST_KEYS 16384 /* looked at for one SCAN, whatever its COUNT */
#define RANDOM_KEYS 64       /* among which RANDOMKEY chooses */

/* ---- walks: SCAN, KEYS, RANDOMKEY ------------------------------------------------------------------- */

struct walk {
    struct resp_slice pattern; /* of the call's arguments, which are kept; no data: all keys */
    bool nothing_fits;         /* a TYPE that no key has */
    bool exact;                /* pages are followed up by this very command */
    bool wrapped;              /* RANDOMKEY: it has gone on from the beginning */
    uint64_t wanted, looked;   /* keys */
    uint64_t cursor;
    struct blob *after_key; /* owned; NULL: none */
    struct buf found;       /* as in client_reply */
    size_t found_count;
    /* Says whether the walk has enough, once a page has come. */
    bool (*is_enough)(struct walk *walk);
    enum call_progress (*finish)(struct call *call, struct walk *walk);
};

static void walk_free(void *arg) {
    struct walk *walk = arg;
    blob_unref(walk->after_key);
    buf_free(&walk->found);
    free(walk);
}

static bool walk_wants(const struct walk *walk, const struct resp_slice *key) {
    if (walk->nothing_fits) {
        return false;
    }
    return walk->pattern.data == NULL ||
           text_glob((const char *)walk->pattern.data, walk->pattern.len, (const char *)key->data,
                     key->len, 0);
}

static enum rd_err walk_take(struct walk *walk, struct client_reply *reply) {
    struct resp_slice key;
    for (size_t at = 0; client_reply_next_key(&reply->keys, &at, &key);) {
        walk->looked++;
        if (!walk_wants(walk, &key)) {
            continue;
        }
        enum rd_err err = client_reply_add_key(&walk->found, key);
        if (err != RD_OK) {
            return err;
        }
        walk->found_count++;
    }
    blob_unref(walk->after_key);
    walk->after_key = walk->exact ? blob_ref(reply->after_key) : NULL;
    walk->cursor = reply->cursor;
    return RD_OK;
}

static enum rd_err walk_ask(struct call *call, const struct walk *walk) {
    uint64_t missing = walk->wanted - walk->looked;
    struct client_request request = {.op = CLIENT_SCAN,
                                     .cursor = walk->cursor,
                                     .last_slot = SLOT_COUNT - 1,
                                     .count = missing < PAGE_KEYS ? (uint32_t)missing : PAGE_KEYS,
                                     .exact = walk->exact};
    if (walk->after_key != NULL) {
        request.key = walk->after_key->bytes;
        request.key_len = walk->after_key->len;
    }
    return call_submit(call, 0, &request);
}

static enum call_progress on_page(struct call *call, uint32_t part, struct client_reply *reply) {
    struct walk *walk = call->state;
    (void)part;
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    enum rd_err err = walk_take(walk, reply);
    if (err == RD_OK && walk->is_enough(walk)) {
        return walk->finish(call, walk);
    }
    if (err == RD_OK) {
        err = walk_ask(call, walk);
    }
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_WAITS;
}

static enum call_progress walk_start(struct call *call, const struct walk *how) {
    struct walk *walk = malloc(sizeof(*walk));
    if (walk == NULL) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    *walk = *how;
    call->state = walk;
    call->free_state = walk_free;
    call->on_reply = on_page;
    enum rd_err err = walk_ask(call, walk);
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_WAITS;
}

static void write_found(struct call *call, const struct walk *walk) {
    struct resp_writer *w = call_reply(call);
    struct resp_slice key;
    resp_write_array(w, walk->found_count);
    for (size_t at = 0; client_reply_next_key(&walk->found, &at, &key);) {
        resp_write_bulk(w, key.data, key.len);
    }
}

/* ---- SCAN ------------------------------------------------------------------------------------------- */

static bool scan_has_enough(struct walk *walk) {
    return walk->cursor == 0 || walk->looked >= walk->wanted;
}

static enum call_progress scan_finish(struct call *call, struct walk *walk) {
    struct resp_writer *w = call_reply(call);
    resp_write_array(w, 2);
    resp_write_textf(w, "%llu", (unsigned long long)walk->cursor);
    write_found(call, walk);
    return CALL_DONE;
}

/* Reads a cursor as Redis does, with strtoul. */
static bool parse_cursor(const struct resp_slice *arg, uint64_t *out) {
    char text[64], *end;
    if (arg->len >= sizeof(text) || (arg->len > 0 && strchr(" \t\n\v\f\r", arg->data[0]) != NULL)) {
        return false;
    }
    if (arg->len > 0) {
        memcpy(text, arg->data, arg->len);
    }
    text[arg->len] = '\0';
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *end == '\0' && errno != ERANGE;
}

/* Parses the options behind the cursor; false: the error is written. */
static bool parse_options(struct call *call, struct walk *walk) {
    for (size_t i = 2; i < call->argc; i += 2) {
        bool has_value = i + 1 < call->argc;
        if (has_value && call_arg_is(call, i, "count")) {
            int64_t count;
            if (!call_arg_i64(call, i + 1, &count)) {
                return false;
            }
            if (count < 1) {
                call_error(call, "ERR syntax error");
                return false;
            }
            walk->wanted = count < SCAN_MOST_KEYS ? (uint64_t)count : SCAN_MOST_KEYS;
        } else if (has_value && call_arg_is(call, i, "match")) {
            walk->pattern = call->argv[i + 1];
        } else if (has_value && call_arg_is(call, i, "type")) {
            walk->nothing_fits = !call_arg_is(call, i + 1, "string");
        } else {
            call_error(call, "ERR syntax error");
            return false;
        }
    }
    return true;
}

enum call_progress cmd_scan(struct call *call) {
    struct walk walk = {.wanted = 10, .is_enough = scan_has_enough, .finish = scan_finish};
    if (call_keep_args(call) != RD_OK) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    if (!parse_cursor(&call->argv[1], &walk.cursor)) {
        return call_error(call, "ERR invalid cursor");
    }
    return parse_options(call, &walk) ? walk_start(call, &walk) : CALL_DONE;
}

/* ---- KEYS ------------------------------------------------------------------------------------------- */

static bool keys_has_all(struct walk *walk) {
    walk->looked = 0;
    return walk->cursor == 0;
}

static enum call_progress keys_finish(struct call *call, struct walk *walk) {
    write_found(call, walk);
    return CALL_DONE;
}

enum call_progress cmd_keys(struct call *call) {
    struct walk walk = {
        .wanted = PAGE_KEYS, .exact = true, .is_enough = keys_has_all, .finish = keys_finish};
    if (call_keep_args(call) != RD_OK) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    walk.pattern = call->argv[1];
    return walk_start(call, &walk);
}

/* ---- RANDOMKEY -------------------------------------------------------------------------------------- */

/* From a slot at random on, and once more from the beginning if nothing lies behind it. */
static bool random_has_enough(struct walk *walk) {
    walk->looked = 0;
    if (walk->found_count > 0 || (walk->cursor == 0 && walk->wrapped)) {
        return true;
    }
    walk->wrapped = walk->wrapped || walk->cursor == 0;
    return false;
}

static uint64_t random_below(uint64_t bound) {
    uint64_t number;
    hash_random_bytes(&number, sizeof(number));
    return number % bound;
}

static enum call_progress random_finish(struct call *call, struct walk *walk) {
    struct resp_slice key = {0};
    size_t at = 0;
    if (walk->found_count == 0) {
        resp_write_null(call_reply(call));
        return CALL_DONE;
    }
    for (uint64_t skip = 1 + random_below(walk->found_count); skip > 0; skip--) {
        client_reply_next_key(&walk->found, &at, &key);
    }
    resp_write_bulk(call_reply(call), key.data, key.len);
    return CALL_DONE;
}

enum call_progress cmd_randomkey(struct call *call) {
    const struct walk walk = {.wanted = RANDOM_KEYS,
                              .cursor = random_below(SLOT_COUNT) << CLIENT_CURSOR_SLOT_SHIFT,
                              .exact = true,
                              .is_enough = random_has_enough,
                              .finish = random_finish};
    return walk_start(call, &walk);
}

/* ---- FLUSHALL, FLUSHDB ------------------------------------------------------------------------------ */

/* Each lane deletes its share of the slots page by page, so that one page is read while another is written. */
#define LANES 4
#define LANE_SLOTS (SLOT_COUNT / LANES)
#define LANE_KEYS 256
#define LANE_TRIES 4 /* of one page */

struct flush_lane {
    uint64_t cursor;
    struct blob *after_key; /* owned */
    unsigned failures;      /* of the page at hand */
    bool done;
};

struct flush {
    struct flush_lane lanes[LANES];
    unsigned open; /* pages on their way */
    uint64_t deleted;
    enum rd_err err; /* the first that was final */
    char text[sizeof(((struct client_reply *)0)->text)];
};

static void flush_free(void *arg) {
    struct flush *flush = arg;
    for (unsigned i = 0; i < LANES; i++) {
        blob_unref(flush->lanes[i].after_key);
    }
    free(flush);
}

static void flush_fail(struct flush *flush, enum rd_err err, const char *text) {
    if (flush->err == RD_OK) {
        flush->err = err;
        snprintf(flush->text, sizeof(flush->text), "%s", text);
    }
}

static void flush_ask(struct call *call, struct flush *flush, uint32_t i) {
    const struct flush_lane *lane = &flush->lanes[i];
    struct client_request request = {.op = CLIENT_FLUSH,
                                     .cursor = lane->cursor,
                                     .last_slot = (uint16_t)((i + 1) * LANE_SLOTS - 1),
                                     .count = LANE_KEYS};
    if (lane->after_key != NULL) {
        request.key = lane->after_key->bytes;
        request.key_len = lane->after_key->len;
    }
    enum rd_err err = call_submit(call, i, &request);
    if (err != RD_OK) {
        flush_fail(flush, err, rd_err_text(err));
    } else {
        flush->open++;
    }
}

/* Writes the reply if no page is on its way any more. */
static enum call_progress flush_conclude(struct call *call, const struct flush *flush) {
    unsigned done = 0;
    char text[sizeof(flush->text) + 120];
    if (flush->open > 0) {
        return CALL_WAITS;
    }
    if (flush->err == RD_OK) {
        return call_ok(call);
    }
    for (unsigned i = 0; i < LANES; i++) {
        done += flush->lanes[i].done;
    }
    snprintf(text, sizeof(text),
             "%s; %llu keys were deleted, %u of %u quarters of the slots are done", flush->text,
             (unsigned long long)flush->deleted, done, LANES);
    return call_fail(call, flush->err, text);
}

static enum call_progress on_flushed(struct call *call, uint32_t part, struct client_reply *reply) {
    struct flush *flush = call->state;
    struct flush_lane *lane = &flush->lanes[part];
    flush->open--;
    if (reply->err == RD_OK) {
        flush->deleted += reply->number;
        lane->cursor = reply->cursor;
        blob_unref(lane->after_key);
        lane->after_key = blob_ref(reply->after_key);
        lane->failures = 0;
        lane->done = lane->cursor == 0;
    } else if (++lane->failures == LANE_TRIES) {
        flush_fail(flush, reply->err, reply->text);
    }
    if (flush->err == RD_OK && !lane->done) {
        flush_ask(call, flush, part);
    }
    return flush_conclude(call, flush);
}

enum call_progress cmd_flushall(struct call *call) {
    bool known = call->argc < 2 || call_arg_is(call, 1, "async") || call_arg_is(call, 1, "sync");
    if (call->argc > 2 || !known) {
        return call_error(call, "ERR syntax error");
    }
    struct flush *flush = calloc(1, sizeof(*flush));
    if (flush == NULL) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    call->state = flush;
    call->free_state = flush_free;
    call->on_reply = on_flushed;
    for (uint32_t i = 0; i < LANES; i++) {
        flush->lanes[i].cursor = (uint64_t)(i * LANE_SLOTS) << CLIENT_CURSOR_SLOT_SHIFT;
        flush_ask(call, flush, i);
    }
    return flush_conclude(call, flush);
}

enum call_progress cmd_flushdb(struct call *call) {
    return cmd_flushall(call);
}
