/* All connections: accepting, the end of a turn, the tick of each second, the counters of INFO. */
#include "server/client_list.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/call.h"
#include "server/client.h"
#include "server/clock.h"
#include "server/command_table.h"
#include "server/config.h"
#include "server/driver.h"
#include "server/log.h"
#include "server/server.h"
#include "server/topology.h"

#define TICK_SECONDS 1
#define IDLE_TRIM_US 2000000

static void on_tick(evutil_socket_t fd, short what, void *arg);

enum rd_err clients_new(struct server *server, const struct command_table *commands,
                        struct clients **out) {
    struct clients *clients = calloc(1, sizeof(*clients));
    if (clients == NULL) {
        return RD_ENOMEM;
    }
    clients->server = server;
    clients->commands = commands;
    clients->next_id = 1;
    resp_limits_default(&clients->limits);
    pace_init(&clients->pace);
    clients->now_us = clock_now().mono_us;
    clients->command_stats = calloc(command_total(commands), sizeof(*clients->command_stats));
    clients->tick = event_new(server->base, -1, EV_PERSIST, on_tick, clients);
    struct timeval interval = {.tv_sec = TICK_SECONDS};
    if (clients->command_stats == NULL || clients->tick == NULL ||
        lanes_init(&clients->lanes) != RD_OK || topology_new(&clients->topology) != RD_OK ||
        event_add(clients->tick, &interval) != 0) {
        clients_free(&clients);
        return RD_ENOMEM;
    }
    *out = clients;
    return RD_OK;
}

void clients_free(struct clients **clients_at) {
    struct clients *clients = *clients_at;
    *clients_at = NULL;
    if (clients == NULL) {
        return;
    }
    clients->running_ready = true; /* nothing starts any more */
    for (struct client *next, *client = clients->first; client != NULL; client = next) {
        next = client->next;
        client_free(client);
    }
    for (struct call *next, *call = clients->orphans; call != NULL; call = next) {
        next = call->next;
        call_free(call);
    }
    for (struct call *next, *call = clients->free_calls; call != NULL; call = next) {
        next = call->next;
        call_free(call);
    }
    if (clients->tick != NULL) {
        event_free(clients->tick);
    }
    buf_free(&clients->scratch);
    topology_free(&clients->topology);
    lanes_free(&clients->lanes);
    tickets_free(&clients->tickets);
    free(clients->command_stats);
    free(clients);
}

/* ---- connections come ------------------------------------------------------------------------------- */

/* True if the peer is this machine. */
static bool is_loopback(int fd) {
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(peer);
    if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0) {
        return false;
    }
    if (peer.ss_family == AF_INET) {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)&peer;
        return (ntohl(in4->sin_addr.s_addr) >> 24) == 127;
    }
    if (peer.ss_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)&peer)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
    }
    return peer.ss_family == AF_UNIX;
}

static void local_address(int fd, char *out, size_t size) {
    struct sockaddr_storage local = {0};
    socklen_t len = sizeof(local);
    char ip[INET6_ADDRSTRLEN] = "?";
    if (getsockname(fd, (struct sockaddr *)&local, &len) != 0) {
        snprintf(out, size, "?:0");
    } else if (local.ss_family == AF_INET) {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)&local;
        inet_ntop(AF_INET, &in4->sin_addr, ip, sizeof(ip));
        snprintf(out, size, "%s:%u", ip, (unsigned)ntohs(in4->sin_port));
    } else if (local.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&local;
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
        snprintf(out, size, "[%s]:%u", ip, (unsigned)ntohs(in6->sin6_port));
    } else {
        snprintf(out, size, "?:0");
    }
}

/* The line that a connection is refused with; NULL: it is welcome. */
static const char *refusal(const struct clients *clients, int fd) {
    const struct config *config = clients->server->config;
    if (clients->count >= (size_t)config->maxclients) {
        return "-ERR max number of clients reached\r\n";
    }
    if (config->protected_mode && config->requirepass[0] == '\0' && !is_loopback(fd)) {
        return "-DENIED Redis is running in protected mode because no password is set: only "
               "connections from the loopback "
               "interface are accepted. Set requirepass, or protected-mode no if nobody else can "
               "reach this port.\r\n";
    }
    return NULL;
}

