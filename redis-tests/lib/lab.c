/* The laboratory. All is done with ip(8), nsenter(1) and unshare(1). */
#include "redis-tests/lib/lab.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT 7000
#define BUS_PORT 17000
#define NOWHERE "02:00:00:00:00:ff" /* the hardware address of nobody */

/* ---- the network ----------------------------------------------------------------------------------- */

bool lab_enter(char why[200]) {
    if (geteuid() != 0) {
        snprintf(why, 200, "network namespaces need root");
        return false;
    }
    if (system("command -v ip nsenter unshare sleep >/dev/null 2>&1") != 0) {
        snprintf(why, 200, "ip, nsenter or unshare is not installed");
        return false;
    }
    if (unshare(CLONE_NEWNET) != 0 ||
        system("ip link set lo up && ip link add br0 type bridge && ip link set br0 up && "
               "ip addr add 10.77.0.254/24 dev br0 && ip link add v0 type veth peer name v1 && "
               "ip link del v0") != 0) {
        snprintf(why, 200, "this system lets nobody make network namespaces, bridges and pairs");
        return false;
    }
    return true;
}

static void run(const char *line) {
    struct buf output = {0};
    int status = proc_run(&output, "%s", line);
    ck_assert_msg(status == 0, "%s: %d, %s", line, status, (const char *)buf_data(&output));
    buf_free(&output);
}

static bool is_elsewhere(pid_t pid) {
    char mine[64], theirs[64], path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    ssize_t a = readlink("/proc/self/ns/net", mine, sizeof mine);
    ssize_t b = readlink(path, theirs, sizeof theirs);
    return a > 0 && b > 0 && (a != b || memcmp(mine, theirs, (size_t)a) != 0);
}

static void connect_node(struct lab *lab, size_t i) {
    struct lab_node *node = &lab->nodes[i];
    char line[600];
    char *const argv[] = {"unshare", "-n", "sleep", "1000000", NULL};
    node->holder = proc_start(argv, NULL, "/dev/null");
    WAIT_FOR(is_elsewhere(node->holder));
    snprintf(line, sizeof line,
             "ip link add n%zu type veth peer name eth0 netns %d && ip link set n%zu master br0 up "
             "&& nsenter -t %d -n sh -c 'ip link set lo up && ip addr add 10.77.0.%zu/24 dev eth0 "
             "&& ip link set eth0 up'",
             i, (int)node->holder, i, (int)node->holder, i + 1);
    run(line);
}

static void neighbour(struct lab *lab, size_t from, size_t to, const char *verb) {
    char line[300];
    snprintf(line, sizeof line, "nsenter -t %d -n ip neigh %s 10.77.0.%zu dev eth0%s",
             (int)lab->nodes[from].holder, verb, to + 1,
             strcmp(verb, "replace") == 0 ? " lladdr " NOWHERE " nud permanent" : "");
    proc_run(NULL, "%s", line); /* what is whole already cannot be healed */
}

void lab_silence(struct lab *lab, size_t from, size_t to) {
    lab->reach.talks[from] &= ~(1u << to);
    neighbour(lab, from, to, "replace");
}

void lab_heal(struct lab *lab, size_t from, size_t to) {
    neighbour(lab, from, to, "del");
}

void lab_divide(struct lab *lab, const int side[LAB_NODES]) {
    for (size_t a = 0; a < LAB_NODES; a++) {
        for (size_t b = 0; b < LAB_NODES; b++) {
            if (side[a] != side[b] && side[a] != 0 && side[b] != 0) {
                lab_silence(lab, a, b);
            }
        }
    }
}

void lab_heal_all(struct lab *lab) {
    for (size_t node = 0; node < LAB_NODES; node++) {
        proc_run(NULL, "nsenter -t %d -n ip neigh flush dev eth0 nud permanent",
                 (int)lab->nodes[node].holder);
    }
}

/* ---- nodes ----------------------------------------------------------------------------------------- */

static void make_folder(struct lab_node *node) {
    char dir[PROC_PATH], data[PROC_PATH];
    proc_temp_dir(dir);
    snprintf(node->dir, sizeof node->dir, "%.400s", dir);
    snprintf(node->conf, sizeof node->conf, "%.400s/redynamo.conf", dir);
    snprintf(node->log, sizeof node->log, "%.400s/log", dir);
    snprintf(data, sizeof data, "%.400s/data", dir);
    ck_assert_int_eq(mkdir(data, 0755), 0);
}

static void configure(struct lab *lab, size_t i, const char *directives) {
    struct lab_node *node = &lab->nodes[i];
    struct buf text = {0};
    make_folder(node);
    ck_assert_int_eq(buf_printf(&text,
                                "bind 10.77.0.%zu\nport %d\ncluster-port %d\ndir \"%s/data\"\n"
                                "protected-mode no\ncluster-secret laboratory\n%s",
                                i + 1, PORT, BUS_PORT, node->dir, directives),
                     RD_OK);
    for (size_t seed = 0; seed < LAB_NODES; seed++) {
        ck_assert_int_eq(buf_printf(&text, "seed 10.77.0.%zu:%d\n", seed + 1, BUS_PORT), RD_OK);
    }
    ck_assert_int_eq(buf_append(&text, "", 1), RD_OK);
    proc_write_file(node->conf, (const char *)buf_data(&text));
    buf_free(&text);
    snprintf(lab->addresses[i].host, sizeof lab->addresses[i].host, "10.77.0.%zu", i + 1);
    lab->addresses[i].port = PORT;
}

