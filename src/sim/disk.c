/* sim/disk: see disk.h.
 *
 * The store is always held: a completion waits in it until its time has come, then exactly one is
 * released. So a commit is not durable before its completion, and the crash of disk_crash may take
 * it back until then. */
#include "sim/disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mem.h"
#include "store/port.h"

void disk_init(struct disk *disk, struct queue *queue, const struct disk_conf *conf, uint32_t node,
               uint64_t seed) {
    *disk = (struct disk){.queue = queue, .conf = conf, .node = node};
    prng_seed(&disk->prng, seed);
    mem_must(store_mem_new(&disk->store));
    store_mem_hold(disk->store, true);
}

void disk_free(struct disk *disk) {
    if (disk->store != NULL) {
        store_close(&disk->store);
    }
}

void disk_attach(struct disk *disk, uint64_t life) {
    disk->life = life;
    disk->busy_until_us = 0;
}

/* One piece of work begins when the one before it has ended. */
static void schedule(struct disk *disk, uint64_t now_us, uint64_t min_us, uint64_t mean_us) {
    uint64_t takes_us = min_us + prng_below(&disk->prng, 2 * mean_us + 1);
    if (disk->conf->stall_ppm > 0 && prng_below(&disk->prng, 1000000) < disk->conf->stall_ppm) {
        takes_us += prng_below(&disk->prng, disk->conf->stall_us + 1);
    }
    if (disk->slow_us > 0) {
        takes_us += prng_below(&disk->prng, disk->slow_us + 1);
    }
    uint64_t from_us = disk->busy_until_us > now_us ? disk->busy_until_us : now_us;
    disk->busy_until_us = from_us + takes_us;
    queue_push(disk->queue, &(struct sim_event){.at_us = disk->busy_until_us,
                                                .kind = DISK_FINISHED,
                                                .node = disk->node,
                                                .life = disk->life});
}

void disk_get(struct disk *disk, const struct effect *effect, uint64_t now_us) {
    port_get(disk->store, effect);
    schedule(disk, now_us, disk->conf->get_min_us, disk->conf->get_mean_us);
}

void disk_put(struct disk *disk, const struct effect *effect) {
    mem_must(port_put(disk->store, effect));
}

void disk_commit(struct disk *disk, uint64_t token, uint64_t now_us) {
    disk->commits++;
    store_commit(disk->store, token);
    schedule(disk, now_us, disk->conf->commit_min_us, disk->conf->commit_mean_us);
}

void disk_scan(struct disk *disk, const struct store_scan_order *order, uint64_t now_us) {
    port_scan(disk->store, order);
    schedule(disk, now_us, disk->conf->get_min_us, disk->conf->get_mean_us);
}

static void on_get(void *arg, uint64_t token, enum rd_err err, struct blob *value) {
    struct disk_completion *completion = arg;
    *completion = (struct disk_completion){
        .work = DISK_GET, .token = token, .err = err, .value = blob_ref(value)};
}

static void on_commit(void *arg, uint64_t token, enum rd_err err) {
    struct disk_completion *completion = arg;
    *completion = (struct disk_completion){.work = DISK_COMMIT, .token = token, .err = err};
}

static void on_scan(void *arg, uint64_t token, enum rd_err err, const struct store_row *rows,
                    size_t count, bool end) {
    struct disk_completion *completion = arg;
    *completion =
        (struct disk_completion){.work = DISK_SCAN, .token = token, .err = err, .end = end};
    if (count == 0) {
        return;
    }
    completion->rows = mem_zero(SCAN_MAX_ROWS * sizeof *completion->rows);
    completion->count = count;
    port_rows(rows, count, completion->rows);
    for (size_t i = 0; i < count; i++) {
        struct resp_slice *key = &completion->rows[i].key;
        uint8_t *copy = mem_zero(key->len + 1);
        memcpy(copy, key->data, key->len);
        key->data = copy;
        blob_ref(completion->rows[i].value);
    }
}

void disk_completion_free(struct disk_completion *completion) {
    blob_unref(completion->value);
    for (size_t i = 0; i < completion->count; i++) {
        free((void *)completion->rows[i].key.data);
        blob_unref(completion->rows[i].value);
    }
    free(completion->rows);
    *completion = (struct disk_completion){0};
}

struct disk_completion disk_arrive(struct disk *disk) {
    static const struct store_handler handler = {on_get, on_commit, on_scan};
    struct disk_completion completion = {0};
    store_mem_release(disk->store, 1);
    size_t delivered = store_poll(disk->store, &handler, &completion, 1);
    assert(delivered == 1);
    (void)delivered;
    return completion;
}

void disk_crash(struct disk *disk, enum disk_crash how) {
    size_t keep = SIZE_MAX;
    if (how == DISK_KEEPS_NONE) {
        keep = 0;
    } else if (how == DISK_KEEPS_SOME) {
        keep = (size_t)prng_below(&disk->prng, store_mem_unsynced(disk->store) + 1);
    }
    store_mem_crash(disk->store, keep);
}
