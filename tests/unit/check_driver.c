/* The driver with real nodes, real sockets on the loopback interface and memory stores: what a turn does and in which order, what a
 * store's failure does, how three of them form a cluster, and that a lost peer is noticed. The node's own logic has its own tests. */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/address.h"
#include "replication/node.h"
#include "server/driver.h"
#include "server/log.h"
#include "store/store_mem.h"
#include "tests/lib/run.h"

#define NODES 3
#define MAX_REPLIES 4096
#define MAX_PASSES 100000

struct rig {
    struct event_base *base;
    struct log *log;
    uint16_t ports[NODES];
    struct driver *drivers[NODES];
    struct store *stores[NODES]; /* the drivers' */
    bool idle[NODES];
    size_t replies;
    enum rd_err errs[MAX_REPLIES]; /* by tag */
    bool replied[MAX_REPLIES];
    char value[64]; /* of the last READ */
    size_t sleeps;  /* calls of before_sleep */
    size_t replies_at_sleep;
    struct rig_submit {
        struct driver *driver; /* on_reply submits one more request */
        uint64_t tag;
    } again;
};

static void submit_set(struct driver *driver, uint64_t tag, const char *key, const char *value) {
    struct blob *blob = NULL;
    ck_assert_int_eq(blob_new(value, strlen(value), &blob), RD_OK);
    const struct client_request request = {
        .tag = tag, .op = CLIENT_WRITE, .key = key, .key_len = strlen(key), .value = blob};
    driver_submit(driver, &request);
    blob_unref(blob);
}

static void submit_get(struct driver *driver, uint64_t tag, const char *key) {
    const struct client_request request = {
        .tag = tag, .op = CLIENT_READ, .key = key, .key_len = strlen(key)};
    driver_submit(driver, &request);
}

static void on_reply(void *arg, uint64_t tag, struct client_reply *reply) {
    struct rig *rig = arg;
    ck_assert_uint_lt(tag, MAX_REPLIES);
    ck_assert(!rig->replied[tag]); /* exactly one */
    rig->replied[tag] = true;
    rig->errs[tag] = reply->err;
    rig->replies++;
    rig->value[0] = '\0';
    if (reply->object.count > 0) {
        const struct blob *value = reply->object.siblings[0].value;
        snprintf(rig->value, sizeof(rig->value), "%.*s", (int)value->len,
                 (const char *)value->bytes);
    }
    if (rig->again.driver != NULL) {
        struct rig_submit again = rig->again;
        rig->again.driver = NULL;
        submit_get(again.driver, again.tag, "k");
    }
}

static void before_sleep(void *arg) {
    struct rig *rig = arg;
    rig->sleeps++;
    rig->replies_at_sleep = rig->replies;
}

/* ---- starting and running ----------------------------------------------------------------------------- */

static uint16_t free_port(void) {
    struct net_address address;
    ck_assert(net_address_parse("127.0.0.1", 0, &address));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address.storage, address.len), 0);
    ck_assert(net_address_local(fd, &address));
    close(fd);
    return net_address_port(&address);
}

/* Starts node `i` of `count`, on the store it had, or on an empty one if `store` is NULL. */
static enum rd_err start_node(struct rig *rig, size_t i, size_t count, struct store *store,
                              char reason[256]) {
    static const char *const bind[] = {"127.0.0.1"};
    struct node_address seeds[NODES] = {{{0}, 0}};
    struct node_conf node = {.cluster_name = "test",
                             .secret = "s3cret",
                             .n = 3,
                             .r = 2,
                             .w = 2,
                             .partitions = 64,
                             .vnodes = 16,
                             .announce_host = "127.0.0.1",
                             .request_timeout_ms = 2000,
                             .gossip_interval_ms = 100,
                             .failure_timeout_ms = 1000,
                             .max_siblings = 100,
                             .max_object_bytes = 1 << 20,
                             .max_requests = 1000,
                             .read_repair = true};
    for (size_t j = 0; j < count; j++) {
        snprintf(seeds[j].host, sizeof(seeds[j].host), "127.0.0.1");
        seeds[j].port = rig->ports[j];
    }
    node.seeds = count > 1 ? seeds : NULL;
    node.seed_count = count > 1 ? count : 0;
    node.port = (uint16_t)(rig->ports[i] - 10000);
    node.cluster_port = rig->ports[i];
    if (store == NULL) {
        ck_assert_int_eq(store_mem_new(&store), RD_OK);
    }
    rig->stores[i] = store;
    const struct driver_conf conf = {.base = rig->base,
                                     .log = rig->log,
                                     .store = store,
                                     .node = &node,
                                     .bind = bind,
                                     .bind_count = 1,
                                     .cluster_port = rig->ports[i],
                                     .backlog = 16,
                                     .on_reply = on_reply,
                                     .before_sleep = before_sleep,
                                     .arg = rig};
    return driver_new(&conf, &rig->drivers[i], reason);
}

