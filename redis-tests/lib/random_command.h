/* Random commands on strings, right ones and wrong ones, for comparing two servers. */
#ifndef RD_REDIS_TESTS_RANDOM_COMMAND_H
#define RD_REDIS_TESTS_RANDOM_COMMAND_H

#include "base/buf.h"
#include "base/prng.h"

/* Replaces `out` by a command line with the quoting of redis-cli. Keys are few, so that commands meet each other's values; times to
 * live are far away and far from each other, so that two servers need not be asked at the same instant. */
void random_command(struct prng *prng, struct buf *out);

#endif
