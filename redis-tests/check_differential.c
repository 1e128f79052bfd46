/* Debian's redis-server beside us: the same bytes to both, and the replies compared byte for byte.
 *
 * What differs on purpose stands in a list of its own below, with the reason; a difference that is not in the list fails, and so does
 * an entry that is no difference any more. Redis runs once alone (several keys in one command) and once as a cluster.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LONG_TEXT                                                                                  \
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901" \
    "23456789"

static struct cluster *cluster;
static int redis_port, redis_cluster_port;
static pid_t redis_pids[2];

static bool listens(int port) {
    struct client c;
    bool yes = client_try_open(&c, port);
    client_close(&c);
    return yes;
}

static pid_t redis_start(int *port, char *mode) {
    char dir[PROC_PATH], number[16], bus[16], log[PROC_PATH];
    *port = proc_port();
    proc_temp_dir(dir);
    snprintf(number, sizeof number, "%d", *port);
    snprintf(bus, sizeof bus, "%d", proc_port());
    snprintf(log, sizeof log, "%.400s/redis.log", dir);
    char *const argv[] = {
        "redis-server", "--port", number, "--cluster-port", bus,         "--cluster-enabled",
        mode,           "--save", "",     "--bind",         "127.0.0.1", NULL};
    pid_t pid = proc_start(argv, dir, log);
    WAIT_FOR(listens(*port));
    return pid;
}

static void start(void) {
    struct client c;
    cluster = cluster_start(3, "");
    redis_pids[0] = redis_start(&redis_port, "no");
    redis_pids[1] = redis_start(&redis_cluster_port, "yes");
    client_open(&c, redis_cluster_port);
    expect(&c, "+OK", "CLUSTER ADDSLOTSRANGE 0 16383");
    WAIT_FOR(strstr(ask(&c, "CLUSTER INFO"), "cluster_state:ok") != NULL);
    client_close(&c);
}

static void stop(void) {
    struct client c;
    for (int i = 0; i < 2; i++) {
        client_open(&c, i == 0 ? redis_port : redis_cluster_port);
        expect(&c, "closed", "SHUTDOWN NOSAVE");
        client_close(&c);
        proc_wait(redis_pids[i]);
    }
    cluster_free(&cluster);
}

/* ---- commands -------------------------------------------------------------------------------------- */

