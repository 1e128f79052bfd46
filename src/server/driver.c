/* The driver: events in, effects out, in reality.
 *
 * What happens is stepped at once, wherever it comes from; the effects wait in `pending` until whoever brought the event is done
 * with it, so that no callback of a client or a link runs inside another's step: a frame's are carried out behind it, a command's
 * when its connection says so (driver_settle), the others' in driver_turn. One request after the other is followed as far as it
 * goes without the disk, while its memory is still in the processor's caches; hundreds at a time would take turns pushing each
 * other out. While effects are carried out new ones may come (a request submitted by a reply's receiver); they go to `pending`
 * again, never to the list that is being read.
 *
 * The order of a turn, which is what group commit rests on:
 *   1. carry out what the steps asked for; deliver reads that have finished; until nothing is left;
 *   2. step EV_TURN_END: the batch of rows, closed by EFF_STORE_COMMIT;
 *   3. write frames to peers, so that they work while we commit;
 *   4. commit, deliver the completion, carry out what it asks for: acknowledgements, replies;
 *   5. again from 1 if that brought anything new, a bounded number of times;
 *   6. write frames, let the clients write. */
#include "server/driver.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "server/clock.h"
#include "server/links.h"
#include "server/log.h"
#include "store/port.h"
#include "store/store.h"

#define ROUNDS_PER_TURN 8 /* before sockets are looked at again */
#define COMPLETIONS_PER_POLL 4096
#define DIAL_TIMEOUT_MS 2000

struct driver {
    struct node *node;
    struct store *store;
    struct links *links;
    struct log *log;
    struct event_base *base;
    struct event *timer;
    struct event *store_wake; /* NULL: completions need no waking */
    void (*on_reply)(void *arg, uint64_t tag, struct client_reply *reply);
    void (*before_sleep)(void *arg);
    void *arg;
    struct effects pending;  /* of steps since they were last carried out */
    struct effects carrying; /* being carried out */
    bool stepped;            /* something was stepped since the last EV_TURN_END */
    bool committing;         /* EFF_STORE_COMMIT came; `commit_token` is its name */
    uint64_t commit_token;
    bool settling;      /* effects are being carried out: what comes meanwhile waits */
    struct instant now; /* as of driver_read_clock */
    uint64_t timer_us;  /* when the timer is set to go off; UINT64_MAX: it is not */
    struct scanned_row page[SCAN_MAX_ROWS]; /* of the scan that is being delivered */
    struct driver_stats stats;
};

static void step(struct driver *driver, const struct event *event) {
    driver->stepped = true;
    driver->stats.events++;
    node_step(driver->node, driver->now, event, &driver->pending);
}

struct instant driver_read_clock(struct driver *driver) {
    driver->now = clock_now();
    return driver->now;
}

struct instant driver_now(const struct driver *driver) {
    return driver->now;
}

/* ---- events --------------------------------------------------------------------------------------- */

void driver_submit(struct driver *driver, const struct client_request *request) {
    const struct event event = {.kind = EV_CLIENT, .client = request};
    step(driver, &event);
}

static void on_link_up(void *arg, uint64_t link, uint64_t dial, const char *host) {
    driver_read_clock(arg);
    const struct event event = {.kind = EV_LINK_UP,
                                .link_up = {.link = link, .dial = dial, .host = host}};
    step(arg, &event);
}

static void on_link_down(void *arg, uint64_t link) {
    driver_read_clock(arg);
    const struct event event = {.kind = EV_LINK_DOWN, .link_down = {.link = link}};
    step(arg, &event);
}

static void on_dial_failed(void *arg, uint64_t dial) {
    driver_read_clock(arg);
    const struct event event = {.kind = EV_DIAL_FAILED, .dial_failed = {.dial = dial}};
    step(arg, &event);
}

static void on_frame(void *arg, uint64_t link, const struct resp_slice *argv, size_t argc) {
    const struct event event = {.kind = EV_FRAME,
                                .frame = {.link = link, .argv = argv, .argc = argc}};
    driver_read_clock(arg);
    step(arg, &event);
    driver_settle(arg);
}

static void on_store_got(void *arg, uint64_t token, enum rd_err err, struct blob *value) {
    const struct event event = {.kind = EV_STORE_GOT,
                                .store_got = {.token = token, .err = err, .value = value}};
    step(arg, &event);
}

static void on_store_done(void *arg, uint64_t token, enum rd_err err) {
    const struct event event = {.kind = EV_STORE_DONE, .store_done = {.token = token, .err = err}};
    step(arg, &event);
}

static void on_store_scan(void *arg, uint64_t token, enum rd_err err, const struct store_row *rows,
                          size_t count, bool end) {
    struct driver *driver = arg;
    port_rows(rows, count, driver->page);
    const struct event event = {
        .kind = EV_STORE_SCANNED,
        .store_scanned = {
            .token = token, .err = err, .rows = driver->page, .count = count, .end = end}};
    step(driver, &event);
}

