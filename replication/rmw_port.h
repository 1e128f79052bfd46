/* What a read-modify-write computes: a pure function that the driver supplies, since the core knows no commands.
 *
 * It is called with what the key holds and with the order as it came from the client, at a home of the key, perhaps more than once for one
 * request (op_rmw.h), and perhaps on another node than the one that the client asked. So the order must say everything, and the function
 * must look at nothing but its input and the limits of its node. */
#ifndef RD_REPLICATION_RMW_PORT_H
#define RD_REPLICATION_RMW_PORT_H

#include <stdint.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/err.h"

struct rmw_input {
    const struct blob *order; /* the client's; opaque to the core */
    uint64_t now_ms;          /* wall time */
    struct blob *value;       /* what a reader would see; NULL: there is no such key. Borrowed */
    uint64_t expires_ms;      /* of that value; 0: never */
};

enum rmw_change { RMW_KEEP, RMW_SET, RMW_DELETE };

/* Zeroed before the call. */
struct rmw_output {
    enum rmw_change change;
    struct blob *value;  /* RMW_SET: one reference, which the caller takes over */
    uint64_t expires_ms; /* RMW_SET: 0: never */
    struct buf reply;    /* for the client; opaque to the core; taken over */
};

/* On an error the output is ignored but for being released. Errors: RD_ENOMEM; RD_EREFUSED: the order is not understood here. */
typedef enum rd_err rmw_fn(void *arg, const struct rmw_input *in, struct rmw_output *out);

#endif
