/* Options shared by SET, DYNSET, DYNGET, DYNDEL and DYNQUORUM. Times are absolute from here on, so that replicas agree. */
#include "server/options.h"

#include "replication/node.h"
#include "server/clock.h"
#include "server/driver.h"
#include "server/server.h"

bool expiry_parse(const struct call *call, size_t *at, struct expiry_option *out) {
    static const struct {
        const char *word;
        bool seconds, relative;
    } options[] = {
        {"ex", true, true}, {"px", false, true}, {"exat", true, false}, {"pxat", false, false}};
    if (*at + 1 >= call->argc) {
        return false;
    }
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        bool other = out->at != 0 &&
                     (out->seconds != options[i].seconds || out->relative != options[i].relative);
        if (!other && call_arg_is(call, *at, options[i].word)) {
            *at += 1;
            *out = (struct expiry_option){*at, options[i].seconds, options[i].relative};
            return true;
        }
    }
    return false;
}

bool expiry_resolve(struct call *call, const struct expiry_option *option, uint64_t *out_ms) {
    if (option->at == 0) {
        *out_ms = 0;
        return true;
    }
    int64_t time = 0;
    if (!call_arg_i64(call, option->at, &time)) {
        return false;
    }
    int64_t now_ms = option->relative ? (int64_t)(clock_now().wall_us / 1000) : 0;
    bool bad = time <= 0 || (option->seconds && time > INT64_MAX / 1000);
    if (!bad) {
        time = option->seconds ? time * 1000 : time;
        bad = time > INT64_MAX - now_ms;
    }
    if (bad) {
        call_errorf(call, "ERR invalid expire time in '%s' command", call->row->name);
        return false;
    }
    *out_ms = (uint64_t)(time + now_ms);
    return true;
}

bool quorum_parse(struct call *call, size_t index, const char *what, uint32_t *out) {
    uint32_t n = 0, r = 0, w = 0;
    node_quorum(driver_node(call_server(call)->driver), &n, &r, &w);
    int64_t value = 0;
    if (!call_arg_i64(call, index, &value)) {
        return false;
    }
    if (value < 1 || value > n) {
        call_errorf(call, "ERR %s must be between 1 and the replication factor, %u", what,
                    (unsigned)n);
        return false;
    }
    *out = (uint32_t)value;
    return true;
}
