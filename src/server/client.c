/* One connection. Not here: what commands mean (dispatch.c, cmd_*.c), and the order of replies (call.c).
 *
 * Invariants: `readable` is armed unless the peer has ended, the connection says its last words, or commands wait for room;
 * `writable` only while the socket refused bytes. A connection is freed only from the loop's callbacks and clients_flush,
 * never while one of its calls is on the stack; until then `doomed` marks it.
 */
#include "server/client.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/call.h"
#include "server/client_list.h"
#include "server/clock.h"
#include "server/config.h"
#include "server/dispatch.h"
#include "server/driver.h"
#include "server/log.h"
#include "server/server.h"

#define RECV_LEAST_BYTES (16u << 10)
#define RECV_MOST_BYTES (1u << 20)
#define KEPT_BYTES (64u << 10)
#define COMMANDS_PER_TURN 16 /* of a connection that has waited for the pace */

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

enum rd_err client_new(struct clients *clients, int fd, const char *address, struct client **out) {
    struct client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        close(fd);
        return RD_ENOMEM;
    }
    client->clients = clients;
    client->fd = fd;
    client->id = clients->next_id++;
    snprintf(client->address, sizeof(client->address), "%s", address);
    client->recv_bytes = RECV_LEAST_BYTES;
    client->born_us = client->active_us = clock_now().mono_us;
    resp_command_init(&client->reader, &clients->limits);
    client_reset(client);
    struct event_base *base = clients->server->base;
    client->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, client);
    client->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, client);
    if (client->readable == NULL || client->writable == NULL ||
        event_add(client->readable, NULL) != 0) {
        client_free(client);
        return RD_ENOMEM;
    }
    client->reading = true;
    *out = client;
    return RD_OK;
}

/* Hands the unfinished calls over to nobody: what was received is executed all the same. */
static void orphan_calls(struct client *client) {
    struct call *barrier = client->barrier;
    client->barrier = NULL;
    struct call *next;
    for (struct call *call = client->first_call; call != NULL; call = next) {
        next = call->next;
        if (call->done) {
            call_free(call);
        } else {
            call_orphan(call);
        }
    }
    client->first_call = client->last_call = NULL;
    if (barrier != NULL) {
        call_lift_barrier(barrier);
    }
}

/* Takes the connection out of those who wait for the pace. */
static void leave_line(struct client *client) {
    struct clients *clients = client->clients;
    if (!client->starved) {
        return;
    }
    struct client *before = NULL;
    for (struct client *at = clients->first_starved; at != client; at = at->next_starved) {
        before = at;
    }
    if (before == NULL) {
        clients->first_starved = client->next_starved;
    } else {
        before->next_starved = client->next_starved;
    }
    if (clients->last_starved == client) {
        clients->last_starved = before;
    }
    client->starved = false;
}

void client_free(struct client *client) {
    orphan_calls(client);
    leave_line(client);
    if (client->readable != NULL) {
        event_free(client->readable);
    }
    if (client->writable != NULL) {
        event_free(client->writable);
    }
    close(client->fd);
    resp_command_free(&client->reader);
    buf_free(&client->in);
    buf_free(&client->out);
    buf_free(&client->wrote);
    free(client->name);
    free(client->lib_name);
    free(client->lib_version);
    free(client);
}

/* ---- input ------------------------------------------------------------------------------------------ */

/* True while the connection itself does not forbid to take one more command from the input. */
static bool may_take(const struct client *client) {
    return !client->doomed && !client->last_words && client->barrier == NULL &&
           client->alone == NULL && client->in_flight < CLIENT_MAX_IN_FLIGHT &&
           buf_len(&client->out) < CLIENT_MAX_UNSENT_BYTES;
}

static bool pace_allows(const struct clients *clients) {
    return clients->tickets.open < clients->pace.window;
}

/* Arms or disarms reading. Who waits for the pace may fill a buffer meanwhile, no more. */
static void follow_room(struct client *client) {
    bool full = client->starved && buf_len(&client->in) >= KEPT_BYTES;
    bool wanted = may_take(client) && !client->ended && !full;
    if (wanted == client->reading) {
        return;
    }
    if (wanted ? event_add(client->readable, NULL) != 0 : event_del(client->readable) != 0) {
        client->doomed = true;
        client_touch(client);
        return;
    }
    client->reading = wanted;
}

static void refuse_input(struct client *client) {
    struct server *server = client->clients->server;
    if (buf_len(&client->in) >= server->config->client_query_buffer_bytes) {
        server->counters.query_limit_disconnects++;
    }
    log_line(server->log, LOG_VERBOSE, "Protocol error from client id=%llu addr=%s: %s",
             (unsigned long long)client->id, client->address, resp_command_error(&client->reader));
    dispatch_protocol_error(client, resp_command_error(&client->reader));
}

