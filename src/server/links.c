/* The links of one node. Numbers are given in rising order, so the table, kept in order of arrival, is searched by
 * halving. A link that went down stays in the table, out of sight, until the end of the turn: it may be on the stack. */
#include "server/links.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/address.h"
#include "net/dialer.h"
#include "net/link.h"
#include "net/listener.h"
#include "server/clock.h"

#define MAX_LINKS 4096 /* that came in or were dialled; far above two per member */
#define COMPLAINT_US 10000000

struct entry {
    uint64_t id;
    struct links *links;
    struct link *link;
    char peer[NET_ADDRESS_TEXT];
    bool known; /* the node believes that the link stands */
    bool dead;  /* to be freed */
};

struct links {
    struct event_base *base;
    struct log *log;
    struct links_handler handler;
    struct listener *listener;
    struct dialer *dialer;
    bool refuse_remote;
    bool stopped;
    bool has_dead;
    struct entry **entries; /* in order of id */
    size_t count, cap;
    uint64_t next_id;
    bool complained;
    uint64_t complained_us;
    struct links_stats stats; /* traffic: of links that are gone */
};

static struct entry *find(const struct links *links, uint64_t id) {
    size_t low = 0;
    size_t high = links->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (links->entries[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    struct entry *e = low < links->count ? links->entries[low] : NULL;
    return e != NULL && e->id == id && !e->dead ? e : NULL;
}

/* ---- going ---------------------------------------------------------------------------------------- */

static void bury(struct entry *e) {
    e->dead = true;
    e->links->has_dead = true;
}

/* Tells the node, once. */
static void lose(struct entry *e) {
    struct links *links = e->links;
    bury(e);
    if (e->known) {
        e->known = false;
        links->handler.on_down(links->handler.arg, e->id);
    }
}

/* Anybody can make us complain about strangers: not more often than every COMPLAINT_US. */
static bool may_complain(struct links *links) {
    uint64_t now = clock_now().mono_us;
    if (links->complained && now - links->complained_us < COMPLAINT_US) {
        return false;
    }
    links->complained = true;
    links->complained_us = now;
    return true;
}

static void on_link_down(void *arg, struct link *link, enum rd_err err, const char *reason) {
    struct entry *e = arg;
    struct links *links = e->links;
    (void)link;
    if (e->known && err == RD_ECLOSED) {
        log_line(links->log, LOG_VERBOSE, "Link to peer %s is down: %s", e->peer, reason);
    } else if (e->known) {
        links->stats.dropped++;
        log_line(links->log, may_complain(links) ? LOG_WARNING : LOG_VERBOSE,
                 "Dropped the link to peer %s: %s", e->peer, reason);
    }
    lose(e);
}

static void drop(struct entry *e, const char *reason) {
    log_line(e->links->log, LOG_WARNING, "Dropped the link to peer %s: %s", e->peer, reason);
    e->links->stats.dropped++;
    lose(e);
}

static void add_traffic(struct links_stats *to, const struct link_stats *from) {
    to->frames_in += from->frames_in;
    to->frames_out += from->frames_out;
    to->bytes_in += from->bytes_in;
    to->bytes_out += from->bytes_out;
}

static void entry_free(struct entry *e) {
    add_traffic(&e->links->stats, link_stats(e->link));
    link_free(&e->link);
    free(e);
}

static void free_dead(struct links *links) {
    size_t kept = 0;
    for (size_t i = 0; i < links->count; i++) {
        struct entry *e = links->entries[i];
        if (e->dead) {
            entry_free(e);
        } else {
            links->entries[kept++] = e;
        }
    }
    links->count = kept;
    links->has_dead = false;
}

/* ---- coming --------------------------------------------------------------------------------------- */

static void on_link_frame(void *arg, struct link *link, const struct resp_slice *argv,
                          size_t argc) {
    struct entry *e = arg;
    (void)link;
    if (!e->known || argc == 0) {
        return;
    }
    e->links->handler.on_frame(e->links->handler.arg, e->id, argv, argc);
}

static bool make_room(struct links *links) {
    if (links->count < links->cap) {
        return true;
    }
    size_t cap = links->cap == 0 ? 16 : links->cap * 2;
    struct entry **grown = realloc(links->entries, cap * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    links->entries = grown;
    links->cap = cap;
    return true;
}

/* Adds a link of `fd` (taken). Returns false if it could not. */
static bool add(struct links *links, int fd, uint64_t dial, const struct net_address *peer) {
    struct entry *e = links->count < MAX_LINKS && make_room(links) ? calloc(1, sizeof *e) : NULL;
    if (e == NULL) {
        close(fd);
        return false;
    }
    const struct link_handler handler = {
        .on_frame = on_link_frame, .on_down = on_link_down, .arg = e};
    e->links = links;
    if (link_new(links->base, fd, &handler, &e->link) != RD_OK) {
        free(e);
        return false;
    }
    char host[NET_ADDRESS_TEXT];
    net_address_text(peer, e->peer);
    net_address_host(peer, host);
    e->id = ++links->next_id;
    e->known = true;
    links->entries[links->count++] = e;
    links->handler.on_up(links->handler.arg, e->id, dial, host);
    return true;
}

static void on_accept(void *arg, int fd, const struct net_address *peer) {
    struct links *links = arg;
    char text[NET_ADDRESS_TEXT];
    net_address_text(peer, text);
    if (links->refuse_remote && !net_address_is_loopback(peer)) {
        close(fd);
        links->stats.refused++;
        log_line(links->log, may_complain(links) ? LOG_WARNING : LOG_VERBOSE,
                 "Refused peer %s: protected-mode is on and there is no cluster-secret", text);
        return;
    }
    if (!add(links, fd, 0, peer)) {
        log_line(links->log, LOG_WARNING, "Refused peer %s: too many links or out of memory", text);
    }
}

static void on_accept_error(void *arg, int err_number) {
    struct links *links = arg;
    log_line(links->log, LOG_WARNING, "Cannot accept a peer's connection: %s",
             strerror(err_number));
}

static void dial_failed(struct links *links, uint64_t dial) {
    links->stats.dials_failed++;
    links->handler.on_dial_failed(links->handler.arg, dial);
}

static void on_connected(void *arg, uint64_t dial, int fd, const struct net_address *peer) {
    struct links *links = arg;
    if (!add(links, fd, dial, peer)) {
        dial_failed(links, dial);
    }
}

static void on_dial_failed(void *arg, uint64_t dial, const char *reason) {
    struct links *links = arg;
    log_line(links->log, LOG_DEBUG, "Cannot reach a peer: %s", reason);
    dial_failed(links, dial);
}

/* ---- what the node wants -------------------------------------------------------------------------- */

void links_dial(struct links *links, uint64_t dial, const struct node_address *to) {
    links->stats.dials++;
    if (links->stopped || dialer_dial(links->dialer, dial, to->host, to->port) != RD_OK) {
        dial_failed(links, dial);
    }
}

void links_send(struct links *links, uint64_t link, struct blob *frame) {
    struct entry *e = find(links, link);
    if (e == NULL) {
        return;
    }
    enum rd_err err = link_send(e->link, frame);
    if (err == RD_ETOOBIG) {
        drop(e, "the peer does not read what it is sent");
    } else if (err == RD_ENOMEM) {
        drop(e, rd_err_text(err));
    }
}

void links_close(struct links *links, uint64_t link) {
    struct entry *e = find(links, link);
    if (e != NULL) {
        e->known = false; /* the node knows already */
        link_close(e->link);
    }
}

void links_flush(struct links *links) {
    for (size_t i = 0; i < links->count; i++) {
        if (!links->entries[i]->dead) {
            (void)link_flush(links->entries[i]->link);
        }
    }
    if (links->has_dead) {
        free_dead(links);
    }
}

void links_stop(struct links *links) {
    links->stopped = true;
    listener_free(&links->listener);
}

/* ---- life ----------------------------------------------------------------------------------------- */

enum rd_err links_new(struct event_base *base, struct log *log, const struct links_conf *conf,
                      const struct links_handler *handler, struct links **out, char reason[256]) {
    struct links *links = calloc(1, sizeof *links);
    snprintf(reason, 256, "%s", rd_err_text(RD_ENOMEM));
    if (links == NULL) {
        return RD_ENOMEM;
    }
    links->base = base;
    links->log = log;
    links->handler = *handler;
    links->refuse_remote = conf->refuse_remote;
    const struct dialer_conf dialer = {.timeout_ms = conf->dial_timeout_ms,
                                       .on_connected = on_connected,
                                       .on_failed = on_dial_failed,
                                       .arg = links};
    const struct listener_conf listener = {.bind = conf->bind,
                                           .bind_count = conf->bind_count,
                                           .port = conf->port,
                                           .backlog = conf->backlog,
                                           .on_accept = on_accept,
                                           .on_error = on_accept_error,
                                           .arg = links};
    enum rd_err err = dialer_new(base, &dialer, &links->dialer);
    if (err == RD_OK) {
        err = listener_new(base, &listener, &links->listener, reason);
    }
    if (err != RD_OK) {
        links_free(&links);
        return err;
    }
    *out = links;
    return RD_OK;
}

uint16_t links_port(const struct links *links) {
    return links->listener == NULL ? 0 : listener_port(links->listener);
}

void links_stats(const struct links *links, struct links_stats *out) {
    *out = links->stats;
    for (size_t i = 0; i < links->count; i++) {
        add_traffic(out, link_stats(links->entries[i]->link));
        out->standing += links->entries[i]->known;
    }
}

void links_free(struct links **links) {
    struct links *l = *links;
    if (l == NULL) {
        return;
    }
    listener_free(&l->listener);
    dialer_free(&l->dialer);
    for (size_t i = 0; i < l->count; i++) {
        entry_free(l->entries[i]);
    }
    free(l->entries);
    free(l);
    *links = NULL;
}
