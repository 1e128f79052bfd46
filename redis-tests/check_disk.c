/* One node and its disk: what INFO says of the store, --check-store, disks that are full, rows that are damaged. Small disks are tmpfs in a
 * mount namespace of the test's own; where the system allows none, those tests are skipped. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"

#define KEYS 100

/* Runs --check-store on a node's folder; its output replaces what is in `out`. */
static int check_store(const struct node *node, struct buf *out) {
    return proc_run(out, "%s --check-store %s/data", proc_built("src/redynamo-server"), node->dir);
}

static void expect_sound(const struct node *node) {
    struct buf out = {0};
    int status = check_store(node, &out);
    ck_assert_msg(status == 0, "%d: %s", status, show_text(&out));
    ck_assert_msg(strstr((const char *)buf_data(&out), ": 0 problems") != NULL, "%s",
                  show_text(&out));
    buf_free(&out);
}

/* It must say no, and this. */
static void expect_unsound(const struct node *node, const char *said) {
    struct buf out = {0};
    int status = check_store(node, &out);
    ck_assert_msg(status == 1, "%d: %s", status, show_text(&out));
    ck_assert_msg(strstr((const char *)buf_data(&out), said) != NULL, "%s", show_text(&out));
    buf_free(&out);
}

static void set_keys(struct client *client) {
    for (int i = 0; i < KEYS; i++) {
        expect(client, "+OK", "SET key%d value%0200d", i, i);
    }
}

static void get_keys(struct client *client) {
    for (int i = 0; i < KEYS; i++) {
        char value[300];
        snprintf(value, sizeof value, "\"value%0200d\"", i);
        expect(client, value, "GET key%d", i);
    }
}

/* ---- INFO and --check-store ------------------------------------------------------------------------ */

START_TEST(info_tells_of_the_store) {
    struct cluster *c = cluster_start(1, "appendfsync always\n");
    struct client client;
    client_open(&client, c->nodes[0].port);
    set_keys(&client);
    get_keys(&client);
    ck_assert_int_gt(client_info(&client, "store_commits"), KEYS);
    ck_assert_int_gt(client_info(&client, "store_journal_bytes"), KEYS * 4096);
    ck_assert_int_gt(client_info(&client, "store_memtable_bytes"), KEYS * 200);
    ck_assert_int_ge(client_info(&client, "store_memtable_rows"), KEYS);
    ck_assert_int_gt(client_info(&client, "store_fsync_p99_us"), 0);
    ck_assert_int_eq(client_info(&client, "store_commit_errors"), 0);
    ck_assert_int_eq(client_info(&client, "store_merge_errors"), 0);
    ck_assert_int_eq(client_info(&client, "store_corrupt_rows"), 0);
    ck_assert_int_ge(client_info(&client, "store_merges"), 0);
    ck_assert_int_ge(client_info(&client, "store_merge_last_ms"), 0);
    client_close(&client);
    node_stop(&c->nodes[0]); /* merges all */
    node_start(&c->nodes[0]);
    cluster_wait(c);
    client_open(&client, c->nodes[0].port);
    get_keys(&client); /* from the table, then from the cache */
    ck_assert_int_ge(client_info(&client, "store_cache_misses"), KEYS);
    ck_assert_int_gt(client_info(&client, "store_cache_bytes"), KEYS * 200);
    long long hits = client_info(&client, "store_cache_hits");
    get_keys(&client);
    ck_assert_int_ge(client_info(&client, "store_cache_hits"), hits + KEYS);
    ck_assert_ptr_nonnull(strstr(ask(&client, "INFO persistence"), "store_cache_hit_ratio:0."));
    expect_unsound(&c->nodes[0], "in use by another process");
    client_close(&client);
    cluster_stop(c);
    expect_sound(&c->nodes[0]);
    cluster_free(&c);
}
END_TEST

/* Turns over a byte in the middle of each copy of what is stored of key 7. */
static void damage_key_7(const struct node *node) {
    struct buf out = {0};
    int status = proc_run(&out,
                          "python3 -c \"import sys; p = sys.argv[1]; b = open(p, 'rb').read(); "
                          "v = b'value' + b'%%0200d' %% 7; n = b.replace(v, b'valuE' + v[5:]); "
                          "open(p, 'wb').write(n); sys.exit(n == b)\" %s/data/data.db",
                          node->dir);
    ck_assert_msg(status == 0, "%d: %s", status, show_text(&out));
    buf_free(&out);
}

/* Each row is whole. (What a damaged row said of itself is lost, so its slot's counts may be off.) */
static void expect_whole(const struct node *node) {
    struct buf out = {0};
    (void)check_store(node, &out);
    const char *text = (const char *)buf_data(&out);
    ck_assert_msg(strstr(text, "checksum") == NULL && strstr(text, "100 objects") != NULL, "%s",
                  show_text(&out));
    buf_free(&out);
}

