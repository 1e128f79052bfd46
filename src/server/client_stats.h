/* What INFO counts of commands and errors. */
#ifndef RD_SERVER_CLIENT_STATS_H
#define RD_SERVER_CLIENT_STATS_H

#include <stddef.h>

struct clients;

/* Counts one error reply under its code, the word at the start of `text`. */
void client_stats_count_error(struct clients *clients, const char *text, size_t len);

/* Sets all counters to zero (CONFIG RESETSTAT), those of the server struct too. */
void client_stats_reset(struct clients *clients);

#endif
