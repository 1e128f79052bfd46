/* Fuzzes replication/wire: any arguments; what decodes is encoded to the same frame again.
 *
 * The input is cut into arguments: a byte for the length of each, or 0xff and two bytes.
 */
#include "replication/wire.h"

#include <stdlib.h>
#include <string.h>

#include "resp/command.h"

#define MAX_ARGS 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good) {
    if (!good) {
        abort();
    }
}

static size_t cut(const uint8_t *data, size_t size, struct resp_slice argv[MAX_ARGS]) {
    size_t argc = 0;
    for (size_t at = 0; at < size && argc < MAX_ARGS; argc++) {
        size_t len = data[at++];
        if (len == 0xff && size - at >= 2) {
            len = (size_t)data[at] << 8 | data[at + 1];
            at += 2;
        }
        len = len < size - at ? len : size - at;
        argv[argc] = (struct resp_slice){data + at, len};
        at += len;
    }
    return argc;
}

static void check_frame(const struct blob *frame, const struct resp_slice *argv, size_t argc) {
    struct resp_limits limits;
    struct resp_command_reader reader;
    const struct resp_slice *again;
    size_t again_count, consumed;
    resp_limits_default(&limits);
    limits.allow_inline = false;
    resp_command_init(&reader, &limits);
    must(resp_command_read(&reader, frame->bytes, frame->len, &consumed, &again, &again_count) ==
         RD_OK);
    must(consumed == frame->len && again_count == argc);
    for (size_t i = 0; i < argc; i++) {
        must(again[i].len == argv[i].len);
        must(argv[i].len == 0 || memcmp(again[i].data, argv[i].data, argv[i].len) == 0);
    }
    resp_command_free(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct resp_slice argv[MAX_ARGS];
    struct wire_msg msg;
    struct blob *frame;
    size_t argc = cut(data, size, argv);
    enum rd_err err = wire_decode(argv, argc, &msg);
    if (err != RD_OK) {
        must(err == RD_EPROTO);
        return 0;
    }
    must(wire_encode(&msg, &frame) == RD_OK);
    check_frame(frame, argv, argc);
    blob_unref(frame);
    return 0;
}
