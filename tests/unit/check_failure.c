/* replication/failure: tables of what happens to one peer, and long random histories against an oracle that
 * remembers everything and decides anew each time. */
#include "replication/failure.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "tests/lib/run.h"

#define MS 1000
#define TICK_US (50 * MS)

/* ---- stories in one line ------------------------------------------------------------------------
 *
 * A story is a string of words; each is one thing that happens, and then time goes on by the tick:
 *   link lost ask hear serve miss doubt vouch answer (a probe of the last tick) late (a probe of 300 ms ago) wait:N (N ticks) miss:N
 *   and expectations: up suspect down healthy sick probe noprobe relay norelay (of the last tick) */

struct story {
    struct failure failure;
    struct watch watch;
    struct watch_wish wish;
    uint64_t now;
    bool linked;
};

static void tick(struct story *s) {
    s->now += TICK_US;
    failure_step(&s->failure, s->now);
    s->wish = watch_tick(&s->failure, &s->watch, s->linked);
}

static void begin(struct story *s) {
    *s = (struct story){.now = 1000000};
    failure_init(&s->failure, 500, 5000, TICK_US);
    failure_step(&s->failure, s->now);
    watch_init(&s->watch, s->now);
}

static void happen(struct story *s, const char *word) {
    if (strcmp(word, "link") == 0) {
        s->linked = true;
        watch_linked(&s->failure, &s->watch);
    } else if (strcmp(word, "lost") == 0) {
        s->linked = false;
        watch_lost(&s->failure, &s->watch);
    } else if (strcmp(word, "ask") == 0) {
        watch_asked(&s->failure, &s->watch);
    } else if (strcmp(word, "hear") == 0) {
        watch_heard(&s->failure, &s->watch);
    } else if (strcmp(word, "serve") == 0) {
        watch_served(&s->failure, &s->watch);
    } else if (strcmp(word, "miss") == 0) {
        watch_missed(&s->failure, &s->watch, s->now - 500 * MS);
    } else if (strcmp(word, "doubt") == 0) {
        watch_doubted(&s->failure, &s->watch);
    } else if (strcmp(word, "vouch") == 0) {
        watch_vouched(&s->failure, &s->watch, s->now);
    } else if (strcmp(word, "answer") == 0) {
        watch_heard(&s->failure, &s->watch);
        watch_answered(&s->failure, &s->watch, s->now);
    } else if (strcmp(word, "late") == 0) {
        watch_heard(&s->failure, &s->watch);
        watch_answered(&s->failure, &s->watch, s->now - 300 * MS);
    } else if (strcmp(word, "stall") == 0) {
        s->now += 200 * MS;
        ck_assert_int_eq(failure_step(&s->failure, s->now), GAP_LATE);
    } else if (strcmp(word, "sleep") == 0) {
        s->now += 10000 * MS;
        ck_assert_int_eq(failure_step(&s->failure, s->now), GAP_WOKE);
        watch_woke(&s->failure, &s->watch);
        s->wish = watch_tick(&s->failure, &s->watch, s->linked);
    } else {
        ck_abort_msg("no such word: %s", word);
    }
}

static bool expects(const struct story *s, const char *word) {
    for (int state = WATCH_UP; state <= WATCH_DOWN; state++)
        if (strcmp(word, watch_state_text((enum watch_state)state)) == 0) {
            ck_assert_str_eq(watch_state_text(s->watch.state), word);
            return true;
        }
    static const struct {
        const char *word;
        bool wanted;
    } facts[] = {{"healthy", true}, {"sick", false},    {"probe", true}, {"noprobe", false},
                 {"relay", true},   {"norelay", false}, {"fresh", true}, {"stale", false}};
    const bool values[] = {watch_is_healthy(&s->failure, &s->watch), s->wish.probe, s->wish.relay,
                           failure_is_fresh(&s->failure)};
    for (size_t i = 0; i < sizeof(facts) / sizeof(*facts); i++)
        if (strcmp(word, facts[i].word) == 0) {
            ck_assert_msg(values[i / 2] == facts[i].wanted, "not %s", word);
            return true;
        }
    return false;
}

