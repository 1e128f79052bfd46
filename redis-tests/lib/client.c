/* Clients. */
#include "redis-tests/lib/client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "redis-tests/lib/proc.h"
#include "redis-tests/lib/show.h"

#define MAX_WORDS 1024

/* ---- hiredis -------------------------------------------------------------------------------------- */

bool client_try_open(struct client *client, int port) {
    *client = (struct client){0};
    client->redis = redisConnect("127.0.0.1", port);
    ck_assert_ptr_nonnull(client->redis);
    if (client->redis->err != 0) {
        redisFree(client->redis);
        client->redis = NULL;
        return false;
    }
    redisSetTimeout(client->redis, (struct timeval){WAIT_SECONDS, 0});
    return true;
}

void client_open(struct client *client, int port) {
    ck_assert_msg(client_try_open(client, port), "nobody listens on port %d", port);
}

void client_close(struct client *client) {
    if (client->redis != NULL) {
        redisFree(client->redis);
    }
    buf_free(&client->line);
    buf_free(&client->text);
    resp_words_free(&client->words);
    *client = (struct client){0};
}

redisReply *client_call(struct client *client, int argc, const char **argv, const size_t *lengths) {
    redisReply *reply = redisCommandArgv(client->redis, argc, argv, lengths);
    ck_assert_msg(reply != NULL || client->redis->err == REDIS_ERR_EOF ||
                      client->redis->err == REDIS_ERR_IO,
                  "hiredis: %s", client->redis->errstr);
    return reply;
}

static const char *send_line(struct client *client) {
    const char *argv[MAX_WORDS];
    size_t lengths[MAX_WORDS];
    ck_assert_msg(resp_words_split(&client->words, buf_data(&client->line), buf_len(&client->line),
                                   MAX_WORDS) == RD_OK,
                  "a test's line is malformed");
    for (size_t i = 0; i < client->words.count; i++) {
        argv[i] = (const char *)client->words.items[i].data;
        lengths[i] = client->words.items[i].len;
    }
    redisReply *reply = client_call(client, (int)client->words.count, argv, lengths);
    if (reply == NULL) {
        return "closed";
    }
    buf_truncate(&client->text, 0);
    show_reply(&client->text, reply);
    freeReplyObject(reply);
    return show_text(&client->text);
}

/* printf into a buffer, replacing what is there. */
static void print(struct buf *to, const char *format, va_list args) {
    va_list again;
    uint8_t *at;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    buf_truncate(to, 0);
    ck_assert_int_eq(buf_reserve(to, (size_t)len + 1, &at), RD_OK);
    vsnprintf((char *)at, (size_t)len + 1, format, args);
    buf_commit(to, (size_t)len);
}

const char *ask(struct client *client, const char *format, ...) {
    va_list args;
    va_start(args, format);
    print(&client->line, format, args);
    va_end(args);
    return send_line(client);
}

static void compare(const char *file, int line, const char *command, const char *got,
                    const char *pattern) {
    ck_assert_msg(show_matches(pattern, got),
                  "%s:%d: %.200s\n  expected %.2000s\n  got      %.2000s", file, line, command,
                  pattern, got);
}

void client_expect(struct client *client, const char *file, int line, const char *pattern,
                   const char *format, ...) {
    va_list args;
    va_start(args, format);
    print(&client->line, format, args);
    va_end(args);
    const char *got = send_line(client);
    compare(file, line, show_text(&client->line), got, pattern);
}

long long client_info(struct client *client, const char *field) {
    long long value = -1;
    redisReply *reply = redisCommand(client->redis, "INFO everything");
    if (reply != NULL && reply->type == REDIS_REPLY_STRING) {
        size_t len = strlen(field);
        for (const char *at = reply->str; (at = strstr(at, field)) != NULL; at += len) {
            if ((at == reply->str || at[-1] == '\n') && at[len] == ':') {
                value = strtoll(at + len + 1, NULL, 10);
                break;
            }
        }
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return value;
}

void client_play(struct client *client, const struct exchange *table, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *got = ask(client, "%s", table[i].command);
        compare("table", (int)i, table[i].command, got, table[i].reply);
    }
}

