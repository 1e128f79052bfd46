/* sim/sums: see sums.h. */
#include "sim/sums.h"

#include <stdio.h>
#include <string.h>

#include "sim/mem.h"

enum rd_err sums_compute(void *arg, const struct rmw_input *in, struct rmw_output *out) {
    (void)arg;
    size_t old = in->value != NULL ? in->value->len : 0;
    enum rd_err err = blob_alloc(old + in->order->len, &out->value);
    if (err != RD_OK) {
        return err;
    }
    if (old > 0) {
        memcpy(out->value->bytes, in->value->bytes, old);
    }
    memcpy(out->value->bytes + old, in->order->bytes, in->order->len);
    out->change = RMW_SET;
    out->expires_ms = in->expires_ms;
    return buf_append(&out->reply, out->value->bytes, out->value->len);
}

struct blob *sums_key(uint32_t i) {
    char key[32];
    int len = snprintf(key, sizeof key, "sum%u", i);
    return mem_blob(key, (size_t)len);
}

bool sums_is_calm(const struct plan *plan) {
    const struct world_conf *world = &plan->world;
    bool calm = world->network.drop_ppm == 0 && world->network.tail_ppm == 0 &&
                world->network.duplicate_ppm == 0 && world->network.reorder_ppm == 0 &&
                world->disk.stall_ppm == 0 && plan->birth_us == 0 && !plan->beyond;
    for (int i = 0; i < FAULT_KINDS && plan->fault_mean_us > 0; i++) {
        bool harmless = i == FAULT_KILL || i == FAULT_KILL_INSIDE || i == FAULT_CRASH_LOOP ||
                        i == FAULT_CLOCK_JUMP || i == FAULT_CLOCK_BACK || i == FAULT_CLOCK_DRIFT;
        calm = calm && (harmless || plan->fault_weights[i] == 0);
    }
    uint32_t n = world->node.n < world->nodes ? world->node.n : world->nodes;
    return calm && world->node.conflict_resolution == CONFLICT_SIBLINGS &&
           world->node.r + world->node.w > n && 2 * world->node.w > n;
}
