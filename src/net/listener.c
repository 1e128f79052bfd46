/* A listener: one TCP port on any number of local addresses.
 *
 * Raw events and accept4 instead of libevent's evconnlistener, because that one spins when the process has run out of
 * file descriptors; this one pauses for a while. */
#include "net/listener.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/socket.h"

#define ACCEPTS_PER_CALL 64 /* so that a flood of connections cannot starve those that stand */
#define PAUSE_MS 1000

struct door {
    struct listener *listener;
    int fd;
    struct event *readable;
};

struct listener {
    struct door *doors; /* owned */
    size_t count;
    uint16_t port;
    struct event *resume; /* armed during a pause */
    listener_on_accept *on_accept;
    listener_on_error *on_error;
    void *arg;
};

/* ---- accepting ------------------------------------------------------------------------------------ */

static bool is_lack_of_resources(int err_number) {
    return err_number == EMFILE || err_number == ENFILE || err_number == ENOBUFS ||
           err_number == ENOMEM;
}

/* Too many open files: the connection stays in the backlog, and epoll would report it for ever. */
static void pause_all(struct listener *listener, int err_number) {
    static const struct timeval delay = {PAUSE_MS / 1000, (PAUSE_MS % 1000) * 1000};
    for (size_t i = 0; i < listener->count; i++) {
        event_del(listener->doors[i].readable);
    }
    event_add(listener->resume, &delay);
    if (listener->on_error != NULL) {
        listener->on_error(listener->arg, err_number);
    }
}

static void on_resume(evutil_socket_t fd, short what, void *arg) {
    struct listener *listener = arg;
    (void)fd;
    (void)what;
    for (size_t i = 0; i < listener->count; i++) {
        event_add(listener->doors[i].readable, NULL);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    struct door *door = arg;
    struct listener *listener = door->listener;
    (void)what;
    for (unsigned i = 0; i < ACCEPTS_PER_CALL; i++) {
        struct net_address peer = {.len = sizeof peer.storage};
        int connection =
            accept4(fd, (struct sockaddr *)&peer.storage, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connection >= 0) {
            listener->on_accept(listener->arg, connection, &peer);
        } else if (is_lack_of_resources(errno)) {
            pause_all(listener, errno);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
        /* Anything else (ECONNABORTED, a network error of that one connection): the next, please. */
    }
}

/* ---- binding -------------------------------------------------------------------------------------- */

/* True for the errors that a '-' before the address excuses: it, or its family, is not there. */
static bool is_missing(int err_number) {
    return err_number == EADDRNOTAVAIL || err_number == EAFNOSUPPORT ||
           err_number == EPROTONOSUPPORT || err_number == ESOCKTNOSUPPORT ||
           err_number == EPFNOSUPPORT || err_number == ENOPROTOOPT;
}

/* Returns the listening socket, or -1 with errno. */
static int open_door(const struct addrinfo *to, int backlog) {
    int on = 1;
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    bool fine = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    if (fine && to->ai_family == AF_INET6) {
        fine = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
    }
    if (!fine || bind(fd, to->ai_addr, to->ai_addrlen) != 0 || listen(fd, backlog) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* Looks `name` up; returns 0 or getaddrinfo's error. */
static int look_up(const char *name, uint16_t port, struct addrinfo **out) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    if (strcmp(name, "*") == 0) {
        hints.ai_family = AF_INET;
        name = NULL;
    } else if (strcmp(name, "::*") == 0) {
        hints.ai_family = AF_INET6;
        name = NULL;
    }
    return getaddrinfo(name, service, &hints, out);
}

static enum rd_err add_door(struct event_base *base, struct listener *listener, int fd) {
    struct door *door = &listener->doors[listener->count];
    door->listener = listener;
    door->fd = fd;
    door->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, door);
    if (door->readable == NULL) {
        close(fd);
        return RD_ENOMEM;
    }
    listener->count++;
    struct net_address local;
    if (listener->port == 0 && net_address_local(fd, &local)) {
        listener->port = net_address_port(&local);
    }
    return event_add(door->readable, NULL) == 0 ? RD_OK : RD_ENOMEM;
}

static enum rd_err listen_on(struct event_base *base, struct listener *listener, const char *name,
                             int backlog, char reason[256]) {
    bool optional = name[0] == '-';
    struct addrinfo *found = NULL;
    if (optional) {
        name++;
    }
    int rc = look_up(name, listener->port, &found);
    if (rc != 0) {
        snprintf(reason, 256, "cannot bind to '%.100s': %s", name, gai_strerror(rc));
        return rc == EAI_MEMORY ? RD_ENOMEM : RD_EIO;
    }
    int fd = open_door(found, backlog);
    int saved = errno;
    freeaddrinfo(found);
    if (fd >= 0) {
        return add_door(base, listener, fd);
    }
    if (optional && is_missing(saved)) {
        return RD_OK;
    }
    snprintf(reason, 256, "cannot bind to '%.100s' port %u: %s", name, (unsigned)listener->port,
             strerror(saved));
    return RD_EIO;
}

enum rd_err listener_new(struct event_base *base, const struct listener_conf *conf,
                         struct listener **out, char reason[256]) {
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        return RD_ENOMEM;
    }
    listener->port = conf->port;
    listener->on_accept = conf->on_accept;
    listener->on_error = conf->on_error;
    listener->arg = conf->arg;
    listener->doors = calloc(conf->bind_count + 1, sizeof *listener->doors);
    listener->resume = evtimer_new(base, on_resume, listener);
    enum rd_err err = listener->doors == NULL || listener->resume == NULL ? RD_ENOMEM : RD_OK;
    for (size_t i = 0; i < conf->bind_count && err == RD_OK; i++) {
        err = listen_on(base, listener, conf->bind[i], conf->backlog, reason);
    }
    if (err != RD_OK) {
        if (err == RD_ENOMEM) {
            snprintf(reason, 256, "%s", rd_err_text(err));
        }
        listener_free(&listener);
        return err;
    }
    *out = listener;
    return RD_OK;
}

uint16_t listener_port(const struct listener *listener) {
    return listener->count > 0 ? listener->port : 0;
}

size_t listener_count(const struct listener *listener) {
    return listener->count;
}

void listener_free(struct listener **listener) {
    if (*listener == NULL) {
        return;
    }
    for (size_t i = 0; i < (*listener)->count; i++) {
        event_free((*listener)->doors[i].readable);
        close((*listener)->doors[i].fd);
    }
    if ((*listener)->resume != NULL) {
        event_free((*listener)->resume);
    }
    free((*listener)->doors);
    free(*listener);
    *listener = NULL;
}
