/* Commands about the connection itself, except CLIENT: they change its state at once, for the commands that come behind them. */
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "replication/node.h"
#include "server/call.h"
#include "server/client.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/info.h"
#include "server/server.h"

#define WRONGPASS "WRONGPASS invalid username-password pair or user is disabled."

enum call_progress cmd_ping(struct call *call) {
    if (call->argc > 2) {
        return call_error(call, "ERR wrong number of arguments for 'ping' command");
    }
    if (call->argc == 2) {
        resp_write_bulk(call_reply(call), call->argv[1].data, call->argv[1].len);
    } else {
        resp_write_simple(call_reply(call), "PONG");
    }
    return CALL_DONE;
}

enum call_progress cmd_echo(struct call *call) {
    resp_write_bulk(call_reply(call), call->argv[1].data, call->argv[1].len);
    return CALL_DONE;
}

enum call_progress cmd_quit(struct call *call) {
    call->client->last_words = true;
    return call_ok(call);
}

enum call_progress cmd_reset(struct call *call) {
    client_reset(call->client);
    call->proto = 2;
    call->muted = false;
    resp_write_simple(call_reply(call), "RESET");
    return CALL_DONE;
}

enum call_progress cmd_select(struct call *call) {
    int64_t index = 0;
    if (!call_arg_i64(call, 1, &index)) {
        return CALL_DONE;
    }
    if (index == 0) {
        return call_ok(call);
    }
    bool cluster = call_server(call)->config->partitioner == PARTITIONER_CRC16;
    return call_error(call, cluster ? "ERR SELECT is not allowed in cluster mode"
                                    : "ERR DB index is out of range");
}

/* ---- who is it -------------------------------------------------------------------------------------- */

/* True if `user` (NULL: the default one) may come in with `password`. Takes as long for a wrong password as for the right one. */
static bool authenticate(const struct call *call, const struct resp_slice *user,
                         const struct resp_slice *password) {
    const char *wanted = call_server(call)->config->requirepass;
    if (user != NULL && (user->len != 7 || memcmp(user->data, "default", 7) != 0)) {
        return false;
    }
    if (wanted[0] == '\0') {
        return true;
    }
    uint8_t given_sum[HASH_HMAC_BYTES], wanted_sum[HASH_HMAC_BYTES];
    hash_hmac("", 0, password->data, password->len, given_sum);
    hash_hmac("", 0, wanted, strlen(wanted), wanted_sum);
    return hash_equal(given_sum, wanted_sum, sizeof(given_sum)) != 0;
}

static void let_in(struct client *client) {
    client->authenticated = true;
    resp_command_set_authenticated(&client->reader, true);
}

enum call_progress cmd_auth(struct call *call) {
    if (call->argc > 3) {
        return call_error(call, "ERR syntax error");
    }
    const struct resp_slice *user = call->argc == 3 ? &call->argv[1] : NULL;
    if (user == NULL && call_server(call)->config->requirepass[0] == '\0') {
        return call_error(
            call,
            "ERR AUTH <password> called without any password configured for the default user. "
            "Are you sure your configuration is correct?");
    }
    if (!authenticate(call, user, &call->argv[call->argc - 1])) {
        return call_error(call, WRONGPASS);
    }
    let_in(call->client);
    return call_ok(call);
}

/* What HELLO was given. */
struct hello {
    int64_t proto; /* 0: none */
    const struct resp_slice *user, *password, *name;
};

/* Parses HELLO's arguments; writes the error and returns false if they are wrong. */
static bool parse_hello(struct call *call, struct hello *out) {
    *out = (struct hello){0};
    size_t i = 1;
    if (call->argc > 1) {
        if (text_i64((const char *)call->argv[1].data, call->argv[1].len, &out->proto) != RD_OK) {
            call_error(call, "ERR Protocol version is not an integer or out of range");
            return false;
        }
        if (out->proto != 2 && out->proto != 3) {
            call_error(call, "NOPROTO unsupported protocol version");
            return false;
        }
        i = 2;
    }
    for (; i < call->argc; i++) {
        size_t more = call->argc - 1 - i;
        if (call_arg_is(call, i, "auth") && more >= 2) {
            out->user = &call->argv[i + 1];
            out->password = &call->argv[i + 2];
            i += 2;
        } else if (call_arg_is(call, i, "setname") && more >= 1) {
            out->name = &call->argv[i + 1];
            i++;
        } else {
            call_errorf(call, "ERR Syntax error in HELLO option '%.*s'",
                        (int)(call->argv[i].len < 128 ? call->argv[i].len : 128),
                        (const char *)call->argv[i].data);
            return false;
        }
    }
    return true;
}

static enum call_progress say_hello(struct call *call) {
    struct resp_writer *w = call_reply(call);
    bool cluster = call_server(call)->config->partitioner == PARTITIONER_CRC16;
    resp_write_map(w, 7);
    resp_write_text(w, "server");
    resp_write_text(w, "redis");
    resp_write_text(w, "version");
    resp_write_text(w, INFO_REDIS_VERSION);
    resp_write_text(w, "proto");
    resp_write_int(w, call->proto);
    resp_write_text(w, "id");
    resp_write_int(w, (int64_t)call->client->id);
    resp_write_text(w, "mode");
    resp_write_text(w, cluster ? "cluster" : "standalone");
    resp_write_text(w, "role");
    resp_write_text(w, "master");
    resp_write_text(w, "modules");
    resp_write_array(w, 0);
    return CALL_DONE;
}

enum call_progress cmd_hello(struct call *call) {
    struct hello hello;
    struct client *client = call->client;
    if (!parse_hello(call, &hello)) {
        return CALL_DONE;
    }
    if (hello.password != NULL) {
        if (!authenticate(call, hello.user, hello.password)) {
            return call_error(call, WRONGPASS);
        }
        let_in(client);
    }
    if (!client->authenticated) {
        return call_error(call, "NOAUTH HELLO must be called with the client already "
                                "authenticated, otherwise the HELLO <proto> "
                                "AUTH <user> <pass> option can be used to authenticate the client "
                                "and select the RESP protocol "
                                "version at the same time");
    }
    if (hello.name != NULL) {
        if (!client_text_is_plain(hello.name)) {
            return call_error(
                call, "ERR Client names cannot contain spaces, newlines or special characters.");
        }
        if (client_set_text(&client->name, hello.name->data, hello.name->len) != RD_OK) {
            return call_fail(call, RD_ENOMEM, NULL);
        }
    }
    if (hello.proto != 0) {
        client->proto = (int)hello.proto;
        call->proto = (uint8_t)hello.proto;
    }
    return say_hello(call);
}

/* ---- cluster-aware clients say these ----------------------------------------------------------------- */

static enum call_progress accept_in_cluster(struct call *call) {
    if (call_server(call)->config->partitioner != PARTITIONER_CRC16) {
        return call_error(call, "ERR This instance has cluster support disabled");
    }
    return call_ok(call);
}

enum call_progress cmd_readonly(struct call *call) {
    return accept_in_cluster(call);
}

enum call_progress cmd_readwrite(struct call *call) {
    return accept_in_cluster(call);
}

enum call_progress cmd_asking(struct call *call) {
    return accept_in_cluster(call);
}
