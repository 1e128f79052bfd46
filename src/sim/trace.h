/* The trace: what happened, as lines a person can read, and as one number that says whether two
 * runs were the same.
 *
 * Everything that goes into a node and comes out of it is hashed, byte by byte. Lines are made
 * only when somebody listens, since they cost more than the run itself. */
#ifndef RD_SIM_TRACE_H
#define RD_SIM_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "replication/object.h"
#include "resp/slice.h"

/* Called with each line, without a newline. */
typedef void trace_listener(void *arg, uint64_t at_us, const char *line);

struct trace {
    uint64_t hash;
    uint64_t items;           /* hashed so far */
    trace_listener *listener; /* NULL: nobody listens */
    void *arg;
};

/* Hashes bytes. */
void trace_bytes(struct trace *trace, const void *bytes, size_t len);

/* Hashes what happened (`what`, any number that tells kinds apart), to whom and with which number.
 */
void trace_mark(struct trace *trace, uint64_t at_us, uint32_t what, uint32_t node, uint64_t number);

/* Makes a line, if somebody listens. */
void trace_line(struct trace *trace, uint64_t at_us, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends `bytes` so that they can be read: printable ones as they are, longer or binary ones
 * shortened or named by their length. */
void trace_text_bytes(struct buf *out, const void *bytes, size_t len);

/* Appends what an object holds: "{v1 v2}" newest first, "{}" after a deletion, "nothing" if never
 * written. */
void trace_text_object(struct buf *out, const struct object *object);

/* Appends what a peer's frame says: its name and those of its fields that are the same in every
 * run. */
void trace_text_frame(struct buf *out, const struct resp_slice *argv, size_t argc);

#endif
