/* The disk of one simulated machine: the memory store, with the time that things take and with
 * crashes.
 *
 * Work is done in the order in which it was asked for, each piece taking its time; when it is
 * finished an event of kind DISK_FINISHED comes out of the queue, and disk_arrive says what the
 * node is to be told. What was asked for before a crash is never heard of again. Rows are those of
 * the node's effects. */
#ifndef RD_SIM_DISK_H
#define RD_SIM_DISK_H

#include "base/prng.h"
#include "replication/effects.h"
#include "replication/store_port.h"
#include "sim/queue.h"
#include "store/store_mem.h"

enum disk_kind { DISK_FINISHED = 200 };

struct disk_conf {
    uint64_t get_min_us, get_mean_us;       /* a read takes min plus up to 2 * mean, uniformly */
    uint64_t commit_min_us, commit_mean_us; /* a commit likewise */
    uint32_t stall_ppm;                     /* so many operations in a million take ... */
    uint64_t stall_us;                      /* up to this much longer */
};

/* What a crash leaves of the commits that were not yet durable. */
enum disk_crash {
    DISK_KEEPS_ALL,  /* only the process died; the system had them */
    DISK_KEEPS_SOME, /* the power failed: any number of the oldest */
    DISK_KEEPS_NONE
};

enum disk_work { DISK_GET, DISK_COMMIT, DISK_SCAN };

struct disk_completion {
    enum disk_work work;
    uint64_t token;
    enum rd_err err;
    struct blob
        *value; /* a reference that the receiver releases; NULL unless a read found something */
    struct scanned_row
        *rows; /* SCAN: `count` of them, owned together with their keys and values; NULL: none */
    size_t count;
    bool end;
};

struct disk {
    struct queue *queue;          /* borrowed */
    const struct disk_conf *conf; /* borrowed */
    struct store *store;          /* owned; faults are set on it directly */
    struct prng prng;
    uint32_t node;
    uint64_t life; /* of the process that uses it */
    uint64_t busy_until_us;
    uint64_t slow_us; /* each piece of work takes up to so much longer */
    uint64_t commits; /* asked for so far */
};

/* An empty disk for machine `node`. Free with disk_free. */
void disk_init(struct disk *disk, struct queue *queue, const struct disk_conf *conf, uint32_t node,
               uint64_t seed);

/* Frees what the disk holds. */
void disk_free(struct disk *disk);

/* A process starts to use the disk. */
void disk_attach(struct disk *disk, uint64_t life);

/* Carries out an EFF_STORE_GET: the read is asked for. */
void disk_get(struct disk *disk, const struct effect *effect, uint64_t now_us);

/* Carries out an EFF_STORE_PUT: the row is in the open batch. */
void disk_put(struct disk *disk, const struct effect *effect);

/* Carries out an EFF_STORE_COMMIT. */
void disk_commit(struct disk *disk, uint64_t token, uint64_t now_us);

/* Carries out an EFF_STORE_SCAN. */
void disk_scan(struct disk *disk, const struct store_scan_order *order, uint64_t now_us);

/* Handles a DISK_FINISHED event of the process that uses the disk. Free with disk_completion_free. */
struct disk_completion disk_arrive(struct disk *disk);

/* Releases what a completion owns. */
void disk_completion_free(struct disk_completion *completion);

/* The process, or the machine, dies. */
void disk_crash(struct disk *disk, enum disk_crash how);

#endif
