/* The commands there are, as data. Not here: what they do (cmd_*.c), how they are shown (command_docs.c).
 *
 * Invariants, checked by tests/unit/check_command_table.c: rows are sorted by name; names are lower case; every row has a
 * summary, a version, a complexity and a function; keys lie within the smallest call that the arity allows.
 */
#include "server/command_table.h"

#include <assert.h>
#include <string.h>

#include "server/commands.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LONGEST_NAME 32

/* Shorthands for the rows. */
#define WRITE COMMAND_WRITE
#define READS COMMAND_READONLY
#define OOM COMMAND_DENYOOM
#define FAST COMMAND_FAST
#define BARRIER COMMAND_BARRIER
#define ANYTIME (COMMAND_LOADING | COMMAND_STALE)
#define ALWAYS (COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE)
#define ADMIN (COMMAND_ADMIN | ALWAYS)
#define LOGIN (ALWAYS | FAST | COMMAND_NO_AUTH | COMMAND_ALLOW_BUSY)
#define CONNECTION COMMAND_ACL_CONNECTION
#define KEYS(from, to, step, how)                                                                  \
    .first_key = (from), .last_key = (to), .key_step = (step), .key_flags = (how)
#define SUBCOMMANDS(rows) .subcommands = (rows), .subcommand_count = COUNT(rows)
#define HELP_TEXT .complexity = "O(1)", .summary = "Lists the subcommands."

static const struct command client_rows[] = {
    {"client|getname", cmd_client_getname, 2, .flags = ALWAYS, .acl = CONNECTION,
     .group = "connection", .since = "2.6.9", .complexity = "O(1)",
     .summary = "Shows the name of this connection."},
    {"client|help", cmd_client_help, 2, .flags = ANYTIME, .acl = CONNECTION, .group = "connection",
     .since = "5.0.0", HELP_TEXT},
    {"client|id", cmd_client_id, 2, .flags = ALWAYS, .acl = CONNECTION, .group = "connection",
     .since = "5.0.0", .complexity = "O(1)",
     .summary = "Shows the number of this connection, never used twice by one server process."},
    {"client|info", cmd_client_info, 2, .flags = ALWAYS, .acl = CONNECTION, .group = "connection",
     .since = "6.2.0", .complexity = "O(1)", .summary = "Describes this connection in one line.",
     .tips = "nondeterministic_output"},
    {"client|list", cmd_client_list, -2, .flags = ADMIN, .acl = CONNECTION, .group = "connection",
     .since = "2.4.0", .complexity = "O(N) where N is the number of connections",
     .summary = "Describes every connection, one per line.",
     .syntax = "[TYPE <client-type: NORMAL|MASTER|REPLICA|PUBSUB>] [ID client-id...]",
     .tips = "nondeterministic_output"},
    {"client|reply", cmd_client_reply, 3, .flags = ALWAYS, .acl = CONNECTION, .group = "connection",
     .since = "3.2.0", .complexity = "O(1)",
     .summary = "Turns the replies to this connection on or off.",
     .syntax = "<action: ON|OFF|SKIP>"},
    {"client|setinfo", cmd_client_setinfo, 4, .flags = ALWAYS, .acl = CONNECTION,
     .group = "connection", .since = "7.2.0", .complexity = "O(1)",
     .summary = "Notes the name or version of the client library.",
     .syntax = "<attr: LIB-NAME libname|LIB-VER libver>"},
    {"client|setname", cmd_client_setname, 3, .flags = ALWAYS, .acl = CONNECTION,
     .group = "connection", .since = "2.6.9", .complexity = "O(1)",
     .summary = "Gives this connection a name.", .syntax = "connection-name"},
};

