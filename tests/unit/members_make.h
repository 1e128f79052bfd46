/* Members for tests of placement. */
#ifndef RD_TESTS_MEMBERS_MAKE_H
#define RD_TESTS_MEMBERS_MAKE_H

#include "base/prng.h"
#include "replication/ring.h"

#include <stdio.h>
#include <string.h>

/* A member with a random id, which is its placement id too; `zone` < 0: none, else named
 * "z<zone>". */
static inline struct ring_member member_make(struct prng *prng, uint32_t vnodes, int zone) {
    struct ring_member member;
    memset(&member, 0, sizeof member);
    prng_fill(prng, member.id.bytes, NODE_ID_BYTES);
    member.placement = member.id;
    member.vnodes = vnodes;
    if (zone >= 0) {
        snprintf(member.zone, sizeof member.zone, "z%d", zone);
    }
    return member;
}

#endif
