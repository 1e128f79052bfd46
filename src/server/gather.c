/* Fans a command out into requests for single keys and gathers the answers.
 *
 * Invariants: sent - answered requests are on their way, at most GATHER_WINDOW; the reply is written when that is 0 and nothing
 * is left to send (all sent, or an error noted).
 */
#include "server/gather.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/object.h"
#include "server/command_table.h"
#include "server/reading.h"

struct gather_state {
    const struct gather_plan *plan;
    struct command_keys keys;
    size_t *order; /* indices of the keys to ask for; owned */
    size_t total;  /* of these */
    size_t sent, answered;
    bool writes;    /* its requests do */
    size_t written; /* keys that were written, or may have been */
    int64_t number;
    struct blob **values; /* one per key; owned */
    enum rd_err err;      /* the first error */
    char text[sizeof(((struct client_reply *)0)->text)];
};

static void free_state(void *arg) {
    struct gather_state *state = arg;
    for (size_t i = 0; state->values != NULL && i < state->keys.count; i++) {
        blob_unref(state->values[i]);
    }
    free(state->values);
    free(state->order);
    free(state);
}

static const struct resp_slice *key_at(const struct call *call, size_t index) {
    const struct gather_state *state = call->state;
    return &call->argv[state->keys.first + index * state->keys.step];
}

/* Orders indices by key, those of one key by position. */
static int compare_keys(const void *a, const void *b, void *arg) {
    size_t left = *(const size_t *)a, right = *(const size_t *)b;
    const struct resp_slice *x = key_at(arg, left), *y = key_at(arg, right);
    size_t common = x->len < y->len ? x->len : y->len;
    int order = common == 0 ? 0 : memcmp(x->data, y->data, common);
    if (order == 0 && x->len != y->len) {
        order = x->len < y->len ? -1 : 1;
    }
    return order != 0 ? order : left < right ? -1 : left > right;
}

static bool same_key(const struct call *call, size_t a, size_t b) {
    const struct resp_slice *x = key_at(call, a), *y = key_at(call, b);
    return x->len == y->len && (x->len == 0 || memcmp(x->data, y->data, x->len) == 0);
}

/* Leaves one index of each key that is given more than once. */
static void drop_repeated(struct call *call, struct gather_state *state) {
    qsort_r(state->order, state->total, sizeof(*state->order), compare_keys, call);
    bool last = state->plan->repeated == GATHER_LAST_OF_EACH;
    size_t kept = 0;
    for (size_t i = 0; i < state->total; i++) {
        bool drop =
            last ? i + 1 < state->total && same_key(call, state->order[i], state->order[i + 1])
                 : i > 0 && same_key(call, state->order[i - 1], state->order[i]);
        if (!drop) {
            state->order[kept++] = state->order[i];
        }
    }
    state->total = kept;
}

/* Sends what the window allows. */
static void send_more(struct call *call, struct gather_state *state) {
    while (state->err == RD_OK && state->sent < state->total &&
           state->sent - state->answered < GATHER_WINDOW) {
        size_t index = state->order[state->sent];
        const struct resp_slice *key = key_at(call, index);
        struct client_request request = {.key = key->data, .key_len = key->len};
        enum rd_err err = state->plan->request(call, index, &request);
        state->writes = request.op == CLIENT_WRITE;
        err = err != RD_OK ? err : call_submit(call, (uint32_t)index, &request);
        blob_unref(request.value);
        if (err != RD_OK) {
            state->err = err;
            return;
        }
        state->sent++;
    }
}

/* The first error's text may say that nothing was written: of its own key, not of the others. */
static enum call_progress fail(struct call *call, const struct gather_state *state) {
    if (state->written == 0 || state->err == RD_EUNKNOWN) {
        return call_fail(call, state->err, state->text);
    }
    char text[sizeof(state->text) + 80];
    snprintf(text, sizeof(text),
             "%zu of %zu keys were written, or may have been; of another one: %s", state->written,
             state->total, state->text[0] != '\0' ? state->text : rd_err_text(state->err));
    return call_fail(call, RD_EUNKNOWN, text);
}

/* Writes the reply if nothing is left to wait for. */
static enum call_progress conclude(struct call *call, struct gather_state *state) {
    if (state->sent > state->answered) {
        return CALL_WAITS;
    }
    if (state->err != RD_OK) {
        return fail(call, state);
    }
    assert(state->answered == state->total);
    if (state->plan->then != NULL) {
        return state->plan->then(call, state->number, state->values, state->keys.count);
    }
    state->plan->finish(call, state->number, state->values, state->keys.count);
    return CALL_DONE;
}

static enum call_progress on_reply(struct call *call, uint32_t part, struct client_reply *reply) {
    struct gather_state *state = call->state;
    state->answered++;
    state->written += state->writes && (reply->err == RD_OK || reply->err == RD_EUNKNOWN);
    if (reply->err == RD_OK) {
        state->plan->answer(call, part, reply, &state->number, state->values);
    } else if (state->err == RD_OK) {
        state->err = reply->err;
        memcpy(state->text, reply->text, sizeof(state->text));
    }
    send_more(call, state);
    return conclude(call, state);
}

enum call_progress gather(struct call *call, const struct gather_plan *plan) {
    struct gather_state *state = calloc(1, sizeof(*state));
    if (state == NULL) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    if (call->state != NULL) {
        call->free_state(call->state); /* of what was gathered before */
    }
    call->state = state;
    call->free_state = free_state;
    call->on_reply = on_reply;
    state->plan = plan;
    state->keys = command_keys(call->row, call->argc);
    state->total = state->keys.count;
    state->order = malloc(state->total * sizeof(*state->order));
    state->values = calloc(state->total, sizeof(struct blob *));
    bool keep = state->total > GATHER_WINDOW;
    if (state->order == NULL || state->values == NULL || (keep && call_keep_args(call) != RD_OK)) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    for (size_t i = 0; i < state->total; i++) {
        state->order[i] = i;
    }
    if (plan->repeated != GATHER_ALL && state->total > 1) {
        drop_repeated(call, state);
    }
    send_more(call, state);
    return conclude(call, state);
}

/* ---- plans that read -------------------------------------------------------------------------------- */

enum rd_err gather_request_read(struct call *call, size_t index, struct client_request *request) {
    (void)call;
    (void)index;
    request->op = CLIENT_READ;
    return RD_OK;
}

void gather_note_value(struct call *call, size_t index, struct client_reply *reply, int64_t *number,
                       struct blob **values) {
    const struct sibling *winner = reading_winner(call, reply);
    values[index] = winner == NULL ? NULL : blob_ref(winner->value);
    *number += winner != NULL;
}
