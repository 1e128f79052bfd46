/* A link: one TCP connection between two nodes.
 *
 * Invariants (link_check):
 *  1. queue[head..head+count), modulo cap, are the frames not wholly written; of the first, head_sent bytes are.
 *  2. queued_bytes is the sum of their lengths minus head_sent.
 *  3. After LINK_DOWN nothing is read, written or called back.
 *
 * States: OPEN -(link_close)-> CLOSING -(the peer hangs up, or late)-> DOWN; any error -> DOWN. */
#include "net/link.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/socket.h"
#include "resp/command.h"

#define KEEPALIVE_S 15
#define READ_BYTES (64u * 1024)       /* asked for at once */
#define MAX_READ_BYTES (1024u * 1024) /* the same, within a long frame */
#define KEPT_BYTES (256u * 1024)      /* input memory kept between frames */
#define VECTOR_COUNT 64               /* frames per writev */
#define UNPROVEN_ARGS 256
#define MAX_ARGS (1024u * 1024)

enum state { LINK_OPEN, LINK_CLOSING, LINK_DOWN };

struct link {
    enum state state;
    int fd;
    struct link_handler handler;
    struct link_stats stats;
    struct event *readable;
    struct event *writable; /* armed while the socket takes no more */
    struct event *later;    /* the end of lingering, or a failure to be told */
    const char *down_reason;
    bool shut; /* our side has hung up */

    struct buf in;
    struct resp_limits limits;
    struct resp_command_reader reader;

    struct blob **queue;
    size_t head, count, cap;
    size_t head_sent;
    uint64_t queued_bytes;
};

static void link_check(const struct link *link) {
    assert(link->count <= link->cap);
    assert(link->count > 0 || (link->head_sent == 0 && link->queued_bytes == 0));
}

/* ---- going down ----------------------------------------------------------------------------------- */

static void stop_events(struct link *link) {
    event_del(link->readable);
    event_del(link->writable);
    event_del(link->later);
}

static void go_down(struct link *link, enum rd_err err, const char *reason) {
    if (link->state == LINK_DOWN) {
        return;
    }
    link->state = LINK_DOWN;
    stop_events(link);
    link->handler.on_down(link->handler.arg, link, err, reason);
}

static void on_later(evutil_socket_t fd, short what, void *arg) {
    struct link *link = arg;
    (void)fd;
    (void)what;
    go_down(link, RD_ECLOSED,
            link->down_reason != NULL ? link->down_reason : "closed by this node");
}

/* Lets on_down come from the loop: the caller is in the middle of its own work. */
static void go_down_later(struct link *link, const char *reason) {
    static const struct timeval at_once = {0, 0};
    link->down_reason = reason;
    event_del(link->readable);
    event_del(link->writable);
    event_add(link->later, &at_once);
}

/* ---- reading -------------------------------------------------------------------------------------- */

static void stop_proving(struct link *link) {
    link->limits.max_command_bytes = LINK_MAX_FRAME_BYTES;
    link->limits.max_bulk_bytes = LINK_MAX_FRAME_BYTES;
    link->limits.max_args = MAX_ARGS;
}

/* Hands out every whole frame in the buffer. Returns RD_OK, or why the link is of no more use. */
static enum rd_err take_frames(struct link *link) {
    while (link->state == LINK_OPEN) {
        const struct resp_slice *argv;
        size_t argc, consumed;
        enum rd_err err = resp_command_read(&link->reader, buf_data(&link->in), buf_len(&link->in),
                                            &consumed, &argv, &argc);
        if (err == RD_EINCOMPLETE) {
            return RD_OK;
        }
        if (err != RD_OK) {
            return err;
        }
        link->stats.frames_in++;
        if (link->stats.frames_in == LINK_PROVING_FRAMES) {
            stop_proving(link);
        }
        link->handler.on_frame(link->handler.arg, link, argv, argc);
        buf_consume(&link->in, consumed);
    }
    return RD_OK;
}

/* How much to ask for: what the frame that is arriving still wants, within reason. */
static size_t read_size(const struct link *link) {
    size_t wanted = resp_command_wanted(&link->reader);
    if (wanted < READ_BYTES) {
        return READ_BYTES;
    }
    return wanted < MAX_READ_BYTES ? wanted : MAX_READ_BYTES;
}

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    struct link *link = arg;
    uint8_t *to;
    (void)what;
    size_t size = read_size(link);
    if (buf_reserve(&link->in, size, &to) != RD_OK) {
        go_down(link, RD_ENOMEM, rd_err_text(RD_ENOMEM));
        return;
    }
    ssize_t n = recv(fd, to, size, 0);
    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            go_down(link, RD_ECLOSED, strerror(errno));
        }
        return;
    }
    if (n == 0) {
        go_down(link, RD_ECLOSED, "the peer closed the connection");
        return;
    }
    if (link->state == LINK_CLOSING) {
        return; /* lingering: read and forgotten, since nothing was committed to the buffer */
    }
    buf_commit(&link->in, (size_t)n);
    link->stats.bytes_in += (uint64_t)n;
    enum rd_err err = take_frames(link);
    if (err != RD_OK) {
        go_down(link, err, err == RD_ENOMEM ? rd_err_text(err) : resp_command_error(&link->reader));
        return;
    }
    if (buf_len(&link->in) == 0) {
        buf_reset(&link->in, KEPT_BYTES);
        resp_command_trim(&link->reader);
    }
}

/* ---- writing -------------------------------------------------------------------------------------- */

