/* The program from its command line to its exit: configuration files, their errors, CONFIG and INFO. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SERVER "src/redynamo-server"

/* Runs the server with these arguments to its end; its output replaces what is in `out`. */
/* $d is an empty folder. */
static int run(struct buf *out, const char *arguments) {
    return proc_run(out, "d=$(mktemp -d) && { '%s' %s; s=$?; rm -r \"$d\"; exit $s; }",
                    proc_built(SERVER), arguments);
}

static size_t line_count(const struct buf *out) {
    size_t count = 0;
    for (size_t i = 0; i < buf_len(out); i++) {
        count += buf_data(out)[i] == '\n';
    }
    return count;
}

/* ---- starts that end at once ----------------------------------------------------------------------- */

static const struct {
    const char *arguments;
    int status;
    const char *said; /* a pattern */
} command_lines[] = {
    {"--version", 0, "redynamo-server 0.*"},
    {"-v", 0, "redynamo-server 0.*"},
    {"--help", 0, "usage: redynamo-server *"},
    {"--port 0 --check-config", 0, "*the configuration is good*"},
    {"/nonexistent/redynamo.conf", 1, "redynamo-server: */nonexistent/redynamo.conf*No such file*"},
    {"/etc", 1, "redynamo-server: */etc*"},
    {"--nosuch 1", 1, "redynamo-server: *nosuch*"},
    {"--port", 1, "redynamo-server: *port*"},
    {"--port x", 1, "redynamo-server: *port*"},
    {"--port 70000", 1, "redynamo-server: *port*"},
    {"--port 1 2", 1, "redynamo-server: *port*"},
    {"--replication-factor 3 --write-quorum 4", 1, "redynamo-server: *write-quorum*"},
    {"--read-quorum 0", 1, "redynamo-server: *read-quorum*"},
    {"--partitions 1000", 1, "redynamo-server: *partitions*power of two*"},
    {"--dir /nonexistent --port 0", 1, "redynamo-server: *dir*/nonexistent*No such file*"},
    {"--logfile /nonexistent/log --dir $d", 1, "redynamo-server: */nonexistent/log*"},
    {"--tls-port 6380", 1, "redynamo-server: *tls-port*"},
    {"--replicaof 127.0.0.1 6379", 1, "redynamo-server: *replicaof*"},
    {"--maxmemory 100mb", 1, "redynamo-server: *maxmemory*"},
    {"--user alice on", 1, "redynamo-server: *user*"},
    {"--seed nowhere", 1, "redynamo-server: *seed*"},
    {"--bind 256.0.0.1 --dir $d --port 0", 1, "redynamo-server: *256.0.0.1*"},
    {"--check-store", 1, "redynamo-server: *--check-store*"},
    {"--check-store /nonexistent", 1, "*/nonexistent*"},
};

START_TEST(command_line) {
    struct buf out = {0};
    int status = run(&out, command_lines[_i].arguments);
    ck_assert_msg(status == command_lines[_i].status, "%s: %d: %s", command_lines[_i].arguments,
                  status, show_text(&out));
    ck_assert_msg(show_matches(command_lines[_i].said, show_text(&out)), "%s: %s",
                  command_lines[_i].arguments, show_text(&out));
    ck_assert_msg(status == 0 || line_count(&out) == 1, "not one line: %s", show_text(&out));
    buf_free(&out);
}
END_TEST

static const struct {
    const char *text;
    int line;
    const char *reason;
} bad_files[] = {
    {"nosuch 1\n", 1, "*nosuch*"},
    {"# comment\n\nport 1\nport x\n", 4, "*port*"},
    {"port \"1\n", 1, "*quote*"},
    {"port\n", 1, "*port*"},
    {"appendfsync sometimes\n", 1, "*appendfsync*everysec, always, no*"},
    {"protected-mode maybe\n", 1, "*protected-mode*yes*no*"},
    {"cache-size 1zb\n", 1, "*cache-size*"},
    {"cache-size -1\n", 1, "*cache-size*"},
    {"port 1\n  max-object-size  1b\n", 2, "*max-object-size*"},
    {"rename-command CONFIG \"\"\n", 1, "*rename-command*"},
    {"sloppy-quorum perhaps\n", 1, "*sloppy-quorum*"},
    {"masterauth x\n", 1, "*masterauth*"},
    {"loadmodule x.so\n", 1, "*loadmodule*"},
    {"include /nonexistent.conf\n", 1, "*/nonexistent.conf*"},
    {"seed a:1\nseed b\n", 2, "*seed*"},
    {"client-output-buffer-limit normal 1\n", 1, "*client-output-buffer-limit*"},
};

