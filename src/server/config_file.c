/* Where directives come from: files, with what they include, and the command line.
 *
 * A line is split as inline commands are (resp/words.h): both have the same quoting rules. */
#include "server/config_file.h"

#include <assert.h>
#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "resp/words.h"
#include "server/config_table.h"

#define MAX_DEPTH 16
#define MAX_FILE_BYTES (16u * 1024 * 1024)
#define MAX_ARGS 1024

static void place_of(const struct config_source *source, char out[CONFIG_REASON_BYTES]) {
    if (source->line > 0) {
        snprintf(out, CONFIG_REASON_BYTES, "%.200s, line %zu", source->name, source->line);
    } else {
        snprintf(out, CONFIG_REASON_BYTES, "%.200s", source->name);
    }
}

static enum rd_err fail(char reason[CONFIG_REASON_BYTES], const struct config_source *source,
                        const char *format, ...) __attribute__((format(printf, 3, 4)));

/* One line that names the place and the cause. */
static enum rd_err fail(char reason[CONFIG_REASON_BYTES], const struct config_source *source,
                        const char *format, ...) {
    char why[CONFIG_REASON_BYTES], place[CONFIG_REASON_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    place_of(source, place);
    snprintf(reason, CONFIG_REASON_BYTES, "%.220s: %.280s", place, why);
    return RD_ECONF;
}

/* ---- strangers ------------------------------------------------------------------------------------ */

/* True if the words, joined by spaces, are `value`. */
static bool words_are(const struct resp_slice *words, size_t count, const char *value) {
    if (count == 0) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        size_t rest = strlen(value);
        if (i > 0) {
            if (rest == 0 || value[0] != ' ') {
                return false;
            }
            value++;
            rest--;
        }
        if (rest < words[i].len ||
            strncasecmp(value, (const char *)words[i].data, words[i].len) != 0) {
            return false;
        }
        value += words[i].len;
    }
    return value[0] == '\0';
}

static enum rd_err meet_stranger(struct config *config, const struct config_source *source,
                                 const struct config_stranger *stranger,
                                 const struct resp_slice *words, size_t count,
                                 char reason[CONFIG_REASON_BYTES]) {
    int len = (int)words[0].len;
    const char *name = (const char *)words[0].data;
    if (stranger->kind == STRANGER_REFUSED ||
        (stranger->kind == STRANGER_ONLY && !words_are(words + 1, count - 1, stranger->value))) {
        return fail(reason, source, "'%.*s' is refused: %s", len, name, stranger->why);
    }
    char place[CONFIG_REASON_BYTES];
    place_of(source, place);
    return buf_printf(&config->warnings, "%s: '%.*s' has no meaning here and is ignored\n", place,
                      len, name);
}

/* ---- one directive -------------------------------------------------------------------------------- */

static enum rd_err include(struct config *config, const struct config_source *source,
                           const struct resp_slice *words, size_t count,
                           char reason[CONFIG_REASON_BYTES]);

enum rd_err config_apply(struct config *config, const struct config_source *source,
                         const struct resp_slice *words, size_t count,
                         char reason[CONFIG_REASON_BYTES]) {
    assert(count > 0);
    const char *name = (const char *)words[0].data;
    int len = (int)(words[0].len < 100 ? words[0].len : 100);
    if (words[0].len == 7 && strncasecmp(name, "include", 7) == 0) {
        return include(config, source, words, count, reason);
    }
    const struct config_directive *directive = config_find(name, words[0].len);
    if (directive == NULL) {
        const struct config_stranger *stranger = config_find_stranger(name, words[0].len);
        if (stranger == NULL) {
            return fail(reason, source, "'%.*s': unknown directive", len, name);
        }
        return meet_stranger(config, source, stranger, words, count, reason);
    }
    if (directive->type == CONFIG_SEEDS && config->seeds_from != (unsigned)source->origin) {
        config_value_free(config, directive); /* the command line's list replaces the file's */
        config->seeds_from = source->origin;
    }
    char why[CONFIG_REASON_BYTES];
    enum rd_err err = config_value_set(config, directive, words + 1, count - 1, why);
    if (err != RD_OK) {
        return err == RD_ECONF ? fail(reason, source, "'%s': %s", directive->name, why) : err;
    }
    char place[CONFIG_REASON_BYTES];
    place_of(source, place);
    return buf_printf(&config->places, "%s\t%s\n", directive->name, place);
}

/* ---- files ---------------------------------------------------------------------------------------- */

static enum rd_err apply_line(struct config *config, const struct config_source *source,
                              struct resp_words *words, const char *text, size_t len,
                              char reason[CONFIG_REASON_BYTES]) {
    enum rd_err err = resp_words_split(words, (const uint8_t *)text, len, MAX_ARGS);
    if (err == RD_ENOMEM) {
        return err;
    }
    if (err != RD_OK) {
        return fail(reason, source, err == RD_ETOOBIG ? "too many arguments" : "unbalanced quotes");
    }
    return words->count == 0 ? RD_OK
                             : config_apply(config, source, words->items, words->count, reason);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Drops what Redis drops: blanks on both sides; then comments and empty lines have no length. */
static void trim(const char **text, size_t *len) {
    while (*len > 0 && is_blank(**text)) {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && is_blank((*text)[*len - 1])) {
        (*len)--;
    }
    if (*len > 0 && **text == '#') {
        *len = 0;
    }
}

static enum rd_err parse(struct config *config, struct config_source *source, const char *text,
                         size_t len, char reason[CONFIG_REASON_BYTES]) {
    struct resp_words words = {0};
    enum rd_err err = RD_OK;
    const char *end = text + len;
    while (text < end && err == RD_OK) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *next = newline == NULL ? end : newline + 1;
        const char *from = text;
        size_t line_len = (size_t)(next - text);
        source->line++;
        trim(&from, &line_len);
        if (line_len > 0) {
            err = apply_line(config, source, &words, from, line_len, reason);
        }
        text = next;
    }
    resp_words_free(&words);
    return err;
}