static const struct command cluster_rows[] = {
    {"cluster|countkeysinslot", cmd_cluster_countkeysinslot, 3, .flags = COMMAND_STALE | BARRIER,
     .group = "cluster", .since = "3.0.0", .complexity = "O(1)",
     .summary = "Counts the keys of a slot that this node holds.", .syntax = "slot"},
    {"cluster|help", cmd_cluster_help, 2, .flags = ANYTIME, .group = "cluster", .since = "5.0.0",
     HELP_TEXT},
    {"cluster|info", cmd_cluster_info, 2, .flags = COMMAND_STALE, .group = "cluster",
     .since = "3.0.0", .complexity = "O(N) where N is the number of members",
     .summary = "Describes the state of the cluster as this node sees it.",
     .tips = "nondeterministic_output"},
    {"cluster|keyslot", cmd_cluster_keyslot, 3, .flags = COMMAND_STALE, .group = "cluster",
     .since = "3.0.0", .complexity = "O(N) where N is the length of the key",
     .summary = "Computes the slot of a key.", .syntax = "<key:string>"},
    {"cluster|myid", cmd_cluster_myid, 2, .flags = COMMAND_STALE, .group = "cluster",
     .since = "3.0.0", .complexity = "O(1)", .summary = "Shows the id of this node."},
    {"cluster|nodes", cmd_cluster_nodes, 2, .flags = COMMAND_STALE, .group = "cluster",
     .since = "3.0.0", .complexity = "O(N) where N is the number of partitions",
     .summary = "Lists the members, each with the slots that it is the first healthy home of.",
     .tips = "nondeterministic_output"},
    {"cluster|shards", cmd_cluster_shards, 2, .flags = COMMAND_STALE, .group = "cluster",
     .since = "7.0.0", .complexity = "O(N) where N is the number of partitions",
     .summary = "Groups the slots by the nodes that hold them.", .tips = "nondeterministic_output"},
    {"cluster|slots", cmd_cluster_slots, 2, .flags = COMMAND_STALE, .group = "cluster",
     .since = "3.0.0", .complexity = "O(N) where N is the number of partitions",
     .summary =
         "Lists ranges of slots with the nodes that hold them, the first healthy home first.",
     .tips = "nondeterministic_output"},
};

static const struct command command_rows[] = {
    {"command|count", cmd_command_count, 2, .flags = ANYTIME, .acl = CONNECTION, .group = "server",
     .since = "2.8.13", .complexity = "O(1)", .summary = "Counts the commands."},
    {"command|docs", cmd_command_docs, -2, .flags = ANYTIME, .acl = CONNECTION, .group = "server",
     .since = "7.0.0", .complexity = "O(N) where N is the number of commands asked for",
     .summary = "Documents some or all commands.", .syntax = "[command-name...]",
     .tips = "nondeterministic_output_order"},
    {"command|getkeys", cmd_command_getkeys, -3, .flags = ANYTIME, .acl = CONNECTION,
     .group = "server", .since = "2.8.13", .complexity = "O(N) where N is the number of arguments",
     .summary = "Finds the keys in a whole command.", .syntax = "command [arg...]"},
    {"command|getkeysandflags", cmd_command_getkeysandflags, -3, .flags = ANYTIME,
     .acl = CONNECTION, .group = "server", .since = "7.0.0",
     .complexity = "O(N) where N is the number of arguments",
     .summary = "Finds the keys in a whole command, and how it uses them.",
     .syntax = "command [arg...]"},
    {"command|help", cmd_command_help, 2, .flags = ANYTIME, .acl = CONNECTION, .group = "server",
     .since = "5.0.0", HELP_TEXT},
    {"command|info", cmd_command_info, -2, .flags = ANYTIME, .acl = CONNECTION, .group = "server",
     .since = "2.8.13", .complexity = "O(N) where N is the number of commands asked for",
     .summary = "Shows arity, flags and key positions of some or all commands.",
     .syntax = "[command-name...]", .tips = "nondeterministic_output_order"},
    {"command|list", cmd_command_list, -2, .flags = ANYTIME, .acl = CONNECTION, .group = "server",
     .since = "7.0.0", .complexity = "O(N) where N is the number of commands",
     .summary = "Names all commands, or those that pass a filter.",
     .syntax = "[FILTERBY <filterby: MODULE module-name|ACLCAT category|PATTERN pattern>]",
     .tips = "nondeterministic_output_order"},
};

