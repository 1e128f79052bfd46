/* The two clocks of the process, read together. */
#ifndef RD_SERVER_CLOCK_H
#define RD_SERVER_CLOCK_H

#include "replication/node.h"

/* Now: CLOCK_MONOTONIC and CLOCK_REALTIME, in microseconds. */
struct instant clock_now(void);

#endif
