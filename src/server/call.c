/* A call: its memory, its reply, its requests, its end. Not here: which command it is and when it may start (dispatch.c).
 *
 * Invariants: a call of a live connection is in the connection's queue until it is done and all before it are; a call without one is in
 * clients->orphans. `writing` is true only while the command's function, or its on_reply, runs. Only the head of the queue writes to the connection's
 * output directly, so that replies leave in order. Calls become ready in run_ready only, one after the other, so the stack
 * does not grow with the length of a lane.
 */
#include "server/call.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/client.h"
#include "server/client_list.h"
#include "server/client_stats.h"
#include "server/command_table.h"
#include "server/config.h"
#include "server/driver.h"
#include "server/server.h"

#define FREE_CALLS_MAX 4096
#define KEPT_OUT_BYTES 1024

struct server *call_server(const struct call *call) {
    return call->clients->server;
}

/* ---- memory ----------------------------------------------------------------------------------------- */

struct call *call_new(struct client *client, const struct resp_slice *argv, size_t argc) {
    struct clients *clients = client->clients;
    struct call *call = clients->free_calls;
    if (call != NULL) {
        clients->free_calls = call->next;
        clients->free_call_count--;
    } else {
        call = calloc(1, sizeof(*call));
        if (call == NULL) {
            return NULL;
        }
    }
    call->next = NULL;
    call->clients = clients;
    call->client = client;
    call->argv = argv;
    call->argc = argc;
    call->proto = (uint8_t)client->proto;
    call->muted = client->reply_mode == CLIENT_REPLY_OFF || client->skip_next;
    client->skip_next = false;
    call->monotonic = client->monotonic;
    call->r = client->r;
    call->w = client->w;
    call->begun_us = client->active_us;
    if (client->last_call == NULL) {
        client->first_call = call;
    } else {
        client->last_call->next = call;
    }
    client->last_call = call;
    client->in_flight++;
    return call;
}

/* Frees all that the call owns but itself and the memory of `out`. */
static void release(struct call *call) {
    if (call->state != NULL && call->free_state != NULL) {
        call->free_state(call->state);
    }
    free(call->kept);
    if (call->claims != &call->one_claim) {
        free(call->claims);
    }
}

void call_free(struct call *call) {
    release(call);
    buf_free(&call->out);
    free(call);
}

static void recycle(struct call *call) {
    struct clients *clients = call->clients;
    if (clients->free_call_count >= FREE_CALLS_MAX) {
        call_free(call);
        return;
    }
    release(call);
    struct buf out = call->out;
    buf_reset(&out, KEPT_OUT_BYTES);
    *call = (struct call){.out = out, .next = clients->free_calls};
    clients->free_calls = call;
    clients->free_call_count++;
}

enum rd_err call_keep_args(struct call *call) {
    if (call->kept != NULL) {
        return RD_OK;
    }
    size_t bytes = call->argc * sizeof(*call->kept);
    for (size_t i = 0; i < call->argc; i++) {
        bytes += call->argv[i].len;
    }
    struct resp_slice *kept = malloc(bytes);
    if (kept == NULL) {
        return RD_ENOMEM;
    }
    uint8_t *to = (uint8_t *)(kept + call->argc);
    for (size_t i = 0; i < call->argc; i++) {
        kept[i] = (struct resp_slice){.data = to, .len = call->argv[i].len};
        if (kept[i].len > 0) {
            memcpy(to, call->argv[i].data, kept[i].len);
        }
        to += kept[i].len;
    }
    call->kept = kept;
    call->argv = kept;
    return RD_OK;
}

void call_orphan(struct call *call) {
    struct clients *clients = call->clients;
    call->client = NULL;
    call->previous = NULL;
    call->next = clients->orphans;
    if (call->next != NULL) {
        call->next->previous = call;
    }
    clients->orphans = call;
}

static void forget_orphan(struct call *call) {
    if (call->previous == NULL) {
        call->clients->orphans = call->next;
    } else {
        call->previous->next = call->next;
    }
    if (call->next != NULL) {
        call->next->previous = call->previous;
    }
}

/* ---- the reply -------------------------------------------------------------------------------------- */

struct resp_writer *call_reply(struct call *call) {
    if (!call->writing) {
        struct client *client = call->client;
        call->direct = client != NULL && client->first_call == call && !call->muted;
        struct buf *out = call->direct ? &client->out : &call->out;
        call->reply_at = buf_len(out);
        resp_writer_init(&call->writer, out, call->proto);
        call->writing = true;
    }
    return &call->writer;
}

bool call_arg_is(const struct call *call, size_t index, const char *word) {
    const struct resp_slice *arg = &call->argv[index];
    return arg->len == strlen(word) && strncasecmp((const char *)arg->data, word, arg->len) == 0;
}

/* Ends the reply and notes what it was. A reply that cannot be had in memory costs the connection: the client could not tell which
 * reply is missing. */