/* What is damaged is not served, the log says where, and a copy of another node heals it. */
START_TEST(a_damaged_row_is_repaired) {
    struct cluster *c = cluster_start(3, "");
    struct client client;
    client_open(&client, c->nodes[0].port);
    set_keys(&client);
    client_close(&client);
    cluster_stop(c);
    damage_key_7(&c->nodes[0]);
    expect_unsound(&c->nodes[0], "key \"key7\": the checksum is wrong");
    for (size_t i = 0; i < c->count; i++) {
        node_launch(&c->nodes[i]);
    }
    cluster_wait(c);
    client_open(&client, c->nodes[0].port);
    get_keys(&client);
    ck_assert_int_gt(client_info(&client, "store_corrupt_rows"), 0);
    WAIT_FOR(node_log_lines(&c->nodes[0], "is damaged") > 0);
    ck_assert_uint_gt(node_log_lines(&c->nodes[0], "partition "), 0);
    WAIT_FOR(strstr(ask(&client, "DYNGET key7 R 3"), "\"value") != NULL &&
             strstr(ask(&client, "DYNREPLICAS key7"), "corrupt") == NULL);
    client_close(&client);
    cluster_stop(c);
    expect_whole(&c->nodes[0]);
    cluster_free(&c);
}
END_TEST

/* Overwrites a page in the middle of those that hold values. */
static void damage_page(const struct node *node) {
    struct buf out = {0};
    int status = proc_run(
        &out,
        "python3 -c \"import sys; p = sys.argv[1]; b = bytearray(open(p, 'rb').read()); "
        "at = [i for i in range(4096, len(b), 4096) if b[i] == 10 and b.count(b'value', i, i + "
        "4096) > 3]; i = at[len(at) // 2]; b[i:i + 4096] = bytes([165]) * 4096; "
        "open(p, 'wb').write(b)\" %s/data/data.db",
        node->dir);
    ck_assert_msg(status == 0, "%d: %s", status, show_text(&out));
    buf_free(&out);
}

/* The rows of a page that cannot be read are served from the other nodes; a restart writes the table anew, and repair brings
 * them back. */
START_TEST(a_damaged_page_is_repaired) {
    struct cluster *c = cluster_start(3, "");
    struct client client;
    client_open(&client, c->nodes[0].port);
    set_keys(&client);
    client_close(&client);
    cluster_stop(c);
    damage_page(&c->nodes[0]);
    for (size_t i = 0; i < c->count; i++) {
        node_launch(&c->nodes[i]);
    }
    cluster_wait(c);
    client_open(&client, c->nodes[0].port);
    get_keys(&client);
    ck_assert_int_gt(client_info(&client, "store_corrupt_rows"), 0);
    ck_assert_uint_gt(node_log_lines(&c->nodes[0], "is damaged"), 0);
    ck_assert_uint_gt(node_log_lines(&c->nodes[0], "partition "), 0);
    client_close(&client);
    node_stop(&c->nodes[0]);
    node_start(&c->nodes[0]);
    cluster_wait(c);
    client_open(&client, c->nodes[0].port);
    get_keys(&client);
    ck_assert_int_eq(client_info(&client, "store_corrupt_rows"), 0);
    client_close(&client);
    node_stop(&c->nodes[0]);
    expect_sound(&c->nodes[0]);
    expect_whole(&c->nodes[0]);
    cluster_stop(c);
    cluster_free(&c);
}
END_TEST

/* ---- full disks ------------------------------------------------------------------------------------ */

/* A disk of so many megabytes for the node's files; false (and the test is over) if the system does not allow it. */
static bool small_disk(const struct node *node, unsigned megabytes) {
    char data[PROC_PATH + 8], size[32];
    snprintf(data, sizeof data, "%s/data", node->dir);
    snprintf(size, sizeof size, "size=%um", megabytes);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", data, "tmpfs", 0, size) != 0) {
        fprintf(stderr, "check_disk: skipped, no permission to mount a small disk\n");
        return false;
    }
    return true;
}

/* One node, not started, on a disk of 40 MB; NULL as above. */
static struct cluster *make_on_small_disk(void) {
    struct cluster *c = cluster_make(1, "");
    if (!small_disk(&c->nodes[0], 40)) {
        cluster_free(&c);
    }
    return c;
}

static const char *ballast_of(const struct node *node) {
    static char path[PROC_PATH + 16];
    snprintf(path, sizeof path, "%s/data/ballast", node->dir);
    return path;
}

