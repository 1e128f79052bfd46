/* sim/network: connections, order, faults of frames, paths, crashes. Two or three machines; what
 * arrives is written down as text: "U" up, "F" dial failed, "D" down, else the frame's bytes. */
#include "sim/network.h"

#include "sim/mem.h"
#include "tests/lib/run.h"

#include <string.h>

enum { PORT = 17000 };

struct net {
    struct queue queue;
    struct network_conf conf;
    struct network *network;
    uint64_t now_us;
    char heard[3][4000]; /* by machine */
    uint64_t link[3];    /* the newest link of each */
};

static void start(struct net *net, uint64_t seed) {
    memset(net, 0, sizeof *net);
    net->conf =
        (struct network_conf){.delay_min_us = 100, .delay_mean_us = 50, .dial_timeout_us = 1000};
    net->network = network_new(&net->queue, &net->conf, 3, seed);
    for (uint32_t i = 0; i < 3; i++) {
        network_listen(net->network, i, PORT, 1);
    }
}

static void stop(struct net *net) {
    network_free(&net->network);
    queue_free(&net->queue);
}

/* Lets all that is under way arrive. */
static void settle(struct net *net) {
    struct sim_event event;
    while (queue_pop(&net->queue, &event)) {
        ck_assert_uint_ge(event.at_us, net->now_us);
        net->now_us = event.at_us;
        struct network_arrival arrival = network_arrive(net->network, &event);
        char *heard = net->heard[event.node];
        size_t len = strlen(heard);
        if (arrival.kind == NETWORK_UP) {
            net->link[event.node] = arrival.link;
            heard[len] = 'U';
        } else if (arrival.kind == NETWORK_DIAL_FAILED) {
            heard[len] = 'F';
        } else if (arrival.kind == NETWORK_DOWN) {
            heard[len] = 'D';
        } else if (arrival.kind == NETWORK_FRAME) {
            memcpy(heard + len, arrival.frame->bytes, arrival.frame->len);
        }
        blob_unref(event.blob);
    }
}

static void send(struct net *net, uint32_t from, const char *text) {
    struct blob *blob = mem_blob(text, strlen(text));
    network_send(net->network, from, net->link[from], blob, net->now_us);
    blob_unref(blob);
}

static void connect(struct net *net) {
    network_dial(net->network, 0, 5, "n2", PORT, net->now_us);
    settle(net);
    ck_assert_str_eq(net->heard[0], "U");
    ck_assert_str_eq(net->heard[1], "U");
    net->heard[0][0] = net->heard[1][0] = 0;
}

static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

static void send_letters(struct net *net) {
    for (int i = 0; i < 26; i++) {
        char text[2] = {letters[i], 0};
        send(net, 0, text);
    }
    settle(net);
}

START_TEST(connects_by_name_and_by_address) {
    struct net net;
    start(&net, 1);
    connect(&net);
    network_dial(net.network, 2, 6, "10.0.0.2", PORT, net.now_us);
    settle(&net);
    ck_assert_str_eq(net.heard[2], "U");
    ck_assert_uint_eq(network_peer(net.network, 2, net.link[2]), 1);
    ck_assert_uint_ne(net.link[0], net.link[2]);
    stop(&net);
}
END_TEST

START_TEST(fails_to_connect) {
    struct net net;
    start(&net, 1);
    network_dial(net.network, 0, 1, "nobody", PORT, net.now_us); /* no such name */
    network_dial(net.network, 0, 2, "n2", PORT + 1, net.now_us); /* no such port */
    network_set_path(net.network, 2, 0, PATH_SILENT, net.now_us);
    network_dial(net.network, 0, 3, "n3", PORT, net.now_us); /* no way back */
    network_crash(net.network, 1, net.now_us, true);
    network_dial(net.network, 0, 4, "n2", PORT, net.now_us); /* nobody listens */
    settle(&net);
    ck_assert_str_eq(net.heard[0], "FFFF");
    ck_assert_str_eq(net.heard[1], "");
    struct network_stats stats;
    network_stats(net.network, &stats);
    ck_assert_uint_eq(stats.dials_failed, 4);
    ck_assert_uint_eq(stats.connections, 0);
    stop(&net);
}
END_TEST

