/* Numbers and encodings as text: strict parsers that say no instead of guessing. */
#ifndef RD_BASE_TEXT_H
#define RD_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Parses the whole of `text` as a decimal integer, the way Redis does: an optional '-', no spaces, no
 * '+', no leading zeros. Errors: RD_EPROTO (not a number), RD_ETOOBIG (out of range). */
enum rd_err text_i64(const char *text, size_t len, int64_t *out);

/* The same for unsigned numbers. */
enum rd_err text_u64(const char *text, size_t len, uint64_t *out);

/* Parses a memory size as redis.conf writes it: 1024, 1k (1000), 1kb (1024), 1m, 1mb, 1g, 1gb, any
 * case. Errors: RD_EPROTO, RD_ETOOBIG. */
enum rd_err text_memory(const char *text, size_t len, uint64_t *out_bytes);

/* Parses yes/no, any case. Error: RD_EPROTO. */
enum rd_err text_yes_no(const char *text, size_t len, int *out);

/* Writes 2*len lower-case hex digits and a terminating zero to `out`. */
void text_hex(const void *bytes, size_t len, char *out);

/* Reads exactly 2*len hex digits, either case. Error: RD_EPROTO. */
enum rd_err text_unhex(const char *hex, size_t hex_len, void *out, size_t len);

/* URL-safe base64 without padding (RFC 4648 section 5): the length that `len` bytes take, without a zero. */
size_t text_base64_len(size_t len);

/* Writes text_base64_len(len) characters and a terminating zero to `out`. */
void text_base64(const void *bytes, size_t len, char *out);

/* Decodes; `out` has room for text_len * 3 / 4 bytes. Rejects any other character, padding, impossible lengths and
 * non-zero spare bits, so that one value has one spelling. Error: RD_EPROTO. */
enum rd_err text_unbase64(const char *text, size_t text_len, void *out, size_t *out_len);

/* Glob match as Redis's KEYS: * ? [abc] [^a] [a-z] and backslash escapes; `nocase` folds ASCII. Work is bounded
 * for any pattern (no exponential backtracking). Returns 1 on a match. */
int text_glob(const char *pattern, size_t pattern_len, const char *text, size_t text_len,
              int nocase);

#endif
