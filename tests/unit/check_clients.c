/* server/client, client_list, call, dispatch: many commands in flight, replies in order, connections that come and go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/client.h"
#include "tests/lib/run.h"
#include "tests/unit/server_fake.h"

static void *copy_text(const char *text) {
    char *copy = malloc(strlen(text) + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, strlen(text) + 1);
    return copy;
}

static void send_text(int fd, const char *text) {
    fake_send(fd, text, strlen(text));
}

START_TEST(answers_inline_and_multibulk) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    send_text(fd, "PING\r\n*1\r\n$4\r\nPING\r\n\r\n*0\r\nECHO \"a b\"\r\n");
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fd, NULL), "+PONG\r\n+PONG\r\n$3\r\na b\r\n");
    close(fd);
    fake_settle(fake);
    ck_assert_uint_eq(fake->server.clients->count, 0);
    fake_free(fake);
}
END_TEST

START_TEST(takes_a_command_byte_by_byte) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    const char *bytes =
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    for (const char *at = bytes; *at != '\0'; at++) {
        fake_send(fd, at, 1);
        fake_turn(fake, 1);
    }
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fd, NULL), "+OK\r\n$5\r\nhello\r\n");
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(replies_leave_in_order) {
    struct fake *fake = fake_new(1);
    fake->order = FAKE_LAST;
    int fd = fake_connect(fake);
    send_text(fd, "SET a 1\r\nSET b 2\r\nPING\r\nGET c\r\nPING x\r\n");
    fake_turn(fake, 1);
    ck_assert_str_eq(fake_received(fd, NULL), "");
    ck_assert_uint_eq(fake->most_requests, 3);
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fd, NULL), "+OK\r\n+OK\r\n+PONG\r\n$-1\r\n$1\r\nx\r\n");
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(commands_on_one_key_take_effect_in_order) {
    struct fake *fake = fake_new(1);
    fake->order = FAKE_LAST;
    int fd = fake_connect(fake);
    send_text(fd, "SET k 1\r\nGET k\r\nSET k 2\r\nGET k\r\nGET k\r\nDEL k\r\nGET k\r\nMSET k 3 l "
                  "4\r\nMGET l k\r\n");
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fd, NULL),
                     "+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n$1\r\n2\r\n:1\r\n$-1\r\n+OK\r\n"
                     "*2\r\n$1\r\n4\r\n$1\r\n3\r\n");
    close(fd);
    fake_free(fake);
}
END_TEST

/* The oracle of the random pipelines: a table of values and the replies that one command after the other would give. */
struct model {
    char values[4][16];
    struct buf expected;
};

static void model_step(struct model *model, struct prng *prng, struct buf *commands,
                       const char *prefix) {
    size_t k = (size_t)prng_below(prng, 4), l = (size_t)prng_below(prng, 4);
    unsigned number = (unsigned)prng_below(prng, 1000);
    char *v = model->values[k];
    switch (prng_below(prng, 6)) {
    case 0:
    case 1:
        buf_printf(commands, "SET %s%zu %u\r\n", prefix, k, number);
        snprintf(v, sizeof(model->values[0]), "%u", number);
        buf_printf(&model->expected, "+OK\r\n");
        break;
    case 2:
        buf_printf(commands, "DEL %s%zu\r\n", prefix, k);
        buf_printf(&model->expected, ":%d\r\n", v[0] != '\0');
        v[0] = '\0';
        break;
    case 3:
        buf_printf(commands, "MSET %s%zu %u %s%zu %u\r\n", prefix, k, number, prefix, l,
                   number + 1);
        snprintf(v, sizeof(model->values[0]), "%u", number);
        snprintf(model->values[l], sizeof(model->values[0]), "%u", number + 1);
        buf_printf(&model->expected, "+OK\r\n");
        break;
    case 4:
        buf_printf(commands, "EXISTS %s%zu %s%zu\r\n", prefix, k, prefix, l);
        buf_printf(&model->expected, ":%d\r\n", (v[0] != '\0') + (model->values[l][0] != '\0'));
        break;
    default:
        buf_printf(commands, "GET %s%zu\r\n", prefix, k);
        if (v[0] == '\0') {
            buf_printf(&model->expected, "$-1\r\n");
        } else {
            buf_printf(&model->expected, "$%zu\r\n%s\r\n", strlen(v), v);
        }
    }
}

