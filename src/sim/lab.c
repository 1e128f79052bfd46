/* sim/lab: see lab.h. */
#include "sim/lab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mem.h"

#define FORM_US UINT64_C(300000000)
#define ANSWER_US UINT64_C(60000000)

/* ---- counting -------------------------------------------------------------------------------- */

/* The kind of a frame, "*<argc>\r\n$<len>\r\n<name>\r\n...", by its name. */
static enum wire_kind kind_of(const struct blob *frame) {
    const char *bytes = (const char *)frame->bytes, *end = bytes + frame->len;
    const char *dollar = memchr(bytes, '$', frame->len);
    const char *name = dollar != NULL ? memchr(dollar, '\n', (size_t)(end - dollar)) : NULL;
    assert(name != NULL);
    name++;
    const char *behind = memchr(name, '\r', (size_t)(end - name));
    assert(behind != NULL);
    for (int kind = 0; kind < WIRE_KINDS; kind++) {
        const char *known = wire_name((enum wire_kind)kind);
        if (strlen(known) == (size_t)(behind - name) &&
            memcmp(known, name, (size_t)(behind - name)) == 0) {
            return (enum wire_kind)kind;
        }
    }
    assert(!"a frame of a known kind");
    return WIRE_KINDS;
}

static bool count_frame(void *arg, uint32_t from, uint32_t to, uint64_t link, struct blob *frame) {
    struct lab *lab = arg;
    enum wire_kind kind = kind_of(frame);
    (void)from;
    (void)to;
    (void)link;
    lab->frames[kind]++;
    lab->bytes[kind] += frame->len;
    return true;
}

void lab_reset_counts(struct lab *lab) {
    memset(lab->frames, 0, sizeof lab->frames);
    memset(lab->bytes, 0, sizeof lab->bytes);
}

static uint64_t sum(const uint64_t counts[WIRE_KINDS]) {
    uint64_t all = 0;
    for (int kind = 0; kind < WIRE_KINDS; kind++) {
        all += counts[kind];
    }
    return all;
}

uint64_t lab_frames(const struct lab *lab) {
    return sum(lab->frames);
}

uint64_t lab_bytes(const struct lab *lab) {
    return sum(lab->bytes);
}

/* ---- the cluster ----------------------------------------------------------------------------- */

void lab_conf(struct world_conf *conf, uint32_t nodes, uint32_t n, uint32_t r, uint32_t w,
              uint64_t seed) {
    world_conf_default(conf, nodes, seed);
    conf->network = (struct network_conf){
        .delay_min_us = 500, .delay_mean_us = 500, .dial_timeout_us = 1000000};
    conf->check_every = 0;
    conf->node.n = n;
    conf->node.r = r;
    conf->node.w = w;
    conf->node.partitions = 64;
    conf->node.vnodes = 16;
    conf->node.read_repair = conf->node.hinted_handoff = conf->node.sloppy_quorum = false;
    conf->node.anti_entropy = false;
}

bool lab_sees(const struct lab *lab, uint32_t up) {
    for (uint32_t i = 0; i < world_nodes(lab->world); i++) {
        struct node_stats stats;
        if (world_state(lab->world, i) != NODE_RUNNING) {
            continue;
        }
        node_stats(world_node(lab->world, i), &stats);
        if (!stats.open || stats.members_up != up) {
            return false;
        }
    }
    return true;
}

/* A first write makes the nodes agree on the birth of their cluster, which is no matter of the
 * experiments. */
static void be_born(struct lab *lab) {
    struct lab_register first;
    lab_register_init(&first, "birth", 0);
    while (lab_write(lab, &first, 0, 1)->err != RD_OK) {
        world_elapse(lab->world, 100000);
        assert(world_now_us(lab->world) < 2 * FORM_US);
    }
    world_elapse(lab->world, 2000000);
    lab_register_free(&first);
}

struct lab *lab_make(const struct world_conf *conf) {
    struct lab *lab = mem_zero(sizeof *lab);
    struct world_conf calm = *conf;
    calm.network.drop_ppm = calm.network.duplicate_ppm = calm.network.reorder_ppm = 0;
    lab->world = world_new(&calm);
    prng_seed(&lab->prng, conf->seed ^ UINT64_C(0x6c6162));
    network_set_tap(world_network(lab->world), count_frame, lab);
    return lab;
}

void lab_form(struct lab *lab, const struct world_conf *conf) {
    for (uint32_t i = 0; i < conf->nodes; i++) {
        mem_must(world_start(lab->world, i));
    }
    while (!lab_sees(lab, conf->nodes)) {
        world_elapse(lab->world, 100000);
        assert(world_now_us(lab->world) < FORM_US);
    }
    be_born(lab);
    *world_network_conf(lab->world) = conf->network;
    lab_reset_counts(lab);
}

struct lab *lab_new(const struct world_conf *conf) {
    struct lab *lab = lab_make(conf);
    lab_form(lab, conf);
    return lab;
}

