/* The configuration: tables of good and bad input with the exact sentence, every directive, CONFIG GET and SET, the sample file, a
 * stock redis.conf, and every allocation failing once. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config.h"
#include "server/config_table.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct config *fresh(void) {
    struct config *config = NULL;
    ck_assert_int_eq(config_new(&config), RD_OK);
    return config;
}

static struct resp_slice slice(const char *text) {
    return (struct resp_slice){(const uint8_t *)text, strlen(text)};
}

/* ---- what CONFIG GET says, for all tests ------------------------------------------------------------ */

struct shown {
    char text[16384];
    size_t len;
    size_t count;
};

/* No ck_assert in here: Check allocates, and some tests make that fail. */
static void show(void *arg, const char *name, const char *value) {
    struct shown *shown = arg;
    size_t room = sizeof(shown->text) - shown->len;
    int n = snprintf(shown->text + shown->len, room, "%s=%s\n", name, value);
    assert(n > 0 && (size_t)n < room);
    shown->len += (size_t)n;
    shown->count++;
}

static void get(const struct config *config, const char *pattern, struct shown *out) {
    struct resp_slice patterns[] = {slice(pattern)};
    memset(out, 0, sizeof *out);
    ck_assert_int_eq(config_get(config, patterns, 1, show, out), RD_OK);
}

static void expect_value(const struct config *config, const char *name, const char *value) {
    struct shown shown;
    char expected[1024];
    get(config, name, &shown);
    snprintf(expected, sizeof expected, "%s=%s\n", name, value);
    ck_assert_str_eq(shown.text, expected);
}

static enum rd_err parse(struct config *config, const char *text, char *reason) {
    return config_parse(config, "test.conf", text, strlen(text), reason);
}

/* ---- good lines --------------------------------------------------------------------------------------- */

static const struct {
    const char *text, *name, *value;
} good[] = {
    {"port 7001", "port", "7001"},
    {"PORT 7001\n", "port", "7001"},
    {"  port\t7001  \r\n", "port", "7001"},
    {"port \"7001\"", "port", "7001"},
    {"port '7001'", "port", "7001"},
    {"port 1\nport 2\n", "port", "2"},
    {"# port 1\n\n   # port 2\n", "port", "6379"},
    {"port 0", "port", "0"},
    {"port 65535", "port", "65535"},
    {"bind 10.0.0.1 ::1", "bind", "10.0.0.1 ::1"},
    {"bind \"10.0.0.1   -::1\"", "bind", "10.0.0.1 -::1"},
    {"bind * -::*", "bind", "* -::*"},
    {"bind 10.0.0.1\nbind 10.0.0.2", "bind", "10.0.0.2"},
    {"tcp-backlog 128", "tcp-backlog", "128"},
    {"timeout 30", "timeout", "30"},
    {"tcp-keepalive 0", "tcp-keepalive", "0"},
    {"maxclients 17", "maxclients", "17"},
    {"protected-mode no", "protected-mode", "no"},
    {"protected-mode YES", "protected-mode", "yes"},
    {"requirepass \"a b\\x41\\\"\"", "requirepass", "a bA\""},
    {"requirepass ''", "requirepass", ""},
    {"requirepass 'it\\'s'", "requirepass", "it's"},
    {"proto-max-bulk-len 1mb", "proto-max-bulk-len", "1048576"},
    {"proto-max-bulk-len 512MB", "proto-max-bulk-len", "536870912"},
    {"client-query-buffer-limit 2m", "client-query-buffer-limit", "2000000"},
    {"client-output-buffer-limit normal 1mb 1kb 10", "client-output-buffer-limit",
     "normal 1048576 1024 10 slave 268435456 67108864 60 pubsub 33554432 8388608 60"},
    {"client-output-buffer-limit slave 0 0 0 pubsub 1 2 3", "client-output-buffer-limit",
     "normal 0 0 0 slave 0 0 0 pubsub 1 2 3"},
    {"client-output-buffer-limit \"replica 4 5 6\"", "client-output-buffer-limit",
     "normal 0 0 0 slave 4 5 6 pubsub 33554432 8388608 60"},
    {"daemonize yes", "daemonize", "yes"},
    {"pidfile /tmp/x.pid", "pidfile", "/tmp/x.pid"},
    {"loglevel WARNING", "loglevel", "warning"},
    {"logfile ''", "logfile", ""},
    {"dir /tmp", "dir", "/tmp"},
    {"slowlog-log-slower-than -1", "slowlog-log-slower-than", "-1"},
    {"slowlog-max-len 0", "slowlog-max-len", "0"},
    {"enable-debug-command local", "enable-debug-command", "local"},
    {"cluster-port 17000", "cluster-port", "17000"},
    {"cluster-announce-ip 10.1.1.1", "cluster-announce-ip", "10.1.1.1"},
    {"cluster-announce-port 1", "cluster-announce-port", "1"},
    {"cluster-announce-bus-port 2", "cluster-announce-bus-port", "2"},
    {"cluster-name kiosk", "cluster-name", "kiosk"},
    {"cluster-secret s3", "cluster-secret", "s3"},
    {"seed a:1\nseed b:2", "seed", "a:1 b:2"},
    {"seed a:1 b:2 \nseed [::1]:3", "seed", "a:1 b:2 [::1]:3"},
    {"seed ::1:3", "seed", "[::1]:3"},
    {"seed \"a:1 b:2\"", "seed", "a:1 b:2"},
    {"zone rack-1", "zone", "rack-1"},
    {"vnodes 512", "vnodes", "512"},
    {"replication-factor 5", "replication-factor", "5"},
    {"read-quorum 1", "read-quorum", "1"},
    {"write-quorum 3", "write-quorum", "3"},
    {"partitions 16384", "partitions", "16384"},
    {"partitioner md5", "partitioner", "md5"},
    {"conflict-resolution last-write-wins", "conflict-resolution", "last-write-wins"},
    {"max-siblings 7", "max-siblings", "7"},
    {"max-object-size 1kb", "max-object-size", "1024"},
    {"request-timeout 250", "request-timeout", "250"},
    {"gossip-interval 100", "gossip-interval", "100"},
    {"failure-timeout 700", "failure-timeout", "700"},
    {"read-repair no", "read-repair", "no"},
    {"anti-entropy no", "anti-entropy", "no"},
    {"anti-entropy-interval 300", "anti-entropy-interval", "300"},
    {"sloppy-quorum no", "sloppy-quorum", "no"},
    {"hinted-handoff no", "hinted-handoff", "no"},
    {"max-hints 5mb", "max-hints", "5242880"},
    {"handoff-rate 0", "handoff-rate", "0"},
    {"tombstone-grace 5", "tombstone-grace", "5"},
    {"appendfsync always", "appendfsync", "always"},
    {"cache-size 1gb", "cache-size", "1073741824"},
};

