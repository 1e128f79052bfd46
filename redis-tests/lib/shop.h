/* A shop: clients that retry once on another node, while a test does harm to the servers.
 *
 * Each shopper is a thread. It puts things into carts that all share (DYNGET, a line more, DYNSET with the context), counts up a
 * register of its own with plain SETs, and now and then writes a key, reads it, and deletes what it has seen. A request that
 * fails, or is not answered in time, is tried once more, a moment later, on another node that answers PING; if that fails too it
 * has failed, and counts. Only a read that is refused twice with -NOQUORUM is counted apart: where a network is cut in two, all that has
 * a key may be on the other side, and nobody can make it up. A plain SET whose first try may have happened, or may still happen, can come out at any later time: its
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
#define SHOP_CARTS 12
#define SHOP_MAX_ADDS 3000    /* of one shopper */
#define SHOP_MAX_GONE 300     /* keys deleted, of one shopper */
#define SHOP_PATIENCE_MS 2500 /* of a client, for one reply */

struct shop_address {
    char host[64];
    int port;
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
    bool no_quorum;                  /* the last try was answered with -NOQUORUM */
    char last_error[256];            /* why the last request failed; read it after shop_stop */
};

struct shop {
    size_t node_count;
    struct shop_address nodes[SHOP_MAX_NODES];
    struct shopper *shoppers; /* owned; SHOP_SHOPPERS */
    atomic_bool stop;
    atomic_int requests, retried, failed; /* since shop_mark */
    atomic_int unreadable; /* reads refused twice with -NOQUORUM; not counted as failed */
    atomic_uint_least64_t longest_ms; /* from the first try to success; since shop_mark */
};

/* Opens: starts the shoppers. Asserts through Check. Nothing that runs in a shopper's thread does. */
void shop_open(struct shop *shop, const struct shop_address *nodes, size_t count);

/* Waits until so many more requests have been answered. */
void shop_wait(const struct shop *shop, int more);

/* Forgets what was counted so far. */
void shop_mark(struct shop *shop);

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
