/* The table of directives. Names and meanings follow Redis wherever Redis has the directive. */
#include "server/config_table.h"

#include <string.h>
#include <strings.h>

#include "replication/preflist.h"

#define AT(field) offsetof(struct config, field)
#define KB 1024LL
#define MB (1024LL * KB)
#define GB (1024LL * MB)
#define DAY_MS (86400LL * 1000)

static const struct config_choice loglevels[] = {{"debug", LOG_DEBUG},
                                                 {"verbose", LOG_VERBOSE},
                                                 {"notice", LOG_NOTICE},
                                                 {"warning", LOG_WARNING},
                                                 {NULL, 0}};
static const struct config_choice debug_choices[] = {{"no", DEBUG_COMMAND_NO},
                                                     {"yes", DEBUG_COMMAND_YES},
                                                     {"local", DEBUG_COMMAND_LOCAL},
                                                     {NULL, 0}};
static const struct config_choice partitioners[] = {
    {"crc16", PARTITIONER_CRC16}, {"md5", PARTITIONER_MD5}, {NULL, 0}};
static const struct config_choice resolutions[] = {
    {"siblings", CONFLICT_SIBLINGS}, {"last-write-wins", CONFLICT_LAST_WRITE_WINS}, {NULL, 0}};
static const struct config_choice fsyncs[] = {{"everysec", APPENDFSYNC_EVERYSEC},
                                              {"always", APPENDFSYNC_ALWAYS},
                                              {"no", APPENDFSYNC_NO},
                                              {NULL, 0}};

