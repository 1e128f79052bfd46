/* Stands in for driver.c, node.c, the store's counters and server.c: it defines the functions of theirs that the client side calls, so
 * that the linker does not take the real ones out of the libraries. */
#include "tests/unit/server_fake.h"

#include <assert.h>
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "replication/node.h"
#include "replication/scan_page.h"
#include "server/clock.h"
#include "server/command_rows.h"
#include "server/driver.h"
#include "server/log.h"
#include "server/value.h"
#include "store/store.h"

struct driver {
    struct fake *fake;
};

/* The node's queries are given its address only. */
struct node {
    struct driver driver;
};

static const uint8_t seal_key[CONTEXT_KEY_BYTES] = "fake seal key 1";

/* ---- the server ------------------------------------------------------------------------------------- */

static void stop(struct server *server) {
    struct fake *fake = ((struct node *)server->driver)->driver.fake;
    fake->stopped = true;
    clients_stop(server->clients);
}

struct fake *fake_new(uint64_t seed) {
    struct fake *fake = calloc(1, sizeof(*fake));
    ck_assert_ptr_nonnull(fake);
    prng_seed(&fake->prng, seed);
    struct server *server = &fake->server;
    ck_assert_int_eq(config_new(&server->config), RD_OK);
    char reason[CONFIG_REASON_BYTES] = "";
    ck_assert_int_eq(config_finish(server->config, reason), RD_OK);
    server->config->request_timeout_ms = 1000000000; /* nothing is late, however slow the machine */
    ck_assert_int_eq(log_new("/dev/null", LOG_WARNING, &server->log), RD_OK);
    server->base = event_base_new();
    ck_assert_ptr_nonnull(server->base);
    struct node *node = calloc(1, sizeof(*node));
    ck_assert_ptr_nonnull(node);
    node->driver.fake = fake;
    server->driver = &node->driver;
    server->stop = stop;
    server->executable = "/usr/bin/redynamo-server";
    fake->n = 3;
    fake->r = fake->w = 2;
    fake->member_count = 1;
    fake->members[0] = (struct fake_member){.id = 1, .port = 6379, .status = MEMBER_MEMBER};
    fake->partitions = 16;
    ck_assert_int_eq(clients_new(server, command_rows(), &server->clients), RD_OK);
    return fake;
}

static void free_request(struct client_request *request) {
    free((void *)request->key);
    free((void *)request->context);
    blob_unref(request->value);
}

void fake_free(struct fake *fake) {
    clients_free(&fake->server.clients);
    for (size_t i = 0; i < fake->request_count; i++) {
        free_request(&fake->requests[i].request);
    }
    for (size_t i = 0; i < fake->key_count; i++) {
        buf_free(&fake->keys[i].name);
        object_free(&fake->keys[i].object);
    }
    free(fake->requests);
    free((struct node *)fake->server.driver);
    event_base_free(fake->server.base);
    log_free(&fake->server.log);
    config_free(&fake->server.config);
    free(fake);
}

int fake_connect(struct fake *fake) {
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    clients_accept(fake->server.clients, ends[0], "127.0.0.1:4242");
    return ends[1];
}

void fake_send(int fd, const void *bytes, size_t len) {
    ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

void fake_send_words(int fd, const char *words) {
    struct buf out = {0};
    size_t count = 1;
    for (const char *at = words; *at != '\0'; at++) {
        count += *at == ' ';
    }
    ck_assert_int_eq(buf_printf(&out, "*%zu\r\n", count), RD_OK);
    const char *at = words;
    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(at, " ");
        ck_assert_int_eq(buf_printf(&out, "$%zu\r\n%.*s\r\n", len, (int)len, at), RD_OK);
        at += len + 1;
    }
    fake_send(fd, buf_data(&out), buf_len(&out));
    buf_free(&out);
}

