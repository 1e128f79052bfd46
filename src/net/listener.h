/* A listener: one TCP port on any number of local addresses.
 *
 * Addresses are written as in redis.conf's `bind`: literals, or names that the system knows; "*" is all of IPv4 and "::*"
 * all of IPv6; behind a '-' an address may be missing on this machine, in which case it is skipped.
 */
#ifndef RD_NET_LISTENER_H
#define RD_NET_LISTENER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/address.h"

struct event_base;
struct listener; /* opaque */

/* Called for each connection; `fd` is the callee's, nonblocking; `peer` is borrowed. */
typedef void listener_on_accept(void *arg, int fd, const struct net_address *peer);

/* Called when connections cannot be accepted (too many open files), at most once a second; it goes on by itself. May be NULL. */
typedef void listener_on_error(void *arg, int err_number);

struct listener_conf {
    const char *const *bind; /* borrowed during the call, like all here */
    size_t bind_count;
    uint16_t port; /* 0: one that the system chooses, the same on all addresses */
    int backlog;
    listener_on_accept *on_accept;
    listener_on_error *on_error;
    void *arg;
};

/* Binds and listens. `reason`: a sentence that names the address on error. Errors: RD_ENOMEM, RD_EIO. Free with
 * listener_free. */
enum rd_err listener_new(struct event_base *base, const struct listener_conf *conf,
                         struct listener **out, char reason[256]);

/* The port it listens on; 0 if every address was skipped. */
uint16_t listener_port(const struct listener *listener);

/* How many addresses it listens on. */
size_t listener_count(const struct listener *listener);

/* Stops listening, frees and nulls. Not from within its callbacks. */
void listener_free(struct listener **listener);

#endif
