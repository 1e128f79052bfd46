/* Tickets: names for requests on their way that stay harmless when they come back late.
 *
 * A ticket is a slot of a table and the slot's generation, packed into 64 bits. Closing it raises the generation, so that a name
 * that comes twice, or after its owner has gone, finds nothing.
 */
#ifndef RD_SERVER_TICKETS_H
#define RD_SERVER_TICKETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ticket {
    void *owner;         /* NULL: free */
    uint64_t opened_us;  /* as the caller said */
    uint32_t part;       /* which of the owner's requests it is */
    uint32_t generation; /* from 1 */
    uint32_t next_free;
};

/* A zeroed struct is an empty table. */
struct tickets {
    struct ticket *slots; /* owned */
    uint32_t slot_count;
    uint32_t first_free; /* slot_count: none */
    size_t open;         /* tickets in use */
};

/* Frees the table. */
void tickets_free(struct tickets *tickets);

/* Opens a ticket for part `part` of `owner` (not NULL) at the time `now_us`. Error: RD_ENOMEM. */
enum rd_err tickets_open(struct tickets *tickets, void *owner, uint32_t part, uint64_t now_us,
                         uint64_t *out);

/* Closes the ticket `name`; returns its owner, its part and when it was opened, or NULL if there is no such ticket. */
void *tickets_close(struct tickets *tickets, uint64_t name, uint32_t *part, uint64_t *opened_us);

#endif
