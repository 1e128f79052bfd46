/* bench/echo: see the header.
 *
 * Between nodes: a request is 'r', the number of the client's connection (32 bits), its bytes' count (32 bits), and its bytes; an answer is
 * 'a', the number of the connection, and for a GET what the client will get. Both arrive in the order of the client's requests, so that a
 * request is done when either of the others has answered as often.
 */
#include "bench/echo.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"

enum { CONNECTIONS = 4096, INPUT_BYTES = 256 << 10, EVENTS = 256, HEAD_BYTES = 9, PENDING = 1024 };

struct link {
    bool open, dirty;
    int peer; /* which of the others this end leads to; -1: a client, or an end that another node made */
    struct buf in, out;
    uint64_t asked, answered[2], done; /* of a client, with other nodes */
    bool is_get[PENDING];              /* by the number of the request, modulo */
};

struct server {
    int epoll, listener;
    bool alone;
    int others[2]; /* file descriptors */
    char *value;   /* the reply to a GET */
    size_t value_len;
    struct link links[CONNECTIONS]; /* by file descriptor */
    int dirty[CONNECTIONS];
    size_t dirty_count;
    uint8_t input[INPUT_BYTES];
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void put(struct server *s, int fd, const void *bytes, size_t len) {
    struct link *link = &s->links[fd];
    if (buf_append(&link->out, bytes, len) != RD_OK) {
        die("bench/limits: memory");
    }
    if (!link->dirty) {
        link->dirty = true;
        s->dirty[s->dirty_count++] = fd;
    }
}

static void add(struct server *s, int fd, int peer) {
    if (fd >= CONNECTIONS) {
        die("bench/limits: too many connections");
    }
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    s->links[fd] = (struct link){.open = true, .peer = peer};
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("bench/limits: epoll_ctl");
    }
}

/* ---- requests ------------------------------------------------------------------------------------ */

/* The length of the first whole request of `len` bytes, 0 if it has not all come: *N, then N times $LEN and LEN bytes. */
static size_t request_bytes(const uint8_t *data, size_t len) {
    const uint8_t *at = data;
    const uint8_t *end = data + len;
    unsigned long words = 1;
    for (unsigned long word = 0; word <= words; word++) {
        unsigned long number = 0;
        const uint8_t *digit = at + 1;
        for (; digit < end && *digit >= '0' && *digit <= '9'; digit++) {
            number = number * 10 + (unsigned long)(*digit - '0');
        }
        if (end - digit < 2) {
            return 0;
        }
        at = digit + 2;
        if (word == 0) {
            words = number;
        } else if ((unsigned long)(end - at) < number + 2) {
            return 0;
        } else {
            at += number + 2;
        }
    }
    return (size_t)(at - data);
}

static void reply(struct server *s, int fd, bool is_get) {
    if (is_get) {
        put(s, fd, s->value, s->value_len);
    } else {
        put(s, fd, "+OK\r\n", 5);
    }
}

static void on_request(struct server *s, int fd, const uint8_t *bytes, size_t len) {
    bool is_get = len > 8 && bytes[8] == 'G';
    if (s->alone) {
        reply(s, fd, is_get);
        return;
    }
    struct link *link = &s->links[fd];
    assert(link->asked - link->done < PENDING);
    link->is_get[link->asked++ % PENDING] = is_get;
    uint8_t head[HEAD_BYTES] = {'r'};
    uint32_t number = (uint32_t)fd;
    uint32_t bytes_count = (uint32_t)len;
    memcpy(head + 1, &number, sizeof number);
    memcpy(head + 5, &bytes_count, sizeof bytes_count);
    for (int i = 0; i < 2; i++) {
        put(s, s->others[i], head, sizeof head);
        put(s, s->others[i], bytes, len);
    }
}

/* ---- between nodes ------------------------------------------------------------------------------- */

/* A request of another node, which is owed an answer. Returns the bytes used, 0 if it has not all come. */
static size_t on_peer_request(struct server *s, int fd, const uint8_t *data, size_t len) {
    uint32_t bytes = 0;
    if (len >= HEAD_BYTES) {
        memcpy(&bytes, data + 5, sizeof bytes);
    }
    if (len < HEAD_BYTES || len - HEAD_BYTES < bytes) {
        return 0;
    }
    bool is_get = bytes > 8 && data[HEAD_BYTES + 8] == 'G';
    uint8_t head[HEAD_BYTES] = {'a'};
    uint32_t extra = is_get ? (uint32_t)s->value_len : 0;
    memcpy(head + 1, data + 1, 4);
    memcpy(head + 5, &extra, sizeof extra);
    put(s, fd, head, sizeof head);
    put(s, fd, s->value, extra);
    return HEAD_BYTES + bytes;
}

