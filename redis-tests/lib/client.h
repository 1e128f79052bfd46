/* Clients: hiredis for RESP2, and a plain socket with our own reader for RESP3 and for bytes that no library would send.
 *
 * Commands are lines with the quoting of redis-cli ("\x00", 'a b'); replies are texts as show.h makes them. expect() demands
 * that the reply matches a pattern, in which '*' stands for any text:
 *
 *     expect(&c, "+OK", "SET key \"some value\" PX %d", 1000);
 *     expect(&c, "-ERR value is not *", "SET key value EX x");
 */
#ifndef RD_REDIS_TESTS_CLIENT_H
#define RD_REDIS_TESTS_CLIENT_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "resp/reader.h"
#include "resp/words.h"

/* ---- hiredis ---- */

struct client {
    redisContext *redis;
    struct buf line, text;
    struct resp_words words;
};

/* Connects; the test fails if that fails. */
void client_open(struct client *client, int port);

/* Connects; false if nobody listens. */
bool client_try_open(struct client *client, int port);

void client_close(struct client *client);

/* Sends a command line and returns the reply as text, borrowed until the next call; "closed" if the connection has ended. */
const char *ask(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Sends arguments as they are and returns hiredis's reply, to be freed with freeReplyObject; NULL: closed. */
redisReply *client_call(struct client *client, int argc, const char **argv, const size_t *lengths);

#define expect(client, pattern, ...) client_expect(client, __FILE__, __LINE__, pattern, __VA_ARGS__)
void client_expect(struct client *client, const char *file, int line, const char *pattern,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A number of INFO; -1 if it does not answer or has no such field. */
long long client_info(struct client *client, const char *field);

/* What a test's table says: a command and the pattern of its reply. */
struct exchange {
    const char *command, *reply;
};

/* Sends the commands one after another on one connection. */
void client_play(struct client *client, const struct exchange *table, size_t count);
#define PLAY(client, table) client_play(client, table, sizeof(table) / sizeof((table)[0]))

/* ---- a plain socket ---- */

struct raw {
    int fd;
    struct buf in;   /* what has arrived and is not read yet */
    struct buf text; /* the last reply as text */
    size_t last;     /* bytes of the last reply; they are still at the head of `in` */
    struct resp_reader reader;
    struct resp_reader_limits limits;
};

/* Connects; the test fails if that fails. */
void raw_open(struct raw *raw, int port);

void raw_close(struct raw *raw);

/* Sends bytes; false if the other side has closed. */
bool raw_send(struct raw *raw, const void *bytes, size_t len);

/* Sends a command line as an array of bulk strings. */
void raw_command(struct raw *raw, const char *line);

/* Waits for one value and returns it as text, borrowed until the next call; "closed" if the connection has ended, with nothing left over. */
const char *raw_reply(struct raw *raw);

/* The bytes of the reply that raw_reply returned last. Borrowed. */
const uint8_t *raw_bytes(const struct raw *raw, size_t *len);

#define raw_expect(raw, pattern) raw_expect_at(raw, __FILE__, __LINE__, pattern)
void raw_expect_at(struct raw *raw, const char *file, int line, const char *pattern);

/* True if nothing more comes within `ms` and the connection stands. */
bool raw_is_quiet(struct raw *raw, int ms);

#endif
