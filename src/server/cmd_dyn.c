/* Reading and writing with context: DYNGET, DYNSET, DYNDEL, and this connection's DYNQUORUM. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "replication/node.h"
#include "replication/object.h"
#include "server/call.h"
#include "server/client.h"
#include "server/clock.h"
#include "server/commands.h"
#include "server/driver.h"
#include "server/options.h"
#include "server/reading.h"
#include "server/server.h"

/* ---- DYNGET ----------------------------------------------------------------------------------------- */

/* A set of values, so that equal bytes are shown once: a table of siblings, open addressing, at most half full. */
struct shown {
    const struct sibling **slots; /* owned */
    size_t size;                  /* a power of two */
};

static bool add_shown(struct shown *shown, const struct sibling *sibling) {
    const struct blob *value = sibling->value;
    size_t at = hash_xxh64(value->bytes, value->len, 0) & (shown->size - 1);
    for (; shown->slots[at] != NULL; at = (at + 1) & (shown->size - 1)) {
        const struct blob *other = shown->slots[at]->value;
        if (other == value ||
            (other->len == value->len && memcmp(other->bytes, value->bytes, value->len) == 0)) {
            return false;
        }
    }
    shown->slots[at] = sibling;
    return true;
}

/* Writes the values that a reader may see, newest first. Error: RD_ENOMEM. */
static enum rd_err write_values(struct resp_writer *w, const struct object *object,
                                uint64_t wall_ms) {
    struct shown shown = {.size = 4};
    while (shown.size < (size_t)object->count * 2) {
        shown.size *= 2;
    }
    shown.slots = calloc(shown.size, sizeof(struct sibling *));
    if (shown.slots == NULL) {
        return RD_ENOMEM;
    }
    struct resp_deferred values;
    resp_write_open(w, &values);
    for (uint32_t i = 0; i < object->count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        if (!sibling_expired(sibling, wall_ms) && add_shown(&shown, sibling)) {
            resp_write_bulk(w, sibling->value->bytes, sibling->value->len);
        }
    }
    resp_write_close_array(w, &values);
    free(shown.slots);
    return RD_OK;
}

static enum call_progress dynget_reply(struct call *call, uint32_t part,
                                       struct client_reply *reply) {
    (void)part;
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    (void)reading_winner(call, reply);
    struct buf context = {0};
    const struct resp_slice *key = &call->argv[1];
    enum rd_err err = node_seal(driver_node(call_server(call)->driver), key->data, key->len,
                                &reply->object, &context);
    if (err != RD_OK) {
        return call_fail(call, err, NULL);
    }
    struct resp_writer *w = call_reply(call);
    bool map = call->proto == 3;
    if (map) {
        resp_write_map(w, 2);
        resp_write_text(w, "context");
    } else {
        resp_write_array(w, 2);
    }
    resp_write_bulk(w, buf_data(&context), buf_len(&context));
    buf_free(&context);
    if (map) {
        resp_write_text(w, "values");
    }
    err = write_values(w, &reply->object, clock_now().wall_us / 1000);
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_DONE;
}

enum call_progress cmd_dynget(struct call *call) {
    const struct resp_slice *key = &call->argv[1];
    struct client_request request = {.op = CLIENT_READ, .key = key->data, .key_len = key->len};
    for (size_t i = 2; i < call->argc; i += 2) {
        if (!call_arg_is(call, i, "r") || i + 1 >= call->argc || request.r != 0) {
            return call_error(call, "ERR syntax error");
        }
        if (!quorum_parse(call, i + 1, "R", &request.r)) {
            return CALL_DONE;
        }
    }
    call->on_reply = dynget_reply;
    enum rd_err err = call_keep_args(call);
    if (err == RD_OK) {
        err = call_submit(call, 0, &request);
    }
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_WAITS;
}

/* ---- DYNSET, DYNDEL --------------------------------------------------------------------------------- */

static enum call_progress context_reply(struct call *call, uint32_t part,
                                        struct client_reply *reply) {
    (void)part;
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    resp_write_bulk(call_reply(call), buf_data(&reply->context), buf_len(&reply->context));
    return CALL_DONE;
}

