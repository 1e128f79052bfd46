/* The two clocks of the process, read together. */
#include "server/clock.h"

#include <assert.h>
#include <time.h>

static uint64_t read_us(clockid_t id) {
    struct timespec ts;
    int rc = clock_gettime(id, &ts);
    assert(rc == 0);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

struct instant clock_now(void) {
    struct instant now = {.mono_us = read_us(CLOCK_MONOTONIC), .wall_us = read_us(CLOCK_REALTIME)};
    return now;
}