static const struct command config_rows[] = {
    {"config|get", cmd_config_get, -3, .flags = ADMIN | BARRIER, .group = "server",
     .since = "2.0.0", .complexity = "O(N) where N is the number of directives",
     .summary = "Shows the directives that match any of the patterns.",
     .syntax = "<parameter:pattern>..."},
    {"config|help", cmd_config_help, 2, .flags = ANYTIME, .group = "server", .since = "5.0.0",
     HELP_TEXT},
    {"config|resetstat", cmd_config_resetstat, 2, .flags = ADMIN | BARRIER, .group = "server",
     .since = "2.0.0", .complexity = "O(1)", .summary = "Sets the counters of INFO to zero."},
    {"config|set", cmd_config_set, -4, .flags = ADMIN | BARRIER, .group = "server",
     .since = "2.0.0", .complexity = "O(N) where N is the number of directives given",
     .summary = "Changes directives, all of them or none.", .syntax = "<data: parameter value>...",
     .tips = "request_policy:all_nodes response_policy:all_succeeded"},
};

static const struct command dyncluster_rows[] = {
    {"dyncluster|help", cmd_dyncluster_help, 2, .flags = ANYTIME, .group = "dynamo",
     .since = "0.1.0", HELP_TEXT},
    {"dyncluster|nodes", cmd_dyncluster_nodes, 2, .flags = ANYTIME, .group = "dynamo",
     .since = "0.1.0", .complexity = "O(N) where N is the number of members",
     .summary = "Describes every member of the cluster as this node sees it.",
     .tips = "nondeterministic_output"},
    {"dyncluster|ring", cmd_dyncluster_ring, -2, .flags = ANYTIME, .group = "dynamo",
     .since = "0.1.0", .complexity = "O(N) where N is the number of partitions",
     .summary = "Shows the slots and the preference list of every partition, or of one.",
     .syntax = "[PARTITION partition]", .tips = "nondeterministic_output"},
};