START_TEST(good_lines) {
    struct config *config = fresh();
    char reason[CONFIG_REASON_BYTES] = "";
    ck_assert_msg(parse(config, good[_i].text, reason) == RD_OK, "%s", reason);
    expect_value(config, good[_i].name, good[_i].value);
    ck_assert_uint_eq(buf_len(&config->warnings), 0);
    config_free(&config);
    ck_assert_ptr_null(config);
}
END_TEST

/* Every directive has a line above. */
START_TEST(every_directive_is_tried) {
    size_t count;
    const struct config_directive *all = config_directives(&count);
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < COUNT(good) && strcmp(good[j].name, all[i].name) != 0) {
            j++;
        }
        ck_assert_msg(j < COUNT(good), "%s", all[i].name);
    }
}
END_TEST

/* ---- bad lines ---------------------------------------------------------------------------------------- */

#define RANGE(name, low, high) "'" name "': argument must be between " low " and " high " inclusive"

static const struct {
    const char *text, *reason; /* behind "test.conf, line N: " */
    size_t line;
} bad[] = {
    {"frobnicate 1", "'frobnicate': unknown directive", 1},
    {"\n\n# x\nprot 1", "'prot': unknown directive", 4},
    {"port", "'port': wrong number of arguments", 1},
    {"port 1 2", "'port': wrong number of arguments", 1},
    {"bind", "'bind': wrong number of arguments", 1},
    {"port x", "'port': argument couldn't be parsed into an integer", 1},
    {"port 07", "'port': argument couldn't be parsed into an integer", 1},
    {"port ''", "'port': argument couldn't be parsed into an integer", 1},
    {"port 65536", RANGE("port", "0", "65535"), 1},
    {"port -1", RANGE("port", "0", "65535"), 1},
    {"port 99999999999999999999", RANGE("port", "0", "65535"), 1},
    {"port \"1", "unbalanced quotes", 1},
    {"port \"1\"2", "unbalanced quotes", 1},
    {"port '1", "unbalanced quotes", 1},
    {"maxclients 0", RANGE("maxclients", "1", "1000000"), 1},
    {"protected-mode maybe", "'protected-mode': argument must be 'yes' or 'no'", 1},
    {"cache-size much", "'cache-size': argument must be a memory value", 1},
    {"cache-size 1tb", "'cache-size': argument must be a memory value", 1},
    {"cache-size 1", RANGE("cache-size", "1048576", "1099511627776"), 1},
    {"cache-size 99999999999999999gb", RANGE("cache-size", "1048576", "1099511627776"), 1},
    {"loglevel loud",
     "'loglevel': argument(s) must be one of the following: debug, verbose, notice, warning", 1},
    {"appendfsync sometimes",
     "'appendfsync': argument(s) must be one of the following: everysec, always, no", 1},
    {"partitioner crc32", "'partitioner': argument(s) must be one of the following: crc16, md5", 1},
    {"cluster-name ''", "'cluster-name': argument must not be empty", 1},
    {"dir ''", "'dir': argument must not be empty", 1},
    {"zone 1234567890123456789012345678901234567890123456789012345678901234",
     "'zone': argument must have at most 63 bytes", 1},
    {"cluster-name \"a\\x00b\"", "'cluster-name': argument must not contain a zero byte", 1},
    {"seed host", "'seed': argument must be HOST:CLUSTER-PORT", 1},
    {"seed host:", "'seed': argument must be HOST:CLUSTER-PORT", 1},
    {"seed host:0", "'seed': argument must be HOST:CLUSTER-PORT", 1},
    {"seed host:65536", "'seed': argument must be HOST:CLUSTER-PORT", 1},
    {"seed :7", "'seed': argument must be HOST:CLUSTER-PORT", 1},
    {"seed []:7", "'seed': argument must be HOST:CLUSTER-PORT", 1},
    {"client-output-buffer-limit normal 1 2",
     "'client-output-buffer-limit': Wrong number of arguments in buffer limit configuration.", 1},
    {"client-output-buffer-limit other 1 2 3",
     "'client-output-buffer-limit': Invalid client class specified in buffer limit configuration.",
     1},
    {"client-output-buffer-limit normal x 2 3",
     "'client-output-buffer-limit': Error in hard, soft or soft_seconds setting in buffer limit "
     "configuration.",
     1},
    {"client-output-buffer-limit normal 1 2 -3",
     "'client-output-buffer-limit': Error in hard, soft or soft_seconds setting in buffer limit "
     "configuration.",
     1},
    {"include", "'include': wrong number of arguments", 1},
    {"include /nonexistent/x.conf", "cannot read '/nonexistent/x.conf': No such file or directory",
     1},
    {"replicaof 10.0.0.1 6379",
     "'replicaof' is refused: there are no masters; name the other nodes with 'seed'", 1},
    {"slaveof no one",
     "'slaveof' is refused: there are no masters; name the other nodes with 'seed'", 1},
    {"masterauth x", "'masterauth' is refused: there are no masters; peers use 'cluster-secret'",
     1},
    {"maxmemory 100mb",
     "'maxmemory' is refused: nothing is evicted; keys live on disk, cache-size bounds the memory "
     "for them",
     1},
    {"aclfile /etc/acl", "'aclfile' is refused: there are no ACLs; use 'requirepass'", 1},
    {"user default off", "'user' is refused: there are no ACLs; use 'requirepass'", 1},
    {"rename-command FLUSHALL \"\"",
     "'rename-command' is refused: commands cannot be renamed or disabled", 1},
    {"loadmodule /x.so", "'loadmodule' is refused: there are no modules", 1},
    {"unixsocket /x.sock",
     "'unixsocket' is refused: there are no Unix sockets; clients would not find the server", 1},
    {"notify-keyspace-events KEA",
     "'notify-keyspace-events' is refused: there are no keyspace events", 1},
    {"min-replicas-to-write 2", "'min-replicas-to-write' is refused: use 'write-quorum'", 1},
    {"tls-port 7000", "'tls-port' is refused: this version does not have it yet", 1},
    {"tls-cert-file x", "'tls-cert-file' is refused: this version does not have it yet", 1},
};

