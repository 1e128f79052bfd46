/* What the configuration means to others. */
#include "server/setup.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "net/address.h"

#define MAX_REQUESTS 65536 /* in flight in one node */
#define OTHER_FILES 512    /* that are not clients: links to peers, the store, the log */

static bool is_wildcard(const char *address) {
    struct net_address parsed;
    char host[NET_ADDRESS_TEXT];
    if (strcmp(address, "*") == 0 || strcmp(address, "::*") == 0) {
        return true;
    }
    if (!net_address_parse(address, 0, &parsed)) {
        return false;
    }
    net_address_host(&parsed, host);
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static bool is_loopback(const char *address) {
    struct net_address parsed;
    return strcmp(address, "localhost") == 0 ||
           (net_address_parse(address, 0, &parsed) && net_address_is_loopback(&parsed));
}

void setup_announce_host(const struct config *config, char out[NODE_HOST_BYTES]) {
    const char *chosen = config->cluster_announce_ip;
    const char *loopback = "";
    bool wildcard = false;
    for (size_t i = 0; i < config->bind.count && chosen[0] == '\0'; i++) {
        const char *address = config->bind.items[i];
        address += address[0] == '-';
        if (is_wildcard(address)) {
            wildcard = true;
        } else if (!is_loopback(address)) {
            chosen = address;
        } else if (loopback[0] == '\0') {
            loopback = address;
        }
    }
    if (chosen[0] == '\0' && !wildcard) {
        chosen = loopback;
    }
    snprintf(out, NODE_HOST_BYTES, "%s", chosen);
}

void setup_node_conf(const struct config *config, struct node_conf *out) {
    memset(out, 0, sizeof *out);
    snprintf(out->cluster_name, sizeof out->cluster_name, "%s", config->cluster_name);
    snprintf(out->secret, sizeof out->secret, "%s", config->cluster_secret);
    snprintf(out->zone, sizeof out->zone, "%s", config->zone);
    out->n = (uint32_t)config->replication_factor;
    out->r = (uint32_t)config->read_quorum;
    out->w = (uint32_t)config->write_quorum;
    out->partitions = (uint32_t)config->partitions;
    out->partitioner = (enum partitioner)config->partitioner;
    out->conflict_resolution = (enum conflict_resolution)config->conflict_resolution;
    out->vnodes = (uint32_t)config->vnodes;
    setup_announce_host(config, out->announce_host);
    int64_t port = config->cluster_announce_port;
    int64_t bus_port = config->cluster_announce_bus_port;
    out->port = (uint16_t)(port != 0 ? port : config->port);
    out->cluster_port = (uint16_t)(bus_port != 0 ? bus_port : config->cluster_port);
    out->seeds = config->seeds;
    out->seed_count = config->seed_count;
    out->request_timeout_ms = (uint32_t)config->request_timeout_ms;
    out->gossip_interval_ms = (uint32_t)config->gossip_interval_ms;
    out->failure_timeout_ms = (uint32_t)config->failure_timeout_ms;
    out->max_siblings = (uint32_t)config->max_siblings;
    out->max_object_bytes = config->max_object_bytes;
    out->max_requests = MAX_REQUESTS;
    out->read_repair = config->read_repair;
    out->anti_entropy = config->anti_entropy;
    out->anti_entropy_interval_ms = (uint32_t)config->anti_entropy_interval_ms;
    out->sloppy_quorum = config->sloppy_quorum;
    out->hinted_handoff = config->hinted_handoff;
    out->max_hint_bytes = config->max_hint_bytes;
    out->handoff_rate = config->handoff_rate;
    out->tombstone_grace_ms = (uint64_t)config->tombstone_grace_s * 1000;
    out->trace = config->loglevel == LOG_DEBUG;
}

enum store_fsync setup_fsync(const struct config *config) {
    switch ((enum config_appendfsync)config->appendfsync) {
    case APPENDFSYNC_ALWAYS:
        return STORE_FSYNC_ALWAYS;
    case APPENDFSYNC_EVERYSEC:
        return STORE_FSYNC_EVERYSEC;
    case APPENDFSYNC_NO:
        break;
    }
    return STORE_FSYNC_NO;
}

int64_t setup_open_files(int64_t maxclients) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)maxclients + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return maxclients;
    }
    struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
        return maxclients;
    }
    raised = (struct rlimit){limit.rlim_max < wanted ? limit.rlim_max : wanted, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) != 0) {
        raised = limit;
    }
    if (raised.rlim_cur <= OTHER_FILES) {
        return 1;
    }
    int64_t fits = (int64_t)(raised.rlim_cur - OTHER_FILES);
    return fits < maxclients ? fits : maxclients;
}