static const struct command rows[] = {
    {"asking", cmd_asking, 1, .flags = FAST, .acl = CONNECTION, .group = "cluster",
     .since = "3.0.0", .complexity = "O(1)",
     .summary = "Accepted for the sake of cluster-aware clients; every node serves every key."},
    {"auth", cmd_auth, -2, .flags = LOGIN, .acl = CONNECTION, .group = "connection",
     .since = "1.0.0", .complexity = "O(1)", .summary = "Proves who the client is.",
     .syntax = "[username] password"},
    {"client", NULL, -2, .group = "connection", .since = "2.4.0",
     .complexity = "Depends on subcommand.", .summary = "Holds the commands about connections.",
     SUBCOMMANDS(client_rows)},
    {"cluster", NULL, -2, .group = "cluster", .since = "3.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "Holds the commands by which cluster-aware clients find a key's nodes.",
     SUBCOMMANDS(cluster_rows)},
    {"command", cmd_command, -1, .flags = ANYTIME, .acl = CONNECTION, .group = "server",
     .since = "2.8.13", .complexity = "O(N) where N is the number of commands",
     .summary = "Shows arity, flags and key positions of all commands.",
     .tips = "nondeterministic_output_order", SUBCOMMANDS(command_rows)},
    {"config", NULL, -2, .group = "server", .since = "2.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "Holds the commands about directives of the configuration.",
     SUBCOMMANDS(config_rows)},
    {"dbsize", cmd_dbsize, 1, .flags = READS | FAST | BARRIER, .acl = COMMAND_ACL_KEYSPACE,
     .group = "server", .since = "1.0.0", .complexity = "O(N) where N is the number of members",
     .summary = "Counts the keys of the whole cluster; approximate while replicas differ.",
     .tips = "request_policy:all_shards response_policy:agg_sum"},
    {"del", cmd_del, -2, KEYS(1, -1, 1, "RM delete"), .flags = WRITE, .acl = COMMAND_ACL_KEYSPACE,
     .group = "generic", .since = "1.0.0", .complexity = "O(N) where N is the number of keys",
     .summary = "Removes keys; replies how many there were.", .syntax = "key...",
     .tips = "request_policy:multi_shard response_policy:agg_sum"},
    {"dyncluster", NULL, -2, .group = "dynamo", .since = "0.1.0",
     .complexity = "Depends on subcommand.",
     .summary = "Holds the commands that show and change the cluster.",
     SUBCOMMANDS(dyncluster_rows)},
    {"dyndel", cmd_dyndel, -2, KEYS(1, 1, 1, "RM delete"), .flags = WRITE,
     .acl = COMMAND_ACL_KEYSPACE, .group = "dynamo", .since = "0.1.0", .complexity = "O(1)",
     .summary = "Removes exactly the values that the context covers; replies the new context.",
     .syntax = "key [CONTEXT context] [W w]"},
    {"dynget", cmd_dynget, -2, KEYS(1, 1, 1, "RO access"), .flags = READS,
     .acl = COMMAND_ACL_STRING, .group = "dynamo", .since = "0.1.0",
     .complexity = "O(N) where N is the number of siblings",
     .summary = "Reads all concurrent values of a key, newest first, and the context that a write "
                "needs to replace them.",
     .syntax = "key [R r]"},
    {"dynpreflist", cmd_dynpreflist, 2, KEYS(1, 1, 1, "RO"), .flags = READS | FAST,
     .acl = COMMAND_ACL_KEYSPACE, .group = "dynamo", .since = "0.1.0",
     .complexity = "O(N) where N is the number of members",
     .summary = "Shows the slot, the partition and the preference list of a key.", .syntax = "key"},
    {"dynquorum", cmd_dynquorum, -1, .flags = ALWAYS | FAST, .acl = CONNECTION, .group = "dynamo",
     .since = "0.1.0", .complexity = "O(1)",
     .summary = "Shows or sets how many replicas the commands of this connection wait for.",
     .syntax = "[R r] [W w] [MONOTONIC <monotonic: YES|NO>] [RESET]"},
    {"dynreplicas", cmd_dynreplicas, 2, KEYS(1, 1, 1, "RO access"), .flags = READS,
     .acl = COMMAND_ACL_KEYSPACE, .group = "dynamo", .since = "0.1.0",
     .complexity = "O(N) where N is the number of replicas",
     .summary = "Asks every replica of a key what it holds.", .syntax = "key",
     .tips = "nondeterministic_output"},
    {"dynset", cmd_dynset, -3, KEYS(1, 1, 1, "RW access update"), .flags = WRITE | OOM,
     .acl = COMMAND_ACL_STRING, .group = "dynamo", .since = "0.1.0", .complexity = "O(1)",
     .summary = "Replaces exactly the values that the context covers, nothing without one; replies "
                "the new context.",
     .syntax = "key value [CONTEXT context] [W w] [expiration: EX seconds|PX milliseconds|EXAT "
               "unix-time-seconds|PXAT unix-time-milliseconds]"},
    {"dynsiblings", cmd_dynsiblings, 2, KEYS(1, 1, 1, "RO access"), .flags = READS,
     .acl = COMMAND_ACL_KEYSPACE, .group = "dynamo", .since = "0.1.0",
     .complexity = "O(N) where N is the number of siblings",
     .summary = "Shows every sibling of a key with its dot, clock, time and expiry.",
     .syntax = "key"},
    {"echo", cmd_echo, 2, .flags = ANYTIME | FAST, .acl = CONNECTION, .group = "connection",
     .since = "1.0.0", .complexity = "O(1)", .summary = "Replies the message.",
     .syntax = "message"},
    {"exists", cmd_exists, -2, KEYS(1, -1, 1, "RO"), .flags = READS | FAST,
     .acl = COMMAND_ACL_KEYSPACE, .group = "generic", .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys",
     .summary = "Counts how many of the keys exist; a key given twice counts twice.",
     .syntax = "key...", .tips = "request_policy:multi_shard response_policy:agg_sum"},
    {"get", cmd_get, 2, KEYS(1, 1, 1, "RO access"), .flags = READS | FAST,
     .acl = COMMAND_ACL_STRING, .group = "string", .since = "1.0.0", .complexity = "O(1)",
     .summary = "Reads the value of a key; of concurrent values the newest.", .syntax = "key"},
    {"hello", cmd_hello, -1, .flags = LOGIN, .acl = CONNECTION, .group = "connection",
     .since = "6.0.0", .complexity = "O(1)",
     .summary = "Chooses the protocol, and may authenticate and name the connection.",
     .syntax = "[arguments: protover [auth: AUTH username password] [SETNAME clientname]]"},
    {"info", cmd_info, -1, .flags = ANYTIME | BARRIER, .acl = COMMAND_ACL_DANGEROUS,
     .group = "server", .since = "1.0.0", .complexity = "O(1)",
     .summary = "Describes the server in sections of name:value lines.", .syntax = "[section...]",
     .tips = "nondeterministic_output request_policy:all_shards response_policy:special"},
    {"mget", cmd_mget, -2, KEYS(1, -1, 1, "RO access"), .flags = READS | FAST,
     .acl = COMMAND_ACL_STRING, .group = "string", .since = "1.0.0",
     .complexity = "O(N) where N is the number of keys",
     .summary = "Reads the values of several keys, each on its own.", .syntax = "key...",
     .tips = "request_policy:multi_shard"},
    {"mset", cmd_mset, -3, KEYS(1, -1, 2, "OW update"), .flags = WRITE | OOM,
     .acl = COMMAND_ACL_STRING, .group = "string", .since = "1.0.1",
     .complexity = "O(N) where N is the number of keys",
     .summary = "Sets several keys, each on its own: not one atomic step.",
     .syntax = "<data: key value>...",
     .tips = "request_policy:multi_shard response_policy:all_succeeded"},
    {"ping", cmd_ping, -1, .flags = FAST, .acl = CONNECTION, .group = "connection",
     .since = "1.0.0", .complexity = "O(1)", .summary = "Replies PONG, or the message.",
     .syntax = "[message]", .tips = "request_policy:all_shards response_policy:all_succeeded"},
    {"quit", cmd_quit, -1, .flags = LOGIN, .acl = CONNECTION, .group = "connection",
     .since = "1.0.0", .complexity = "O(1)", .summary = "Closes the connection."},
    {"readonly", cmd_readonly, 1, .flags = ANYTIME | FAST, .acl = CONNECTION, .group = "cluster",
     .since = "3.0.0", .complexity = "O(1)",
     .summary = "Accepted for the sake of cluster-aware clients; every node serves every key."},
    {"readwrite", cmd_readwrite, 1, .flags = ANYTIME | FAST, .acl = CONNECTION, .group = "cluster",
     .since = "3.0.0", .complexity = "O(1)",
     .summary = "Accepted for the sake of cluster-aware clients; every node serves every key."},
    {"reset", cmd_reset, 1, .flags = LOGIN, .acl = CONNECTION, .group = "connection",
     .since = "6.2.0", .complexity = "O(1)",
     .summary = "Makes the connection as it was when it was new."},
    {"select", cmd_select, 2, .flags = ANYTIME | FAST, .acl = CONNECTION, .group = "connection",
     .since = "1.0.0", .complexity = "O(1)",
     .summary = "Chooses a database; there is only number 0.", .syntax = "index"},
    {"set", cmd_set, -3, KEYS(1, 1, 1, "OW update"), .flags = WRITE | OOM,
     .acl = COMMAND_ACL_STRING, .group = "string", .since = "1.0.0", .complexity = "O(1)",
     .summary = "Sets a key, replacing all that was acknowledged before.",
     .syntax = "key value [expiration: EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT "
               "unix-time-milliseconds]"},
    {"shutdown", cmd_shutdown, -1, .flags = ADMIN | COMMAND_NO_MULTI | COMMAND_ALLOW_BUSY | BARRIER,
     .group = "server", .since = "1.0.0", .complexity = "O(1)",
     .summary = "Stops the node after finishing what is acknowledged.",
     .syntax = "[save-selector: NOSAVE|SAVE] [NOW] [FORCE] [ABORT]"},
    {"strlen", cmd_strlen, 2, KEYS(1, 1, 1, "RO"), .flags = READS | FAST, .acl = COMMAND_ACL_STRING,
     .group = "string", .since = "2.2.0", .complexity = "O(1)",
     .summary = "Replies the length of the value of a key.", .syntax = "key"},
    {"time", cmd_time, 1, .flags = ANYTIME | FAST, .group = "server", .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Replies the node's time: seconds since 1970 and microseconds.",
     .tips = "nondeterministic_output"},
    {"type", cmd_type, 2, KEYS(1, 1, 1, "RO"), .flags = READS | FAST, .acl = COMMAND_ACL_KEYSPACE,
     .group = "generic", .since = "1.0.0", .complexity = "O(1)",
     .summary = "Replies the type of a key's value: string, or none.", .syntax = "key"},
    {"unlink", cmd_unlink, -2, KEYS(1, -1, 1, "RM delete"), .flags = WRITE | FAST,
     .acl = COMMAND_ACL_KEYSPACE, .group = "generic", .since = "4.0.0",
     .complexity = "O(N) where N is the number of keys", .summary = "Removes keys, as DEL does.",
     .syntax = "key...", .tips = "request_policy:multi_shard response_policy:agg_sum"},
};

