/* What a read found, as ordinary Redis commands see it. */
#ifndef RD_SERVER_READING_H
#define RD_SERVER_READING_H

#include "server/call.h"

/* The value that a reader is shown: of concurrent ones the newest that has not expired by the wall clock; NULL: the key does not
 * exist. Counts a hit or a miss. Borrowed from the reply. */
const struct sibling *reading_winner(struct call *call, const struct client_reply *reply);

#endif
