/* bench/hotpath: whole servers in one process, driven step by step, so that callgrind can count what a request costs. bench/regress runs it.
 *
 * Each path is measured by itself: nothing is counted before it and between paths. Requests come over real connections from this very
 * thread, so that what happens in which order does not depend on time. The counts of a path are dumped under its name and number
 * of operations ("set_1 400").
 *
 * usage: hotpath DIR     an empty folder, the current one afterwards
 */
#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION (void)0
#define CALLGRIND_STOP_INSTRUMENTATION (void)0
#define CALLGRIND_ZERO_STATS (void)0
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#endif

#include "base/blob.h"
#include "server/config.h"
#include "server/driver.h"
#include "server/server.h"
#include "store/store_sqlite.h"

enum { NODES_MAX = 3, KEYS = 64, VALUE_BYTES = 100, ROUNDS = 4, DEPTH = 16 };

struct rig {
    struct server *servers[NODES_MAX];
    size_t count;
    int fd; /* a client of the first */
};

static void die(const char *what) {
    fprintf(stderr, "bench/hotpath: %s\n", what);
    exit(1);
}

static void ignore_libevent(int severity, const char *text) {
    (void)severity;
    (void)text; /* each of the loops wants the process's signals */
}

/* ---- servers ------------------------------------------------------------------------------------- */

static struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

/* A port that was free a moment ago. */
static uint16_t a_port(void) {
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        die("no port");
    }
    close(fd);
    return ntohs(address.sin_port);
}

static struct server *start(const char *dir, size_t number, size_t count, const uint16_t *ports,
                            uint16_t client_port) {
    struct config *config = NULL;
    struct server *server = NULL;
    char text[1024];
    char reason[CONFIG_REASON_BYTES] = "out of memory";
    int len = snprintf(text, sizeof text,
                       "bind 127.0.0.1\nport %u\ncluster-port %u\ndir %s/%zu\nlogfile %s/log\n"
                       "appendfsync everysec\nreplication-factor %zu\nread-quorum %d\n"
                       "write-quorum %d\nrequest-timeout 20000\nanti-entropy no\n",
                       client_port, ports[number], dir, number, dir, count, count > 1 ? 2 : 1,
                       count > 1 ? 2 : 1);
    for (size_t i = 0; i < count && count > 1; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len, "seed 127.0.0.1:%u\n", ports[i]);
    }
    char folder[512];
    snprintf(folder, sizeof folder, "%s/%zu", dir, number);
    if (mkdir(folder, 0700) != 0 || config_new(&config) != RD_OK ||
        config_parse(config, "bench/hotpath", text, (size_t)len, reason) != RD_OK ||
        config_finish(config, reason) != RD_OK ||
        server_new(&config, "hotpath", &server, reason) != RD_OK) {
        die(reason);
    }
    return server;
}

/* One turn of each server. */
static void turn(struct rig *rig) {
    for (size_t i = 0; i < rig->count; i++) {
        event_base_loop(rig->servers[i]->base, EVLOOP_NONBLOCK);
        driver_turn(rig->servers[i]->driver);
    }
}

static bool is_open(const struct rig *rig) {
    for (size_t i = 0; i < rig->count; i++) {
        struct node_stats stats;
        node_stats(driver_node(rig->servers[i]->driver), &stats);
        if (!stats.open || stats.members_up != rig->count) {
            return false;
        }
    }
    return true;
}

