/* Failure detection, the rules. See failure.h for the states; all functions take the time of the step that runs from
 * failure->step_us, so that one step sees one time.
 *
 * Invariants: (1) a peer that is doubted is up; (2) waiting and doubting began no earlier than this node was last late. */
#include "replication/failure.h"

#include <assert.h>
#include <stddef.h>

#define CALM_US 400000    /* so long in time takes one off the score */
#define HOLD_US 500000    /* who misses request after request is suspect for so long at least */
#define SUSPECT_PROBES 20 /* in failure-timeout */

static uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint64_t sooner(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* ---- the node itself ------------------------------------------------------------------------- */

void failure_init(struct failure *failure, uint32_t request_timeout_ms, uint32_t failure_timeout_ms,
                  uint64_t tick_us) {
    uint64_t request_us = (uint64_t)request_timeout_ms * 1000;
    uint64_t timeout_us = (uint64_t)failure_timeout_ms * 1000;
    uint64_t patience_us = sooner(request_us / 5, timeout_us / 10);
    *failure = (struct failure){.patience_us = later(patience_us, tick_us),
                                .timeout_us = timeout_us,
                                .tick_us = tick_us,
                                .wake_us = later(sooner(request_us, timeout_us / 2), 4 * tick_us)};
}

enum failure_gap failure_step(struct failure *failure, uint64_t now_us) {
    uint64_t gap =
        failure->step_us == 0 || now_us <= failure->step_us ? 0 : now_us - failure->step_us;
    failure->step_us = later(now_us, 1);
    if (failure->stale && now_us - failure->woke_us >= failure->timeout_us)
        failure->stale = false;
    if (gap < 2 * failure->tick_us) {
        if (failure->score > 0 && now_us - failure->scored_us >= CALM_US) {
            failure->score--;
            failure->scored_us = now_us;
        }
        return GAP_USUAL;
    }
    failure->late_us = failure->scored_us = now_us;
    if (gap < failure->wake_us) {
        failure->score += failure->score < FAILURE_MAX_SCORE;
        return GAP_LATE;
    }
    failure->score = FAILURE_MAX_SCORE;
    failure->woke_us = now_us;
    failure->stale = true;
    return GAP_WOKE;
}

bool failure_is_fresh(const struct failure *failure) {
    return !failure->stale;
}

uint64_t failure_patience_us(const struct failure *failure) {
    return failure->patience_us * (1 + failure->score);
}

/* ---- what happens to a peer ------------------------------------------------------------------ */

void watch_init(struct watch *watch, uint64_t now_us) {
    *watch = (struct watch){.state = WATCH_SUSPECT,
                            .suspect_us = now_us,
                            .heard_us = now_us,
                            .alive_us = now_us,
                            .probe_us = now_us};
}

static void believe(struct watch *watch) {
    watch->state = WATCH_UP;
    watch->doubt_us = watch->suspect_us = watch->hold_us = 0;
    watch->missed = watch->probes = 0;
}

static void suspect(const struct failure *failure, struct watch *watch) {
    if (watch->state == WATCH_SUSPECT)
        return;
    watch->state = WATCH_SUSPECT;
    watch->suspect_us = failure->step_us;
    watch->doubt_us = 0;
    watch->missed = watch->probes = 0;
}

static void doubt(const struct failure *failure, struct watch *watch) {
    if (watch->state != WATCH_UP || watch->doubt_us != 0)
        return;
    watch->doubt_us = failure->step_us;
    watch->probes = 0;
}

/* It lives: who was down for this node is at least worth another look. */
static void lives(const struct failure *failure, struct watch *watch) {
    watch->alive_us = failure->step_us;
    if (watch->state == WATCH_DOWN)
        suspect(failure, watch);
}

/* It could be reached at `at_us`. */
static void prove(struct failure *failure, struct watch *watch, uint64_t at_us) {
    watch->proved_us = later(watch->proved_us, at_us);
    if (watch->proved_us >= failure->woke_us)
        failure->stale = false;
}

void watch_linked(struct failure *failure, struct watch *watch) {
    watch_heard(failure, watch);
    prove(failure, watch, failure->step_us);
    watch->served_us = failure->step_us;
    believe(watch);
}

void watch_lost(const struct failure *failure, struct watch *watch) {
    watch->waiting_us = 0;
    if (watch->state == WATCH_UP)
        suspect(failure, watch);
}

void watch_asked(const struct failure *failure, struct watch *watch) {
    if (watch->waiting_us == 0)
        watch->waiting_us = failure->step_us;
}

void watch_heard(const struct failure *failure, struct watch *watch) {
    watch->heard_us = failure->step_us;
    watch->waiting_us = 0;
    lives(failure, watch);
}

void watch_served(const struct failure *failure, struct watch *watch) {
    watch->missed = 0;
    watch->served_us = failure->step_us;
}

void watch_missed(const struct failure *failure, struct watch *watch, uint64_t asked_us) {
    if (asked_us <= failure->late_us)
        return; /* this node has been late since: its own fault, as far as it can know */
    doubt(failure, watch);
    if (watch->state == WATCH_UP && ++watch->missed >= WATCH_MISSES) {
        suspect(failure, watch);
        watch->hold_us = failure->step_us + HOLD_US;
    }
}

void watch_doubted(const struct failure *failure, struct watch *watch) {
    doubt(failure, watch);
}

void watch_answered(struct failure *failure, struct watch *watch, uint64_t asked_us) {
    uint64_t now = failure->step_us;
    if (asked_us > now)
        return;
    lives(failure, watch);
    prove(failure, watch, asked_us);
    watch->served_us = now;
    bool prompt = now - asked_us <= 2 * failure_patience_us(failure);
    if (!prompt || watch->hold_us > now)
        return;
    uint32_t missed = watch->missed;
    believe(watch);
    watch->missed = missed; /* who answers probes need not serve */
}

void watch_vouched(const struct failure *failure, struct watch *watch, uint64_t asked_us) {
    if (asked_us <= failure->step_us && asked_us + failure->timeout_us >= failure->step_us)
        lives(failure, watch);
}

void watch_woke(const struct failure *failure, struct watch *watch) {
    watch->waiting_us = watch->doubt_us = 0;
    watch->probe_us = 0;
    if (watch->state == WATCH_SUSPECT)
        watch->suspect_us = failure->step_us;
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Doubts who has been silent for too long, suspects who has been doubted for too long, and gives up
 * who has been suspect for too long. */
static void judge(const struct failure *failure, struct watch *watch) {
    uint64_t now = failure->step_us, patience = failure_patience_us(failure);
    if (watch->waiting_us != 0 && now - later(watch->waiting_us, failure->late_us) >= patience)
        doubt(failure, watch);
    if (watch->doubt_us != 0 && watch->doubt_us < failure->late_us)
        watch->doubt_us = failure->late_us;
    uint64_t limit = watch->alive_us >= watch->doubt_us ? 4 * patience : 2 * patience;
    if (watch->doubt_us != 0 && now - watch->doubt_us >= limit)
        suspect(failure, watch);
    uint64_t since = later(later(watch->suspect_us, watch->alive_us), failure->woke_us);
    if (watch->state == WATCH_SUSPECT && now - since >= failure->timeout_us * (1 + failure->score))
        watch->state = WATCH_DOWN;
}

struct watch_wish watch_tick(const struct failure *failure, struct watch *watch, bool linked) {
    struct watch_wish wish = {false, false};
    uint64_t now = failure->step_us;
    judge(failure, watch);
    assert(watch->doubt_us == 0 || watch->state == WATCH_UP);
    if (watch->state == WATCH_UP && watch->doubt_us == 0 && watch_is_proven(failure, watch))
        return wish;
    uint64_t pause = watch->state == WATCH_UP        ? 0
                     : watch->state == WATCH_SUSPECT ? failure->timeout_us / SUSPECT_PROBES
                                                     : failure->timeout_us;
    bool heard = watch->heard_us > watch->probe_us;
    if (heard && pause > failure->patience_us)
        pause = failure->patience_us;
    if (now - watch->probe_us < pause)
        return wish;
    watch->probe_us = now;
    wish.probe = linked;
    wish.relay = !heard && (watch->state != WATCH_UP || watch->probes > 0);
    watch->probes++;
    return wish;
}

bool watch_is_proven(const struct failure *failure, const struct watch *watch) {
    return watch->proved_us >= failure->woke_us;
}

bool watch_is_healthy(const struct failure *failure, const struct watch *watch) {
    return watch->state == WATCH_UP && watch_is_proven(failure, watch);
}

bool watch_answers(const struct failure *failure, const struct watch *watch) {
    return failure->step_us - watch->served_us <= failure->patience_us;
}

const char *watch_state_text(enum watch_state state) {
    static const char *const texts[] = {"up", "suspect", "down"};
    assert((unsigned)state < sizeof(texts) / sizeof(*texts));
    return texts[state];
}
