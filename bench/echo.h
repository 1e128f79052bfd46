/* The cheapest servers that could be: they read requests as the load generator frames them, keep nothing, and answer with constant
 * bytes. One thread, epoll, one write per connection and turn. What they reach on loopback no real server can exceed. */
#ifndef RD_BENCH_ECHO_H
#define RD_BENCH_ECHO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ECHO_NODES 3

struct echo {
    size_t count; /* 1: it answers at once; 3: when the first of the two others has answered it */
    pid_t pids[ECHO_NODES];
    uint16_t ports[ECHO_NODES];
};

/* Starts `count` (1 or 3) processes that end when this one does, answering GETs with `value_bytes`. Exits the program if that fails. */
void echo_start(struct echo *echo, size_t count, size_t value_bytes);

/* Ends them. */
void echo_stop(struct echo *echo);

#endif
