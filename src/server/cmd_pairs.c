/* Commands on two keys that write what they have read: COPY, RENAME, RENAMENX. And MSETNX, BITOP, LCS, which read all their keys first.
 *
 * There is no transaction across keys. A value is written to its new place before the old one is removed, and the old one is removed with
 * the context it was read with: so a value written to it meanwhile stays, and whatever dies in between, at least one of the two has the value. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/node.h"
#include "replication/object.h"
#include "server/call.h"
#include "server/clock.h"
#include "server/commands.h"
#include "server/driver.h"
#include "server/gather.h"
#include "server/reading.h"
#include "server/server.h"
#include "server/value.h"

/* ---- COPY, RENAME, RENAMENX ------------------------------------------------------------------------- */

enum pair_step { STEP_READ, STEP_WRITE, STEP_REMOVE };

struct pair {
    bool removes;       /* RENAME: the source goes */
    bool only_new;      /* the destination must not exist */
    bool same;          /* source and destination are one key */
    bool replies_ok;    /* RENAME; else a number */
    struct buf context; /* of what was read */
};

static void free_pair(void *arg) {
    struct pair *pair = arg;
    buf_free(&pair->context);
    free(pair);
}

static enum call_progress submit(struct call *call, enum pair_step step, size_t key,
                                 struct client_request *request) {
    request->key = call->argv[key].data;
    request->key_len = call->argv[key].len;
    enum rd_err err = call_submit(call, (uint32_t)step, request);
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_WAITS;
}

static enum call_progress succeed(struct call *call, const struct pair *pair, bool done) {
    if (pair->replies_ok) {
        return call_ok(call);
    }
    resp_write_int(call_reply(call), done);
    return CALL_DONE;
}

/* Writes the destination only if there is none: SET destination value NX PXAT. */
static enum call_progress write_new(struct call *call, const struct sibling *winner) {
    char time[24];
    int len = snprintf(time, sizeof time, "%llu", (unsigned long long)winner->expires_ms);
    const struct resp_slice argv[] = {{(const uint8_t *)"set", 3},
                                      call->argv[2],
                                      {winner->value->bytes, winner->value->len},
                                      {(const uint8_t *)"nx", 2},
                                      {(const uint8_t *)"pxat", 4},
                                      {(const uint8_t *)time, (size_t)len}};
    struct client_request request = {.op = CLIENT_RMW};
    enum rd_err err = value_pack(argv, winner->expires_ms != 0 ? 6 : 4, 2, &request.value);
    if (err != RD_OK) {
        return call_fail(call, err, NULL);
    }
    enum call_progress progress = submit(call, STEP_WRITE, 2, &request);
    blob_unref(request.value);
    return progress;
}

static enum call_progress after_read(struct call *call, struct client_reply *reply) {
    struct pair *pair = call->state;
    const struct sibling *winner = reading_winner(call, reply);
    if (winner == NULL) {
        return pair->removes ? call_error(call, "ERR no such key") : succeed(call, pair, false);
    }
    if (pair->same) {
        return succeed(call, pair, false);
    }
    if (pair->removes && node_seal(driver_node(call_server(call)->driver), call->argv[1].data,
                                   call->argv[1].len, &reply->object, &pair->context) != RD_OK) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    if (pair->only_new) {
        return write_new(call, winner);
    }
    struct client_request request = {
        .op = CLIENT_WRITE, .value = winner->value, .expires_ms = winner->expires_ms};
    return submit(call, STEP_WRITE, 2, &request);
}

static enum call_progress after_write(struct call *call, const struct client_reply *reply) {
    struct pair *pair = call->state;
    if (pair->only_new && (buf_len(&reply->reply) == 0 || buf_data(&reply->reply)[0] != '+')) {
        return succeed(call, pair, false);
    }
    if (!pair->removes) {
        return succeed(call, pair, true);
    }
    struct client_request request = {.op = CLIENT_WRITE,
                                     .with_context = true,
                                     .context = (const char *)buf_data(&pair->context),
                                     .context_len = buf_len(&pair->context)};
    return submit(call, STEP_REMOVE, 1, &request);
}

static enum call_progress pair_reply(struct call *call, uint32_t part, struct client_reply *reply) {
    if (reply->err != RD_OK && part == STEP_REMOVE) {
        return call_errorf(call,
                           "UNKNOWN the new key was written, the old one may still be there: %s",
                           reply->text[0] != '\0' ? reply->text : rd_err_text(reply->err));
    }
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    return part == STEP_READ    ? after_read(call, reply)
           : part == STEP_WRITE ? after_write(call, reply)
                                : succeed(call, call->state, true);
}

static bool same_keys(const struct call *call) {
    const struct resp_slice *a = &call->argv[1], *b = &call->argv[2];
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static enum call_progress begin(struct call *call, const struct pair *how) {
    struct pair *pair = malloc(sizeof *pair);
    if (pair == NULL || call_keep_args(call) != RD_OK) {
        free(pair);
        return call_fail(call, RD_ENOMEM, NULL);
    }
    *pair = *how;
    pair->same = same_keys(call);
    call->state = pair;
    call->free_state = free_pair;
    call->on_reply = pair_reply;
    struct client_request request = {.op = CLIENT_READ};
    return submit(call, STEP_READ, 1, &request);
}

enum call_progress cmd_rename(struct call *call) {
    return begin(call, &(struct pair){.removes = true, .replies_ok = true});
}

enum call_progress cmd_renamenx(struct call *call) {
    return begin(call, &(struct pair){.removes = true, .only_new = true});
}

enum call_progress cmd_copy(struct call *call) {
    struct pair pair = {.only_new = true};
    for (size_t i = 3; i < call->argc; i++) {
        int64_t number;
        if (call_arg_is(call, i, "replace")) {
            pair.only_new = false;
        } else if (call_arg_is(call, i, "db") && i + 1 < call->argc) {
            if (!call_arg_i64(call, ++i, &number)) {
                return CALL_DONE;
            }
            if (number != 0) {
                return call_error(call, number >= INT32_MIN && number <= INT32_MAX
                                            ? "ERR DB index is out of range"
                                            : "ERR value is out of range");
            }
        } else {
            return call_error(call, "ERR syntax error");
        }
    }
    if (same_keys(call)) {
        return call_error(call, "ERR source and destination objects are the same");
    }
    return begin(call, &pair);
}
