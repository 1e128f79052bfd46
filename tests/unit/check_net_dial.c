/* Listeners, the dialer and the resolver, on the loopback interface. */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/dialer.h"
#include "net/listener.h"
#include "net/resolver.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MAX 64

struct rig {
    struct event_base *base;
    struct listener *listener;
    struct dialer *dialer;
    struct resolver *resolver;
    int fds[MAX];
    size_t fd_count;
    size_t accepted, connected, failed, answers, errors;
    size_t addresses; /* of the last answer */
    uint64_t last_dial;
    char peer[NET_ADDRESS_TEXT];
    char reason[256];
    size_t wanted; /* events before the loop is left */
};

static void note(struct rig *rig) {
    if (--rig->wanted == 0) {
        event_base_loopbreak(rig->base);
    }
}

static void keep(struct rig *rig, int fd) {
    ck_assert_uint_lt(rig->fd_count, MAX);
    rig->fds[rig->fd_count++] = fd;
}

static void on_accept(void *arg, int fd, const struct net_address *peer) {
    struct rig *rig = arg;
    rig->accepted++;
    net_address_host(peer, rig->peer);
    keep(rig, fd);
    note(rig);
}

static void on_error(void *arg, int err_number) {
    struct rig *rig = arg;
    ck_assert_int_eq(err_number, EMFILE);
    rig->errors++;
    note(rig);
}

static void on_connected(void *arg, uint64_t dial, int fd, const struct net_address *peer) {
    struct rig *rig = arg;
    rig->connected++;
    rig->last_dial = dial;
    net_address_text(peer, rig->peer);
    keep(rig, fd);
    note(rig);
}

static void on_failed(void *arg, uint64_t dial, const char *reason) {
    struct rig *rig = arg;
    rig->failed++;
    rig->last_dial = dial;
    snprintf(rig->reason, sizeof(rig->reason), "%s", reason);
    note(rig);
}

static void on_done(void *arg, const struct net_address *addresses, size_t count,
                    const char *error) {
    struct rig *rig = arg;
    rig->answers++;
    rig->addresses = count;
    ck_assert((count == 0) == (error != NULL));
    for (size_t i = 0; i < count; i++) {
        ck_assert(net_address_is_loopback(&addresses[i]));
        ck_assert_uint_eq(net_address_port(&addresses[i]), 77);
    }
    note(rig);
}

/* Runs the loop until so many callbacks have come. */
static void run(struct rig *rig, size_t wanted) {
    rig->wanted = wanted;
    ck_assert_int_ge(event_base_dispatch(rig->base), 0);
    ck_assert_uint_eq(rig->wanted, 0);
}

static enum rd_err listen_on(struct rig *rig, const char *const *bind, size_t count,
                             uint16_t port) {
    const struct listener_conf conf = {.bind = bind,
                                       .bind_count = count,
                                       .port = port,
                                       .backlog = 16,
                                       .on_accept = on_accept,
                                       .on_error = on_error,
                                       .arg = rig};
    return listener_new(rig->base, &conf, &rig->listener, rig->reason);
}

static const char *const local[] = {"127.0.0.1"};

static void start(struct rig *rig) {
    const struct dialer_conf conf = {
        .timeout_ms = 5000, .on_connected = on_connected, .on_failed = on_failed, .arg = rig};
    memset(rig, 0, sizeof(*rig));
    rig->base = event_base_new();
    ck_assert_int_eq(dialer_new(rig->base, &conf, &rig->dialer), RD_OK);
    ck_assert_int_eq(resolver_new(rig->base, &rig->resolver), RD_OK);
}

static void stop(struct rig *rig) {
    listener_free(&rig->listener);
    dialer_free(&rig->dialer);
    resolver_free(&rig->resolver);
    for (size_t i = 0; i < rig->fd_count; i++) {
        close(rig->fds[i]);
    }
    event_base_free(rig->base);
}

/* A port of 127.0.0.1 that nobody listens on: just closed. */
static uint16_t free_port(struct rig *rig) {
    ck_assert_int_eq(listen_on(rig, local, 1, 0), RD_OK);
    uint16_t port = listener_port(rig->listener);
    listener_free(&rig->listener);
    return port;
}

/* ---- listening ---------------------------------------------------------------------------------------- */

static const struct {
    const char *bind[3];
    size_t count;
    size_t doors; /* 0: an error */
} binds[] = {
    {{"127.0.0.1"}, 1, 1},
    {{"-127.0.0.1", "127.0.0.2"}, 2, 2},
    {{"localhost"}, 1, 1},
    {{"*"}, 1, 1},
    {{"192.0.2.77"}, 1, 0},
    {{"127.0.0.1", "192.0.2.77"}, 2, 0},
    {{"127.0.0.1", "-192.0.2.77"}, 2, 1},
    {{"-192.0.2.77", "-2001:db8::77"}, 2, 99}, /* all missing: no door, no error */
    {{"a..b"}, 1, 0},
};

