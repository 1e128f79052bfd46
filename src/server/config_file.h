/* Where directives come from: files and the command line. Private to config*.c. */
#ifndef RD_SERVER_CONFIG_FILE_H
#define RD_SERVER_CONFIG_FILE_H

#include <stddef.h>

#include "server/config.h"

enum config_origin { CONFIG_FROM_DEFAULTS, CONFIG_FROM_FILE, CONFIG_FROM_COMMAND_LINE };

/* A place that reasons and warnings name. */
struct config_source {
    const char *name; /* borrowed */
    size_t line;      /* from 1; 0: no lines */
    enum config_origin origin;
    unsigned depth; /* of includes */
};

/* Applies one directive: words[0] is its name, which may also be "include" or a stranger's. Errors: RD_ECONF, RD_EIO (an
 * included file), both with a reason that names the source; RD_ENOMEM. */
enum rd_err config_apply(struct config *config, const struct config_source *source,
                         const struct resp_slice *words, size_t count,
                         char reason[CONFIG_REASON_BYTES]);

/* Applies a whole file; "-" is standard input. Errors as config_apply. */
enum rd_err config_read_file(struct config *config, const char *path,
                             char reason[CONFIG_REASON_BYTES]);

/* Applies `--name value... --name value...`. Errors as config_apply. */
enum rd_err config_read_arguments(struct config *config, int argc, char *const *argv,
                                  char reason[CONFIG_REASON_BYTES]);

#endif
