/* Just enough of RESP2 to count replies fast: those that GET, SET, DEL, DYNSET and WAIT give. (resp/reader.h reads all there are.) */
#ifndef RD_BENCH_REPLIES_H
#define RD_BENCH_REPLIES_H

#include <stddef.h>
#include <stdint.h>

enum reply_kind {
    REPLY_INCOMPLETE, /* more bytes are needed */
    REPLY_BAD,        /* no reply that is expected here */
    REPLY_STATUS,     /* +text */
    REPLY_ERROR,      /* -text */
    REPLY_NUMBER,     /* :number */
    REPLY_BULK,       /* its length in `number` */
    REPLY_NULL
};

struct reply {
    size_t bytes;     /* on the wire */
    const char *text; /* of a status, error or bulk string; borrowed, not terminated */
    size_t text_len;
    int64_t number;
};

/* Reads one reply from the start of `data`; `out` is set unless REPLY_INCOMPLETE or REPLY_BAD is returned. */
enum reply_kind reply_read(const uint8_t *data, size_t len, struct reply *out);

#endif