START_TEST(binding) {
    struct rig rig;
    start(&rig);
    enum rd_err err = listen_on(&rig, binds[_i].bind, binds[_i].count, 0);
    if (binds[_i].doors == 0) {
        ck_assert_int_eq(err, RD_EIO);
        ck_assert_ptr_nonnull(strstr(rig.reason, binds[_i].bind[binds[_i].count - 1]));
        ck_assert_ptr_null(rig.listener);
    } else {
        size_t doors = binds[_i].doors == 99 ? 0 : binds[_i].doors;
        ck_assert_int_eq(err, RD_OK);
        ck_assert_uint_eq(listener_count(rig.listener), doors);
        ck_assert_int_eq(listener_port(rig.listener) == 0, doors == 0);
    }
    stop(&rig);
}
END_TEST

START_TEST(a_taken_port_is_an_error) {
    struct rig rig;
    struct rig other;
    char expected[128];
    start(&rig);
    start(&other);
    ck_assert_int_eq(listen_on(&rig, local, 1, 0), RD_OK);
    uint16_t port = listener_port(rig.listener);
    ck_assert_int_eq(listen_on(&other, local, 1, port), RD_EIO);
    snprintf(expected, sizeof(expected),
             "cannot bind to '127.0.0.1' port %u: Address already in use", (unsigned)port);
    ck_assert_str_eq(other.reason, expected);
    stop(&other);
    stop(&rig);
}
END_TEST

START_TEST(listening_without_memory) {
    struct rig rig;
    start(&rig);
    for (unsigned n = 1;; n++) {
        oom_fail_at(n);
        enum rd_err err = listen_on(&rig, local, 1, 0);
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert_ptr_null(rig.listener);
    }
    stop(&rig);
}
END_TEST

/* Without file descriptors the listener says so and pauses instead of spinning; with some again it goes on. */
START_TEST(too_many_open_files) {
    struct rig rig;
    struct rlimit limit;
    start(&rig);
    ck_assert_int_eq(listen_on(&rig, local, 1, 0), RD_OK);
    struct net_address to;
    ck_assert(net_address_parse("127.0.0.1", listener_port(rig.listener), &to));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&to.storage, to.len), 0);
    keep(&rig, fd);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {(rlim_t)fd, limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    run(&rig, 1);
    ck_assert_uint_eq(rig.errors, 1);
    event_base_loop(rig.base, EVLOOP_NONBLOCK);
    ck_assert_uint_eq(rig.errors, 1); /* paused */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    run(&rig, 1);
    ck_assert_uint_eq(rig.accepted, 1);
    stop(&rig);
}
END_TEST

/* ---- dialling ----------------------------------------------------------------------------------------- */

START_TEST(dial_a_literal) {
    struct rig rig;
    start(&rig);
    ck_assert_int_eq(listen_on(&rig, local, 1, 0), RD_OK);
    ck_assert_int_eq(dialer_dial(rig.dialer, 42, "127.0.0.1", listener_port(rig.listener)), RD_OK);
    ck_assert_uint_eq(rig.connected + rig.failed, 0); /* never from within */
    ck_assert_uint_eq(dialer_count(rig.dialer), 1);
    run(&rig, 2);
    ck_assert_uint_eq(rig.connected, 1);
    ck_assert_uint_eq(rig.accepted, 1);
    ck_assert_uint_eq(rig.last_dial, 42);
    ck_assert_uint_eq(dialer_count(rig.dialer), 0);
    stop(&rig);
}
END_TEST

/* localhost may well be ::1 first, where nobody listens: the next address is tried. */
START_TEST(dial_a_name) {
    struct rig rig;
    start(&rig);
    ck_assert_int_eq(listen_on(&rig, local, 1, 0), RD_OK);
    ck_assert_int_eq(dialer_dial(rig.dialer, 43, "localhost", listener_port(rig.listener)), RD_OK);
    run(&rig, 2);
    ck_assert_uint_eq(rig.connected, 1);
    ck_assert_uint_eq(rig.last_dial, 43);
    ck_assert_int_eq(strncmp(rig.peer, "127.0.0.1", 9), 0);
    stop(&rig);
}
END_TEST

START_TEST(dial_a_closed_port) {
    struct rig rig;
    char expected[128];
    start(&rig);
    uint16_t port = free_port(&rig);
    ck_assert_int_eq(dialer_dial(rig.dialer, 44, "127.0.0.1", port), RD_OK);
    run(&rig, 1);
    ck_assert_uint_eq(rig.failed, 1);
    ck_assert_uint_eq(rig.last_dial, 44);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u: Connection refused", (unsigned)port);
    ck_assert_str_eq(rig.reason, expected);
    stop(&rig);
}
END_TEST

