/* What the node is told by the driver's store beside single rows: pages of scans, and what it may look up at once. */
#ifndef RD_REPLICATION_STORE_PORT_H
#define RD_REPLICATION_STORE_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/err.h"
#include "resp/slice.h"

/* The most rows that one page of a scan brings. */
#define SCAN_MAX_ROWS 256

/* A row of a page. The order is that of (slot, key), or of due_ms. */
struct scanned_row {
    uint16_t slot;
    struct resp_slice key; /* borrowed, as is the value */
    struct blob *value;    /* NULL if the row is damaged */
    enum rd_err err;       /* RD_OK, RD_ECORRUPT */
    bool is_live;
    uint64_t due_ms;
};

/* What the node may look up in the driver's store at once: kept in memory there, as of the last commit. All functions are called inside steps,
 * get `arg`, and change nothing. */
struct store_view {
    void *arg;
    /* Live keys of the slots first..last. */
    uint64_t (*live_count)(void *arg, uint16_t first_slot, uint16_t last_slot);
    /* The leaves of the slots first..last, leaves_per_slot for each, in order. */
    void (*leaves)(void *arg, uint16_t first_slot, uint16_t last_slot, uint64_t *out);
    /* Which leaf of its slot the object row of `key` belongs to, and what it adds to it with `digest`. */
    unsigned (*leaf_of)(void *arg, uint16_t slot, struct resp_slice key);
    uint64_t (*leaf_share)(void *arg, uint16_t slot, struct resp_slice key, uint64_t digest);
    unsigned leaves_per_slot;
};

#endif
