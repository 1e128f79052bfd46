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

void quorum_check(const struct quorum *quorum) {
    assert(quorum->needed >= 1);
    assert(quorum->expected <= QUORUM_MAX_NODES);
    assert(quorum->good + quorum->bad <= quorum->expected);
    assert((uint32_t)__builtin_popcountll(quorum->answered) == quorum->good + quorum->bad);
    assert(quorum->expected == QUORUM_MAX_NODES || quorum->answered >> quorum->expected == 0);
}

void quorum_init(struct quorum *quorum, uint32_t needed) {
    assert(needed >= 1);
    *quorum = (struct quorum){.needed = needed};
}

uint32_t quorum_expect(struct quorum *quorum) {
    assert(quorum->expected < QUORUM_MAX_NODES);
    return quorum->expected++;
}

enum quorum_verdict quorum_add(struct quorum *quorum, uint32_t which, bool good) {
    assert(which < quorum->expected);
    if (!quorum_has(quorum, which)) {
        quorum->answered |= bit(which);
        quorum->good += good;
        quorum->bad += !good;
    }
    return quorum_verdict(quorum);
}

bool quorum_has(const struct quorum *quorum, uint32_t which) {
    assert(which < quorum->expected);
    return (quorum->answered & bit(which)) != 0;
}

enum quorum_verdict quorum_verdict(const struct quorum *quorum) {
    quorum_check(quorum);
    if (quorum->good >= quorum->needed) {
        return QUORUM_MET;
    }
    return quorum->expected - quorum->bad < quorum->needed ? QUORUM_LOST : QUORUM_OPEN;
}
