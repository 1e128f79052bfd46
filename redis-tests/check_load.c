/* bench/load against real servers, with tiny counts: what it says must be what the servers saw. */
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cluster *cluster;

static void start(void) {
    cluster = cluster_start(3, "max-siblings 5\n");
}

static void stop(void) {
    cluster_free(&cluster);
}

/* Runs bench/load with `options` on all nodes, or on the first alone; returns what it printed. */
static char *load(const char *options, bool all) {
    struct buf output = {0};
    char nodes[128];
    size_t len = (size_t)snprintf(nodes, sizeof nodes, "127.0.0.1:%d", cluster->nodes[0].port);
    for (size_t i = 1; i < cluster->count && all; i++) {
        len += (size_t)snprintf(nodes + len, sizeof nodes - len, " 127.0.0.1:%d",
                                cluster->nodes[i].port);
    }
    int status = proc_run(&output, "%s %s %s", proc_built("bench/load"), options, nodes);
    ck_assert_msg(status == 0, "%s", (const char *)buf_data(&output));
    char *text = strdup((const char *)buf_data(&output));
    buf_free(&output);
    return text;
}

/* The number behind "name=" in a result; -1 if there is none. */
static double value(const char *result, const char *name) {
    char wanted[64];
    int len = snprintf(wanted, sizeof wanted, "%s=", name);
    for (const char *at = result; (at = strstr(at, wanted)) != NULL; at += len) {
        if (at == result || at[-1] == ' ') {
            return strtod(at + len, NULL);
        }
    }
    return -1;
}

static long long commands(void) {
    long long sum = 0;
    for (size_t i = 0; i < cluster->count; i++) {
        sum += node_info(&cluster->nodes[i], "total_commands_processed");
    }
    return sum;
}

START_TEST(fills_and_reads_on_every_node) {
    long long before = commands();
    char *result = load(
        "--fill --keys 300 --reads 1 --pipeline 4 --clients 6 --warmup 0 --requests 400", true);
    ck_assert_double_eq(value(result, "filled"), 300);
    ck_assert_double_ge(value(result, "ops"), 400);
    ck_assert_double_eq(value(result, "misses"), 0);
    ck_assert_double_eq(value(result, "errors"), 0);
    ck_assert_double_gt(value(result, "p50_us"), 0);
    ck_assert_double_ge(value(result, "max_us"), value(result, "p999_us"));
    ck_assert_int_ge(commands() - before, 700);
    free(result);
}
END_TEST

START_TEST(goes_to_homes_with_a_quorum_of_its_own) {
    char *result = load("--homes --read-quorum 1 --write-quorum 3 --reads 0.5 --zipfian --keys 100 "
                        "--value-bytes 10 "
                        "--prefix home: --clients 6 --idle 5 --warmup 0 --requests 300",
                        false);
    ck_assert_double_ge(value(result, "ops"), 300);
    ck_assert_double_eq(value(result, "errors"), 0);
    free(result);
}
END_TEST

START_TEST(siblings_and_a_pace) {
    char *result = load("--write dynset --fill=3 --keys 10 --prefix s: --requests 0", true);
    ck_assert_double_eq(value(result, "filled"), 30);
    ck_assert_double_eq(value(result, "errors"), 0);
    free(result);
    result = load("--write del --keys 10 --prefix s: --rate 1000 --warmup 0 --requests 20", true);
    ck_assert_double_ge(value(result, "ops"), 20);
    free(result);
}
END_TEST

START_TEST(errors_are_counted_by_code) {
    char *result = load("--write dynset --fill=20 --keys 1 --prefix many: --requests 0", true);
    ck_assert_double_eq(value(result, "filled") + value(result, "errors"), 20);
    ck_assert_double_ge(value(result, "errors"), 10);
    ck_assert_double_eq(value(result, "error.TOOMANYSIBLINGS"), value(result, "errors"));
    free(result);
}
END_TEST

START_TEST(says_what_is_wrong_with_its_command_line) {
    struct buf output = {0};
    ck_assert_int_eq(
        proc_run(&output, "%s --clients none localhost:1 2>&1", proc_built("bench/load")), 2);
    ck_assert_ptr_nonnull(strstr((const char *)buf_data(&output), "none"));
    ck_assert_int_eq(
        proc_run(&output, "%s localhost:%d 2>&1", proc_built("bench/load"), proc_port()), 1);
    ck_assert_ptr_nonnull(strstr((const char *)buf_data(&output), "refused"));
    buf_free(&output);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("load");
    TCase *group = run_group(suite, start, stop);
    tcase_add_test(group, fills_and_reads_on_every_node);
    tcase_add_test(group, goes_to_homes_with_a_quorum_of_its_own);
    tcase_add_test(group, siblings_and_a_pace);
    tcase_add_test(group, errors_are_counted_by_code);
    tcase_add_test(group, says_what_is_wrong_with_its_command_line);
    return run_tests(suite);
}