/* ---- a plain socket ------------------------------------------------------------------------------- */

void raw_open(struct raw *raw, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *raw = (struct raw){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ck_assert_msg(connect(raw->fd, (struct sockaddr *)&address, sizeof address) == 0,
                  "nobody listens on port %d", port);
    resp_reader_limits_default(&raw->limits);
    resp_reader_init(&raw->reader, &raw->limits);
}

void raw_close(struct raw *raw) {
    close(raw->fd);
    buf_free(&raw->in);
    buf_free(&raw->text);
    resp_reader_free(&raw->reader);
    raw->fd = -1;
}

bool raw_send(struct raw *raw, const void *bytes, size_t len) {
    const char *at = bytes;
    while (len > 0) {
        struct pollfd ready = {raw->fd, POLLOUT, 0};
        ck_assert_msg(poll(&ready, 1, WAIT_SECONDS * 1000) == 1, "the server does not read");
        ssize_t n = send(raw->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            return false;
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

void raw_command(struct raw *raw, const char *line) {
    struct resp_words words = {0};
    struct buf out = {0};
    ck_assert_int_eq(resp_words_split(&words, (const uint8_t *)line, strlen(line), MAX_WORDS),
                     RD_OK);
    ck_assert_int_eq(buf_printf(&out, "*%zu\r\n", words.count), RD_OK);
    for (size_t i = 0; i < words.count; i++) {
        ck_assert_int_eq(buf_printf(&out, "$%zu\r\n", words.items[i].len), RD_OK);
        ck_assert_int_eq(buf_append(&out, words.items[i].data, words.items[i].len), RD_OK);
        ck_assert_int_eq(buf_append(&out, "\r\n", 2), RD_OK);
    }
    raw_send(raw, buf_data(&out), buf_len(&out));
    buf_free(&out);
    resp_words_free(&words);
}

/* Reads what is there, waiting up to `ms`. Returns 1, 0 if nothing came, -1 if the connection has ended. */
static int receive(struct raw *raw, int ms) {
    struct pollfd ready = {raw->fd, POLLIN, 0};
    uint8_t *to;
    if (poll(&ready, 1, ms) != 1) {
        return 0;
    }
    ck_assert_int_eq(buf_reserve(&raw->in, 65536, &to), RD_OK);
    ssize_t n = recv(raw->fd, to, 65536, 0);
    if (n <= 0) {
        return -1;
    }
    buf_commit(&raw->in, (size_t)n);
    return 1;
}

const char *raw_reply(struct raw *raw) {
    const struct resp_value *root;
    buf_consume(&raw->in, raw->last);
    raw->last = 0;
    for (;;) {
        enum rd_err err = resp_reader_read(&raw->reader, buf_data(&raw->in), buf_len(&raw->in),
                                           &raw->last, &root);
        if (err == RD_OK) {
            break;
        }
        ck_assert_msg(err == RD_EINCOMPLETE, "a malformed reply: %s",
                      resp_reader_error(&raw->reader));
        int got = receive(raw, WAIT_SECONDS * 1000);
        ck_assert_msg(got != 0, "no reply");
        if (got < 0) {
            ck_assert_msg(buf_len(&raw->in) == 0, "the connection ended within a reply");
            return "closed";
        }
    }
    buf_truncate(&raw->text, 0);
    show_value(&raw->text, root);
    return show_text(&raw->text);
}

const uint8_t *raw_bytes(const struct raw *raw, size_t *len) {
    *len = raw->last;
    return buf_data(&raw->in);
}

void raw_expect_at(struct raw *raw, const char *file, int line, const char *pattern) {
    compare(file, line, "(raw)", raw_reply(raw), pattern);
}

bool raw_is_quiet(struct raw *raw, int ms) {
    buf_consume(&raw->in, raw->last);
    raw->last = 0;
    return buf_len(&raw->in) == 0 && receive(raw, ms) == 0;
}