const struct command *command_table(size_t *count) {
    *count = COUNT(rows);
    return rows;
}

/* Compares the lower-cased `name` with a row's name behind its first `skip` bytes, as strcmp does. */
static int compare_name(const char *lower, size_t len, const char *row_name, size_t skip) {
    const char *text = row_name + skip;
    size_t text_len = strlen(text);
    int order = memcmp(lower, text, len < text_len ? len : text_len);
    if (order != 0) {
        return order;
    }
    return len < text_len ? -1 : len > text_len;
}

/* Binary search in sorted rows whose names share their first `skip` bytes. */
static const struct command *find_in(const struct command *table, size_t count, size_t skip,
                                     const void *name, size_t len) {
    char lower[LONGEST_NAME];
    if (len == 0 || len > sizeof(lower)) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        char c = ((const char *)name)[i];
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_name(lower, len, table[middle].name, skip);
        if (order == 0) {
            return &table[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct command *command_find(const void *name, size_t len) {
    return find_in(rows, COUNT(rows), 0, name, len);
}

const struct command *command_find_sub(const struct command *parent, const void *name, size_t len) {
    return find_in(parent->subcommands, parent->subcommand_count, strlen(parent->name) + 1, name,
                   len);
}

const struct command *command_find_full(const void *name, size_t len) {
    const char *bar = memchr(name, '|', len);
    if (bar == NULL) {
        return command_find(name, len);
    }
    size_t parent_len = (size_t)(bar - (const char *)name);
    const struct command *parent = command_find(name, parent_len);
    return parent == NULL ? NULL : command_find_sub(parent, bar + 1, len - parent_len - 1);
}

const struct command *command_resolve(const struct resp_slice *argv, size_t argc,
                                      const struct command **parent) {
    assert(argc > 0);
    const struct command *row = command_find(argv[0].data, argv[0].len);
    *parent = row;
    if (row == NULL || row->subcommand_count == 0 || argc == 1) {
        return row;
    }
    return command_find_sub(row, argv[1].data, argv[1].len);
}

bool command_arity_ok(const struct command *row, size_t argc) {
    return row->arity >= 0 ? argc == (size_t)row->arity : argc >= (size_t)-row->arity;
}

size_t command_total(void) {
    size_t total = COUNT(rows);
    for (size_t i = 0; i < COUNT(rows); i++) {
        total += rows[i].subcommand_count;
    }
    return total;
}

size_t command_ordinal(const struct command *row) {
    if (row >= rows && row < rows + COUNT(rows)) {
        return (size_t)(row - rows);
    }
    size_t before = COUNT(rows);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct command *subs = rows[i].subcommands;
        if (subs != NULL && row >= subs && row < subs + rows[i].subcommand_count) {
            return before + (size_t)(row - subs);
        }
        before += rows[i].subcommand_count;
    }
    assert(!"a row of the table");
    return 0;
}

const struct command *command_by_ordinal(size_t ordinal) {
    if (ordinal < COUNT(rows)) {
        return &rows[ordinal];
    }
    ordinal -= COUNT(rows);
    size_t i = 0;
    while (i < COUNT(rows) && ordinal >= rows[i].subcommand_count) {
        ordinal -= rows[i].subcommand_count;
        i++;
    }
    assert(i < COUNT(rows));
    return &rows[i].subcommands[ordinal];
}

struct command_keys command_keys(const struct command *row, size_t argc) {
    struct command_keys keys = {0, 0, 0};
    if (row->first_key == 0) {
        return keys;
    }
    assert(command_arity_ok(row, argc));
    int64_t last = row->last_key >= 0 ? row->last_key : (int64_t)argc + row->last_key;
    assert(last >= row->first_key && last < (int64_t)argc);
    keys.first = (size_t)row->first_key;
    keys.step = (size_t)row->key_step;
    keys.count = (size_t)(last - row->first_key) / keys.step + 1;
    return keys;
}
