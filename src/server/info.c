/* INFO. One function per section; each appends "name:value" lines and returns the first error of the buffer.
 *
 * Names and units are Redis's where Redis has the field. Fields that have no meaning here are left out, except
 * those that tools insist on.
 */
#include "server/info.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/text.h"
#include "replication/node.h"
#include "server/client.h"
#include "server/client_list.h"
#include "server/clock.h"
#include "server/command_table.h"
#include "server/config.h"
#include "server/driver.h"
#include "server/server.h"
#include "store/store.h"

#define ULL(x) ((unsigned long long)(x))

typedef enum rd_err section_fn(struct server *server, struct buf *out);

static enum rd_err info_server(struct server *server, struct buf *out) {
    struct utsname os = {0};
    struct instant now = clock_now();
    uint64_t uptime_s = (now.mono_us - server->started_mono_us) / 1000000;
    bool named = uname(&os) == 0;
    return buf_printf(
        out,
        "redis_version:%s\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\nredis_mode:%s\r\n"
        "redynamo_version:%s\r\nos:%s %s %s\r\narch_bits:%zu\r\nmonotonic_clock:POSIX "
        "clock_gettime\r\n"
        "multiplexing_api:%s\r\nprocess_id:%ld\r\nrun_id:%s\r\ntcp_port:%lld\r\nserver_time_usec:%"
        "llu\r\n"
        "uptime_in_seconds:%llu\r\nuptime_in_days:%llu\r\nexecutable:%s\r\nconfig_file:%s\r\n",
        INFO_REDIS_VERSION,
        server->config->partitioner == PARTITIONER_CRC16 ? "cluster" : "standalone",
        INFO_REDYNAMO_VERSION, named ? os.sysname : "?", named ? os.release : "?",
        named ? os.machine : "?", sizeof(void *) * 8, "libevent", (long)getpid(), server->run_id,
        (long long)server->config->port, ULL(now.wall_us), ULL(uptime_s), ULL(uptime_s / 86400),
        server->executable, server->config->file);
}

static enum rd_err info_clients(struct server *server, struct buf *out) {
    const struct clients *clients = server->clients;
    size_t input = 0, output = 0;
    for (const struct client *client = clients->first; client != NULL; client = client->next) {
        input = buf_len(&client->in) > input ? buf_len(&client->in) : input;
        output = buf_len(&client->out) > output ? buf_len(&client->out) : output;
    }
    struct driver_stats driver = {0};
    driver_stats(server->driver, &driver);
    return buf_printf(out,
                      "connected_clients:%zu\r\ncluster_connections:%llu\r\nmaxclients:%lld\r\n"
                      "client_recent_max_input_buffer:%zu\r\nclient_recent_max_output_buffer:%"
                      "zu\r\nblocked_clients:0\r\n"
                      "requests_in_flight:%zu\r\nrequests_window:%u\r\n",
                      clients->count, ULL(driver.links), (long long)server->config->maxclients,
                      input, output, clients->tickets.open, clients->pace.window);
}

/* A size as people read it. */
static void human(uint64_t bytes, char out[32]) {
    static const char units[] = "BKMGTP";
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 2 < sizeof(units)) {
        value /= 1024;
        unit++;
    }
    if (unit == 0) {
        snprintf(out, 32, "%lluB", ULL(bytes));
    } else {
        snprintf(out, 32, "%.2f%c", value, units[unit]);
    }
}

