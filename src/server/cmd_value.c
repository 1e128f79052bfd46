/* Commands whose row names a function on one value (value.h): those that read run it here, those that change send it to a home
 * of the key. */
#include "replication/hlc.h"
#include "replication/object.h"
#include "server/call.h"
#include "server/clock.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/reading.h"
#include "server/server.h"
#include "server/values.h"

static struct value_op make_op(const struct call *call) {
    return (struct value_op){
        .argv = call->argv,
        .argc = call->argc,
        .name = call->row->name,
        .now_ms = clock_now().wall_us / 1000,
        .max_bytes = call_server(call)->config->proto_max_bulk_bytes,
    };
}

/* Runs the row's function and writes what it replies. */
static enum call_progress run(struct call *call, struct value_op *op) {
    struct buf reply = {0};
    enum rd_err err = value_run(call->row->value, op, call->proto, &reply);
    if (err != RD_OK) {
        buf_free(&reply);
        return call_fail(call, err, NULL);
    }
    resp_write_raw(call_reply(call), buf_data(&reply), buf_len(&reply));
    buf_free(&reply);
    return CALL_DONE;
}

/* Writes the error and returns false if the arguments are wrong. */
static bool check(struct call *call) {
    struct value_op op = make_op(call);
    struct buf reply = {0};
    op.checking = true;
    enum rd_err err = value_run(call->row->value, &op, call->proto, &reply);
    if (err != RD_OK) {
        call_fail(call, err, NULL);
    } else if (buf_len(&reply) > 0) {
        resp_write_raw(call_reply(call), buf_data(&reply), buf_len(&reply));
    }
    bool fine = err == RD_OK && buf_len(&reply) == 0;
    buf_free(&reply);
    return fine;
}

static enum call_progress read_reply(struct call *call, uint32_t part, struct client_reply *reply) {
    (void)part;
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    const struct sibling *winner = reading_winner(call, reply);
    struct value_op op = make_op(call);
    if (winner != NULL) {
        op.value = winner->value;
        op.expires_ms = winner->expires_ms;
        op.written_ms = hlc_wall_ms(winner->stamp);
    }
    return run(call, &op);
}

static enum call_progress change_reply(struct call *call, uint32_t part,
                                       struct client_reply *reply) {
    (void)part;
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    resp_write_raw(call_reply(call), buf_data(&reply->reply), buf_len(&reply->reply));
    return CALL_DONE;
}

static enum call_progress submit(struct call *call, struct client_request *request) {
    const struct resp_slice *key = &call->argv[call->row->first_key];
    request->key = key->data;
    request->key_len = key->len;
    enum rd_err err = call_submit(call, 0, request);
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_WAITS;
}

enum call_progress cmd_value_read(struct call *call) {
    if (!check(call)) {
        return CALL_DONE;
    }
    if (call_keep_args(call) != RD_OK) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    struct client_request request = {.op = CLIENT_READ};
    call->on_reply = read_reply;
    return submit(call, &request);
}

enum call_progress cmd_value_change(struct call *call) {
    if (!check(call)) {
        return CALL_DONE;
    }
    struct client_request request = {.op = CLIENT_RMW};
    enum rd_err err = value_pack(call->argv, call->argc, call->proto, &request.value);
    if (err != RD_OK) {
        return call_fail(call, err, NULL);
    }
    call->on_reply = change_reply;
    enum call_progress progress = submit(call, &request);
    blob_unref(request.value);
    return progress;
}