static const char *const commands[] = {
    "PING",
    "PING x",
    "PING a b",
    "ping x",
    "ECHO",
    "ECHO a",
    "ECHO a b",
    "SELECT",
    "SELECT 0",
    "SELECT x",
    "SELECT 0 0",
    "TIME x",
    /* strings */
    "DEL k l m",
    "GET",
    "GET a b",
    "GET k",
    "SET",
    "SET k",
    "SET k v",
    "GET k",
    "SET k w",
    "GET k",
    "set k x",
    "STRLEN k",
    "STRLEN",
    "STRLEN a b",
    "TYPE k",
    "TYPE nosuch",
    "TYPE",
    "TYPE a b",
    "EXISTS",
    "EXISTS k k nosuch",
    "MGET",
    "MGET k nosuch k",
    "MSET",
    "MSET k",
    "MSET k 1 l",
    "MSET k 1 l 2 k 3",
    "MGET k l",
    "DEL",
    "DEL k k l",
    "DEL k",
    "UNLINK",
    "UNLINK k nosuch",
    "SET \"\" \"\"",
    "GET \"\"",
    "STRLEN \"\"",
    "DEL \"\"",
    "SET \"a b\\x00\\xff\" \"\\r\\n\"",
    "GET \"a b\\x00\\xff\"",
    "DEL \"a b\\x00\\xff\"",
    /* expiry */
    "SET k v EX",
    "SET k v EX x",
    "SET k v EX 1.5",
    "SET k v EX 0",
    "SET k v EX -1",
    "SET k v PX 0",
    "SET k v PX -1",
    "SET k v EXAT 0",
    "SET k v EXAT -5",
    "SET k v PXAT 0",
    "SET k v EX 9223372036854775807",
    "SET k v PX 9223372036854775807",
    "SET k v EXAT 9223372036854775807",
    "SET k v EX 9223372036854775",
    "SET k v EX 99999999999999999999",
    "SET k v EX 10 PX 10",
    "SET k v EX 10 EX 10",
    "SET k v PX 10 EXAT 10",
    "SET k v FOO",
    "SET k v EX 10 FOO",
    "GET k",
    "SET k v EX 1000",
    "SET k v ex 1000",
    "SET k v PX 1000000",
    "GET k",
    "SET k v EXAT 1",
    "GET k",
    "EXISTS k",
    "SET k v PXAT 1",
    "GET k",
    "SET k v PXAT 99999999999999",
    "GET k",
    "DEL k",
    /* connections */
    "AUTH",
    "AUTH a b c",
    "AUTH pass",
    "AUTH default x",
    "AUTH nobody x",
    "HELLO x",
    "HELLO 1",
    "HELLO 4",
    "HELLO 3 FOO",
    "HELLO 3 AUTH a",
    "HELLO 3 AUTH nobody x",
    "HELLO 3 SETNAME",
    "HELLO 2 SETNAME \"a b\"",
    "CLIENT",
    "CLIENT FOO",
    "CLIENT foo bar",
    "CLIENT ID x",
    "CLIENT SETNAME",
    "CLIENT SETNAME \"a b\"",
    "CLIENT SETNAME \"a\\n\"",
    "CLIENT GETNAME",
    "CLIENT SETNAME me",
    "CLIENT GETNAME",
    "CLIENT GETNAME x",
    "CLIENT SETNAME \"\"",
    "CLIENT GETNAME",
    "CLIENT LIST TYPE foo",
    "CLIENT LIST TYPE",
    "CLIENT LIST FOO",
    "CLIENT LIST ID",
    "CLIENT LIST ID x",
    "CLIENT LIST ID 0",
    "CLIENT LIST ID 99999999",
    "CLIENT LIST TYPE replica",
    "CLIENT LIST TYPE master",
    "CLIENT LIST TYPE pubsub",
    "CLIENT REPLY FOO",
    "CLIENT REPLY",
    "CLIENT INFO x",
    "RESET x",
    /* unknown commands */
    "FOO",
    "foo bar",
    "\"fo\\x00o\" a",
    "\"\"",
    "FOO '" LONG_TEXT "' '" LONG_TEXT "' x",
    "FOO \"a\\r\\nb\"",
    LONG_TEXT LONG_TEXT " a",
    "CLIENT " LONG_TEXT LONG_TEXT,
    /* commands */
    "COMMAND FOO",
    "COMMAND COUNT x",
    "COMMAND INFO nosuch",
    "COMMAND GETKEYS",
    "COMMAND GETKEYS PING",
    "COMMAND GETKEYS nosuch",
    "COMMAND GETKEYS GET",
    "COMMAND GETKEYS SET a b",
    "COMMAND GETKEYS MSET a 1 b 2",
    "COMMAND GETKEYS DEL a b c",
    "COMMAND GETKEYS MGET a b",
    "COMMAND GETKEYSANDFLAGS GET a",
    "COMMAND GETKEYSANDFLAGS DEL a b",
    "COMMAND GETKEYSANDFLAGS MSET a b",
    "COMMAND LIST FOO",
    "COMMAND LIST FILTERBY",
    "COMMAND LIST FILTERBY FOO x",
    "COMMAND LIST FILTERBY PATTERN nosuch*",
    "COMMAND LIST FILTERBY PATTERN msetn*",
    "COMMAND LIST FILTERBY MODULE x",
    "COMMAND DOCS nosuch",
    "COMMAND GETKEYS CLIENT ID",
    /* configuration */
    "CONFIG",
    "CONFIG FOO",
    "CONFIG GET",
    "CONFIG GET nosuch",
    "CONFIG GET appendfsync",
    "CONFIG GET APPENDFSYNC",
    "CONFIG GET maxclient*",
    "CONFIG GET timeout",
    "CONFIG GET tcp-keepalive",
    "CONFIG GET timeout timeout",
    "CONFIG GET databases2",
    "CONFIG SET",
    "CONFIG SET timeout",
    "CONFIG SET timeout 1 loglevel",
    "CONFIG SET nosuch 1",
    "CONFIG SET timeout x",
    "CONFIG SET timeout -1",
    "CONFIG SET loglevel loud",
    "CONFIG SET appendfsync sometimes",
    "CONFIG SET protected-mode maybe",
    "CONFIG SET daemonize yes",
    "CONFIG SET timeout 0 timeout 0",
    "CONFIG SET timeout 0 nosuch 1",
    "CONFIG SET tcp-keepalive 301",
    "CONFIG GET tcp-keepalive",
    "CONFIG SET tcp-keepalive 300 loglevel notice",
    "CONFIG GET tcp-keepalive",
    "CONFIG RESETSTAT x",
    "CONFIG SET proto-max-bulk-len 1",
    "CONFIG SET proto-max-bulk-len 1zb",
    "CONFIG SET client-query-buffer-limit 2mb",
    "CONFIG GET client-query-buffer-limit",
    "CONFIG SET client-query-buffer-limit 1gb",
    "CONFIG GET client-output-buffer-limit",
    "CONFIG SET client-output-buffer-limit \"normal 1 2\"",
    "CONFIG SET client-output-buffer-limit \"foo 1 2 3\"",
    "CONFIG GET requirepass",
    "CONFIG GET save2 slowlog-max-len",
    "CONFIG SET slowlog-max-len -1",
    /* the server */
    "DBSIZE x",
    "INFO nosuch",
    "SHUTDOWN x",
    "SHUTDOWN SAVE NOSAVE",
    "SHUTDOWN ABORT",
    "SHUTDOWN NOW ABORT",
};