static enum rd_err grow_queue(struct link *link) {
    size_t cap = link->cap == 0 ? 64 : link->cap * 2;
    struct blob **queue = malloc(cap * sizeof(*queue));
    if (queue == NULL) {
        return RD_ENOMEM;
    }
    for (size_t i = 0; i < link->count; i++) {
        queue[i] = link->queue[(link->head + i) % link->cap];
    }
    free(link->queue);
    link->queue = queue;
    link->head = 0;
    link->cap = cap;
    return RD_OK;
}

enum rd_err link_send(struct link *link, struct blob *frame) {
    if (link->state != LINK_OPEN || link->down_reason != NULL) {
        return RD_ECLOSED;
    }
    if (link->count > 0 && link->queued_bytes + frame->len > LINK_MAX_QUEUED_BYTES) {
        return RD_ETOOBIG;
    }
    if (link->count == link->cap && grow_queue(link) != RD_OK) {
        return RD_ENOMEM;
    }
    if (frame->len > 0) {
        link->queue[(link->head + link->count++) % link->cap] = blob_ref(frame);
        link->queued_bytes += frame->len;
        link->stats.frames_out++;
    }
    link_check(link);
    return RD_OK;
}

/* Forgets `sent` bytes of the queue. */
static void advance(struct link *link, size_t sent) {
    link->queued_bytes -= sent;
    link->stats.bytes_out += sent;
    while (sent > 0) {
        struct blob *first = link->queue[link->head];
        size_t left = first->len - link->head_sent;
        if (sent < left) {
            link->head_sent += sent;
            break;
        }
        sent -= left;
        link->head_sent = 0;
        link->head = (link->head + 1) % link->cap;
        link->count--;
        blob_unref(first);
    }
    link_check(link);
}

static size_t fill_vector(const struct link *link, struct iovec *vector) {
    size_t n = link->count < VECTOR_COUNT ? link->count : VECTOR_COUNT;
    for (size_t i = 0; i < n; i++) {
        struct blob *frame = link->queue[(link->head + i) % link->cap];
        size_t skip = i == 0 ? link->head_sent : 0;
        vector[i].iov_base = frame->bytes + skip;
        vector[i].iov_len = frame->len - skip;
    }
    return n;
}

/* Writes until the queue is empty or the socket full. Returns false if the connection broke; errno says how. */
static bool write_queue(struct link *link) {
    while (link->count > 0) {
        struct iovec vector[VECTOR_COUNT];
        struct msghdr message = {.msg_iov = vector, .msg_iovlen = fill_vector(link, vector)};
        ssize_t n = sendmsg(link->fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            event_add(link->writable, NULL);
            return true;
        }
        if (n < 0) {
            return false;
        }
        advance(link, (size_t)n);
    }
    if (link->state == LINK_CLOSING && !link->shut) {
        link->shut = true;
        (void)shutdown(link->fd, SHUT_WR);
    }
    return true;
}

enum rd_err link_flush(struct link *link) {
    if (link->state == LINK_DOWN || link->down_reason != NULL) {
        return RD_ECLOSED;
    }
    if (link->count == 0 || event_pending(link->writable, EV_WRITE, NULL)) {
        return RD_OK;
    }
    if (!write_queue(link)) {
        go_down_later(link, strerror(errno));
        return RD_ECLOSED;
    }
    return RD_OK;
}

static void on_writable(evutil_socket_t fd, short what, void *arg) {
    struct link *link = arg;
    (void)fd;
    (void)what;
    event_del(link->writable);
    if (!write_queue(link)) {
        go_down(link, RD_ECLOSED, strerror(errno));
    }
}

/* ---- life ----------------------------------------------------------------------------------------- */

void link_close(struct link *link) {
    static const struct timeval limit = {LINK_LINGER_MS / 1000, (LINK_LINGER_MS % 1000) * 1000};
    if (link->state != LINK_OPEN || link->down_reason != NULL) {
        return;
    }
    link->state = LINK_CLOSING;
    if (!write_queue(link)) {
        go_down_later(link, strerror(errno));
        return;
    }
    event_add(link->later, &limit);
}

enum rd_err link_new(struct event_base *base, int fd, const struct link_handler *handler,
                     struct link **out) {
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        close(fd);
        return RD_ENOMEM;
    }
    link->fd = fd;
    link->handler = *handler;
    resp_limits_default(&link->limits);
    link->limits.allow_inline = false;
    link->limits.max_command_bytes = LINK_UNPROVEN_FRAME_BYTES;
    link->limits.max_bulk_bytes = LINK_UNPROVEN_FRAME_BYTES;
    link->limits.max_args = UNPROVEN_ARGS;
    resp_command_init(&link->reader, &link->limits);
    socket_no_delay(fd);
    socket_keepalive(fd, KEEPALIVE_S);
    link->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, link);
    link->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, link);
    link->later = evtimer_new(base, on_later, link);
    if (link->readable == NULL || link->writable == NULL || link->later == NULL ||
        event_add(link->readable, NULL) != 0) {
        link_free(&link);
        return RD_ENOMEM;
    }
    *out = link;
    return RD_OK;
}

uint64_t link_queued_bytes(const struct link *link) {
    return link->queued_bytes;
}

const struct link_stats *link_stats(const struct link *link) {
    return &link->stats;
}

void link_free(struct link **link) {
    struct link *l = *link;
    if (l == NULL) {
        return;
    }
    struct event *const events[] = {l->readable, l->writable, l->later};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    while (l->count > 0) {
        blob_unref(l->queue[l->head]);
        l->head = (l->head + 1) % l->cap;
        l->count--;
    }
    free(l->queue);
    resp_command_free(&l->reader);
    buf_free(&l->in);
    close(l->fd);
    free(l);
    *link = NULL;
}
