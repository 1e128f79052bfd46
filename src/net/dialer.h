/* A dialer: TCP connections to peers, without blocking the loop.
 *
 * A name is looked up anew for each dial, a literal is used as it is; the addresses are tried one after the other, each for a limited
 * time, until one answers. All callbacks come from the loop, never from dialer_dial.
 */
#ifndef RD_NET_DIALER_H
#define RD_NET_DIALER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/address.h"

struct event_base;
struct dialer; /* opaque */

struct dialer_conf {
    unsigned timeout_ms; /* for each address */
    /* The connection stands; `fd` is the callee's, nonblocking; `peer` is borrowed. */
    void (*on_connected)(void *arg, uint64_t dial, int fd, const struct net_address *peer);
    /* No address answered; `reason`, borrowed, tells what the last one did. */
    void (*on_failed)(void *arg, uint64_t dial, const char *reason);
    void *arg;
};

/* Makes a dialer; `conf` is copied. Errors: RD_ENOMEM, RD_EIO. Free with dialer_free. */
enum rd_err dialer_new(struct event_base *base, const struct dialer_conf *conf,
                       struct dialer **out);

/* Begins a dial that the caller calls `dial`; exactly one callback follows, unless dialer_free comes first. Error: RD_ENOMEM; then
 * none follows. */
enum rd_err dialer_dial(struct dialer *dialer, uint64_t dial, const char *host, uint16_t port);

/* How many dials are under way. */
size_t dialer_count(const struct dialer *dialer);

/* Gives all dials up, frees and nulls. */
void dialer_free(struct dialer **dialer);

#endif
