/* The server: puts the parts together, runs the loop, takes them apart.
 *
 * The loop is one pass of libevent, then one turn of the driver (driver.h), for ever. Stopping: no new connections and no new commands, then
 * the loop goes on until everything in flight has been answered, committed and written, or until STOP_SECONDS are over. */
#include "server/server.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "net/listener.h"
#include "net/socket.h"
#include "server/client_list.h"
#include "server/clock.h"
#include "server/command_rows.h"
#include "server/driver.h"
#include "server/log.h"
#include "server/setup.h"
#include "server/value.h"
#include "store/store_sqlite.h"

#define STOP_SECONDS 5

/* ---- changes at run time -------------------------------------------------------------------------- */

static bool is_named(const char *const *names, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool change_quorum(struct server *server, char reason[CONFIG_REASON_BYTES]) {
    const struct config *config = server->config;
    enum rd_err err = node_set_quorum(driver_node(server->driver), (uint32_t)config->read_quorum,
                                      (uint32_t)config->write_quorum);
    if (err != RD_OK) {
        snprintf(reason, CONFIG_REASON_BYTES, "%s", rd_err_text(err));
    }
    return err == RD_OK;
}

static bool change_fsync(struct server *server, char reason[CONFIG_REASON_BYTES]) {
    enum rd_err err = store_sqlite_set_fsync(server->store, setup_fsync(server->config));
    if (err != RD_OK) {
        snprintf(reason, CONFIG_REASON_BYTES, "%s", rd_err_text(err));
    }
    return err == RD_OK;
}

static bool change_maxclients(struct server *server, char reason[CONFIG_REASON_BYTES]) {
    int64_t fits = setup_open_files(server->config->maxclients);
    if (fits < server->config->maxclients) {
        snprintf(reason, CONFIG_REASON_BYTES,
                 "The operating system is not able to handle the specified number of clients, try "
                 "with %lld",
                 (long long)fits);
        return false;
    }
    return true;
}

/* What CONFIG SET changed; the rest is read from the configuration when it is needed. R and W were checked against
 * N already, so that nothing fails behind the one thing that may fail with an effect (appendfsync). */
static bool on_config_change(void *arg, const char *const *names, size_t count,
                             char reason[CONFIG_REASON_BYTES]) {
    struct server *server = arg;
    if (is_named(names, count, "maxclients") && !change_maxclients(server, reason)) {
        return false;
    }
    if (is_named(names, count, "appendfsync") && !change_fsync(server, reason)) {
        return false;
    }
    if ((is_named(names, count, "read-quorum") || is_named(names, count, "write-quorum")) &&
        !change_quorum(server, reason)) {
        return false;
    }
    if (is_named(names, count, "anti-entropy") || is_named(names, count, "anti-entropy-interval")) {
        node_set_anti_entropy(driver_node(server->driver), server->config->anti_entropy,
                              (uint32_t)server->config->anti_entropy_interval_ms);
    }
    const struct config *config = server->config;
    node_set_tombstone_grace(driver_node(server->driver),
                             (uint64_t)config->tombstone_grace_s * 1000);
    node_set_handoff(driver_node(server->driver), config->sloppy_quorum, config->hinted_handoff,
                     config->max_hint_bytes, config->handoff_rate);
    if (is_named(names, count, "loglevel")) {
        log_set_level(server->log, (enum log_level)server->config->loglevel);
    }
    return true;
}

/* ---- clients come --------------------------------------------------------------------------------- */

static void on_client(void *arg, int fd, const struct net_address *peer) {
    struct server *server = arg;
    char text[NET_ADDRESS_TEXT];
    net_address_text(peer, text);
    socket_no_delay(fd);
    socket_keepalive(fd, (int)server->config->tcp_keepalive_s);
    clients_accept(server->clients, fd, text);
}

static void on_client_error(void *arg, int err_number) {
    struct server *server = arg;
    log_line(server->log, LOG_WARNING, "Cannot accept a client's connection: %s",
             strerror(err_number));
}

/* ---- the loop ------------------------------------------------------------------------------------- */

static void before_sleep(void *arg) {
    clients_flush(arg);
}

static bool nothing_in_flight(struct server *server) {
    struct node_stats stats;
    node_stats(driver_node(server->driver), &stats);
    return stats.requests_in_flight == 0 && clients_busy(server->clients) == 0;
}

void server_run(struct server *server) {
    bool idle = driver_turn(server->driver);
    while (!server->stopped) {
        int rc = event_base_loop(server->base, idle ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK);
        assert(rc >= 0);
        idle = driver_turn(server->driver);
        if (server->stopping && idle && nothing_in_flight(server)) {
            server->stopped = true;
        }
    }
}

void server_stop(struct server *server) {
    static const struct timeval limit = {STOP_SECONDS, 0};
    if (server->stopping) {
        return;
    }
    log_line(server->log, LOG_NOTICE, "Stopping: finishing what is in flight");
    server->stopping = true;
    listener_free(&server->listener);
    driver_stop_listening(server->driver);
    clients_stop(server->clients);
    event_add(server->stop_deadline, &limit);
}

static void on_stop_deadline(evutil_socket_t fd, short what, void *arg) {
    struct server *server = arg;
    (void)fd;
    (void)what;
    log_line(server->log, LOG_WARNING,
             "Requests in flight did not finish in %d seconds: stopping without them",
             STOP_SECONDS);
    server->stopped = true;
}

static void on_signal(evutil_socket_t number, short what, void *arg) {
    struct server *server = arg;
    (void)what;
    if (server->stopping) {
        log_line(server->log, LOG_WARNING, "Told to stop twice: stopping at once");
        server->stopped = true;
        return;
    }
    log_line(server->log, LOG_WARNING, "Received %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
    server_stop(server);
}

/* ---- life ----------------------------------------------------------------------------------------- */

static enum rd_err make_loop(struct server *server) {
    server->base = event_base_new();
    if (server->base == NULL) {
        return RD_ENOMEM;
    }
    server->sigterm = evsignal_new(server->base, SIGTERM, on_signal, server);
    server->sigint = evsignal_new(server->base, SIGINT, on_signal, server);
    server->stop_deadline = evtimer_new(server->base, on_stop_deadline, server);
    bool fine = server->sigterm != NULL && server->sigint != NULL &&
                server->stop_deadline != NULL && event_add(server->sigterm, NULL) == 0 &&
                event_add(server->sigint, NULL) == 0;
    return fine ? RD_OK : RD_ENOMEM;
}

static enum rd_err make_log(struct server *server, const struct config *config,
                            char reason[CONFIG_REASON_BYTES]) {
    const char *path =
        config->daemonize && config->logfile[0] == '\0' ? "/dev/null" : config->logfile;
    enum rd_err err = log_new(path, (enum log_level)config->loglevel, &server->log);
    if (err == RD_EIO) {
        snprintf(reason, CONFIG_REASON_BYTES, "cannot open the log file '%.300s': %s", path,
                 strerror(errno));
    }
    return err;
}

static void log_warnings(struct server *server, const struct config *config) {
    const char *text = (const char *)buf_data(&config->warnings);
    size_t len = buf_len(&config->warnings);
    while (len > 0) {
        const char *newline = memchr(text, '\n', len);
        size_t line = newline == NULL ? len : (size_t)(newline - text);
        log_line(server->log, LOG_WARNING, "%.*s", (int)line, text);
        size_t step = newline == NULL ? line : line + 1;
        text += step;
        len -= step;
    }
}

static enum rd_err compute(void *arg, const struct rmw_input *in, struct rmw_output *out) {
    const struct server *server = arg;
    return value_compute(command_rows(), server->config->proto_max_bulk_bytes, in, out);
}

static enum rd_err make_driver(struct server *server, const struct config *config,
                               char reason[CONFIG_REASON_BYTES]) {
    char why[STORE_REASON_BYTES] = "";
    struct node_conf node;
    setup_node_conf(config, &node);
    const struct store_sqlite_conf store = {
        .dir = config->dir, .fsync = setup_fsync(config), .cache_bytes = config->cache_bytes};
    enum rd_err err = store_sqlite_open(&store, &server->store, why);
    if (err == RD_OK) {
        const struct driver_conf driver = {
            .base = server->base,
            .log = server->log,
            .store = server->store,
            .node = &node,
            .bind = (const char *const *)config->bind.items,
            .bind_count = config->bind.count,
            .cluster_port = (uint16_t)config->cluster_port,
            .backlog = (int)config->tcp_backlog,
            .refuse_remote_peers = config->protected_mode && config->cluster_secret[0] == '\0',
            .on_reply = clients_on_reply,
            .before_sleep = before_sleep,
            .arg = server->clients,
        };
        err = driver_new(&driver, &server->driver, why);
    }
    if (err == RD_OK) {
        node_set_rmw(driver_node(server->driver), compute, server);
    }
    if (err != RD_OK) {
        snprintf(reason, CONFIG_REASON_BYTES, "%s", why);
    }
    return err;
}

static enum rd_err make_listener(struct server *server, const struct config *config,
                                 char reason[CONFIG_REASON_BYTES]) {
    char why[256] = "";
    if (config->port == 0) {
        return RD_OK;
    }
    const struct listener_conf listener = {.bind = (const char *const *)config->bind.items,
                                           .bind_count = config->bind.count,
                                           .port = (uint16_t)config->port,
                                           .backlog = (int)config->tcp_backlog,
                                           .on_accept = on_client,
                                           .on_error = on_client_error,
                                           .arg = server};
    enum rd_err err = listener_new(server->base, &listener, &server->listener, why);
    if (err != RD_OK) {
        snprintf(reason, CONFIG_REASON_BYTES, "%s", why);
    }
    return err;
}

static void fit_clients(struct server *server, struct config *config) {
    int64_t fits = setup_open_files(config->maxclients);
    if (fits < config->maxclients) {
        log_line(server->log, LOG_WARNING,
                 "maxclients is %lld instead of %lld: the system allows no more open files",
                 (long long)fits, (long long)config->maxclients);
        config->maxclients = fits;
    }
}

static void name_run(struct server *server) {
    uint8_t id[SERVER_RUN_ID_HEX / 2];
    hash_random_bytes(id, sizeof id);
    text_hex(id, sizeof id, server->run_id);
    struct instant now = clock_now();
    server->started_mono_us = now.mono_us;
    server->started_wall_us = now.wall_us;
}

enum rd_err server_new(struct config **config, const char *executable, struct server **out,
                       char reason[CONFIG_REASON_BYTES]) {
    struct server *server = calloc(1, sizeof *server);
    snprintf(reason, CONFIG_REASON_BYTES, "%s", rd_err_text(RD_ENOMEM));
    if (server == NULL) {
        return RD_ENOMEM;
    }
    server->executable = executable;
    server->stop = server_stop;
    server->config = *config;
    name_run(server);
    enum rd_err err = make_log(server, *config, reason);
    if (err == RD_OK) {
        log_warnings(server, *config);
        fit_clients(server, *config);
        err = make_loop(server);
    }
    if (err == RD_OK) {
        err = clients_new(server, command_rows(), &server->clients);
    }
    if (err == RD_OK) {
        err = make_driver(server, *config, reason);
    }
    if (err == RD_OK) {
        err = make_listener(server, *config, reason);
    }
    if (err != RD_OK) {
        if (server->log != NULL && (*config)->logfile[0] != '\0') {
            log_line(server->log, LOG_WARNING, "Cannot start: %s",
                     reason); /* else the caller tells */
        }
        server->config = NULL;
        server_free(&server);
        return err;
    }
    server->config->on_change = on_config_change;
    server->config->on_change_arg = server;
    *config = NULL;
    *out = server;
    return RD_OK;
}

void server_free(struct server **server) {
    struct server *s = *server;
    if (s == NULL) {
        return;
    }
    listener_free(&s->listener);
    clients_free(&s->clients);
    driver_free(&s->driver);
    struct event *const events[] = {s->sigterm, s->sigint, s->stop_deadline};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    if (s->base != NULL) {
        event_base_free(s->base);
    }
    log_free(&s->log);
    config_free(&s->config);
    free(s);
    *server = NULL;
}
