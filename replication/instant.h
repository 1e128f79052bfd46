/* Now, as the driver says it: the node has no clock of its own. */
#ifndef RD_REPLICATION_INSTANT_H
#define RD_REPLICATION_INSTANT_H

#include <stdint.h>

struct instant {
    uint64_t mono_us; /* never goes back; only differences matter */
    uint64_t wall_us; /* since 1970; may jump */
};

#endif
