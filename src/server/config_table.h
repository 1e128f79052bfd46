/* The table of directives: what there is to configure, as data. Private to config*.c and their test. */
#ifndef RD_SERVER_CONFIG_TABLE_H
#define RD_SERVER_CONFIG_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "server/config.h"

enum config_type {
    CONFIG_BOOL,         /* bool */
    CONFIG_INT,          /* int64_t, min..max */
    CONFIG_BYTES,        /* uint64_t, min..max, memory units */
    CONFIG_TEXT,         /* char *, min..max bytes */
    CONFIG_CHOICE,       /* int, one of `choices` */
    CONFIG_WORDS,        /* struct config_words */
    CONFIG_SEEDS,        /* seeds and seed_count */
    CONFIG_OUTPUT_LIMITS /* output_limits */
};

enum config_change {
    CONFIG_MUTABLE,  /* CONFIG SET changes it */
    CONFIG_AT_START, /* fixed when the process has started */
    CONFIG_AT_BIRTH  /* fixed when the cluster was born; the same on all nodes */
};

struct config_choice {
    const char *name; /* NULL ends a list */
    int value;
};

struct config_directive {
    const char *name;
    enum config_type type;
    enum config_change change;
    size_t offset;       /* of the value in struct config */
    const char *initial; /* the default, as one would write it */
    int64_t min, max;
    const struct config_choice *choices;
    const char *section; /* in the sample file: begins a new one; else NULL */
    const char *doc;     /* plain sentences, lines separated by LF */
};

/* What is done with a directive of Redis (or of a later Redynamo) that is none of ours. */
enum config_stranger_kind {
    STRANGER_IGNORED, /* accepted with one warning */
    STRANGER_ONLY,    /* accepted, with one warning, with this value only; else refused */
    STRANGER_REFUSED  /* refused whatever its value */
};

struct config_stranger {
    const char *name; /* a '*' at the end stands for any rest */
    enum config_stranger_kind kind;
    const char *value; /* STRANGER_ONLY: the harmless value */
    const char *shown; /* what CONFIG GET says; NULL: nothing */
    const char
        *why; /* STRANGER_ONLY, STRANGER_REFUSED: ends the sentence "'name' is refused: ..." */
};

/* All directives, in the order in which they are shown. */
const struct config_directive *config_directives(size_t *count);

/* All strangers. */
const struct config_stranger *config_strangers(size_t *count);

/* The directive called `name`, any case; NULL: none. */
const struct config_directive *config_find(const char *name, size_t len);

/* The stranger that `name` is, any case; NULL: none. */
const struct config_stranger *config_find_stranger(const char *name, size_t len);

/* Sets a value from its words, which are borrowed. `reason`: why not, without the directive's name. Errors: RD_ECONF, RD_ENOMEM;
 * the old value is then still there. */
enum rd_err config_value_set(struct config *config, const struct config_directive *directive,
                             const struct resp_slice *words, size_t count,
                             char reason[CONFIG_REASON_BYTES]);

/* Appends the value as CONFIG GET shows it. Error: RD_ENOMEM. */
enum rd_err config_value_show(const struct config *config, const struct config_directive *directive,
                              struct buf *out);

/* Frees what the value owns and zeroes it. */
void config_value_free(struct config *config, const struct config_directive *directive);

/* What belongs together among the values that CONFIG SET changes: returns the sentence that says what is wrong
 * (static), or NULL. */
const char *config_check_mutable(const struct config *config);

#endif
