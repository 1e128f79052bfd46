/* What calls have in common when they reply: errors, and arguments that are numbers. Writes through call_reply only. */
#include "server/call.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

#define ERROR_TEXT_BYTES 1024

enum call_progress call_error(struct call *call, const char *text) {
    struct resp_writer *w = call_reply(call);
    resp_writer_cancel(w);
    resp_write_error(w, text);
    return CALL_DONE;
}

enum call_progress call_errorf(struct call *call, const char *format, ...) {
    char text[ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return call_error(call, text);
}

enum call_progress call_ok(struct call *call) {
    resp_write_ok(call_reply(call));
    return CALL_DONE;
}

/* The code that a client's program can test, for each error of the node that has one. */
static const char *code_of(enum rd_err err) {
    switch (err) {
    case RD_ENOQUORUM:
        return "NOQUORUM";
    case RD_EUNKNOWN:
        return "UNKNOWN";
    case RD_EBADCONTEXT:
        return "BADCONTEXT";
    case RD_ETOOMANYSIBLINGS:
        return "TOOMANYSIBLINGS";
    case RD_ETOOLARGE:
        return "TOOLARGE";
    case RD_EFULL:
        return "DISKFULL";
    case RD_EOVERLOADED:
        return "OVERLOADED";
    case RD_ECLUSTERDOWN:
        return "CLUSTERDOWN";
    case RD_EREMOVED:
        return "REMOVED";
    default:
        return "ERR";
    }
}

enum call_progress call_fail(struct call *call, enum rd_err err, const char *text) {
    return call_errorf(call, "%s %s", code_of(err),
                       text != NULL && text[0] != '\0' ? text : rd_err_text(err));
}

bool call_arg_i64(struct call *call, size_t index, int64_t *out) {
    const struct resp_slice *arg = &call->argv[index];
    if (text_i64((const char *)arg->data, arg->len, out) == RD_OK) {
        return true;
    }
    call_error(call, "ERR value is not an integer or out of range");
    return false;
}
