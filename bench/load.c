/* bench/load: asks servers of the Redis protocol and says how fast they answered. See --help. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "bench/load_conf.h"
#include "bench/load_run.h"

int main(int argc, char **argv) {
    struct load_conf conf;
    char reason[LOAD_REASON_BYTES] = "";
    switch (load_args(argc, argv, &conf, reason)) {
    case LOAD_ARGS_HELP:
        fputs(load_help(), stdout);
        return 0;
    case LOAD_ARGS_BAD:
        fprintf(stderr, "bench/load: %s (--help says more)\n", reason);
        return 2;
    case LOAD_ARGS_OK:
        break;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct load_result *result = malloc(sizeof *result);
    if (result == NULL) {
        return 1;
    }
    bool good = load_run(&conf, result, reason);
    if (good) {
        load_print(result, conf.buckets, stdout);
    } else {
        fprintf(stderr, "bench/load: %s\n", reason);
    }
    for (size_t i = 0; i < result->error_count; i++) {
        fprintf(stderr, "bench/load: %s\n", result->errors[i].text);
    }
    free(result);
    return good ? 0 : 1;
}
