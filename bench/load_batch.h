/* The requests that a connection sends in one go, as bytes, and what their replies will mean. */
#ifndef RD_BENCH_LOAD_BATCH_H
#define RD_BENCH_LOAD_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "bench/keys.h"
#include "bench/load_conf.h"

/* What a reply is the reply to. */
enum expected {
    EXPECT_VALUE,  /* a GET */
    EXPECT_WRITE,  /* a write that is done with its reply */
    EXPECT_HELD,   /* a write that is done when the next WAIT has answered */
    EXPECT_WAITED, /* a WAIT */
};

struct batch_maker {
    const struct load_conf *conf; /* borrowed */
    const uint64_t
        *homes; /* borrowed: a bit for each node, for each slot; NULL: any node will do */
    struct keys keys;
    struct prng prng;
    char *read_head, *write_head, *write_tail, *wait; /* owned: what stands around a key */
    size_t read_head_len, write_head_len, write_tail_len, wait_len;
    uint64_t reads_below; /* of 2^53 */
    uint64_t fill_left;   /* writes of keys in order, before anything else */
    bool filling;
};

/* Prepares; `conf` and `homes` are borrowed for its life. Free with batch_maker_free. */
void batch_maker_init(struct batch_maker *maker, const struct load_conf *conf,
                      const uint64_t *homes);

void batch_maker_free(struct batch_maker *maker);

/* Bytes, and replies, of the largest batch. */
size_t batch_max_bytes(const struct batch_maker *maker);
size_t batch_max_replies(const struct batch_maker *maker);

/* Makes a batch for a node: writes its bytes and, for each reply, an enum expected. Returns the number of replies; 0 when the filling
 * has come to its end. */
unsigned batch_make(struct batch_maker *maker, size_t node, uint8_t *out, size_t *len,
                    uint8_t *expected);

#endif