static const char *const stories[] = {
    /* a peer that was never met */
    "suspect sick wait:99 suspect wait:1 down",
    "link up healthy noprobe wait:200 up noprobe",
    /* broken links, refused dials */
    "link lost suspect sick noprobe wait:10 relay noprobe wait:89 suspect wait:1 down norelay",
    "link lost link up healthy",
    "link lost wait:100 down link up",
    "lost suspect wait:100 down lost down",
    /* silence: doubt at 100 ms, relays from the second probe, suspect at 300 ms, down 5 s later */
    "link ask wait:1 noprobe wait:1 probe norelay up wait:1 probe relay wait:2 up wait:1 suspect",
    "link ask wait:6 suspect wait:99 suspect wait:1 down",
    "link ask wait:1 hear wait:6 up noprobe",
    "link ask wait:3 probe answer wait:1 up noprobe",
    "link ask wait:3 probe late wait:6 up probe wait:1 suspect",
    "link ask wait:6 suspect answer up healthy",
    "link ask wait:6 suspect late suspect wait:1 probe late wait:99 suspect wait:1 down",
    "link ask wait:6 suspect hear suspect wait:1 probe answer up",
    /* others vouch for it: alive, but not to be reached from here */
    "link lost wait:60 vouch wait:60 suspect vouch wait:99 suspect wait:1 down vouch suspect",
    "link lost wait:100 down hear suspect",
    /* a request missed is no suspicion where others are answered */
    "link miss wait:1 probe answer wait:1 noprobe up",
    "link wait:1 miss up wait:1 probe norelay wait:1 relay wait:2 suspect",
    "link miss:9 up miss suspect sick",
    "link miss:5 serve miss:6 up",
    "link miss:9 answer miss suspect",
    /* who answers probes and nothing else stays suspect for half a second */
    "link miss:10 suspect answer suspect wait:9 answer suspect wait:1 answer up",
    "link wait:1 doubt wait:1 probe wait:3 suspect",
    "link wait:1 doubt wait:2 hear wait:5 up wait:1 suspect",
    "doubt suspect",
    /* the own delay is no fault of the peer */
    "link ask wait:1 stall wait:3 up noprobe wait:1 probe up",
    "link stall miss up wait:1 noprobe",
    "link ask wait:3 stall wait:6 up",
    /* and after a pause nobody is believed */
    "link sleep up sick stale probe norelay wait:1 probe answer healthy fresh",
    "link ask sleep up sick stale wait:10 up hear sick stale answer fresh healthy",
    "link sleep ask wait:35 up wait:1 suspect",
    "link sleep wait:99 stale wait:1 fresh",
    "link lost sleep suspect stale wait:99 suspect link healthy fresh",
};

START_TEST(stories_hold) {
    struct story s;
    char text[200];
    begin(&s);
    snprintf(text, sizeof text, "%s", stories[_i]);
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        unsigned ticks;
        if (expects(&s, word))
            continue;
        if (sscanf(word, "wait:%u", &ticks) == 1)
            while (ticks-- > 0)
                tick(&s);
        else if (sscanf(word, "miss:%u", &ticks) == 1)
            while (ticks-- > 0)
                happen(&s, "miss");
        else
            happen(&s, word);
    }
}
END_TEST

/* ---- the node itself --------------------------------------------------------------------------- */

START_TEST(late_steps_make_patient_for_a_while) {
    struct failure failure;
    failure_init(&failure, 500, 5000, TICK_US);
    uint64_t now = 5000000;
    ck_assert_int_eq(failure_step(&failure, now), GAP_USUAL); /* the first one is never late */
    ck_assert_uint_eq(failure_patience_us(&failure), 100 * MS);
    for (unsigned i = 1; i <= 12; i++) {
        ck_assert_int_eq(failure_step(&failure, now += 100 * MS), GAP_LATE);
        ck_assert_uint_eq(failure.score, i < FAILURE_MAX_SCORE ? i : FAILURE_MAX_SCORE);
    }
    for (unsigned i = FAILURE_MAX_SCORE; i > 0; i--)
        for (unsigned step = 1; step <= 8; step++) {
            ck_assert_int_eq(failure_step(&failure, now += TICK_US), GAP_USUAL);
            ck_assert_uint_eq(failure.score, step < 8 ? i : i - 1);
        }
    ck_assert_int_eq(failure_step(&failure, now - 1), GAP_USUAL); /* a clock that goes back */
    ck_assert_int_eq(failure_step(&failure, now += 499 * MS), GAP_LATE);
    ck_assert(failure_is_fresh(&failure));
    ck_assert_int_eq(failure_step(&failure, now += 500 * MS), GAP_WOKE);
    ck_assert_uint_eq(failure.score, FAILURE_MAX_SCORE);
    ck_assert(!failure_is_fresh(&failure));
}
END_TEST