/* One line that names the file, the line and the reason. */
START_TEST(bad_file) {
    struct buf out = {0};
    char dir[PROC_PATH], file[PROC_PATH], pattern[PROC_PATH + 64];
    proc_temp_dir(dir);
    snprintf(file, sizeof file, "%.400s/bad.conf", dir);
    snprintf(pattern, sizeof pattern, "redynamo-server: *%s, line %d: %s\n", file,
             bad_files[_i].line, bad_files[_i].reason);
    proc_write_file(file, bad_files[_i].text);
    int status = run(&out, file);
    ck_assert_msg(status == 1 && line_count(&out) == 1 && show_matches(pattern, show_text(&out)),
                  "%s: %d: %s", bad_files[_i].text, status, show_text(&out));
    buf_free(&out);
}
END_TEST

/* What another process holds is not taken: ports, and the folder of a running node. */
START_TEST(taken) {
    struct cluster *c = cluster_start(1, "");
    struct buf out = {0};
    char arguments[2 * PROC_PATH], dir[PROC_PATH];
    proc_temp_dir(dir);
    snprintf(arguments, sizeof arguments, "--port %d --cluster-port %d --dir %s --bind 127.0.0.1",
             c->nodes[0].port, proc_port(), dir);
    ck_assert_int_eq(run(&out, arguments), 1);
    ck_assert_msg(strstr(show_text(&out), "ddress already in use") != NULL, "%s", show_text(&out));
    snprintf(arguments, sizeof arguments, "--port %d --cluster-port %d --dir %s --bind 127.0.0.1",
             proc_port(), c->nodes[0].bus_port, dir);
    ck_assert_int_eq(run(&out, arguments), 1);
    ck_assert_msg(strstr(show_text(&out), "ddress already in use") != NULL, "%s", show_text(&out));
    snprintf(arguments, sizeof arguments,
             "--port %d --cluster-port %d --dir %.400s/data --bind 127.0.0.1", proc_port(),
             proc_port(), c->nodes[0].dir);
    int status = run(&out, arguments);
    ck_assert_msg(status == 1, "%d: %s", status, show_text(&out));
    buf_free(&out);
    cluster_free(&c);
}
END_TEST

/* ---- starts that last ------------------------------------------------------------------------------ */

/* Debian's redis.conf, as it is, with what it must not share with a redis-server put right on the command line. */
START_TEST(stock_redis_conf) {
    struct buf out = {0};
    char dir[PROC_PATH], log[PROC_PATH], port[16], bus[16];
    struct client c;
    if (access("/etc/redis/redis.conf", R_OK) != 0) {
        printf("skipped: stock_redis_conf: /etc/redis/redis.conf is readable for root only\n");
        return;
    }
    proc_temp_dir(dir);
    snprintf(log, sizeof log, "%.400s/log", dir);
    snprintf(port, sizeof port, "%d", proc_port());
    snprintf(bus, sizeof bus, "%d", proc_port());
    char *const argv[] = {(char *)proc_built(SERVER),
                          "/etc/redis/redis.conf",
                          "--port",
                          port,
                          "--cluster-port",
                          bus,
                          "--dir",
                          dir,
                          "--logfile",
                          log,
                          "--daemonize",
                          "no",
                          "--pidfile",
                          "",
                          "--bind",
                          "127.0.0.1",
                          NULL};
    pid_t pid = proc_start(argv, NULL, log);
    bool up = false;
    for (int i = 0; i < 2000 && !up && waitpid(pid, NULL, WNOHANG) == 0; i++) {
        up = client_try_open(&c, (int)strtol(port, NULL, 10));
        proc_sleep_ms(up ? 0 : 5);
    }
    ck_assert(proc_read_file(log, &out));
    ck_assert_msg(up, "%s", show_text(&out));
    expect(&c, "+OK", "SET a b");
    expect(&c, "[\"appendfsync\", \"everysec\"]", "CONFIG GET appendfsync");
    expect(&c, "[\"timeout\", \"0\"]", "CONFIG GET timeout");
    /* One warning for each directive that means nothing here. */
    ck_assert_uint_eq(proc_count_lines(log, "'rdbcompression'"), 1);
    ck_assert_uint_eq(proc_count_lines(log, "'lua-time-limit'") +
                          proc_count_lines(log, "'jemalloc-bg-thread'"),
                      1 + (strstr((const char *)buf_data(&out), "lua-time-limit") != NULL));
    ck_assert_uint_eq(proc_count_lines(log, "'appendfsync'"), 0);
    kill(pid, SIGTERM);
    ck_assert_int_eq(proc_wait(pid), 0);
    client_close(&c);
    buf_free(&out);
}
END_TEST

