/* The shop. */
#include "redis-tests/lib/shop.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis-tests/lib/proc.h"
#include "redis-tests/lib/show.h"
#include "tests/lib/run.h"

#define PING_MS 300
#define PAUSE_MS 20      /* before the second try, as client libraries make one */
#define LINE_BYTES 16384 /* of a cart */

static struct timeval timeval_of(int ms) {
    return (struct timeval){ms / 1000, ms % 1000 * 1000};
}

/* ---- one connection ------------------------------------------------------------------------------- */

static void hang_up(struct shopper *shopper) {
    if (shopper->redis != NULL) {
        redisFree(shopper->redis);
        shopper->redis = NULL;
    }
}

static bool dial(struct shopper *shopper) {
    const struct shop_address *at = &shopper->shop->nodes[shopper->node];
    hang_up(shopper);
    redisContext *redis = redisConnectWithTimeout(at->host, at->port, timeval_of(PING_MS));
    if (redis == NULL || redis->err != 0) {
        if (redis != NULL) {
            redisFree(redis);
        }
        return false;
    }
    redisSetTimeout(redis, timeval_of(PING_MS));
    redisReply *pong = redisCommand(redis, "PING");
    bool fine = pong != NULL && pong->type == REDIS_REPLY_STATUS;
    if (pong != NULL) {
        freeReplyObject(pong);
    }
    if (!fine) {
        redisFree(redis);
        return false;
    }
    redisSetTimeout(redis, timeval_of(SHOP_PATIENCE_MS));
    shopper->redis = redis;
    return true;
}

static uint64_t draw(struct shopper *shopper, uint64_t below) {
    shopper->random ^= shopper->random << 13;
    shopper->random ^= shopper->random >> 7;
    shopper->random ^= shopper->random << 17;
    return shopper->random % below;
}

/* Goes to another node that answers; stays where it is if none does. */
static bool go_elsewhere(struct shopper *shopper) {
    size_t here = shopper->node, count = shopper->shop->node_count;
    size_t first = 1 + draw(shopper, count - 1);
    for (size_t i = 0; i + 1 < count; i++) {
        shopper->node = (here + 1 + (first + i) % (count - 1)) % count;
        if (dial(shopper)) {
            return true;
        }
    }
    shopper->node = here;
    return dial(shopper);
}

/* ---- one request ----------------------------------------------------------------------------------- */

