/* Memory for the simulator. It is an instrument, not a server: a run that is out of memory proves
 * nothing, so it says so and ends the process, and no caller needs a path for it. */
#ifndef RD_SIM_MEM_H
#define RD_SIM_MEM_H

#include <stdarg.h>
#include <stddef.h>

#include "base/blob.h"
#include "base/buf.h"

/* Returns `bytes` zeroed bytes, to be freed with free. Never NULL. */
void *mem_zero(size_t bytes);

/* Makes room for at least `need` items of `item_bytes` in the array `items` that has room for
 * `*cap`, moving it if necessary; returns where it is now and updates `*cap`. Never NULL unless
 * need is 0. */
void *mem_grow(void *items, size_t *cap, size_t need, size_t item_bytes);

/* A new blob with a copy of `bytes`; the caller owns the reference. */
struct blob *mem_blob(const void *bytes, size_t len);

/* Appends to a buffer. */
void mem_append(struct buf *buf, const void *bytes, size_t len);

/* Appends formatted text to a buffer, without the terminating zero. */
void mem_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ends the process because of `err`, which a call that only fails for want of memory has returned;
 * RD_OK returns. */
void mem_must(enum rd_err err);

#endif
