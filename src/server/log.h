/* The server's log, in Redis's format: "pid:M dd Mon yyyy hh:mm:ss.mmm * message".
 *
 * One line per call; control characters in a message become '?', so that nobody outside can forge a line. A file is opened
 * for each line, as Redis does, so that it may be moved away (logrotate) at any time.
 */
#ifndef RD_SERVER_LOG_H
#define RD_SERVER_LOG_H

#include "base/err.h"
#include "replication/node.h"

struct log; /* opaque */

/* Makes a log that writes lines of `level` and above to `path` (copied; "" or NULL: standard output). `path` must be absolute if
 * the process changes its directory later. Errors: RD_ENOMEM, RD_EIO (the file cannot be opened; errno says why). Free with log_free. */
enum rd_err log_new(const char *path, enum log_level level, struct log **out);

/* Frees and nulls. */
void log_free(struct log **log);

/* Lines below `level` are dropped from now on. */
void log_set_level(struct log *log, enum log_level level);

/* True if a line of `level` would be written. */
int log_wants(const struct log *log, enum log_level level);

/* Writes one line; longer ones are cut at 1024 bytes. A line that cannot be written is lost. */
void log_line(struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
