/* sim/load: see load.h.
 *
 * Hooks may not step the world, and an answer may come while a node is being stepped, so a client's
 * next request is an event of its own. Latencies are read from the world's history afterwards. */
#include "sim/load.h"

#include <assert.h>
#include <stdlib.h>

#include "sim/mem.h"

enum { LOAD_NEXT = WORLD_USER_KIND + 50, LOAD_GIVE_UP };

struct load {
    struct lab *lab;
    struct load_conf conf;
    struct blob **keys; /* owned */
    size_t first_op;    /* the history's length at the start */
    uint64_t *waiting;  /* owned; by client: the tag of its request; 0: none */
    uint64_t next_value;
    bool stopped;
};

static void next_turn(struct load *load, uint64_t at_us, uint64_t client) {
    if (!load->stopped) {
        world_at(load->lab->world, at_us, LOAD_NEXT, client, 0);
    }
}

static void ask(struct load *load, uint64_t client) {
    struct lab *lab = load->lab;
    struct buf text = {0};
    bool read = prng_below(&lab->prng, 100) < load->conf.read_percent;
    struct op request = {.kind = read ? CLIENT_READ : CLIENT_WRITE,
                         .node = lab_any_node(lab),
                         .client = (uint32_t)client,
                         .key = load->keys[prng_below(&lab->prng, load->conf.keys)],
                         .r = load->conf.r,
                         .w = load->conf.w};
    if (!read) {
        request.value_id = ++load->next_value;
        mem_printf(&text, "%llu", (unsigned long long)request.value_id);
        request.value = mem_blob(buf_data(&text), buf_len(&text));
    }
    struct op *op = world_ask(lab->world, &request);
    if (load->conf.clients > 0) {
        load->waiting[client] = op->tag;
        world_at(lab->world, world_now_us(lab->world) + load->conf.patience_us, LOAD_GIVE_UP,
                 client, op->tag);
    }
    blob_unref(request.value);
    buf_free(&text);
}

static void on_answer(void *arg, struct op *op) {
    struct load *load = arg;
    if (load->conf.clients > 0 && op->tag > load->first_op &&
        load->waiting[op->client] == op->tag) {
        load->waiting[op->client] = 0;
        next_turn(load, world_now_us(load->lab->world), op->client);
    }
}

static void on_event(void *arg, const struct sim_event *event) {
    struct load *load = arg;
    if (event->kind == LOAD_NEXT && !load->stopped) {
        ask(load, event->a);
        if (load->conf.clients == 0) {
            next_turn(load, world_now_us(load->lab->world) + load->conf.interval_us, 0);
        }
    } else if (event->kind == LOAD_GIVE_UP && load->waiting[event->a] == event->b) {
        load->waiting[event->a] = 0;
        next_turn(load, world_now_us(load->lab->world), event->a);
    }
}

struct load *load_start(struct lab *lab, const struct load_conf *conf) {
    struct load *load = mem_zero(sizeof *load);
    assert(conf->keys > 0 && (conf->clients > 0 || conf->interval_us > 0));
    load->lab = lab;
    load->conf = *conf;
    load->first_op = world_history(lab->world)->count;
    load->keys = mem_zero(conf->keys * sizeof *load->keys);
    load->waiting = mem_zero(conf->clients * sizeof *load->waiting);
    for (uint32_t i = 0; i < conf->keys; i++) {
        struct lab_register name;
        lab_register_init(&name, "load", i);
        load->keys[i] = blob_ref(name.key);
        lab_register_free(&name);
    }
    world_set_hooks(lab->world, &(struct world_hooks){
                                    .arg = load, .on_answer = on_answer, .on_event = on_event});
    uint32_t loops = conf->clients > 0 ? conf->clients : 1;
    for (uint32_t client = 0; client < loops; client++) {
        next_turn(load, world_now_us(lab->world) + prng_below(&lab->prng, 10000), client);
    }
    return load;
}

void load_stop(struct load *load) {
    load->stopped = true;
    world_elapse(load->lab->world, load->conf.patience_us);
    world_set_hooks(load->lab->world, &(struct world_hooks){0});
}

void load_free(struct load **handle) {
    struct load *load = *handle;
    if (load == NULL) {
        return;
    }
    for (uint32_t i = 0; i < load->conf.keys; i++) {
        blob_unref(load->keys[i]);
    }
    free(load->keys);
    free(load->waiting);
    free(load);
    *handle = NULL;
}

