/* A server whose driver and node are played by the test: connections are socket pairs, and the test decides when, and in which order,
 * requests are answered. Keys hold real objects, so that contexts and siblings are what they will be.
 */
#ifndef RD_TESTS_SERVER_FAKE_H
#define RD_TESTS_SERVER_FAKE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/prng.h"
#include "server/client_list.h"
#include "server/config.h"
#include "server/server.h"

#define FAKE_KEYS 4096
#define FAKE_MEMBERS 8

struct fake_request {
    struct client_request request; /* its key, value and context are owned copies */
    uint64_t arrival;
};

struct fake_key {
    struct buf name;
    struct object object;
};

struct fake_member {
    uint8_t id;
    uint16_t port;
    int state, status; /* enum member_state, member_status */
};

/* Which request is answered next. */
enum fake_order { FAKE_FIRST, FAKE_LAST, FAKE_ANY };

struct fake {
    struct server server;
    struct prng prng;
    enum fake_order order;
    bool hold; /* answer nothing */
    struct fake_request *requests;
    size_t request_count, request_cap;
    size_t most_requests; /* that were open at once */
    uint64_t submitted;
    struct fake_key keys[FAKE_KEYS];
    size_t key_count;
    uint64_t counter;
    enum rd_err fail_with; /* answer every request with this error, if not RD_OK */
    size_t fail_after;     /* but so many as they should be, first */
    uint32_t n, r, w;
    uint32_t last_r, last_w; /* of the request submitted last */
    bool last_monotonic;
    struct fake_member members[FAKE_MEMBERS];
    size_t member_count;
    uint32_t partitions;
    bool stopped;
};

/* Makes a server with default configuration, one member, N=3, R=W=2. Ends the test on failure. */
struct fake *fake_new(uint64_t seed);

/* Frees everything. */
void fake_free(struct fake *fake);

/* A new connection; returns the peer's end, nonblocking, to be closed by the caller. */
int fake_connect(struct fake *fake);

/* Sends bytes as the peer; the test fails if the socket does not take them all. */
void fake_send(int fd, const void *bytes, size_t len);

/* Sends one command as an array of bulk strings made of the words of `words`, separated by single spaces. */
void fake_send_words(int fd, const char *words);

/* One turn: events, up to `answers` answers, flush. Returns false if nothing happened. */
bool fake_turn(struct fake *fake, size_t answers);

/* Turns until nothing happens any more. */
void fake_settle(struct fake *fake);

/* What has come to the peer so far, as a string (lasts until the next call; zero bytes are kept, the length is in *len if not NULL). */
const char *fake_received(int fd, size_t *len);

/* Settles and receives by turns until nothing more comes; appends it to `out`. */
void fake_collect(struct fake *fake, int fd, struct buf *out);

/* Sends the command, settles, and returns what came back. */
const char *fake_ask(struct fake *fake, int fd, const char *words);

/* True if the server has closed the connection; call fake_received before. */
bool fake_is_closed(int fd);

/* Gives `key` one more sibling, written by somebody who saw nothing, expiring at `expires_ms` (0: never). */
void fake_add_sibling(struct fake *fake, const char *key, const char *value, uint64_t expires_ms);

/* Answers open request number `index` in order of arrival. */
void fake_answer(struct fake *fake, size_t index);

#endif