static void rig_start(struct rig *rig, const char *dir, size_t count) {
    uint16_t ports[NODES_MAX];
    *rig = (struct rig){.count = count};
    if (mkdir(dir, 0700) != 0) {
        die("cannot make a folder");
    }
    for (size_t i = 0; i < count; i++) {
        ports[i] = a_port();
    }
    uint16_t client_port = a_port();
    for (size_t i = 0; i < count; i++) {
        rig->servers[i] = start(dir, i, count, ports, i == 0 ? client_port : a_port());
    }
    for (int tries = 0; !is_open(rig); tries++) {
        if (tries == 60000) {
            die("the cluster does not open");
        }
        turn(rig);
        usleep(1000);
    }
    struct sockaddr_in address = loopback(client_port);
    rig->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (rig->fd < 0 || connect(rig->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        die("cannot connect");
    }
}

static void rig_stop(struct rig *rig) {
    close(rig->fd);
    for (size_t i = 0; i < rig->count; i++) {
        server_free(&rig->servers[i]);
    }
}

/* ---- requests ------------------------------------------------------------------------------------ */

/* Requests about each key, made before anything is counted. */
struct requests {
    char bytes[KEYS][256];
    size_t len[KEYS];
    bool set;
};

static void make_requests(struct requests *out, bool set) {
    char value[VALUE_BYTES + 1];
    memset(value, 'v', VALUE_BYTES);
    value[VALUE_BYTES] = '\0';
    out->set = set;
    for (unsigned i = 0; i < KEYS; i++) {
        int len = set ? snprintf(out->bytes[i], sizeof out->bytes[i],
                                 "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012u\r\n$%d\r\n%s\r\n", i,
                                 VALUE_BYTES, value)
                      : snprintf(out->bytes[i], sizeof out->bytes[i],
                                 "*2\r\n$3\r\nGET\r\n$16\r\nkey:%012u\r\n", i);
        out->len[i] = (size_t)len;
    }
}

/* Sends `depth` requests about consecutive keys and turns the servers until all replies have come. */
static void ask(struct rig *rig, const struct requests *requests, unsigned key, unsigned depth) {
    char bytes[DEPTH * 256];
    size_t len = 0;
    for (unsigned i = key; i < key + depth; i++) {
        memcpy(bytes + len, requests->bytes[i], requests->len[i]);
        len += requests->len[i];
    }
    if (send(rig->fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len) {
        die("cannot send");
    }
    size_t wanted = depth * (requests->set ? 5 : VALUE_BYTES + 8);
    char reply[DEPTH * 256];
    for (size_t got = 0; got < wanted;) {
        turn(rig);
        ssize_t n = recv(rig->fd, reply, sizeof reply, MSG_DONTWAIT);
        if (n == 0 || (n > 0 && (reply[0] == '-' || (size_t)n > wanted - got))) {
            die("not the reply that was expected");
        }
        got += n > 0 ? (size_t)n : 0;
    }
    turn(rig); /* what comes behind the reply, such as the third node's acknowledgement */
}

static void repeat(struct rig *rig, const struct requests *requests, unsigned depth) {
    for (unsigned key = 0; key < KEYS; key += depth) {
        ask(rig, requests, key, depth);
    }
}

static void dump(const char *name, unsigned operations) {
    char text[64];
    snprintf(text, sizeof text, "%s %u", name, operations);
    CALLGRIND_DUMP_STATS_AT(text);
    CALLGRIND_STOP_INSTRUMENTATION;
}

/* Once uncounted, since first times differ, then counted. */
static void measure(struct rig *rig, const char *name, bool set, unsigned depth) {
    struct requests requests;
    make_requests(&requests, set);
    repeat(rig, &requests, depth);
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    for (int round = 0; round < ROUNDS; round++) {
        repeat(rig, &requests, depth);
    }
    dump(name, ROUNDS * KEYS);
}

/* ---- the store alone ----------------------------------------------------------------------------- */

static void ignore_got(void *arg, uint64_t token, enum rd_err err, struct blob *value) {
    (void)arg;
    (void)token;
    (void)err;
    (void)value;
}
static void ignore_done(void *arg, uint64_t token, enum rd_err err) {
    (void)arg;
    (void)token;
    (void)err;
}
static void ignore_scanned(void *arg, uint64_t token, enum rd_err err, const struct store_row *rows,
                           size_t count, bool end) {
    (void)arg;
    (void)token;
    (void)err;
    (void)rows;
    (void)count;
    (void)end;
}

static void commit_batches(struct store *store, struct blob *value, unsigned batches) {
    const struct store_handler handler = {ignore_got, ignore_done, ignore_scanned};
    for (unsigned batch = 0; batch < batches; batch++) {
        for (unsigned i = 0; i < 50; i++) {
            char key[20];
            snprintf(key, sizeof key, "key:%012u", batch * 50 + i);
            const struct store_put put = {
                .at = {.space = STORE_OBJECTS,
                       .slot = (uint16_t)(i * 300),
                       .key = key,
                       .key_len = 16},
                .value = value,
                .is_live = true,
            };
            if (store_put(store, &put) != RD_OK) {
                die("cannot put");
            }
        }
        store_commit(store, batch);
        store_poll(store, &handler, NULL, SIZE_MAX);
    }
}

static void measure_commit(const char *dir) {
    struct store_sqlite_conf conf = {.dir = dir, .fsync = STORE_FSYNC_NO};
    struct store *store = NULL;
    struct blob *value = NULL;
    char reason[STORE_REASON_BYTES] = "";
    char bytes[VALUE_BYTES] = "";
    if (mkdir(dir, 0700) != 0 || store_sqlite_open(&conf, &store, reason) != RD_OK ||
        blob_new(bytes, sizeof bytes, &value) != RD_OK) {
        die(reason);
    }
    commit_batches(store, value, 4);
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    commit_batches(store, value, ROUNDS);
    dump("commit_50", ROUNDS * 50);
    blob_unref(value);
    store_close(&store);
}

int main(int argc, char **argv) {
    if (argc != 2 || chdir(argv[1]) != 0) {
        die("usage: bench/hotpath DIR");
    }
    signal(SIGPIPE, SIG_IGN);
    event_set_log_callback(ignore_libevent);
    char dir[400];
    struct rig rig;
    if (getcwd(dir, 256) == NULL) {
        die("no folder");
    }
    size_t len = strlen(dir);
    snprintf(dir + len, sizeof dir - len, "/one");
    rig_start(&rig, dir, 1);
    measure(&rig, "set_1", true, 1);
    measure(&rig, "set_16", true, DEPTH);
    measure(&rig, "get_memtable_16", false, DEPTH);
    if (store_sqlite_merge(rig.servers[0]->store) != RD_OK) {
        die("cannot merge");
    }
    measure(&rig, "get_cache_1", false, 1);
    measure(&rig, "get_cache_16", false, DEPTH);
    rig_stop(&rig);

    snprintf(dir + len, sizeof dir - len, "/three");
    rig_start(&rig, dir, 3);
    measure(&rig, "three_set_1", true, 1);
    measure(&rig, "three_set_16", true, DEPTH);
    measure(&rig, "three_get_1", false, 1);
    measure(&rig, "three_get_16", false, DEPTH);
    rig_stop(&rig);

    snprintf(dir + len, sizeof dir - len, "/store");
    measure_commit(dir);
    return 0;
}