/* Compared with Redis as a cluster. */
static const char *const cluster_commands[] = {
    "SELECT 0",
    "SELECT 1",
    "SELECT -1",
    "READONLY",
    "READONLY x",
    "READWRITE",
    "ASKING",
    "ASKING x",
    "CLUSTER",
    "CLUSTER FOO",
    "CLUSTER KEYSLOT",
    "CLUSTER KEYSLOT a b",
    "CLUSTER KEYSLOT a",
    "CLUSTER KEYSLOT \"\"",
    "CLUSTER KEYSLOT foo{bar}baz",
    "CLUSTER KEYSLOT foo{}bar",
    "CLUSTER KEYSLOT foo{{bar}}",
    "CLUSTER KEYSLOT {a",
    "CLUSTER KEYSLOT \"{\\x00}\"",
    "CLUSTER KEYSLOT 123456789",
    "CLUSTER MYID x",
    "CLUSTER NODES x",
    "CLUSTER INFO x",
    "CLUSTER SLOTS x",
    "CLUSTER SHARDS x",
    "CLUSTER COUNTKEYSINSLOT",
    "CLUSTER COUNTKEYSINSLOT x",
    "CLUSTER COUNTKEYSINSLOT -1",
    "CLUSTER COUNTKEYSINSLOT 16384",
    "CLUSTER COUNTKEYSINSLOT 16383",
};

/* On purpose not as Redis 7.0.15, which Debian has. */
static const struct difference {
    const char *command, *why;
} differences[] = {
    {"COMMAND GETKEYS PING", "the arity of COMMAND GETKEYS is 7.2's"},
    {"COMMAND GETKEYS nosuch", "likewise"},
    {"COMMAND GETKEYS GET", "likewise"},
    {"CONFIG GET APPENDFSYNC", "names are spelled as in the table"},
    {"CONFIG SET proto-max-bulk-len 1", "other bounds"},
    {"CONFIG SET slowlog-max-len -1", "other bounds"},
};

static const struct difference *listed(const char *command) {
    for (size_t i = 0; i < COUNT(differences); i++) {
        if (strcmp(differences[i].command, command) == 0) {
            return &differences[i];
        }
    }
    return NULL;
}

/* Sends a command to both; returns whether the replies are the same bytes, and says so if that is not as listed. */
static size_t compare(struct raw *ours, struct raw *theirs, const char *command) {
    size_t our_len, their_len;
    raw_command(ours, command);
    raw_command(theirs, command);
    ck_assert_str_ne(raw_reply(theirs), "closed");
    ck_assert_str_ne(raw_reply(ours), "closed");
    const uint8_t *our_bytes = raw_bytes(ours, &our_len),
                  *their_bytes = raw_bytes(theirs, &their_len);
    bool same =
        our_len == their_len && (our_len == 0 || memcmp(our_bytes, their_bytes, our_len) == 0);
    if (same == (listed(command) == NULL)) {
        return 0;
    }
    printf("%.120s\n  redis    %.300s\n  redynamo %.300s\n", command, show_text(&theirs->text),
           show_text(&ours->text));
    return 1;
}

static void compare_all(const char *const *table, size_t count, int port, int protocol) {
    struct raw ours, theirs;
    size_t wrong = 0;
    raw_open(&ours, cluster->nodes[0].port);
    raw_open(&theirs, port);
    if (protocol == 3) {
        raw_command(&ours, "HELLO 3");
        raw_command(&theirs, "HELLO 3");
        raw_expect(&ours, "{\"server\": \"redis\", *");
        raw_expect(&theirs, "{\"server\": \"redis\", *");
    }
    for (size_t i = 0; i < count; i++) {
        wrong += compare(&ours, &theirs, table[i]);
    }
    raw_close(&ours);
    raw_close(&theirs);
    fflush(stdout);
    ck_assert_msg(wrong == 0, "%zu of %zu commands differ, see above", wrong, count);
}

START_TEST(same_replies) {
    compare_all(commands, COUNT(commands), redis_port, _i);
}
END_TEST