static size_t on_peer_answer(struct server *s, int peer, const uint8_t *data, size_t len) {
    uint32_t fd = 0;
    uint32_t extra = 0;
    if (len >= HEAD_BYTES) {
        memcpy(&fd, data + 1, sizeof fd);
        memcpy(&extra, data + 5, sizeof extra);
    }
    if (len < HEAD_BYTES || len - HEAD_BYTES < extra) {
        return 0;
    }
    assert(fd < CONNECTIONS);
    struct link *client = &s->links[fd];
    client->answered[peer]++;
    while (client->open && client->done < client->answered[peer]) {
        reply(s, (int)fd, client->is_get[client->done++ % PENDING]);
    }
    return HEAD_BYTES + extra;
}

/* Everything whole in `data`; returns how many bytes that was. */
static size_t take(struct server *s, int fd, const uint8_t *data, size_t len) {
    size_t at = 0;
    while (at < len) {
        size_t used;
        if (s->links[fd].peer >= 0) {
            used = on_peer_answer(s, s->links[fd].peer, data + at, len - at);
        } else if (data[at] == 'r') {
            used = on_peer_request(s, fd, data + at, len - at);
        } else {
            used = request_bytes(data + at, len - at);
            if (used > 0) {
                on_request(s, fd, data + at, used);
            }
        }
        if (used == 0) {
            break;
        }
        at += used;
    }
    return at;
}

/* ---- the loop ------------------------------------------------------------------------------------ */

static void read_on(struct server *s, int fd) {
    struct link *link = &s->links[fd];
    ssize_t got = recv(fd, s->input, INPUT_BYTES, 0);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        link->open = false;
        buf_free(&link->in);
        buf_free(&link->out);
        close(fd);
        return;
    }
    if (buf_len(&link->in) == 0) {
        size_t used = take(s, fd, s->input, (size_t)got);
        buf_append(&link->in, s->input + used, (size_t)got - used);
    } else {
        buf_append(&link->in, s->input, (size_t)got);
        buf_consume(&link->in, take(s, fd, buf_data(&link->in), buf_len(&link->in)));
    }
}

/* Writes each connection once; what its socket does not take waits for the next turn. */
static bool flush(struct server *s) {
    size_t kept = 0;
    for (size_t i = 0; i < s->dirty_count; i++) {
        struct link *link = &s->links[s->dirty[i]];
        ssize_t sent =
            link->open ? send(s->dirty[i], buf_data(&link->out), buf_len(&link->out), MSG_NOSIGNAL)
                       : -1;
        if (sent > 0) {
            buf_consume(&link->out, (size_t)sent);
        }
        link->dirty = link->open && buf_len(&link->out) > 0;
        if (link->dirty) {
            s->dirty[kept++] = s->dirty[i];
        }
    }
    s->dirty_count = kept;
    return kept == 0;
}

static void serve(struct server *s) {
    struct epoll_event events[EVENTS];
    for (bool idle = true;; idle = flush(s)) {
        int n = epoll_wait(s->epoll, events, EVENTS, idle ? -1 : 1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd != s->listener) {
                read_on(s, fd);
                continue;
            }
            int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
            if (client >= 0) {
                add(s, client, -1);
            }
        }
    }
}

/* ---- processes ----------------------------------------------------------------------------------- */

static int listen_somewhere(uint16_t *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        die("bench/limits: listen");
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static int connect_to(uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        die("bench/limits: connect");
    }
    return fd;
}

/* In a process of its own; never returns. */
static void run(const struct echo *echo, size_t self, int listener, size_t value_bytes) {
    struct server *s = calloc(1, sizeof *s);
    if (s == NULL) {
        die("bench/limits: memory");
    }
    s->listener = listener;
    s->alone = echo->count == 1;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->value = malloc(value_bytes + 32);
    if (s->value == NULL) {
        die("bench/limits: memory");
    }
    int head = snprintf(s->value, 32, "$%zu\r\n", value_bytes);
    memset(s->value + head, 'v', value_bytes);
    memcpy(s->value + head + value_bytes, "\r\n", 2);
    s->value_len = (size_t)head + value_bytes + 2;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, listener, &event) != 0) {
        die("bench/limits: epoll_ctl");
    }
    for (int i = 0; i < 2 && !s->alone; i++) {
        s->others[i] = connect_to(echo->ports[(self + 1 + (size_t)i) % ECHO_NODES]);
        add(s, s->others[i], i);
    }
    serve(s);
}

void echo_start(struct echo *echo, size_t count, size_t value_bytes) {
    assert(count == 1 || count == ECHO_NODES);
    int listeners[ECHO_NODES];
    *echo = (struct echo){.count = count};
    for (size_t i = 0; i < count; i++) {
        listeners[i] = listen_somewhere(&echo->ports[i]);
    }
    for (size_t i = 0; i < count; i++) {
        echo->pids[i] = fork();
        if (echo->pids[i] < 0) {
            die("bench/limits: fork");
        }
        if (echo->pids[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            run(echo, i, listeners[i], value_bytes);
            _exit(0);
        }
    }
    for (size_t i = 0; i < count; i++) {
        close(listeners[i]);
    }
}

void echo_stop(struct echo *echo) {
    for (size_t i = 0; i < echo->count; i++) {
        kill(echo->pids[i], SIGKILL);
        waitpid(echo->pids[i], NULL, 0);
    }
}