START_TEST(random_pipelines_agree_with_one_after_the_other) {
    struct fake *fake = fake_new((uint64_t)_i);
    fake->order = FAKE_ANY;
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i + 1000);
    struct model models[3] = {0};
    int fds[3];
    struct buf received[3] = {0};
    for (size_t c = 0; c < 3; c++) {
        fds[c] = fake_connect(fake);
    }
    for (int round = 0; round < 200; round++) {
        size_t c = (size_t)prng_below(&prng, 3);
        char prefix[8];
        snprintf(prefix, sizeof(prefix), "c%zu-", c);
        struct buf commands = {0};
        for (uint64_t i = prng_below(&prng, 20); i > 0; i--) {
            model_step(&models[c], &prng, &commands, prefix);
        }
        fake_send(fds[c], buf_data(&commands), buf_len(&commands));
        buf_free(&commands);
        fake_turn(fake, (size_t)prng_below(&prng, 12));
    }
    for (size_t c = 0; c < 3; c++) {
        fake_collect(fake, fds[c], &received[c]);
        ck_assert_uint_eq(buf_len(&received[c]), buf_len(&models[c].expected));
        ck_assert_mem_eq(buf_data(&received[c]), buf_data(&models[c].expected),
                         buf_len(&received[c]));
        buf_free(&received[c]);
        buf_free(&models[c].expected);
        close(fds[c]);
    }
    ck_assert_uint_gt(fake->most_requests, 8);
    fake_free(fake);
}
END_TEST

START_TEST(a_barrier_waits_for_all_before_it) {
    struct fake *fake = fake_new(1);
    fake->hold = true;
    int fd = fake_connect(fake);
    send_text(fd, "SET a 1\r\nSET b 2\r\nDBSIZE\r\nSET c 3\r\n");
    fake_turn(fake, 0);
    ck_assert_uint_eq(fake->request_count, 2);
    fake->hold = false;
    fake_turn(fake, 1);
    ck_assert_uint_eq(fake->request_count, 1);
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fd, NULL), "+OK\r\n+OK\r\n:2\r\n+OK\r\n");
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(the_number_in_flight_is_bounded) {
    struct fake *fake = fake_new(1);
    fake->hold = true;
    fake->server.clients->pace.window = PACE_MOST;
    int fd = fake_connect(fake);
    struct buf commands = {0};
    for (int i = 0; i < 3 * CLIENT_MAX_IN_FLIGHT; i++) {
        ck_assert_int_eq(buf_printf(&commands, "GET key%d\r\n", i), RD_OK);
    }
    fake_send(fd, buf_data(&commands), buf_len(&commands));
    buf_free(&commands);
    for (int i = 0; i < 10; i++) {
        fake_turn(fake, 0);
    }
    ck_assert_uint_eq(fake->request_count, CLIENT_MAX_IN_FLIGHT);
    fake->hold = false;
    struct buf received = {0};
    fake_collect(fake, fd, &received);
    ck_assert_uint_eq(buf_len(&received), 3 * CLIENT_MAX_IN_FLIGHT * strlen("$-1\r\n"));
    buf_free(&received);
    close(fd);
    fake_free(fake);
}
END_TEST

