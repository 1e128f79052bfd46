/* Clients that try once more on another node: what they see of a fault, for scenarios.
 *
 * A few of them, connected to nodes of their own choice. Each asks, waits for its answer, pauses, and asks again. A request that ends with an
 * error, or whose connection breaks, is repeated on another node, once; what fails twice is counted, unless `excuse` says that there was no way
 * to serve it. */
#ifndef RD_SIM_SCENARIO_CLIENTS_H
#define RD_SIM_SCENARIO_CLIENTS_H

#include "sim/cluster.h"

#define CLIENTS_COUNT 8
#define CLIENTS_KEYS 40

struct client {
    unsigned node;   /* that it is connected to */
    struct op *op;   /* under way; NULL: none */
    struct op *seen; /* its last good read */
    bool again;      /* it is the second try */
    uint64_t since_us;
    uint64_t next_us; /* when it asks again */
};

/* What they ask for, in turn. */
enum clients_mix { CLIENTS_READ_AND_SET, CLIENTS_READ_ONLY, CLIENTS_ALL_KINDS };

struct clients {
    struct client all[CLIENTS_COUNT];
    enum clients_mix mix;
    unsigned avoid;    /* no client is connected to it; 0: none */
    uint64_t pause_us; /* before each asks again */
    bool (*excuse)(struct cluster *c,
                   const struct op *op); /* of a second try that failed; NULL: nothing is */
    unsigned asked, retried, failed, excused;
    uint64_t *took_us; /* owned; of each request, the second try counted in */
    size_t count, cap;
};

/* Five nodes with a little in them. Thousands of requests are to come, so not every line is written and not every step checked. */
struct cluster *clients_cluster(void);

/* Connects them; `load` is zeroed but for mix and excuse. They will ask every 10 ms. */
void clients_begin(struct cluster *c, struct clients *load, unsigned avoid);

/* Lets them ask for so long. */
void clients_run(struct cluster *c, struct clients *load, uint64_t ms);

/* Waits for the last answers and frees what is owned. */
void clients_end(struct cluster *c, struct clients *load);

/* The given percentile of how long requests took, from number `from` on; sorts these. */
uint64_t clients_percentile(struct clients *load, size_t from, unsigned percent);

/* How `node` sees `other`; and how many of the others that run see `node` in that state. */
enum member_state cluster_state(struct cluster *c, unsigned node, unsigned other);
unsigned cluster_seen(struct cluster *c, unsigned node, enum member_state state);

#endif
