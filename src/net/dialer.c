/* A dialer: TCP connections to peers.
 *
 *     begun --(a name)--> resolving --> trying <--+
 *       |                     |           | |     | the next address
 *       +---(a literal)-------|-----------+ +-----+
 *                             v           |
 *                        failed <---------+--> connected
 *
 * on_start, on_resolved, on_connect are the arrows' functions; each call ends in a waiting state or with `finish`. */
#include "net/dialer.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/resolver.h"
#include "net/socket.h"

#define REASON_BYTES 160

struct attempt {
    struct attempt *previous, *next;
    struct dialer *dialer;
    uint64_t dial;
    char *host;
    uint16_t port;
    struct net_address *addresses; /* owned */
    size_t count;
    size_t index; /* of the address that is tried */
    int fd;       /* -1: none */
    struct event *start;
    struct event *connecting; /* writable, or too late */
    char reason[REASON_BYTES];
};

struct dialer {
    struct event_base *base;
    struct dialer_conf conf;
    struct resolver *resolver;
    struct attempt *attempts;
    size_t count;
};

/* ---- the end of an attempt ------------------------------------------------------------------------ */

static void close_socket(struct attempt *a) {
    if (a->connecting != NULL) {
        event_free(a->connecting);
        a->connecting = NULL;
    }
    if (a->fd >= 0) {
        close(a->fd);
        a->fd = -1;
    }
}

static void attempt_free(struct attempt *a) {
    if (a->previous != NULL) {
        a->previous->next = a->next;
    } else {
        a->dialer->attempts = a->next;
    }
    if (a->next != NULL) {
        a->next->previous = a->previous;
    }
    a->dialer->count--;
    close_socket(a);
    if (a->start != NULL) {
        event_free(a->start);
    }
    free(a->addresses);
    free(a->host);
    free(a);
}

static void fail(struct attempt *a) {
    struct dialer *dialer = a->dialer;
    uint64_t dial = a->dial;
    char reason[REASON_BYTES];
    memcpy(reason, a->reason, sizeof reason);
    attempt_free(a);
    dialer->conf.on_failed(dialer->conf.arg, dial, reason);
}

static void succeed(struct attempt *a) {
    struct dialer *dialer = a->dialer;
    uint64_t dial = a->dial;
    int fd = a->fd;
    struct net_address peer = a->addresses[a->index];
    a->fd = -1;
    attempt_free(a);
    dialer->conf.on_connected(dialer->conf.arg, dial, fd, &peer);
}

/* ---- trying addresses ----------------------------------------------------------------------------- */

static void on_connect(evutil_socket_t fd, short what, void *arg);

static void note(struct attempt *a, const char *what) {
    char text[NET_ADDRESS_TEXT];
    net_address_text(&a->addresses[a->index], text);
    snprintf(a->reason, sizeof a->reason, "%s: %s", text, what);
}

/* Starts to connect to the current address; false: it failed at once. */
static bool try_address(struct attempt *a) {
    const struct net_address *to = &a->addresses[a->index];
    struct timeval limit = {a->dialer->conf.timeout_ms / 1000,
                            (a->dialer->conf.timeout_ms % 1000) * 1000};
    a->fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd < 0 || (connect(a->fd, (const struct sockaddr *)&to->storage, to->len) != 0 &&
                      errno != EINPROGRESS)) {
        note(a, strerror(errno));
        close_socket(a);
        return false;
    }
    a->connecting = event_new(a->dialer->base, a->fd, EV_WRITE, on_connect, a);
    if (a->connecting == NULL || event_add(a->connecting, &limit) != 0) {
        note(a, rd_err_text(RD_ENOMEM));
        close_socket(a);
        return false;
    }
    return true;
}

/* Tries from the current address on. The attempt may be gone afterwards. */
static void try_on(struct attempt *a) {
    while (a->index < a->count) {
        if (try_address(a)) {
            return;
        }
        a->index++;
    }
    fail(a);
}