static uint64_t resident_bytes(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    unsigned long long total = 0, resident = 0;
    int got = fscanf(file, "%llu %llu", &total, &resident);
    fclose(file);
    return got == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static enum rd_err info_memory(struct server *server, struct buf *out) {
    struct mallinfo2 heap = mallinfo2();
    uint64_t used = heap.uordblks + heap.hblkhd;
    uint64_t resident = resident_bytes();
    uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    char used_text[32], resident_text[32], total_text[32];
    human(used, used_text);
    human(resident, resident_text);
    human(total, total_text);
    return buf_printf(out,
                      "used_memory:%llu\r\nused_memory_human:%s\r\nused_memory_rss:%llu\r\nused_"
                      "memory_rss_human:%s\r\n"
                      "total_system_memory:%llu\r\ntotal_system_memory_human:%s\r\nmaxmemory:"
                      "0\r\nmaxmemory_human:0B\r\n"
                      "maxmemory_policy:noeviction\r\nmem_fragmentation_ratio:%.2f\r\nmem_"
                      "allocator:libc\r\ncache_size:%llu\r\n",
                      ULL(used), used_text, ULL(resident), resident_text, ULL(total), total_text,
                      used > 0 ? (double)resident / (double)used : 0.0,
                      ULL(server->config->cache_bytes));
}

static enum rd_err info_persistence(struct server *server, struct buf *out) {
    static const char *const modes[] = {"always", "everysec", "no"};
    struct store_stats stats = {0};
    store_stats(driver_store(server->driver), &stats);
    uint64_t asked = stats.cache_hits + stats.cache_misses;
    return buf_printf(
        out,
        "loading:0\r\nasync_loading:0\r\nrdb_bgsave_in_progress:0\r\nrdb_last_bgsave_status:"
        "ok\r\naof_enabled:1\r\n"
        "aof_rewrite_in_progress:0\r\naof_last_bgrewrite_status:ok\r\naof_last_write_status:%s\r\n"
        "appendfsync:%s\r\nstore_bytes:%llu\r\nstore_gets:%llu\r\nstore_puts:%llu\r\nstore_commits:"
        "%llu\r\n"
        "store_commit_errors:%llu\r\nstore_corrupt_rows:%llu\r\n"
        "store_journal_bytes:%llu\r\nstore_memtable_bytes:%llu\r\nstore_memtable_rows:%llu\r\n"
        "store_cache_bytes:%llu\r\nstore_cache_hits:%llu\r\nstore_cache_misses:%llu\r\n"
        "store_cache_hit_ratio:%.3f\r\nstore_merges:%llu\r\nstore_merge_last_ms:%llu\r\n"
        "store_merge_rows:%llu\r\nstore_merge_errors:%llu\r\nstore_fsync_p99_us:%llu\r\n"
        "store_delayed_us:%llu\r\n",
        stats.writable ? "ok" : "err", modes[server->config->appendfsync], ULL(stats.bytes_on_disk),
        ULL(stats.gets), ULL(stats.puts), ULL(stats.commits), ULL(stats.commit_errors),
        ULL(stats.corrupt_rows), ULL(stats.journal_bytes), ULL(stats.memtable_bytes),
        ULL(stats.memtable_rows), ULL(stats.cache_bytes), ULL(stats.cache_hits),
        ULL(stats.cache_misses), asked == 0 ? 0.0 : (double)stats.cache_hits / (double)asked,
        ULL(stats.merges), ULL(stats.merge_last_ms), ULL(stats.merge_rows), ULL(stats.merge_errors),
        ULL(stats.fsync_p99_us), ULL(stats.delayed_us));
}

/* The change per second over the samples that are kept. */
static void rates(const struct clients *clients, double *commands, double *input, double *output) {
    *commands = *input = *output = 0;
    size_t kept = clients->rate_count < RATE_SAMPLES ? clients->rate_count : RATE_SAMPLES;
    if (kept < 2) {
        return;
    }
    const struct rate_sample *newest = &clients->rates[(clients->rate_count - 1) % RATE_SAMPLES];
    const struct rate_sample *oldest = &clients->rates[(clients->rate_count - kept) % RATE_SAMPLES];
    double seconds = (double)(newest->mono_us - oldest->mono_us) / 1e6;
    if (seconds > 0) {
        *commands = (double)(newest->commands - oldest->commands) / seconds;
        *input = (double)(newest->input_bytes - oldest->input_bytes) / seconds / 1024;
        *output = (double)(newest->output_bytes - oldest->output_bytes) / seconds / 1024;
    }
}

static enum rd_err info_stats(struct server *server, struct buf *out) {
    const struct server_counters *c = &server->counters;
    double commands, input, output;
    struct node_stats node;
    rates(server->clients, &commands, &input, &output);
    node_stats(driver_node(server->driver), &node);
    return buf_printf(
        out,
        "total_connections_received:%llu\r\ntotal_commands_processed:%llu\r\ninstantaneous_ops_per_"
        "sec:%.0f\r\n"
        "total_net_input_bytes:%llu\r\ntotal_net_output_bytes:%llu\r\ninstantaneous_input_kbps:%."
        "2f\r\n"
        "instantaneous_output_kbps:%.2f\r\nrejected_connections:%llu\r\nexpired_keys:%"
        "llu\r\nevicted_"
        "keys:0\r\n"
        "keyspace_hits:%llu\r\nkeyspace_misses:%llu\r\npubsub_channels:0\r\npubsub_patterns:0\r\n"
        "total_error_replies:%llu\r\nclient_query_buffer_limit_disconnections:%llu\r\n"
        "client_output_buffer_limit_disconnections:%llu\r\n",
        ULL(c->connections_received), ULL(c->commands_processed), commands, ULL(c->input_bytes),
        ULL(c->output_bytes), input, output, ULL(c->connections_rejected), ULL(node.expired_reaped),
        ULL(c->keyspace_hits), ULL(c->keyspace_misses), ULL(c->errors_replied),
        ULL(c->query_limit_disconnects), ULL(c->output_limit_disconnects));
}

static enum rd_err info_replication(struct server *server, struct buf *out) {
    return buf_printf(out,
                      "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-"
                      "failover\r\nmaster_replid:%s\r\n"
                      "master_repl_offset:0\r\n",
                      server->run_id);
}

static enum rd_err info_cpu(struct server *server, struct buf *out) {
    (void)server;
    struct rusage self = {0};
    if (getrusage(RUSAGE_SELF, &self) != 0) {
        return RD_OK;
    }
    return buf_printf(out, "used_cpu_sys:%ld.%06ld\r\nused_cpu_user:%ld.%06ld\r\n",
                      (long)self.ru_stime.tv_sec, (long)self.ru_stime.tv_usec,
                      (long)self.ru_utime.tv_sec, (long)self.ru_utime.tv_usec);
}

static enum rd_err info_commandstats(struct server *server, struct buf *out) {
    const struct command_table *commands = server->clients->commands;
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < command_total(commands) && err == RD_OK; i++) {
        const struct command_stats *stats = &server->clients->command_stats[i];
        if (stats->calls > 0 || stats->rejected > 0) {
            err = buf_printf(out,
                             "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%"
                             "llu,failed_calls=%llu\r\n",
                             command_by_ordinal(commands, i)->name, ULL(stats->calls),
                             ULL(stats->usec),
                             stats->calls > 0 ? (double)stats->usec / (double)stats->calls : 0.0,
                             ULL(stats->rejected), ULL(stats->failed));
        }
    }
    return err;
}

