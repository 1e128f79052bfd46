/* Numeric addresses: what is one, how it is written, which are this machine's own. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/address.h"
#include "tests/lib/run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
    const char *text, *host, *with_port; /* host NULL: no literal */
    bool loopback;
} cases[] = {
    {"127.0.0.1", "127.0.0.1", "127.0.0.1:7001", true},
    {"127.255.0.9", "127.255.0.9", "127.255.0.9:7001", true},
    {"10.0.0.1", "10.0.0.1", "10.0.0.1:7001", false},
    {"0.0.0.0", "0.0.0.0", "0.0.0.0:7001", false},
    {"255.255.255.255", "255.255.255.255", "255.255.255.255:7001", false},
    {"::1", "::1", "[::1]:7001", true},
    {"::", "::", "[::]:7001", false},
    {"0:0:0:0:0:0:0:1", "::1", "[::1]:7001", true},
    {"2001:DB8::1", "2001:db8::1", "[2001:db8::1]:7001", false},
    {"::ffff:127.0.0.1", "127.0.0.1", "127.0.0.1:7001", true},
    {"::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1:7001", false},
    {"1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888",
     "[1111:2222:3333:4444:5555:6666:7777:8888]:7001", false},
    {"", NULL, NULL, false},
    {"localhost", NULL, NULL, false},
    {"127.1", NULL, NULL, false},
    {"1", NULL, NULL, false},
    {"256.0.0.1", NULL, NULL, false},
    {"1.2.3.4.5", NULL, NULL, false},
    {"[::1]", NULL, NULL, false},
    {"::1::", NULL, NULL, false},
    {"*", NULL, NULL, false},
};

START_TEST(literals) {
    struct net_address address;
    char text[NET_ADDRESS_TEXT];
    memset(&address, 0x5a, sizeof(address));
    bool is_literal = net_address_parse(cases[_i].text, 7001, &address);
    ck_assert_int_eq(is_literal, cases[_i].host != NULL);
    if (!is_literal) {
        ck_assert_int_eq(((const unsigned char *)&address)[0], 0x5a);
        return;
    }
    net_address_host(&address, text);
    ck_assert_str_eq(text, cases[_i].host);
    net_address_text(&address, text);
    ck_assert_str_eq(text, cases[_i].with_port);
    ck_assert_uint_eq(net_address_port(&address), 7001);
    ck_assert_int_eq(net_address_is_loopback(&address), cases[_i].loopback);
}
END_TEST

START_TEST(equality) {
    struct net_address a, b;
    ck_assert(net_address_parse("10.0.0.1", 1, &a));
    ck_assert(net_address_parse("::ffff:10.0.0.1", 1, &b));
    ck_assert(net_address_equal(&a, &b));
    ck_assert(net_address_parse("10.0.0.1", 2, &b));
    ck_assert(!net_address_equal(&a, &b));
    ck_assert(net_address_parse("10.0.0.2", 1, &b));
    ck_assert(!net_address_equal(&a, &b));
}
END_TEST

START_TEST(ends_of_sockets) {
    struct net_address address;
    int pair[2];
    char text[NET_ADDRESS_TEXT];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert(!net_address_peer(fd, &address)); /* not connected */
    close(fd);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert(net_address_local(pair[0], &address));
    net_address_text(&address, text); /* no Internet address at all */
    ck_assert_str_eq(text, "?:0");
    ck_assert(!net_address_is_loopback(&address));
    close(pair[0]);
    close(pair[1]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("net address");
    TCase *tc = tcase_create("address");
    tcase_add_loop_test(tc, literals, 0, (int)COUNT(cases));
    tcase_add_test(tc, equality);
    tcase_add_test(tc, ends_of_sockets);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
