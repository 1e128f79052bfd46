/* CLIENT: what connections are called, and what they look like. */
#include <string.h>

#include "base/text.h"
#include "server/call.h"
#include "server/client.h"
#include "server/client_list.h"
#include "server/commands.h"

enum call_progress cmd_client_id(struct call *call) {
    resp_write_int(call_reply(call), (int64_t)call->client->id);
    return CALL_DONE;
}

enum call_progress cmd_client_getname(struct call *call) {
    if (call->client->name == NULL) {
        resp_write_null(call_reply(call));
    } else {
        resp_write_text(call_reply(call), call->client->name);
    }
    return CALL_DONE;
}

enum call_progress cmd_client_setname(struct call *call) {
    const struct resp_slice *name = &call->argv[2];
    if (!client_text_is_plain(name)) {
        return call_error(
            call, "ERR Client names cannot contain spaces, newlines or special characters.");
    }
    enum rd_err err = client_set_text(&call->client->name, name->data, name->len);
    return err != RD_OK ? call_fail(call, err, NULL) : call_ok(call);
}

enum call_progress cmd_client_setinfo(struct call *call) {
    const struct resp_slice *value = &call->argv[3];
    bool is_name = call_arg_is(call, 2, "lib-name");
    if (!is_name && !call_arg_is(call, 2, "lib-ver")) {
        return call_errorf(call, "ERR Unrecognized option '%.*s'",
                           (int)(call->argv[2].len < 128 ? call->argv[2].len : 128),
                           (const char *)call->argv[2].data);
    }
    if (!client_text_is_plain(value)) {
        return call_errorf(call, "ERR %s cannot contain spaces, newlines or special characters.",
                           is_name ? "lib-name" : "lib-ver");
    }
    char **field = is_name ? &call->client->lib_name : &call->client->lib_version;
    enum rd_err err = client_set_text(field, value->data, value->len);
    return err != RD_OK ? call_fail(call, err, NULL) : call_ok(call);
}

enum call_progress cmd_client_reply(struct call *call) {
    struct client *client = call->client;
    if (call_arg_is(call, 2, "on")) {
        client->reply_mode = CLIENT_REPLY_ON;
        client->skip_next = false;
        call->muted = false;
        return call_ok(call);
    }
    if (call_arg_is(call, 2, "off")) {
        client->reply_mode = CLIENT_REPLY_OFF;
    } else if (call_arg_is(call, 2, "skip")) {
        client->skip_next = client->reply_mode == CLIENT_REPLY_ON;
    } else {
        return call_error(call, "ERR syntax error");
    }
    call->muted = true;
    return CALL_DONE;
}

/* ---- LIST and INFO ---------------------------------------------------------------------------------- */

static enum call_progress send_lines(struct call *call, enum rd_err err, struct buf *lines) {
    if (err == RD_OK) {
        resp_write_verbatim(call_reply(call), "txt", buf_data(lines), buf_len(lines));
    } else {
        call_fail(call, err, NULL);
    }
    buf_free(lines);
    return CALL_DONE;
}

static enum rd_err add_line(const struct client *client, struct buf *out) {
    enum rd_err err = client_describe(client, out);
    return err != RD_OK ? err : buf_append(out, "\n", 1);
}

enum call_progress cmd_client_info(struct call *call) {
    struct buf lines = {0};
    enum rd_err err = add_line(call->client, &lines);
    return send_lines(call, err, &lines);
}

/* The connections named by the arguments from `first` on, in their order. */
static enum call_progress list_ids(struct call *call, size_t first) {
    struct buf lines = {0};
    enum rd_err err = RD_OK;
    for (size_t i = first; i < call->argc && err == RD_OK; i++) {
        int64_t id = 0;
        if (text_i64((const char *)call->argv[i].data, call->argv[i].len, &id) != RD_OK) {
            buf_free(&lines);
            return call_error(call, "ERR Invalid client ID");
        }
        for (const struct client *client = call->clients->first; client != NULL && err == RD_OK;
             client = client->next) {
            err = client->id == (uint64_t)id ? add_line(client, &lines) : RD_OK;
        }
    }
    return send_lines(call, err, &lines);
}

enum call_progress cmd_client_list(struct call *call) {
    bool all = call->argc == 2;
    if (call->argc == 4 && call_arg_is(call, 2, "type")) {
        all = call_arg_is(call, 3, "normal");
        bool known = all || call_arg_is(call, 3, "master") || call_arg_is(call, 3, "replica") ||
                     call_arg_is(call, 3, "slave") || call_arg_is(call, 3, "pubsub");
        if (!known) {
            return call_errorf(call, "ERR Unknown client type '%.*s'",
                               (int)(call->argv[3].len < 128 ? call->argv[3].len : 128),
                               (const char *)call->argv[3].data);
        }
    } else if (call->argc > 3 && call_arg_is(call, 2, "id")) {
        return list_ids(call, 3);
    } else if (call->argc != 2) {
        return call_error(call, "ERR syntax error");
    }
    struct buf lines = {0};
    enum rd_err err = RD_OK;
    for (const struct client *client = call->clients->first; all && client != NULL && err == RD_OK;
         client = client->next) {
        err = add_line(client, &lines);
    }
    return send_lines(call, err, &lines);
}
