/* One connection: bytes in, commands, replies in order, bytes out.
 *
 * Commands are taken as long as the pace allows, fewer than CLIENT_MAX_IN_FLIGHT are unfinished, none of them is a barrier that waits, and less
 * than CLIENT_MAX_UNSENT_BYTES of replies wait for the peer to take them; else bytes stay in the socket, which slows the peer down.
 */
#ifndef RD_SERVER_CLIENT_H
#define RD_SERVER_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "resp/command.h"

#define CLIENT_MAX_IN_FLIGHT 1024
#define CLIENT_MAX_UNSENT_BYTES (64u << 20)
#define CLIENT_ADDRESS_BYTES 64

struct call;
struct clients;
struct event;

enum client_reply_mode { CLIENT_REPLY_ON, CLIENT_REPLY_OFF };

struct client {
    struct client *previous, *next; /* all connections, oldest first */
    struct clients *clients;
    uint64_t id; /* never used twice by a process */
    int fd;
    struct event *readable, *writable;        /* owned */
    char address[CLIENT_ADDRESS_BYTES];       /* "ip:port" of the peer */
    char local_address[CLIENT_ADDRESS_BYTES]; /* of our side */

    /* What commands see and change. */
    int proto;
    bool authenticated;
    bool monotonic;
    uint32_t r, w; /* 0: the node's own */
    enum client_reply_mode reply_mode;
    bool skip_next; /* CLIENT REPLY SKIP: the next command's reply is thrown away */
    char *name, *lib_name, *lib_version; /* owned; NULL: none */
    const struct command *last_command;  /* for CLIENT LIST */
    uint64_t born_us, active_us;         /* monotonic */

    /* Input. */
    struct buf in;
    struct resp_command_reader reader;
    size_t recv_bytes; /* how much to ask for next time */
    bool reading;      /* `readable` is armed */
    bool ended;        /* the peer sends no more */
    bool hungry;       /* the input holds no whole command */

    /* Calls, oldest first. */
    struct call *first_call, *last_call;
    size_t in_flight;
    struct call *alone;   /* nothing is parsed before it has finished */
    struct call *barrier; /* waits for all before it; nothing is parsed meanwhile */

    /* Output. */
    struct buf out;
    struct buf wrote;       /* a byte, and the key that this connection wrote last; empty: none */
    bool writing;           /* `writable` is armed */
    uint64_t soft_since_us; /* when the output went over its soft limit; 0: it is below */

    bool last_words; /* no more commands; close when all replies are sent */
    bool doomed;     /* close at the next flush, whatever is unsent */
    bool starved;    /* in the list of those who wait for room in the pace's window */
    struct client *next_starved;
    bool dirty; /* in the list of connections that clients_flush looks at */
    struct client *next_dirty;
};

/* Makes a connection of `fd` (taken, also on error; nonblocking) and starts to read. Error: RD_ENOMEM. */
enum rd_err client_new(struct clients *clients, int fd, const char *address, struct client **out);

/* Closes and frees. Its calls go on without it. Never from within a call. */
void client_free(struct client *client);

/* Reads commands out of the input as far as allowed and runs them. A connection that must wait for room in the pace's window, or for others who
 * do, goes to the end of their list. */
void client_parse(struct client *client);

/* The same for a connection that has waited and was taken out of the list: it is its turn, for some commands. */
void client_parse_turn(struct client *client);

/* Writes what the socket takes. Returns false if the connection is to be closed. */
bool client_write(struct client *client);

/* Puts the connection on the list that clients_flush looks at. */
void client_touch(struct client *client);

/* A reply was added to the output: checks the limits of client-output-buffer-limit. */
void client_check_output(struct client *client);

/* Makes the state that commands see as it was when the connection was new (RESET). */
void client_reset(struct client *client);

/* Sets *field to a copy of `len` bytes, to NULL if len is 0. Error: RD_ENOMEM, nothing changed. */
enum rd_err client_set_text(char **field, const void *bytes, size_t len);

/* True if `text` is fit to be shown in a line of CLIENT LIST: printable ASCII without spaces. */
bool client_text_is_plain(const struct resp_slice *text);

/* Appends the connection's line of CLIENT LIST, without an end of line. Error: RD_ENOMEM. */
enum rd_err client_describe(const struct client *client, struct buf *out);

#endif