START_TEST(bad_lines) {
    struct config *config = fresh();
    char reason[CONFIG_REASON_BYTES] = "";
    char expected[CONFIG_REASON_BYTES];
    snprintf(expected, sizeof expected, "test.conf, line %zu: %s", bad[_i].line, bad[_i].reason);
    enum rd_err err = parse(config, bad[_i].text, reason);
    ck_assert(err == RD_ECONF || err == RD_EIO);
    ck_assert_str_eq(reason, expected);
    config_free(&config);
}
END_TEST

/* ---- what belongs together ---------------------------------------------------------------------------- */

static const struct {
    const char *text, *reason; /* NULL: fine */
} together[] = {
    {"", NULL},
    {"replication-factor 1\nread-quorum 1\nwrite-quorum 1", NULL},
    {"replication-factor 1",
     "test.conf, line 1: 'read-quorum' must not be above 'replication-factor'"},
    {"read-quorum 4", "test.conf, line 1: 'read-quorum' must not be above 'replication-factor'"},
    {"write-quorum 4", "test.conf, line 1: 'write-quorum' must not be above 'replication-factor'"},
    {"partitions 1000", "test.conf, line 1: 'partitions' must be a power of two"},
    {"read-quorum 3\n# and\nreplication-factor 2\nport 7000",
     "test.conf, line 3: 'read-quorum' must not be above 'replication-factor'"},
    {"partitions 1", NULL},
    {"port 60000",
     "test.conf, line 1: 'port' above 55535 leaves no default for 'cluster-port': set it"},
    {"port 60000\ncluster-port 61000", NULL},
    {"port 7000\ncluster-port 7000", "test.conf, line 2: 'port' and 'cluster-port' must differ"},
    {"failure-timeout 1000",
     "test.conf, line 1: 'failure-timeout' must be above 'gossip-interval'"},
};