/* One pass of the loop and one turn of every driver. */
static void pass(struct rig *rig) {
    bool idle = true;
    for (size_t i = 0; i < NODES; i++) {
        if (rig->drivers[i] != NULL) {
            rig->idle[i] = driver_turn(rig->drivers[i]);
            idle = idle && rig->idle[i];
        }
    }
    ck_assert_int_ge(event_base_loop(rig->base, idle ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK),
                     0);
}

static void run_until_replies(struct rig *rig, size_t wanted) {
    for (unsigned i = 0; i < MAX_PASSES && rig->replies < wanted; i++) {
        pass(rig);
    }
    ck_assert_uint_eq(rig->replies, wanted);
}

static struct node_stats stats_of(struct rig *rig, size_t i) {
    struct node_stats stats;
    node_stats(driver_node(rig->drivers[i]), &stats);
    return stats;
}

static void start(struct rig *rig, size_t count) {
    char reason[256] = "";
    memset(rig, 0, sizeof(*rig));
    rig->base = event_base_new();
    ck_assert_ptr_nonnull(rig->base);
    ck_assert_int_eq(log_new("/dev/null", LOG_WARNING, &rig->log), RD_OK);
    for (size_t i = 0; i < count; i++) {
        rig->ports[i] = free_port();
    }
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(start_node(rig, i, count, NULL, reason) == RD_OK, "%s", reason);
    }
    for (size_t i = 0; i < count; i++) {
        for (unsigned n = 0; n < MAX_PASSES && !stats_of(rig, i).open; n++) {
            pass(rig);
        }
        ck_assert(stats_of(rig, i).open);
        ck_assert_uint_eq(stats_of(rig, i).members, count);
    }
}

static void stop(struct rig *rig) {
    for (size_t i = 0; i < NODES; i++) {
        driver_free(&rig->drivers[i]);
        ck_assert_ptr_null(rig->drivers[i]);
    }
    log_free(&rig->log);
    event_base_free(rig->base);
}

/* ---- one node ----------------------------------------------------------------------------------------- */

START_TEST(set_and_get) {
    struct rig rig;
    start(&rig, 1);
    submit_set(rig.drivers[0], 1, "k", "v");
    ck_assert_uint_eq(rig.replies, 0); /* never from within driver_submit */
    run_until_replies(&rig, 1);
    ck_assert_int_eq(rig.errs[1], RD_OK);
    submit_get(rig.drivers[0], 2, "k");
    run_until_replies(&rig, 2);
    ck_assert_int_eq(rig.errs[2], RD_OK);
    ck_assert_str_eq(rig.value, "v");
    stop(&rig);
}
END_TEST

/* However many writes a pass brings, they share one commit, and their replies one before_sleep. */
START_TEST(a_turn_is_one_commit) {
    struct rig rig;
    struct driver_stats before, after;
    char key[16];
    start(&rig, 1);
    submit_set(rig.drivers[0], 0, "first", "v"); /* the cluster is born */
    run_until_replies(&rig, 1);
    while (!driver_turn(rig.drivers[0])) {
    }
    driver_stats(rig.drivers[0], &before);
    size_t sleeps = rig.sleeps;
    for (uint64_t i = 1; i <= 500; i++) {
        snprintf(key, sizeof(key), "k%d", (int)i);
        submit_set(rig.drivers[0], i, key, "v");
    }
    (void)driver_turn(rig.drivers[0]);
    driver_stats(rig.drivers[0], &after);
    ck_assert_uint_eq(rig.replies, 501);
    ck_assert_uint_eq(after.commits - before.commits, 1);
    ck_assert_uint_eq(rig.sleeps - sleeps, 1);
    ck_assert_uint_eq(rig.replies_at_sleep, 501);
    ck_assert_uint_eq(store_live_count(rig.stores[0], 0, 16383), 501);
    stop(&rig);
}
END_TEST