/* Takes all space that is left. */
static void fill_disk(const struct node *node) {
    static const char zeros[4096];
    int fd = open(ballast_of(node), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    while (write(fd, zeros, sizeof zeros) == sizeof zeros) {
    }
    close(fd);
}

static void give_space_back(const struct node *node) {
    ck_assert_int_eq(unlink(ballast_of(node)), 0);
}

static void end_with_disk(struct cluster *c) {
    char data[PROC_PATH + 8];
    snprintf(data, sizeof data, "%s/data", c->nodes[0].dir);
    cluster_stop(c);
    expect_sound(&c->nodes[0]);
    ck_assert_int_eq(umount2(data, MNT_DETACH), 0);
    cluster_free(&c);
}

/* Writes until the journal needs more than it has; returns how many writes were acknowledged. */
static int write_until_full(struct client *client, const char *key, size_t len) {
    static char value[200001];
    memset(value, 'x', len);
    value[len] = 0;
    for (int i = 0; i < 1000; i++) {
        const char *reply = ask(client, "SET %s%d %s", key, i, value);
        if (strcmp(reply, "+OK") != 0) {
            ck_assert_msg(strncmp(reply, "-DISKFULL ", 10) == 0, "%s", reply);
            return i;
        }
    }
    ck_abort_msg("the disk does not get full");
    return 0;
}

START_TEST(a_full_disk_and_space_again) {
    struct cluster *c = make_on_small_disk();
    struct client client;
    if (c == NULL) {
        return;
    }
    node_start(&c->nodes[0]);
    cluster_wait(c);
    client_open(&client, c->nodes[0].port);
    set_keys(&client);
    fill_disk(&c->nodes[0]);
    int written = write_until_full(&client, "large", 200000);
    /* Less may fit than failed; in the end not a page is left, and the node knows. */
    WAIT_FOR(write_until_full(&client, "tiny", 1) >= 0 &&
             strstr(ask(&client, "INFO persistence"), "aof_last_write_status:err") != NULL);
    get_keys(&client); /* reads go on */
    ck_assert_int_gt(client_info(&client, "store_commit_errors"), 0);
    expect(&client, ":0", "EXISTS large%d", written); /* what failed is not there */
    give_space_back(&c->nodes[0]);
    WAIT_FOR(strcmp(ask(&client, "SET later value"), "+OK") == 0);
    ck_assert_ptr_nonnull(strstr(ask(&client, "INFO persistence"), "aof_last_write_status:ok"));
    expect(&client, "+OK", "SET large%d again", written);
    get_keys(&client);
    expect(&client, "\"again\"", "GET large%d", written);
    client_close(&client);
    end_with_disk(c);
}
END_TEST

/* The node must end at once, with a sentence that says why. */
static void expect_no_start(const struct node *node) {
    struct buf out = {0};
    int status = proc_run(&out, "%s %s", proc_built("src/redynamo-server"), node->conf);
    ck_assert_msg(status == 1, "%d: %s", status, show_text(&out));
    ck_assert_msg(strstr((const char *)buf_data(&out), "full") != NULL ||
                      strstr((const char *)buf_data(&out), "No space left") != NULL,
                  "%s", show_text(&out));
    buf_free(&out);
}

START_TEST(a_first_start_on_a_full_disk) {
    struct cluster *c = make_on_small_disk();
    struct client client;
    if (c == NULL) {
        return;
    }
    fill_disk(&c->nodes[0]);
    expect_no_start(&c->nodes[0]);
    give_space_back(&c->nodes[0]);
    node_start(&c->nodes[0]); /* what the attempt left behind is no obstacle */
    cluster_wait(c);
    client_open(&client, c->nodes[0].port);
    set_keys(&client);
    get_keys(&client);
    client_close(&client);
    end_with_disk(c);
}
END_TEST

/* It has data, from a clean stop or from a kill. With nothing to make it serves reads; else it says why it does not start. */
START_TEST(a_later_start_on_a_full_disk) {
    struct cluster *c = make_on_small_disk();
    struct client client;
    if (c == NULL) {
        return;
    }
    node_start(&c->nodes[0]);
    cluster_wait(c);
    client_open(&client, c->nodes[0].port);
    set_keys(&client);
    client_close(&client);
    if (_i == 0) {
        node_stop(&c->nodes[0]);
    } else {
        node_kill(&c->nodes[0]);
    }
    fill_disk(&c->nodes[0]);
    if (_i == 0) {
        expect_no_start(&c->nodes[0]);
        give_space_back(&c->nodes[0]);
        node_start(&c->nodes[0]);
        cluster_wait(c);
    } else {
        node_start(&c->nodes[0]);
        cluster_wait(c);
        client_open(&client, c->nodes[0].port);
        get_keys(&client);
        client_close(&client);
        give_space_back(&c->nodes[0]);
    }
    client_open(&client, c->nodes[0].port);
    get_keys(&client);
    client_close(&client);
    end_with_disk(c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("disk");
    TCase *own = run_group(suite, NULL, NULL);
    tcase_add_test(own, info_tells_of_the_store);
    tcase_add_test(own, a_damaged_row_is_repaired);
    tcase_add_test(own, a_damaged_page_is_repaired);
    tcase_add_test(own, a_full_disk_and_space_again);
    tcase_add_test(own, a_first_start_on_a_full_disk);
    tcase_add_loop_test(own, a_later_start_on_a_full_disk, 0, 2);
    return run_tests(suite);
}
