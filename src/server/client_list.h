/* All client connections of a server, and what they share.
 *
 * server.c accepts and calls in; each turn of the loop ends with clients_flush, which writes each connection once.
 */
#ifndef RD_SERVER_CLIENT_LIST_H
#define RD_SERVER_CLIENT_LIST_H

#include "replication/client_op.h"
#include "resp/command.h"
#include "server/lanes.h"
#include "server/pace.h"
#include "server/tickets.h"

struct buf;
struct call;
struct client;
struct command_table;
struct event;
struct server;
struct topology;

/* What `INFO commandstats` shows of one command. */
struct command_stats {
    uint64_t calls, usec, rejected, failed;
};

/* What `INFO errorstats` shows of one error code. */
#define ERROR_CODE_BYTES 32
#define ERROR_CODES_MAX 128
struct error_stats {
    char code[ERROR_CODE_BYTES];
    uint64_t count;
};

/* Snapshots, one per second, from which the instantaneous rates of INFO come. */
#define RATE_SAMPLES 16
struct rate_sample {
    uint64_t mono_us, commands, input_bytes, output_bytes;
};

struct clients {
    struct server *server;                /* borrowed */
    const struct command_table *commands; /* borrowed */
    struct client *first, *last;
    size_t count;
    uint64_t next_id;
    struct client *first_dirty;
    struct client *first_starved, *last_starved; /* they wait for room in the pace's window */
    struct pace pace;
    uint64_t now_us; /* monotonic; as of the last bytes or answer that came */

    struct resp_limits limits; /* shared by all readers; follow the configuration */
    struct lanes lanes;
    struct tickets tickets;
    struct call *free_calls; /* a list through `next` */
    size_t free_call_count;
    struct call *first_ready, *last_ready; /* parked calls that may run now */
    bool running_ready;
    struct call *
        orphans; /* parked or waiting calls without a connection; a list through `next` and `previous` */

    struct buf
        scratch; /* what a connection without input of its own reads into; empty between the loop's callbacks */

    uint64_t http_logged_us; /* when the last HTTP request was complained of */

    struct topology *topology;           /* owned: what CLUSTER says, cached */
    struct event *tick;                  /* owned */
    struct command_stats *command_stats; /* owned, command_total() of them */
    struct error_stats errors[ERROR_CODES_MAX];
    size_t error_count;
    struct rate_sample rates[RATE_SAMPLES];
    size_t rate_count;
};

/* Makes an empty list for `server`, whose clients may call `commands` (both borrowed for its life; its base must exist, config and driver by the first
 * clients_accept). Error: RD_ENOMEM. Free with clients_free. */
enum rd_err clients_new(struct server *server, const struct command_table *commands,
                        struct clients **out);

/* Closes all connections, frees and nulls. No reply may come afterwards. */
void clients_free(struct clients **clients);

/* Takes a new connection: `fd` (taken), `address`: "ip:port" of the peer (copied). Refuses it with one error line where maxclients or
 * protected-mode say so. */
void clients_accept(struct clients *clients, int fd, const char *address);

/* The end of a turn: takes commands on where that had stopped, writes what is to be written, closes what is to be closed. */
void clients_flush(struct clients *clients);

/* The node's answer to the request `tag`. `clients` is a struct clients, void for the driver's sake; members of
 * `reply` may be moved out. */
void clients_on_reply(void *clients, uint64_t tag, struct client_reply *reply);

/* How many connections have unfinished commands or unsent replies: 0 when a stopping server may end. */
size_t clients_busy(const struct clients *clients);

/* Reads nothing more from anybody; what is in flight is finished and sent. */
void clients_stop(struct clients *clients);

#endif