START_TEST(same_replies_of_a_cluster) {
    compare_all(cluster_commands, COUNT(cluster_commands), redis_cluster_port, _i);
}
END_TEST

/* ---- bytes that are no commands -------------------------------------------------------------------- */

#define BYTES(literal) literal, sizeof(literal) - 1

static const struct {
    const char *bytes;
    size_t len;
    size_t filler; /* so many 'a' behind them */
} streams[] = {
    {BYTES("*x\r\n"), 0},
    {BYTES("*\r\n"), 0},
    {BYTES("*1 \r\n"), 0},
    {BYTES("*9999999999\r\n"), 0},
    {BYTES("*99999999999999999999999\r\n"), 0},
    {BYTES("*1\r\n+PING\r\n"), 0},
    {BYTES("*1\r\nPING\r\n"), 0},
    {BYTES("*1\r\n\x01\r\n"), 0},
    {BYTES("*1\r\n$\r\n"), 0},
    {BYTES("*1\r\n$x\r\n"), 0},
    {BYTES("*1\r\n$-1\r\n"), 0},
    {BYTES("*1\r\n$-5\r\n"), 0},
    {BYTES("*1\r\n$99999999999\r\n"), 0},
    {BYTES("*2\r\n$4\r\nECHO\r\n:5\r\n"), 0},
    {BYTES("*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n*0\r\n"), 0},
    {BYTES("GET \"unclosed\r\n"), 0},
    {BYTES("GET 'unclosed\r\n"), 0},
    {BYTES("GET \"a\"b\r\n"), 0},
    {BYTES("SET a \"\\x4"), 70000},
    {BYTES(""), 70000},
    {BYTES("*1"), 70000},
    {BYTES("*1\r\n$1"), 70000},
    {BYTES("PING\r\nPING\r\nFOO\r\n*x\r\nPING\r\n"), 0},
    {BYTES("\r\n\n*0\r\n*-1\r\nPING\r\n*-10\r\nECHO 'a b'\r\necho "
           "\"\\x41\\n\\\"\"\nQUIT\r\nPING\r\n"),
     0},
    {BYTES("hOsT: localhost\r\n\r\n"), 0},
    {BYTES("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 0},
    {BYTES("*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n"), 0},
    {BYTES("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n*2\r\n$"
           "3\r\nDEL\r\n$0\r\n\r\nQUIT\r\n"),
     0},
};

/* All that comes back, up to the end of the connection, as text. */
static void replies_of(int port, size_t index, struct buf *out) {
    struct raw raw;
    raw_open(&raw, port);
    raw_send(&raw, streams[index].bytes, streams[index].len);
    char *filler = malloc(streams[index].filler + 1);
    memset(filler, 'a', streams[index].filler + 1);
    raw_send(&raw, filler, streams[index].filler);
    free(filler);
    for (const char *reply = ""; strcmp(reply, "closed") != 0;) {
        reply = raw_reply(&raw);
        ck_assert_msg(buf_len(out) < 4096, "stream %zu does not end", index);
        ck_assert_int_eq(buf_printf(out, "%s; ", reply), RD_OK);
    }
    raw_close(&raw);
}

/* Each stream ends its own connection, with the replies that Redis gives, and no other. */
START_TEST(same_end_of_malformed_streams) {
    struct buf ours = {0}, theirs = {0};
    struct client witness;
    size_t wrong = 0;
    client_open(&witness, cluster->nodes[0].port);
    for (size_t i = 0; i < COUNT(streams); i++) {
        buf_truncate(&ours, 0);
        buf_truncate(&theirs, 0);
        replies_of(cluster->nodes[0].port, i, &ours);
        replies_of(redis_port, i, &theirs);
        if (strcmp(show_text(&ours), show_text(&theirs)) != 0) {
            wrong++;
            printf("stream %zu\n  redis    %s\n  redynamo %s\n", i, show_text(&theirs),
                   show_text(&ours));
        }
        expect(&witness, "+OK", "SET witness %zu", i);
        expect(&witness, "\"*\"", "GET witness");
    }
    fflush(stdout);
    ck_assert_msg(wrong == 0, "%zu of %zu streams differ, see above", wrong, COUNT(streams));
    client_close(&witness);
    buf_free(&ours);
    buf_free(&theirs);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("differential");
    TCase *shared = run_group(suite, start, stop);
    tcase_add_loop_test(shared, same_replies, 2, 4); /* in RESP2 and in RESP3 */
    tcase_add_loop_test(shared, same_replies_of_a_cluster, 2, 4);
    tcase_add_test(shared, same_end_of_malformed_streams);
    return run_tests(suite);
}