static enum rd_err read_all(FILE *file, struct buf *out) {
    for (;;) {
        uint8_t *to;
        enum rd_err err = buf_reserve(out, 65536, &to);
        if (err != RD_OK) {
            return err;
        }
        size_t n = fread(to, 1, 65536, file);
        buf_commit(out, n);
        if (buf_len(out) > MAX_FILE_BYTES) {
            return RD_ETOOBIG;
        }
        if (n == 0) {
            return ferror(file) ? RD_EIO : RD_OK;
        }
    }
}

static enum rd_err parse_file(struct config *config, const struct config_source *from,
                              const char *path, unsigned depth, char reason[CONFIG_REASON_BYTES]) {
    struct config_source source = {.name = path, .origin = CONFIG_FROM_FILE, .depth = depth};
    struct buf text = {0};
    bool is_stdin = strcmp(path, "-") == 0 && depth == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    enum rd_err err = file == NULL ? RD_EIO : read_all(file, &text);
    if (err == RD_EIO) {
        int saved = errno;
        fail(reason, from, "cannot read '%s': %s", path, strerror(saved));
    } else if (err == RD_ETOOBIG) {
        err = fail(reason, from, "'%s' is larger than %u bytes", path, MAX_FILE_BYTES);
    } else if (err == RD_OK) {
        err = parse(config, &source, (const char *)buf_data(&text), buf_len(&text), reason);
    }
    if (file != NULL && !is_stdin) {
        fclose(file);
    }
    buf_free(&text);
    return err;
}

/* As in Redis, the name may be a pattern; one that matches nothing is no error, a plain name that does not exist is. */
static enum rd_err include(struct config *config, const struct config_source *source,
                           const struct resp_slice *words, size_t count,
                           char reason[CONFIG_REASON_BYTES]) {
    if (count != 2) {
        return fail(reason, source, "'include': wrong number of arguments");
    }
    if (source->depth + 1 > MAX_DEPTH) {
        return fail(reason, source, "'include': more than %d files deep", MAX_DEPTH);
    }
    char *path = strndup((const char *)words[1].data, words[1].len);
    if (path == NULL) {
        return RD_ENOMEM;
    }
    enum rd_err err = RD_OK;
    if (strpbrk(path, "*?[") == NULL) {
        err = parse_file(config, source, path, source->depth + 1, reason);
    } else {
        glob_t found;
        int rc = glob(path, 0, NULL, &found);
        if (rc == GLOB_NOSPACE) {
            err = RD_ENOMEM;
        } else if (rc == 0) {
            for (size_t i = 0; i < found.gl_pathc && err == RD_OK; i++) {
                err = parse_file(config, source, found.gl_pathv[i], source->depth + 1, reason);
            }
        }
        globfree(&found);
    }
    free(path);
    return err;
}

enum rd_err config_parse(struct config *config, const char *name, const char *text, size_t len,
                         char reason[CONFIG_REASON_BYTES]) {
    struct config_source source = {.name = name, .origin = CONFIG_FROM_FILE};
    return parse(config, &source, text, len, reason);
}

enum rd_err config_read_file(struct config *config, const char *path,
                             char reason[CONFIG_REASON_BYTES]) {
    struct config_source source = {.name = "configuration file"};
    return parse_file(config, &source, path, 0, reason);
}

/* ---- the command line ----------------------------------------------------------------------------- */

enum rd_err config_read_arguments(struct config *config, int argc, char *const *argv,
                                  char reason[CONFIG_REASON_BYTES]) {
    struct config_source source = {.name = "command line", .origin = CONFIG_FROM_COMMAND_LINE};
    struct resp_slice words[MAX_ARGS];
    int i = 0;
    while (i < argc) {
        if (strncmp(argv[i], "--", 2) != 0 || argv[i][2] == '\0') {
            return fail(reason, &source, "'%s': a directive must begin with \"--\"", argv[i]);
        }
        size_t count = 0;
        words[count++] = (struct resp_slice){(const uint8_t *)argv[i] + 2, strlen(argv[i]) - 2};
        for (i++; i < argc && strncmp(argv[i], "--", 2) != 0; i++) {
            if (count == MAX_ARGS) {
                return fail(reason, &source, "too many arguments");
            }
            words[count++] = (struct resp_slice){(const uint8_t *)argv[i], strlen(argv[i])};
        }
        enum rd_err err = config_apply(config, &source, words, count, reason);
        if (err != RD_OK) {
            return err;
        }
    }
    return RD_OK;
}