/* One try. NULL: it failed, and last_error says how. */
static redisReply *attempt(struct shopper *shopper, int argc, const char **argv) {
    if (shopper->redis == NULL && !dial(shopper)) {
        snprintf(shopper->last_error, sizeof shopper->last_error, "node %zu: nobody answers",
                 shopper->node + 1);
        return NULL;
    }
    redisReply *reply = redisCommandArgv(shopper->redis, argc, argv, NULL);
    if (reply == NULL) {
        snprintf(shopper->last_error, sizeof shopper->last_error, "node %zu, %s: %s",
                 shopper->node + 1, argv[0], shopper->redis->errstr);
        hang_up(shopper);
        return NULL;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        snprintf(shopper->last_error, sizeof shopper->last_error, "node %zu, %s: %s",
                 shopper->node + 1, argv[0], reply->str);
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

static void note(struct shop *shop, uint64_t took_ms) {
    uint64_t longest = shop->longest_ms;
    while (took_ms > longest &&
           !atomic_compare_exchange_weak(&shop->longest_ms, &longest, took_ms)) {
    }
}

/* Whom `node` can talk to, both ways, itself counted if it runs: bits. */
static unsigned in_reach(const struct shop *shop, size_t node) {
    unsigned reached = 0;
    for (size_t other = 0; other < shop->node_count; other++) {
        const struct shop_reach *reach = shop->reach;
        bool there =
            reach == NULL ||
            ((reach->talks[node] >> other & 1) != 0 && (reach->talks[other] >> node & 1) != 0 &&
             (reach->talks[node] >> node & 1) != 0 && (reach->talks[other] >> other & 1) != 0);
        reached |= (unsigned)there << other;
    }
    return reached;
}

static void note_failure(struct shopper *shopper, const char **argv, const char *first,
                         unsigned before) {
    struct shop *shop = shopper->shop;
    int at = shop->failure_count++;
    if (at >= SHOP_MAX_FAILURES) {
        return;
    }
    struct shop_failure *failure = &shop->failures[at];
    snprintf(failure->key, sizeof failure->key, "%s", argv[1]);
    snprintf(failure->command, sizeof failure->command, "%s", argv[0]);
    snprintf(failure->first, sizeof failure->first, "%s", first);
    snprintf(failure->second, sizeof failure->second, "%s", shopper->last_error);
    failure->node = shopper->node;
    failure->before = before;
    failure->after = in_reach(shop, shopper->node);
    failure->noted = true;
}

/* The request, tried once more if it has to be. NULL: it failed. */
static redisReply *request(struct shopper *shopper, int argc, ...) {
    const char *argv[8];
    va_list args;
    va_start(args, argc);
    for (int i = 0; i < argc; i++) {
        argv[i] = va_arg(args, const char *);
    }
    va_end(args);
    uint64_t began_ms = proc_now_ms();
    redisReply *reply = attempt(shopper, argc, argv);
    shopper->tried_twice = reply == NULL;
    if (reply == NULL && !shopper->shop->stop) {
        char first[sizeof shopper->last_error];
        memcpy(first, shopper->last_error, sizeof first);
        shopper->shop->retried++;
        proc_sleep_ms(PAUSE_MS);
        go_elsewhere(shopper);
        unsigned before = in_reach(shopper->shop, shopper->node);
        reply = attempt(shopper, argc, argv);
        if (reply == NULL) {
            note_failure(shopper, argv, first, before);
        }
    }
    shopper->shop->requests++;
    if (reply != NULL) {
        note(shopper->shop, proc_now_ms() - began_ms);
    }
    return reply;
}

static bool ended(redisReply *reply) {
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return reply != NULL;
}

/* ---- what a shopper does --------------------------------------------------------------------------- */

static bool has_line(const char *text, size_t len, const char *line) {
    return memmem(text, len, line, strlen(line)) != NULL;
}

/* Appends the lines of `text`, each "item;", that are not in `cart` yet. */
static void take_lines(char *cart, const char *text, size_t len) {
    size_t have = strlen(cart);
    while (len > 0) {
        const char *end = memchr(text, ';', len);
        if (end == NULL) {
            return;
        }
        size_t size = (size_t)(end - text) + 1;
        char line[64];
        snprintf(line, sizeof line, "%.*s", (int)size, text);
        if (have + size < LINE_BYTES && !has_line(cart, have, line)) {
            memcpy(cart + have, text, size);
            have += size;
            cart[have] = 0;
        }
        text += size;
        len -= size;
    }
}

/* The union of what a DYNGET returned. */
static void read_cart(const redisReply *reply, char cart[LINE_BYTES]) {
    cart[0] = 0;
    for (size_t i = 0; reply->elements == 2 && i < reply->element[1]->elements; i++) {
        const redisReply *value = reply->element[1]->element[i];
        take_lines(cart, value->str, value->len);
    }
}

static void add_to_cart(struct shopper *shopper) {
    char key[32], cart[LINE_BYTES];
    if (shopper->adds == SHOP_MAX_ADDS) {
        return;
    }
    int add = shopper->adds++;
    shopper->cart_of[add] = (uint8_t)draw(shopper, SHOP_CARTS);
    snprintf(key, sizeof key, "cart.%d", shopper->cart_of[add]);
    redisReply *seen = request(shopper, 2, "DYNGET", key);
    if (seen == NULL || seen->elements != 2) {
        ended(seen);
        return;
    }
    read_cart(seen, cart);
    size_t len = strlen(cart);
    snprintf(cart + len, sizeof cart - len, "%d-%d;", shopper->number, add);
    shopper->added[add] =
        ended(request(shopper, 5, "DYNSET", key, cart, "CONTEXT", seen->element[0]->str));
    freeReplyObject(seen);
}

static void count_up(struct shopper *shopper) {
    char key[32], value[32];
    int number = ++shopper->max_register;
    snprintf(key, sizeof key, "register.%d.%d", shopper->number, shopper->registers);
    snprintf(value, sizeof value, "%d", number);
    if (ended(request(shopper, 3, "SET", key, value))) {
        shopper->last_register = number;
    }
    if (shopper->tried_twice) {
        shopper->registers++;
        shopper->last_register = shopper->max_register = 0;
    }
}

static void write_and_delete(struct shopper *shopper) {
    char key[32];
    if (shopper->gone == SHOP_MAX_GONE) {
        return;
    }
    snprintf(key, sizeof key, "gone.%d.%d", shopper->number, shopper->gone);
    if (!ended(request(shopper, 3, "SET", key, "here")) || shopper->tried_twice) {
        shopper->gone++;
        return;
    }
    redisReply *seen = request(shopper, 2, "DYNGET", key);
    if (seen != NULL && seen->elements == 2 && seen->element[1]->elements == 1) {
        int gone = shopper->gone++;
        shopper->deleted[gone] =
            ended(request(shopper, 4, "DYNDEL", key, "CONTEXT", seen->element[0]->str));
    }
    ended(seen);
}

static void *run_shopper(void *arg) {
    struct shopper *shopper = arg;
    while (!shopper->shop->stop) {
        uint64_t what = draw(shopper, 10);
        if (what < 4) {
            add_to_cart(shopper);
        } else if (what < 9) {
            count_up(shopper);
        } else {
            write_and_delete(shopper);
        }
        proc_sleep_ms(
            test_is_slow() ? 15 : 6); /* to fill carts slowly: they are read as a whole each time */
    }
    hang_up(shopper);
    return NULL;
}

/* ---- the shop -------------------------------------------------------------------------------------- */

void shop_open(struct shop *shop, const struct shop_address *nodes, size_t count,
               const struct shop_reach *reach) {
    memset(shop, 0, sizeof *shop);
    shop->reach = reach;
    shop->node_count = count;
    memcpy(shop->nodes, nodes, count * sizeof *nodes);
    shop->shoppers = calloc(SHOP_SHOPPERS, sizeof *shop->shoppers);
    ck_assert_ptr_nonnull(shop->shoppers);
    for (int i = 0; i < SHOP_SHOPPERS; i++) {
        struct shopper *shopper = &shop->shoppers[i];
        shopper->shop = shop;
        shopper->number = i;
        shopper->node = (size_t)i % count;
        shopper->random = (uint64_t)i * 7919 + 1;
        ck_assert_int_eq(pthread_create(&shopper->thread, NULL, run_shopper, shopper), 0);
    }
}

void shop_wait(const struct shop *shop, int more) {
    int began = shop->requests;
    WAIT_FOR(shop->requests >= began + more);
}

void shop_mark(struct shop *shop) {
    shop->requests = shop->retried = shop->failed = shop->unservable = 0;
    shop->longest_ms = 0;
}

void shop_print(const struct shop *shop, const char *phase) {
    fprintf(
        stderr,
        "%-28s %6d requests, %3d retried, %d failed, %d could not be served, the longest took %llu "
        "ms\n",
        phase, shop->requests, shop->retried, shop->failed, shop->unservable,
        (unsigned long long)shop->longest_ms);
}

void shop_stop(struct shop *shop) {
    shop->stop = true;
    for (int i = 0; i < SHOP_SHOPPERS; i++) {
        pthread_join(shop->shoppers[i].thread, NULL);
    }
}

void shop_free(struct shop *shop) {
    free(shop->shoppers);
    shop->shoppers = NULL;
}

/* ---- reading back ---------------------------------------------------------------------------------- */

static redisContext *open_node(const struct shop *shop, size_t node) {
    const struct shop_address *at = &shop->nodes[node];
    redisContext *redis = redisConnect(at->host, at->port);
    ck_assert_ptr_nonnull(redis);
    ck_assert_msg(redis->err == 0, "%s:%d: %s", at->host, at->port, redis->errstr);
    redisSetTimeout(redis, timeval_of(WAIT_SECONDS * 1000));
    return redis;
}

static redisReply *ask(redisContext *redis, const char *command, const char *key) {
    redisReply *reply = redisCommand(redis, "%s %s", command, key);
    ck_assert_msg(reply != NULL, "%s %s: %s", command, key, redis->errstr);
    ck_assert_msg(reply->type != REDIS_REPLY_ERROR, "%s %s: %s", command, key, reply->str);
    return reply;
}

static int missing_from_carts(const struct shop *shop, redisContext *redis, size_t node) {
    int missing = 0;
    for (int cart = 0; cart < SHOP_CARTS; cart++) {
        char key[32], text[LINE_BYTES];
        snprintf(key, sizeof key, "cart.%d", cart);
        redisReply *reply = ask(redis, "DYNGET", key);
        read_cart(reply, text);
        freeReplyObject(reply);
        for (int i = 0; i < SHOP_SHOPPERS; i++) {
            const struct shopper *shopper = &shop->shoppers[i];
            for (int add = 0; add < shopper->adds; add++) {
                char line[32];
                snprintf(line, sizeof line, "%d-%d;", i, add);
                if (shopper->added[add] && shopper->cart_of[add] == cart &&
                    !has_line(text, strlen(text), line)) {
                    fprintf(stderr, "node %zu: %s is missing from %s\n", node + 1, line, key);
                    missing++;
                }
            }
        }
    }
    return missing;
}

/* The field `name` of a map that came as an array; "" if there is none. */
static const char *field(const redisReply *map, const char *name) {
    for (size_t i = 0; i + 1 < map->elements; i += 2) {
        if (strcmp(map->element[i]->str, name) == 0) {
            return map->element[i + 1]->str != NULL ? map->element[i + 1]->str : "";
        }
    }
    return "";
}

/* The homes of a key: bits. */
static unsigned homes_of(const struct shop *shop, redisContext *redis, const char *key) {
    redisReply *reply = ask(redis, "DYNPREFLIST", key);
    const redisReply *list = reply->element[5]; /* behind "slot", "partition", "nodes" */
    unsigned homes = 0;
    for (size_t i = 0; i < list->elements; i++) {
        for (size_t node = 0; node < shop->node_count; node++) {
            char address[100];
            snprintf(address, sizeof address, "%s:%d", shop->nodes[node].host,
                     shop->nodes[node].port);
            bool home = strcmp(field(list->element[i], "role"), "home") == 0 &&
                        strcmp(field(list->element[i], "address"), address) == 0;
            homes |= (unsigned)home << node;
        }
    }
    freeReplyObject(reply);
    return homes;
}

/* Why nobody could have served it; NULL: somebody could. */
static const char *excuse(const struct shop *shop, const struct shop_failure *failure,
                          unsigned homes) {
    unsigned reached = failure->before & failure->after, all = (1u << shop->node_count) - 1;
    if ((failure->before & ~failure->after) != 0) {
        return "it was struck by another fault";
    }
    if (__builtin_popcount(reached) < SHOP_QUORUM) {
        return "it reached too few nodes";
    }
    if (strcmp(failure->command, "DYNGET") == 0 && (reached & homes) == 0) {
        return "it reached no home of the key";
    }
    if (strstr(failure->second, "the context names") != NULL && reached != all) {
        return "it did not reach all who may know the context";
    }
    return NULL;
}

void shop_judge(struct shop *shop) {
    redisContext *redis = open_node(shop, 0);
    ck_assert_int_le(shop->failure_count, SHOP_MAX_FAILURES);
    for (; shop->judged < shop->failure_count; shop->judged++) {
        const struct shop_failure *failure = &shop->failures[shop->judged];
        WAIT_FOR(failure->noted);
        const char *why = excuse(shop, failure, homes_of(shop, redis, failure->key));
        shop->failed += why == NULL;
        shop->unservable += why != NULL;
        fprintf(stderr, "failed twice (%s): %s %s: %s; then %s\n",
                why != NULL ? why : "WITHOUT EXCUSE", failure->command, failure->key,
                failure->first, failure->second);
    }
    redisFree(redis);
}

/* The number of some sibling must be the last acknowledged one or a later one; a clock that was wrong may have put another one first. */
static int wrong_registers(const struct shop *shop, redisContext *redis, size_t node) {
    int wrong = 0;
    for (int i = 0; i < SHOP_SHOPPERS; i++) {
        char key[32];
        long highest = 0;
        snprintf(key, sizeof key, "register.%d.%d", i, shop->shoppers[i].registers);
        redisReply *reply = ask(redis, "DYNGET", key);
        for (size_t k = 0; k < reply->element[1]->elements; k++) {
            long number = strtol(reply->element[1]->element[k]->str, NULL, 10);
            highest = number > highest ? number : highest;
        }
        freeReplyObject(reply);
        const struct shopper *shopper = &shop->shoppers[i];
        if (highest < shopper->last_register || highest > shopper->max_register) {
            fprintf(stderr, "node %zu: %s is %ld, was %d\n", node + 1, key, highest,
                    shopper->last_register);
            wrong++;
        }
    }
    return wrong;
}

static int returned(const struct shop *shop, redisContext *redis, size_t node) {
    int wrong = 0;
    for (int i = 0; i < SHOP_SHOPPERS; i++) {
        const struct shopper *shopper = &shop->shoppers[i];
        for (int gone = 0; gone < shopper->gone; gone++) {
            char key[32];
            snprintf(key, sizeof key, "gone.%d.%d", i, gone);
            redisReply *reply = ask(redis, "GET", key);
            if (shopper->deleted[gone] && reply->type != REDIS_REPLY_NIL) {
                fprintf(stderr, "node %zu: %s was deleted and is there\n", node + 1, key);
                wrong++;
            }
            freeReplyObject(reply);
        }
    }
    return wrong;
}

void shop_verify(const struct shop *shop) {
    int wrong = 0;
    for (size_t node = 0; node < shop->node_count; node++) {
        redisContext *redis = open_node(shop, node);
        wrong += missing_from_carts(shop, redis, node);
        wrong += wrong_registers(shop, redis, node);
        wrong += returned(shop, redis, node);
        redisFree(redis);
    }
    ck_assert_int_eq(wrong, 0);
}

static bool key_agrees(redisContext *redis, const char *key) {
    redisReply *reply = ask(redis, "DYNREPLICAS", key);
    const redisReply *first = NULL;
    bool same = reply->elements > 0;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *replica = reply->element[i];
        const char *state = field(replica, "state");
        if (strcmp(field(replica, "role"), "home") != 0) {
            continue;
        }
        first = first == NULL ? replica : first;
        same = same && (strcmp(state, "ok") == 0 || strcmp(state, "not-found") == 0) &&
               strcmp(field(replica, "digest"), field(first, "digest")) == 0;
    }
    if (!same && getenv("SHOP_SHOW") != NULL) {
        struct buf text = {0};
        show_reply(&text, reply);
        fprintf(stderr, "%s: %s\n", key, show_text(&text));
        buf_free(&text);
    }
    freeReplyObject(reply);
    return same;
}

static bool check_key(redisContext *redis, const char *key, bool read) {
    if (key_agrees(redis, key)) {
        return true;
    }
    if (read) {
        redisReply *reply = redisCommand(redis, "DYNGET %s R 3", key);
        if (reply != NULL) {
            freeReplyObject(reply);
        }
    }
    return false;
}

bool shop_agrees(const struct shop *shop, size_t node, bool read) {
    redisContext *redis = open_node(shop, node);
    char key[32];
    int differ = 0;
    for (int cart = 0; cart < SHOP_CARTS; cart++) {
        snprintf(key, sizeof key, "cart.%d", cart);
        differ += !check_key(redis, key, read);
    }
    for (int i = 0; i < SHOP_SHOPPERS; i++) {
        for (int number = 0; number <= shop->shoppers[i].registers; number++) {
            snprintf(key, sizeof key, "register.%d.%d", i, number);
            differ += !check_key(redis, key, read);
        }
        for (int gone = 0; gone < shop->shoppers[i].gone; gone++) {
            snprintf(key, sizeof key, "gone.%d.%d", i, gone);
            differ += !check_key(redis, key, read);
        }
    }
    redisFree(redis);
    return differ == 0;
}
