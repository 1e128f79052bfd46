/* sim/lab_disk: see lab_disk.h. */
#include "sim/lab_disk.h"

#include <stdio.h>
#include <string.h>

#include "replication/birth.h"
#include "replication/certificate.h"
#include "replication/slot.h"
#include "sim/mem.h"

static void ignore_get(void *arg, uint64_t token, enum rd_err err, struct blob *value) {
    (void)arg, (void)token, (void)err, (void)value;
}

static void on_commit(void *arg, uint64_t token, enum rd_err err) {
    (void)arg, (void)token;
    mem_must(err);
}

static void ignore_scan(void *arg, uint64_t token, enum rd_err err, const struct store_row *rows,
                        size_t count, bool end) {
    (void)arg, (void)token, (void)err, (void)rows, (void)count, (void)end;
}

static void commit(struct store *store) {
    static const struct store_handler handler = {ignore_get, on_commit, ignore_scan};
    store_commit(store, 1);
    store_mem_release(store, SIZE_MAX);
    while (store_poll(store, &handler, NULL, 16) > 0) {
    }
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* Puts key number i, or erases it. Returns how many bytes key and digest take. */
static size_t change_row(struct store *store, uint32_t i, bool erase) {
    struct object object = {0};
    struct context none = {0};
    struct dot dot = {.actor = {.incarnation = 1000, .epoch = 1}, .counter = 1};
    struct lab_register name;
    struct buf bytes = {0};
    lab_register_init(&name, "key", i);
    mem_must(object_write(&object, &none, &dot, 1 + i, name.key, 0));
    mem_must(object_encode(&object, &bytes));
    uint64_t digest = object_digest(&object);
    struct store_put put = {
        .at = {.space = STORE_OBJECTS,
               .slot = slot_of_key(PARTITIONER_CRC16, name.key->bytes, name.key->len),
               .key = name.key->bytes,
               .key_len = name.key->len},
        .value = erase ? NULL : mem_blob(buf_data(&bytes), buf_len(&bytes)),
        .old_digest = erase ? digest : 0,
        .new_digest = erase ? 0 : digest,
        .was_live = erase,
        .is_live = !erase};
    mem_must(store_put(store, &put));
    size_t listed = name.key->len + sizeof digest;
    blob_unref(put.value);
    buf_free(&bytes);
    object_free(&object);
    lab_register_free(&name);
    return listed;
}

size_t lab_disk_fill(struct store *store, uint32_t count) {
    size_t listed = 0;
    for (uint32_t i = 0; i < count; i++) {
        listed += change_row(store, i, false);
        if (i % 1000 == 999) {
            commit(store);
        }
    }
    commit(store);
    return listed;
}

void lab_disk_thin(struct store *store, uint32_t keys, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        change_row(store, (uint32_t)((uint64_t)i * keys / count), true);
    }
    commit(store);
}

static void count_row(void *arg, enum store_space space, const struct store_row *row) {
    (void)row;
    *(uint64_t *)arg += space == STORE_OBJECTS;
}

uint64_t lab_disk_rows(struct store *store) {
    uint64_t count = 0;
    store_mem_each(store, count_row, &count);
    return count;
}

/* ---- members --------------------------------------------------------------------------------- */

static void put_meta(struct store *store, const char *name, const struct buf *row) {
    struct store_put put = {.at = {.space = STORE_META, .key = name, .key_len = strlen(name)},
                            .value = mem_blob(buf_data(row), buf_len(row))};
    mem_must(store_put(store, &put));
    blob_unref(put.value);
    commit(store);
}

static void put_identity(struct store *store, const struct node_id *id,
                         const uint8_t key[CONTEXT_KEY_BYTES]) {
    static const uint8_t generation_1_incarnation_0[16] = {[7] = 1};
    struct buf row = {0};
    mem_must(buf_append(&row, id->bytes, sizeof id->bytes));
    mem_must(buf_append(&row, generation_1_incarnation_0, sizeof generation_1_incarnation_0));
    mem_must(buf_append(&row, key, CONTEXT_KEY_BYTES));
    put_meta(store, "identity", &row);
    buf_free(&row);
}

static void put_birth(struct store *store, const struct world_conf *conf,
                      const struct certificate *certificate) {
    struct buf row = {0};
    mem_must(birth_born_row(&conf->node, certificate, false, &row));
    put_meta(store, "birth", &row);
    buf_free(&row);
}

void lab_disk_born(struct lab *lab, const struct world_conf *conf) {
    struct certificate certificate = {0};
    prng_fill(&lab->prng, certificate.seal_key, sizeof certificate.seal_key);
    for (uint32_t i = 0; i < conf->nodes; i++) {
        struct node_id id;
        uint16_t index;
        prng_fill(&lab->prng, id.bytes, sizeof id.bytes);
        id.bytes[0] = (uint8_t)(i >> 8); /* a certificate lists its members in order of id, */
        id.bytes[1] = (uint8_t)i;        /* the first of which names the cluster */
        mem_must(members_add(&certificate.members, &id, &index));
        struct member *member = &certificate.members.items[index];
        member->generation = member->version = 1;
        member->vnodes = conf->node.vnodes;
        member->cluster_port = WORLD_CLUSTER_PORT;
        member->address.port = WORLD_CLUSTER_PORT - 10000;
        snprintf(member->address.host, sizeof member->address.host, "%s",
                 network_name(world_network(lab->world), i));
    }
    certificate.cluster = certificate.members.items[0].id;
    for (uint32_t i = 0; i < conf->nodes; i++) {
        struct store *store = world_disk(lab->world, i)->store;
        put_identity(store, &certificate.members.items[i].id, certificate.seal_key);
        put_birth(store, conf, &certificate);
    }
    certificate_free(&certificate);
}
