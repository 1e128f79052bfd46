/* Commands on several keys: MGET, MSET, DEL, UNLINK, EXISTS. */
#include "replication/object.h"
#include "server/call.h"
#include "server/commands.h"
#include "server/gather.h"
#include "server/reading.h"

/* ---- MGET ------------------------------------------------------------------------------------------- */

static void write_values(struct call *call, int64_t number, struct blob *const *values,
                         size_t count) {
    (void)number;
    struct resp_writer *w = call_reply(call);
    resp_write_array(w, count);
    for (size_t i = 0; i < count; i++) {
        if (values[i] == NULL) {
            resp_write_null(w);
        } else {
            resp_write_bulk(w, values[i]->bytes, values[i]->len);
        }
    }
}

enum call_progress cmd_mget(struct call *call) {
    static const struct gather_plan plan = {
        .request = gather_request_read, .answer = gather_note_value, .finish = write_values};
    return gather(call, &plan);
}

/* ---- MSET ------------------------------------------------------------------------------------------- */

static enum rd_err request_set(struct call *call, size_t index, struct client_request *request) {
    const struct resp_slice *value = &call->argv[2 + 2 * index];
    request->op = CLIENT_WRITE;
    return blob_new(value->data, value->len, &request->value);
}

static void note_nothing(struct call *call, size_t index, struct client_reply *reply,
                         int64_t *number, struct blob **values) {
    (void)call;
    (void)index;
    (void)reply;
    (void)number;
    (void)values;
}

static void write_ok(struct call *call, int64_t number, struct blob *const *values, size_t count) {
    (void)number;
    (void)values;
    (void)count;
    call_ok(call);
}

static void write_one(struct call *call, int64_t number, struct blob *const *values, size_t count) {
    (void)number;
    (void)values;
    (void)count;
    resp_write_int(call_reply(call), 1);
}

enum call_progress gather_sets(struct call *call, int64_t number) {
    static const struct gather_plan ok = {.request = request_set,
                                          .answer = note_nothing,
                                          .finish = write_ok,
                                          .repeated = GATHER_LAST_OF_EACH};
    static const struct gather_plan one = {.request = request_set,
                                           .answer = note_nothing,
                                           .finish = write_one,
                                           .repeated = GATHER_LAST_OF_EACH};
    return gather(call, number == 0 ? &ok : &one);
}

enum call_progress cmd_mset(struct call *call) {
    if (call->argc % 2 == 0) {
        return call_error(call, "ERR wrong number of arguments for 'mset' command");
    }
    return gather_sets(call, 0);
}

/* ---- DEL, UNLINK, EXISTS ---------------------------------------------------------------------------- */

static enum rd_err request_delete(struct call *call, size_t index, struct client_request *request) {
    (void)call;
    (void)index;
    request->op = CLIENT_WRITE;
    return RD_OK;
}

static void count_deleted(struct call *call, size_t index, struct client_reply *reply,
                          int64_t *number, struct blob **values) {
    (void)call;
    (void)index;
    (void)values;
    *number += reply->existed;
}

static void count_existing(struct call *call, size_t index, struct client_reply *reply,
                           int64_t *number, struct blob **values) {
    (void)index;
    (void)values;
    *number += reading_winner(call, reply) != NULL;
}

static void write_number(struct call *call, int64_t number, struct blob *const *values,
                         size_t count) {
    (void)values;
    (void)count;
    resp_write_int(call_reply(call), number);
}

enum call_progress cmd_del(struct call *call) {
    static const struct gather_plan plan = {.request = request_delete,
                                            .answer = count_deleted,
                                            .finish = write_number,
                                            .repeated = GATHER_FIRST_OF_EACH};
    return gather(call, &plan);
}

enum call_progress cmd_unlink(struct call *call) {
    return cmd_del(call);
}

enum call_progress cmd_touch(struct call *call) {
    return cmd_exists(call);
}

enum call_progress cmd_exists(struct call *call) {
    static const struct gather_plan plan = {
        .request = gather_request_read, .answer = count_existing, .finish = write_number};
    return gather(call, &plan);
}
