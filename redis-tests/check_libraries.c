/* Client programs and libraries as their users call them, against a cluster whose first node is killed and started again meanwhile: redis-cli,
 * redis-py, ioredis, node-redis. The scripts are in redis-tests/clients. A library that is not installed is passed over; scripts/deps installs
 * redis-py, scripts/deps --clients the others. hiredis is what all the other tests here speak. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"
#include "tests/lib/run.h"

#define NODES 5
#define SKIPPED 77

static struct cluster *cluster;

/* ---- scripts ---------------------------------------------------------------------------------------- */

/* Kills the first node and starts it again, if the script has asked for it. */
static void serve_restart(const char *folder) {
    char wish[PROC_PATH + 16], done[PROC_PATH + 16];
    snprintf(wish, sizeof(wish), "%s/restart", folder);
    snprintf(done, sizeof(done), "%s/restarted", folder);
    if (unlink(wish) != 0) {
        return;
    }
    node_kill(&cluster->nodes[0]);
    node_start(&cluster->nodes[0]);
    cluster_wait(cluster);
    proc_write_file(done, "");
}

/* Runs a program with its own arguments, a folder, and the ports of all nodes. */
static void run_script(const char *program, const char *script, const char *library) {
    char folder[PROC_PATH], output[PROC_PATH + 16], path[PROC_PATH], ports[NODES][8];
    char *argv[5 + NODES] = {(char *)program, path};
    size_t argc = 2;
    int status = 0;
    cluster = cluster_start(NODES, "");
    proc_temp_dir(folder);
    snprintf(output, sizeof(output), "%s/output", folder);
    snprintf(path, sizeof(path), "%s", proc_source(script));
    if (library != NULL) {
        argv[argc++] = (char *)library;
    }
    argv[argc++] = folder;
    for (size_t i = 0; i < NODES; i++) {
        snprintf(ports[i], sizeof(ports[i]), "%d", cluster->nodes[i].port);
        argv[argc++] = ports[i];
    }
    pid_t pid = proc_start(argv, NULL, output);
    uint64_t began_ms = proc_now_ms();
    while (waitpid(pid, &status, WNOHANG) == 0) {
        ck_assert_msg(proc_now_ms() - began_ms < 3 * WAIT_SECONDS * 1000, "%s does not end", path);
        serve_restart(folder);
        proc_sleep_ms(10);
    }
    struct buf said = {0};
    proc_read_file(output, &said);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    if (code == SKIPPED || code == 127) { /* 127: there is no such interpreter */
        printf("skipped: %s: %s\n", library != NULL ? library : script, show_text(&said));
    } else {
        ck_assert_msg(code == 0, "%s: %d: %s", script, code, show_text(&said));
    }
    buf_free(&said);
    cluster_free(&cluster);
}

START_TEST(redis_py) {
    run_script("/usr/bin/python3", "redis-tests/clients/redis_py.py", NULL);
}
END_TEST

/* Where scripts/deps --clients puts them, unless NODE_PATH says where else. */
static void find_packages(void) {
    char path[PROC_PATH + 32];
    snprintf(path, sizeof(path), "%s/build/clients/node_modules", proc_source(""));
    setenv("NODE_PATH", path, 0);
}

START_TEST(ioredis) {
    find_packages();
    run_script("node", "redis-tests/clients/node.js", "ioredis");
}
END_TEST

START_TEST(node_redis) {
    find_packages();
    run_script("node", "redis-tests/clients/node.js", "redis");
}
END_TEST

/* ---- redis-cli -------------------------------------------------------------------------------------- */

/* Runs a shell line with the port of a node at its %d; its output must have the pattern. */
static void cli(size_t node, const char *line, const char *pattern) {
    struct buf out = {0};
    char command[1024];
    int length = snprintf(command, sizeof(command), line, cluster->nodes[node].port,
                          cluster->nodes[node].port);
    ck_assert_int_lt(length, (int)sizeof(command));
    int status = proc_run(&out, "%s", command);
    const char *said = show_text(&out);
    ck_assert_msg(status == 0 && show_matches(pattern, said), "%s: %d: %s", command, status, said);
    buf_free(&out);
}

START_TEST(redis_cli) {
    cluster = cluster_start(NODES, "");
    cli(0, "redis-cli -p %d flushall", "OK\n");
    cli(0,
        "for i in $(seq 2000); do printf 'SET cli:%%d %%d\\r\\n' $i $i; done | "
        "redis-cli -p %d --pipe",
        "*errors: 0, replies: 2000\n");
    cli(1, "redis-cli -p %d --scan | sort -u | wc -l", "2000\n");
    cli(2, "redis-cli -p %d --scan --pattern 'cli:1?' | sort | tr '\\n' ' '",
        "cli:10 cli:11 cli:12 cli:13 cli:14 cli:15 cli:16 cli:17 cli:18 cli:19 ");
    cli(3, "redis-cli -p %d set big \"$(head -c 5000 /dev/zero | tr '\\0' x)\"", "OK\n");
    cli(4, "redis-cli -p %d --bigkeys",
        "*Biggest string found '\"big\"' has 5000 bytes*2001 strings with *");
    cli(4, "redis-cli -c -p %d get cli:77", "77\n");
    cli(4, "redis-cli -3 -p %d dynget cli:77", "context *\nvalues 77\n");
    cli(2, "redis-cli -p %d keys 'cli:199?' | wc -l", "10\n");
    cli(2, "redis-cli -p %d flushall", "OK\n");
    cli(3, "redis-cli -p %d --scan | wc -l", "0\n");
    cluster_free(&cluster);
}
END_TEST

/* Its own tests that need nothing but strings. */
START_TEST(redis_benchmark) {
    cluster = cluster_start(NODES, "");
    cli(1, "redis-benchmark -p %d -n 1000 -P 16 -r 500 -t ping,set,get,mset --csv | grep -c '^\"'",
        "6\n");
    cli(1,
        "redis-benchmark --cluster -p %d -n 1000 -r 500 -t set,get,mset -q 2>&1 | grep -ci -e "
        "error -e warning || "
        "true",
        "0\n");
    cli(1, "redis-cli -p %d flushall", "OK\n");
    cluster_free(&cluster);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("libraries");
    TCase *own = run_group(suite, NULL, NULL);
    tcase_set_timeout(own, 120);
    tcase_add_test(own, redis_cli);
    tcase_add_test(own, redis_benchmark);
    tcase_add_test(own, redis_py);
    if (!test_is_slow()) { /* they bring the server nothing that the others have not brought */
        tcase_add_test(own, ioredis);
        tcase_add_test(own, node_redis);
    }
    return run_tests(suite);
}