/* Parses CONTEXT, W and, with `expiry`, the expiry options from argument `first` on. Writes the error and returns false if something is wrong. */
static bool parse_write(struct call *call, size_t first, struct expiry_option *expiry,
                        struct client_request *request) {
    for (size_t i = first; i < call->argc; i++) {
        bool more = i + 1 < call->argc;
        if (expiry != NULL && expiry_parse(call, &i, expiry)) {
            continue;
        }
        if (call_arg_is(call, i, "context") && more && request->context == NULL) {
            i++;
            request->context = (const char *)call->argv[i].data;
            request->context_len = call->argv[i].len;
        } else if (call_arg_is(call, i, "w") && more && request->w == 0) {
            i++;
            if (!quorum_parse(call, i, "W", &request->w)) {
                return false;
            }
        } else {
            call_error(call, "ERR syntax error");
            return false;
        }
    }
    return true;
}

static enum call_progress submit_write(struct call *call, struct client_request *request) {
    call->on_reply = context_reply;
    enum rd_err err = call_submit(call, 0, request);
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_WAITS;
}

enum call_progress cmd_dynset(struct call *call) {
    const struct resp_slice *key = &call->argv[1], *value = &call->argv[2];
    struct client_request request = {
        .op = CLIENT_WRITE, .key = key->data, .key_len = key->len, .with_context = true};
    struct expiry_option expiry = {0};
    if (!parse_write(call, 3, &expiry, &request) ||
        !expiry_resolve(call, &expiry, &request.expires_ms)) {
        return CALL_DONE;
    }
    enum rd_err err = blob_new(value->data, value->len, &request.value);
    if (err != RD_OK) {
        return call_fail(call, err, NULL);
    }
    enum call_progress progress = submit_write(call, &request);
    blob_unref(request.value);
    return progress;
}

enum call_progress cmd_dyndel(struct call *call) {
    const struct resp_slice *key = &call->argv[1];
    struct client_request request = {
        .op = CLIENT_WRITE, .key = key->data, .key_len = key->len, .with_context = true};
    if (!parse_write(call, 2, NULL, &request)) {
        return CALL_DONE;
    }
    return submit_write(call, &request);
}

/* ---- DYNQUORUM -------------------------------------------------------------------------------------- */

static enum call_progress show_quorum(struct call *call) {
    const struct client *client = call->client;
    uint32_t n = 0, r = 0, w = 0;
    node_quorum(driver_node(call_server(call)->driver), &n, &r, &w);
    struct resp_writer *writer = call_reply(call);
    resp_write_map(writer, 4);
    resp_write_text(writer, "n");
    resp_write_int(writer, n);
    resp_write_text(writer, "r");
    resp_write_int(writer, client->r != 0 ? client->r : r);
    resp_write_text(writer, "w");
    resp_write_int(writer, client->w != 0 ? client->w : w);
    resp_write_text(writer, "monotonic");
    resp_write_bool(writer, client->monotonic);
    return CALL_DONE;
}

enum call_progress cmd_dynquorum(struct call *call) {
    struct client *client = call->client;
    uint32_t r = client->r, w = client->w;
    int monotonic = client->monotonic;
    for (size_t i = 1; i < call->argc; i++) {
        if (call_arg_is(call, i, "reset")) {
            r = w = 0;
            monotonic = 0;
            continue;
        }
        bool is_r = call_arg_is(call, i, "r"), is_w = call_arg_is(call, i, "w"),
             is_monotonic = call_arg_is(call, i, "monotonic");
        if (i + 1 >= call->argc || !(is_r || is_w || is_monotonic)) {
            return call_error(call, "ERR syntax error");
        }
        i++;
        if (is_monotonic &&
            text_yes_no((const char *)call->argv[i].data, call->argv[i].len, &monotonic) != RD_OK) {
            return call_error(call, "ERR MONOTONIC must be yes or no");
        }
        if (!is_monotonic && !quorum_parse(call, i, is_r ? "R" : "W", is_r ? &r : &w)) {
            return CALL_DONE;
        }
    }
    client->r = r;
    client->w = w;
    client->monotonic = monotonic != 0;
    return show_quorum(call);
}
