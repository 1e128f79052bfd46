/* What the configuration means to others: the announced address, the node's configuration, the limit of open files. */
#include <string.h>
#include <sys/resource.h>

#include "server/setup.h"
#include "tests/lib/run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct config *configure(const char *text) {
    struct config *config = NULL;
    char reason[CONFIG_REASON_BYTES] = "";
    ck_assert_int_eq(config_new(&config), RD_OK);
    ck_assert_msg(config_parse(config, "test", text, strlen(text), reason) == RD_OK, "%s", reason);
    ck_assert_msg(config_finish(config, reason) == RD_OK, "%s", reason);
    return config;
}

static const struct {
    const char *text, *host;
} announced[] = {
    {"", "127.0.0.1"},
    {"bind ::1", "::1"},
    {"bind -::1 127.0.0.1", "::1"},
    {"bind 127.0.0.1 10.0.0.5", "10.0.0.5"},
    {"bind 10.0.0.5 127.0.0.1", "10.0.0.5"},
    {"bind -2001:db8::5", "2001:db8::5"},
    {"bind *", ""},
    {"bind 0.0.0.0", ""},
    {"bind ::", ""},
    {"bind * -::*", ""},
    {"bind 127.0.0.1 -::*", ""},
    {"bind * 10.0.0.5", "10.0.0.5"},
    {"bind localhost", "localhost"},
    {"bind localhost node7.example", "node7.example"},
    {"bind 10.0.0.5\ncluster-announce-ip 203.0.113.1", "203.0.113.1"},
    {"bind ''", ""},
};

START_TEST(announced_host) {
    struct config *config = configure(announced[_i].text);
    char host[NODE_HOST_BYTES] = "untouched";
    setup_announce_host(config, host);
    ck_assert_str_eq(host, announced[_i].host);
    config_free(&config);
}
END_TEST

START_TEST(node_defaults) {
    struct config *config = configure("");
    struct node_conf node;
    setup_node_conf(config, &node);
    ck_assert_str_eq(node.cluster_name, "redynamo");
    ck_assert_str_eq(node.secret, "");
    ck_assert_uint_eq(node.n, 3);
    ck_assert_uint_eq(node.r, 2);
    ck_assert_uint_eq(node.w, 2);
    ck_assert_uint_eq(node.partitions, 4096);
    ck_assert_int_eq(node.partitioner, PARTITIONER_CRC16);
    ck_assert_int_eq(node.conflict_resolution, CONFLICT_SIBLINGS);
    ck_assert_uint_eq(node.vnodes, 256);
    ck_assert_uint_eq(node.port, 6379);
    ck_assert_uint_eq(node.cluster_port, 16379);
    ck_assert_uint_eq(node.seed_count, 0);
    ck_assert_uint_eq(node.request_timeout_ms, 500);
    ck_assert_uint_eq(node.gossip_interval_ms, 1000);
    ck_assert_uint_eq(node.failure_timeout_ms, 5000);
    ck_assert_uint_eq(node.max_siblings, 100);
    ck_assert_uint_eq(node.max_object_bytes, 64u << 20);
    ck_assert(node.read_repair);
    ck_assert(!node.trace);
    ck_assert_ptr_null(node.meta_identity);
    config_free(&config);
}
END_TEST

START_TEST(node_as_configured) {
    struct config *config = configure(
        "port 7001\ncluster-announce-port 1\ncluster-announce-bus-port 2\nseed a:1 b:2\nzone z\n"
        "cluster-secret s\npartitioner md5\nconflict-resolution last-write-wins\nread-repair no\n"
        "loglevel debug\ncluster-name other\n");
    struct node_conf node;
    setup_node_conf(config, &node);
    ck_assert_str_eq(node.cluster_name, "other");
    ck_assert_str_eq(node.secret, "s");
    ck_assert_str_eq(node.zone, "z");
    ck_assert_uint_eq(node.port, 1);
    ck_assert_uint_eq(node.cluster_port, 2);
    ck_assert_uint_eq(node.seed_count, 2);
    ck_assert_str_eq(node.seeds[1].host, "b");
    ck_assert_uint_eq(node.seeds[1].port, 2);
    ck_assert_int_eq(node.partitioner, PARTITIONER_MD5);
    ck_assert_int_eq(node.conflict_resolution, CONFLICT_LAST_WRITE_WINS);
    ck_assert(!node.read_repair);
    ck_assert(node.trace);
    config_free(&config);
}
END_TEST

START_TEST(fsync_modes) {
    static const struct {
        const char *text;
        enum store_fsync mode;
    } modes[] = {{"", STORE_FSYNC_EVERYSEC},
                 {"appendfsync always", STORE_FSYNC_ALWAYS},
                 {"appendfsync everysec", STORE_FSYNC_EVERYSEC},
                 {"appendfsync no", STORE_FSYNC_NO}};
    for (size_t i = 0; i < COUNT(modes); i++) {
        struct config *config = configure(modes[i].text);
        ck_assert_int_eq(setup_fsync(config), modes[i].mode);
        config_free(&config);
    }
}
END_TEST

START_TEST(open_files) {
    struct rlimit limit;
    const struct rlimit low = {600, 1000};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    ck_assert_int_eq(setup_open_files(50), 50); /* fits already */
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, 600);
    ck_assert_int_eq(setup_open_files(300), 300); /* the soft limit is raised */
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_ge(limit.rlim_cur, 812);
    int64_t fits = setup_open_files(100000000000); /* above what any system allows */
    ck_assert_int_ge(fits, 300);
    ck_assert_int_lt(fits, 100000000000);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("setup");
    TCase *tc = tcase_create("setup");
    tcase_add_loop_test(tc, announced_host, 0, (int)COUNT(announced));
    tcase_add_test(tc, node_defaults);
    tcase_add_test(tc, node_as_configured);
    tcase_add_test(tc, fsync_modes);
    tcase_add_test(tc, open_files);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