/* True if the process has ended, whether or not somebody has taken note. */
static bool has_ended(pid_t pid) {
    char path[64];
    struct buf stat = {0};
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    bool there = proc_read_file(path, &stat);
    bool ended = !there || buf_len(&stat) == 0 || strstr(show_text(&stat), ") Z ") != NULL;
    buf_free(&stat);
    return ended;
}

/* daemonize: the parent returns when the node serves; the pidfile comes and goes. */
START_TEST(daemonized) {
    struct buf out = {0};
    char dir[PROC_PATH], arguments[3 * PROC_PATH], pidfile[PROC_PATH];
    struct client c;
    int port = proc_port();
    proc_temp_dir(dir);
    snprintf(pidfile, sizeof pidfile, "%.400s/pid", dir);
    snprintf(arguments, sizeof arguments,
             "--port %d --cluster-port %d --dir %s --bind 127.0.0.1 --daemonize yes --pidfile %s "
             "--logfile log",
             port, proc_port(), dir, pidfile);
    ck_assert_int_eq(run(&out, arguments), 0);
    ck_assert(proc_read_file(pidfile, &out));
    pid_t pid = (pid_t)strtol(show_text(&out), NULL, 10);
    ck_assert_int_gt(pid, 1);
    client_open(&c, port);
    char process[64];
    snprintf(process, sizeof process, "\"*process_id:%d\\r\\n*\"", pid);
    expect(&c, process, "INFO server");
    expect(&c, "closed", "SHUTDOWN");
    WAIT_FOR(has_ended(pid));
    ck_assert_int_ne(access(pidfile, F_OK), 0);
    client_close(&c);
    buf_free(&out);
}
END_TEST

/* ---- CONFIG and INFO ------------------------------------------------------------------------------- */

