/* How nodes, versions and states are spelled in replies. */
#ifndef RD_SERVER_DESCRIBE_H
#define RD_SERVER_DESCRIBE_H

#include "replication/node.h"
#include "replication/version.h"
#include "resp/writer.h"

/* Writes a node id as 40 hex digits. */
void describe_id(const struct node_id *id, struct resp_writer *w);

/* Writes "host:port". */
void describe_address(const struct node_address *address, struct resp_writer *w);

/* Writes a dot as "incarnation.epoch:counter", the incarnation as 16 hex digits. */
void describe_dot(const struct dot *dot, struct resp_writer *w);

/* Appends a vector's entries, spelled as dots and separated by spaces. Error: RD_ENOMEM. */
enum rd_err describe_version(const struct version *version, struct buf *out);

/* "up", "suspect", "down". */
const char *describe_state(enum member_state state);

/* "joining", "member", "leaving", "removed". */
const char *describe_status(enum member_status status);

#endif