static enum rd_err info_errorstats(struct server *server, struct buf *out) {
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < server->clients->error_count && err == RD_OK; i++) {
        const struct error_stats *stats = &server->clients->errors[i];
        err = buf_printf(out, "errorstat_%s:count=%llu\r\n", stats->code, ULL(stats->count));
    }
    return err;
}

static enum rd_err info_cluster(struct server *server, struct buf *out) {
    return buf_printf(out, "cluster_enabled:%d\r\n",
                      server->config->partitioner == PARTITIONER_CRC16);
}

static enum rd_err info_keyspace(struct server *server, struct buf *out) {
    struct store_stats stats = {0};
    store_stats(driver_store(server->driver), &stats);
    return stats.live_keys == 0
               ? RD_OK
               : buf_printf(out, "db0:keys=%llu,expires=0,avg_ttl=0\r\n", ULL(stats.live_keys));
}

static enum rd_err info_dynamo(struct server *server, struct buf *out) {
    struct node *node = driver_node(server->driver);
    struct node_stats s = {0};
    node_stats(node, &s);
    struct driver_stats driver = {0};
    driver_stats(server->driver, &driver);
    struct node_id self = node_self(node);
    char id[NODE_ID_HEX + 1];
    text_hex(self.bytes, sizeof(self.bytes), id);
    uint32_t n = 0, r = 0, w = 0;
    node_quorum(node, &n, &r, &w);
    enum rd_err err = buf_printf(
        out,
        "node_id:%s\r\ncluster_name:%s\r\ncluster_id:%s\r\ncluster_open:%d\r\ncluster_"
        "born:%d\r\nmembers:%u\r\nmembers_up:%u\r\nmembers_joining:%u\r\n"
        "replication_factor:%u\r\nread_quorum:%u\r\nwrite_quorum:%u\r\npartitions:%"
        "u\r\npartitions_owned:%llu\r\n"
        "hints_pending:%llu\r\nhints_delivered:%llu\r\nhint_bytes:%llu\r\nhints_kept:%llu\r\n"
        "hints_dropped:%llu\r\nhints_refused:%llu\r\nsloppy_acknowledgements:%llu\r\n"
        "read_repairs:%llu\r\nantientropy_exchanges:%llu\r\n"
        "antientropy_keys_repaired:%llu\r\nantientropy_bytes:%llu\r\nleaves_mended:%llu"
        "\r\ntombstones:%llu\r\ntombstones_reaped:%llu\r\nvectors_pruned:%llu"
        "\r\ntransfers_pending:0\r\n",
        id, server->config->cluster_name, s.cluster_id, s.open, s.born, s.members, s.members_up,
        s.members_joining, n, r, w, node_partitions(node), ULL(s.partitions_owned),
        ULL(s.hints_pending), ULL(s.hints_delivered), ULL(s.hint_bytes), ULL(s.hints_kept),
        ULL(s.hints_dropped), ULL(s.hints_refused), ULL(s.stand_ins), ULL(s.read_repairs),
        ULL(s.antientropy_exchanges), ULL(s.antientropy_keys_repaired), ULL(s.antientropy_bytes),
        ULL(s.leaves_mended), ULL(s.tombstones), ULL(s.tombstones_reaped), ULL(s.vectors_pruned));
    if (err != RD_OK) {
        return err;
    }
    return buf_printf(
        out,
        "sibling_reads:%llu\r\nquorum_failures_read:%llu\r\nquorum_failures_write:%llu\r\nrequests_"
        "forwarded:%llu\r\n"
        "node_requests_in_flight:%llu\r\nkeys_in_flight:%llu\r\nsecond_rounds:%llu\r\nlate_answers:"
        "%llu\r\n"
        "fresh_incarnations:%llu\r\ndot_clashes:%llu\r\nstore_errors:%llu\r\ncorrupt_rows:%"
        "llu\r\nlinks:%llu\r\n"
        "links_refused:%llu\r\nlinks_dropped:%llu\r\nframes_refused:%llu\r\nframes_in:%"
        "llu\r\nframes_out:%llu\r\n"
        "peer_bytes_in:%llu\r\npeer_bytes_out:%llu\r\nturns:%llu\r\n",
        ULL(s.sibling_reads), ULL(s.quorum_failures_read), ULL(s.quorum_failures_write),
        ULL(s.requests_forwarded), ULL(s.requests_in_flight), ULL(s.keys_in_flight),
        ULL(s.second_rounds), ULL(s.late_answers), ULL(s.fresh_incarnations), ULL(s.dot_clashes),
        ULL(s.store_errors), ULL(s.corrupt_rows), ULL(driver.links), ULL(s.links_refused),
        ULL(driver.links_dropped), ULL(s.frames_refused), ULL(driver.frames_in),
        ULL(driver.frames_out), ULL(driver.bytes_in), ULL(driver.bytes_out), ULL(driver.turns));
}