START_TEST(times_follow_the_configuration) {
    struct failure failure;
    failure_init(&failure, 10, 100, TICK_US); /* no shorter than a node can notice */
    ck_assert_uint_eq(failure_patience_us(&failure), TICK_US);
    failure_step(&failure, 1000000);
    ck_assert_int_eq(failure_step(&failure, 1000000 + 4 * TICK_US - 1), GAP_LATE);
    ck_assert_int_eq(failure_step(&failure, 1000000 + 8 * TICK_US), GAP_WOKE);
    failure_init(&failure, 2000, 5000, TICK_US); /* a tenth of failure-timeout at the most */
    ck_assert_uint_eq(failure_patience_us(&failure), 400 * MS);
    failure_init(&failure, 10000, 5000, TICK_US);
    ck_assert_uint_eq(failure_patience_us(&failure), 500 * MS);
    failure_step(&failure, 1000000);
    ck_assert_int_eq(failure_step(&failure, 3500000 - 1), GAP_LATE);
    ck_assert_int_eq(failure_step(&failure, 6000000), GAP_WOKE);
}
END_TEST

/* An answer from the future, and one to a probe of long ago that another passes on: lies, or older
 * than this process. */
START_TEST(times_made_up_are_ignored) {
    struct story s;
    begin(&s);
    happen(&s, "link");
    happen(&s, "lost");
    for (int i = 0; i < 100; i++)
        tick(&s);
    ck_assert_int_eq(s.watch.state, WATCH_DOWN);
    watch_answered(&s.failure, &s.watch, s.now + 1);
    watch_vouched(&s.failure, &s.watch, s.now + 1);
    watch_vouched(&s.failure, &s.watch, s.now - 5000 * MS - 1);
    watch_answered(&s.failure, &s.watch, UINT64_MAX);
    watch_vouched(&s.failure, &s.watch, UINT64_MAX);
    ck_assert_int_eq(s.watch.state, WATCH_DOWN);
}
END_TEST

/* ---- the oracle ---------------------------------------------------------------------------------
 *
 * Remembers for each tick what happened in it, and works the states out by looking back. It knows
 * nothing of holds, pauses of the node or misses in a row; those have their stories. */

#define LONGEST 3000

struct past {
    bool linked, lost, asked, heard, doubted, vouched;
    bool prompt; /* a prompt answer came */
};

/* The tick of the last event before `t` (included) that `which` picks; -1: none. */
#define LAST(past, t, which)                                                                       \
    ({                                                                                             \
        int at = (t);                                                                              \
        while (at >= 0 && !(past)[at].which)                                                       \
            at--;                                                                                  \
        at;                                                                                        \
    })

struct oracle {
    enum watch_state state;
    int doubted, suspected; /* ticks; -1: not */
};

static void oracle_tick(struct oracle *o, const struct past *past, int t) {
    const struct past *now = &past[t];
    if (now->linked || now->prompt)
        *o = (struct oracle){WATCH_UP, -1, -1};
    bool alive = now->heard || now->vouched || now->linked;
    if (o->state == WATCH_DOWN && alive)
        *o = (struct oracle){WATCH_SUSPECT, -1, t};
    if (o->state == WATCH_UP && now->lost)
        *o = (struct oracle){WATCH_SUSPECT, -1, t};
    if (o->state == WATCH_UP && now->doubted && o->doubted < 0)
        o->doubted = t;
}

/* What the tick at the end of tick `t` decides. */
static void oracle_judge(struct oracle *o, const struct past *past, int t) {
    int heard = LAST(past, t, heard), linked = LAST(past, t, linked), lost = LAST(past, t, lost);
    int since = heard > linked ? heard : linked;
    since = lost > since ? lost : since;
    int asked = -1; /* the first question since it was heard */
    for (int at = t; at > since; at--)
        if (past[at].asked)
            asked = at;
    if (o->state == WATCH_UP && o->doubted < 0 && asked >= 0 && t + 1 - asked >= 2)
        o->doubted = t + 1;
    int alive = LAST(past, t, vouched) > heard ? LAST(past, t, vouched) : heard;
    int limit = o->doubted >= 0 && alive >= o->doubted ? 8 : 4;
    if (o->state == WATCH_UP && o->doubted >= 0 && t + 1 - o->doubted >= limit)
        *o = (struct oracle){WATCH_SUSPECT, -1, t + 1};
    int sign = o->suspected, vouched = LAST(past, t, vouched);
    sign = heard > sign ? heard : sign;
    sign = vouched > sign ? vouched : sign;
    if (o->state == WATCH_SUSPECT && t + 1 - sign >= 100)
        o->state = WATCH_DOWN;
}

