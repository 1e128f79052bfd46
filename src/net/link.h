/* A link: one TCP connection between two nodes, as frames in and frames out.
 *
 * A frame is a RESP array of bulk strings. Frames that come in are borrowed from the input buffer. Frames that go out are blobs, shared by all
 * links they are sent on and never copied: link_send queues a reference, link_flush writes all that is queued with one call.
 * Raw events rather than libevent's bufferevents, because the moment of writing matters: frames leave before this node's own commit
 * begins, so that the peers' work runs beside it; a bufferevent would write them in the next pass of the loop.
 *
 * What a stranger may cost is bounded: a frame may have LINK_UNPROVEN_FRAME_BYTES until LINK_PROVING_FRAMES have been taken
 * (the node closes a link whose first frames it does not like), afterwards LINK_MAX_FRAME_BYTES. What is queued for a peer that does not read is
 * bounded by LINK_MAX_QUEUED_BYTES; one frame is always taken.
 */
#ifndef RD_NET_LINK_H
#define RD_NET_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/err.h"
#include "resp/slice.h"

#define LINK_UNPROVEN_FRAME_BYTES (64u * 1024)
#define LINK_PROVING_FRAMES 4
#define LINK_MAX_FRAME_BYTES ((size_t)1024 * 1024 * 1024)
#define LINK_MAX_QUEUED_BYTES ((uint64_t)256 * 1024 * 1024)
#define LINK_LINGER_MS 2000

struct event_base;
struct link; /* opaque */

struct link_handler {
    /* One frame; borrowed during the call. The link must not be freed in it; link_close is fine. */
    void (*on_frame)(void *arg, struct link *link, const struct resp_slice *argv, size_t argc);
    /* The connection is of no use any more; nothing follows. `err`: RD_ECLOSED (an end that connections have), or
     * RD_EPROTO, RD_ETOOBIG (what came is no frame, or too long a one), RD_ENOMEM; `reason` is borrowed. Called only from the
     * loop, not by any function here. The link must not be freed in it either. */
    void (*on_down)(void *arg, struct link *link, enum rd_err err, const char *reason);
    void *arg;
};

struct link_stats {
    uint64_t frames_in, frames_out, bytes_in, bytes_out;
};

/* Makes a link of a connected socket, `fd`, which is taken, also on error, and begins to read. `handler` is copied. Error: RD_ENOMEM.
 * Free with link_free. */
enum rd_err link_new(struct event_base *base, int fd, const struct link_handler *handler,
                     struct link **out);

/* Queues a frame; takes a reference of its own. Errors: RD_ETOOBIG (the peer does not read: LINK_MAX_QUEUED_BYTES are waiting),
 * RD_ENOMEM, RD_ECLOSED; after any of them the frame is not queued. */
enum rd_err link_send(struct link *link, struct blob *frame);

/* Writes what is queued, as far as the socket takes it; the rest goes out as the peer reads. Errors: RD_ECLOSED (the connection broke: on_down
 * follows from the loop). */
enum rd_err link_flush(struct link *link);

/* No more frames are read. What is queued still goes out; then, when the peer has hung up or after LINK_LINGER_MS, on_down
 * is called. */
void link_close(struct link *link);

/* Bytes that are queued. */
uint64_t link_queued_bytes(const struct link *link);

/* Counts since link_new. */
const struct link_stats *link_stats(const struct link *link);

/* Closes at once, frees and nulls. */
void link_free(struct link **link);

#endif
