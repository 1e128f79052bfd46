/* Lanes: who may touch a key now.
 *
 * Commands of one connection that touch the same key take effect in the order of their arrival, while commands on
 * different keys run side by side. A command makes a claim for each of its keys before it runs; claims of one key form a
 * lane and are granted in order, neighbouring shared ones (reads) together. A command makes all its claims at
 * once, so that lanes cannot deadlock. Keys are known by a 64-bit hash that mixes in the connection: two keys that collide only wait for each other needlessly.
 */
#ifndef RD_SERVER_LANES_H
#define RD_SERVER_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* One key of one owner. The owner keeps it, at the same address, from lanes_enter to lanes_leave. */
struct lane_claim {
    uint64_t hash;
    void *owner;    /* claims of one owner never wait for each other */
    bool exclusive; /* a write */
    bool granted;
    struct lane_claim *next; /* private to lanes.c */
};

struct lane_bucket {
    struct lane_claim *first, *last;
};

struct lanes {
    struct lane_bucket *buckets; /* owned */
    size_t bucket_count;         /* a power of two */
    size_t claim_count;
};

/* Makes an empty table. Error: RD_ENOMEM. Free with lanes_free. */
enum rd_err lanes_init(struct lanes *lanes);

/* Frees the table; claims still in it are forgotten. */
void lanes_free(struct lanes *lanes);

/* Queues `count` claims of one owner and returns how many of them must wait. */
size_t lanes_enter(struct lanes *lanes, struct lane_claim *claims, size_t count);

/* Takes the claims out. Calls `on_grant` for each claim of others that is granted by that; it must not change the lanes. */
void lanes_leave(struct lanes *lanes, struct lane_claim *claims, size_t count,
                 void (*on_grant)(void *arg, void *owner), void *arg);

#endif
