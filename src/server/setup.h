/* What the configuration means to others: the node's configuration, the address it is known by, the process's limits. */
#ifndef RD_SERVER_SETUP_H
#define RD_SERVER_SETUP_H

#include <stdbool.h>
#include <stdint.h>

#include "replication/node_conf.h"
#include "server/config.h"
#include "store/store.h"

/* Fills `out` for node_new; it borrows the seeds of `config`. */
void setup_node_conf(const struct config *config, struct node_conf *out);

/* Chooses the address this node tells others: cluster-announce-ip; else the first of bind that is neither a wildcard nor of this
 * machine only; else, if there is no wildcard, the first of all; else "" (others know it as they see it). */
void setup_announce_host(const struct config *config, char out[NODE_HOST_BYTES]);

/* The store's mode for appendfsync. */
enum store_fsync setup_fsync(const struct config *config);

/* Raises the limit of open files so that `maxclients` connections fit. Returns how many clients do fit, at most maxclients. */
int64_t setup_open_files(int64_t maxclients);

#endif