/* No reply before its commit is done. */
START_TEST(replies_wait_for_the_commit) {
    struct rig rig;
    start(&rig, 1);
    submit_set(rig.drivers[0], 0, "first", "v");
    run_until_replies(&rig, 1);
    store_mem_hold(rig.stores[0], true);
    submit_set(rig.drivers[0], 1, "first", "w");
    for (unsigned i = 0; i < 20; i++) {
        (void)driver_turn(rig.drivers[0]);
        store_mem_release(rig.stores[0], store_mem_unsynced(rig.stores[0]) == 0 ? SIZE_MAX : 0);
    }
    ck_assert_uint_eq(rig.replies, 1);
    ck_assert_uint_eq(store_mem_unsynced(rig.stores[0]), 1);
    store_mem_release(rig.stores[0], SIZE_MAX);
    (void)driver_turn(rig.drivers[0]);
    ck_assert_uint_eq(rig.replies, 2);
    ck_assert_uint_eq(store_mem_unsynced(rig.stores[0]), 0);
    stop(&rig);
}
END_TEST

/* driver_settle goes as far as it goes without a commit: a read is answered, a write never, nor a read of what is not committed. */
START_TEST(settling_commits_nothing) {
    struct rig rig;
    struct driver_stats before, after;
    start(&rig, 1);
    submit_set(rig.drivers[0], 0, "k", "old");
    run_until_replies(&rig, 1);
    while (!driver_turn(rig.drivers[0])) {
    }
    driver_stats(rig.drivers[0], &before);
    submit_get(rig.drivers[0], 1, "k");
    ck_assert_uint_eq(rig.replies, 1);
    driver_settle(rig.drivers[0]);
    ck_assert_uint_eq(rig.replies, 2);
    ck_assert_str_eq(rig.value, "old");
    submit_set(rig.drivers[0], 2, "k", "new");
    submit_get(rig.drivers[0], 3, "k");
    driver_settle(rig.drivers[0]);
    driver_settle(rig.drivers[0]);
    driver_stats(rig.drivers[0], &after);
    ck_assert_uint_eq(rig.replies, 2);
    ck_assert_uint_eq(after.commits, before.commits);
    (void)driver_turn(rig.drivers[0]);
    driver_stats(rig.drivers[0], &after);
    ck_assert_uint_eq(rig.replies, 4);
    ck_assert_str_eq(rig.value, "new");
    ck_assert_uint_eq(after.commits, before.commits + 1);
    stop(&rig);
}
END_TEST

START_TEST(a_failed_commit_is_told) {
    struct rig rig;
    start(&rig, 1);
    submit_set(rig.drivers[0], 0, "k", "old");
    run_until_replies(&rig, 1);
    store_mem_fail(rig.stores[0], STORE_MEM_COMMIT, RD_EFULL, 1);
    submit_set(rig.drivers[0], 1, "k", "new");
    run_until_replies(&rig, 2);
    ck_assert_int_ne(rig.errs[1], RD_OK);
    submit_set(rig.drivers[0], 2, "k", "newer");
    run_until_replies(&rig, 3);
    ck_assert_int_eq(rig.errs[2], RD_OK);
    submit_get(rig.drivers[0], 3, "k");
    run_until_replies(&rig, 4);
    ck_assert_str_eq(rig.value, "newer");
    stop(&rig);
}
END_TEST

/* A reply's receiver may submit at once; the answer comes in the same turn or one that the driver asks for. */
START_TEST(submitting_from_a_reply) {
    struct rig rig;
    start(&rig, 1);
    rig.again = (struct rig_submit){rig.drivers[0], 2};
    submit_set(rig.drivers[0], 1, "k", "v");
    for (unsigned i = 0; i < 10 && !driver_turn(rig.drivers[0]); i++) {
    }
    ck_assert_uint_eq(rig.replies, 2);
    ck_assert_str_eq(rig.value, "v");
    stop(&rig);
}
END_TEST

