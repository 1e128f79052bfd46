/* bench/load_run: see the header.
 *
 * A connection has at most one batch on its way. Replies are read from one buffer that all share; what is left of a reply that has not come
 * whole waits in the connection's own.
 */
#include "bench/load_run.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "bench/load_batch.h"
#include "bench/load_dial.h"
#include "bench/replies.h"

enum { INPUT_BYTES = 256 << 10, EVENTS = 256 };

struct connection {
    int fd; /* -1: closed */
    size_t node;
    struct buf in; /* the beginning of a reply */
    uint8_t *out;  /* owned */
    size_t out_len, out_sent;
    uint8_t *expected;     /* owned */
    unsigned replies, got; /* of the batch on its way */
    unsigned held;         /* writes that wait for a WAIT */
    uint64_t began_ns;
    bool writing;
};

struct load {
    struct load_conf conf;
    struct batch_maker maker;
    uint64_t *homes; /* owned; NULL: any node */
    int epoll;
    struct connection *connections; /* owned */
    size_t open;                    /* of them */
    size_t busy;                    /* have a batch on its way */
    int *idle;                      /* owned */
    struct connection **waiting;    /* owned: a ring of those that wait for the pace */
    size_t waiting_first, waiting_count;
    uint64_t due_ns, step_ns;   /* the next batch of the pace; 0: no pace */
    uint64_t from_ns, until_ns; /* what is measured */
    double own_from_s;
    bool measuring, ending;
    uint8_t *input; /* owned */
    struct load_result *result;
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double own_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void *need(void *memory) {
    if (memory == NULL) {
        fputs("bench/load: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

/* ---- what came of it ---------------------------------------------------------------------------- */

static void count_error(struct load_result *result, const char *text, size_t len, uint64_t times) {
    size_t code = 0;
    while (code < len && code < LOAD_CODE_BYTES - 1 && text[code] != ' ') {
        code++;
    }
    result->error_total += times;
    struct load_error *error = result->errors;
    struct load_error *end = error + result->error_count;
    while (error < end && (strlen(error->code) != code || memcmp(error->code, text, code) != 0)) {
        error++;
    }
    if (error == end) {
        if (result->error_count == LOAD_ERRORS_MAX) {
            return;
        }
        result->error_count++;
        *error = (struct load_error){0};
        memcpy(error->code, text, code);
        snprintf(error->text, sizeof error->text, "%.*s", (int)(len < 127 ? len : 127), text);
    }
    error->count += times;
}

static void count_ops(struct load *load, struct connection *c, uint64_t now, unsigned times) {
    if (!load->measuring) {
        load->result->filled += load->maker.filling ? times : 0;
        return;
    }
    load->result->ops += times;
    if (c->began_ns >= load->from_ns) {
        hist_add_many(&load->result->latencies, now - c->began_ns, times);
    }
}

/* A connection whose batch has one more reply. */
static void take_reply(struct load *load, struct connection *c, enum reply_kind kind,
                       const struct reply *reply, uint64_t now) {
    enum expected expected = c->expected[c->got++];
    if (kind == REPLY_ERROR) {
        unsigned times = expected == EXPECT_WAITED ? c->held : 1;
        count_error(load->result, reply->text, reply->text_len, times);
        c->held -= expected == EXPECT_WAITED ? c->held : 0;
        return;
    }
    if (expected == EXPECT_HELD) {
        c->held++;
        return;
    }
    unsigned times = 1;
    if (expected == EXPECT_WAITED) {
        times = c->held;
        c->held = 0;
        if (kind != REPLY_NUMBER || reply->number < (int64_t)load->conf.wait) {
            count_error(load->result, "WAITED too few replicas", 23, times);
            return;
        }
    } else if (expected == EXPECT_VALUE) {
        if (kind == REPLY_BULK && reply->text_len != load->conf.value_bytes) {
            count_error(load->result, "LENGTH of a value", 17, 1);
            return;
        }
        load->result->misses += load->measuring && kind == REPLY_NULL;
    }
    count_ops(load, c, now, times);
}

/* ---- connections --------------------------------------------------------------------------------- */

static void lose(struct load *load, struct connection *c) {
    if (c->got < c->replies) {
        count_error(load->result, "CLOSED connection", 17, c->replies - c->got);
        load->busy--;
    }
    close(c->fd);
    c->fd = -1;
    load->open--;
}

static void watch(struct load *load, struct connection *c, int how, bool writing) {
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0u), .data.ptr = c};
    c->writing = writing;
    if (epoll_ctl(load->epoll, how, c->fd, &event) != 0) {
        perror("bench/load: epoll_ctl");
        exit(1);
    }
}

static void write_on(struct load *load, struct connection *c) {
    while (c->out_sent < c->out_len) {
        ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            if (errno != EAGAIN) {
                lose(load, c);
            } else if (!c->writing) {
                watch(load, c, EPOLL_CTL_MOD, true);
            }
            return;
        }
        c->out_sent += (size_t)sent;
    }
    if (c->writing) {
        watch(load, c, EPOLL_CTL_MOD, false);
    }
}

static void send_batch(struct load *load, struct connection *c, uint64_t began) {
    c->replies = batch_make(&load->maker, c->node, c->out, &c->out_len, c->expected);
    c->got = 0;
    c->held = 0;
    c->out_sent = 0;
    c->began_ns = began;
    if (c->replies > 0) {
        load->busy++;
        write_on(load, c);
    }
}

/* A connection that has nothing on its way. */
static void next_batch(struct load *load, struct connection *c, uint64_t now) {
    if (load->ending) {
        return;
    }
    if (load->step_ns == 0 || load->maker.filling) {
        send_batch(load, c, now);
        return;
    }
    size_t at = (load->waiting_first + load->waiting_count++) % load->conf.clients;
    load->waiting[at] = c;
}

/* Reads replies out of `data`; returns how many bytes are done with, or SIZE_MAX. */
static size_t take_replies(struct load *load, struct connection *c, const uint8_t *data, size_t len,
                           uint64_t now) {
    size_t at = 0;
    while (at < len) {
        struct reply reply;
        enum reply_kind kind = reply_read(data + at, len - at, &reply);
        if (kind == REPLY_INCOMPLETE) {
            break;
        }
        if (kind == REPLY_BAD || c->got == c->replies) {
            return SIZE_MAX;
        }
        take_reply(load, c, kind, &reply, now);
        at += reply.bytes;
    }
    return at;
}

static void read_on(struct load *load, struct connection *c) {
    ssize_t got = recv(c->fd, load->input, INPUT_BYTES, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        lose(load, c);
        return;
    }
    uint64_t now = now_ns();
    size_t len = (size_t)got;
    const uint8_t *data = load->input;
    if (buf_len(&c->in) > 0) {
        need(buf_append(&c->in, load->input, len) == RD_OK ? c : NULL);
        data = buf_data(&c->in);
        len = buf_len(&c->in);
    }
    size_t done = take_replies(load, c, data, len, now);
    if (done == SIZE_MAX) {
        count_error(load->result, "PROTOCOL: not a reply that was expected", 39, 1);
        lose(load, c);
        return;
    }
    if (data == load->input) {
        need(done == len || buf_append(&c->in, data + done, len - done) == RD_OK ? c : NULL);
    } else {
        buf_consume(&c->in, done);
    }
    if (c->got == c->replies && c->replies > 0) {
        load->busy--;
        c->replies = c->got = 0;
        next_batch(load, c, now);
    }
}

/* ---- the loop ------------------------------------------------------------------------------------ */

/* Sends what is due by the pace, to the connections that have been waiting longest. */
static void keep_pace(struct load *load, uint64_t now) {
    while (load->waiting_count > 0 && load->due_ns <= now && !load->ending) {
        struct connection *c = load->waiting[load->waiting_first];
        load->waiting_first = (load->waiting_first + 1) % load->conf.clients;
        load->waiting_count--;
        if (c->fd >= 0) {
            send_batch(load, c, load->due_ns);
            load->due_ns += load->step_ns;
        }
    }
}

/* How long to sleep at most, for the pace and for the ends of warm-up and measurement. */
static uint64_t sleep_ns(const struct load *load, uint64_t now) {
    uint64_t until = load->measuring ? load->until_ns : load->from_ns;
    if (load->waiting_count > 0 && load->due_ns < until) {
        until = load->due_ns;
    }
    return until <= now ? 0 : until - now;
}

static void poll_once(struct load *load, uint64_t most_ns) {
    struct epoll_event events[EVENTS];
    if (most_ns > 1000000000u) {
        most_ns = 1000000000u;
    }
    struct timespec timeout = {.tv_sec = (time_t)(most_ns / 1000000000u),
                               .tv_nsec = (long)(most_ns % 1000000000u)};
    int n = epoll_pwait2(load->epoll, events, EVENTS, &timeout, NULL);
    for (int i = 0; i < n; i++) {
        struct connection *c = events[i].data.ptr;
        if (c->fd >= 0 && c->writing && (events[i].events & EPOLLOUT) != 0) {
            write_on(load, c);
        }
        if (c->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
            read_on(load, c);
        }
    }
}

static void fill(struct load *load) {
    uint64_t began = now_ns();
    load->from_ns = UINT64_MAX;
    for (size_t i = 0; i < load->conf.clients; i++) {
        send_batch(load, &load->connections[i], began);
    }
    while (load->busy > 0) {
        poll_once(load, 1000000000u);
    }
    load->result->fill_s = (double)(now_ns() - began) / 1e9;
    load->maker.filling = false;
}

/* What is still on its way gets two seconds, uncounted. */
static void drain(struct load *load) {
    load->ending = true;
    load->measuring = false;
    for (uint64_t end = now_ns() + 2000000000u; load->busy > 0 && now_ns() < end;) {
        poll_once(load, 100000000u);
    }
}

static void run(struct load *load) {
    uint64_t began = now_ns();
    load->from_ns = began + (uint64_t)(load->conf.warmup_s * 1e9);
    load->until_ns = load->conf.requests == UINT64_MAX
                         ? load->from_ns + (uint64_t)(load->conf.seconds * 1e9)
                         : UINT64_MAX;
    load->due_ns = began;
    load->step_ns =
        load->conf.rate > 0 ? (uint64_t)(1e9 * load->conf.pipeline / load->conf.rate) : 0;
    for (size_t i = 0; i < load->conf.clients; i++) {
        next_batch(load, &load->connections[i], began);
    }
    uint64_t now = began;
    while (load->open > 0 && load->result->ops < load->conf.requests && now < load->until_ns) {
        keep_pace(load, now);
        poll_once(load, sleep_ns(load, now));
        now = now_ns();
        if (!load->measuring && now >= load->from_ns) {
            load->measuring = true;
            load->from_ns = now;
            load->own_from_s = own_seconds();
        }
    }
    load->result->seconds = (double)(now - load->from_ns) / 1e9;
    load->result->own_s = own_seconds() - load->own_from_s;
    drain(load);
}

/* ---- putting it together ------------------------------------------------------------------------- */

static bool connect_all(struct load *load, char reason[LOAD_REASON_BYTES]) {
    const struct load_conf *conf = &load->conf;
    for (unsigned i = 0; i < conf->idle; i++) {
        load->idle[i] = dial(&conf->nodes[i % conf->node_count], reason);
        if (load->idle[i] < 0) {
            return false;
        }
    }
    for (unsigned i = 0; i < conf->clients; i++) {
        struct connection *c = &load->connections[i];
        c->node = i % conf->node_count;
        c->fd = dial(&conf->nodes[c->node], reason);
        if (c->fd < 0 ||
            ((conf->r > 0 || conf->w > 0) && !dial_set_quorum(c->fd, conf->r, conf->w, reason))) {
            return false;
        }
        load->open++;
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        c->out = need(malloc(batch_max_bytes(&load->maker)));
        c->expected = need(malloc(batch_max_replies(&load->maker)));
        watch(load, c, EPOLL_CTL_ADD, false);
    }
    return true;
}

static void load_free(struct load *load) {
    for (unsigned i = 0; i < load->conf.clients; i++) {
        struct connection *c = &load->connections[i];
        if (c->fd >= 0) {
            close(c->fd);
        }
        buf_free(&c->in);
        free(c->out);
        free(c->expected);
    }
    for (unsigned i = 0; i < load->conf.idle; i++) {
        if (load->idle[i] >= 0) {
            close(load->idle[i]);
        }
    }
    close(load->epoll);
    batch_maker_free(&load->maker);
    free(load->connections);
    free(load->idle);
    free(load->waiting);
    free(load->homes);
    free(load->input);
}

/* Asks who is a home of what, if that is wanted. */
static bool find_homes(struct load *load, char reason[LOAD_REASON_BYTES]) {
    if (!load->conf.to_homes) {
        return true;
    }
    load->homes = need(calloc(LOAD_SLOTS, sizeof *load->homes));
    int fd = dial(&load->conf.nodes[0], reason);
    if (fd < 0) {
        return false;
    }
    bool good = dial_slots(fd, &load->conf, load->homes, reason);
    close(fd);
    return good;
}

bool load_run(const struct load_conf *conf, struct load_result *out,
              char reason[LOAD_REASON_BYTES]) {
    *out = (struct load_result){0};
    struct load load = {.conf = *conf, .result = out, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    load.connections = need(calloc(conf->clients, sizeof *load.connections));
    load.waiting = need(calloc(conf->clients, sizeof(struct connection *)));
    load.idle = need(calloc(conf->idle + 1u, sizeof *load.idle));
    load.input = need(malloc(INPUT_BYTES));
    for (unsigned i = 0; i < conf->clients; i++) {
        load.connections[i].fd = -1;
    }
    memset(load.idle, 0xff, (conf->idle + 1u) * sizeof *load.idle);
    bool good = find_homes(&load, reason);
    batch_maker_init(&load.maker, &load.conf, load.homes);
    good = good && connect_all(&load, reason);
    if (good && conf->rounds > 0) {
        fill(&load);
    }
    if (good && conf->requests > 0) {
        run(&load);
    }
    if (good && load.open == 0) {
        snprintf(reason, LOAD_REASON_BYTES, "every connection was closed by the server");
        good = false;
    }
    load_free(&load);
    return good;
}

void load_print(const struct load_result *r, bool buckets, FILE *out) {
    double ops = r->ops > 0 ? (double)r->ops : 1;
    fprintf(out, "ops=%llu seconds=%.3f ops_per_s=%.0f misses=%llu errors=%llu",
            (unsigned long long)r->ops, r->seconds,
            r->seconds > 0 ? (double)r->ops / r->seconds : 0, (unsigned long long)r->misses,
            (unsigned long long)r->error_total);
    const struct histogram *h = &r->latencies;
    fprintf(out, " p50_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f mean_us=%.1f",
            (double)hist_quantile(h, 0.5) / 1e3, (double)hist_quantile(h, 0.99) / 1e3,
            (double)hist_quantile(h, 0.999) / 1e3, (double)h->max / 1e3, hist_mean(h) / 1e3);
    fprintf(out, " cpu_us=%.3f filled=%llu fill_seconds=%.3f", r->own_s * 1e6 / ops,
            (unsigned long long)r->filled, r->fill_s);
    for (size_t i = 0; i < r->error_count; i++) {
        fprintf(out, " error.%s=%llu", r->errors[i].code, (unsigned long long)r->errors[i].count);
    }
    if (buckets) {
        fputs(" buckets=", out);
        hist_print(h, out);
    }
    fputc('\n', out);
}