static const struct {
    const char *name;
    section_fn *write;
    bool by_default;
} sections[] = {
    {"Server", info_server, true},
    {"Clients", info_clients, true},
    {"Memory", info_memory, true},
    {"Persistence", info_persistence, true},
    {"Stats", info_stats, true},
    {"Replication", info_replication, true},
    {"CPU", info_cpu, true},
    {"Commandstats", info_commandstats, false},
    {"Errorstats", info_errorstats, true},
    {"Cluster", info_cluster, true},
    {"Keyspace", info_keyspace, true},
    {"Dynamo", info_dynamo, true},
};

static bool is_word(const struct resp_slice *name, const char *word) {
    return name->len == strlen(word) && strncasecmp((const char *)name->data, word, name->len) == 0;
}

static bool is_wanted(const char *section, bool by_default, const struct resp_slice *names,
                      size_t count) {
    if (count == 0) {
        return by_default;
    }
    for (size_t i = 0; i < count; i++) {
        if (is_word(&names[i], section) || is_word(&names[i], "all") ||
            is_word(&names[i], "everything") || (by_default && is_word(&names[i], "default"))) {
            return true;
        }
    }
    return false;
}

enum rd_err info_write(struct server *server, const struct resp_slice *names, size_t count,
                       struct buf *out) {
    enum rd_err err = RD_OK;
    bool first = true;
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]) && err == RD_OK; i++) {
        if (!is_wanted(sections[i].name, sections[i].by_default, names, count)) {
            continue;
        }
        err = buf_printf(out, "%s# %s\r\n", first ? "" : "\r\n", sections[i].name);
        err = err != RD_OK ? err : sections[i].write(server, out);
        first = false;
    }
    return err;
}