START_TEST(cross_checks) {
    struct config *config = fresh();
    char reason[CONFIG_REASON_BYTES] = "";
    ck_assert_int_eq(parse(config, together[_i].text, reason), RD_OK);
    enum rd_err err = config_finish(config, reason);
    ck_assert_int_eq(err, together[_i].reason == NULL ? RD_OK : RD_ECONF);
    ck_assert_str_eq(reason, together[_i].reason == NULL ? "" : together[_i].reason);
    config_free(&config);
}
END_TEST

START_TEST(finish_fills_in) {
    struct config *config = fresh();
    char reason[CONFIG_REASON_BYTES];
    ck_assert_int_eq(parse(config, "port 7001\ndaemonize yes", reason), RD_OK);
    ck_assert_int_eq(config_finish(config, reason), RD_OK);
    expect_value(config, "cluster-port", "17001");
    expect_value(config, "pidfile", "/run/redynamo.pid");
    config_free(&config);
}
END_TEST

/* ---- strangers ---------------------------------------------------------------------------------------- */

START_TEST(harmless_strangers_warn_once_each) {
    struct config *config = fresh();
    char reason[CONFIG_REASON_BYTES] = "";
    const char *text =
        "save 3600 1 300 100\n\nmaxmemory 0\nHz 10\ntls-port 0\nlist-max-listpack-size -2\n"
        "notify-keyspace-events \"\"\n";
    ck_assert_msg(parse(config, text, reason) == RD_OK, "%s", reason);
    ck_assert_int_eq(buf_append(&config->warnings, "", 1), RD_OK);
    ck_assert_str_eq(
        (const char *)buf_data(&config->warnings),
        "test.conf, line 1: 'save' has no meaning here and is ignored\n"
        "test.conf, line 3: 'maxmemory' has no meaning here and is ignored\n"
        "test.conf, line 4: 'Hz' has no meaning here and is ignored\n"
        "test.conf, line 5: 'tls-port' has no meaning here and is ignored\n"
        "test.conf, line 6: 'list-max-listpack-size' has no meaning here and is ignored\n"
        "test.conf, line 7: 'notify-keyspace-events' has no meaning here and is ignored\n");
    config_free(&config);
}
END_TEST

/* The directives that Debian's redis.conf sets, of Redis 7.0 and 7.2. */
static const char stock[] =
    "bind 127.0.0.1 -::1\nprotected-mode yes\nport 6379\ntcp-backlog 511\ntimeout 0\ntcp-keepalive "
    "300\n"
    "daemonize yes\npidfile /run/redis/redis-server.pid\nloglevel notice\n"
    "logfile /var/log/redis/redis-server.log\ndatabases 16\nalways-show-logo no\nset-proc-title "
    "yes\n"
    "proc-title-template \"{title} {listen-addr} {server-mode}\"\nlocale-collate \"\"\n"
    "stop-writes-on-bgsave-error yes\nrdbcompression yes\nrdbchecksum yes\ndbfilename dump.rdb\n"
    "rdb-del-sync-files no\ndir /var/lib/redis\nreplica-serve-stale-data yes\nreplica-read-only "
    "yes\n"
    "repl-diskless-sync yes\nrepl-diskless-sync-delay 5\nrepl-diskless-sync-max-replicas 0\n"
    "repl-diskless-load disabled\nrepl-disable-tcp-nodelay no\nreplica-priority "
    "100\nacllog-max-len 128\n"
    "lazyfree-lazy-eviction no\nlazyfree-lazy-expire no\nlazyfree-lazy-server-del no\n"
    "replica-lazy-flush no\nlazyfree-lazy-user-del no\nlazyfree-lazy-user-flush no\noom-score-adj "
    "no\n"
    "oom-score-adj-values 0 200 800\ndisable-thp yes\nappendonly no\nappendfilename "
    "\"appendonly.aof\"\n"
    "appenddirname \"appendonlydir\"\nappendfsync everysec\nno-appendfsync-on-rewrite no\n"
    "auto-aof-rewrite-percentage 100\nauto-aof-rewrite-min-size 64mb\naof-load-truncated yes\n"
    "aof-use-rdb-preamble yes\naof-timestamp-enabled no\nslowlog-log-slower-than 10000\n"
    "slowlog-max-len 128\nlatency-monitor-threshold 0\nnotify-keyspace-events \"\"\n"
    "hash-max-listpack-entries 512\nhash-max-listpack-value 64\nlist-max-listpack-size -2\n"
    "list-compress-depth 0\nset-max-intset-entries 512\nset-max-listpack-entries 128\n"
    "zset-max-listpack-entries 128\nzset-max-listpack-value 64\nhll-sparse-max-bytes 3000\n"
    "stream-node-max-bytes 4096\nstream-node-max-entries 100\nactiverehashing yes\n"
    "client-output-buffer-limit normal 0 0 0\nclient-output-buffer-limit replica 256mb 64mb 60\n"
    "client-output-buffer-limit pubsub 32mb 8mb 60\nhz 10\ndynamic-hz yes\n"
    "aof-rewrite-incremental-fsync yes\nrdb-save-incremental-fsync yes\njemalloc-bg-thread yes\n";

