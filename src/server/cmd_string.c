/* GET, SET, SETEX, STRLEN, TYPE: what reads a value or replaces it without a look. Other commands on one value: cmd_value.c. */
#include "replication/object.h"
#include "server/call.h"
#include "server/commands.h"
#include "server/driver.h"
#include "server/options.h"
#include "server/reading.h"
#include "server/server.h"
#include "server/values.h"

const struct sibling *reading_winner(struct call *call, const struct client_reply *reply) {
    const struct sibling *winner =
        object_winner(&reply->object, driver_now(call_server(call)->driver).wall_us / 1000);
    struct server_counters *counters = &call_server(call)->counters;
    counters->keyspace_hits += winner != NULL;
    counters->keyspace_misses += winner == NULL;
    return winner;
}

/* Reads the key; `on_reply` goes on with what was found. */
static enum call_progress read_key(struct call *call,
                                   enum call_progress (*on_reply)(struct call *, uint32_t,
                                                                  struct client_reply *)) {
    const struct resp_slice *key = &call->argv[1];
    struct client_request request = {.op = CLIENT_READ, .key = key->data, .key_len = key->len};
    call->on_reply = on_reply;
    enum rd_err err = call_submit(call, 0, &request);
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_WAITS;
}

static enum call_progress get_reply(struct call *call, uint32_t part, struct client_reply *reply) {
    (void)part;
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    const struct sibling *winner = reading_winner(call, reply);
    if (winner == NULL) {
        resp_write_null(call_reply(call));
    } else {
        resp_write_bulk(call_reply(call), winner->value->bytes, winner->value->len);
    }
    return CALL_DONE;
}

enum call_progress cmd_get(struct call *call) {
    return read_key(call, get_reply);
}

static enum call_progress strlen_reply(struct call *call, uint32_t part,
                                       struct client_reply *reply) {
    (void)part;
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    const struct sibling *winner = reading_winner(call, reply);
    resp_write_int(call_reply(call), winner == NULL ? 0 : winner->value->len);
    return CALL_DONE;
}

enum call_progress cmd_strlen(struct call *call) {
    return read_key(call, strlen_reply);
}

static enum call_progress type_reply(struct call *call, uint32_t part, struct client_reply *reply) {
    (void)part;
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    resp_write_simple(call_reply(call), reading_winner(call, reply) == NULL ? "none" : "string");
    return CALL_DONE;
}

enum call_progress cmd_type(struct call *call) {
    return read_key(call, type_reply);
}

static enum call_progress set_reply(struct call *call, uint32_t part, struct client_reply *reply) {
    (void)part;
    return reply->err != RD_OK ? call_fail(call, reply->err, reply->text) : call_ok(call);
}

/* Parses what follows SET's value; writes the error and returns false if it is wrong. */
static bool parse_set(struct call *call, uint64_t *expires_ms) {
    struct expiry_option expiry = {0};
    for (size_t i = 3; i < call->argc; i++) {
        if (!expiry_parse(call, &i, &expiry)) {
            call_error(call, "ERR syntax error");
            return false;
        }
    }
    return expiry_resolve(call, &expiry, expires_ms);
}

/* Writes a value without looking at what is there. */
static enum call_progress write_plain(struct call *call, const struct resp_slice *value,
                                      uint64_t expires_ms) {
    const struct resp_slice *key = &call->argv[1];
    struct client_request request = {
        .op = CLIENT_WRITE, .key = key->data, .key_len = key->len, .expires_ms = expires_ms};
    enum rd_err err = blob_new(value->data, value->len, &request.value);
    if (err != RD_OK) {
        return call_fail(call, err, NULL);
    }
    call->on_reply = set_reply;
    err = call_submit(call, 0, &request);
    blob_unref(request.value);
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_WAITS;
}

enum call_progress cmd_set(struct call *call) {
    uint64_t expires_ms = 0;
    if (value_set_reads(call->argv, call->argc)) {
        return cmd_value_change(call);
    }
    return parse_set(call, &expires_ms) ? write_plain(call, &call->argv[2], expires_ms) : CALL_DONE;
}

enum call_progress cmd_setex(struct call *call) {
    struct expiry_option expiry = {.at = 2, .seconds = call->row->name[0] != 'p', .relative = true};
    uint64_t expires_ms = 0;
    return expiry_resolve(call, &expiry, &expires_ms)
               ? write_plain(call, &call->argv[3], expires_ms)
               : CALL_DONE;
}
