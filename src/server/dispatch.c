/* From arguments to a call: which command, whether it may be called so, and when it may start.
 *
 * Every command, also a wrong one, becomes a call, since its error must leave in order. Commands with keys claim their
 * lanes here; a barrier is parked until it is the oldest call of its connection.
 */
#include "server/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "server/call.h"
#include "server/client.h"
#include "server/client_list.h"
#include "server/clock.h"
#include "server/command_table.h"
#include "server/config.h"
#include "server/log.h"
#include "server/server.h"

#define SHOWN_ARGUMENT_BYTES 128
#define HTTP_LOG_US 60000000 /* one complaint a minute */

static int shown_len(const struct resp_slice *arg, size_t max) {
    return (int)(arg->len < max ? arg->len : max);
}

static void unknown_command(struct call *call) {
    char args[SHOWN_ARGUMENT_BYTES * 2] = "";
    size_t used = 0;
    for (size_t i = 1; i < call->argc && used < SHOWN_ARGUMENT_BYTES; i++) {
        int len = shown_len(&call->argv[i], SHOWN_ARGUMENT_BYTES - used);
        used += (size_t)snprintf(args + used, sizeof(args) - used, "'%.*s' ", len,
                                 (const char *)call->argv[i].data);
    }
    call_errorf(call, "ERR unknown command '%.*s', with args beginning with: %s",
                shown_len(&call->argv[0], SHOWN_ARGUMENT_BYTES), (const char *)call->argv[0].data,
                args);
}

static void unknown_subcommand(struct call *call, const struct command *parent) {
    char upper[32];
    size_t i = 0;
    for (; parent->name[i] != '\0' && i + 1 < sizeof(upper); i++) {
        upper[i] = (char)(parent->name[i] - ('a' - 'A'));
    }
    upper[i] = '\0';
    call_errorf(call, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                shown_len(&call->argv[1], SHOWN_ARGUMENT_BYTES), (const char *)call->argv[1].data,
                upper);
}

/* Writes the error if the call may not run. */
static bool refuse(struct call *call, const struct command *parent) {
    if (parent == NULL) {
        unknown_command(call);
        return true;
    }
    if (call->row == NULL) {
        unknown_subcommand(call, parent);
        return true;
    }
    if (!command_arity_ok(call->row, call->argc) || call->row->run == NULL) {
        call_errorf(call, "ERR wrong number of arguments for '%s' command", call->row->name);
        return true;
    }
    if (!call->client->authenticated && (call->row->flags & COMMAND_NO_AUTH) == 0) {
        call_error(call, "NOAUTH Authentication required.");
        return true;
    }
    return false;
}

/* Claims the call's keys. Error: RD_ENOMEM, nothing claimed. */
static enum rd_err claim_keys(struct call *call) {
    struct command_keys keys = command_keys(call->row, call->argc);
    if (keys.count == 0) {
        return RD_OK;
    }
    struct lane_claim *claims = &call->one_claim;
    if (keys.count > 1) {
        claims = malloc(keys.count * sizeof(*claims));
        if (claims == NULL) {
            return RD_ENOMEM;
        }
    }
    for (size_t i = 0; i < keys.count; i++) {
        const struct resp_slice *key = &call->argv[keys.first + i * keys.step];
        claims[i] = (struct lane_claim){
            .hash = hash_xxh64(key->data, key->len, call->client->id),
            .owner = call,
            .exclusive = (call->row->flags & COMMAND_WRITE) != 0,
        };
    }
    call->claims = claims;
    call->claim_count = keys.count;
    call->waiting = lanes_enter(&call->clients->lanes, claims, keys.count);
    return RD_OK;
}

/* For WAIT. Without memory for it the write before is waited for. */
static void note_write(struct call *call) {
    struct command_keys keys = command_keys(call->row, call->argc);
    if ((call->row->flags & COMMAND_WRITE) == 0 || keys.count == 0) {
        return;
    }
    const struct resp_slice *key = &call->argv[keys.first + (keys.count - 1) * keys.step];
    struct buf *wrote = &call->client->wrote;
    buf_truncate(wrote, 0);
    if (buf_append(wrote, "k", 1) != RD_OK || buf_append(wrote, key->data, key->len) != RD_OK) {
        buf_truncate(wrote, 0);
    }
}

static bool is_word(const struct resp_slice *arg, const char *word) {
    return arg->len == strlen(word) && strncasecmp((const char *)arg->data, word, arg->len) == 0;
}

/* A browser that a web page has sent here: each line of its request would count as a command, also those of a body that the page
 * has chosen. As Redis does, nothing of it is carried out. */
static bool is_http_request(struct client *client, const struct resp_slice *name) {
    struct clients *clients = client->clients;
    if (!is_word(name, "post") && !is_word(name, "host:")) {
        return false;
    }
    uint64_t now_us = clock_now().mono_us;
    if (clients->http_logged_us == 0 || now_us - clients->http_logged_us > HTTP_LOG_US) {
        clients->http_logged_us = now_us;
        log_line(clients->server->log, LOG_WARNING,
                 "Possible attack: %s sent an HTTP request, likely a web page's that wants to run "
                 "commands here. Connection closed",
                 client->address);
    }
    client->last_words = true;
    return true;
}

void dispatch(struct client *client, const struct resp_slice *argv, size_t argc) {
    if (is_http_request(client, &argv[0])) {
        return;
    }
    struct call *call = call_new(client, argv, argc);
    if (call == NULL) {
        client->doomed = true;
        return;
    }
    const struct command_table *table = client->clients->commands;
    const struct command *parent = client->last_command;
    call->row = parent;
    if (!command_is(table, parent, argv[0])) {
        call->row = command_resolve(table, argv, argc, &parent);
    }
    if (refuse(call, parent)) {
        call_refused(call);
        return;
    }
    client->last_command = call->row;
    if (claim_keys(call) != RD_OK) {
        call_fail(call, RD_ENOMEM, NULL);
        call_refused(call);
        return;
    }
    note_write(call);
    if ((call->row->flags & COMMAND_BARRIER) != 0 && client->first_call != call) {
        client->barrier = call;
        call->waiting++;
    }
    if ((call->row->flags & COMMAND_ALONE) != 0) {
        client->alone = call;
    }
    if (call->waiting == 0) {
        call_run(call);
        return;
    }
    call->parked = true;
    if (call_keep_args(call) != RD_OK) {
        call->parked = false;
        call->waiting = 0;
        client->barrier = client->barrier == call ? NULL : client->barrier;
        call_fail(call, RD_ENOMEM, NULL);
        call_refused(call);
    }
}

void dispatch_protocol_error(struct client *client, const char *text) {
    client->last_words = true;
    struct call *call = call_new(client, NULL, 0);
    if (call == NULL) {
        client->doomed = true;
        return;
    }
    call_errorf(call, "ERR %s", text);
    call_refused(call);
}