void clients_accept(struct clients *clients, int fd, const char *address) {
    struct server *server = clients->server;
    const char *line = refusal(clients, fd);
    if (line != NULL) {
        server->counters.connections_rejected++;
        if (send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            log_line(server->log, LOG_VERBOSE,
                     "Refused a connection from %s, which had gone already.", address);
        }
        close(fd);
        return;
    }
    struct client *client = NULL;
    if (client_new(clients, fd, address, &client) != RD_OK) {
        server->counters.connections_rejected++;
        log_line(server->log, LOG_WARNING, "Out of memory for a connection from %s.", address);
        return;
    }
    local_address(fd, client->local_address, sizeof(client->local_address));
    server->counters.connections_received++;
    client->previous = clients->last;
    if (clients->last == NULL) {
        clients->first = client;
    } else {
        clients->last->next = client;
    }
    clients->last = client;
    clients->count++;
}

/* ---- and go ----------------------------------------------------------------------------------------- */

/* Takes a connection that is not in the dirty list out and frees it. */
static void remove_client(struct clients *clients, struct client *client) {
    assert(!client->dirty);
    if (client->previous == NULL) {
        clients->first = client->next;
    } else {
        client->previous->next = client->next;
    }
    if (client->next == NULL) {
        clients->last = client->previous;
    } else {
        client->next->previous = client->previous;
    }
    clients->count--;
    client_free(client);
}

static void follow_config(struct clients *clients) {
    const struct config *config = clients->server->config;
    clients->limits.max_bulk_bytes = config->proto_max_bulk_bytes;
    clients->limits.max_command_bytes = config->client_query_buffer_bytes;
}

/* Parses, writes and closes what is in the dirty list. */
static void flush_dirty(struct clients *clients) {
    struct client *client;
    while ((client = clients->first_dirty) != NULL) {
        clients->first_dirty = client->next_dirty;
        if (!client->doomed) {
            client_parse(client);
        }
        client->dirty = false;
        if (client->doomed || !client_write(client)) {
            remove_client(clients, client);
        } else {
            client_parse(client); /* what was sent may have made room */
        }
    }
}

void clients_flush(struct clients *clients) {
    follow_config(clients);
    clients->now_us = driver_now(clients->server->driver).mono_us;
    flush_dirty(clients);
    while (clients->first_starved != NULL && clients->tickets.open < clients->pace.window) {
        struct client *client = clients->first_starved;
        clients->first_starved = client->next_starved;
        if (clients->first_starved == NULL) {
            clients->last_starved = NULL;
        }
        client->starved = false;
        client_parse_turn(client);
        client_touch(client);
    }
    flush_dirty(clients);
}

void clients_on_reply(void *clients, uint64_t tag, struct client_reply *reply) {
    call_answer(clients, tag, reply);
}

size_t clients_busy(const struct clients *clients) {
    size_t busy = 0;
    for (const struct client *client = clients->first; client != NULL; client = client->next) {
        busy += client->in_flight > 0 || buf_len(&client->out) > 0;
    }
    return busy;
}

void clients_stop(struct clients *clients) {
    for (struct client *client = clients->first; client != NULL; client = client->next) {
        client->last_words = true;
        client_touch(client);
    }
}

/* ---- each second ------------------------------------------------------------------------------------ */

static void sample_rates(struct clients *clients) {
    const struct server_counters *counters = &clients->server->counters;
    clients->rates[clients->rate_count++ % RATE_SAMPLES] = (struct rate_sample){
        .mono_us = clock_now().mono_us,
        .commands = counters->commands_processed,
        .input_bytes = counters->input_bytes,
        .output_bytes = counters->output_bytes,
    };
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct clients *clients = arg;
    uint64_t now = clock_now().mono_us;
    uint64_t timeout_us = (uint64_t)clients->server->config->timeout_s * 1000000;
    for (struct client *client = clients->first; client != NULL; client = client->next) {
        uint64_t idle_us = now - client->active_us;
        client_check_output(client);
        if (timeout_us > 0 && idle_us > timeout_us && client->in_flight == 0) {
            log_line(clients->server->log, LOG_VERBOSE, "Closing idle client id=%llu addr=%s",
                     (unsigned long long)client->id, client->address);
            client->doomed = true;
            client_touch(client);
        } else if (idle_us > IDLE_TRIM_US && client->in_flight == 0 && buf_len(&client->in) == 0) {
            buf_reset(&client->in, 0);
            resp_command_trim(&client->reader);
            if (buf_len(&client->out) == 0) {
                buf_reset(&client->out, 0);
            }
        }
    }
    sample_rates(clients);
}
