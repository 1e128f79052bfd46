/* Commands on many keys: one request per key, a window of them on their way at a time, one reply when all have been answered.
 *
 * There is no atomicity: keys are read and written each on its own. The first error becomes the reply; requests that
 * were not yet sent then stay unsent. If other keys were written, or may have been, the reply is -UNKNOWN, whatever the error was,
 * and says how many.
 */
#ifndef RD_SERVER_GATHER_H
#define RD_SERVER_GATHER_H

#include "server/call.h"

#define GATHER_WINDOW 256

/* What differs from command to command. `index` counts keys from 0. */
struct gather_plan {
    /* Fills in op and what goes with it; key is set already. A blob put into request->value is released by the
     * gatherer. Error: RD_ENOMEM. */
    enum rd_err (*request)(struct call *call, size_t index, struct client_request *request);
    /* Notes a good answer in `*number`, or in `values` (one per key, references owned by the gatherer). */
    void (*answer)(struct call *call, size_t index, struct client_reply *reply, int64_t *number,
                   struct blob **values);
    /* Writes the reply of the whole. */
    void (*finish)(struct call *call, int64_t number, struct blob *const *values, size_t count);
    /* In place of `finish`, if it is set: goes on with what was gathered, and returns what on_reply returns. It may set call->on_reply
     * and submit requests. */
    enum call_progress (*then)(struct call *call, int64_t number, struct blob *const *values,
                               size_t count);
    enum {
        GATHER_ALL,
        GATHER_FIRST_OF_EACH,
        GATHER_LAST_OF_EACH
    } repeated; /* what of a key that is given twice */
};

/* Starts; returns what a command's function returns. `plan` is static. */
enum call_progress gather(struct call *call, const struct gather_plan *plan);

/* For plans that read: asks for the value of a key; and keeps it in `values`, NULL where there is none, counting in `*number` those that are there. */
enum rd_err gather_request_read(struct call *call, size_t index, struct client_request *request);
void gather_note_value(struct call *call, size_t index, struct client_reply *reply, int64_t *number,
                       struct blob **values);

/* Sets the keys of MSET's arguments, and replies OK, or `number` if that is not 0. */
enum call_progress gather_sets(struct call *call, int64_t number);

#endif
