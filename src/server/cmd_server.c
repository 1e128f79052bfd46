/* Commands about the server: CONFIG, INFO, TIME, DBSIZE, SHUTDOWN. */
#include <stdlib.h>

#include "base/buf.h"
#include "server/call.h"
#include "server/client_stats.h"
#include "server/clock.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/info.h"
#include "server/server.h"

enum call_progress cmd_info(struct call *call) {
    struct buf text = {0};
    enum rd_err err = info_write(call_server(call), call->argv + 1, call->argc - 1, &text);
    if (err == RD_OK) {
        resp_write_verbatim(call_reply(call), "txt", buf_data(&text), buf_len(&text));
    } else {
        call_fail(call, err, NULL);
    }
    buf_free(&text);
    return CALL_DONE;
}

enum call_progress cmd_time(struct call *call) {
    uint64_t now_us = clock_now().wall_us;
    struct resp_writer *w = call_reply(call);
    resp_write_array(w, 2);
    resp_write_bulk_int(w, (int64_t)(now_us / 1000000));
    resp_write_bulk_int(w, (int64_t)(now_us % 1000000));
    return CALL_DONE;
}

static enum call_progress dbsize_reply(struct call *call, uint32_t part,
                                       struct client_reply *reply) {
    (void)part;
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    resp_write_int(call_reply(call), (int64_t)reply->number);
    return CALL_DONE;
}

enum call_progress cmd_dbsize(struct call *call) {
    struct client_request request = {.op = CLIENT_COUNT};
    call->on_reply = dbsize_reply;
    enum rd_err err = call_submit(call, 0, &request);
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_WAITS;
}

enum call_progress cmd_shutdown(struct call *call) {
    bool save = false, nosave = false, abort = false, other = false;
    for (size_t i = 1; i < call->argc; i++) {
        if (call_arg_is(call, i, "save")) {
            save = true;
        } else if (call_arg_is(call, i, "nosave")) {
            nosave = true;
        } else if (call_arg_is(call, i, "abort")) {
            abort = true;
        } else if (call_arg_is(call, i, "now") || call_arg_is(call, i, "force")) {
            other = true;
        } else {
            return call_error(call, "ERR syntax error");
        }
    }
    if ((save && nosave) || (abort && (save || nosave || other))) {
        return call_error(call, "ERR syntax error");
    }
    if (abort) {
        return call_error(call, "ERR No shutdown in progress.");
    }
    struct server *server = call_server(call);
    server->stop(server);
    call->muted = true; /* the end of the connection is the answer */
    return CALL_DONE;
}

/* ---- CONFIG ----------------------------------------------------------------------------------------- */

static void emit(void *arg, const char *name, const char *value) {
    struct resp_writer *w = arg;
    resp_write_text(w, name);
    resp_write_text(w, value);
}

enum call_progress cmd_config_get(struct call *call) {
    struct resp_writer *w = call_reply(call);
    struct resp_deferred map;
    resp_write_open(w, &map);
    enum rd_err err =
        config_get(call_server(call)->config, call->argv + 2, call->argc - 2, emit, w);
    resp_write_close_map(w, &map);
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_DONE;
}

static enum call_progress refuse_set(struct call *call, enum rd_err err, size_t failed,
                                     const char *reason) {
    const struct resp_slice *name = &call->argv[2 + 2 * failed];
    int shown = (int)(name->len < 128 ? name->len : 128);
    if (err == RD_ENOMEM) {
        return call_fail(call, err, NULL);
    }
    if (err == RD_ENOTFOUND) {
        return call_errorf(call,
                           "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                           shown, (const char *)name->data);
    }
    return call_errorf(call, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
                       shown, (const char *)name->data, reason);
}

enum call_progress cmd_config_set(struct call *call) {
    if (call->argc % 2 != 0) {
        return call_error(call, "ERR syntax error");
    }
    size_t count = (call->argc - 2) / 2;
    struct resp_slice *pairs = malloc(2 * count * sizeof(*pairs));
    if (pairs == NULL) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        pairs[i] = call->argv[2 + 2 * i];
        pairs[count + i] = call->argv[3 + 2 * i];
    }
    size_t failed = 0;
    char reason[CONFIG_REASON_BYTES] = "";
    enum rd_err err =
        config_set(call_server(call)->config, pairs, pairs + count, count, &failed, reason);
    free(pairs);
    return err != RD_OK ? refuse_set(call, err, failed, reason) : call_ok(call);
}

enum call_progress cmd_config_resetstat(struct call *call) {
    client_stats_reset(call->clients);
    return call_ok(call);
}
