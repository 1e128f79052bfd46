/* Commands that read several keys and then compute: MSETNX, BITOP, LCS. Each key is read on its own. */
#include <stdlib.h>
#include <string.h>

#include "replication/object.h"
#include "server/call.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/gather.h"
#include "server/lcs.h"
#include "server/server.h"

/* ---- MSETNX ----------------------------------------------------------------------------------------- */

static enum call_progress set_if_none(struct call *call, int64_t found, struct blob *const *values,
                                      size_t count) {
    (void)values;
    (void)count;
    if (found > 0) {
        resp_write_int(call_reply(call), 0);
        return CALL_DONE;
    }
    return gather_sets(call, 1);
}

enum call_progress cmd_msetnx(struct call *call) {
    static const struct gather_plan plan = {.request = gather_request_read,
                                            .answer = gather_note_value,
                                            .then = set_if_none,
                                            .repeated = GATHER_FIRST_OF_EACH};
    if (call->argc % 2 == 0) {
        return call_error(call, "ERR wrong number of arguments for 'msetnx' command");
    }
    return call_keep_args(call) != RD_OK ? call_fail(call, RD_ENOMEM, NULL) : gather(call, &plan);
}

/* ---- BITOP ------------------------------------------------------------------------------------------ */

enum bit_operation { BIT_AND, BIT_OR, BIT_XOR, BIT_NOT };

static bool parse_operation(const struct call *call, enum bit_operation *out) {
    static const char *const words[] = {"and", "or", "xor", "not"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (call_arg_is(call, 1, words[i])) {
            *out = (enum bit_operation)i;
            return true;
        }
    }
    return false;
}

/* A key that is absent or short is continued with zeros. */
static void combine(enum bit_operation operation, uint8_t *to, size_t len,
                    const struct blob *value) {
    size_t have = value != NULL ? value->len : 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = i < have ? value->bytes[i] : 0;
        to[i] = (uint8_t)(operation == BIT_AND   ? to[i] & byte
                          : operation == BIT_OR  ? to[i] | byte
                          : operation == BIT_XOR ? to[i] ^ byte
                                                 : ~byte);
    }
}

static enum call_progress bitop_reply(struct call *call, uint32_t part,
                                      struct client_reply *reply) {
    (void)part;
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    resp_write_int(call_reply(call), (int64_t)call->number);
    return CALL_DONE;
}

/* values[0] is the destination's, and does not matter. */
static enum call_progress write_result(struct call *call, int64_t found, struct blob *const *values,
                                       size_t count) {
    (void)found;
    enum bit_operation operation = BIT_NOT;
    size_t len = 0;
    parse_operation(call, &operation);
    for (size_t i = 1; i < count; i++) {
        len = values[i] != NULL && values[i]->len > len ? values[i]->len : len;
    }
    struct client_request request = {
        .op = CLIENT_WRITE, .key = call->argv[2].data, .key_len = call->argv[2].len};
    if (len > 0) {
        if (blob_alloc(len, &request.value) != RD_OK) {
            return call_fail(call, RD_ENOMEM, NULL);
        }
        memset(request.value->bytes, 0, len);
        combine(operation == BIT_NOT ? BIT_NOT : BIT_OR, request.value->bytes, len, values[1]);
        for (size_t i = 2; i < count; i++) {
            combine(operation, request.value->bytes, len, values[i]);
        }
    }
    call->number = len;
    call->on_reply = bitop_reply;
    enum rd_err err = call_submit(call, 0, &request);
    blob_unref(request.value);
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_WAITS;
}

enum call_progress cmd_bitop(struct call *call) {
    static const struct gather_plan plan = {
        .request = gather_request_read, .answer = gather_note_value, .then = write_result};
    enum bit_operation operation;
    if (!parse_operation(call, &operation)) {
        return call_error(call, "ERR syntax error");
    }
    if (operation == BIT_NOT && call->argc != 4) {
        return call_error(call, "ERR BITOP NOT must be called with a single source key.");
    }
    return call_keep_args(call) != RD_OK ? call_fail(call, RD_ENOMEM, NULL) : gather(call, &plan);
}

/* ---- LCS -------------------------------------------------------------------------------------------- */

struct lcs_options {
    bool len, idx, with_len;
    int64_t min_len;
};

static bool parse_lcs(struct call *call, struct lcs_options *out) {
    for (size_t i = 3; i < call->argc; i++) {
        if (call_arg_is(call, i, "idx")) {
            out->idx = true;
        } else if (call_arg_is(call, i, "len")) {
            out->len = true;
        } else if (call_arg_is(call, i, "withmatchlen")) {
            out->with_len = true;
        } else if (call_arg_is(call, i, "minmatchlen") && i + 1 < call->argc) {
            if (!call_arg_i64(call, ++i, &out->min_len)) {
                return false;
            }
        } else {
            call_error(call, "ERR syntax error");
            return false;
        }
    }
    if (out->idx && out->len) {
        call_error(call, "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

static void write_runs(struct resp_writer *w, const struct lcs *lcs,
                       const struct lcs_options *options) {
    struct resp_deferred matches;
    resp_write_map(w, 2);
    resp_write_text(w, "matches");
    resp_write_open(w, &matches);
    for (size_t i = 0; i < lcs->run_count; i++) {
        const struct lcs_run *run = &lcs->runs[i];
        uint32_t len = run->a_end - run->a_start + 1;
        if (len < options->min_len) {
            continue;
        }
        resp_write_array(w, options->with_len ? 3 : 2);
        resp_write_array(w, 2);
        resp_write_int(w, run->a_start);
        resp_write_int(w, run->a_end);
        resp_write_array(w, 2);
        resp_write_int(w, run->b_start);
        resp_write_int(w, run->b_end);
        if (options->with_len) {
            resp_write_int(w, len);
        }
    }
    resp_write_close_array(w, &matches);
    resp_write_text(w, "len");
    resp_write_int(w, lcs->len);
}

static void write_lcs(struct call *call, int64_t found, struct blob *const *values, size_t count) {
    (void)found;
    (void)count;
    struct lcs_options options = {0};
    struct lcs lcs = {0};
    const struct blob *a = values[0], *b = values[1];
    size_t a_len = a != NULL ? a->len : 0, b_len = b != NULL ? b->len : 0;
    if (!parse_lcs(call, &options)) {
        return;
    }
    if (lcs_memory(a_len, b_len) > call_server(call)->config->proto_max_bulk_bytes) {
        call_error(call, "ERR Insufficient memory, transient memory for LCS exceeds "
                         "proto-max-bulk-len");
        return;
    }
    const uint8_t *none = (const uint8_t *)"";
    if (lcs_compute(a != NULL ? a->bytes : none, a_len, b != NULL ? b->bytes : none, b_len, &lcs) !=
        RD_OK) {
        call_fail(call, RD_ENOMEM, NULL);
        return;
    }
    if (options.idx) {
        write_runs(call_reply(call), &lcs, &options);
    } else if (options.len) {
        resp_write_int(call_reply(call), lcs.len);
    } else {
        resp_write_bulk(call_reply(call), lcs.bytes, lcs.len);
    }
    lcs_free(&lcs);
}

enum call_progress cmd_lcs(struct call *call) {
    static const struct gather_plan plan = {
        .request = gather_request_read, .answer = gather_note_value, .finish = write_lcs};
    struct lcs_options options = {0};
    if (!parse_lcs(call, &options)) {
        return CALL_DONE;
    }
    return call_keep_args(call) != RD_OK ? call_fail(call, RD_ENOMEM, NULL) : gather(call, &plan);
}
