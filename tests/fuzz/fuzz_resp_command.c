/* Fuzzes resp/command: any bytes, whole and in pieces, must give the same commands and the same
 * end.
 *
 * The first two bytes of the input choose limits and pieces, the rest is the stream.
 */
#include "resp/command.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/prng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good) {
    if (!good) {
        abort();
    }
}

/* Reads all commands of the first `end` bytes that were not consumed and notes them; false after an
 * error. */
static bool read_up_to(struct buf *notes, struct resp_command_reader *reader, const uint8_t *input,
                       size_t end, size_t *at) {
    for (;;) {
        size_t len = end - *at;
        const struct resp_slice *argv = NULL;
        size_t consumed = 0;
        size_t argc = 0;
        /* At a new place of exactly the size, so that the sanitizer sees who reads more or there. */
        uint8_t *copy = malloc(len);
        must(copy != NULL || len == 0);
        if (len > 0) {
            memcpy(copy, input + *at, len);
        }
        enum rd_err err = resp_command_read(reader, copy, len, &consumed, &argv, &argc);
        if (err == RD_OK) {
            must(consumed > 0 && consumed <= len && argc <= reader->limits->max_args);
            must(buf_printf(notes, "%zu %zu ", consumed, argc) == RD_OK);
            for (size_t i = 0; i < argc; i++) {
                must(argv[i].len <= len);
                must(buf_printf(notes, "%zu:", argv[i].len) == RD_OK);
                must(buf_append(notes, argv[i].data, argv[i].len) == RD_OK);
            }
            *at += consumed;
        }
        free(copy);
        if (err == RD_EINCOMPLETE) {
            size_t wanted = resp_command_wanted(reader);
            must(wanted > 0 && wanted <= reader->limits->max_bulk_bytes + 2);
            must(reader->args.cap <= 16 + end); /* an argument takes two bytes or more */
            return true;
        }
        if (err != RD_OK) {
            const char *error = resp_command_error(reader);
            must(err == RD_EPROTO || err == RD_ETOOBIG);
            must(strncmp(error, "Protocol error: ", 16) == 0 && strpbrk(error, "\r\n") == NULL);
            must(buf_printf(notes, "%s", error) == RD_OK);
            return false;
        }
    }
}

static void run(struct buf *notes, const struct resp_limits *limits, bool authenticated,
                const uint8_t *input, size_t len, struct prng *cuts) {
    struct resp_command_reader reader;
    size_t at = 0;
    size_t end = 0;
    resp_command_init(&reader, limits);
    resp_command_set_authenticated(&reader, authenticated);
    do {
        end += cuts == NULL ? len : 1 + prng_below(cuts, prng_chance(cuts, 1, 4) ? len + 1 : 4);
        end = end > len ? len : end;
    } while (read_up_to(notes, &reader, input, end, &at) && end < len);
    resp_command_free(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct resp_limits limits;
    struct buf whole = {0};
    struct buf pieces = {0};
    struct prng cuts;
    if (size < 2) {
        return 0;
    }
    resp_limits_default(&limits);
    if ((data[0] & 1) != 0) {
        limits.max_command_bytes = 64;
        limits.max_bulk_bytes = 24;
        limits.max_args = 6;
        limits.max_inline_bytes = 20;
        limits.max_unauth_args = 3;
        limits.max_unauth_bulk_bytes = 9;
    }
    limits.allow_inline = (data[0] & 2) == 0;
    prng_seed(&cuts, data[1]);
    run(&whole, &limits, (data[0] & 4) == 0, data + 2, size - 2, NULL);
    run(&pieces, &limits, (data[0] & 4) == 0, data + 2, size - 2, &cuts);
    must(buf_len(&whole) == buf_len(&pieces));
    must(buf_len(&whole) == 0 || memcmp(buf_data(&whole), buf_data(&pieces), buf_len(&whole)) == 0);
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