bool fake_turn(struct fake *fake, size_t answers) {
    uint64_t before = fake->submitted,
             bytes = fake->server.counters.input_bytes + fake->server.counters.output_bytes;
    size_t connections = fake->server.clients->count;
    bool answered = false;
    event_base_loop(fake->server.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    for (size_t i = 0; i < answers && fake->request_count > 0 && !fake->hold; i++) {
        size_t index = fake->order == FAKE_FIRST ? 0
                       : fake->order == FAKE_LAST
                           ? fake->request_count - 1
                           : (size_t)prng_below(&fake->prng, fake->request_count);
        fake_answer(fake, index);
        answered = true;
    }
    clients_flush(fake->server.clients);
    return answered || before != fake->submitted || connections != fake->server.clients->count ||
           bytes != fake->server.counters.input_bytes + fake->server.counters.output_bytes;
}

void fake_settle(struct fake *fake) {
    while (fake_turn(fake, 3)) {
    }
    fake_turn(fake, 3);
}

const char *fake_received(int fd, size_t *len) {
    static char text[1 << 20];
    size_t used = 0;
    for (;;) {
        ssize_t got = recv(fd, text + used, sizeof(text) - 1 - used, 0);
        if (got <= 0) {
            break;
        }
        used += (size_t)got;
    }
    text[used] = '\0';
    if (len != NULL) {
        *len = used;
    }
    return text;
}

void fake_collect(struct fake *fake, int fd, struct buf *out) {
    size_t len = 0;
    do {
        fake_settle(fake);
        const char *text = fake_received(fd, &len);
        ck_assert_int_eq(buf_append(out, text, len), RD_OK);
    } while (len > 0);
}

const char *fake_ask(struct fake *fake, int fd, const char *words) {
    fake_send_words(fd, words);
    fake_settle(fake);
    return fake_received(fd, NULL);
}

bool fake_is_closed(int fd) {
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

/* ---- keys ------------------------------------------------------------------------------------------- */

static struct object *object_of(struct fake *fake, const void *key, size_t len) {
    for (size_t i = 0; i < fake->key_count; i++) {
        struct buf *name = &fake->keys[i].name;
        if (buf_len(name) == len && (len == 0 || memcmp(buf_data(name), key, len) == 0)) {
            return &fake->keys[i].object;
        }
    }
    ck_assert_uint_lt(fake->key_count, FAKE_KEYS);
    struct fake_key *added = &fake->keys[fake->key_count++];
    ck_assert_int_eq(buf_append(&added->name, key, len), RD_OK);
    return &added->object;
}

static struct dot next_dot(struct fake *fake) {
    return (struct dot){.actor = {.incarnation = 0xabc, .epoch = 1}, .counter = ++fake->counter};
}

void fake_add_sibling(struct fake *fake, const char *key, const char *value, uint64_t expires_ms) {
    struct context nothing = {0};
    struct dot dot = next_dot(fake);
    struct blob *blob = NULL;
    ck_assert_int_eq(blob_new(value, strlen(value), &blob), RD_OK);
    ck_assert_int_eq(object_write(object_of(fake, key, strlen(key)), &nothing, &dot,
                                  fake->counter << 16, blob, expires_ms),
                     RD_OK);
    blob_unref(blob);
}

static void answer_write(struct fake *fake, struct object *object,
                         const struct client_request *request, struct client_reply *reply) {
    struct context context = {0};
    if (!request->with_context) {
        ck_assert_int_eq(object_context(object, &context), RD_OK);
    } else if (request->context != NULL) {
        reply->err = context_open(request->context, request->context_len, seal_key, request->key,
                                  request->key_len, &context);
        if (reply->err != RD_OK) {
            return;
        }
    }
    reply->existed = object_winner(object, clock_now().wall_us / 1000) != NULL;
    struct dot dot = next_dot(fake);
    uint64_t stamp = fake->counter << 16;
    if (request->value != NULL) {
        ck_assert_int_eq(
            object_write(object, &context, &dot, stamp, request->value, request->expires_ms),
            RD_OK);
    } else {
        ck_assert_int_eq(object_remove(object, &context, stamp, NULL), RD_OK);
    }
    if (request->with_context) {
        struct context after = {0};
        ck_assert_int_eq(
            object_context_after(object, &context, request->value != NULL ? &dot : NULL, &after),
            RD_OK);
        ck_assert_int_eq(
            context_seal(&after, seal_key, request->key, request->key_len, &reply->context), RD_OK);
        context_free(&after);
    }
    context_free(&context);
}

/* As the node does it: computes on what is there, and writes what comes of it. */
static void answer_rmw(struct fake *fake, struct object *object,
                       const struct client_request *request, struct client_reply *reply) {
    uint64_t now_ms = clock_now().wall_us / 1000;
    const struct sibling *winner = object_winner(object, now_ms);
    const struct rmw_input in = {.order = request->value,
                                 .now_ms = now_ms,
                                 .value = winner == NULL ? NULL : winner->value,
                                 .expires_ms = winner == NULL ? 0 : winner->expires_ms};
    struct rmw_output out = {0};
    reply->err = value_compute(command_rows(), 1 << 20, &in, &out);
    if (reply->err == RD_OK && out.change != RMW_KEEP) {
        struct client_request write = {.key = request->key,
                                       .key_len = request->key_len,
                                       .value = out.change == RMW_SET ? out.value : NULL,
                                       .expires_ms = out.expires_ms};
        answer_write(fake, object, &write, reply);
    }
    blob_unref(out.value);
    reply->reply = out.reply;
}

static void answer_replicas(struct client_reply *reply) {
    reply->reports = calloc(2, sizeof(*reply->reports));
    ck_assert_ptr_nonnull(reply->reports);
    reply->report_count = 2;
    for (size_t i = 0; i < 2; i++) {
        struct replica_report *report = &reply->reports[i];
        memset(report->node.bytes, (int)i + 1, sizeof(report->node.bytes));
        snprintf(report->address.host, sizeof(report->address.host), "10.0.0.%zu", i + 1);
        report->address.port = 6379;
        report->home = i == 0;
        report->state = i == 0 ? REPLICA_OK : REPLICA_NO_ANSWER;
        report->siblings = i == 0;
        report->digest = i == 0 ? 0xfeed : 0;
        ck_assert_int_eq(buf_printf(&report->clock, "%s", i == 0 ? "00000000000000aa.1:7" : ""),
                         RD_OK);
    }
}

/* The first key that a reader sees behind the position; NULL: there is none up to `last_slot`. */
static struct fake_key *next_key(struct fake *fake, const struct scan_position *at,
                                 uint16_t last_slot) {
    struct fake_key *best = NULL;
    uint16_t best_slot = 0;
    for (size_t i = 0; i < fake->key_count; i++) {
        struct fake_key *key = &fake->keys[i];
        const struct resp_slice name = {buf_data(&key->name), buf_len(&key->name)};
        uint16_t slot = slot_of_key(PARTITIONER_CRC16, name.data, name.len);
        if (slot > last_slot || scan_position_passed(at, slot, name) ||
            object_winner(&key->object, clock_now().wall_us / 1000) == NULL) {
            continue;
        }
        if (best != NULL) {
            const struct resp_slice other = {buf_data(&best->name), buf_len(&best->name)};
            if (scan_order(slot, name, best_slot, other) >= 0) {
                continue;
            }
        }
        best = key;
        best_slot = slot;
    }
    return best;
}

/* SCAN and FLUSH: pages of exactly `count` keys. */
static void answer_scan(struct fake *fake, const struct client_request *request,
                        struct client_reply *reply) {
    struct scan_position at = {0};
    struct fake_key *key;
    scan_position_slot(&at, (uint16_t)(request->cursor >> CLIENT_CURSOR_SLOT_SHIFT));
    if (request->key != NULL) {
        const struct resp_slice name = {request->key, request->key_len};
        ck_assert_int_eq(scan_position_key(&at, at.slot, name), RD_OK);
    }
    while ((key = next_key(fake, &at, request->last_slot)) != NULL) {
        const struct resp_slice name = {buf_data(&key->name), buf_len(&key->name)};
        uint16_t slot = slot_of_key(PARTITIONER_CRC16, name.data, name.len);
        if (reply->number == request->count) {
            reply->after_key = request->exact ? blob_ref(at.key) : NULL;
            reply->cursor = (uint64_t)(request->exact ? at.slot : slot)
                                << CLIENT_CURSOR_SLOT_SHIFT |
                            (request->exact ? 1 : 0);
            break;
        }
        if (request->op == CLIENT_FLUSH) {
            struct context all;
            ck_assert_int_eq(object_context(&key->object, &all), RD_OK);
            ck_assert_int_eq(object_remove(&key->object, &all, ++fake->counter << 16, NULL), RD_OK);
            context_free(&all);
        } else {
            ck_assert_int_eq(client_reply_add_key(&reply->keys, name), RD_OK);
        }
        reply->number++;
        ck_assert_int_eq(scan_position_key(&at, slot, name), RD_OK);
    }
    scan_position_free(&at);
}

void fake_answer(struct fake *fake, size_t index) {
    ck_assert_uint_lt(index, fake->request_count);
    struct client_request request = fake->requests[index].request;
    memmove(fake->requests + index, fake->requests + index + 1,
            (fake->request_count - index - 1) * sizeof(fake->requests[0]));
    fake->request_count--;
    struct client_reply *reply = calloc(1, sizeof(*reply));
    ck_assert_ptr_nonnull(reply);
    if (fake->fail_after > 0) {
        fake->fail_after--;
    } else {
        reply->err = fake->fail_with;
    }
    if (reply->err != RD_OK) {
        snprintf(reply->text, sizeof(reply->text), "the fake says %s", rd_err_name(reply->err));
    } else if (request.op == CLIENT_COUNT) {
        for (size_t i = 0; i < fake->key_count; i++) {
            reply->number +=
                object_winner(&fake->keys[i].object, clock_now().wall_us / 1000) != NULL;
        }
    } else if (request.op == CLIENT_SCAN || request.op == CLIENT_FLUSH) {
        answer_scan(fake, &request, reply);
    } else if (request.op == CLIENT_REPLICAS) {
        answer_replicas(reply);
    } else {
        struct object *object = object_of(fake, request.key, request.key_len);
        if (request.op == CLIENT_WRITE) {
            answer_write(fake, object, &request, reply);
        } else if (request.op == CLIENT_RMW) {
            answer_rmw(fake, object, &request, reply);
        } else {
            ck_assert_int_eq(object_copy(object, &reply->object), RD_OK);
        }
    }
    clients_on_reply(fake->server.clients, request.tag, reply);
    client_reply_free(reply);
    free_request(&request);
}

/* ---- what the real driver, node, store and server would be ------------------------------------------- */

/* Memory that tests/lib/oom.h does not make fail; Check is not asked in here, since it allocates. */
static void *room_for(size_t len) {
    void *room = aligned_alloc(16, (len + 16) & ~(size_t)15);
    assert(room != NULL);
    return room;
}

static void *copy_of(const void *bytes, size_t len) {
    void *copy = room_for(len);
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

void driver_submit(struct driver *driver, const struct client_request *request) {
    struct fake *fake = driver->fake;
    if (fake->request_count == fake->request_cap) {
        struct fake_request *old = fake->requests;
        fake->request_cap = fake->request_cap == 0 ? 64 : fake->request_cap * 2;
        fake->requests = room_for(fake->request_cap * sizeof(*old));
        if (fake->request_count > 0) {
            memcpy(fake->requests, old, fake->request_count * sizeof(*old));
        }
        free(old);
    }
    struct fake_request *added = &fake->requests[fake->request_count++];
    *added = (struct fake_request){.request = *request, .arrival = fake->submitted++};
    added->request.key = request->key == NULL ? NULL : copy_of(request->key, request->key_len);
    added->request.context =
        request->context == NULL ? NULL : copy_of(request->context, request->context_len);
    added->request.value = blob_ref(request->value);
    fake->most_requests =
        fake->request_count > fake->most_requests ? fake->request_count : fake->most_requests;
    fake->last_r = request->r;
    fake->last_w = request->w;
    fake->last_monotonic = request->monotonic;
}

/* The test decides when replies come. */
void driver_settle(struct driver *driver) {
    (void)driver;
}

struct instant driver_read_clock(struct driver *driver) {
    (void)driver;
    return clock_now();
}

struct instant driver_now(const struct driver *driver) {
    (void)driver;
    return clock_now();
}

struct node *driver_node(struct driver *driver) {
    return (struct node *)driver;
}

const struct store *driver_store(const struct driver *driver) {
    return (const struct store *)driver;
}

void driver_stats(const struct driver *driver, struct driver_stats *out) {
    (void)driver;
    *out = (struct driver_stats){.links = 2};
}

void store_stats(const struct store *store, struct store_stats *out) {
    (void)store;
    *out = (struct store_stats){.live_keys = 5, .writable = true};
}

uint64_t store_live_count(const struct store *store, uint16_t first_slot, uint16_t last_slot) {
    (void)store;
    return (uint64_t)(last_slot - first_slot) + 1;
}

static const struct fake *fake_of(const struct node *node) {
    return node->driver.fake;
}

size_t node_member_count(const struct node *node) {
    return fake_of(node)->member_count;
}

void node_member(const struct node *node, size_t index, struct instant now,
                 struct member_view *out) {
    (void)now;
    const struct fake_member *member = &fake_of(node)->members[index];
    *out = (struct member_view){
        .address = {.port = member->port},
        .cluster_port = (uint16_t)(member->port + 10000),
        .vnodes = 256,
        .state = (enum member_state)member->state,
        .status = (enum member_status)member->status,
        .partitions = fake_of(node)->partitions,
        .heard_ms = index * 10,
        .self = index == 0,
    };
    memset(out->id.bytes, member->id, sizeof(out->id.bytes));
    snprintf(out->address.host, sizeof(out->address.host), "127.0.0.1");
}

/* Partition p prefers members p/4, p/4 + 1 ... so that four neighbours share a list. */
size_t node_preflist(const struct node *node, uint16_t partition, uint16_t *out, size_t max,
                     size_t *homes) {
    const struct fake *fake = fake_of(node);
    size_t count = fake->member_count < max ? fake->member_count : max;
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint16_t)((partition / 4 + i) % fake->member_count);
    }
    *homes = count < fake->n ? count : fake->n;
    return count;
}

uint32_t node_partitions(const struct node *node) {
    return fake_of(node)->partitions;
}

uint16_t node_slot(const struct node *node, const void *key, size_t len) {
    (void)node;
    return slot_of_key(PARTITIONER_CRC16, key, len);
}

struct node_id node_self(const struct node *node) {
    struct node_id id;
    memset(id.bytes, fake_of(node)->members[0].id, sizeof(id.bytes));
    return id;
}

enum rd_err node_seal(const struct node *node, const void *key, size_t key_len,
                      const struct object *object, struct buf *out) {
    (void)node;
    struct context context = {0};
    enum rd_err err = object_context(object, &context);
    err = err != RD_OK ? err : context_seal(&context, seal_key, key, key_len, out);
    context_free(&context);
    return err;
}

unsigned node_repair(struct node *node, uint32_t partition) {
    (void)node;
    (void)partition;
    return 0;
}

void node_stats(const struct node *node, struct node_stats *out) {
    *out = (struct node_stats){.members = (uint32_t)fake_of(node)->member_count, .open = true};
}

void node_quorum(const struct node *node, uint32_t *n, uint32_t *r, uint32_t *w) {
    *n = fake_of(node)->n;
    *r = fake_of(node)->r;
    *w = fake_of(node)->w;
}
