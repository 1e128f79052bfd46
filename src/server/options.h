/* Options that several commands take: expiry times, and how many replicas to wait for. */
#ifndef RD_SERVER_OPTIONS_H
#define RD_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/call.h"

/* One of EX, PX, EXAT, PXAT, and which argument holds its time. */
struct expiry_option {
    size_t at; /* index of the time; 0: none was given */
    bool seconds, relative;
};

/* If argument `*at` is one of these options, takes it with its time and moves *at to the last argument taken. Returns
 * false if it is none of them, has no time, or comes behind another of them (the same one again is taken, as in Redis). */
bool expiry_parse(const struct call *call, size_t *at, struct expiry_option *out);

/* Computes the absolute wall milliseconds, 0 without an option. On a wrong time writes Redis's error and returns false. */
bool expiry_resolve(struct call *call, const struct expiry_option *option, uint64_t *out_ms);

/* Reads argument `index` as a number of replicas, 1..N; `what` is "R" or "W". If it is none writes the error and returns false. */
bool quorum_parse(struct call *call, size_t index, const char *what, uint32_t *out);

#endif