static const struct store_handler store_handler = {on_store_got, on_store_done, on_store_scan};

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    struct driver *driver = arg;
    const struct event event = {.kind = EV_TIMER};
    (void)fd;
    (void)what;
    driver->timer_us = UINT64_MAX;
    driver_read_clock(driver);
    step(driver, &event);
}

/* The turn that follows polls the store. */
static void on_store_wake(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    (void)arg;
}

/* ---- effects -------------------------------------------------------------------------------------- */

static size_t poll_store(struct driver *driver) {
    return store_poll(driver->store, &store_handler, driver, COMPLETIONS_PER_POLL);
}

/* So many completions can wait in the store without memory of its own. */
static void make_room_in_store(struct driver *driver) {
    if (store_pending(driver->store) >= STORE_PENDING_RESERVED) {
        (void)poll_store(driver);
    }
}

static void dial(struct driver *driver, const struct effect *effect) {
    struct node_address to = {.port = effect->dial.port};
    snprintf(to.host, sizeof to.host, "%s", effect->dial.host);
    links_dial(driver->links, effect->dial.dial, &to);
}

static void carry_out(struct driver *driver, const struct effect *effect) {
    switch (effect->kind) {
    case EFF_DIAL:
        dial(driver, effect);
        break;
    case EFF_SEND:
        links_send(driver->links, effect->send.link, effect->send.frame);
        break;
    case EFF_CLOSE:
        links_close(driver->links, effect->close.link);
        break;
    case EFF_STORE_GET:
        make_room_in_store(driver);
        port_get(driver->store, effect);
        break;
    case EFF_STORE_PUT:
        assert(!driver->committing);
        /* Out of memory poisons the batch: the commit will say so. */
        (void)port_put(driver->store, effect);
        break;
    case EFF_STORE_SCAN:
        make_room_in_store(driver);
        port_scan(driver->store, &effect->store_scan);
        break;
    case EFF_STORE_COMMIT:
        assert(!driver->committing);
        driver->committing = true;
        driver->commit_token = effect->store_commit.token;
        break;
    case EFF_REPLY:
        driver->on_reply(driver->arg, effect->reply.tag, effect->reply.reply);
        break;
    case EFF_LOG:
        log_line(driver->log, effect->log.level, "%s", effect->log.text);
        break;
    }
}

/* Carries out all that is pending. */
static void carry_out_all(struct driver *driver) {
    while (driver->pending.count > 0) {
        struct effects swap = driver->carrying;
        driver->carrying = driver->pending;
        driver->pending = swap;
        for (size_t i = 0; i < driver->carrying.count; i++) {
            carry_out(driver, &driver->carrying.items[i]);
        }
        effects_clear(&driver->carrying);
    }
}

/* Carries out all that is pending, and what comes of it. */
static void settle(struct driver *driver) {
    do {
        carry_out_all(driver);
    } while (poll_store(driver) > 0);
}

void driver_settle(struct driver *driver) {
    if (driver->settling) {
        return;
    }
    driver->settling = true;
    settle(driver);
    driver->settling = false;
}

/* ---- the turn ------------------------------------------------------------------------------------- */

static void commit(struct driver *driver) {
    if (!driver->committing) {
        return;
    }
    links_flush(driver->links);
    driver->committing = false;
    driver->stats.commits++;
    store_commit(driver->store, driver->commit_token);
    driver_read_clock(driver);
}

/* One round; returns true if it brought something new to do. */
static bool run_round(struct driver *driver) {
    settle(driver);
    if (driver->stepped) {
        const struct event event = {.kind = EV_TURN_END};
        node_step(driver->node, driver->now, &event, &driver->pending);
        driver->stepped = false;
        carry_out_all(driver);
        commit(driver);
    }
    size_t completed = poll_store(driver);
    carry_out_all(driver);
    return completed > 0 || driver->stepped;
}

/* A timer that is set too early goes off for nothing, once; to move it with every request that ends would cost more. */
static void set_timer(struct driver *driver) {
    uint64_t due = node_deadline_us(driver->node);
    if (due >= driver->timer_us) {
        return;
    }
    driver->timer_us = due;
    uint64_t now = driver_read_clock(driver).mono_us;
    uint64_t wait = due > now ? due - now : 0;
    const struct timeval delay = {(time_t)(wait / 1000000), (suseconds_t)(wait % 1000000)};
    event_add(driver->timer, &delay);
}

bool driver_turn(struct driver *driver) {
    bool more = true;
    assert(!driver->settling);
    driver->settling = true;
    driver_read_clock(driver);
    driver->stats.turns++;
    for (unsigned i = 0; i < ROUNDS_PER_TURN && more; i++) {
        more = run_round(driver);
    }
    driver->settling = false;
    links_flush(driver->links);
    driver->before_sleep(driver->arg);
    set_timer(driver);
    return !more && !driver->stepped && driver->pending.count == 0;
}

/* ---- life ----------------------------------------------------------------------------------------- */

