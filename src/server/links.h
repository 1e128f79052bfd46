/* The links of one node: those that came in and those it dialled, by the numbers the node knows them by.
 *
 * The handler is called from the loop, and by links_send, links_flush and links_dial when they find that a link is of no more use. A
 * link that is reported down, or was closed with links_close, is never heard of again.
 */
#ifndef RD_SERVER_LINKS_H
#define RD_SERVER_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/err.h"
#include "replication/node_conf.h"
#include "resp/slice.h"
#include "server/log.h"

struct event_base;
struct links; /* opaque */

struct links_handler {
    void (*on_up)(void *arg, uint64_t link, uint64_t dial,
                  const char *host); /* dial 0: it came from outside */
    void (*on_down)(void *arg, uint64_t link);
    void (*on_dial_failed)(void *arg, uint64_t dial);
    void (*on_frame)(void *arg, uint64_t link, const struct resp_slice *argv, size_t argc);
    void *arg;
};

struct links_conf {
    const char *const *bind; /* borrowed during links_new; see net/listener.h */
    size_t bind_count;
    uint16_t port;
    int backlog;
    unsigned dial_timeout_ms; /* for each address of a peer */
    bool refuse_remote;       /* only peers of this machine may connect */
};

struct links_stats {
    uint64_t standing;                                   /* links, now */
    uint64_t frames_in, frames_out, bytes_in, bytes_out; /* ever */
    uint64_t dials, dials_failed, dropped, refused;
};

/* Listens for peers. `reason`: a sentence on error. Errors: RD_ENOMEM, RD_EIO. Free with links_free. */
enum rd_err links_new(struct event_base *base, struct log *log, const struct links_conf *conf,
                      const struct links_handler *handler, struct links **out, char reason[256]);

/* Begins to dial; on_up with `dial` or on_dial_failed follows. */
void links_dial(struct links *links, uint64_t dial, const struct node_address *to);

/* Queues a frame for a link (takes a reference of its own); for one that is gone it is forgotten. */
void links_send(struct links *links, uint64_t link, struct blob *frame);

/* Closes a link when what was queued for it has been written. */
void links_close(struct links *links, uint64_t link);

/* Writes what is queued for all links, and frees those that have gone down. */
void links_flush(struct links *links);

/* Accepts and dials no more. */
void links_stop(struct links *links);

/* The port it listens on. */
uint16_t links_port(const struct links *links);

/* Fills `out`. */
void links_stats(const struct links *links, struct links_stats *out);

/* Closes all, frees and nulls. Nothing is called back. */
void links_free(struct links **links);

#endif
