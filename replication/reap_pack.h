/* What REAP frames carry: keys, vectors, fences, packed. Pure values; whatever a peer sends is checked against REAP_MAX_KEYS. */
#ifndef RD_REPLICATION_REAP_PACK_H
#define RD_REPLICATION_REAP_PACK_H

#include "base/buf.h"
#include "replication/node_id.h"
#include "replication/version.h"
#include "resp/slice.h"

/* A key of a round: the object that all homes are to have, and whether all of it is to be forgotten. */
struct reap_wish {
    struct resp_slice key; /* borrowed from the frame */
    uint64_t digest;
    bool gone;
};

/* The last fence that its sender has met of a member. */
struct reap_fence {
    struct node_id member;
    uint64_t start, number;
};

/* Appends one. Error: RD_ENOMEM, nothing was added. */
enum rd_err reap_pack_wish(struct buf *out, const struct reap_wish *wish);
enum rd_err reap_pack_vector(struct buf *out, uint32_t index, const struct version *kept);
enum rd_err reap_pack_fence(struct buf *out, const struct reap_fence *fence);

/* Take the next one of *at, which is not empty, and move *at behind it. Errors: RD_EPROTO; of a vector, which is overwritten, also RD_ENOMEM,
 * RD_ETOOBIG. */
enum rd_err reap_unpack_wish(struct resp_slice *at, struct reap_wish *out);
enum rd_err reap_unpack_vector(struct resp_slice *at, uint32_t *index, struct version *out);
enum rd_err reap_unpack_fence(struct resp_slice *at, struct reap_fence *out);

/* How many keys are packed in `items`. Errors: RD_EPROTO (also none), RD_ETOOBIG: more than `most`. */
enum rd_err reap_count_wishes(struct resp_slice items, uint32_t most, uint32_t *out);

#endif