/* Each tick one thing at most, so that its order within the tick does not matter. */
START_TEST(random_histories_agree_with_the_oracle) {
    static struct past past[LONGEST];
    struct prng prng;
    struct story s;
    struct oracle oracle = {WATCH_SUSPECT, -1, 0};
    unsigned seen = 0;
    memset(past, 0, sizeof past);
    prng_seed(&prng, (uint64_t)_i + 1);
    begin(&s);
    uint64_t rare = 3 + prng_below(&prng, 60);
    for (int t = 0; t < LONGEST; t++) {
        struct past *now = &past[t];
        uint64_t what = prng_below(&prng, rare);
        static const char *const words[] = {"link",  "lost",  "ask",    "hear",
                                            "doubt", "vouch", "answer", "late"};
        if (what < sizeof words / sizeof *words) {
            now->linked = what == 0;
            now->lost = what == 1;
            now->asked = what == 2;
            now->heard = what == 3 || what >= 6;
            now->doubted = what == 4;
            now->vouched = what == 5;
            now->prompt = what == 6;
            happen(&s, words[what]);
        }
        oracle_tick(&oracle, past, t);
        ck_assert_int_eq(s.watch.state, oracle.state);
        oracle_judge(&oracle, past, t);
        tick(&s);
        ck_assert_int_eq(s.watch.state, oracle.state);
        ck_assert_int_eq(watch_is_healthy(&s.failure, &s.watch), oracle.state == WATCH_UP);
        seen |= 1u << oracle.state;
    }
    ck_assert_uint_ne(seen & 6, 0);
}
END_TEST

/* ---- a network that loses a fifth ---------------------------------------------------------------- */

static bool arrives(struct prng *prng, unsigned frames) {
    while (frames-- > 0)
        if (prng_chance(prng, 1, 5))
            return false;
    return true;
}

/* One peer, a request each 200 ms, each frame lost with 20%, through relays too: an hour of it. A request that stays
 * unanswered for 500 ms is a miss. */
START_TEST(a_fifth_of_the_frames_lost_makes_nobody_flap) {
    struct prng prng;
    struct story s;
    unsigned suspicions = 0, missed = 0;
    uint64_t sick_ticks = 0, miss_at[32] = {0};
    enum { HOUR_TICKS = 72000 };
    prng_seed(&prng, 7);
    begin(&s);
    happen(&s, "link");
    for (int t = 0; t < HOUR_TICKS; t++) {
        bool was_up = s.watch.state == WATCH_UP;
        if (t % 4 == 0) {
            watch_asked(&s.failure, &s.watch);
            if (arrives(&prng, 2)) {
                watch_heard(&s.failure, &s.watch);
                watch_served(&s.failure, &s.watch);
            } else {
                miss_at[t / 4 % 32] = s.now + 500 * MS;
            }
        }
        for (int i = 0; i < 32; i++)
            if (miss_at[i] != 0 && miss_at[i] <= s.now) {
                watch_missed(&s.failure, &s.watch, miss_at[i] - 500 * MS);
                miss_at[i] = 0;
                missed++;
            }
        if (s.wish.probe && arrives(&prng, 2)) {
            watch_heard(&s.failure, &s.watch);
            watch_answered(&s.failure, &s.watch, s.now);
        }
        for (int relay = 0; s.wish.relay && relay < 3; relay++)
            if (arrives(&prng, 4))
                watch_vouched(&s.failure, &s.watch, s.now);
        ck_assert_int_ne(s.watch.state, WATCH_DOWN);
        tick(&s);
        suspicions += was_up && s.watch.state == WATCH_SUSPECT;
        sick_ticks += s.watch.state != WATCH_UP;
    }
    ck_assert_uint_gt(missed, 6000);
    ck_assert_uint_le(suspicions, 120); /* 18,000 requests, of which a third is lost */
    ck_assert_uint_le(sick_ticks, HOUR_TICKS / 100);
    printf("an hour at 20%% loss: %u requests missed, %u suspicions, %llu of %d ticks suspect, "
           "never down\n",
           missed, suspicions, (unsigned long long)sick_ticks, HOUR_TICKS);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("failure");
    TCase *tcase = tcase_create("failure");
    tcase_add_loop_test(tcase, stories_hold, 0, sizeof stories / sizeof *stories);
    tcase_add_test(tcase, late_steps_make_patient_for_a_while);
    tcase_add_test(tcase, times_follow_the_configuration);
    tcase_add_test(tcase, times_made_up_are_ignored);
    tcase_add_loop_test(tcase, random_histories_agree_with_the_oracle, 0, 40);
    tcase_add_test(tcase, a_fifth_of_the_frames_lost_makes_nobody_flap);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
