/* bench/load_conf: the command line of bench/load. */
#include "bench/load_conf.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/keys.h"

static const char HELP[] =
    "usage: bench/load [OPTION...] HOST:PORT...\n"
    "\n"
    "Asks one or more servers of the Redis protocol and says how fast they answered. Each "
    "connection sends as many requests as\n"
    "--pipeline says in one go, waits for all replies, and sends the next ones; the latency of a "
    "request is the time\n"
    "from that sending to its reply. Keys are a prefix and 12 digits.\n"
    "\n"
    "where to\n"
    "  --clients N          connections, spread over the nodes in turn (50)\n"
    "  --homes              ask the first node for CLUSTER SLOTS, connect to all nodes it names, "
    "and send each key only to a node\n"
    "                       that is named for its slot\n"
    "  --idle N             connections that are made first and say nothing (0)\n"
    "  --read-quorum N, --write-quorum N\n"
    "                       DYNQUORUM of each connection (the node's own)\n"
    "what\n"
    "  --pipeline N         requests that a connection sends at once (1)\n"
    "  --reads SHARE        share of GETs, 0 to 1 (0); the others are writes\n"
    "  --write set|del|dynset\n"
    "                       what a write is; dynset without context makes a sibling (set)\n"
    "  --value-bytes N      of each value written (100)\n"
    "  --wait N             WAIT N behind each write, in the same pipeline; the write counts when "
    "WAIT has answered (0: no WAIT)\n"
    "  --wait-once          one WAIT behind each pipeline instead\n"
    "  --keys N             different keys (200000)\n"
    "  --prefix TEXT        before the digits of each key (key:)\n"
    "  --zipfian [THETA]    hot keys are asked for more often, as YCSB does it (uniform; THETA "
    "0.99)\n"
    "  --seed N             of all that is random (1)\n"
    "how long\n"
    "  --fill [N]           first write every key once, or N times; not measured\n"
    "  --warmup SECONDS     not measured (0.5)\n"
    "  --seconds S          measure for so long (5)\n"
    "  --requests N         measure so many requests instead; 0: fill only\n"
    "  --rate N             requests per second in all, however slow the answers are; latencies "
    "count from when a request was due\n"
    "                       (0: as fast as possible)\n"
    "  --buckets            print buckets=NS:COUNT,... too: how many requests took so many "
    "nanoseconds or a little less\n"
    "\n"
    "Prints one line of name=value: ops answered without error, seconds, ops_per_s, gets that "
    "found nothing (misses), errors,\n"
    "p50_us p99_us p999_us max_us mean_us of the latencies, cpu_us: bench/load's own processor "
    "time per request, and error.CODE=count\n"
    "for each code. What the first error of each code said goes to standard error. Exit status: 0 "
    "if it ran to its end, errors or not.\n";

const char *load_help(void) {
    return HELP;
}

/* The long options, and the letters by which apply() knows them. */
static const struct option OPTIONS[] = {
    {"clients", required_argument, NULL, 'c'},
    {"homes", no_argument, NULL, 'H'},
    {"idle", required_argument, NULL, 'i'},
    {"read-quorum", required_argument, NULL, 'R'},
    {"write-quorum", required_argument, NULL, 'W'},
    {"pipeline", required_argument, NULL, 'P'},
    {"reads", required_argument, NULL, 'g'},
    {"write", required_argument, NULL, 'o'},
    {"value-bytes", required_argument, NULL, 'd'},
    {"wait", required_argument, NULL, 'w'},
    {"wait-once", no_argument, NULL, 'O'},
    {"keys", required_argument, NULL, 'k'},
    {"prefix", required_argument, NULL, 'p'},
    {"zipfian", optional_argument, NULL, 'z'},
    {"seed", required_argument, NULL, 's'},
    {"fill", optional_argument, NULL, 'f'},
    {"warmup", required_argument, NULL, 'u'},
    {"seconds", required_argument, NULL, 't'},
    {"requests", required_argument, NULL, 'n'},
    {"rate", required_argument, NULL, 'r'},
    {"buckets", no_argument, NULL, 'b'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* A whole number in min..max, or false. */
static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *out) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < min || value > max) {
        return false;
    }
    *out = value;
    return true;
}

static bool count(const char *text, uint64_t min, uint64_t max, unsigned *out) {
    uint64_t value = 0;
    bool good = number(text, min, max, &value);
    if (good) {
        *out = (unsigned)value;
    }
    return good;
}

static bool fraction(const char *text, double min, double max, double *out) {
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value < min || value > max) {
        return false;
    }
    *out = value;
    return true;
}

