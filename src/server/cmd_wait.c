/* WAIT: how many replicas hold this connection's last write, beside one.
 *
 * A write is acknowledged by W replicas; which others have it by now is asked of them, again and again until they are enough or the time is
 * over. A replica counts if it knows of all that any of them knows of the key. */
#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>

#include "base/text.h"
#include "replication/node.h"
#include "server/call.h"
#include "server/client.h"
#include "server/clock.h"
#include "server/commands.h"
#include "server/driver.h"
#include "server/server.h"

#define FIRST_PAUSE_MS 2
#define LONGEST_PAUSE_MS 100

struct wait {
    struct call *call;
    struct event *timer; /* owned */
    struct buf key;      /* of the last write */
    int64_t wanted;
    uint64_t until_us; /* UINT64_MAX: no end */
    uint64_t pause_ms;
    int64_t have;
};

static void free_wait(void *arg) {
    struct wait *wait = arg;
    if (wait->timer != NULL) {
        event_free(wait->timer);
    }
    buf_free(&wait->key);
    free(wait);
}

static enum call_progress ask(struct call *call) {
    struct wait *wait = call->state;
    struct client_request request = {
        .op = CLIENT_REPLICAS, .key = buf_data(&wait->key), .key_len = buf_len(&wait->key)};
    enum rd_err err = call_submit(call, 0, &request);
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_WAITS;
}

static enum call_progress finish(struct call *call) {
    const struct wait *wait = call->state;
    resp_write_int(call_reply(call), wait->have);
    return CALL_DONE;
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    struct wait *wait = arg;
    (void)fd;
    (void)what;
    if (ask(wait->call) == CALL_DONE) {
        call_end(wait->call);
    }
}

static enum call_progress on_reply(struct call *call, uint32_t part, struct client_reply *reply) {
    struct wait *wait = call->state;
    (void)part;
    int64_t have = 0;
    for (size_t i = 0; reply->err == RD_OK && i < reply->report_count; i++) {
        have += reply->reports[i].home && reply->reports[i].current;
    }
    if (have > 0) {
        wait->have = have - 1;
    }
    uint64_t now_us = clock_now().mono_us;
    if (wait->have >= wait->wanted || now_us >= wait->until_us || call->client == NULL) {
        return finish(call);
    }
    uint64_t pause_us = wait->pause_ms * 1000, left_us = wait->until_us - now_us;
    pause_us = pause_us < left_us ? pause_us : left_us;
    wait->pause_ms = 2 * wait->pause_ms < LONGEST_PAUSE_MS ? 2 * wait->pause_ms : LONGEST_PAUSE_MS;
    const struct timeval pause = {(time_t)(pause_us / 1000000), (suseconds_t)(pause_us % 1000000)};
    event_add(wait->timer, &pause);
    return CALL_WAITS;
}

/* Replicas that a write of this connection would have, beside one: nothing was written yet. */
static enum call_progress reply_all(struct call *call) {
    struct node_stats stats;
    uint32_t n, r, w;
    const struct node *node = driver_node(call_server(call)->driver);
    node_stats(node, &stats);
    node_quorum(node, &n, &r, &w);
    uint64_t up = stats.members_up < n ? stats.members_up : n;
    resp_write_int(call_reply(call), up > 0 ? (int64_t)up - 1 : 0);
    return CALL_DONE;
}

/* Parses the timeout, which has words of its own for what is wrong. */
static bool parse_timeout(struct call *call, int64_t *out) {
    const struct resp_slice *arg = &call->argv[2];
    int64_t now_ms = (int64_t)(clock_now().wall_us / 1000);
    if (text_i64((const char *)arg->data, arg->len, out) != RD_OK) {
        call_error(call, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (*out < 0) {
        call_error(call, "ERR timeout is negative");
        return false;
    }
    if (*out > INT64_MAX - now_ms) {
        call_error(call, "ERR timeout is out of range");
        return false;
    }
    return true;
}

enum call_progress cmd_wait(struct call *call) {
    int64_t wanted, timeout_ms;
    if (!call_arg_i64(call, 1, &wanted) || !parse_timeout(call, &timeout_ms)) {
        return CALL_DONE;
    }
    if (call->client == NULL || buf_len(&call->client->wrote) == 0) {
        return reply_all(call);
    }
    struct wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    call->state = wait;
    call->free_state = free_wait;
    call->on_reply = on_reply;
    const struct buf *wrote = &call->client->wrote; /* with a byte before it: a key may be empty */
    wait->call = call;
    wait->wanted = wanted;
    wait->pause_ms = FIRST_PAUSE_MS;
    wait->until_us = UINT64_MAX;
    if (timeout_ms > 0 && timeout_ms < INT64_MAX / 2000) {
        wait->until_us = clock_now().mono_us + (uint64_t)timeout_ms * 1000;
    }
    wait->timer = evtimer_new(call_server(call)->base, on_timer, wait);
    if (wait->timer == NULL ||
        buf_append(&wait->key, buf_data(wrote) + 1, buf_len(wrote) - 1) != RD_OK) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    return ask(call);
}
