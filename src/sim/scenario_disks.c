/* Scenarios: disks that are cut short, put back, or not there for a while. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mem.h"
#include "sim/scenario.h"
#include "store/port.h"

static const unsigned n123[] = {1, 2, 3};

static void await_all(struct cluster *c) {
    for (unsigned node = 1; node <= world_nodes(cluster_world(c)); node++) {
        cluster_await_up(c, node);
    }
}

/* ---- lease_crash ----------------------------------------------------------------------------- */

/* n1 dies, with its power, at any effect of a write that it coordinates: a name that was given out on the way is never given out again. There
 * are no leases here whose loss could do it; the story is told all the same. */
void scenario_lease_crash(struct cluster *c) {
    char key[32], value[32];
    unsigned acknowledged = 0;
    cluster_key_at(c, n123, 3, key);
    for (unsigned i = 0; i < 70; i++) {
        snprintf(value, sizeof value, "v%u", i);
        world_crash_after(cluster_world(c), 0, 1 + i % 12, CRASH_POWER_WORST);
        struct op *op = cluster_await(c, cluster_dynset_later(c, 1, key, value, NULL));
        acknowledged += op->err == RD_OK;
        cluster_elapse_ms(c, 20);
        cluster_crash_losing_unsynced(c, 1);
        cluster_restart(c, 1);
        await_all(c);
    }
    cluster_dynset(c, 1, key, "last", NULL);
    cluster_elapse_ms(c, 100);
    struct op *read = cluster_await(c, cluster_get_r_later(c, 2, key, 3));
    cluster_expect_true(c, read->err == RD_OK && read->object.count > acknowledged,
                        "what was acknowledged is there, and the last");
    for (uint32_t i = 1; i < read->object.count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            const struct sibling *a = &read->object.siblings[i], *b = &read->object.siblings[k];
            cluster_expect_true(c, actor_compare(&a->dot.actor, &b->dot.actor) != 0,
                                "no two starts share an actor");
        }
    }
}

/* ---- backup_keeps_siblings ------------------------------------------------------------------- */

/* All disks are put back to a time when the key had two values. */
void scenario_backup_keeps_siblings(struct cluster *c) {
    struct world *world = cluster_world(c);
    struct store_mem_image *backups[3] = {0};
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_dynset(c, 1, key, "a", NULL);
    cluster_dynset(c, 2, key, "b", NULL);
    cluster_elapse_ms(c, 100);
    struct op *before = cluster_get(c, 1, key);
    cluster_expect_true(c, before->object.count == 2, "two siblings");
    for (unsigned i = 0; i < 3; i++) {
        mem_must(store_mem_snapshot(world_disk(world, i)->store, &backups[i]));
    }
    cluster_set(c, 3, key, "later");
    struct op *later = cluster_get(c, 3, key);
    cluster_del(c, 2, key);
    for (unsigned i = 0; i < 3; i++) {
        cluster_crash(c, i + 1);
        mem_must(store_mem_restore(world_disk(world, i)->store, backups[i]));
        store_mem_image_free(&backups[i]);
    }
    for (unsigned i = 1; i <= 3; i++) {
        cluster_restart(c, i);
    }
    await_all(c);
    for (unsigned i = 1; i <= 3; i++) {
        struct op *after = cluster_await(c, cluster_get_r_later(c, i, key, 3));
        cluster_expect_true(c,
                            after->err == RD_OK &&
                                object_digest(&after->object) == object_digest(&before->object),
                            "the same siblings with the same context");
    }
    cluster_dynset(c, 3, key, "merged", before); /* the context of before the backup covers both */
    cluster_expect_everywhere(c, key, "merged");
    /* A client that saw what the backup has undone knows nothing of what came behind it. */
    cluster_dynset(c, 1, key, "stale", later);
    struct op *both = cluster_await(c, cluster_get_r_later(c, 2, key, 3));
    cluster_expect_true(c, both->err == RD_OK && both->object.count == 2,
                        "no name of before the backup is given out again");
}

/* ---- merge_replayed_after_crash -------------------------------------------------------------- */

struct recount {
    struct store_view view;
    uint64_t *leaves;
};

static void count_row(void *arg, enum store_space space, const struct store_row *row) {
    struct recount *recount = arg;
    struct object object;
    if (space != STORE_OBJECTS) {
        return;
    }
    struct resp_slice key = {row->key, row->key_len};
    mem_must(object_decode(row->value->bytes, row->value->len, &object));
    unsigned leaf = recount->view.leaf_of(recount->view.arg, row->slot, key);
    recount->leaves[row->slot * recount->view.leaves_per_slot + leaf] ^=
        recount->view.leaf_share(recount->view.arg, row->slot, key, object_digest(&object));
    object_free(&object);
}