struct lab *lab_open(const char *directives) {
    struct lab *lab = calloc(1, sizeof *lab);
    ck_assert_ptr_nonnull(lab);
    for (size_t i = 0; i < LAB_NODES; i++) {
        connect_node(lab, i);
        configure(lab, i, directives);
    }
    for (size_t i = 0; i < LAB_NODES; i++) {
        lab_start(lab, i);
    }
    lab_wait(lab);
    return lab;
}

void lab_start(struct lab *lab, size_t i) {
    struct lab_node *node = &lab->nodes[i];
    char holder[16], skew[32], preload[PROC_PATH];
    snprintf(holder, sizeof holder, "%d", (int)node->holder);
    snprintf(skew, sizeof skew, "SKEW_SECONDS=%d", node->skew_s);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%.400s", proc_built("redis-tests/lib/skew.so"));
    char *const plain[] = {
        "nsenter", "-t", holder, "-n", (char *)proc_built("src/redynamo-server"), node->conf, NULL};
    char server[PROC_PATH];
    snprintf(server, sizeof server, "%.400s", proc_built("src/redynamo-server"));
    char *const skewed[] = {
        "nsenter", "-t",    holder, "-n",       "env", "ASAN_OPTIONS=verify_asan_link_order=0",
        skew,      preload, server, node->conf, NULL};
    ck_assert_int_eq(node->pid, 0);
    node->pid = proc_start(node->skew_s != 0 ? skewed : plain, NULL, node->log);
    node->paused = false;
}

void lab_kill(struct lab *lab, size_t i) {
    lab->reach.talks[i] &= ~(1u << i);
    kill(lab->nodes[i].pid, SIGKILL);
    int status = proc_wait(lab->nodes[i].pid);
    lab->nodes[i].pid = 0;
    ck_assert_int_eq(status, 128 + SIGKILL);
}

void lab_pause(struct lab *lab, size_t i) {
    lab->reach.talks[i] &= ~(1u << i);
    kill(lab->nodes[i].pid, SIGSTOP);
    WAIT_FOR(waitpid(lab->nodes[i].pid, NULL, WUNTRACED | WNOHANG) == lab->nodes[i].pid);
    lab->nodes[i].paused = true;
}

void lab_resume(struct lab *lab, size_t i) {
    kill(lab->nodes[i].pid, SIGCONT);
    lab->nodes[i].paused = false;
}

/* ---- disks ----------------------------------------------------------------------------------------- */

static void in_folder(const struct lab *lab, size_t i, const char *what) {
    char line[PROC_PATH + 300];
    ck_assert_int_eq(lab->nodes[i].pid, 0);
    snprintf(line, sizeof line, "cd '%s' && %s", lab->nodes[i].dir, what);
    run(line);
}

void lab_empty(struct lab *lab, size_t i) {
    in_folder(lab, i, "rm -rf old && mv data old && mkdir data");
}

void lab_swap(struct lab *lab, size_t i) {
    in_folder(lab, i, "mv data new && mv old data && mv new old");
}

/* ---- asking ---------------------------------------------------------------------------------------- */

bool lab_says(const struct lab *lab, size_t i, const char *command, const char *begins) {
    const struct shop_address *at = &lab->addresses[i];
    redisContext *redis = redisConnectWithTimeout(at->host, at->port, (struct timeval){1, 0});
    redisReply *reply = NULL;
    if (redis != NULL && redis->err == 0) {
        redisSetTimeout(redis, (struct timeval){5, 0});
        reply = redisCommand(redis, command);
    }
    bool so =
        reply != NULL && reply->str != NULL && strncmp(reply->str, begins, strlen(begins)) == 0;
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    if (redis != NULL) {
        redisFree(redis);
    }
    return so;
}

long long lab_info(const struct lab *lab, size_t i, const char *field) {
    const struct shop_address *at = &lab->addresses[i];
    redisContext *redis = redisConnectWithTimeout(at->host, at->port, (struct timeval){1, 0});
    long long value = -1;
    if (redis != NULL && redis->err == 0) {
        redisSetTimeout(redis, (struct timeval){5, 0});
        redisReply *reply = redisCommand(redis, "INFO");
        char pattern[100];
        snprintf(pattern, sizeof pattern, "\n%s:", field);
        const char *found =
            reply != NULL && reply->str != NULL ? strstr(reply->str, pattern) : NULL;
        if (found != NULL) {
            value = strtoll(found + strlen(pattern), NULL, 10);
        }
        if (reply != NULL) {
            freeReplyObject(reply);
        }
    }
    if (redis != NULL) {
        redisFree(redis);
    }
    return value;
}

static void all_talk(struct lab *lab) {
    for (size_t i = 0; i < LAB_NODES; i++) {
        lab->reach.talks[i] = (1u << LAB_NODES) - 1;
    }
}

void lab_wait(struct lab *lab) {
    for (size_t i = 0; i < LAB_NODES; i++) {
        ck_assert_int_eq(waitpid(lab->nodes[i].pid, NULL, WNOHANG), 0);
        WAIT_FOR(lab_info(lab, i, "cluster_open") == 1);
        WAIT_FOR(lab_info(lab, i, "members_up") == LAB_NODES);
    }
    all_talk(lab);
}

void lab_close(struct lab **handle) {
    struct lab *lab = *handle;
    for (size_t i = 0; i < LAB_NODES; i++) {
        kill(lab->nodes[i].pid, SIGTERM);
    }
    for (size_t i = 0; i < LAB_NODES; i++) {
        ck_assert_int_eq(proc_wait(lab->nodes[i].pid), 0);
        kill(lab->nodes[i].holder,
             SIGKILL); /* and so its end of the pair is gone, and with it ours */
        proc_wait(lab->nodes[i].holder);
        proc_run(NULL, "rm -rf '%s'", lab->nodes[i].dir);
    }
    free(lab);
    *handle = NULL;
}
