/* Counting answers (see quorum.h; Dynamo 4.5).
 *
 * Invariants (quorum_check): good + bad answers are as many as bits in `answered`; nobody answered
 * who was not asked.
 */
#include "replication/quorum.h"

#include <assert.h>

static uint64_t bit(uint32_t which) {
    return UINT64_C(1) << which;
}

static uint32_t asked(const struct quorum *quorum) {
    return quorum->homes.asked + quorum->stand_ins.asked;
}

void quorum_check(const struct quorum *quorum) {
    const struct quorum_tally *homes = &quorum->homes, *others = &quorum->stand_ins;
    uint32_t all = asked(quorum);
    assert(quorum->needed >= 1);
    assert(all <= QUORUM_MAX_NODES);
    assert(homes->good + homes->bad <= homes->asked);
    assert(others->good + others->bad <= others->asked);
    assert((uint32_t)__builtin_popcountll(quorum->answered & ~quorum->standing_in) ==
           homes->good + homes->bad);
    assert((uint32_t)__builtin_popcountll(quorum->answered & quorum->standing_in) ==
           others->good + others->bad);
    assert((uint32_t)__builtin_popcountll(quorum->standing_in) == others->asked);
    assert(all == QUORUM_MAX_NODES || (quorum->answered | quorum->standing_in) >> all == 0);
}

void quorum_init(struct quorum *quorum, uint32_t needed) {
    assert(needed >= 1);
    *quorum = (struct quorum){.needed = needed};
}

uint32_t quorum_expect(struct quorum *quorum) {
    uint32_t which = asked(quorum);
    assert(which < QUORUM_MAX_NODES);
    quorum->homes.asked++;
    return which;
}

uint32_t quorum_expect_stand_in(struct quorum *quorum) {
    uint32_t which = asked(quorum);
    assert(which < QUORUM_MAX_NODES);
    quorum->stand_ins.asked++;
    quorum->standing_in |= bit(which);
    return which;
}

void quorum_allow(struct quorum *quorum, uint32_t room) {
    quorum->room = room;
}

enum quorum_verdict quorum_add(struct quorum *quorum, uint32_t which, bool good) {
    assert(which < asked(quorum));
    if (!quorum_has(quorum, which)) {
        bool home = (quorum->standing_in & bit(which)) == 0;
        struct quorum_tally *tally = home ? &quorum->homes : &quorum->stand_ins;
        quorum->answered |= bit(which);
        tally->good += good;
        tally->bad += !good;
    }
    return quorum_verdict(quorum);
}

bool quorum_has(const struct quorum *quorum, uint32_t which) {
    assert(which < asked(quorum));
    return (quorum->answered & bit(which)) != 0;
}

static uint32_t at_most(uint32_t count, uint32_t limit) {
    return count < limit ? count : limit;
}

uint32_t quorum_stand_ins(const struct quorum *quorum) {
    uint32_t missing =
        quorum->homes.good < quorum->needed ? quorum->needed - quorum->homes.good : 0;
    return at_most(at_most(quorum->stand_ins.good, quorum->room), missing);
}

uint32_t quorum_counted(const struct quorum *quorum) {
    return quorum->homes.good + quorum_stand_ins(quorum);
}

enum quorum_verdict quorum_verdict(const struct quorum *quorum) {
    assert(quorum->needed >= 1);
    assert(quorum->homes.good + quorum->homes.bad <= quorum->homes.asked);
    assert(quorum->stand_ins.good + quorum->stand_ins.bad <= quorum->stand_ins.asked);
    if (quorum_counted(quorum) >= quorum->needed) {
        return QUORUM_MET;
    }
    uint32_t open = quorum->homes.asked - quorum->homes.bad +
                    at_most(quorum->stand_ins.asked - quorum->stand_ins.bad, quorum->room);
    return open < quorum->needed ? QUORUM_LOST : QUORUM_OPEN;
}