START_TEST(keeps_frames_in_order) {
    struct net net;
    start(&net, (uint64_t)_i);
    net.conf.tail_ppm = 300000;
    net.conf.tail_us = 100000;
    connect(&net);
    send_letters(&net);
    ck_assert_str_eq(net.heard[1], letters);
    stop(&net);
}
END_TEST

START_TEST(loses_doubles_and_mixes_frames) {
    struct net net;
    start(&net, (uint64_t)_i);
    net.conf.drop_ppm = 100000;
    net.conf.duplicate_ppm = 200000;
    net.conf.reorder_ppm = 500000;
    connect(&net);
    for (int round = 0; round < 10; round++) {
        send_letters(&net);
    }
    struct network_stats stats;
    network_stats(net.network, &stats);
    ck_assert_uint_eq(stats.frames, 260);
    ck_assert_uint_gt(stats.dropped, 0);
    ck_assert_uint_gt(stats.duplicated, 0);
    ck_assert_uint_gt(stats.overtaken, 0);
    ck_assert_uint_eq(strlen(net.heard[1]), 260 - stats.dropped + stats.duplicated);
    stop(&net);
}
END_TEST

START_TEST(is_the_same_for_the_same_seed) {
    char heard[4000];
    for (int run = 0; run < 2; run++) {
        struct net net;
        start(&net, 42);
        net.conf.drop_ppm = net.conf.duplicate_ppm = net.conf.reorder_ppm = 300000;
        connect(&net);
        send_letters(&net);
        if (run == 0) {
            strncpy(heard, net.heard[1], sizeof heard);
        } else {
            ck_assert_str_eq(heard, net.heard[1]);
        }
        stop(&net);
    }
}
END_TEST

START_TEST(closes_behind_what_was_sent) {
    struct net net;
    start(&net, (uint64_t)_i);
    connect(&net);
    send(&net, 0, "a");
    send(&net, 0, "b");
    network_close(net.network, 0, net.link[0], net.now_us);
    send(&net, 0, "c"); /* the end is closed: nothing happens */
    send(&net, 1, "z"); /* nobody hears it */
    settle(&net);
    ck_assert_str_eq(net.heard[1], "abD");
    ck_assert_str_eq(net.heard[0], "");
    stop(&net);
}
END_TEST

START_TEST(says_goodbye_for_a_dead_process) {
    struct net net;
    start(&net, 3);
    connect(&net);
    network_crash(net.network, 0, net.now_us, true);
    settle(&net);
    ck_assert_str_eq(net.heard[1], "D");
    stop(&net);
}
END_TEST

START_TEST(tells_of_a_power_failure_only_after_the_return) {
    struct net net;
    start(&net, 3);
    connect(&net);
    network_crash(net.network, 0, net.now_us, false);
    send(&net, 1, "a");
    settle(&net);
    ck_assert_str_eq(net.heard[1], "");
    network_listen(net.network, 0, PORT, 2);
    send(&net, 1, "b");
    settle(&net);
    ck_assert_str_eq(net.heard[1], "D");
    ck_assert_str_eq(net.heard[0], "");
    stop(&net);
}
END_TEST

START_TEST(closes_one_direction) {
    struct net net;
    start(&net, 3);
    connect(&net);
    network_set_path(net.network, 0, 1, PATH_SILENT, net.now_us);
    send(&net, 0, "a");
    send(&net, 1, "b");
    settle(&net);
    ck_assert_str_eq(net.heard[1], "");
    ck_assert_str_eq(net.heard[0], "b");
    network_set_path(net.network, 0, 1, PATH_OPEN, net.now_us);
    send(&net, 0, "c");
    settle(&net);
    ck_assert_str_eq(net.heard[1], "c");
    stop(&net);
}
END_TEST

START_TEST(holds_and_sends_on) {
    struct net net;
    start(&net, (uint64_t)_i);
    connect(&net);
    network_set_path(net.network, 0, 1, PATH_HELD, net.now_us);
    send_letters(&net);
    ck_assert_str_eq(net.heard[1], "");
    net.now_us += 600000000;
    network_set_path(net.network, 0, 1, PATH_OPEN, net.now_us);
    settle(&net);
    ck_assert_str_eq(net.heard[1], letters);
    network_set_path(net.network, 0, 1, PATH_HELD, net.now_us);
    send(&net, 0, "x");
    stop(&net); /* with a frame still held */
}
END_TEST