void lab_free(struct lab **handle) {
    struct lab *lab = *handle;
    if (lab == NULL) {
        return;
    }
    world_free(&lab->world);
    free(lab);
    *handle = NULL;
}

uint32_t lab_any_node(struct lab *lab) {
    uint32_t running = 0;
    for (uint32_t i = 0; i < world_nodes(lab->world); i++) {
        running += world_state(lab->world, i) == NODE_RUNNING;
    }
    assert(running > 0);
    uint32_t skip = (uint32_t)prng_below(&lab->prng, running);
    for (uint32_t i = 0;; i++) {
        if (world_state(lab->world, i) == NODE_RUNNING && skip-- == 0) {
            return i;
        }
    }
}

/* ---- registers ------------------------------------------------------------------------------- */

void lab_register_init(struct lab_register *reg, const char *prefix, uint64_t number) {
    struct buf text = {0};
    mem_printf(&text, "%s%llu", prefix, (unsigned long long)number);
    *reg = (struct lab_register){.key = mem_blob(buf_data(&text), buf_len(&text))};
    buf_free(&text);
}

void lab_register_free(struct lab_register *reg) {
    blob_unref(reg->key);
    free(reg->writes);
    *reg = (struct lab_register){0};
}

struct op *lab_write_later(struct lab *lab, struct lab_register *reg, uint32_t node, uint32_t w) {
    struct buf text = {0};
    uint64_t id = reg->write_count + 1;
    mem_printf(&text, "%llu", (unsigned long long)id);
    struct op request = {.kind = CLIENT_WRITE,
                         .node = node,
                         .key = reg->key,
                         .value = mem_blob(buf_data(&text), buf_len(&text)),
                         .value_id = id,
                         .w = w};
    struct op *op = world_ask(lab->world, &request);
    reg->writes = mem_grow(reg->writes, &reg->write_cap, id, sizeof(struct op *));
    reg->writes[reg->write_count++] = op;
    blob_unref(request.value);
    buf_free(&text);
    return op;
}

struct op *lab_read_later(struct lab *lab, const struct lab_register *reg, uint32_t node,
                          uint32_t r) {
    struct op request = {.kind = CLIENT_READ, .node = node, .key = reg->key, .r = r};
    return world_ask(lab->world, &request);
}

struct op *lab_await(struct lab *lab, struct op *op) {
    uint64_t until_us = op->asked_us + ANSWER_US;
    while (!op->answered) {
        bool more = world_step(lab->world, until_us);
        assert(more);
        (void)more;
    }
    return op;
}

struct op *lab_write(struct lab *lab, struct lab_register *reg, uint32_t node, uint32_t w) {
    return lab_await(lab, lab_write_later(lab, reg, node, w));
}

struct op *lab_read(struct lab *lab, const struct lab_register *reg, uint32_t node, uint32_t r) {
    return lab_await(lab, lab_read_later(lab, reg, node, r));
}

uint64_t lab_shown(const struct op *read) {
    uint64_t id = 0;
    if (read->object.count > 0) {
        const struct blob *value = read->object.siblings[0].value;
        for (size_t i = 0; i < value->len; i++) {
            id = id * 10 + (uint64_t)(value->bytes[i] - '0');
        }
    }
    return id;
}

struct lab_verdict lab_judge(const struct lab_register *reg, const struct op *read) {
    struct lab_verdict verdict = {.answered = read->answered && read->err == RD_OK};
    uint64_t acknowledged = 0, written = 0;
    for (size_t i = 0; i < reg->write_count; i++) {
        const struct op *write = reg->writes[i];
        if (write->asked_us > read->asked_us) {
            break;
        }
        written = write->value_id;
        if (write->answered && write->err == RD_OK && write->answered_us <= read->asked_us) {
            acknowledged = write->value_id;
        }
    }
    if (verdict.answered) {
        uint64_t id = lab_shown(read);
        verdict.stale = id < acknowledged;
        verdict.stale_loose = id < written;
    }
    return verdict;
}

/* ---- tallies --------------------------------------------------------------------------------- */

void lab_tally_write(struct lab_tally *tally, const struct op *write) {
    tally->writes++;
    tally->failed_writes += write->err != RD_OK;
}

void lab_tally_read(struct lab_tally *tally, const struct lab_register *reg,
                    const struct op *read) {
    struct lab_verdict verdict = lab_judge(reg, read);
    tally->reads++;
    tally->failed_reads += !verdict.answered;
    tally->stale += verdict.stale;
    tally->stale_loose += verdict.stale_loose;
}

static double percent(uint64_t part, uint64_t whole) {
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

double lab_stale_percent(const struct lab_tally *tally) {
    return percent(tally->stale, tally->reads - tally->failed_reads);
}

double lab_loose_percent(const struct lab_tally *tally) {
    return percent(tally->stale_loose, tally->reads - tally->failed_reads);
}

double lab_failed_percent(const struct lab_tally *tally) {
    return percent(tally->failed_reads + tally->failed_writes, tally->reads + tally->writes);
}