START_TEST(stock_file_is_accepted) {
    struct config *config = fresh();
    char reason[CONFIG_REASON_BYTES] = "";
    ck_assert_msg(parse(config, stock, reason) == RD_OK, "%s", reason);
    ck_assert_msg(config_finish(config, reason) == RD_OK, "%s", reason);
    expect_value(config, "dir", "/var/lib/redis");
    expect_value(config, "pidfile", "/run/redis/redis-server.pid");
    expect_value(config, "logfile", "/var/log/redis/redis-server.log");
    expect_value(config, "daemonize", "yes");
    /* One warning a line, and none for what has a meaning. */
    const char *text = (const char *)buf_data(&config->warnings);
    size_t warnings = 0;
    for (size_t i = 0; i < buf_len(&config->warnings); i++) {
        warnings += text[i] == '\n';
    }
    size_t lines = 0;
    for (const char *p = stock; *p != '\0'; p++) {
        lines += *p == '\n';
    }
    ck_assert_uint_eq(warnings, lines - 17);
    config_free(&config);
}
END_TEST

/* ---- files and the command line ----------------------------------------------------------------------- */

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static char folder[] = "/tmp/check_config.XXXXXX";

static void enter_folder(void) {
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void leave_folder(void) {
    static const char *const files[] = {"a.conf", "b.conf", "c1.conf", "c2.conf", "self.conf"};
    for (size_t i = 0; i < COUNT(files); i++) {
        (void)unlink(files[i]);
    }
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(command_line_overrides_file) {
    struct config *config = fresh();
    char reason[CONFIG_REASON_BYTES] = "";
    char *arguments[] = {"--port", "7009", "--seed",        "x:1", "y:2",
                         "--seed", "z:3",  "--requirepass", ""};
    write_file(
        "a.conf",
        "port 7001\nseed a:1\nseed b:2\nrequirepass secret\ninclude b.conf\ninclude c*.conf\n"
        "include none*.conf\n");
    write_file("b.conf", "timeout 5\n");
    write_file("c1.conf", "maxclients 5\n");
    write_file("c2.conf", "maxclients 6\n");
    ck_assert_msg(config_load(config, "a.conf", (int)COUNT(arguments), arguments, reason) == RD_OK,
                  "%s", reason);
    expect_value(config, "port", "7009");
    expect_value(config, "seed", "x:1 y:2 z:3");
    expect_value(config, "requirepass", "");
    expect_value(config, "timeout", "5");
    expect_value(config, "maxclients", "6");
    expect_value(config, "cluster-port", "17009");
    ck_assert_int_eq(config->file[0], '/');
    config_free(&config);
}
END_TEST

START_TEST(bad_files) {
    static const struct {
        const char *file, *text, *reason;
    } cases[] = {
        {"none.conf", NULL,
         "configuration file: cannot read 'none.conf': No such file or directory"},
        {"a.conf", "port 1\nport x\n",
         "a.conf, line 2: 'port': argument couldn't be parsed into an integer"},
        {"a.conf", "\ninclude b.conf", "b.conf, line 1: 'nonsense': unknown directive"},
        {"a.conf", "include none.conf",
         "a.conf, line 1: cannot read 'none.conf': No such file or directory"},
        {"self.conf", "include self.conf", "self.conf, line 1: 'include': more than 16 files deep"},
    };
    struct config *config = fresh();
    char reason[CONFIG_REASON_BYTES] = "";
    write_file("b.conf", "nonsense\n");
    if (cases[_i].text != NULL) {
        write_file(cases[_i].file, cases[_i].text);
    }
    ck_assert_int_ne(config_load(config, cases[_i].file, 0, NULL, reason), RD_OK);
    ck_assert_str_eq(reason, cases[_i].reason);
    config_free(&config);
}
END_TEST

START_TEST(bad_command_lines) {
    static struct {
        char *arguments[3];
        int count;
        const char *reason;
    } cases[] = {
        {{"port"}, 1, "command line: 'port': a directive must begin with \"--\""},
        {{"--"}, 1, "command line: '--': a directive must begin with \"--\""},
        {{"--prot", "1"}, 2, "command line: 'prot': unknown directive"},
        {{"--port"}, 1, "command line: 'port': wrong number of arguments"},
        {{"--port", "--timeout", "1"}, 3, "command line: 'port': wrong number of arguments"},
        {{"--port", "x"}, 2, "command line: 'port': argument couldn't be parsed into an integer"},
        {{"--read-quorum", "9"},
         2,
         "command line: 'read-quorum' must not be above 'replication-factor'"},
    };
    struct config *config = fresh();
    char reason[CONFIG_REASON_BYTES] = "";
    ck_assert_int_ne(config_load(config, NULL, cases[_i].count, cases[_i].arguments, reason),
                     RD_OK);
    ck_assert_str_eq(reason, cases[_i].reason);
    config_free(&config);
}
END_TEST

/* ---- CONFIG GET --------------------------------------------------------------------------------------- */

START_TEST(get_by_patterns) {
    struct config *config = fresh();
    struct shown shown;
    get(config, "*-quorum", &shown);
    ck_assert_str_eq(shown.text, "read-quorum=2\nwrite-quorum=2\nsloppy-quorum=yes\n");
    get(config, "MAXMEMORY", &shown);
    ck_assert_str_eq(shown.text, "maxmemory=0\n");
    get(config, "nothing", &shown);
    ck_assert_uint_eq(shown.count, 0);
    memset(&shown, 0, sizeof shown);
    struct resp_slice patterns[] = {slice("port"), slice("p?rt"), slice("save")};
    ck_assert_int_eq(config_get(config, patterns, 3, show, &shown), RD_OK);
    ck_assert_str_eq(shown.text, "port=6379\nsave=\n");
    config_free(&config);
}
END_TEST

/* What CONFIG GET shows of every directive, given back, is the same configuration. */
START_TEST(shown_values_read_back) {
    size_t count;
    const struct config_directive *all = config_directives(&count);
    struct config *one = fresh();
    struct config *two = fresh();
    char reason[CONFIG_REASON_BYTES] = "";
    for (size_t i = 0; i < COUNT(good); i++) {
        ck_assert_int_eq(parse(one, good[i].text, reason), RD_OK);
    }
    for (size_t i = 0; i < count; i++) {
        struct buf value = {0};
        ck_assert_int_eq(config_value_show(one, &all[i], &value), RD_OK);
        struct resp_slice word = {buf_data(&value), buf_len(&value)};
        ck_assert_msg(config_value_set(two, &all[i], &word, 1, reason) == RD_OK, "%s: %s",
                      all[i].name, reason);
        buf_free(&value);
    }
    struct shown first, second;
    get(one, "*", &first);
    get(two, "*", &second);
    ck_assert_str_eq(first.text, second.text);
    ck_assert_uint_ge(first.count, count);
    config_free(&one);
    config_free(&two);
}
END_TEST

/* ---- CONFIG SET --------------------------------------------------------------------------------------- */

static const struct {
    const char *names[3], *values[3];
    size_t count;
    enum rd_err err;
    size_t failed;
    const char *reason;
} changes[] = {
    {{"timeout"}, {"7"}, 1, RD_OK, 9, NULL},
    {{"TimeOut", "requirepass"}, {"7", "x y"}, 2, RD_OK, 9, NULL},
    {{"client-output-buffer-limit"}, {"normal 1 2 3"}, 1, RD_OK, 9, NULL},
    {{"read-quorum", "write-quorum"}, {"1", "3"}, 2, RD_OK, 9, NULL},
    {{"timeout", "nothing"}, {"7", "1"}, 2, RD_ENOTFOUND, 1, "unknown directive"},
    {{"hz"}, {"7"}, 1, RD_ENOTFOUND, 0, "can't set immutable config"},
    {{"timeout", "port"}, {"7", "1"}, 2, RD_ECONF, 1, "can't set immutable config"},
    {{"save"}, {""}, 1, RD_ECONF, 0, "can't set immutable config"},
    {{"replication-factor"}, {"1"}, 1, RD_ECONF, 0, "can't set immutable config"},
    {{"timeout", "timeout"}, {"7", "8"}, 2, RD_EEXIST, 1, "duplicate parameter"},
    {{"requirepass", "timeout"},
     {"new", "x"},
     2,
     RD_ECONF,
     1,
     "argument couldn't be parsed into an integer"},
    {{"timeout", "read-quorum"},
     {"7", "4"},
     2,
     RD_ECONF,
     1,
     "'read-quorum' must not be above 'replication-factor'"},
    {{"requirepass", "client-output-buffer-limit", "timeout"},
     {"new", "normal 9 9 9", "-1"},
     3,
     RD_ECONF,
     2,
     "argument must be between 0 and 2147483647 inclusive"},
    {{"loglevel", "maxclients"}, {"debug", "5"}, 2, RD_ECONF, 1, "no, says the owner"},
};

struct owner {
    size_t asked;
    size_t names;
};

static bool agree_unless_maxclients(void *arg, const char *const *names, size_t count,
                                    char reason[CONFIG_REASON_BYTES]) {
    struct owner *owner = arg;
    owner->asked++;
    owner->names = count;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], "maxclients") == 0) {
            snprintf(reason, CONFIG_REASON_BYTES, "no, says the owner");
            return false;
        }
    }
    return true;
}

