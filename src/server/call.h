/* A call: one command of one connection, from its arrival until its reply is written.
 *
 * A connection may have many calls in flight. They complete in any order; their replies leave in the order in
 * which the commands came. What a connection's state says (protocol, R and W...) is noted when the command
 * arrives, so that a later HELLO or DYNQUORUM does not change it.
 *
 *     dispatch -> [parked: a key is busy, or a barrier] -> run -> [waits for the node] -> done -> sent in turn
 *
 * A command's function reads call->argv, then either writes one reply with call_reply and returns CALL_DONE, or submits requests, sets
 * call->on_reply and returns CALL_WAITS; on_reply is called once for each request's answer and returns the same. The arguments last only until
 * the function first returns, unless call_keep_args was called. A call whose connection has gone runs to its end all the same.
 */
#ifndef RD_SERVER_CALL_H
#define RD_SERVER_CALL_H

#include "base/buf.h"
#include "replication/client_op.h"
#include "resp/slice.h"
#include "resp/writer.h"
#include "server/command.h"
#include "server/lanes.h"

struct client;
struct clients;
struct server;

struct call {
    struct call *next;     /* the connection's next call; or of the free list, or of the orphans */
    struct call *previous; /* of the orphans */
    struct clients *clients;
    struct client *client;     /* NULL once the connection has gone */
    const struct command *row; /* NULL: the first argument names no command */
    const struct resp_slice *argv;
    size_t argc;

    /* The connection's state when the command came. */
    uint8_t proto;
    bool muted; /* CLIENT REPLY: the reply is thrown away */
    bool monotonic;
    uint32_t r, w; /* 0: the node's own */

    /* For the command's function. */
    enum call_progress (*on_reply)(struct call *call, uint32_t part, struct client_reply *reply);
    void *state; /* freed with the call by free_state, if that is set */
    void (*free_state)(void *state);
    uint64_t number; /* for commands that need no more than that */

    /* The rest belongs to call.c and dispatch.c. */
    struct resp_slice *kept; /* owned copy of the arguments, one allocation */
    struct lane_claim one_claim;
    struct lane_claim *claims; /* &one_claim, or owned */
    size_t claim_count;
    size_t waiting; /* claims not granted yet, and 1 for a barrier */
    struct call *next_ready;
    struct resp_writer writer;
    bool writing; /* `writer` is set up */
    bool direct;  /* it writes to the connection's output, not to `out` */
    bool parked;
    bool done;
    bool failed;     /* the reply is an error */
    bool rejected;   /* it never ran */
    size_t reply_at; /* where in the output the reply begins */
    struct buf out;
    uint64_t begun_us; /* monotonic */
};

/* The server that serves the call. */
struct server *call_server(const struct call *call);

/* The writer of the call's reply: the same one until the function returns, which must have written one whole reply then. */
struct resp_writer *call_reply(struct call *call);

/* Writes the error `text` ("ERR ..."), instead of what was written so far, and returns CALL_DONE. */
enum call_progress call_error(struct call *call, const char *text);

/* The same, formatted. */
enum call_progress call_errorf(struct call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes the error that stands for `err`; `text`: the sentence behind the code, NULL or "": rd_err_text. Returns CALL_DONE. */
enum call_progress call_fail(struct call *call, enum rd_err err, const char *text);

/* Writes +OK and returns CALL_DONE. */
enum call_progress call_ok(struct call *call);

/* True if argument `index` is `word`, in any case. */
bool call_arg_is(const struct call *call, size_t index, const char *word);

/* Parses argument `index` as a signed number; on failure writes Redis's "value is not an integer or out of range" and returns false. */
bool call_arg_i64(struct call *call, size_t index, int64_t *out);

/* Makes the arguments last as long as the call. Error: RD_ENOMEM. */
enum rd_err call_keep_args(struct call *call);

/* Sends a request to the node: fills in its tag, and the connection's r, w and monotonic where the request has 0. What the request borrows may go after
 * the call. `part` comes back to on_reply. Error: RD_ENOMEM, nothing was sent. */
enum rd_err call_submit(struct call *call, uint32_t part, struct client_request *request);

/* ---- for dispatch.c, client.c and client_list.c ---------------------------------------------------- */

/* A new call at the end of the connection's queue, not yet run; borrows the arguments. NULL: out of memory. */
struct call *call_new(struct client *client, const struct resp_slice *argv, size_t argc);

/* Runs the call, and what becomes runnable by that. */
void call_run(struct call *call);

/* Ends a call whose error has been written and that is not to run, and runs what becomes runnable by that. */
void call_refused(struct call *call);

/* Ends a call that waits for something else than the node, once its reply is written. */
void call_end(struct call *call);

/* Routes the node's answer to its call; an answer to nobody is ignored. */
void call_answer(struct clients *clients, uint64_t tag, struct client_reply *reply);

/* The call's connection has gone: it runs on without one. */
void call_orphan(struct call *call);

/* Lets a barrier run once its keys are free, without waiting for the calls before it. */
void call_lift_barrier(struct call *barrier);

/* Frees a call outright, when the server ends. */
void call_free(struct call *call);

#endif
