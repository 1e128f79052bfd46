/* Between the node's words and the store's: effects become calls, rows of a scan become what the node is told, and the node looks up
 * in a store what is kept in memory. For whoever drives a node with a store: the server's loop, the simulator. */
#ifndef RD_STORE_PORT_H
#define RD_STORE_PORT_H

#include "replication/effects.h"
#include "replication/store_port.h"
#include "store/store.h"

/* Carries out an EFF_STORE_GET. */
void port_get(struct store *store, const struct effect *effect);

/* Carries out an EFF_STORE_PUT. Error: RD_ENOMEM (see store_put). */
enum rd_err port_put(struct store *store, const struct effect *effect);

/* Carries out an EFF_STORE_SCAN. */
void port_scan(struct store *store, const struct store_scan_order *order);

/* Says `count` rows of a scan in the node's words, into `out` with room for SCAN_MAX_ROWS. What they point to stays the store's. */
void port_rows(const struct store_row *rows, size_t count, struct scanned_row *out);

/* What a node may look up in `store` (borrowed for the life of the view). */
struct store_view port_view(struct store *store);

#endif