static void end_reply(struct call *call) {
    if (!call->writing) {
        assert(call->muted);
        return;
    }
    call->writing = false;
    struct buf *out = call->direct ? &call->client->out : &call->out;
    if (resp_writer_end(&call->writer) != RD_OK) {
        if (call->client != NULL) {
            call->client->doomed = true;
            client_touch(call->client);
        }
        return;
    }
    const uint8_t *reply = buf_data(out) + call->reply_at;
    size_t len = buf_len(out) - call->reply_at;
    if (len > 0 && reply[0] == '-') {
        call->failed = true;
        client_stats_count_error(call->clients, (const char *)reply + 1, len - 1);
    }
}

/* ---- the end ---------------------------------------------------------------------------------------- */

static void count_call(struct call *call) {
    struct clients *clients = call->clients;
    clients->server->counters.commands_processed++;
    if (call->row == NULL) {
        return;
    }
    struct command_stats *stats =
        &clients->command_stats[command_ordinal(clients->commands, call->row)];
    if (call->rejected) {
        stats->rejected++;
        return;
    }
    uint64_t now_us = clients->now_us;
    stats->calls++;
    stats->usec += now_us > call->begun_us ? now_us - call->begun_us : 0;
    stats->failed += call->failed;
}

static void make_ready(struct call *call) {
    struct clients *clients = call->clients;
    call->next_ready = NULL;
    if (clients->last_ready == NULL) {
        clients->first_ready = call;
    } else {
        clients->last_ready->next_ready = call;
    }
    clients->last_ready = call;
}

static void on_grant(void *arg, void *owner) {
    (void)arg;
    struct call *call = owner;
    assert(call->parked && call->waiting > 0);
    if (--call->waiting == 0) {
        make_ready(call);
    }
}

/* Takes finished calls off the head of the connection's queue and sends their replies. */
static void advance(struct client *client) {
    struct call *call;
    while ((call = client->first_call) != NULL && call->done) {
        if (!call->direct && !call->muted && buf_len(&call->out) > 0 &&
            buf_append(&client->out, buf_data(&call->out), buf_len(&call->out)) != RD_OK) {
            client->doomed = true;
        }
        client->first_call = call->next;
        if (client->first_call == NULL) {
            client->last_call = NULL;
        }
        client->in_flight--;
        recycle(call);
    }
    if (client->barrier != NULL && client->barrier == client->first_call) {
        struct call *barrier = client->barrier;
        client->barrier = NULL;
        on_grant(NULL, barrier);
    }
    client_check_output(client);
    client_touch(client);
}

static void finish(struct call *call) {
    end_reply(call);
    count_call(call);
    if (call->claim_count > 0) {
        lanes_leave(&call->clients->lanes, call->claims, call->claim_count, on_grant, NULL);
        call->claim_count = 0;
    }
    call->done = true;
    if (call->client != NULL) {
        if (call->client->alone == call) {
            call->client->alone = NULL;
        }
        advance(call->client);
    } else {
        forget_orphan(call);
        recycle(call);
    }
}

static void start(struct call *call) {
    call->parked = false;
    if (call->row->run(call) == CALL_DONE) {
        finish(call);
    } else {
        assert(!call->writing && call->on_reply != NULL);
    }
}

static void run_ready(struct clients *clients) {
    if (clients->running_ready) {
        return;
    }
    clients->running_ready = true;
    struct call *call;
    while ((call = clients->first_ready) != NULL) {
        clients->first_ready = call->next_ready;
        if (clients->first_ready == NULL) {
            clients->last_ready = NULL;
        }
        start(call);
    }
    clients->running_ready = false;
}

void call_run(struct call *call) {
    struct clients *clients = call->clients;
    start(call);
    run_ready(clients);
}

void call_lift_barrier(struct call *barrier) {
    struct clients *clients = barrier->clients;
    on_grant(NULL, barrier);
    run_ready(clients);
}

void call_refused(struct call *call) {
    struct clients *clients = call->clients;
    call->rejected = true;
    finish(call);
    run_ready(clients);
}

void call_end(struct call *call) {
    struct clients *clients = call->clients;
    finish(call);
    run_ready(clients);
}

/* ---- requests --------------------------------------------------------------------------------------- */

enum rd_err call_submit(struct call *call, uint32_t part, struct client_request *request) {
    enum rd_err err =
        tickets_open(&call->clients->tickets, call, part, call->clients->now_us, &request->tag);
    if (err != RD_OK) {
        return err;
    }
    request->r = request->r != 0 ? request->r : call->r;
    request->w = request->w != 0 ? request->w : call->w;
    request->monotonic = request->monotonic || call->monotonic;
    driver_submit(call->clients->server->driver, request);
    return RD_OK;
}

void call_answer(struct clients *clients, uint64_t tag, struct client_reply *reply) {
    uint32_t part = 0;
    uint64_t sent_us = 0;
    struct call *call = tickets_close(&clients->tickets, tag, &part, &sent_us);
    if (call == NULL) {
        return;
    }
    clients->now_us = driver_now(clients->server->driver).mono_us;
    pace_note(&clients->pace, clients->now_us, sent_us, clients->tickets.open + 1,
              (uint64_t)clients->server->config->request_timeout_ms * 1000);
    assert(!call->done && !call->parked);
    if (call->on_reply(call, part, reply) == CALL_DONE) {
        finish(call);
        run_ready(clients);
    }
}
