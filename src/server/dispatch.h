/* From the arguments of one command to a call that runs, waits for its turn, or is refused. */
#ifndef RD_SERVER_DISPATCH_H
#define RD_SERVER_DISPATCH_H

#include "resp/slice.h"
#include "server/client.h"

/* Finds the command and checks what can be checked before it runs, in Redis's order; then runs it, or parks it until its
 * keys are free. The arguments may go after the call. Without memory the connection is doomed. */
void dispatch(struct client *client, const struct resp_slice *argv, size_t argc);

/* Answers malformed input with one error, behind the replies that are still to come, and ends the connection behind it. */
void dispatch_protocol_error(struct client *client, const char *text);

#endif