START_TEST(set_is_all_or_nothing) {
    struct config *config = fresh();
    char reason[CONFIG_REASON_BYTES] = "";
    struct owner owner = {0, 0};
    struct resp_slice names[3], values[3];
    size_t failed = 9;
    struct shown before, after;
    config->on_change = agree_unless_maxclients;
    config->on_change_arg = &owner;
    ck_assert_int_eq(parse(config, "requirepass old", reason), RD_OK);
    for (size_t i = 0; i < changes[_i].count; i++) {
        names[i] = slice(changes[_i].names[i]);
        values[i] = slice(changes[_i].values[i]);
    }
    get(config, "*", &before);
    enum rd_err err = config_set(config, names, values, changes[_i].count, &failed, reason);
    get(config, "*", &after);
    ck_assert_int_eq(err, changes[_i].err);
    ck_assert_uint_eq(failed, changes[_i].failed);
    if (err == RD_OK) {
        ck_assert_str_ne(before.text, after.text);
        ck_assert_uint_eq(owner.asked, 1);
        ck_assert_uint_eq(owner.names, changes[_i].count);
    } else {
        ck_assert_str_eq(before.text, after.text);
        ck_assert_str_eq(reason, changes[_i].reason);
    }
    config_free(&config);
}
END_TEST

/* ---- the sample file and the manual ------------------------------------------------------------------- */

