/* A flow of background work: see flow.h. Invariant: FLOW_LEAST_WIDTH <= width <= most. */
#include "replication/flow.h"

#include <assert.h>

void flow_init(struct flow *flow, uint32_t most) {
    assert(most >= FLOW_LEAST_WIDTH);
    uint32_t first = most < FLOW_FIRST_WIDTH ? most : FLOW_FIRST_WIDTH;
    *flow = (struct flow){.most = most,
                          .width_256 = first * 256,
                          .least_us = UINT64_MAX,
                          .next_least_us = UINT64_MAX};
}

uint32_t flow_width(const struct flow *flow) {
    return flow->width_256 / 256;
}

/* The least time of a while: what is longer ago than two stretches does not count any more. */
static void note_least(struct flow *flow, uint64_t us, uint64_t now_us) {
    if (now_us >= flow->stretch_us) {
        if (flow->next_least_us != UINT64_MAX)
            flow->least_us = flow->next_least_us;
        flow->next_least_us = UINT64_MAX;
        flow->stretch_us = now_us + FLOW_MEMORY_US;
    }
    if (us < flow->least_us)
        flow->least_us = us;
    if (us < flow->next_least_us)
        flow->next_least_us = us;
}

void flow_took(struct flow *flow, uint64_t us, uint64_t now_us) {
    note_least(flow, us, now_us);
    if (flow->samples == 0 || us < flow->fastest_us)
        flow->fastest_us = us;
    if (++flow->samples < FLOW_SAMPLES)
        return;
    uint64_t longer = flow->fastest_us - flow->least_us;
    if (longer <= FLOW_CALM_US) {
        flow->width_256 += FLOW_SAMPLES * 256 / flow_width(flow) + 1;
    } else if (longer > FLOW_QUEUE_US && flow->shrunk_us + us <= now_us) {
        flow->width_256 -= flow->width_256 / 8;
        flow->shrunk_us = now_us;
    }
    if (flow->width_256 < FLOW_LEAST_WIDTH * 256)
        flow->width_256 = FLOW_LEAST_WIDTH * 256;
    if (flow->width_256 > flow->most * 256)
        flow->width_256 = flow->most * 256;
    flow->samples = 0;
}