static struct network_stats stats_of(struct net *net) {
    struct network_stats stats;
    network_stats(net->network, &stats);
    return stats;
}

/* That an end was closed waits behind the frames. Meanwhile the peer may dial anew, and is heard over the new connection first. */
START_TEST(holds_the_end_too) {
    struct net net;
    start(&net, (uint64_t)_i);
    connect(&net);
    network_set_path(net.network, 0, 1, PATH_HELD, net.now_us);
    send_letters(&net);
    network_close(net.network, 0, net.link[0], net.now_us);
    network_crash(net.network, 0, net.now_us, true);
    settle(&net);
    ck_assert_str_eq(net.heard[1], "");
    network_listen(net.network, 0, PORT, 2);
    net.now_us += NETWORK_LATE_US;
    network_set_path(net.network, 0, 1, PATH_OPEN, net.now_us);
    settle(&net);
    ck_assert_uint_eq(strlen(net.heard[1]), 27);
    ck_assert_mem_eq(net.heard[1], letters, 26);
    ck_assert_int_eq(net.heard[1][26], 'D');
    ck_assert_uint_eq(stats_of(&net).orphans, 26);
    ck_assert_uint_eq(stats_of(&net).of_the_dead, 26);
    ck_assert_uint_eq(stats_of(&net).minutes_late, 26);
    stop(&net);
}
END_TEST

/* Where it vanishes, the peer hears of it when the path is open again, or only when it sends. */
START_TEST(loses_the_end_in_silence) {
    unsigned repeated = 0, on_sending = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct net net;
        start(&net, seed);
        connect(&net);
        network_set_path(net.network, 0, 1, PATH_SILENT, net.now_us);
        network_close(net.network, 0, net.link[0], net.now_us);
        settle(&net);
        ck_assert_str_eq(net.heard[1], "");
        network_set_path(net.network, 0, 1, PATH_OPEN, net.now_us);
        settle(&net);
        bool heard = net.heard[1][0] == 'D';
        repeated += heard;
        send(&net, 1, "a");
        settle(&net);
        on_sending += !heard && net.heard[1][0] == 'D';
        stop(&net);
    }
    ck_assert_uint_gt(repeated, 5);
    ck_assert_uint_gt(on_sending, 5);
    ck_assert_uint_eq(repeated + on_sending, 30);
}
END_TEST

static void dial_again(struct net *net) {
    network_dial(net->network, 0, 6, "n2", PORT, net->now_us);
    struct sim_event event;
    char *heard = net->heard[0];
    while (strchr(heard, 'U') == NULL) {
        ck_assert(queue_pop(&net->queue, &event));
        net->now_us = event.at_us;
        struct network_arrival arrival = network_arrive(net->network, &event);
        if (arrival.kind == NETWORK_UP && event.node == 0) {
            net->link[0] = arrival.link;
            heard[strlen(heard)] = 'U';
        } else if (arrival.kind == NETWORK_DOWN) {
            heard[strlen(heard)] = 'D';
        } else if (arrival.kind == NETWORK_FRAME) {
            net->heard[1][strlen(net->heard[1])] = (char)arrival.frame->bytes[0];
        }
        blob_unref(event.blob);
    }
}

/* Old connections stand still, new ones do not; in the end all comes, in order of each. */
START_TEST(stalls_old_connections) {
    struct net net;
    bool broken = _i % 2 == 1;
    start(&net, (uint64_t)_i);
    net.conf.reorder_ppm = 500000;
    connect(&net);
    uint64_t began_us = net.now_us, old = net.link[0];
    network_stall(net.network, 0, 1, net.now_us, 2 * NETWORK_LATE_US, broken);
    ck_assert_uint_ge(network_last_us(net.network), began_us + 2 * NETWORK_LATE_US);
    send(&net, 0, "a");
    send(&net, 0, "b");
    dial_again(&net);
    send(&net, 0, "z");
    net.link[0] = old;
    send(&net, 0, "c"); /* nothing happens if the end is gone */
    settle(&net);
    ck_assert_str_eq(net.heard[0], broken ? "DU" : "U");
    ck_assert_str_eq(net.heard[1], broken ? "zab" : "zabc");
    ck_assert_uint_ge(net.now_us, began_us + 2 * NETWORK_LATE_US);
    ck_assert_uint_eq(stats_of(&net).orphans, broken ? 2 : 0);
    ck_assert_uint_eq(stats_of(&net).minutes_late, broken ? 2 : 3);
    stop(&net);
}
END_TEST