/* A port in the system's range for outgoing connections can be given to the dialling socket itself: it then
 * talks to itself. */
static bool is_own_echo(int fd) {
    struct net_address local, peer;
    return net_address_local(fd, &local) && net_address_peer(fd, &peer) &&
           net_address_equal(&local, &peer);
}

static void on_connect(evutil_socket_t fd, short what, void *arg) {
    struct attempt *a = arg;
    int error = 0;
    socklen_t len = sizeof error;
    if ((what & EV_TIMEOUT) != 0) {
        error = ETIMEDOUT;
    } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    } else if (error == 0 && is_own_echo(fd)) {
        error = ECONNREFUSED;
    }
    if (error == 0) {
        succeed(a);
        return;
    }
    note(a, strerror(error));
    close_socket(a);
    a->index++;
    try_on(a);
}

/* ---- finding addresses ---------------------------------------------------------------------------- */

static void on_resolved(void *arg, const struct net_address *addresses, size_t count,
                        const char *error) {
    struct attempt *a = arg;
    if (count == 0) {
        snprintf(a->reason, sizeof a->reason, "%.80s: %.60s", a->host, error);
        fail(a);
        return;
    }
    a->addresses = calloc(count, sizeof *a->addresses);
    if (a->addresses == NULL) {
        snprintf(a->reason, sizeof a->reason, "%s", rd_err_text(RD_ENOMEM));
        fail(a);
        return;
    }
    memcpy(a->addresses, addresses, count * sizeof *addresses);
    a->count = count;
    try_on(a);
}

static void on_start(evutil_socket_t fd, short what, void *arg) {
    struct attempt *a = arg;
    struct net_address literal;
    (void)fd;
    (void)what;
    if (net_address_parse(a->host, a->port, &literal)) {
        on_resolved(a, &literal, 1, NULL);
        return;
    }
    enum rd_err err = resolver_ask(a->dialer->resolver, a->host, a->port, on_resolved, a);
    if (err != RD_OK) {
        snprintf(a->reason, sizeof a->reason, "%.80s: %s", a->host, rd_err_text(err));
        fail(a);
    }
}

/* ---- interface ------------------------------------------------------------------------------------ */

enum rd_err dialer_new(struct event_base *base, const struct dialer_conf *conf,
                       struct dialer **out) {
    struct dialer *dialer = calloc(1, sizeof *dialer);
    if (dialer == NULL) {
        return RD_ENOMEM;
    }
    dialer->base = base;
    dialer->conf = *conf;
    enum rd_err err = resolver_new(base, &dialer->resolver);
    if (err != RD_OK) {
        free(dialer);
        return err;
    }
    *out = dialer;
    return RD_OK;
}

enum rd_err dialer_dial(struct dialer *dialer, uint64_t dial, const char *host, uint16_t port) {
    static const struct timeval at_once = {0, 0};
    struct attempt *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return RD_ENOMEM;
    }
    a->dialer = dialer;
    a->dial = dial;
    a->port = port;
    a->fd = -1;
    a->next = dialer->attempts;
    if (a->next != NULL) {
        a->next->previous = a;
    }
    dialer->attempts = a;
    dialer->count++;
    a->host = strdup(host);
    a->start = evtimer_new(dialer->base, on_start, a);
    if (a->host == NULL || a->start == NULL || event_add(a->start, &at_once) != 0) {
        attempt_free(a);
        return RD_ENOMEM;
    }
    return RD_OK;
}

size_t dialer_count(const struct dialer *dialer) {
    return dialer->count;
}

void dialer_free(struct dialer **dialer) {
    if (*dialer == NULL) {
        return;
    }
    resolver_free(&(*dialer)->resolver);
    while ((*dialer)->attempts != NULL) {
        attempt_free((*dialer)->attempts);
    }
    free(*dialer);
    *dialer = NULL;
}