START_TEST(a_restart_keeps_identity_and_data) {
    struct rig rig;
    struct store_mem_image *image;
    struct store *store;
    char reason[256];
    start(&rig, 1);
    submit_set(rig.drivers[0], 1, "k", "v");
    run_until_replies(&rig, 1);
    struct node_id self = node_self(driver_node(rig.drivers[0]));
    ck_assert_int_eq(store_mem_snapshot(rig.stores[0], &image), RD_OK);
    driver_free(&rig.drivers[0]);
    ck_assert_int_eq(store_mem_new(&store), RD_OK);
    ck_assert_int_eq(store_mem_restore(store, image), RD_OK);
    store_mem_image_free(&image);
    ck_assert_msg(start_node(&rig, 0, 1, store, reason) == RD_OK, "%s", reason);
    struct node_id again = node_self(driver_node(rig.drivers[0]));
    ck_assert_mem_eq(&self, &again, sizeof(self));
    for (unsigned n = 0; n < MAX_PASSES && !stats_of(&rig, 0).open; n++) {
        pass(&rig);
    }
    submit_get(rig.drivers[0], 2, "k");
    run_until_replies(&rig, 2);
    ck_assert_str_eq(rig.value, "v");
    stop(&rig);
}
END_TEST

START_TEST(damaged_rows_are_refused) {
    static const char *const names[] = {"identity", "birth"};
    struct rig rig;
    struct store *store;
    struct store_mem_image *image;
    char reason[256] = "";
    char expected[256];
    start(&rig, 1);
    submit_set(rig.drivers[0], 1, "k", "v");
    run_until_replies(&rig, 1);
    ck_assert_int_eq(store_mem_snapshot(rig.stores[0], &image), RD_OK);
    driver_free(&rig.drivers[0]);
    ck_assert_int_eq(store_mem_new(&store), RD_OK);
    ck_assert_int_eq(store_mem_restore(store, image), RD_OK);
    store_mem_image_free(&image);
    const struct store_key at = {
        .space = STORE_META, .key = names[_i], .key_len = strlen(names[_i])};
    ck_assert(store_mem_corrupt_row(store, &at));
    ck_assert_int_eq(start_node(&rig, 0, 1, store, reason), RD_ECORRUPT);
    snprintf(expected, sizeof(expected),
             "the store's row '%s' cannot be read: stored data is damaged", names[_i]);
    ck_assert_str_eq(reason, expected);
    stop(&rig);
}
END_TEST

START_TEST(a_taken_port_is_told) {
    struct rig rig;
    char reason[256] = "";
    start(&rig, 1);
    rig.ports[1] = rig.ports[0];
    ck_assert_int_eq(start_node(&rig, 1, 1, NULL, reason), RD_EIO);
    ck_assert_ptr_nonnull(strstr(reason, "Address already in use"));
    stop(&rig);
}
END_TEST

/* ---- a cluster ---------------------------------------------------------------------------------------- */

START_TEST(three_nodes) {
    struct rig rig;
    struct driver_stats stats;
    char key[16];
    start(&rig, NODES);
    for (uint64_t i = 0; i < 300; i++) {
        snprintf(key, sizeof(key), "k%d", (int)i);
        submit_set(rig.drivers[i % NODES], i, key, key);
    }
    run_until_replies(&rig, 300);
    for (uint64_t i = 0; i < 300; i++) {
        ck_assert_int_eq(rig.errs[i], RD_OK);
    }
    for (uint64_t i = 0; i < 30; i++) {
        snprintf(key, sizeof(key), "k%d", (int)i);
        submit_get(rig.drivers[(i + 1) % NODES], 300 + i, key);
        run_until_replies(&rig, 301 + i);
        ck_assert_str_eq(rig.value, key);
    }
    driver_stats(rig.drivers[0], &stats);
    ck_assert_uint_gt(stats.frames_in, 0);
    ck_assert_uint_gt(stats.bytes_out, 0);
    ck_assert_uint_ge(stats.links, 2);
    stop(&rig);
}
END_TEST

