/* A shop: clients that retry once on another node, while a test does harm to the servers.
 *
 * Each shopper is a thread. It puts things into carts that all share (DYNGET, a line more, DYNSET with the context), counts up a
 * register of its own with plain SETs, and now and then writes a key, reads it, and deletes what it has seen. A request that
 * fails, or is not answered in time, is tried once more, a moment later, on another node that answers PING; if that fails too it
 * has failed, and counts. Only what nobody could have served is counted apart, and it is named by state, not by number. The node asked second
 *
 *   - could reach fewer than SHOP_QUORUM nodes, itself counted; or
 *   - was to read, and could reach no home of the key: that fallbacks have nothing proves nothing; or
 *   - was given a context that names a write which those in its reach did not know, and could not reach all; or
 *   - was struck, or somebody in its reach was, by another fault while it was at it.
 *
 * A plain SET whose first try may have happened, or may still happen, can come out at any later time: its
 * key is not used again, and says nothing. shop_verify then demands from each node that everything acknowledged is there: each line added to a cart, no
 * register below its last number, and nothing that was deleted.
 */
#ifndef RD_REDIS_TESTS_SHOP_H
#define RD_REDIS_TESTS_SHOP_H

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SHOP_MAX_NODES 7
#define SHOP_SHOPPERS 6
#define SHOP_QUORUM 2 /* R and W of the nodes */
#define SHOP_MAX_FAILURES 256
#define SHOP_CARTS 12
#define SHOP_MAX_ADDS 3000    /* of one shopper */
#define SHOP_MAX_GONE 300     /* keys deleted, of one shopper */
#define SHOP_PATIENCE_MS 2500 /* of a client, for one reply */

struct shop_address {
    char host[64];
    int port;
};

/* Who gets through to whom, kept by who does the harm: bit b of talks[a]: from a to b; bit a of talks[a]: a runs. */
struct shop_reach {
    atomic_uint talks[SHOP_MAX_NODES];
};

/* A request that failed twice. */
struct shop_failure {
    atomic_bool noted; /* all of it is here */
    char key[32], command[16], first[256], second[256];
    size_t node;            /* that was asked second */
    unsigned before, after; /* whom it could reach when it was asked, and when it failed; bits */
};

struct shopper {
    struct shop *shop;
    int number;
    pthread_t thread;
    size_t node; /* that it is connected to, or dials next */
    redisContext *redis;
    uint64_t random;
    int adds;                        /* tried */
    uint8_t cart_of[SHOP_MAX_ADDS];  /* of each */
    bool added[SHOP_MAX_ADDS];       /* acknowledged */
    int registers;                   /* how many it has had; the last one counts */
    int last_register, max_register; /* acknowledged; tried */
    int gone;                        /* keys whose deletion was acknowledged or may have happened */
    bool deleted[SHOP_MAX_GONE];     /* acknowledged */
    bool tried_twice;                /* the last request was */
    char last_error[256];            /* why the last request failed; read it after shop_stop */
};

struct shop {
    size_t node_count;
    struct shop_address nodes[SHOP_MAX_NODES];
    struct shopper *shoppers; /* owned; SHOP_SHOPPERS */
    atomic_bool stop;
    const struct shop_reach *reach; /* borrowed; NULL: everybody reaches everybody */
    atomic_int requests, retried;   /* since shop_mark */
    atomic_int failure_count;       /* of those in `failures`, since shop_open */
    struct shop_failure failures[SHOP_MAX_FAILURES];
    int judged;                       /* so many of them, by shop_judge */
    int failed, unservable;           /* of these, since shop_mark */
    atomic_uint_least64_t longest_ms; /* from the first try to success; since shop_mark */
};

/* Opens: starts the shoppers. `reach` (borrowed) may be NULL. Asserts through Check. Nothing that runs in a shopper's thread does. */
void shop_open(struct shop *shop, const struct shop_address *nodes, size_t count,
               const struct shop_reach *reach);

/* Waits until so many more requests have been answered. */
void shop_wait(const struct shop *shop, int more);

/* Forgets what was counted so far. */
void shop_mark(struct shop *shop);

/* Sorts what has failed twice and was not sorted before: into `unservable`, or `failed`, and says so. The nodes must run. */
void shop_judge(struct shop *shop);

/* Prints the counters since shop_mark. */
void shop_print(const struct shop *shop, const char *phase);

/* Stops the shoppers and waits for them. */
void shop_stop(struct shop *shop);

/* Reads everything back through each node. Asserts. */
void shop_verify(const struct shop *shop);

/* True if, as node `node` is told by DYNREPLICAS, all homes of every key answer and hold the same. `read`: keys of which that is not true
 * are read from all replicas on the way, which repairs them. */
bool shop_agrees(const struct shop *shop, size_t node, bool read);

/* Frees what the shop holds. */
void shop_free(struct shop *shop);

#endif