/* Three long pipelines and one short command: the window holds, and the short one does not wait for the long ones to end. */
START_TEST(long_pipelines_line_up) {
    enum { LONG = 2000 };
    struct fake *fake = fake_new(1);
    fake->hold = true;
    int fds[3], hasty;
    struct buf commands = {0}, received = {0};
    for (int i = 0; i < LONG; i++) {
        ck_assert_int_eq(buf_printf(&commands, "GET key%d\r\n", i), RD_OK);
    }
    for (int c = 0; c < 3; c++) {
        fds[c] = fake_connect(fake);
        fake_send(fds[c], buf_data(&commands), buf_len(&commands));
    }
    buf_free(&commands);
    fake_turn(fake, 0);
    ck_assert_uint_eq(fake->request_count, PACE_FIRST);
    hasty = fake_connect(fake);
    send_text(hasty, "PING\r\n");
    fake_turn(fake, 0);
    ck_assert_uint_eq(fake->request_count, PACE_FIRST);
    fake->hold = false;
    while (fake_received(hasty, NULL)[0] == '\0') {
        ck_assert(fake_turn(fake, 16));
    }
    ck_assert_uint_lt(fake->submitted, LONG);
    for (int c = 0; c < 3; c++) {
        fake_collect(fake, fds[c], &received);
    }
    for (int c = 0; c < 3; c++) {
        fake_collect(fake, fds[c], &received);
        close(fds[c]);
    }
    ck_assert_uint_eq(buf_len(&received), 3 * LONG * strlen("$-1\r\n"));
    ck_assert_uint_le(fake->most_requests, fake->server.clients->pace.window);
    buf_free(&received);
    close(hasty);
    fake_settle(fake);
    ck_assert_ptr_null(fake->server.clients->first_starved);
    ck_assert_ptr_null(fake->server.clients->last_starved);
    fake_free(fake);
}
END_TEST

START_TEST(who_waits_in_line_may_go) {
    struct fake *fake = fake_new(1);
    fake->hold = true;
    fake->server.clients->pace.window = 1;
    int fds[4];
    for (int c = 0; c < 4; c++) {
        fds[c] = fake_connect(fake);
        send_text(fds[c], "GET a\r\nGET b\r\n");
    }
    fake_turn(fake, 0);
    ck_assert_uint_eq(fake->request_count, 1);
    size_t waiting = 0;
    for (struct client *client = fake->server.clients->first; client != NULL;
         client = client->next) {
        waiting += client->starved;
        if (client == fake->server.clients->first->next || client->next == NULL) {
            client->doomed = true;
            client_touch(client);
        }
    }
    ck_assert_uint_eq(waiting, 4);
    fake->hold = false;
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fds[0], NULL), "$-1\r\n$-1\r\n");
    ck_assert_str_eq(fake_received(fds[2], NULL), "$-1\r\n$-1\r\n");
    ck_assert_uint_eq(fake->server.clients->count, 2);
    ck_assert_ptr_null(fake->server.clients->first_starved);
    for (int c = 0; c < 4; c++) {
        close(fds[c]);
    }
    fake_free(fake);
}
END_TEST