START_TEST(dial_what_is_no_name) {
    struct rig rig;
    start(&rig);
    ck_assert_int_eq(dialer_dial(rig.dialer, 45, "a..b", 1), RD_OK);
    run(&rig, 1);
    ck_assert_uint_eq(rig.failed, 1);
    ck_assert_int_eq(strncmp(rig.reason, "a..b: ", 6), 0);
    stop(&rig);
}
END_TEST

START_TEST(many_dials_at_once) {
    struct rig rig;
    start(&rig);
    uint16_t closed = free_port(&rig);
    ck_assert_int_eq(listen_on(&rig, local, 1, 0), RD_OK);
    uint16_t open = listener_port(rig.listener);
    for (uint64_t i = 0; i < 20; i++) {
        const char *host = i % 3 == 0 ? "localhost" : "127.0.0.1";
        ck_assert_int_eq(dialer_dial(rig.dialer, i, host, i % 2 == 0 ? open : closed), RD_OK);
    }
    run(&rig, 30);
    ck_assert_uint_eq(rig.connected, 10);
    ck_assert_uint_eq(rig.accepted, 10);
    ck_assert_uint_eq(rig.failed, 10);
    stop(&rig);
}
END_TEST

START_TEST(freeing_in_the_middle) {
    struct rig rig;
    start(&rig);
    ck_assert_int_eq(listen_on(&rig, local, 1, 0), RD_OK);
    ck_assert_int_eq(dialer_dial(rig.dialer, 1, "localhost", listener_port(rig.listener)), RD_OK);
    ck_assert_int_eq(dialer_dial(rig.dialer, 2, "127.0.0.1", listener_port(rig.listener)), RD_OK);
    event_base_loop(rig.base, EVLOOP_NONBLOCK); /* one is resolving, the other connecting */
    rig.wanted = 100;
    stop(&rig);
}
END_TEST

START_TEST(dialling_without_memory) {
    struct rig rig;
    start(&rig);
    ck_assert_int_eq(listen_on(&rig, local, 1, 0), RD_OK);
    for (unsigned n = 1;; n++) {
        oom_fail_at(n);
        enum rd_err err = dialer_dial(rig.dialer, n, "127.0.0.1", listener_port(rig.listener));
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert_uint_eq(dialer_count(rig.dialer), 0);
    }
    run(&rig, 2);
    ck_assert_uint_eq(rig.connected, 1);
    stop(&rig);
}
END_TEST

/* ---- resolving ---------------------------------------------------------------------------------------- */

START_TEST(resolve_names) {
    struct rig rig;
    start(&rig);
    ck_assert_int_eq(resolver_ask(rig.resolver, "localhost", 77, on_done, &rig), RD_OK);
    run(&rig, 1);
    ck_assert_uint_ge(rig.addresses, 1);
    ck_assert_int_eq(resolver_ask(rig.resolver, "a..b", 77, on_done, &rig), RD_OK);
    run(&rig, 1);
    ck_assert_uint_eq(rig.addresses, 0);
    stop(&rig);
}
END_TEST

START_TEST(resolve_many) {
    struct rig rig;
    start(&rig);
    for (unsigned i = 0; i < 200; i++) {
        ck_assert_int_eq(resolver_ask(rig.resolver, "localhost", 77, on_done, &rig), RD_OK);
    }
    run(&rig, 200);
    ck_assert_uint_eq(rig.answers, 200);
    stop(&rig);
}
END_TEST

START_TEST(forget_questions) {
    struct rig rig;
    start(&rig);
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_int_eq(resolver_ask(rig.resolver, "localhost", 77, on_done, &rig), RD_OK);
    }
    stop(&rig);
    ck_assert_uint_eq(rig.answers, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("net dial");
    TCase *tc = tcase_create("listening");
    tcase_add_loop_test(tc, binding, 0, (int)COUNT(binds));
    tcase_add_test(tc, a_taken_port_is_an_error);
    tcase_add_test(tc, listening_without_memory);
    tcase_add_test(tc, too_many_open_files);
    suite_add_tcase(suite, tc);
    tc = tcase_create("dialling");
    tcase_add_test(tc, dial_a_literal);
    tcase_add_test(tc, dial_a_name);
    tcase_add_test(tc, dial_a_closed_port);
    tcase_add_test(tc, dial_what_is_no_name);
    tcase_add_test(tc, many_dials_at_once);
    tcase_add_test(tc, freeing_in_the_middle);
    tcase_add_test(tc, dialling_without_memory);
    suite_add_tcase(suite, tc);
    tc = tcase_create("resolving");
    tcase_add_test(tc, resolve_names);
    tcase_add_test(tc, resolve_many);
    tcase_add_test(tc, forget_questions);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
