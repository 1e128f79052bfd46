/* Debian's redis-server beside a cluster of three nodes: random commands to both, in RESP2 and RESP3 by turns, replies equal byte for byte.
 *
 * REDYNAMO_SEED and REDYNAMO_COMMANDS choose other commands, and more; with REDYNAMO_WINDOW=1 one is answered before the next is sent. What differs on purpose is listed below with the reason. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/random_command.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"
#include "tests/lib/run.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define COMMANDS 20000     /* and a fifth of them under sanitizers */
#define WINDOW 64          /* commands on their way at once */
#define TURN (16 * WINDOW) /* commands with one node and one protocol */
#define TIME_MS 60000

static struct cluster *cluster;
static int redis_port;
static pid_t redis_pid;

static bool listens(int port) {
    struct client c;
    bool yes = client_try_open(&c, port);
    client_close(&c);
    return yes;
}

static void start(void) {
    char dir[PROC_PATH], number[16], log[PROC_PATH];
    cluster = cluster_start(3, "");
    redis_port = proc_port();
    proc_temp_dir(dir);
    snprintf(number, sizeof number, "%d", redis_port);
    snprintf(log, sizeof log, "%.400s/redis.log", dir);
    char *const argv[] = {"redis-server", "--port",      number, "--proto-max-bulk-len",
                          "16mb",         "--save",      "",     "--bind",
                          "127.0.0.1",    "--databases", "1",    NULL};
    redis_pid = proc_start(argv, dir, log);
    WAIT_FOR(listens(redis_port));
}

static void stop(void) {
    struct client c;
    client_open(&c, redis_port);
    expect(&c, "closed", "SHUTDOWN NOSAVE");
    client_close(&c);
    proc_wait(redis_pid);
    cluster_free(&cluster);
}

/* ---- what may differ -------------------------------------------------------------------------------- */

/* Redis 7.2, which is what we do, against the 7.0 of Debian; and what follows from having no objects in memory. */
static const struct difference {
    const char *command;          /* the beginning */
    const char *redis, *redynamo; /* patterns of the replies */
    const char *why;
} differences[] = {
    {"BITCOUNT ", ":0", "-ERR *", "7.2 looks at the arguments before the key"},
    {"BITPOS ", ":*", "-ERR *", "7.2 looks at the arguments before the key"},
    {"BITPOS ", "-ERR *", ":*", "likewise"},
    {"OBJECT REFCOUNT ", ":*", ":*", "Redis shares small integers that it has made itself"},
    {"OBJECT ENCODING ", "\"raw\"", "\"*\"", "Redis keeps a value as it was made, by APPEND, say"},
    {"OBJECT ENCODING ", "\"embstr\"", "\"int\"", "likewise, by INCRBYFLOAT"},
    {"OBJECT IDLETIME ", ":*", ":*", "since the last write, not the last access"},
    {"MEMORY USAGE ", ":*", ":*", "of other structures"},
    {"DUMP ", "\"*\"", "\"*\"", "7.2 writes another version; payloads_go_both_ways reads them"},
    {"WAIT ", ":0", ":*", "this redis-server has no replicas"},
    {"DBSIZE", ":*", ":*", "approximate for an instant behind a write"},
    {"SCAN -1", "[\"*", "[\"*", "no cursor of ours, nor of theirs"},
    {"SCAN 9", "[\"*", "[\"*", "likewise"},
    {"LCS ", "-ERR *", "-ERR *", "of two errors Redis 7.0 names the other one"},
    {"INCRBYFLOAT ", "-ERR *", "-ERR *", "the increment is looked at before the value"},
};

static bool begins(const char *text, const char *with) {
    return strncasecmp(text, with, strlen(with)) == 0;
}

static bool is_listed(const char *command, const char *redis, const char *redynamo) {
    for (size_t i = 0; i < COUNT(differences); i++) {
        const struct difference *at = &differences[i];
        if (begins(command, at->command) && show_matches(at->redis, redis) &&
            show_matches(at->redynamo, redynamo)) {
            return true;
        }
    }
    return false;
}