START_TEST(state_is_that_of_the_commands_arrival) {
    struct fake *fake = fake_new(1);
    fake->hold = true;
    int fd = fake_connect(fake);
    send_text(fd, "GET a\r\nHELLO 3 SETNAME x\r\nGET a\r\n");
    fake_turn(fake, 0);
    fake->hold = false;
    fake_settle(fake);
    const char *text = fake_received(fd, NULL);
    ck_assert_int_eq(strncmp(text, "$-1\r\n%7\r\n", 9), 0);
    ck_assert_str_eq(text + strlen(text) - 3, "_\r\n");
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(bad_input_ends_that_connection_only) {
    static const struct {
        const char *bytes, *reply;
    } cases[] = {
        {"*1\r\n!4\r\nPING\r\n", "-ERR Protocol error: expected '$', got '!'\r\n"},
        {"*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
        {"*9999999999\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
        {"ECHO \"x\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
        {"*2\r\n$4\r\nECHO\r\n$99999999999\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
    };
    struct fake *fake = fake_new(1);
    int other = fake_connect(fake);
    fake->hold = true;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = fake_connect(fake);
        char expected[256];
        send_text(fd, "SET k v\r\n");
        send_text(fd, cases[i].bytes);
        send_text(fd, "PING\r\n");
        fake_turn(fake, 0);
        ck_assert_str_eq(fake_received(fd, NULL), "");
        fake->hold = false;
        fake_settle(fake);
        fake->hold = true;
        snprintf(expected, sizeof(expected), "+OK\r\n%s", cases[i].reply);
        ck_assert_str_eq(fake_received(fd, NULL), expected);
        ck_assert(fake_is_closed(fd));
        close(fd);
        ck_assert_uint_eq(fake->server.clients->count, 1);
        ck_assert_str_eq(fake_ask(fake, other, "PING"), "+PONG\r\n");
    }
    close(other);
    fake_free(fake);
}
END_TEST

START_TEST(quit_closes_behind_the_replies) {
    struct fake *fake = fake_new(1);
    fake->order = FAKE_LAST;
    int fd = fake_connect(fake);
    send_text(fd, "GET a\r\nQUIT\r\nPING\r\n");
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fd, NULL), "$-1\r\n+OK\r\n");
    ck_assert(fake_is_closed(fd));
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(a_peer_that_has_ended_gets_its_replies) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    send_text(fd, "SET a 1\r\nGET a\r\nDBSIZE\r\n*2\r\n$3\r\nGET");
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fd, NULL), "+OK\r\n$1\r\n1\r\n:1\r\n");
    ck_assert(fake_is_closed(fd));
    ck_assert_uint_eq(fake->server.clients->count, 0);
    close(fd);
    fake_free(fake);
}
END_TEST

/* The peer goes with commands waiting for the node, for a key, and for all before them: they are executed, answers find nobody. */
START_TEST(what_was_received_is_executed_without_its_connection) {
    struct fake *fake = fake_new(1);
    fake->hold = true;
    int fd = fake_connect(fake), other = fake_connect(fake);
    send_text(fd, "SET a 1\r\nSET a 2\r\nSET b 1\r\nDBSIZE\r\n");
    fake_turn(fake, 0);
    fake->server.clients->first->doomed = true;
    client_touch(fake->server.clients->first);
    fake_turn(fake, 0);
    ck_assert_uint_eq(fake->server.clients->count, 1);
    ck_assert(fake_is_closed(fd));
    fake->hold = false;
    fake_settle(fake);
    ck_assert_ptr_null(fake->server.clients->orphans);
    ck_assert_str_eq(fake_ask(fake, other, "MGET a b"), "*2\r\n$1\r\n2\r\n$1\r\n1\r\n");
    close(fd);
    close(other);
    fake_free(fake);
}
END_TEST

START_TEST(ends_with_everything_in_flight) {
    struct fake *fake = fake_new(1);
    fake->hold = true;
    int fd = fake_connect(fake), other = fake_connect(fake);
    send_text(fd, "SET a 1\r\nSET a 2\r\nMGET a b c\r\nPING\r\nDBSIZE\r\n");
    send_text(other, "MSET a 1 b 2 a 3\r\nDEL a a\r\n");
    fake_turn(fake, 0);
    ck_assert_uint_eq(clients_busy(fake->server.clients), 2);
    fake->server.clients->first->doomed = true;
    client_touch(fake->server.clients->first);
    fake_turn(fake, 0);
    fake_free(fake);
    close(fd);
    close(other);
}
END_TEST

START_TEST(replies_can_be_turned_off) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    send_text(fd, "CLIENT REPLY SKIP\r\nSET a 1\r\nGET a\r\nCLIENT REPLY OFF\r\nGET "
                  "a\r\nPING\r\nCLIENT REPLY ON\r\nPING\r\n");
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fd, NULL), "$1\r\n1\r\n+OK\r\n+PONG\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "CLIENT REPLY MAYBE"), "-ERR syntax error\r\n");
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(maxclients_refuses_with_one_line) {
    struct fake *fake = fake_new(1);
    fake->server.config->maxclients = 1;
    int fd = fake_connect(fake), second = fake_connect(fake);
    ck_assert_str_eq(fake_received(second, NULL), "-ERR max number of clients reached\r\n");
    ck_assert(fake_is_closed(second));
    ck_assert_str_eq(fake_ask(fake, fd, "PING"), "+PONG\r\n");
    ck_assert_uint_eq(fake->server.counters.connections_rejected, 1);
    close(fd);
    close(second);
    fake_free(fake);
}
END_TEST

