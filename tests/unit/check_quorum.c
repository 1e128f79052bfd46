/* replication/quorum: a table of short stories, and random ones against plain counting. */
#include "replication/quorum.h"

#include "base/prng.h"
#include "tests/lib/run.h"
#include "tests/unit/must.h"

#include <string.h>

/* One letter per event. e: one more node is asked. 0, 1, 2...: that node answers well. A, B, C...:
 * node 0, 1, 2... fails. */
static const struct {
    uint32_t needed;
    const char *story;
    enum quorum_verdict verdict;
} stories[] = {
    {1, "", QUORUM_LOST},        {1, "e", QUORUM_OPEN},       {1, "e0", QUORUM_MET},
    {1, "eA", QUORUM_LOST},      {1, "eAe", QUORUM_OPEN},     {1, "eAe1", QUORUM_MET},
    {2, "ee0", QUORUM_OPEN},     {2, "ee00", QUORUM_OPEN},    {2, "ee01", QUORUM_MET},
    {2, "ee0B", QUORUM_LOST},    {2, "ee0A", QUORUM_OPEN},    {2, "ee0A1", QUORUM_MET},
    {2, "eeA0", QUORUM_LOST},    {2, "eee0B2", QUORUM_MET},   {2, "eee0BC", QUORUM_LOST},
    {2, "eee0BCe", QUORUM_OPEN}, {2, "eee0BCe3", QUORUM_MET}, {2, "eee01C", QUORUM_MET},
    {3, "ee", QUORUM_LOST},      {3, "eee012", QUORUM_MET},   {3, "eee012ABC", QUORUM_MET},
};

START_TEST(tells_these_stories) {
    struct quorum quorum;
    quorum_init(&quorum, stories[_i].needed);
    for (const char *at = stories[_i].story; *at != 0; at++) {
        if (*at == 'e') {
            uint32_t before = quorum.homes.asked;
            MUST(quorum_expect(&quorum) == before);
        } else if (*at >= 'A') {
            quorum_add(&quorum, (uint32_t)(*at - 'A'), false);
        } else {
            quorum_add(&quorum, (uint32_t)(*at - '0'), true);
        }
        quorum_check(&quorum);
    }
    ck_assert_msg(quorum_verdict(&quorum) == stories[_i].verdict, "%u of %s", stories[_i].needed,
                  stories[_i].story);
}
END_TEST

START_TEST(agrees_with_plain_counting) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    for (int round = 0; round < 300; round++) {
        struct quorum quorum;
        uint32_t needed = 1 + (uint32_t)prng_below(&prng, 8);
        quorum_init(&quorum, needed);
        int answers[QUORUM_MAX_NODES]; /* -1: none yet */
        uint32_t asked = 0;
        bool met = false;
        for (int step = 0; step < 200; step++) {
            if (asked < QUORUM_MAX_NODES && (asked == 0 || prng_chance(&prng, 1, 4))) {
                answers[asked] = -1;
                MUST(quorum_expect(&quorum) == asked);
                asked++;
            } else {
                uint32_t which = (uint32_t)prng_below(&prng, asked);
                bool good = prng_chance(&prng, 1, 3);
                MUST(quorum_has(&quorum, which) == (answers[which] >= 0));
                answers[which] = answers[which] < 0 ? good : answers[which];
                MUST(quorum_add(&quorum, which, good) == quorum_verdict(&quorum));
            }
            uint32_t good = 0;
            uint32_t bad = 0;
            for (uint32_t i = 0; i < asked; i++) {
                good += answers[i] == 1;
                bad += answers[i] == 0;
            }
            enum quorum_verdict wanted = good >= needed         ? QUORUM_MET
                                         : asked - bad < needed ? QUORUM_LOST
                                                                : QUORUM_OPEN;
            MUST(quorum_verdict(&quorum) == wanted);
            MUST(!met || wanted == QUORUM_MET);
            met = wanted == QUORUM_MET;
            quorum_check(&quorum);
        }
    }
}
END_TEST

/* Letters as above; s: a stand-in is asked. */
static const struct {
    uint32_t needed, room;
    const char *story;
    enum quorum_verdict verdict;
    uint32_t stand_ins;
} sloppy[] = {{1, 0, "es1", QUORUM_OPEN, 0},    {1, 1, "es1", QUORUM_MET, 1},
              {1, 1, "es10", QUORUM_MET, 0},    {2, 0, "ees02", QUORUM_OPEN, 0},
              {2, 1, "ees02", QUORUM_MET, 1},   {2, 1, "ees021", QUORUM_MET, 0},
              {2, 1, "ess012", QUORUM_MET, 1},  {2, 1, "ess12", QUORUM_OPEN, 1},
              {2, 2, "ess12", QUORUM_MET, 2},   {2, 2, "ess012", QUORUM_MET, 1},
              {2, 1, "eesA2", QUORUM_OPEN, 1},  {2, 1, "eesA21", QUORUM_MET, 1},
              {2, 1, "eesAB2", QUORUM_LOST, 1}, {3, 1, "eees3", QUORUM_OPEN, 1},
              {3, 1, "eees013", QUORUM_MET, 1}, {3, 1, "eees0132", QUORUM_MET, 0}};

/* Only so many stand-ins count as may, and as homes are missing. */
START_TEST(counts_stand_ins) {
    struct quorum quorum;
    quorum_init(&quorum, sloppy[_i].needed);
    quorum_allow(&quorum, sloppy[_i].room);
    for (const char *at = sloppy[_i].story; *at != 0; at++) {
        if (*at == 'e') {
            quorum_expect(&quorum);
        } else if (*at == 's') {
            quorum_expect_stand_in(&quorum);
        } else {
            bool good = *at < 'A';
            quorum_add(&quorum, (uint32_t)(*at - (good ? '0' : 'A')), good);
        }
        quorum_check(&quorum);
    }
    ck_assert_msg(quorum_verdict(&quorum) == sloppy[_i].verdict &&
                      quorum_stand_ins(&quorum) == sloppy[_i].stand_ins,
                  "%s: %u stand-ins", sloppy[_i].story, quorum_stand_ins(&quorum));
}
END_TEST

START_TEST(counts_as_many_as_it_may_ask) {
    struct quorum quorum;
    quorum_init(&quorum, QUORUM_MAX_NODES);
    for (uint32_t i = 0; i < QUORUM_MAX_NODES; i++) {
        quorum_expect(&quorum);
    }
    for (uint32_t i = QUORUM_MAX_NODES; i-- > 0;) {
        MUST(quorum_add(&quorum, i, true) == (i == 0 ? QUORUM_MET : QUORUM_OPEN));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("quorum");
    TCase *tcase = tcase_create("quorum");
    tcase_add_loop_test(tcase, tells_these_stories, 0, (int)(sizeof stories / sizeof *stories));
    tcase_add_loop_test(tcase, agrees_with_plain_counting, 0, 10);
    tcase_add_loop_test(tcase, counts_stand_ins, 0, (int)(sizeof sloppy / sizeof *sloppy));
    tcase_add_test(tcase, counts_as_many_as_it_may_ask);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