/* Reads a row that may be absent (NULL then). */
static enum rd_err read_meta(struct driver *driver, const char *name, struct blob **out,
                             char reason[256]) {
    enum rd_err err = store_meta_get(driver->store, name, out);
    if (err == RD_ENOTFOUND) {
        *out = NULL;
        return RD_OK;
    }
    if (err != RD_OK) {
        snprintf(reason, 256, "the store's row '%s' cannot be read: %s", name, rd_err_text(err));
    }
    return err;
}

static enum rd_err make_node(struct driver *driver, const struct node_conf *conf,
                             char reason[256]) {
    struct node_conf mine = *conf;
    uint64_t seed[4];
    hash_random_bytes(seed, sizeof seed);
    mine.meta_identity = NULL;
    mine.meta_birth = NULL;
    enum rd_err err = read_meta(driver, "identity", &mine.meta_identity, reason);
    if (err == RD_OK) {
        err = read_meta(driver, "birth", &mine.meta_birth, reason);
    }
    if (err == RD_OK) {
        err = node_new(&mine, seed, &driver->node, reason);
    }
    blob_unref(mine.meta_identity);
    blob_unref(mine.meta_birth);
    if (err == RD_OK) {
        const struct store_view view = port_view(driver->store);
        node_set_store_view(driver->node, &view);
    }
    return err;
}

static enum rd_err make_events(struct driver *driver) {
    driver->timer_us = UINT64_MAX;
    driver->timer = evtimer_new(driver->base, on_timer, driver);
    if (driver->timer == NULL) {
        return RD_ENOMEM;
    }
    int fd = store_wake_fd(driver->store);
    if (fd >= 0) {
        driver->store_wake =
            event_new(driver->base, fd, EV_READ | EV_PERSIST, on_store_wake, driver);
        if (driver->store_wake == NULL || event_add(driver->store_wake, NULL) != 0) {
            return RD_ENOMEM;
        }
    }
    return RD_OK;
}

static enum rd_err make_links(struct driver *driver, const struct driver_conf *conf,
                              char reason[256]) {
    const struct links_conf links = {.bind = conf->bind,
                                     .bind_count = conf->bind_count,
                                     .port = conf->cluster_port,
                                     .backlog = conf->backlog,
                                     .dial_timeout_ms = DIAL_TIMEOUT_MS,
                                     .refuse_remote = conf->refuse_remote_peers};
    const struct links_handler handler = {.on_up = on_link_up,
                                          .on_down = on_link_down,
                                          .on_dial_failed = on_dial_failed,
                                          .on_frame = on_frame,
                                          .arg = driver};
    return links_new(driver->base, driver->log, &links, &handler, &driver->links, reason);
}

enum rd_err driver_new(const struct driver_conf *conf, struct driver **out, char reason[256]) {
    struct driver *driver = calloc(1, sizeof *driver);
    struct store *store = conf->store;
    snprintf(reason, 256, "%s", rd_err_text(RD_ENOMEM));
    if (driver == NULL) {
        store_close(&store);
        return RD_ENOMEM;
    }
    driver->base = conf->base;
    driver->log = conf->log;
    driver->store = store;
    driver->on_reply = conf->on_reply;
    driver->before_sleep = conf->before_sleep;
    driver->arg = conf->arg;
    enum rd_err err = make_events(driver);
    if (err == RD_OK) {
        err = make_links(driver, conf, reason);
    }
    if (err == RD_OK) {
        err = make_node(driver, conf->node, reason);
    }
    if (err == RD_OK) {
        const struct event event = {.kind = EV_TIMER};
        driver_read_clock(driver);
        step(driver, &event); /* it says when it wants to be woken, and dials */
    } else {
        driver_free(&driver);
        return err;
    }
    *out = driver;
    return RD_OK;
}

void driver_free(struct driver **driver) {
    struct driver *d = *driver;
    if (d == NULL) {
        return;
    }
    links_free(&d->links);
    if (d->timer != NULL) {
        event_free(d->timer);
    }
    if (d->store_wake != NULL) {
        event_free(d->store_wake);
    }
    node_free(&d->node);
    effects_free(&d->pending);
    effects_free(&d->carrying);
    store_close(&d->store);
    free(d);
    *driver = NULL;
}

void driver_stop_listening(struct driver *driver) {
    links_stop(driver->links);
}

struct node *driver_node(struct driver *driver) {
    return driver->node;
}

const struct store *driver_store(const struct driver *driver) {
    return driver->store;
}

void driver_stats(const struct driver *driver, struct driver_stats *out) {
    struct links_stats links;
    links_stats(driver->links, &links);
    *out = driver->stats;
    out->frames_in = links.frames_in;
    out->frames_out = links.frames_out;
    out->bytes_in = links.bytes_in;
    out->bytes_out = links.bytes_out;
    out->links = links.standing;
    out->dials = links.dials;
    out->dials_failed = links.dials_failed;
    out->links_dropped = links.dropped;
}