static void read_top(const char *name, struct buf *out) {
    char path[4096];
    const char *top = getenv("TOP_SRCDIR");
    snprintf(path, sizeof path, "%s/%s", top == NULL ? "." : top, name);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    uint8_t *to;
    size_t n;
    do {
        ck_assert_int_eq(buf_reserve(out, 4096, &to), RD_OK);
        n = fread(to, 1, 4096, file);
        buf_commit(out, n);
    } while (n > 0);
    fclose(file);
    ck_assert_int_eq(buf_append(out, "", 1), RD_OK);
}

START_TEST(sample_is_all_defaults) {
    struct config *defaults = fresh();
    struct config *sampled = fresh();
    struct buf sample = {0};
    struct shown first, second;
    char reason[CONFIG_REASON_BYTES] = "";
    ck_assert_int_eq(config_sample(&sample), RD_OK);
    ck_assert_int_eq(
        config_parse(sampled, "sample", (const char *)buf_data(&sample), buf_len(&sample), reason),
        RD_OK);
    get(defaults, "*", &first);
    get(sampled, "*", &second);
    ck_assert_str_eq(first.text, second.text);
    ck_assert_uint_eq(buf_len(&sampled->warnings), 0);
    buf_free(&sample);
    config_free(&defaults);
    config_free(&sampled);
}
END_TEST

