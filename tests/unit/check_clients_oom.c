/* The client side without memory: whichever allocation fails, the server lives, the connection gets a whole reply or is
 * closed, and the next one is served as if nothing had been. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/client.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/server_fake.h"

/* Requests are held while allocations fail, since what the fake does must not. */
static const char *const scripts[] = {
    "PING\r\n",
    "SET a 1\r\nGET a\r\nSET a 2\r\n",
    "MSET a 1 b 2 a 3\r\nMGET a b c\r\nDEL a b\r\n",
    "DBSIZE\r\nSET a 1\r\nDBSIZE\r\n",
    "COMMAND DOCS\r\n",
    "COMMAND\r\nCOMMAND LIST\r\nCLIENT HELP\r\n",
    "INFO everything\r\nCLIENT LIST\r\n",
    "CLUSTER SLOTS\r\nCLUSTER SHARDS\r\nCLUSTER NODES\r\n",
    "DYNSET a 1 EX 100\r\nDYNPREFLIST a\r\nDYNCLUSTER RING\r\n",
    "CONFIG GET *\r\nCONFIG SET timeout 5\r\n",
    "CLIENT SETNAME x\r\nHELLO 3 SETNAME y\r\nNOSUCH x y\r\n",
    "*1\r\n!\r\n",
};
#define SCRIPTS (int)(sizeof(scripts) / sizeof(scripts[0]))

START_TEST(any_allocation_may_fail) {
    struct fake *fake = fake_new(1);
    int other = fake_connect(fake);
    for (unsigned n = 1;; n++) {
        int fd = fake_connect(fake);
        fake->hold = true;
        fake_send(fd, scripts[_i], strlen(scripts[_i]));
        oom_fail_at(n);
        fake_turn(fake, 0);
        int failed = oom_stop();
        fake->hold = false;
        struct buf received = {0};
        fake_collect(fake, fd, &received);
        ck_assert(buf_len(&received) > 0 || fake_is_closed(fd));
        buf_free(&received);
        close(fd);
        fake_settle(fake);
        ck_assert_uint_eq(fake->server.clients->count, 1);
        ck_assert_uint_eq(fake->server.clients->tickets.open, 0);
        ck_assert_uint_eq(fake->server.clients->lanes.claim_count, 0);
        ck_assert_ptr_null(fake->server.clients->orphans);
        ck_assert_str_eq(fake_ask(fake, other, "PING"), "+PONG\r\n");
        if (!failed) {
            break;
        }
    }
    close(other);
    fake_free(fake);
}
END_TEST

/* Memory stays away: connections go, the server does not. */
START_TEST(all_allocations_may_fail) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    fake->hold = true;
    fake_send(fd, scripts[_i], strlen(scripts[_i]));
    oom_fail_from(1);
    fake_turn(fake, 0);
    oom_stop();
    fake->hold = false;
    fake_settle(fake);
    close(fd);
    int again = fake_connect(fake);
    ck_assert_str_eq(fake_ask(fake, again, "PING"), "+PONG\r\n");
    close(again);
    fake_free(fake);
}
END_TEST

START_TEST(a_connection_may_not_be_had) {
    struct fake *fake = fake_new(1);
    for (unsigned n = 1;; n++) {
        int ends[2];
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        oom_fail_at(n);
        clients_accept(fake->server.clients, ends[0], "127.0.0.1:1");
        int failed = oom_stop();
        if (!failed) {
            ck_assert_str_eq(fake_ask(fake, ends[1], "PING"), "+PONG\r\n");
            close(ends[1]);
            break;
        }
        ck_assert_uint_eq(fake->server.clients->count, 0);
        ck_assert(fake_is_closed(ends[1]));
        close(ends[1]);
    }
    fake_free(fake);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("clients_oom");
    TCase *tcase = tcase_create("clients_oom");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, any_allocation_may_fail, 0, SCRIPTS);
    tcase_add_loop_test(tcase, all_allocations_may_fail, 0, SCRIPTS);
    tcase_add_test(tcase, a_connection_may_not_be_had);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
