/* Replies as one line of text, so that a test can say what it expects in one string.
 *
 *     +OK   -ERR text   :3   "bulk\r\n\x00"   nil   [:1, "a", nil]   {"key": :1}
 *     RESP3 besides: ~[set]   >[push]   ,1.5   #t   (123   ="txt:verbatim"
 *
 * Attributes are left out.
 */
#ifndef RD_REDIS_TESTS_SHOW_H
#define RD_REDIS_TESTS_SHOW_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "resp/reader.h"

/* Appends a reply as hiredis gives it. Aborts without memory, as all here. */
void show_reply(struct buf *out, const redisReply *reply);

/* Appends a reply as our own reader gives it. */
void show_value(struct buf *out, const struct resp_value *value);

/* Appends bytes with all that is not printable ASCII, and '"' and '\', escaped. */
void show_bytes(struct buf *out, const void *bytes, size_t len);

/* Terminates the text in `buf` and returns it; borrowed until the next change. */
const char *show_text(struct buf *buf);

/* True if the whole `text` is what `pattern` says, in which '*' stands for any text. */
bool show_matches(const char *pattern, const char *text);

#endif