/* The leaves that the store keeps are what its rows give. */
static bool leaves_fit(struct store *store) {
    struct recount recount = {.view = port_view(store)};
    size_t bytes = (size_t)SLOT_COUNT * recount.view.leaves_per_slot * sizeof(uint64_t);
    uint64_t *kept = mem_zero(bytes);
    recount.leaves = mem_zero(bytes);
    store_mem_each(store, count_row, &recount);
    recount.view.leaves(recount.view.arg, 0, SLOT_COUNT - 1, kept);
    bool fit = memcmp(kept, recount.leaves, bytes) == 0;
    free(kept);
    free(recount.leaves);
    return fit;
}

/* Batches of writes and overwrites are cut short anywhere, what was not durable is lost, and what others have comes back by merges: each time the
 * leaves must be what the rows give. (The engine on files has this test with its own transactions: check_store_crash.) */
void scenario_merge_replayed_after_crash(struct cluster *c) {
    struct world *world = cluster_world(c);
    char key[32], value[32];
    for (unsigned round = 0; round < 40; round++) {
        unsigned victim = round % 3;
        world_crash_after(world, victim, 3 + round * 7 % 60, CRASH_POWER);
        for (unsigned i = 0; i < 12; i++) {
            snprintf(key, sizeof key, "m%u", (round * 5 + i * i) % 40);
            snprintf(value, sizeof value, "v%u.%u", round, i);
            cluster_set_later(c, 1 + (victim + 1 + i % 2) % 3, key, i % 5 == 4 ? NULL : value);
        }
        cluster_elapse_ms(c, 100);
        cluster_crash_losing_unsynced(c, victim + 1);
        cluster_restart(c, victim + 1);
        await_all(c);
        cluster_repair(c);
        for (unsigned i = 0; i < 3; i++) {
            cluster_expect_true(c, leaves_fit(world_disk(world, i)->store),
                                "the leaves are what the rows give");
        }
    }
    struct node_stats stats;
    world_stats(world, &stats);
    cluster_expect_true(c, stats.leaves_mended == 0, "no leaf had to be set right");
    cluster_expect_true(c, cluster_repair(c) == 0, "all are equal");
}

/* ---- unmounted_disk -------------------------------------------------------------------------- */

/* n3 starts without its disk: it gets another name, which takes nobody's place while the cluster cannot be sure, answers nothing and counts for nothing.
 * With its disk it is itself again, and what only it has is merged. */
void scenario_unmounted_disk(struct cluster *c) {
    struct world *world = cluster_world(c);
    struct store_mem_image *disk = NULL;
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 3, key, "v1");
    cluster_elapse_ms(c, 50);
    cluster_silence(c, 3, 1); /* one write reaches n3 alone, and is not acknowledged */
    cluster_silence(c, 3, 2);
    struct op *alone = cluster_await(c, cluster_dynset_later(c, 3, key, "alone", NULL));
    cluster_expect_true(c, alone->err == RD_EUNKNOWN, "one home is no quorum");
    cluster_crash(c, 3);
    cluster_heal_all(c);
    mem_must(store_mem_snapshot(world_disk(world, 2)->store, &disk));
    cluster_wipe(c, 3);
    cluster_crash(c, 2); /* one home would be left */
    cluster_restart(c, 3);
    cluster_elapse_ms(c, 15000);
    struct op *refused = cluster_await(c, cluster_set_later(c, 3, key, "lost"));
    cluster_expect_true(c, refused->err == RD_ECLUSTERDOWN, "it does not serve");
    refused = cluster_await(c, cluster_set_later(c, 1, key, "half"));
    cluster_expect_true(c, refused->err != RD_OK, "it does not count for W");
    refused = cluster_await(c, cluster_get_later(c, 1, key));
    cluster_expect_true(c, refused->err != RD_OK, "nor for R");
    cluster_crash(c, 3);
    mem_must(store_mem_restore(world_disk(world, 2)->store, disk));
    store_mem_image_free(&disk);
    cluster_restart(c, 3);
    cluster_restart(c, 2);
    await_all(c);
    cluster_elapse_ms(c, 2000);
    cluster_repair(c);
    struct op *read = cluster_await(c, cluster_get_r_later(c, 1, key, 3));
    cluster_expect_true(c, read->err == RD_OK && read->object.count >= 2,
                        "what only the old disk had is there beside the rest");
    cluster_set(c, 3, key, "v2");
    cluster_expect_everywhere(c, key, "v2");
}