START_TEST(config_commands) {
    static const struct exchange table[] = {
        {"CONFIG GET write-quorum", "[\"write-quorum\", \"2\"]"},
        {"CONFIG GET replication-factor read-quorum",
         "[\"replication-factor\", \"3\", \"read-quorum\", \"2\"]"},
        {"CONFIG GET *-quorum",
         "[\"read-quorum\", \"2\", \"write-quorum\", \"2\", \"sloppy-quorum\", \"yes\"]"},
        {"CONFIG GET *", "[*\"port\", *\"seed\", \"*\"*]"},
        {"CONFIG SET write-quorum 3", "+OK"},
        {"CONFIG GET write-quorum", "[\"write-quorum\", \"3\"]"},
        {"DYNQUORUM", "[\"n\", :3, \"r\", :2, \"w\", :3, *]"},
        {"CONFIG SET write-quorum 4",
         "-ERR CONFIG SET failed (possibly related to argument 'write-quorum') - *"},
        {"CONFIG SET read-quorum 1 write-quorum 4", "-ERR CONFIG SET failed *"},
        {"CONFIG GET *-quorum",
         "[\"read-quorum\", \"2\", \"write-quorum\", \"3\", \"sloppy-quorum\", \"yes\"]"},
        {"CONFIG SET read-quorum 1 write-quorum 1", "+OK"},
        {"CONFIG GET *-quorum",
         "[\"read-quorum\", \"1\", \"write-quorum\", \"1\", \"sloppy-quorum\", \"yes\"]"},
        {"CONFIG SET replication-factor 2", "-ERR CONFIG SET failed (possibly related to argument "
                                            "'replication-factor') - can't set immutable config"},
        {"CONFIG SET partitions 64", "-ERR CONFIG SET failed (possibly related to argument "
                                     "'partitions') - can't set immutable config"},
        {"CONFIG SET cluster-name other", "-ERR CONFIG SET failed * - can't set immutable config"},
        {"CONFIG SET conflict-resolution last-write-wins",
         "-ERR CONFIG SET failed * - can't set immutable config"},
        {"CONFIG SET port 1", "-ERR CONFIG SET failed * - can't set immutable config"},
        {"CONFIG SET appendfsync always", "+OK"},
        {"SET a b", "+OK"},
        {"CONFIG SET appendfsync no", "+OK"},
        {"SET a c", "+OK"},
        {"INFO persistence", "\"*appendfsync:no\\r\\n*\""},
        {"CONFIG SET loglevel debug", "+OK"},
        {"GET a", "\"c\""},
        {"CONFIG SET loglevel warning", "+OK"},
        {"CONFIG GET maxmemory", "[\"maxmemory\", \"0\"]"},
        {"CONFIG GET save", "[\"save\", \"\"]"},
        {"CONFIG GET databases", "[\"databases\", \"1\"]"},
        {"CONFIG SET proto-max-bulk-len 1mb", "+OK"},
        {"CONFIG GET proto-max-bulk-len", "[\"proto-max-bulk-len\", \"1048576\"]"},
    };
    struct cluster *c = cluster_start(1, "");
    struct client client;
    client_open(&client, c->nodes[0].port);
    PLAY(&client, table);
    /* Behind the new limit. */
    struct raw raw;
    raw_open(&raw, c->nodes[0].port);
    raw_send(&raw, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1048577\r\n", 30);
    raw_expect(&raw, "-ERR Protocol error: invalid bulk length");
    raw_expect(&raw, "closed");
    raw_close(&raw);
    client_close(&client);
    cluster_free(&c);
}
END_TEST

static const char *const info_fields[] = {
    /* Redis's */
    "redis_version",
    "redynamo_version",
    "redis_mode",
    "process_id",
    "run_id",
    "tcp_port",
    "uptime_in_seconds",
    "connected_clients",
    "maxclients",
    "used_memory",
    "used_memory_rss",
    "maxmemory",
    "loading",
    "aof_last_write_status",
    "total_connections_received",
    "total_commands_processed",
    "keyspace_hits",
    "keyspace_misses",
    "role",
    "connected_slaves",
    "used_cpu_sys",
    "used_cpu_user",
    "cluster_enabled",
    "db0",
    /* ours */
    "node_id",
    "cluster_name",
    "members",
    "members_up",
    "partitions_owned",
    "hints_pending",
    "hints_delivered",
    "read_repairs",
    "antientropy_exchanges",
    "antientropy_keys_repaired",
    "antientropy_bytes",
    "transfers_pending",
    "sibling_reads",
    "quorum_failures_read",
    "quorum_failures_write",
    "requests_forwarded",
    "tombstones",
};

START_TEST(info) {
    struct cluster *c = cluster_start(1, "");
    struct client client;
    char sought[64];
    client_open(&client, c->nodes[0].port);
    expect(&client, "+OK", "SET a b");
    expect(&client, "\"b\"", "GET a");
    expect(&client, "nil", "GET nosuch");
    expect(&client, "-ERR *", "NOSUCH");
    long long commands = client_info(&client, "total_commands_processed");
    expect(&client, "+PONG", "PING");
    ck_assert_int_eq(client_info(&client, "total_commands_processed"), commands + 2);
    ck_assert_int_eq(client_info(&client, "keyspace_hits"), 1);
    ck_assert_int_eq(client_info(&client, "keyspace_misses"), 1);
    ck_assert_int_eq(client_info(&client, "total_error_replies"), 1);
    ck_assert_int_eq(client_info(&client, "connected_clients"), 1);
    expect(&client, "\"*errorstat_ERR:count=1\\r\\n*\"", "INFO errorstats");
    expect(&client, "\"*cmdstat_get:calls=2,usec=*\"", "INFO commandstats");
    for (size_t i = 0; i < COUNT(info_fields); i++) {
        snprintf(sought, sizeof sought, "\\n%s:", info_fields[i]);
        ck_assert_msg(strstr(ask(&client, "INFO"), sought) != NULL, "no %s", info_fields[i]);
    }
    expect(&client, "\"# Dynamo\\r\\nnode_id:*\"", "INFO dynamo");
    expect(&client, "\"# Server\\r\\nredis_version:7.2.0\\r\\n*# Dynamo\\r\\n*\"",
           "INFO server DYNAMO");
    expect(&client, "\"\"", "INFO nosuch");
    expect(&client, "+OK", "CONFIG RESETSTAT");
    ck_assert_int_eq(client_info(&client, "keyspace_hits"), 0);
    ck_assert_int_eq(client_info(&client, "total_error_replies"), 0);
    client_close(&client);
    cluster_free(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("startup");
    TCase *own = run_group(suite, NULL, NULL);
    tcase_add_loop_test(own, command_line, 0, (int)COUNT(command_lines));
    tcase_add_loop_test(own, bad_file, 0, (int)COUNT(bad_files));
    tcase_add_test(own, taken);
    tcase_add_test(own, stock_redis_conf);
    tcase_add_test(own, daemonized);
    tcase_add_test(own, config_commands);
    tcase_add_test(own, info);
    return run_tests(suite);
}