static int compare_words(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts the innermost list of keys in a reply to KEYS or SCAN, whose order nobody promises. */
static void sort_keys(const char *command, char *reply) {
    char *words[64], *from = strrchr(reply, '['), *to = strchr(reply, ']'), *rest = NULL;
    char copy[1024];
    size_t count = 0;
    if ((!begins(command, "KEYS ") && !begins(command, "SCAN ")) || from == NULL || to == NULL ||
        (size_t)(to - from) > sizeof copy) {
        return;
    }
    char *out = from + 1;
    snprintf(copy, sizeof copy, "%.*s", (int)(to - from - 1), from + 1);
    for (char *word = strtok_r(copy, ", ", &rest); word != NULL;
         word = strtok_r(NULL, ", ", &rest)) {
        ck_assert_uint_lt(count, COUNT(words));
        words[count++] = word;
    }
    qsort(words, count, sizeof words[0], compare_words);
    for (size_t i = 0; i < count; i++) {
        out += snprintf(out, (size_t)(to - out) + 1, i == 0 ? "%s" : ", %s", words[i]);
        *out = i + 1 < count ? '\0' : ']';
    }
}

/* Times to live: the servers were not asked at the same instant. */
static bool is_same_time(const char *command, const char *redis, const char *redynamo) {
    bool ms = begins(command, "PTTL") || begins(command, "PEXPIRETIME");
    if ((!ms && !begins(command, "TTL") && !begins(command, "EXPIRETIME")) || redis[0] != ':' ||
        redynamo[0] != ':') {
        return false;
    }
    long long a = strtoll(redis + 1, NULL, 10), b = strtoll(redynamo + 1, NULL, 10);
    return a > 0 && b > 0 && llabs(a - b) <= (ms ? TIME_MS : TIME_MS / 1000);
}

/* ---- the run ---------------------------------------------------------------------------------------- */

static uint64_t setting(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* Reads both replies to `command`; returns whether they are as they should be. */
static bool same_reply(struct raw *ours, struct raw *theirs, const char *command) {
    char *redis = strdup(raw_reply(theirs)), *redynamo = strdup(raw_reply(ours));
    sort_keys(command, redis);
    sort_keys(command, redynamo);
    bool same = strcmp(redis, redynamo) == 0 || is_same_time(command, redis, redynamo) ||
                is_listed(command, redis, redynamo);
    ck_assert_msg(strcmp(redynamo, "closed") != 0, "closed after %s", command);
    if (!same) {
        printf("%.200s\n  redis    %.300s\n  redynamo %.300s\n", command, redis, redynamo);
    }
    free(redis);
    free(redynamo);
    return same;
}

/* In windows, so that commands also overtake each other where they may. */
static size_t compare_window(struct prng *prng, size_t window, struct raw *ours,
                             struct raw *theirs) {
    static const char state[] = "MGET key:0 key:1 key:2 key:3 key:4 key:5 key:6 key:7";
    struct buf lines[WINDOW] = {{0}};
    size_t wrong = 0;
    for (size_t i = 0; i < window; i++) {
        random_command(prng, &lines[i]);
        raw_command(ours, (const char *)buf_data(&lines[i]));
        raw_command(theirs, (const char *)buf_data(&lines[i]));
    }
    raw_command(ours, state);
    raw_command(theirs, state);
    for (size_t i = 0; i < window; i++) {
        wrong += !same_reply(ours, theirs, (const char *)buf_data(&lines[i]));
    }
    wrong += !same_reply(ours, theirs, state);
    for (size_t i = 0; i < window; i++) {
        if (wrong > 0) {
            printf("  %s\n", (const char *)buf_data(&lines[i]));
        }
        buf_free(&lines[i]);
    }
    return wrong;
}

/* Another node each time, and both servers in the other protocol. */
static void change_places(uint64_t turn, struct raw *ours, struct raw *theirs) {
    static const char *const hello[] = {"HELLO 2", "HELLO 3"};
    if (turn > 0) {
        raw_close(ours);
    }
    raw_open(ours, cluster->nodes[turn % 3].port);
    raw_command(ours, hello[turn % 2]);
    raw_command(theirs, hello[turn % 2]);
    raw_expect(ours, turn % 2 == 0 ? "[\"server\", *" : "{\"server\": *");
    raw_expect(theirs, turn % 2 == 0 ? "[\"server\", *" : "{\"server\": *");
}

START_TEST(same_replies_to_random_commands) {
    struct raw ours, theirs;
    struct prng prng;
    uint64_t seed = setting("REDYNAMO_SEED", 1);
    uint64_t count = setting("REDYNAMO_COMMANDS", (uint64_t)test_share(COMMANDS));
    size_t wrong = 0;
    prng_seed(&prng, seed);
    raw_open(&theirs, redis_port);
    size_t window = (size_t)setting("REDYNAMO_WINDOW", WINDOW);
    ck_assert_uint_le(window, WINDOW);
    for (uint64_t i = 0; i < count && wrong == 0; i += window) {
        if (i % TURN == 0) {
            change_places(i / TURN, &ours, &theirs);
        }
        wrong += compare_window(&prng, window, &ours, &theirs);
        if (wrong > 0) {
            printf("seed %llu, after %llu commands\n", (unsigned long long)seed,
                   (unsigned long long)i);
        }
    }
    raw_close(&ours);
    raw_close(&theirs);
    fflush(stdout);
    ck_assert_msg(wrong == 0, "%zu replies differ, see above", wrong);
}
END_TEST

/* ---- payloads --------------------------------------------------------------------------------------- */

/* Restores into `key` of `to` what `from` dumps of the same key. */
static void carry(struct client *from, struct client *to, const char *key) {
    const char *dump[] = {"DUMP", key};
    redisReply *payload = client_call(from, 2, dump, NULL);
    ck_assert_ptr_nonnull(payload);
    ck_assert_int_eq(payload->type, REDIS_REPLY_STRING);
    const char *restore[] = {"RESTORE", key, "0", payload->str, "REPLACE"};
    const size_t lengths[] = {7, strlen(key), 1, payload->len, 7};
    redisReply *reply = client_call(to, 5, restore, lengths);
    ck_assert_ptr_nonnull(reply);
    ck_assert_msg(reply->type == REDIS_REPLY_STATUS, "%s: %s", key, reply->str);
    freeReplyObject(reply);
    freeReplyObject(payload);
}

START_TEST(payloads_go_both_ways) {
    static const char *const texts[] = {"\"\"",
                                        "0",
                                        "-1",
                                        "127",
                                        "128",
                                        "-129",
                                        "32768",
                                        "-32769",
                                        "2147483647",
                                        "2147483648",
                                        "-9223372036854775808",
                                        "a",
                                        "\"\\x00\\xff\"",
                                        "012"};
    struct client ours, theirs;
    client_open(&ours, cluster->nodes[0].port);
    client_open(&theirs, redis_port);
    for (size_t i = 0; i < COUNT(texts) + 40; i++) {
        if (i < COUNT(texts)) {
            expect(&theirs, "+OK", "SET there %s", texts[i]);
        } else { /* long, and in part such as Redis compresses */
            expect(&theirs, "*", "DEL there");
            expect(&theirs, "*", "SETRANGE there %zu \"some text %zu\"", i * i * i, i);
            expect(&theirs, "*", "SETRANGE there %zu abcabcabcabcabcabcab%zu", i * i / 2, i);
        }
        carry(&theirs, &ours, "there");
        char *value = strdup(ask(&theirs, "GET there"));
        ck_assert_str_eq(ask(&ours, "GET there"), value);
        expect(&theirs, "*", "DEL there");
        carry(&ours, &theirs, "there");
        ck_assert_str_eq(ask(&theirs, "GET there"), value);
        free(value);
    }
    expect(&ours, "-ERR DUMP payload version or checksum are wrong", "RESTORE there 0 abc REPLACE");
    expect(&ours, "-BUSYKEY *", "RESTORE there 0 abc");
    client_close(&ours);
    client_close(&theirs);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("differential_random");
    TCase *shared = run_group(suite, start, stop);
    tcase_add_test(shared, same_replies_to_random_commands);
    tcase_add_test(shared, payloads_go_both_ways);
    return run_tests(suite);
}
