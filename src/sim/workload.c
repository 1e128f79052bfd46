/* sim/workload: see workload.h. */
#include "sim/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mem.h"
#include "sim/sums.h"

#define REMEMBERED 8
#define LONGEST_CHAIN 6 /* a context that came from a write on a context that came from ... */

#define WALK_TRIES 4 /* of one page of a scan */

enum intent {
    INTENT_NONE,
    INTENT_SET,
    INTENT_PUT,
    INTENT_REMOVE,
    INTENT_WALK
}; /* after the answer at hand */

struct client {
    uint32_t node;
    bool sticky;
    const struct op *contexts[REMEMBERED]; /* answers with a context, a ring */
    uint32_t remembered;
    const struct op *unknown; /* the last write of unknown outcome */
    enum intent next;         /* what the answer just awaited is for */
    const struct op *last;    /* that answer */
    uint64_t awaits;          /* the tag of the request it waits for; 0: none */
    enum client_op walk;      /* SCAN or FLUSH, page by page */
    const struct op *page;    /* its last good page; NULL: none yet */
    unsigned tries;           /* of the next one */
};

struct workload {
    struct world *world;
    const struct plan *plan;
    struct prng prng;
    struct client *clients; /* owned */
    uint32_t weight_sum;
    uint32_t asked;
    uint64_t given_up;
    uint64_t slower; /* pauses are so many times as long */
    bool running;
    uint64_t starts; /* so many; a turn that was due in an earlier one does not come */
};

struct workload *workload_new(struct world *world, const struct plan *plan) {
    struct workload *workload = mem_zero(sizeof *workload);
    workload->world = world;
    workload->plan = plan;
    workload->slower = 1;
    prng_seed(&workload->prng, plan->seed ^ UINT64_C(0x776f726b6c6f6164));
    workload->clients = mem_zero(plan->clients * sizeof *workload->clients);
    for (uint32_t i = 0; i < plan->clients; i++) {
        struct client *client = &workload->clients[i];
        client->node = (uint32_t)prng_below(&workload->prng, world_nodes(world));
        client->sticky = prng_below(&workload->prng, 100) < plan->sticky_percent;
    }
    for (int i = 0; i < REQUEST_KINDS; i++) {
        workload->weight_sum += plan->request_weights[i];
    }
    return workload;
}

void workload_free(struct workload **handle) {
    if (*handle != NULL) {
        free((*handle)->clients);
        free(*handle);
        *handle = NULL;
    }
}

struct blob *workload_key(uint32_t i) {
    char key[32];
    int len = snprintf(key, sizeof key, "key%u", i);
    return mem_blob(key, (size_t)len);
}