START_TEST(a_password_is_asked_for) {
    struct fake *fake = fake_new(1);
    free(fake->server.config->requirepass);
    fake->server.config->requirepass = copy_text("secret");
    int fd = fake_connect(fake);
    ck_assert_str_eq(fake_ask(fake, fd, "GET a"), "-NOAUTH Authentication required.\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "NOSUCH"),
                     "-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "AUTH wrong"),
                     "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "AUTH other secret"),
                     "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    ck_assert_int_eq(strncmp(fake_ask(fake, fd, "HELLO 3"), "-NOAUTH HELLO must", 18), 0);
    ck_assert_str_eq(fake_ask(fake, fd, "AUTH secret"), "+OK\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "GET a"), "$-1\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "RESET"), "+RESET\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "GET a"), "-NOAUTH Authentication required.\r\n");
    ck_assert_int_eq(
        strncmp(fake_ask(fake, fd, "HELLO 2 AUTH default secret SETNAME n"), "*14\r\n", 5), 0);
    ck_assert_str_eq(fake_ask(fake, fd, "CLIENT GETNAME"), "$1\r\nn\r\n");
    close(fd);
    int fresh = fake_connect(fake);
    send_text(fresh, "*100\r\n");
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fresh, NULL),
                     "-ERR Protocol error: unauthenticated multibulk length\r\n");
    close(fresh);
    fake_free(fake);
}
END_TEST

START_TEST(a_hard_output_limit_ends_the_connection) {
    struct fake *fake = fake_new(1);
    fake->server.config->output_limits[CLIENT_CLASS_NORMAL].hard_bytes = 100;
    int fd = fake_connect(fake), other = fake_connect(fake);
    ck_assert_str_eq(fake_ask(fake, fd, "PING"), "+PONG\r\n");
    char line[256];
    memset(line, 'x', sizeof(line));
    memcpy(line, "ECHO ", 5);
    memcpy(line + sizeof(line) - 3, "\r\n", 3);
    send_text(fd, line);
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fd, NULL), "");
    ck_assert(fake_is_closed(fd));
    ck_assert_uint_eq(fake->server.counters.output_limit_disconnects, 1);
    ck_assert_str_eq(fake_ask(fake, other, "PING"), "+PONG\r\n");
    close(fd);
    close(other);
    fake_free(fake);
}
END_TEST

START_TEST(a_bulk_limit_follows_the_configuration) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    fake->server.config->proto_max_bulk_bytes = 1000;
    fake_settle(fake);
    send_text(fd, "*2\r\n$4\r\nECHO\r\n$1001\r\n");
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fd, NULL), "-ERR Protocol error: invalid bulk length\r\n");
    close(fd);
    fake_free(fake);
}
END_TEST