static bool write_kind(const char *text, enum load_write *out) {
    static const char *const names[] = {"set", "del", "dynset"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum load_write)i;
            return true;
        }
    }
    return false;
}

/* Keys with braces would go to other slots than they seem to. */
static bool prefix(const char *text, char out[LOAD_PREFIX_BYTES]) {
    size_t len = strlen(text);
    if (len >= LOAD_PREFIX_BYTES || strpbrk(text, "{}\r\n") != NULL) {
        return false;
    }
    memcpy(out, text, len + 1);
    return true;
}

/* What shapes the requests. */
static bool apply_shape(struct load_conf *c, int letter, const char *arg) {
    uint64_t value = 0;
    switch (letter) {
    case 'P':
        return count(arg, 1, 10000, &c->pipeline);
    case 'g':
        return fraction(arg, 0, 1, &c->reads);
    case 'o':
        return write_kind(arg, &c->write);
    case 'd':
        if (!number(arg, 0, 64 << 20, &value)) {
            return false;
        }
        c->value_bytes = (size_t)value;
        return true;
    case 'w':
        return count(arg, 0, 1000, &c->wait);
    case 'O':
        c->wait_once = true;
        return true;
    case 'k':
        return number(arg, 1, UINT64_C(999999999999), &c->keys);
    case 'p':
        return prefix(arg, c->prefix);
    case 'z':
        c->theta = KEYS_THETA;
        return arg == NULL || fraction(arg, 0.01, 0.9999, &c->theta);
    default:
        return false;
    }
}

static bool apply(struct load_conf *c, int letter, const char *arg) {
    switch (letter) {
    case 'c':
        return count(arg, 1, 100000, &c->clients);
    case 'H':
        c->to_homes = true;
        return true;
    case 'i':
        return count(arg, 0, 1000000, &c->idle);
    case 'R':
        return count(arg, 1, 1000, &c->r);
    case 'W':
        return count(arg, 1, 1000, &c->w);
    case 's':
        return number(arg, 0, UINT64_MAX, &c->seed);
    case 'f':
        c->rounds = 1;
        return arg == NULL || count(arg, 1, 1000000, &c->rounds);
    case 'u':
        return fraction(arg, 0, 86400, &c->warmup_s);
    case 't':
        c->requests = UINT64_MAX;
        return fraction(arg, 0.001, 86400, &c->seconds);
    case 'n':
        c->seconds = INFINITY;
        return number(arg, 0, UINT64_C(1) << 40, &c->requests);
    case 'r':
        return fraction(arg, 0, 1e9, &c->rate);
    case 'b':
        c->buckets = true;
        return true;
    default:
        return apply_shape(c, letter, arg);
    }
}

static bool node(const char *text, struct load_node *out) {
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    if (colon == NULL || colon == text || (size_t)(colon - text) >= LOAD_HOST_BYTES ||
        !number(colon + 1, 1, 65535, &port)) {
        return false;
    }
    memcpy(out->host, text, (size_t)(colon - text));
    out->host[colon - text] = '\0';
    out->port = (uint16_t)port;
    return true;
}

enum load_args_verdict load_args(int argc, char *const argv[], struct load_conf *out,
                                 char reason[LOAD_REASON_BYTES]) {
    struct load_conf c = {.clients = 50,
                          .pipeline = 1,
                          .keys = 200000,
                          .prefix = "key:",
                          .value_bytes = 100,
                          .requests = UINT64_MAX,
                          .seconds = 5,
                          .warmup_s = 0.5,
                          .seed = 1};
    optind = 0; /* starts anew */
    opterr = 0;
    int letter;
    while ((letter = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        if (letter == 'h') {
            return LOAD_ARGS_HELP;
        }
        const char *said = argv[optind - 1];
        if (letter == '?' || !apply(&c, letter, optarg)) {
            snprintf(reason, LOAD_REASON_BYTES,
                     letter == '?' ? "unknown or incomplete: %s"
                                   : "not a value for this option: %s",
                     said);
            return LOAD_ARGS_BAD;
        }
    }
    for (; optind < argc; optind++) {
        if (c.node_count == LOAD_NODES_MAX || !node(argv[optind], &c.nodes[c.node_count])) {
            snprintf(reason, LOAD_REASON_BYTES, "not HOST:PORT, or one too many: %s", argv[optind]);
            return LOAD_ARGS_BAD;
        }
        c.node_count++;
    }
    if (c.node_count == 0) {
        snprintf(reason, LOAD_REASON_BYTES, "no HOST:PORT to ask");
        return LOAD_ARGS_BAD;
    }
    *out = c;
    return LOAD_ARGS_OK;
}
