/* bench/limits: what this machine allows at best, to lay the figures of bench/run beside.
 *
 * Echo servers (bench/echo.h) asked by the load generator: one alone, and three of which each asks both others and waits for the first answer,
 * as a quorum of two does. A plain preallocated file, written in batches and synced after each. Prints "what: number/s" lines.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/echo.h"
#include "bench/load_run.h"

enum { VALUE_BYTES = 100, ROW_BYTES = 136, FILE_BYTES = 64 << 20 };

static const char HELP[] = "usage: bench/limits [--seconds S] DIR\n"
                           "\n"
                           "Prints what this machine allows: requests per second of servers that "
                           "only answer, alone and three of which two must answer, and\n"
                           "rows per second of a plain file in DIR with an fdatasync per batch. S: "
                           "of each measurement (1).\n";

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void measure_echo(size_t count, double reads, unsigned pipeline, double seconds) {
    struct echo echo;
    struct load_conf conf = {.clients = 50,
                             .pipeline = pipeline,
                             .reads = reads,
                             .keys = 200000,
                             .prefix = "key:",
                             .value_bytes = VALUE_BYTES,
                             .requests = UINT64_MAX,
                             .seconds = seconds,
                             .warmup_s = 0.2,
                             .seed = 1};
    echo_start(&echo, count, VALUE_BYTES);
    for (size_t i = 0; i < count; i++) {
        struct load_node *node = &conf.nodes[conf.node_count++];
        snprintf(node->host, sizeof node->host, "127.0.0.1");
        node->port = echo.ports[i];
    }
    struct load_result *result = malloc(sizeof *result);
    char reason[LOAD_REASON_BYTES] = "no memory";
    bool good = result != NULL && load_run(&conf, result, reason);
    echo_stop(&echo);
    if (!good || result->error_total > 0) {
        fprintf(stderr, "bench/limits: %s\n", good ? result->errors[0].text : reason);
        exit(1);
    }
    printf("%s %s P%u: %.0f/s p99 %.0f us\n", count == 1 ? "echo" : "echo, two of three",
           reads > 0 ? "GET" : "SET", pipeline, (double)result->ops / result->seconds,
           (double)hist_quantile(&result->latencies, 0.99) / 1e3);
    free(result);
}

/* Rows per second in batches of `rows`; a file of its own, gone afterwards. */
static void measure_file(const char *dir, unsigned rows, double seconds) {
    char path[4096];
    static char batch[ROW_BYTES * 1000];
    snprintf(path, sizeof path, "%s/limits.%ld", dir, (long)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    unlink(path);
    memset(batch, 'r', sizeof batch);
    /* Written once, so that what is measured changes no block's place. */
    for (size_t at = 0; at < FILE_BYTES; at += sizeof batch) {
        if (pwrite(fd, batch, sizeof batch, (off_t)at) < 0) {
            perror("bench/limits: write");
            exit(1);
        }
    }
    fsync(fd);
    size_t bytes = (size_t)rows * ROW_BYTES;
    uint64_t batches = 0;
    double began = now();
    double spent = 0;
    for (off_t at = 0; spent < seconds; spent = now() - began) {
        if (pwrite(fd, batch, bytes, at) != (ssize_t)bytes || fdatasync(fd) != 0) {
            perror("bench/limits: write");
            exit(1);
        }
        at = at + (off_t)(2 * bytes) > FILE_BYTES ? 0 : at + (off_t)bytes;
        batches++;
    }
    close(fd);
    printf("file, %u rows per fdatasync: %.0f/s %.0f us each\n", rows,
           (double)(batches * rows) / spent, spent / (double)batches * 1e6);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"seconds", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    double seconds = 1;
    for (int letter; (letter = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (letter == 'h') {
            fputs(HELP, stdout);
            return 0;
        }
        seconds = letter == 's' ? strtod(optarg, NULL) : -1;
        if (!(seconds > 0 && seconds < 3600)) {
            break;
        }
    }
    if (optind + 1 != argc || !(seconds > 0 && seconds < 3600)) {
        fputs(HELP, stderr);
        return 2;
    }
    static const unsigned pipelines[] = {1, 16};
    for (size_t count = 1; count <= ECHO_NODES; count += ECHO_NODES - 1) {
        for (int i = 0; i < 2; i++) {
            measure_echo(count, 0, pipelines[i], seconds);
            measure_echo(count, 1, pipelines[i], seconds);
        }
    }
    static const unsigned batches[] = {1, 16, 50, 500};
    for (int i = 0; i < 4; i++) {
        measure_file(argv[optind], batches[i], seconds);
    }
    return 0;
}