START_TEST(breaks_connections) {
    struct net net;
    start(&net, (uint64_t)_i);
    connect(&net);
    network_break(net.network, 1, 0, net.now_us);
    settle(&net);
    ck_assert_str_eq(net.heard[0], "D");
    ck_assert_str_eq(net.heard[1], "D");
    send(&net, 0, "a");
    settle(&net);
    ck_assert_str_eq(net.heard[1], "D");
    stop(&net);
}
END_TEST

static bool no_vowels(void *arg, uint32_t from, uint32_t to, uint64_t link, struct blob *frame) {
    (void)link;
    ck_assert_uint_eq(from, 0);
    ck_assert_uint_eq(to, 1);
    (*(int *)arg)++;
    return strchr("aeiou", frame->bytes[0]) == NULL;
}

/* A connection may break while the dialler has not heard of it yet: still its dial is answered. */
START_TEST(breaks_what_is_being_dialled) {
    struct net net;
    struct sim_event event;
    start(&net, (uint64_t)_i);
    network_dial(net.network, 0, 5, "n2", PORT, net.now_us);
    ck_assert(queue_pop(&net.queue, &event));
    net.now_us = event.at_us;
    ck_assert_int_eq(network_arrive(net.network, &event).kind, NETWORK_UP);
    network_break(net.network, 0, 1, net.now_us);
    settle(&net);
    ck_assert_str_eq(net.heard[0], "UD");
    ck_assert_str_eq(net.heard[1], "D");
    stop(&net);
}
END_TEST

START_TEST(lets_a_tap_choose) {
    struct net net;
    int seen = 0;
    start(&net, 1);
    connect(&net);
    network_set_tap(net.network, no_vowels, &seen);
    send_letters(&net);
    ck_assert_int_eq(seen, 26);
    ck_assert_str_eq(net.heard[1], "bcdfghjklmnpqrstvwxyz");
    stop(&net);
}
END_TEST

START_TEST(slows_a_machine) {
    struct net net;
    start(&net, 1);
    connect(&net);
    network_set_slow(net.network, 1, 50000);
    uint64_t before_us = net.now_us;
    send(&net, 0, "a");
    settle(&net);
    ck_assert_uint_ge(net.now_us - before_us, 50000);
    stop(&net);
}
END_TEST

START_TEST(finds_a_renamed_machine) {
    struct net net;
    start(&net, 1);
    network_crash(net.network, 1, net.now_us, true);
    network_rename(net.network, 1, "old", "10.0.0.99");
    network_rename(net.network, 2, "n2", "10.0.0.2");
    network_dial(net.network, 0, 1, "n2", PORT, net.now_us);
    settle(&net);
    ck_assert_str_eq(net.heard[2], "U");
    ck_assert_str_eq(network_name(net.network, 2), "n2");
    stop(&net);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sim/network");
    TCase *tcase = tcase_create("network");
    tcase_add_test(tcase, connects_by_name_and_by_address);
    tcase_add_test(tcase, fails_to_connect);
    tcase_add_loop_test(tcase, keeps_frames_in_order, 0, 20);
    tcase_add_loop_test(tcase, loses_doubles_and_mixes_frames, 0, 20);
    tcase_add_test(tcase, is_the_same_for_the_same_seed);
    tcase_add_loop_test(tcase, closes_behind_what_was_sent, 0, 20);
    tcase_add_test(tcase, says_goodbye_for_a_dead_process);
    tcase_add_test(tcase, tells_of_a_power_failure_only_after_the_return);
    tcase_add_test(tcase, closes_one_direction);
    tcase_add_loop_test(tcase, holds_and_sends_on, 0, 20);
    tcase_add_loop_test(tcase, holds_the_end_too, 0, 5);
    tcase_add_test(tcase, loses_the_end_in_silence);
    tcase_add_loop_test(tcase, stalls_old_connections, 0, 10);
    tcase_add_loop_test(tcase, breaks_connections, 0, 20);
    tcase_add_loop_test(tcase, breaks_what_is_being_dialled, 0, 20);
    tcase_add_test(tcase, lets_a_tap_choose);
    tcase_add_test(tcase, slows_a_machine);
    tcase_add_test(tcase, finds_a_renamed_machine);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