static const struct config_directive directives[] = {
    {"bind", CONFIG_WORDS, CONFIG_AT_START, AT(bind), "127.0.0.1 -::1", 0, 64, NULL, "Network",
     "Addresses to listen on, for clients and for peers. \"*\": all of IPv4, \"::*\": all\n"
     "of IPv6. An address behind a '-' may be missing on this machine."},
    {"port", CONFIG_INT, CONFIG_AT_START, AT(port), "6379", 0, 65535, NULL, NULL,
     "The port for clients; 0: none."},
    {"tcp-backlog", CONFIG_INT, CONFIG_AT_START, AT(tcp_backlog), "511", 1, INT32_MAX, NULL, NULL,
     "How many connections may wait to be accepted."},
    {"timeout", CONFIG_INT, CONFIG_MUTABLE, AT(timeout_s), "0", 0, INT32_MAX, NULL, NULL,
     "Seconds after which an idle client is disconnected; 0: never."},
    {"tcp-keepalive", CONFIG_INT, CONFIG_MUTABLE, AT(tcp_keepalive_s), "300", 0, INT32_MAX, NULL,
     NULL, "Seconds between TCP's own probes of a silent client; 0: none."},
    {"maxclients", CONFIG_INT, CONFIG_MUTABLE, AT(maxclients), "10000", 1, 1000000, NULL, NULL,
     "Clients connected at once; more are turned away."},
    {"protected-mode", CONFIG_BOOL, CONFIG_MUTABLE, AT(protected_mode), "yes", 0, 0, NULL, NULL,
     "yes: without requirepass only clients of this machine are served, and without\n"
     "cluster-secret only peers of this machine."},
    {"requirepass", CONFIG_TEXT, CONFIG_MUTABLE, AT(requirepass), "", 0, 512, NULL, NULL,
     "The password that clients must give; empty: none."},
    {"proto-max-bulk-len", CONFIG_BYTES, CONFIG_MUTABLE, AT(proto_max_bulk_bytes), "16mb", 1 * MB,
     512 * MB, NULL, NULL, "The longest argument of a command, and so the longest value."},
    {"client-query-buffer-limit", CONFIG_BYTES, CONFIG_MUTABLE, AT(client_query_buffer_bytes),
     "1gb", 1 * MB, INT64_MAX, NULL, NULL, "The longest command of a client."},
    {"client-output-buffer-limit", CONFIG_OUTPUT_LIMITS, CONFIG_MUTABLE, AT(output_limits),
     "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60", 0, 0, NULL, NULL,
     "Class, hard limit, soft limit, seconds: a client whose replies pile up past the\n"
     "hard limit, or past the soft one for so long, is disconnected. 0: no limit."},

    {"daemonize", CONFIG_BOOL, CONFIG_AT_START, AT(daemonize), "no", 0, 0, NULL, "Process",
     "yes: run in the background."},
    {"pidfile", CONFIG_TEXT, CONFIG_AT_START, AT(pidfile), "", 0, 4095, NULL, NULL,
     "Where to write the process id; removed at exit. Empty: nowhere, but\n"
     "/run/redynamo.pid with daemonize."},
    {"loglevel", CONFIG_CHOICE, CONFIG_MUTABLE, AT(loglevel), "notice", 0, 0, loglevels, NULL,
     "debug, verbose, notice or warning."},
    {"logfile", CONFIG_TEXT, CONFIG_AT_START, AT(logfile), "", 0, 4095, NULL, NULL,
     "The log; empty: standard output (with daemonize: nowhere)."},
    {"dir", CONFIG_TEXT, CONFIG_AT_START, AT(dir), "./", 1, 4095, NULL, NULL,
     "Where the data and the node's identity live. One node, one directory."},
    {"slowlog-log-slower-than", CONFIG_INT, CONFIG_MUTABLE, AT(slowlog_log_slower_than_us), "10000",
     -1, INT64_MAX, NULL, NULL,
     "Microseconds above which a command is kept in the slow log; -1: off. Without\n"
     "effect: this version has no SLOWLOG."},
    {"slowlog-max-len", CONFIG_INT, CONFIG_MUTABLE, AT(slowlog_max_len), "128", 0, 1000000, NULL,
     NULL, "Entries of the slow log; without effect too."},
    {"enable-debug-command", CONFIG_CHOICE, CONFIG_AT_START, AT(enable_debug_command), "no", 0, 0,
     debug_choices, NULL,
     "yes, no, or local (clients of this machine): whether DEBUG is served. Without\n"
     "effect: this version has no DEBUG."},

    {"cluster-port", CONFIG_INT, CONFIG_AT_START, AT(cluster_port), "0", 0, 65535, NULL, "Cluster",
     "The port for peers; 0: port + 10000."},
    {"cluster-announce-ip", CONFIG_TEXT, CONFIG_AT_START, AT(cluster_announce_ip), "", 0,
     NODE_HOST_BYTES - 1, NULL, NULL,
     "The address others reach this node at; empty: the first of bind that is not a\n"
     "wildcard, else as peers see it."},
    {"cluster-announce-port", CONFIG_INT, CONFIG_AT_START, AT(cluster_announce_port), "0", 0, 65535,
     NULL, NULL, "The port clients reach this node at; 0: port."},
    {"cluster-announce-bus-port", CONFIG_INT, CONFIG_AT_START, AT(cluster_announce_bus_port), "0",
     0, 65535, NULL, NULL, "The port peers reach this node at; 0: cluster-port."},
    {"cluster-name", CONFIG_TEXT, CONFIG_AT_BIRTH, AT(cluster_name), "redynamo", 1,
     NODE_NAME_BYTES - 1, NULL, NULL, "Nodes with another name are refused."},
    {"cluster-secret", CONFIG_TEXT, CONFIG_AT_START, AT(cluster_secret), "", 0,
     NODE_SECRET_BYTES - 1, NULL, NULL,
     "The secret that peers prove to each other. Without it the port for peers refuses\n"
     "all but this machine, unless protected-mode is no."},
    {"seed", CONFIG_SEEDS, CONFIG_AT_START, AT(seeds), "", 0, 1024, NULL, NULL,
     "HOST:CLUSTER-PORT of a node of the cluster; once per node. A node without seeds\n"
     "starts a cluster of its own; it ignores itself, so all nodes may have the same list."},
    {"zone", CONFIG_TEXT, CONFIG_AT_START, AT(zone), "", 0, RING_ZONE_BYTES - 1, NULL, NULL,
     "The failure domain of this node; replicas are spread over zones first."},
    {"vnodes", CONFIG_INT, CONFIG_AT_START, AT(vnodes), "256", 1, 4096, NULL, NULL,
     "Virtual nodes of this node; a bigger machine takes more."},

    {"replication-factor", CONFIG_INT, CONFIG_AT_BIRTH, AT(replication_factor), "3", 1,
     PREFLIST_MAX_N, NULL, "Replication",
     "N, how many nodes hold a key. Fixed when the cluster is born."},
    {"read-quorum", CONFIG_INT, CONFIG_MUTABLE, AT(read_quorum), "2", 1, PREFLIST_MAX_N, NULL, NULL,
     "R, how many of them must answer a read."},
    {"write-quorum", CONFIG_INT, CONFIG_MUTABLE, AT(write_quorum), "2", 1, PREFLIST_MAX_N, NULL,
     NULL, "W, how many of them must have a write."},
    {"partitions", CONFIG_INT, CONFIG_AT_BIRTH, AT(partitions), "4096", 1, 16384, NULL, NULL,
     "Q, the pieces of the ring; a power of two. Fixed when the cluster is born."},
    {"partitioner", CONFIG_CHOICE, CONFIG_AT_BIRTH, AT(partitioner), "crc16", 0, 0, partitioners,
     NULL,
     "crc16: Redis Cluster's slots, so that cluster-aware clients find the right node\n"
     "by themselves. md5: the Dynamo paper's hash. Fixed when the cluster is born."},
    {"conflict-resolution", CONFIG_CHOICE, CONFIG_AT_BIRTH, AT(conflict_resolution), "siblings", 0,
     0, resolutions, NULL,
     "What is kept of concurrent writes: siblings, or last-write-wins. Fixed when the\ncluster is "
     "born."},
    {"max-siblings", CONFIG_INT, CONFIG_AT_START, AT(max_siblings), "100", 1, 65536, NULL, NULL,
     "Past it a write is refused with TOOMANYSIBLINGS."},
    {"max-object-size", CONFIG_BYTES, CONFIG_AT_START, AT(max_object_bytes), "64mb", 1 * KB,
     512 * MB, NULL, NULL, "All siblings of a key together; past it a client's write is refused."},
    {"request-timeout", CONFIG_INT, CONFIG_AT_START, AT(request_timeout_ms), "500", 1, DAY_MS, NULL,
     NULL, "Milliseconds a coordinator gives one request."},
    {"gossip-interval", CONFIG_INT, CONFIG_AT_START, AT(gossip_interval_ms), "1000", 10, DAY_MS,
     NULL, NULL, "Milliseconds between two rounds of gossip."},
    {"failure-timeout", CONFIG_INT, CONFIG_AT_START, AT(failure_timeout_ms), "5000", 50, DAY_MS,
     NULL, NULL,
     "Milliseconds of silence after which a peer counts as down; above gossip-interval."},
    {"read-repair", CONFIG_BOOL, CONFIG_AT_START, AT(read_repair), "yes", 0, 0, NULL, NULL,
     "Whether a read sends the newest object to replicas that answered with less."},
    {"anti-entropy", CONFIG_BOOL, CONFIG_MUTABLE, AT(anti_entropy), "yes", 0, 0, NULL, NULL,
     "Whether replicas compare their Merkle trees in the background and mend what\ndiffers."},
    {"anti-entropy-interval", CONFIG_INT, CONFIG_MUTABLE, AT(anti_entropy_interval_ms), "60000",
     100, DAY_MS, NULL, NULL,
     "Milliseconds between two comparisons of a pair of replicas, on average: more\noften after a "
     "failure or where something was found, less where nothing is."},
    {"sloppy-quorum", CONFIG_BOOL, CONFIG_MUTABLE, AT(sloppy_quorum), "yes", 0, 0, NULL, NULL,
     "yes: while fewer than W of a key's replicas can be reached, other nodes stand in for\n"
     "them and count. no: only the key's own replicas count."},
    {"hinted-handoff", CONFIG_BOOL, CONFIG_MUTABLE, AT(hinted_handoff), "yes", 0, 0, NULL, NULL,
     "Whether what a replica misses is kept for it and delivered when it is back; no also\n"
     "means strict quorums."},
    {"max-hints", CONFIG_BYTES, CONFIG_MUTABLE, AT(max_hint_bytes), "1gb", 0, 1024 * GB, NULL, NULL,
     "What may be kept for others. Past it only what no acknowledgement rested on is\n"
     "dropped; writes that would rest on it are refused."},
    {"handoff-rate", CONFIG_BYTES, CONFIG_MUTABLE, AT(handoff_rate), "64mb", 0, 1024 * GB, NULL,
     NULL, "Bytes per second that are delivered to nodes that are back; 0: no limit."},
    {"tombstone-grace", CONFIG_INT, CONFIG_MUTABLE, AT(tombstone_grace_s), "86400", 0,
     100 * 365 * 86400LL, NULL, NULL,
     "Seconds for which a deletion or an expiry is remembered at the least; longer while a\n"
     "node is away. A backup of a node's dir that is older must not be put back."},

    {"appendfsync", CONFIG_CHOICE, CONFIG_MUTABLE, AT(appendfsync), "everysec", 0, 0, fsyncs,
     "Store",
     "When an acknowledged write is on disk: always (before the acknowledgement),\n"
     "everysec (a second later), no (when the system likes)."},
    {"cache-size", CONFIG_BYTES, CONFIG_AT_START, AT(cache_bytes), "256mb", 1 * MB, 1024 * GB, NULL,
     NULL, "Memory for hot objects; the data may be far larger."},
};

