/* The configuration: every directive the server knows, in one table (config_table.c), and the values of one server.
 *
 * The table says of each directive its name, type, default, bounds, when it may change and what it means.
 * Parsing, CONFIG GET and SET, the defaults and the sample file all come from it. Three kinds of directives need no value here: those of
 * a stock redis.conf that mean nothing to this server (accepted, one warning each), those whose loss would be unsafe (refused by
 * name), and those that are fixed (shown by CONFIG GET because clients ask for them).
 *
 * Values live in `struct config`, read by whoever needs them at the moment of need. A change of a mutable one goes through
 * config_set, which checks it, changes the value, and tells the owner by `on_change`; the owner may refuse, then all is as before.
 */
#ifndef RD_SERVER_CONFIG_H
#define RD_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "replication/node.h"
#include "resp/slice.h"

#define CONFIG_REASON_BYTES 512

enum config_appendfsync { APPENDFSYNC_ALWAYS, APPENDFSYNC_EVERYSEC, APPENDFSYNC_NO };
enum config_debug { DEBUG_COMMAND_NO, DEBUG_COMMAND_YES, DEBUG_COMMAND_LOCAL };
enum config_client_class {
    CLIENT_CLASS_NORMAL,
    CLIENT_CLASS_REPLICA,
    CLIENT_CLASS_PUBSUB,
    CLIENT_CLASSES
};

/* client-output-buffer-limit of one class; 0: no limit. */
struct config_output_limit {
    uint64_t hard_bytes;
    uint64_t soft_bytes;
    int64_t soft_seconds;
};

/* A list of words, owned. */
struct config_words {
    char **items;
    size_t count;
};

/* Numbers are int64_t and sizes uint64_t whatever their bounds, so that the table can address them. Texts are owned, never NULL. */
struct config {
    /* Network and clients. */
    struct config_words bind;
    int64_t port;
    int64_t tcp_backlog;
    int64_t timeout_s;       /* idle clients; 0: never */
    int64_t tcp_keepalive_s; /* 0: off */
    int64_t maxclients;
    bool protected_mode;
    char *requirepass; /* "": none */
    uint64_t proto_max_bulk_bytes;
    uint64_t client_query_buffer_bytes;
    struct config_output_limit output_limits[CLIENT_CLASSES];

    /* The process. */
    char *dir;
    char *logfile; /* "": standard output */
    int loglevel;  /* enum log_level */
    bool daemonize;
    char *pidfile;                      /* "": none */
    int64_t slowlog_log_slower_than_us; /* -1: off */
    int64_t slowlog_max_len;
    int enable_debug_command; /* enum config_debug */

    /* The cluster. */
    int64_t cluster_port; /* 0 until config_finish: then port + 10000 */
    char *cluster_announce_ip;
    int64_t cluster_announce_port;     /* 0: port */
    int64_t cluster_announce_bus_port; /* 0: cluster_port */
    char *cluster_name;
    char *cluster_secret;
    struct node_address *seeds; /* owned */
    size_t seed_count;
    char *zone;
    int64_t vnodes;

    /* Replication. */
    int64_t replication_factor, read_quorum, write_quorum;
    int64_t partitions;
    int partitioner;         /* enum partitioner */
    int conflict_resolution; /* enum conflict_resolution */
    int64_t max_siblings;
    uint64_t max_object_bytes;
    int64_t request_timeout_ms, gossip_interval_ms, failure_timeout_ms;
    bool read_repair;
    bool anti_entropy;
    int64_t anti_entropy_interval_ms;
    bool sloppy_quorum, hinted_handoff;
    uint64_t max_hint_bytes, handoff_rate;
    int64_t tombstone_grace_s;

    /* The store. */
    int appendfsync; /* enum config_appendfsync */
    uint64_t cache_bytes;

    /* About the configuration itself. */
    char *file;          /* absolute path of the configuration file; "": none */
    struct buf warnings; /* lines, each ended by LF: what was accepted and ignored */
    unsigned seeds_from; /* private: the source (file, command line) of the seeds so far */
    struct buf places;   /* private: lines "name<TAB>place", what was given where, in order */

    /* Told of each change by config_set, with the names of the directives; returns false with a reason to refuse. NULL: nobody. */
    bool (*on_change)(void *arg, const char *const *names, size_t count,
                      char reason[CONFIG_REASON_BYTES]);
    void *on_change_arg;
};

/* All defaults. Errors: RD_ENOMEM. Free with config_free. */
enum rd_err config_new(struct config **out);

/* Frees and nulls. */
void config_free(struct config **config);

/* Reads a configuration file (NULL: none), then the directives of the command line, `--name value...` in argv[0..argc), then checks what
 * belongs together. `reason`: one line naming file, line and cause. Errors: RD_ENOMEM, RD_EIO, RD_ECONF. After an error the
 * configuration is only good for config_free. */
enum rd_err config_load(struct config *config, const char *file, int argc, char *const *argv,
                        char reason[CONFIG_REASON_BYTES]);

/* The same for a text in memory; `name` stands for the file in reasons. Without the final checks: call config_finish. */
enum rd_err config_parse(struct config *config, const char *name, const char *text, size_t len,
                         char reason[CONFIG_REASON_BYTES]);

/* Checks what belongs together and fills in what depends on other values. Error: RD_ECONF. */
enum rd_err config_finish(struct config *config, char reason[CONFIG_REASON_BYTES]);

/* CONFIG GET: calls `emit` once for each directive that matches any of the patterns (glob, any case), in the order of the table. `name` and
 * `value` are borrowed during the call. Error: RD_ENOMEM. */
enum rd_err config_get(const struct config *config, const struct resp_slice *patterns, size_t count,
                       void (*emit)(void *arg, const char *name, const char *value), void *arg);

/* CONFIG SET: `count` pairs of name and value, all or none. On error `*failed` is the index of the pair, and `reason` what Redis says
 * behind "CONFIG SET failed (possibly related to argument 'name') - ", such as "can't set immutable config".
 * Errors: RD_ENOTFOUND (no such directive), RD_EEXIST (named twice), RD_ECONF, RD_ENOMEM. */
enum rd_err config_set(struct config *config, const struct resp_slice *names,
                       const struct resp_slice *values, size_t count, size_t *failed,
                       char reason[CONFIG_REASON_BYTES]);

/* Appends a commented sample file with every directive and its default. Error: RD_ENOMEM. */
enum rd_err config_sample(struct buf *out);

#endif
