/* Words of a line with Redis's quoting rules: inline commands, configuration files.
 *
 * Words are separated by white space. Within a word "..." and '...' quote: double quotes know \xHH
 * \n \r \t \b \a and a backslash before any other character stands for that character; single
 * quotes know \' only. A quoted part ends its word: white space or the end of the line must follow.
 */
#ifndef RD_RESP_WORDS_H
#define RD_RESP_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "resp/slice.h"

/* A list of words that is reused from line to line. A zeroed struct is an empty list. */
struct resp_words {
    struct resp_slice *items; /* owned; the bytes are the line's, or lie in `unquoted` */
    size_t count;
    size_t cap;        /* allocated items */
    uint8_t *unquoted; /* owned; the bytes of words that had quotes */
    size_t unquoted_cap;
};

/* Replaces the list by the words of `line`, which is borrowed as long as the words are used. Zero
 * bytes are bytes like any other. Errors, after which the list is empty: RD_EPROTO (a quote is not
 * closed, or something follows it), RD_ETOOBIG (more than max_words), RD_ENOMEM. */
enum rd_err resp_words_split(struct resp_words *words, const uint8_t *line, size_t len,
                             size_t max_words);

/* Appends one word that lies elsewhere. Error: RD_ENOMEM, nothing changed. */
enum rd_err resp_words_push(struct resp_words *words, struct resp_slice word);

/* Frees the memory; the list is empty and usable again. */
void resp_words_free(struct resp_words *words);

#endif
