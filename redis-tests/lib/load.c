/* Writers that remember what was acknowledged. Nothing that runs in a writer's thread asserts. */
#include "redis-tests/lib/load.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/run.h"

#define VERIFY_BATCH 500
#define THINK_MS (test_is_slow() ? 3 : 1) /* of a writer after each write, but in the long tests */

/* ---- writing -------------------------------------------------------------------------------------- */

static redisContext *dial(struct writer *writer) {
    while (!writer->stop) {
        redisContext *redis = redisConnect("127.0.0.1", writer->port);
        if (redis != NULL && redis->err == 0) {
            redisSetTimeout(redis, (struct timeval){WAIT_SECONDS, 0});
            return redis;
        }
        redisFree(redis);
        proc_sleep_ms(5);
    }
    return NULL;
}

static enum outcome set(struct writer *writer, redisContext *redis, const char *key, int value) {
    enum outcome outcome = OUTCOME_ACKNOWLEDGED;
    redisReply *reply = redisCommand(redis, "SET %s %d", key, value);
    if (reply == NULL) {
        return OUTCOME_BROKEN;
    }
    if (reply->type != REDIS_REPLY_STATUS) {
        bool refused = strstr(reply->str, "nothing was written") != NULL ||
                       strncmp(reply->str, "CLUSTERDOWN", 11) == 0;
        outcome = refused ? OUTCOME_REFUSED : OUTCOME_UNKNOWN;
        writer->errors += !refused;
        snprintf(writer->last_error, sizeof writer->last_error, "%s", reply->str);
    }
    freeReplyObject(reply);
    return outcome;
}

static void *run_writer(void *arg) {
    struct writer *writer = arg;
    redisContext *redis = NULL;
    for (int i = 0; i < 2 * LOAD_MAX_WRITES && !writer->stop; i++) {
        char key[64];
        bool is_register = i % 4 == 3;
        if (redis == NULL && (redis = dial(writer)) == NULL) {
            break;
        }
        int value = is_register ? ++writer->max_register : writer->written++;
        snprintf(key, sizeof key, is_register ? "%d.register" : "%d.%d", writer->number, value);
        enum outcome outcome = set(writer, redis, key, value);
        if (outcome == OUTCOME_BROKEN) {
            redisFree(redis);
            redis = NULL;
        }
        if (outcome == OUTCOME_REFUSED || !test_long()) {
            proc_sleep_ms(THINK_MS);
        }
        writer->acknowledged += outcome == OUTCOME_ACKNOWLEDGED;
        if (!is_register) {
            writer->state[value] = (uint8_t)outcome;
        } else if (outcome == OUTCOME_ACKNOWLEDGED) {
            writer->last_register = value;
        }
    }
    if (redis != NULL) {
        redisFree(redis);
    }
    return NULL;
}

/* ---- the load -------------------------------------------------------------------------------------- */

void load_start(struct load *load, const struct cluster *cluster, int first_number) {
    load->count = cluster->count;
    load->writers = calloc(load->count, sizeof *load->writers);
    ck_assert_ptr_nonnull(load->writers);
    for (size_t i = 0; i < load->count; i++) {
        struct writer *writer = &load->writers[i];
        writer->number = first_number + (int)i;
        writer->port = cluster->nodes[i].port;
        ck_assert_int_eq(pthread_create(&writer->thread, NULL, run_writer, writer), 0);
    }
}

void load_wait(const struct load *load, const struct cluster *cluster, int more) {
    int began[CLUSTER_MAX_NODES];
    for (size_t i = 0; i < load->count; i++) {
        began[i] = load->writers[i].acknowledged;
    }
    for (size_t i = 0; i < load->count; i++) {
        if (cluster->nodes[i].pid != 0 && !cluster->nodes[i].paused) {
            WAIT_FOR(load->writers[i].acknowledged >= began[i] + more);
        }
    }
}

void load_stop(struct load *load) {
    for (size_t i = 0; i < load->count; i++) {
        load->writers[i].stop = true;
    }
    for (size_t i = 0; i < load->count; i++) {
        pthread_join(load->writers[i].thread, NULL);
    }
}

int load_errors(const struct load *load) {
    int errors = 0;
    for (size_t i = 0; i < load->count; i++) {
        errors += load->writers[i].errors;
    }
    return errors;
}

/* ---- reading back ---------------------------------------------------------------------------------- */

static redisReply *next_reply(redisContext *redis, int port) {
    redisReply *reply = NULL;
    ck_assert_msg(redisGetReply(redis, (void **)&reply) == REDIS_OK, "port %d: %s", port,
                  redis->errstr);
    return reply;
}

/* Whether the reply to a GET of key `number` fits to what the writer was told. */
static bool fits(enum outcome outcome, const redisReply *reply, int number) {
    bool there = reply->type == REDIS_REPLY_STRING && strtol(reply->str, NULL, 10) == number;
    bool absent = reply->type == REDIS_REPLY_NIL;
    return outcome == OUTCOME_ACKNOWLEDGED ? there
           : outcome == OUTCOME_REFUSED    ? absent
                                           : there || absent;
}

/* Keys first..end of a writer, asked in one go. */
static int count_wrong(const struct writer *writer, redisContext *redis, int port, int first,
                       int end) {
    int wrong = 0;
    for (int i = first; i < end; i++) {
        redisAppendCommand(redis, "GET %d.%d", writer->number, i);
    }
    for (int i = first; i < end; i++) {
        redisReply *reply = next_reply(redis, port);
        if (!fits(writer->state[i], reply, i)) {
            wrong++;
            printf("port %d: %d.%d was %s and is %s\n", port, writer->number, i,
                   writer->state[i] == OUTCOME_ACKNOWLEDGED ? "acknowledged"
                   : writer->state[i] == OUTCOME_REFUSED    ? "not written"
                                                            : "tried",
                   reply->str != NULL ? reply->str : "nil");
        }
        freeReplyObject(reply);
    }
    return wrong;
}

static int verify_register(const struct writer *writer, redisContext *redis, int port) {
    redisReply *reply = redisCommand(redis, "GET %d.register", writer->number);
    ck_assert_ptr_nonnull(reply);
    long value = reply->type == REDIS_REPLY_STRING ? strtol(reply->str, NULL, 10) : 0;
    bool good = reply->type != REDIS_REPLY_ERROR && value >= writer->last_register &&
                value <= writer->max_register;
    if (!good) {
        printf("port %d: %d.register is %s, acknowledged was %d, tried %d\n", port, writer->number,
               reply->str != NULL ? reply->str : "nil", writer->last_register,
               writer->max_register);
    }
    freeReplyObject(reply);
    return !good;
}

void load_verify(const struct load *load, const struct node *node) {
    int wrong = 0, known = 0;
    redisContext *redis = redisConnect("127.0.0.1", node->port);
    ck_assert(redis != NULL && redis->err == 0);
    redisSetTimeout(redis, (struct timeval){WAIT_SECONDS, 0});
    for (size_t i = 0; i < load->count; i++) {
        const struct writer *writer = &load->writers[i];
        for (int first = 0; first < writer->written; first += VERIFY_BATCH) {
            int end = first + VERIFY_BATCH;
            wrong += count_wrong(writer, redis, node->port, first,
                                 end < writer->written ? end : writer->written);
        }
        wrong += verify_register(writer, redis, node->port);
        known += writer->acknowledged;
    }
    redisFree(redis);
    fflush(stdout);
    ck_assert_msg(wrong == 0, "port %d: %d wrong, %d writes were acknowledged", node->port, wrong,
                  known);
}

void load_free(struct load *load) {
    free(load->writers);
    load->writers = NULL;
}
