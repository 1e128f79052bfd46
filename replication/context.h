/* The causal context of a client (Dynamo 4.4): what a read showed it, and so what its next write
 * replaces.
 *
 * A context covers the dots of a version vector, plus at most one lone dot: after DYNSET beside
 * siblings that the client never saw, its new dot is covered and theirs, which may have lower
 * counters of the same actor, are not. To clients a context is an opaque printable token, sealed
 * with a key that is born with the cluster and bound to its Redis key, so that a damaged, forged or
 * foreign one fails instead of poisoning a key.
 */
#ifndef RD_REPLICATION_CONTEXT_H
#define RD_REPLICATION_CONTEXT_H

#include "replication/version.h"

#define CONTEXT_KEY_BYTES 16
#define CONTEXT_MAX_TOKEN_BYTES (4 * 1024 * 1024)

/* A zeroed struct is the context of "I saw nothing". */
struct context {
    struct version version; /* owned */
    bool has_dot;
    struct dot dot;
    uint64_t stamp; /* the newest HLC stamp the client saw; 0 if none */
};

/* Frees the vector; the context is empty and usable again. */
void context_free(struct context *context);

/* Makes `*to` (overwritten) a copy of `from`. Error: RD_ENOMEM. */
enum rd_err context_copy(const struct context *from, struct context *to);

/* True if `dot` is in the vector or is the lone dot. */
bool context_covers(const struct context *context, const struct dot *dot);

/* Adds one dot: to the vector where that covers no other dot, else as the lone dot, in the place of
 * an older one (which the write that made `dot` has replaced). Error: RD_ENOMEM, nothing
 * changed. */
enum rd_err context_add(struct context *context, const struct dot *dot);

/* Asserts the invariants: those of the vector, a lone dot that is neither covered nor next in line,
 * a sane stamp. */
void context_check(const struct context *context);

/* Appends the sealed token for `key`: URL-safe base64. Error: RD_ENOMEM. */
enum rd_err context_seal(const struct context *context, const uint8_t seal_key[CONTEXT_KEY_BYTES],
                         const void *key, size_t key_len, struct buf *out);

/* Opens a token into `*out` (overwritten). Errors: RD_EBADCONTEXT (damaged, forged, of another key
 * or cluster), RD_ENOMEM. */
enum rd_err context_open(const char *token, size_t token_len,
                         const uint8_t seal_key[CONTEXT_KEY_BYTES], const void *key, size_t key_len,
                         struct context *out);

#endif
