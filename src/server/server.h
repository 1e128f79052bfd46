/* The server: one process's configuration, loop, driver and clients, put together. No global state: whoever needs something
 * of it is given this struct. */
#ifndef RD_SERVER_SERVER_H
#define RD_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "server/config.h"

#define SERVER_RUN_ID_HEX 40

struct clients;
struct driver;
struct event;
struct event_base;
struct listener;
struct log;
struct store;

/* What INFO shows and CONFIG RESETSTAT zeroes; counted by the client side. */
struct server_counters {
    uint64_t connections_received;
    uint64_t connections_rejected; /* maxclients, protected mode */
    uint64_t commands_processed;
    uint64_t errors_replied;
    uint64_t input_bytes, output_bytes;
    uint64_t keyspace_hits, keyspace_misses;
    uint64_t query_limit_disconnects, output_limit_disconnects;
};

struct server {
    struct config *config;   /* owned */
    struct log *log;         /* owned */
    struct event_base *base; /* owned */
    struct driver *driver;   /* owned */
    struct store *store;     /* the driver's */
    struct clients *clients; /* owned */
    struct server_counters counters;
    char run_id[SERVER_RUN_ID_HEX + 1];
    uint64_t started_mono_us;
    uint64_t started_wall_us;
    const char *executable; /* path of the program, for INFO; borrowed for the server's life */
    void (*stop)(struct server *server); /* server_stop, for SHUTDOWN */

    /* The rest belongs to server.c. */
    struct listener *listener; /* for clients; NULL with port 0 */
    struct event *sigterm, *sigint, *stop_deadline;
    bool stopping; /* no new connections; what is in flight is finished */
    bool stopped;  /* the loop ends */
};

/* Puts a server together: log, store, driver, clients, listeners. Takes `*config` (nulls it) on success only. `reason`: one sentence on error.
 * `dir` must be the absolute path of the process's current directory. Errors: those of driver_new and store_sqlite_open. */
enum rd_err server_new(struct config **config, const char *executable, struct server **out,
                       char reason[CONFIG_REASON_BYTES]);

/* Runs the loop until server_stop was called (SIGTERM and SIGINT do) and what was in flight is done, 5 s at most. */
void server_run(struct server *server);

/* Ends server_run soon: stops accepting, lets requests in flight finish. May be called from anywhere in the loop (SHUTDOWN). */
void server_stop(struct server *server);

/* Closes everything cleanly, frees and nulls. */
void server_free(struct server **server);

#endif