/* ---- figures --------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static bool counts(const struct op *op, enum load_kind kind, uint64_t from_us, uint64_t to_us) {
    return op->asked_us >= from_us && op->asked_us < to_us &&
           (kind == LOAD_ALL || (kind == LOAD_READS) == (op->kind == CLIENT_READ));
}

static bool served(const struct load *load, const struct op *op) {
    return op->answered && op->err == RD_OK &&
           op->answered_us - op->asked_us <= load->conf.patience_us;
}

struct load_figures load_figures(const struct load *load, enum load_kind kind, uint64_t from_us,
                                 uint64_t to_us) {
    const struct history *history = world_history(load->lab->world);
    struct load_figures figures = {0};
    double *times = mem_zero(history->count * sizeof *times);
    double sum = 0;
    for (size_t i = load->first_op; i < history->count; i++) {
        const struct op *op = history->ops[i];
        if (!counts(op, kind, from_us, to_us)) {
            continue;
        }
        figures.asked++;
        if (served(load, op)) {
            double ms = (double)(op->answered_us - op->asked_us) / 1000;
            times[figures.served++] = ms;
            sum += ms;
        }
    }
    if (figures.served > 0) {
        qsort(times, figures.served, sizeof *times, by_value);
        figures.mean_ms = sum / (double)figures.served;
        figures.p50_ms = times[figures.served / 2];
        figures.p99_ms = times[figures.served * 99 / 100];
        figures.max_ms = times[figures.served - 1];
    }
    free(times);
    return figures;
}

/* ---- staleness ------------------------------------------------------------------------------- */

/* Writes by key, then by their number, which is the order of asking. */
static int by_key(const void *a, const void *b) {
    const struct op *left = *(const struct op *const *)a, *right = *(const struct op *const *)b;
    uintptr_t key = (uintptr_t)left->key, other = (uintptr_t)right->key;
    return key != other ? (key > other) - (key < other)
                        : (left->value_id > right->value_id) - (left->value_id < right->value_id);
}

/* All writes of the load, sorted; owned by the caller. */
static const struct op **sorted_writes(const struct load *load, size_t *count) {
    const struct history *history = world_history(load->lab->world);
    const struct op **writes = mem_zero(history->count * sizeof *writes);
    *count = 0;
    for (size_t i = load->first_op; i < history->count; i++) {
        if (history->ops[i]->kind == CLIENT_WRITE) {
            writes[(*count)++] = history->ops[i];
        }
    }
    qsort(writes, *count, sizeof *writes, by_key);
    return writes;
}

static bool is_stale(const struct op *read, const struct op **writes, size_t count) {
    struct op sought = {.key = read->key}; /* the place before the key's first write */
    const struct op *shown = NULL;
    uint64_t id = lab_shown(read), latest_asked_us = 0;
    size_t low = 0, high = count;
    while (low < high) {
        const struct op *place = &sought, *middle = writes[(low + high) / 2];
        if (by_key(&middle, &place) < 0) {
            low = (low + high) / 2 + 1;
        } else {
            high = (low + high) / 2;
        }
    }
    for (size_t i = low; i < count && writes[i]->key == read->key; i++) {
        const struct op *write = writes[i];
        shown = write->value_id == id ? write : shown;
        if (write->answered && write->err == RD_OK && write->answered_us <= read->asked_us &&
            write->asked_us > latest_asked_us) {
            latest_asked_us = write->asked_us;
        }
    }
    return latest_asked_us > 0 &&
           (shown == NULL || (shown->answered && shown->answered_us < latest_asked_us));
}

double load_stale_percent(const struct load *load, uint64_t from_us, uint64_t to_us) {
    const struct history *history = world_history(load->lab->world);
    size_t count, reads = 0, stale = 0;
    const struct op **writes = sorted_writes(load, &count);
    for (size_t i = load->first_op; i < history->count; i++) {
        const struct op *op = history->ops[i];
        if (counts(op, LOAD_READS, from_us, to_us) && op->answered && op->err == RD_OK) {
            reads++;
            stale += is_stale(op, writes, count);
        }
    }
    free(writes);
    return reads > 0 ? 100.0 * (double)stale / (double)reads : 0;
}
