/* A resolver: names to addresses without blocking the loop.
 *
 * Lookups run in helper threads with the system's getaddrinfo, so that what the operator configured (hosts, DNS, mDNS, NSS modules)
 * holds here too; libevent's own resolver knows only a part of it. A few threads at most exist, and only while there is something to look up.
 */
#ifndef RD_NET_RESOLVER_H
#define RD_NET_RESOLVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/address.h"

struct event_base;
struct resolver; /* opaque */

/* Called from the loop: the addresses found, borrowed, in the system's order of preference; none: `error` says why. */
typedef void resolver_on_done(void *arg, const struct net_address *addresses, size_t count,
                              const char *error);

/* Makes a resolver. Errors: RD_ENOMEM, RD_EIO. Free with resolver_free. */
enum rd_err resolver_new(struct event_base *base, struct resolver **out);

/* Looks `host` up (copied) for TCP connections to `port`; `on_done` is called once, later, unless resolver_free comes first. Errors: RD_ENOMEM,
 * RD_EOVERLOADED (too many lookups wait); then it is not called. */
enum rd_err resolver_ask(struct resolver *resolver, const char *host, uint16_t port,
                         resolver_on_done *on_done, void *arg);

/* Forgets all questions, frees and nulls, without waiting: a thread in the middle of a lookup ends by itself. */
void resolver_free(struct resolver **resolver);

#endif