/* One node goes; the others notice by the broken links, go on, and meet it again. */
START_TEST(a_node_goes_and_comes_back) {
    struct rig rig;
    struct store_mem_image *image;
    struct store *store;
    char reason[256];
    start(&rig, NODES);
    submit_set(rig.drivers[0], 0, "k", "v");
    run_until_replies(&rig, 1);
    for (unsigned n = 0; n < MAX_PASSES && !stats_of(&rig, 2).born; n++) {
        pass(&rig);
    }
    ck_assert_int_eq(store_mem_snapshot(rig.stores[2], &image), RD_OK);
    driver_free(&rig.drivers[2]);
    for (size_t i = 0; i < 2; i++) {
        for (unsigned n = 0; n < MAX_PASSES && stats_of(&rig, i).members_up > 2; n++) {
            pass(&rig);
        }
        ck_assert_uint_eq(stats_of(&rig, i).members_up, 2);
    }
    submit_set(rig.drivers[1], 1, "k", "w");
    run_until_replies(&rig, 2);
    ck_assert_int_eq(rig.errs[1], RD_OK);
    ck_assert_int_eq(store_mem_new(&store), RD_OK);
    ck_assert_int_eq(store_mem_restore(store, image), RD_OK);
    store_mem_image_free(&image);
    ck_assert_msg(start_node(&rig, 2, NODES, store, reason) == RD_OK, "%s", reason);
    for (size_t i = 0; i < NODES; i++) {
        for (unsigned n = 0; n < MAX_PASSES && stats_of(&rig, i).members_up < NODES; n++) {
            pass(&rig);
        }
        ck_assert_uint_eq(stats_of(&rig, i).members_up, NODES);
    }
    submit_get(rig.drivers[2], 2, "k");
    run_until_replies(&rig, 3);
    ck_assert_str_eq(rig.value, "w");
    stop(&rig);
}
END_TEST

/* Whoever sends nonsense to the port for peers is hung up on, and nobody else notices. */
START_TEST(a_stranger_with_nonsense) {
    static const char *const nonsense[] = {"GET / HTTP/1.0\r\n\r\n", "*1\r\n$4\r\nPING\r\n",
                                           "*1\r\n$99999999\r\n", "*2\r\n$0\r\n\r\n$0\r\n\r\n"};
    struct rig rig;
    struct net_address to;
    char byte;
    ssize_t n = -1;
    start(&rig, 1);
    ck_assert(net_address_parse("127.0.0.1", rig.ports[0], &to));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&to.storage, to.len), 0);
    ck_assert_int_gt(send(fd, nonsense[_i], strlen(nonsense[_i]), 0), 0);
    for (unsigned i = 0; i < MAX_PASSES && n != 0; i++) {
        pass(&rig);
        n = recv(fd, &byte, 1, MSG_DONTWAIT);
        ck_assert(n >= 0 || errno == EAGAIN || errno == ECONNRESET);
        n = n < 0 && errno == ECONNRESET ? 0 : n;
    }
    ck_assert_int_eq(n, 0);
    close(fd);
    submit_set(rig.drivers[0], 1, "k", "v");
    run_until_replies(&rig, 1);
    ck_assert_int_eq(rig.errs[1], RD_OK);
    stop(&rig);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("driver");
    TCase *tc = tcase_create("one node");
    tcase_add_test(tc, set_and_get);
    tcase_add_test(tc, a_turn_is_one_commit);
    tcase_add_test(tc, replies_wait_for_the_commit);
    tcase_add_test(tc, settling_commits_nothing);
    tcase_add_test(tc, a_failed_commit_is_told);
    tcase_add_test(tc, submitting_from_a_reply);
    tcase_add_test(tc, a_restart_keeps_identity_and_data);
    tcase_add_loop_test(tc, damaged_rows_are_refused, 0, 2);
    tcase_add_test(tc, a_taken_port_is_told);
    suite_add_tcase(suite, tc);
    tc = tcase_create("cluster");
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, three_nodes);
    tcase_add_test(tc, a_node_goes_and_comes_back);
    tcase_add_loop_test(tc, a_stranger_with_nonsense, 0, 4);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
