/* INFO: what the server says about itself, in Redis's sections. */
#ifndef RD_SERVER_INFO_H
#define RD_SERVER_INFO_H

#include "base/buf.h"
#include "base/err.h"
#include "resp/slice.h"

/* The compatibility level that INFO and HELLO show. */
#define INFO_REDIS_VERSION "7.2.0"
/* Redynamo's own. */
#define INFO_REDYNAMO_VERSION "0.1.0"

struct server;

/* Appends the sections named by `names` (any case; none: the default ones; also "default", "all", "everything"), in the fixed order. Error:
 * RD_ENOMEM. */
enum rd_err info_write(struct server *server, const struct resp_slice *names, size_t count,
                       struct buf *out);

#endif
