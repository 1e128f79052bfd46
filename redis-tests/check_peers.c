/* The port for peers, when strangers come: what is no frame of a proven peer ends its own connection, is logged, and changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(literal) literal, sizeof(literal) - 1
#define NODES 3

static struct cluster *cluster;

static void start(void) {
    cluster = cluster_start(NODES, "cluster-secret hush\n");
}

static void stop(void) {
    cluster_free(&cluster);
}

/* The cluster is as it was: all up, no link between its nodes lost, and it takes writes. */
static void expect_unharmed(long long frames_before) {
    struct client c;
    cluster_wait(cluster);
    client_open(&c, cluster->nodes[0].port);
    expect(&c, "[*]", "DYNQUORUM W 3 R 3");
    expect(&c, "+OK", "SET key %lld", frames_before);
    expect(&c, "\"*\"", "GET key");
    client_close(&c);
}

/* All that the node says before it closes, as text. */
static const char *last_words(struct raw *raw, struct buf *out) {
    buf_truncate(out, 0);
    for (const char *reply = ""; strcmp(reply, "closed") != 0;) {
        reply = raw_reply(raw);
        ck_assert_int_eq(buf_printf(out, "%s ", reply), RD_OK);
    }
    return show_text(out);
}

/* ---- bytes that are no frames ---------------------------------------------------------------------- */

#define ID                                                                                         \
    "\"\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01" \
    "\\x01\\x01\""
#define NONCE "0123456789abcdef"