/* A peer that does not read is not read from either, and loses nothing once it reads. */
START_TEST(a_peer_that_does_not_read_is_slowed_down) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    enum { BIG = 1 << 16, TIMES = 3000 };
    char *value = malloc(BIG + 1);
    ck_assert_ptr_nonnull(value);
    memset(value, 'v', BIG);
    value[BIG] = '\0';
    fake_add_sibling(fake, "k", value, 0);
    struct buf commands = {0};
    for (int i = 0; i < TIMES; i++) {
        ck_assert_int_eq(buf_printf(&commands, "GET k\r\n"), RD_OK);
    }
    fake_send(fd, buf_data(&commands), buf_len(&commands));
    buf_free(&commands);
    fake_settle(fake);
    const struct client *client = fake->server.clients->first;
    ck_assert_uint_ge(buf_len(&client->out), CLIENT_MAX_UNSENT_BYTES);
    ck_assert_uint_eq(client->in_flight, 0);
    ck_assert_uint_gt(buf_len(&client->in), 0);
    size_t total = 0, len = 0;
    do {
        fake_settle(fake);
        fake_received(fd, &len);
        total += len;
    } while (len > 0);
    ck_assert_uint_eq(total, (size_t)TIMES * (BIG + strlen("$65536\r\n\r\n")));
    free(value);
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(stopping_finishes_what_is_in_flight) {
    struct fake *fake = fake_new(1);
    fake->hold = true;
    int fd = fake_connect(fake), idle = fake_connect(fake);
    send_text(fd, "SET a 1\r\nSHUTDOWN NOSAVE\r\nSET b 2\r\n");
    fake_turn(fake, 0);
    ck_assert(!fake->stopped);
    fake->hold = false;
    fake_settle(fake);
    ck_assert(fake->stopped);
    ck_assert_str_eq(fake_received(fd, NULL), "+OK\r\n");
    ck_assert(fake_is_closed(fd));
    ck_assert(fake_is_closed(idle));
    ck_assert_uint_eq(clients_busy(fake->server.clients), 0);
    close(fd);
    close(idle);
    fake_free(fake);
}
END_TEST

START_TEST(late_and_invented_answers_are_ignored) {
    struct fake *fake = fake_new(1);
    struct client_reply reply = {0};
    clients_on_reply(fake->server.clients, 0, &reply);
    clients_on_reply(fake->server.clients, UINT64_MAX, &reply);
    int fd = fake_connect(fake);
    ck_assert_str_eq(fake_ask(fake, fd, "GET a"), "$-1\r\n");
    clients_on_reply(fake->server.clients, (uint64_t)1 << 32, &reply);
    ck_assert_str_eq(fake_ask(fake, fd, "PING"), "+PONG\r\n");
    close(fd);
    fake_free(fake);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("clients");
    TCase *tcase = tcase_create("clients");
    tcase_set_timeout(tcase, 20);
    tcase_add_test(tcase, answers_inline_and_multibulk);
    tcase_add_test(tcase, takes_a_command_byte_by_byte);
    tcase_add_test(tcase, replies_leave_in_order);
    tcase_add_test(tcase, commands_on_one_key_take_effect_in_order);
    tcase_add_loop_test(tcase, random_pipelines_agree_with_one_after_the_other, 0, 20);
    tcase_add_test(tcase, a_barrier_waits_for_all_before_it);
    tcase_add_test(tcase, the_number_in_flight_is_bounded);
    tcase_add_test(tcase, long_pipelines_line_up);
    tcase_add_test(tcase, who_waits_in_line_may_go);
    tcase_add_test(tcase, state_is_that_of_the_commands_arrival);
    tcase_add_test(tcase, bad_input_ends_that_connection_only);
    tcase_add_test(tcase, quit_closes_behind_the_replies);
    tcase_add_test(tcase, a_peer_that_has_ended_gets_its_replies);
    tcase_add_test(tcase, what_was_received_is_executed_without_its_connection);
    tcase_add_test(tcase, ends_with_everything_in_flight);
    tcase_add_test(tcase, replies_can_be_turned_off);
    tcase_add_test(tcase, maxclients_refuses_with_one_line);
    tcase_add_test(tcase, a_password_is_asked_for);
    tcase_add_test(tcase, a_hard_output_limit_ends_the_connection);
    tcase_add_test(tcase, a_bulk_limit_follows_the_configuration);
    tcase_add_test(tcase, a_peer_that_does_not_read_is_slowed_down);
    tcase_add_test(tcase, stopping_finishes_what_is_in_flight);
    tcase_add_test(tcase, late_and_invented_answers_are_ignored);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