uint32_t workload_number(const void *key, size_t len) {
    const char *text = key;
    uint32_t number = 0;
    for (size_t i = 3; i < len; i++) {
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    return number;
}

uint32_t workload_key_number(const struct blob *key) {
    return workload_number(key->bytes, key->len);
}

uint64_t workload_value_id(const struct blob *value) {
    uint64_t id = 0;
    if (value->len < 2 || value->bytes[0] != 'w') {
        return 0;
    }
    for (uint32_t i = 1; i < value->len && value->bytes[i] >= '0' && value->bytes[i] <= '9'; i++) {
        id = id * 10 + (uint64_t)(value->bytes[i] - '0');
    }
    return id;
}

/* ---- turns of clients ------------------------------------------------------------------------ */

static void schedule(struct workload *workload, uint32_t client, uint64_t mean_us) {
    uint64_t most_us = 2 * mean_us * workload->slower;
    workload->clients[client].awaits = 0;
    if (workload->running) {
        world_at(workload->world,
                 world_now_us(workload->world) + prng_below(&workload->prng, most_us + 1),
                 WORKLOAD_CLIENT_TURN, client, workload->starts);
    }
}

void workload_slow_down(struct workload *workload, uint64_t factor) {
    workload->slower = factor;
}

void workload_start(struct workload *workload) {
    workload->running = true;
    workload->starts++;
    for (uint32_t i = 0; i < workload->plan->clients; i++) {
        workload->clients[i].next = INTENT_NONE;
        schedule(workload, i, workload->plan->think_us);
    }
}

void workload_stop(struct workload *workload) {
    workload->running = false;
}

static uint32_t draw_key(struct workload *workload) {
    if (prng_below(&workload->prng, 100) < workload->plan->hot_percent) {
        return 0;
    }
    return (uint32_t)prng_below(&workload->prng, workload->plan->keys);
}

static uint32_t draw_quorum(struct workload *workload) {
    return 1 + (uint32_t)prng_below(&workload->prng, workload->plan->world.node.n);
}

/* Sends `request` and lets go of its blobs. */
static void send(struct workload *workload, uint32_t i, struct op *request) {
    struct client *client = &workload->clients[i];
    if (!client->sticky || world_state(workload->world, client->node) == NODE_OFF) {
        client->node = (uint32_t)prng_below(&workload->prng, world_nodes(workload->world));
    }
    request->node = client->node;
    request->client = i;
    workload->asked++;
    struct op *op = world_ask(workload->world, request);
    blob_unref(request->key);
    blob_unref(request->value);
    if (op->answered) { /* nobody listens there */
        client->next = INTENT_NONE;
        client->node = (uint32_t)prng_below(&workload->prng, world_nodes(workload->world));
        schedule(workload, i, workload->plan->think_us);
        return;
    }
    client->awaits = op->tag;
    if (workload->plan->patience_us > 0) {
        world_at(workload->world, op->asked_us + workload->plan->patience_us, WORKLOAD_PATIENCE, i,
                 op->tag);
    }
}

uint64_t workload_given_up(const struct workload *workload) {
    return workload->given_up;
}

/* The outcome of the write is not known, and may never be. */
static void note_unknown(struct client *client, const struct op *op) {
    if (op->kind == CLIENT_WRITE && op->value_id != 0) {
        client->unknown = op;
    }
}

/* The client waits no longer, and asks somebody else next. */
static void lose_patience(struct workload *workload, uint32_t i, uint64_t tag) {
    struct client *client = &workload->clients[i];
    if (client->awaits != tag) {
        return;
    }
    workload->given_up++;
    note_unknown(client, history_op(world_history(workload->world), tag));
    client->next = INTENT_NONE;
    client->node = (uint32_t)prng_below(&workload->prng, world_nodes(workload->world));
    schedule(workload, i, workload->plan->think_us);
}

static void read(struct workload *workload, uint32_t i, struct blob *key, uint32_t r,
                 bool monotonic) {
    struct op request = {
        .kind = CLIENT_READ, .key = key, .r = r, .monotonic = monotonic, .wants_token = true};
    send(workload, i, &request);
}

/* The value of the next write: its number, and now and then some length. */
static struct blob *new_value(struct workload *workload, uint64_t *id) {
    char text[200];
    *id = world_history(workload->world)->count + 1;
    int len = snprintf(text, sizeof text, "w%llu.", (unsigned long long)*id);
    size_t padding = prng_chance(&workload->prng, 1, 4) ? prng_below(&workload->prng, 150) : 0;
    memset(text + len, 'x', padding);
    return mem_blob(text, (size_t)len + padding);
}

static void write(struct workload *workload, uint32_t i, struct op *request) {
    request->kind = CLIENT_WRITE;
    request->w = prng_chance(&workload->prng, 1, 10) ? draw_quorum(workload) : 0;
    if (request->with_context && request->seen != NULL) {
        request->context = request->seen->token;
    }
    send(workload, i, request);
}

static void set(struct workload *workload, uint32_t i, struct blob *key) {
    struct op request = {.key = key};
    request.value = new_value(workload, &request.value_id);
    write(workload, i, &request);
}

static void put(struct workload *workload, uint32_t i, struct blob *key, const struct op *seen,
                bool removes) {
    struct op request = {.key = key, .with_context = true, .seen = seen};
    if (!removes) {
        request.value = new_value(workload, &request.value_id);
    }
    write(workload, i, &request);
}

/* An old context that the client was given for whatever key; NULL if it has none. */
static const struct op *stale(struct workload *workload, const struct client *client) {
    uint32_t have = client->remembered < REMEMBERED ? client->remembered : REMEMBERED;
    return have == 0 ? NULL : client->contexts[prng_below(&workload->prng, have)];
}

static void retry(struct workload *workload, uint32_t i) {
    struct client *client = &workload->clients[i];
    const struct op *lost = client->unknown;
    struct op request = {.key = blob_ref(lost->key),
                         .value = blob_ref(lost->value),
                         .value_id = lost->value_id,
                         .with_context = lost->with_context,
                         .seen = lost->seen,
                         .expires_ms = lost->expires_ms};
    client->unknown = NULL;
    write(workload, i, &request);
}

/* Adds the number of this very request. */
static void append(struct workload *workload, uint32_t i) {
    char text[24];
    int len = snprintf(text, sizeof text, "%llu,",
                       (unsigned long long)world_history(workload->world)->count + 1);
    struct op request = {.kind = CLIENT_RMW,
                         .key = sums_key((uint32_t)prng_below(&workload->prng, SUMS_KEYS)),
                         .value = mem_blob(text, (size_t)len)};
    send(workload, i, &request);
}

/* Asks for the page behind the last good one, perhaps of another node. */
static void walk(struct workload *workload, uint32_t i) {
    struct client *client = &workload->clients[i];
    struct op request = {.kind = client->walk,
                         .cursor = client->page == NULL ? 0 : client->page->next_cursor,
                         .seen = client->page,
                         .count = 1 + (uint32_t)prng_below(&workload->prng, 10),
                         .exact = prng_chance(&workload->prng, 1, 2)};
    send(workload, i, &request);
}

static void begin_walk(struct workload *workload, uint32_t i, enum plan_request kind) {
    struct client *client = &workload->clients[i];
    client->walk = kind == REQUEST_SCAN ? CLIENT_SCAN : CLIENT_FLUSH;
    client->page = NULL;
    client->tries = 0;
    client->next = INTENT_NONE;
    walk(workload, i);
}

static void begin(struct workload *workload, uint32_t i, enum plan_request kind) {
    struct client *client = &workload->clients[i];
    struct blob *key = workload_key(draw_key(workload));
    struct op request = {.key = key};
    const struct op *seen;
    client->next = INTENT_NONE;
    switch (kind) {
    case REQUEST_GET:
        read(workload, i, key, 0, false);
        return;
    case REQUEST_GET_MIXED:
        read(workload, i, key, draw_quorum(workload), false);
        return;
    case REQUEST_GET_MONOTONIC:
        read(workload, i, key, 0, true);
        return;
    case REQUEST_SET:
        set(workload, i, key);
        return;
    case REQUEST_DEL_SET:
        client->next = INTENT_SET; /* fallthrough */
    case REQUEST_DEL:
        write(workload, i, &request);
        return;
    case REQUEST_PUT_FRESH:
    case REQUEST_REMOVE_FRESH:
        client->next = kind == REQUEST_PUT_FRESH ? INTENT_PUT : INTENT_REMOVE;
        read(workload, i, key, 0, false);
        return;
    case REQUEST_PUT_STALE:
    case REQUEST_REMOVE_STALE:
        seen = stale(workload, client);
        if (seen != NULL) {
            blob_unref(key);
            put(workload, i, blob_ref(seen->key), seen, kind == REQUEST_REMOVE_STALE);
            return;
        } /* fallthrough */
    case REQUEST_PUT_BLIND:
        put(workload, i, key, NULL, false);
        return;
    case REQUEST_SET_EXPIRING:
        request.expires_ms = (CLOCK_EPOCH_US + world_now_us(workload->world)) / 1000 +
                             prng_below(&workload->prng, 5000);
        request.value = new_value(workload, &request.value_id);
        write(workload, i, &request);
        return;
    case REQUEST_SET_EMPTY:
        request.value = mem_blob("", 0);
        write(workload, i, &request);
        return;
    case REQUEST_RETRY:
        if (client->unknown != NULL) {
            blob_unref(key);
            retry(workload, i);
        } else {
            set(workload, i, key);
        }
        return;
    case REQUEST_REPLICAS:
    case REQUEST_COUNT:
        request.kind = kind == REQUEST_COUNT ? CLIENT_COUNT : CLIENT_REPLICAS;
        send(workload, i, &request);
        return;
    default: /* REQUEST_APPEND, REQUEST_SCAN, REQUEST_FLUSH: in workload_event */
        break;
    }
    blob_unref(key);
}

/* What the client wanted with the answer it has just got. */
static void go_on(struct workload *workload, uint32_t i) {
    struct client *client = &workload->clients[i];
    enum intent intent = client->next;
    client->next = INTENT_NONE;
    if (intent == INTENT_WALK) {
        walk(workload, i);
        return;
    }
    struct blob *key = blob_ref(client->last->key);
    if (intent == INTENT_SET) {
        set(workload, i, key);
    } else {
        put(workload, i, key, client->last, intent == INTENT_REMOVE);
    }
}

void workload_event(struct workload *workload, const struct sim_event *event) {
    uint32_t i = (uint32_t)event->a;
    if (event->kind == WORKLOAD_PATIENCE) {
        lose_patience(workload, i, event->b);
        return;
    }
    bool old = event->b != workload->starts;
    if (!workload->running || old || workload->asked >= workload->plan->ops) {
        return;
    }
    if (workload->clients[i].next != INTENT_NONE) {
        go_on(workload, i);
        return;
    }
    uint32_t drawn = (uint32_t)prng_below(&workload->prng, workload->weight_sum);
    int kind = 0;
    while (drawn >= workload->plan->request_weights[kind]) {
        drawn -= workload->plan->request_weights[kind++];
    }
    if (kind == REQUEST_APPEND) {
        append(workload, i);
    } else if (kind == REQUEST_SCAN || kind == REQUEST_FLUSH) {
        begin_walk(workload, i, (enum plan_request)kind);
    } else {
        begin(workload, i, (enum plan_request)kind);
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

static unsigned chain_length(const struct op *op) {
    unsigned length = 0;
    for (; op != NULL && op->kind == CLIENT_WRITE; op = op->seen) {
        length++;
    }
    return length;
}

void workload_answer(struct workload *workload, struct op *op) {
    if (op->client >= workload->plan->clients) {
        return; /* one of the judges' */
    }
    struct client *client = &workload->clients[op->client];
    bool late = client->awaits != op->tag;
    if (op->err == RD_OK && op->token != NULL && chain_length(op) < LONGEST_CHAIN) {
        client->contexts[client->remembered++ % REMEMBERED] = op;
    }
    if (late) {
        return; /* it has gone on without */
    }
    if (op->err == RD_EUNKNOWN || op->err == RD_ECLOSED) {
        note_unknown(client, op);
    }
    client->last = op;
    if (op->kind == CLIENT_SCAN || op->kind == CLIENT_FLUSH) {
        client->page = op->err == RD_OK ? op : client->page;
        client->tries = op->err == RD_OK ? 0 : client->tries + 1;
        bool goes_on = op->err == RD_OK ? op->next_cursor != 0 : client->tries < WALK_TRIES;
        client->next = goes_on ? INTENT_WALK : INTENT_NONE;
        schedule(workload, op->client, workload->plan->think_us / (goes_on ? 8 : 1));
        return;
    }
    bool usable = op->err == RD_OK && (client->next == INTENT_SET || op->token != NULL);
    if (!usable) {
        client->next = INTENT_NONE;
    }
    schedule(workload, op->client,
             client->next != INTENT_NONE ? workload->plan->think_us / 8 : workload->plan->think_us);
}