static const struct {
    const char *bytes;
    size_t len;
    size_t filler; /* so many 'a' behind them */
} garbage[] = {
    {BYTES("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 0},
    {BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on\r\n"), 0},
    {BYTES("\x00\x00\x00\x00\r\n"), 0},
    {BYTES("PING\r\n"), 0},
    {BYTES(""), 100000},
    {BYTES("*x\r\n"), 0},
    {BYTES("*1000000000\r\n"), 0},
    {BYTES("*1\r\n$x\r\n"), 0},
    {BYTES("*1\r\n$1000000000\r\n"), 1000},
    {BYTES("*1\r\n$70000\r\n"), 70002},
    {BYTES("*1\r\n*1\r\n$4\r\nPING\r\n"), 0},
    {BYTES("*1\r\n$4\r\nPINGxx"), 0},
    {BYTES("*1\r\n:5\r\n"), 0},
};

static void send_filler(struct raw *raw, size_t len) {
    char *filler = malloc(len + 1);
    memset(filler, 'a', len + 1);
    raw_send(raw, filler, len);
    free(filler);
}

START_TEST(bytes_that_are_no_frames) {
    const struct node *node = &cluster->nodes[0];
    struct buf words = {0};
    for (size_t i = 0; i < COUNT(garbage); i++) {
        long long dropped = node_info(node, "links_dropped");
        struct raw raw;
        raw_open(&raw, node->bus_port);
        raw_send(&raw, garbage[i].bytes, garbage[i].len);
        send_filler(&raw, garbage[i].filler);
        ck_assert_msg(strcmp(last_words(&raw, &words), "closed ") == 0, "garbage %zu: %s", i,
                      show_text(&words));
        raw_close(&raw);
        ck_assert_msg(node_info(node, "links_dropped") == dropped + 1, "garbage %zu", i);
    }
    ck_assert_uint_ge(node_log_lines(node, "Dropped the link to peer 127.0.0.1:"), 1);
    buf_free(&words);
    expect_unharmed(1);
}
END_TEST

/* ---- frames that nobody may send yet --------------------------------------------------------------- */

static const char *const too_early[] = {
    "PING",
    "PONG",
    "NOSUCH a b",
    "WELCOME 127.0.0.1",
    "PROOF 01234567890123456789012345678901",
    "REFUSE 0 \"go away\"",
    "GOSSIP 1",
    "READ 1 key",
    "WRITE 1 1 key object",
    "COUNT 1",
    "BIRTH-ASK " ID " 1",
    "BORN certificate",
    "FORWARD 1 0 2 0 key value \"\"",
    "HELLO",
    "HELLO 1 redynamo " ID " " NONCE " \"\" 3 4096 0 0",
    "HELLO x redynamo " ID " " NONCE " \"\" 3 4096 0 0 \"\"",
    "HELLO 1 redynamo " ID " " NONCE " \"\" 99999999999999999999999 4096 0 0 \"\"",
    "HELLO 1 redynamo " ID " " NONCE " \"\" 3 4096 0 0 \"\" more",
    "HELLO 1 redynamo short " NONCE " \"\" 3 4096 0 0 \"\"",
    "HELLO 1 redynamo " ID " short \"\" 3 4096 0 0 \"\"",
    "HELLO 1 redynamo " ID " " NONCE " short 3 4096 0 0 \"\"",
    "HELLO 1 other " ID " " NONCE " \"\" 3 4096 0 0 \"\"",
    "HELLO 1 \"line\\nbreak\" " ID " " NONCE " \"\" 3 4096 0 0 \"\"",
    "HELLO 1 redynamo " ID " " NONCE " \"\" 3 4096 7 0 \"\"",
    "HELLO 1 redynamo " ID " " NONCE " \"\" 3 4096 0 9 \"\"",
    "CHALLENGE 1 redynamo " ID " " NONCE " \"\" 3 4096 0 0 01234567890123456789012345678901",
};

/* Unproven, they are refused or dropped, whatever they say. */
START_TEST(frames_before_the_handshake) {
    const struct node *node = &cluster->nodes[1];
    struct buf words = {0};
    for (size_t i = 0; i < COUNT(too_early); i++) {
        struct raw raw;
        long long seen = node_info(node, "links_refused") + node_info(node, "links_dropped") +
                         node_info(node, "frames_refused");
        raw_open(&raw, node->bus_port);
        raw_command(&raw, too_early[i]);
        const char *said = last_words(&raw, &words);
        ck_assert_msg(show_matches("closed ", said) ||
                          show_matches("[\"REFUSE\", *] closed ", said),
                      "%s: %s", too_early[i], said);
        raw_close(&raw);
        ck_assert_msg(node_info(node, "links_refused") + node_info(node, "links_dropped") +
                                  node_info(node, "frames_refused") >
                              seen ||
                          strncmp(too_early[i], "REFUSE", 6) == 0,
                      "%s was not counted", too_early[i]);
    }
    /* Nothing that a stranger sends breaks the log's lines. */
    ck_assert_uint_eq(node_log_lines(node, "break"), node_log_lines(node, "line?break"));
    buf_free(&words);
    expect_unharmed(2);
}
END_TEST

/* ---- a stranger who knows the protocol ------------------------------------------------------------- */

/* Says HELLO in the name of the first node and takes the challenge. */
static void shake_hands(struct raw *raw, const struct node *node) {
    struct buf words = {0};
    struct client member;
    char hello[512], id[20 * 4 + 1] = "";
    client_open(&member, cluster->nodes[0].port);
    const char *hex = ask(&member, "CLUSTER MYID") + 1;
    for (int i = 0; i < 20; i++) {
        snprintf(id + 4 * i, sizeof id - (size_t)(4 * i), "\\x%.2s", hex + 2 * i);
    }
    client_close(&member);
    raw_open(raw, node->bus_port);
    raw_command(raw, "HELLO 0 redynamo " ID " " NONCE " \"\" 3 4096 0 0 \"\"");
    const char *at = strstr(last_words(raw, &words), "mine is ");
    ck_assert_ptr_nonnull(at); /* the protocol's version */
    snprintf(hello, sizeof hello, "HELLO %d redynamo \"%s\" " NONCE " \"\" 3 4096 0 0 \"\"",
             (int)strtol(at + 8, NULL, 10), id);
    raw_close(raw);
    raw_open(raw, node->bus_port);
    raw_command(raw, hello);
    raw_expect(raw, "[\"CHALLENGE\", *]");
    buf_free(&words);
}

START_TEST(a_wrong_secret) {
    const struct node *node = &cluster->nodes[2];
    struct buf words = {0};
    struct raw raw;
    for (int i = 0; i < 3; i++) {
        shake_hands(&raw, node);
        raw_command(&raw, i == 0   ? "PROOF 01234567890123456789012345678901"
                          : i == 1 ? "PROOF \"\""
                                   : "PROOF x");
        ck_assert(
            show_matches("[\"REFUSE\", \"0\", \"you do not know the cluster-secret\"] closed ",
                         last_words(&raw, &words)));
        raw_close(&raw);
    }
    ck_assert_uint_eq(
        node_log_lines(
            node, "Refused the peer at 127.0.0.1, telling it: you do not know the cluster-secret"),
        1);
    /* Unproven still: nothing else counts instead of the proof, nor is a large frame taken. */
    static const char *const instead[] = {"READ 1 key", "WELCOME 127.0.0.1", "GOSSIP 1", "HELLO"};
    for (size_t i = 0; i < COUNT(instead); i++) {
        shake_hands(&raw, node);
        raw_command(&raw, instead[i]);
        ck_assert_str_eq(last_words(&raw, &words), "closed ");
        raw_close(&raw);
    }
    shake_hands(&raw, node);
    raw_send(&raw, BYTES("*2\r\n$5\r\nPROOF\r\n$500000000\r\n"));
    send_filler(&raw, 1000);
    ck_assert_str_eq(last_words(&raw, &words), "closed ");
    raw_close(&raw);
    ck_assert_int_eq(node_info(node, "members"), NODES);
    buf_free(&words);
    expect_unharmed(3);
}
END_TEST

/* Those who come and say nothing are sent away after a while, and do not keep others out. */
START_TEST(silent_strangers) {
    enum { STRANGERS = 100 };
    struct cluster *c = cluster_start(2, "gossip-interval 100\nfailure-timeout 500\n");
    struct raw strangers[STRANGERS];
    struct client client;
    client_open(&client, c->nodes[0].port);
    for (int i = 0; i < STRANGERS; i++) {
        raw_open(&strangers[i], c->nodes[0].bus_port);
        if (i % 2 == 1) {
            raw_send(&strangers[i], BYTES("*11\r\n$5\r\nHEL"));
        }
    }
    expect(&client, "+OK", "SET a b");
    node_kill(&c->nodes[1]);
    node_start(&c->nodes[1]);
    cluster_wait(c);
    for (int i = 0; i < STRANGERS; i++) {
        ck_assert_str_eq(raw_reply(&strangers[i]), "closed");
        raw_close(&strangers[i]);
    }
    expect(&client, "+OK", "SET a c");
    client_close(&client);
    cluster_free(&c);
}
END_TEST

/* Without a secret the port serves this machine only, unless protected-mode is off. */
START_TEST(peers_from_elsewhere) {
    char address[64];
    struct buf out = {0};
    if (!proc_outer_address(address)) {
        printf("skipped: peers_from_elsewhere: this machine has no address but loopback\n");
        return;
    }
    static const struct {
        const char *directives, *said;
    } cases[] = {
        {"bind *\n", "closed"},
        {"bind *\nprotected-mode no\n", "REFUSE"},
        {"bind *\ncluster-secret s\n", "REFUSE"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cluster *c = cluster_make(1, cases[i].directives);
        node_start(&c->nodes[0]);
        proc_run(&out, "redis-cli -h %s -p %d HELLO 0 other x x x 0 0 0 0 x", address,
                 c->nodes[0].bus_port);
        const char *said = show_text(&out);
        ck_assert_msg(strstr(said, "REFUSE") != NULL || strstr(said, "closed") != NULL ||
                          strstr(said, "reset") != NULL,
                      "%s", said);
        ck_assert_msg((strstr(said, "REFUSE") != NULL) == (strcmp(cases[i].said, "REFUSE") == 0),
                      "%s%s", cases[i].directives, said);
        ck_assert_uint_eq(
            node_log_lines(&c->nodes[0], "protected-mode is on and there is no cluster-secret"),
            i == 0);
        cluster_free(&c);
    }
    buf_free(&out);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("peers");
    TCase *shared = run_group(suite, start, stop), *own = run_group(suite, NULL, NULL);
    tcase_add_test(shared, bytes_that_are_no_frames);
    tcase_add_test(shared, frames_before_the_handshake);
    tcase_add_test(shared, a_wrong_secret);
    tcase_add_test(own, silent_strangers);
    tcase_add_test(own, peers_from_elsewhere);
    return run_tests(suite);
}