#define NOT_YET "this version does not have it yet"

/* Looked up from the top, so that exact names stand before patterns. */
static const struct config_stranger strangers[] = {
    /* Shown because clients and tools ask. */
    {"save", STRANGER_IGNORED, NULL, "", NULL},
    {"appendonly", STRANGER_IGNORED, NULL, "yes", NULL},
    {"databases", STRANGER_IGNORED, NULL, "1", NULL},
    {"maxmemory", STRANGER_ONLY, "0", "0",
     "nothing is evicted; keys live on disk, cache-size bounds the memory for them"},
    {"maxmemory-policy", STRANGER_IGNORED, NULL, "noeviction", NULL},
    {"cluster-enabled", STRANGER_IGNORED, NULL, "yes", NULL},
    {"notify-keyspace-events", STRANGER_ONLY, "", "", "there are no keyspace events"},
    {"unixsocket", STRANGER_ONLY, "", NULL,
     "there are no Unix sockets; clients would not find the server"},

    /* Whoever wrote these relies on what they do. */
    {"replicaof", STRANGER_REFUSED, NULL, NULL,
     "there are no masters; name the other nodes with 'seed'"},
    {"slaveof", STRANGER_REFUSED, NULL, NULL,
     "there are no masters; name the other nodes with 'seed'"},
    {"masterauth", STRANGER_ONLY, "", NULL, "there are no masters; peers use 'cluster-secret'"},
    {"masteruser", STRANGER_ONLY, "", NULL, "there are no masters; peers use 'cluster-secret'"},
    {"min-replicas-to-write", STRANGER_ONLY, "0", NULL, "use 'write-quorum'"},
    {"min-slaves-to-write", STRANGER_ONLY, "0", NULL, "use 'write-quorum'"},
    {"user", STRANGER_REFUSED, NULL, NULL, "there are no ACLs; use 'requirepass'"},
    {"aclfile", STRANGER_ONLY, "", NULL, "there are no ACLs; use 'requirepass'"},
    {"rename-command", STRANGER_REFUSED, NULL, NULL, "commands cannot be renamed or disabled"},
    {"loadmodule", STRANGER_REFUSED, NULL, NULL, "there are no modules"},
    {"bind-source-addr", STRANGER_ONLY, "", NULL,
     "connections to peers leave from the address the system chooses"},
    {"tls-port", STRANGER_ONLY, "0", NULL, NOT_YET},
    {"tls-cluster", STRANGER_ONLY, "no", NULL, NOT_YET},
    {"tls-replication", STRANGER_ONLY, "no", NULL, NOT_YET},
    {"tls-*", STRANGER_REFUSED, NULL, NULL, NOT_YET},

    /* Redynamo's own, of later versions. */
    {"metrics-port", STRANGER_ONLY, "0", NULL, NOT_YET},

    /* Of a stock redis.conf: tuning of what does not exist here. */
    {"acl-pubsub-default", STRANGER_IGNORED, NULL, NULL, NULL},
    {"acllog-max-len", STRANGER_IGNORED, NULL, NULL, NULL},
    {"active-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"activedefrag", STRANGER_IGNORED, NULL, NULL, NULL},
    {"activerehashing", STRANGER_IGNORED, NULL, NULL, NULL},
    {"always-show-logo", STRANGER_IGNORED, NULL, NULL, NULL},
    {"aof-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"aof_rewrite_cpulist", STRANGER_IGNORED, NULL, NULL, NULL},
    {"appenddirname", STRANGER_IGNORED, NULL, NULL, NULL},
    {"appendfilename", STRANGER_IGNORED, NULL, NULL, NULL},
    {"auto-aof-rewrite-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"bgsave_cpulist", STRANGER_IGNORED, NULL, NULL, NULL},
    {"bgsave-cpulist", STRANGER_IGNORED, NULL, NULL, NULL},
    {"bio_cpulist", STRANGER_IGNORED, NULL, NULL, NULL},
    {"bio-cpulist", STRANGER_IGNORED, NULL, NULL, NULL},
    {"busy-reply-threshold", STRANGER_IGNORED, NULL, NULL, NULL},
    {"close-on-replica-write", STRANGER_IGNORED, NULL, NULL, NULL},
    {"close-on-slave-write", STRANGER_IGNORED, NULL, NULL, NULL},
    {"cluster-allow-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"cluster-announce-hostname", STRANGER_IGNORED, NULL, NULL, NULL},
    {"cluster-announce-human-nodename", STRANGER_IGNORED, NULL, NULL, NULL},
    {"cluster-announce-tls-port", STRANGER_IGNORED, NULL, NULL, NULL},
    {"cluster-config-file", STRANGER_IGNORED, NULL, NULL, NULL},
    {"cluster-link-sendbuf-limit", STRANGER_IGNORED, NULL, NULL, NULL},
    {"cluster-migration-barrier", STRANGER_IGNORED, NULL, NULL, NULL},
    {"cluster-node-timeout", STRANGER_IGNORED, NULL, NULL, NULL},
    {"cluster-preferred-endpoint-type", STRANGER_IGNORED, NULL, NULL, NULL},
    {"cluster-replica-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"cluster-require-full-coverage", STRANGER_IGNORED, NULL, NULL, NULL},
    {"cluster-slave-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"crash-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"dbfilename", STRANGER_IGNORED, NULL, NULL, NULL},
    {"disable-thp", STRANGER_IGNORED, NULL, NULL, NULL},
    {"dynamic-hz", STRANGER_IGNORED, NULL, NULL, NULL},
    {"enable-module-command", STRANGER_IGNORED, NULL, NULL, NULL},
    {"enable-protected-configs", STRANGER_IGNORED, NULL, NULL, NULL},
    {"gopher-enabled", STRANGER_IGNORED, NULL, NULL, NULL},
    {"hash-max-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"hll-sparse-max-bytes", STRANGER_IGNORED, NULL, NULL, NULL},
    {"hz", STRANGER_IGNORED, NULL, NULL, NULL},
    {"ignore-warnings", STRANGER_IGNORED, NULL, NULL, NULL},
    {"io-threads", STRANGER_IGNORED, NULL, NULL, NULL},
    {"io-threads-do-reads", STRANGER_IGNORED, NULL, NULL, NULL},
    {"jemalloc-bg-thread", STRANGER_IGNORED, NULL, NULL, NULL},
    {"latency-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"lazyfree-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"lfu-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"list-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"locale-collate", STRANGER_IGNORED, NULL, NULL, NULL},
    {"lua-time-limit", STRANGER_IGNORED, NULL, NULL, NULL},
    {"maxmemory-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"min-replicas-max-lag", STRANGER_IGNORED, NULL, NULL, NULL},
    {"min-slaves-max-lag", STRANGER_IGNORED, NULL, NULL, NULL},
    {"no-appendfsync-on-rewrite", STRANGER_IGNORED, NULL, NULL, NULL},
    {"oom-score-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"proc-title-template", STRANGER_IGNORED, NULL, NULL, NULL},
    {"propagation-error-behavior", STRANGER_IGNORED, NULL, NULL, NULL},
    {"rdb*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"repl-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"replica-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"sanitize-dump-payload", STRANGER_IGNORED, NULL, NULL, NULL},
    {"server_cpulist", STRANGER_IGNORED, NULL, NULL, NULL},
    {"server-cpulist", STRANGER_IGNORED, NULL, NULL, NULL},
    {"set-max-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"set-proc-title", STRANGER_IGNORED, NULL, NULL, NULL},
    {"shutdown-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"slave-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"socket-mark-id", STRANGER_IGNORED, NULL, NULL, NULL},
    {"stop-writes-on-bgsave-error", STRANGER_IGNORED, NULL, NULL, NULL},
    {"stream-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"supervised", STRANGER_IGNORED, NULL, NULL, NULL},
    {"syslog-*", STRANGER_IGNORED, NULL, NULL, NULL},
    {"tracking-table-max-keys", STRANGER_IGNORED, NULL, NULL, NULL},
    {"unixsocketperm", STRANGER_IGNORED, NULL, NULL, NULL},
    {"zset-max-*", STRANGER_IGNORED, NULL, NULL, NULL},
};

const struct config_directive *config_directives(size_t *count) {
    *count = sizeof directives / sizeof directives[0];
    return directives;
}

const struct config_stranger *config_strangers(size_t *count) {
    *count = sizeof strangers / sizeof strangers[0];
    return strangers;
}

static bool same(const char *known, const char *name, size_t len) {
    return strlen(known) == len && strncasecmp(known, name, len) == 0;
}

const struct config_directive *config_find(const char *name, size_t len) {
    size_t count;
    const struct config_directive *all = config_directives(&count);
    for (size_t i = 0; i < count; i++) {
        if (same(all[i].name, name, len)) {
            return &all[i];
        }
    }
    return NULL;
}

const struct config_stranger *config_find_stranger(const char *name, size_t len) {
    size_t count;
    const struct config_stranger *all = config_strangers(&count);
    for (size_t i = 0; i < count; i++) {
        size_t known = strlen(all[i].name);
        bool pattern = all[i].name[known - 1] == '*';
        if (pattern ? len >= known - 1 && strncasecmp(all[i].name, name, known - 1) == 0
                    : same(all[i].name, name, len)) {
            return &all[i];
        }
    }
    return NULL;
}

const char *config_check_mutable(const struct config *config) {
    if (config->read_quorum > config->replication_factor) {
        return "'read-quorum' must not be above 'replication-factor'";
    }
    if (config->write_quorum > config->replication_factor) {
        return "'write-quorum' must not be above 'replication-factor'";
    }
    return NULL;
}
