/* What bench/load is told to do: its command line as a struct. */
#ifndef RD_BENCH_LOAD_CONF_H
#define RD_BENCH_LOAD_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_NODES_MAX 64
#define LOAD_HOST_BYTES 64
#define LOAD_PREFIX_BYTES 32
#define LOAD_REASON_BYTES 256
#define LOAD_KEY_DIGITS 12

struct load_node {
    char host[LOAD_HOST_BYTES];
    uint16_t port;
};

enum load_write { LOAD_SET, LOAD_DEL, LOAD_DYNSET };

struct load_conf {
    struct load_node nodes[LOAD_NODES_MAX];
    size_t node_count;
    bool to_homes; /* each key goes to a node that CLUSTER SLOTS names for it */
    unsigned clients, pipeline, idle;
    double reads; /* share, 0 to 1 */
    enum load_write write;
    uint64_t keys;
    char prefix[LOAD_PREFIX_BYTES];
    double theta; /* of zipfian keys; 0: uniform */
    size_t value_bytes;
    unsigned wait;   /* replicas that WAIT asks for; 0: no WAIT */
    bool wait_once;  /* one WAIT behind each pipeline, not one behind each write */
    unsigned r, w;   /* DYNQUORUM of each connection; 0: the node's */
    unsigned rounds; /* of writing every key once before anything is measured */
    uint64_t requests;
    double seconds, warmup_s;
    double rate; /* requests per second in all; 0: as fast as they are answered */
    uint64_t seed;
    bool buckets; /* print the histogram too */
};

enum load_args_verdict { LOAD_ARGS_OK, LOAD_ARGS_HELP, LOAD_ARGS_BAD };

/* Reads a command line; `out` and, if it is bad, `reason` are set. */
enum load_args_verdict load_args(int argc, char *const argv[], struct load_conf *out,
                                 char reason[LOAD_REASON_BYTES]);

/* What --help prints. Static storage. */
const char *load_help(void);

#endif