/* Takes one command from the input, if a whole one is there. Returns false if no further one can be taken. */
static bool take_command(struct client *client) {
    size_t consumed = 0, argc = 0;
    const struct resp_slice *argv = NULL;
    enum rd_err err = resp_command_read(&client->reader, buf_data(&client->in),
                                        buf_len(&client->in), &consumed, &argv, &argc);
    if (err == RD_EINCOMPLETE) {
        client->hungry = true;
        return false;
    }
    if (err == RD_EPROTO || err == RD_ETOOBIG) {
        refuse_input(client);
        return false;
    }
    if (err != RD_OK) {
        client->doomed = true;
        return false;
    }
    if (argc > 0) {
        dispatch(client, argv, argc);
    }
    buf_consume(&client->in, consumed);
    driver_settle(client->clients->server->driver);
    return true;
}

/* True if the input may hold a whole command that the connection may take. */
static bool has_work(const struct client *client) {
    return may_take(client) && !client->hungry && buf_len(&client->in) > 0;
}

/* Takes at most `most` commands, then lines up if more could be taken. */
static void parse(struct client *client, size_t most) {
    struct clients *clients = client->clients;
    while (most > 0 && has_work(client) && pace_allows(clients) && take_command(client)) {
        most--;
    }
    if (has_work(client) && !client->starved) {
        client->starved = true;
        client->next_starved = NULL;
        if (clients->last_starved == NULL) {
            clients->first_starved = client;
        } else {
            clients->last_starved->next_starved = client;
        }
        clients->last_starved = client;
    }
    if (buf_len(&client->in) == 0) {
        buf_reset(&client->in, KEPT_BYTES);
    }
    follow_room(client);
}

void client_parse(struct client *client) {
    bool behind_others = client->clients->first_starved != NULL;
    parse(client, behind_others ? 0 : SIZE_MAX);
}

void client_parse_turn(struct client *client) {
    assert(!client->starved);
    parse(client, COMMANDS_PER_TURN);
}

/* How much to ask for: more for a peer that fills what it is given, or in the middle of a long argument. */
static size_t bytes_to_ask(const struct client *client) {
    size_t wanted = resp_command_wanted(&client->reader);
    size_t bytes = wanted > client->recv_bytes ? wanted : client->recv_bytes;
    return bytes < RECV_MOST_BYTES ? bytes : RECV_MOST_BYTES;
}

/* Reads what has come and takes the commands in it. */
static void read_input(struct client *client) {
    size_t asked = bytes_to_ask(client);
    uint8_t *to = NULL;
    if (buf_reserve(&client->in, asked, &to) != RD_OK) {
        client->doomed = true;
        return;
    }
    ssize_t got = recv(client->fd, to, asked, 0);
    if (got < 0) {
        client->doomed = errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
        return;
    }
    if (got == 0) {
        client->ended = true;
        follow_room(client);
        return;
    }
    buf_commit(&client->in, (size_t)got);
    client->hungry = false;
    client->recv_bytes = (size_t)got == asked ? KEPT_BYTES : RECV_LEAST_BYTES;
    client->clients->server->counters.input_bytes += (uint64_t)got;
    client->active_us = client->clients->now_us =
        driver_read_clock(client->clients->server->driver).mono_us;
    client_parse(client);
}

/* A connection that waits for nothing reads into memory that all share, and which so stays in the processor's caches; only
 * what is left of it, mostly nothing, is kept apart. */
static void on_readable(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct client *client = arg;
    struct clients *clients = client->clients;
    client_touch(client);
    if (buf_len(&client->in) > 0) {
        read_input(client);
        return;
    }
    struct buf own = client->in, rest = {0};
    client->in = clients->scratch;
    clients->scratch = (struct buf){0};
    read_input(client);
    rest = client->in;
    client->in = own;
    if (buf_append(&client->in, buf_data(&rest), buf_len(&rest)) != RD_OK) {
        client->doomed = true;
    }
    buf_reset(&rest, KEPT_BYTES);
    clients->scratch = rest;
}

/* ---- output ----------------------------------------------------------------------------------------- */

bool client_write(struct client *client) {
    while (buf_len(&client->out) > 0) {
        ssize_t sent =
            send(client->fd, buf_data(&client->out), buf_len(&client->out), MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                return false;
            }
            break;
        }
        buf_consume(&client->out, (size_t)sent);
        client->clients->server->counters.output_bytes += (uint64_t)sent;
    }
    bool rest = buf_len(&client->out) > 0;
    if (!rest) {
        buf_reset(&client->out, KEPT_BYTES);
        client->soft_since_us = 0;
    }
    if (rest != client->writing) {
        if (rest ? event_add(client->writable, NULL) != 0 : event_del(client->writable) != 0) {
            return false;
        }
        client->writing = rest;
    }
    bool no_more =
        client->last_words || (client->ended && (client->hungry || buf_len(&client->in) == 0));
    return rest || client->in_flight > 0 || !no_more;
}

static void on_writable(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    client_touch(arg);
}