/* redynamo.conf is what config_sample says; UPDATE_SAMPLE=1 in the environment rewrites it. */
START_TEST(sample_file_is_up_to_date) {
    struct buf sample = {0};
    struct buf file = {0};
    ck_assert_int_eq(config_sample(&sample), RD_OK);
    ck_assert_int_eq(buf_append(&sample, "", 1), RD_OK);
    if (getenv("UPDATE_SAMPLE") != NULL) {
        char path[4096];
        snprintf(path, sizeof path, "%s/redynamo.conf", getenv("TOP_SRCDIR"));
        write_file(path, (const char *)buf_data(&sample));
    }
    read_top("redynamo.conf", &file);
    ck_assert_str_eq((const char *)buf_data(&file), (const char *)buf_data(&sample));
    buf_free(&file);
    buf_free(&sample);
}
END_TEST

START_TEST(manual_names_every_directive) {
    size_t count;
    const struct config_directive *all = config_directives(&count);
    struct buf manual = {0};
    read_top("man/redynamo.conf.5", &manual);
    for (size_t i = 0; i < count; i++) {
        char item[128];
        snprintf(item, sizeof item, "\n.It Ic %s ", all[i].name);
        ck_assert_msg(strstr((const char *)buf_data(&manual), item) != NULL, "%s", all[i].name);
    }
    buf_free(&manual);
}
END_TEST

/* ---- out of memory ------------------------------------------------------------------------------------ */

START_TEST(loading_without_memory) {
    const char *text =
        "seed a:1 b:2\nbind 1.2.3.4 ::1\nrequirepass 'x y'\nsave 1 1\nclient-output-buffer-limit "
        "normal 1 2 3\n";
    char reason[CONFIG_REASON_BYTES];
    for (unsigned n = 1;; n++) {
        struct config *config = NULL;
        oom_fail_at(n);
        enum rd_err err = config_new(&config);
        if (err == RD_OK) {
            err = parse(config, text, reason);
        }
        int failed = oom_stop();
        config_free(&config);
        if (!failed) {
            ck_assert_int_eq(err, RD_OK);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
    }
}
END_TEST

START_TEST(changing_without_memory) {
    struct config *config = fresh();
    char reason[CONFIG_REASON_BYTES];
    struct resp_slice names[] = {slice("requirepass"), slice("timeout")};
    struct resp_slice values[] = {slice("new"), slice("7")};
    struct shown before, after;
    size_t failed_at;
    struct owner owner = {0, 0};
    config->on_change = agree_unless_maxclients;
    config->on_change_arg = &owner;
    get(config, "*", &before);
    for (unsigned n = 1;; n++) {
        oom_fail_at(n);
        enum rd_err err = config_set(config, names, values, 2, &failed_at, reason);
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
        get(config, "*", &after);
        ck_assert_str_eq(before.text, after.text);
    }
    expect_value(config, "requirepass", "new");
    config_free(&config);
}
END_TEST

START_TEST(showing_without_memory) {
    struct config *config = fresh();
    struct resp_slice pattern = slice("*");
    for (unsigned n = 1;; n++) {
        static struct shown shown;
        memset(&shown, 0, sizeof shown);
        oom_fail_at(n);
        enum rd_err err = config_get(config, &pattern, 1, show, &shown);
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
    }
    config_free(&config);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("config");
    TCase *tc = tcase_create("parsing");
    tcase_add_loop_test(tc, good_lines, 0, (int)COUNT(good));
    tcase_add_test(tc, every_directive_is_tried);
    tcase_add_loop_test(tc, bad_lines, 0, (int)COUNT(bad));
    tcase_add_loop_test(tc, cross_checks, 0, (int)COUNT(together));
    tcase_add_test(tc, finish_fills_in);
    tcase_add_test(tc, harmless_strangers_warn_once_each);
    tcase_add_test(tc, stock_file_is_accepted);
    suite_add_tcase(suite, tc);
    tc = tcase_create("sources");
    tcase_add_checked_fixture(tc, enter_folder, leave_folder);
    tcase_add_test(tc, command_line_overrides_file);
    tcase_add_loop_test(tc, bad_files, 0, 5);
    tcase_add_loop_test(tc, bad_command_lines, 0, 7);
    suite_add_tcase(suite, tc);
    tc = tcase_create("get and set");
    tcase_add_test(tc, get_by_patterns);
    tcase_add_test(tc, shown_values_read_back);
    tcase_add_loop_test(tc, set_is_all_or_nothing, 0, (int)COUNT(changes));
    suite_add_tcase(suite, tc);
    tc = tcase_create("documents");
    tcase_add_test(tc, sample_is_all_defaults);
    tcase_add_test(tc, sample_file_is_up_to_date);
    tcase_add_test(tc, manual_names_every_directive);
    suite_add_tcase(suite, tc);
    tc = tcase_create("out of memory");
    tcase_add_test(tc, loading_without_memory);
    tcase_add_test(tc, changing_without_memory);
    tcase_add_test(tc, showing_without_memory);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
