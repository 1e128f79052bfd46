/* Additive increase, multiplicative decrease (Chiu and Jain 1989), with a doubling start.
 *
 * After a cut, answers to requests that were sent before it say nothing about the new window, so they cut no further. The window
 * grows only while it is what holds requests back. */
#include "server/pace.h"

#define CUT_NUMERATOR 3
#define CUT_DENOMINATOR 4
#define GROWTH_DIVISOR 32

void pace_init(struct pace *pace) {
    *pace = (struct pace){.window = PACE_FIRST};
}

static void cut(struct pace *pace, uint64_t now_us) {
    uint32_t window = pace->window / CUT_DENOMINATOR * CUT_NUMERATOR;
    pace->window = window < PACE_LEAST ? PACE_LEAST : window;
    pace->cut_us = now_us;
    pace->cut_before = true;
    pace->in_time = 0;
}

static void grow(struct pace *pace) {
    uint32_t more = pace->cut_before ? pace->window / GROWTH_DIVISOR + 1 : pace->window;
    pace->window = pace->window + more > PACE_MOST ? PACE_MOST : pace->window + more;
    pace->in_time = 0;
}

void pace_note(struct pace *pace, uint64_t now_us, uint64_t sent_us, uint64_t open,
               uint64_t timeout_us) {
    uint64_t took_us = now_us > sent_us ? now_us - sent_us : 0;
    if (took_us > timeout_us / 4) {
        if (sent_us >= pace->cut_us) {
            cut(pace, now_us);
        }
        return;
    }
    if (open + pace->window / 8 < pace->window) {
        return;
    }
    if (++pace->in_time >= pace->window) {
        grow(pace);
    }
}
