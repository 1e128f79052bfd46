/* CONFIG GET and CONFIG SET.
 *
 * CONFIG SET is all or nothing: old values are moved aside, new ones set, the owner asked, and if anyone
 * objects the old ones are moved back, which cannot fail. */
#include "server/config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "server/config_table.h"

/* ---- CONFIG GET ----------------------------------------------------------------------------------- */

static bool matches(const char *name, const struct resp_slice *patterns, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (text_glob((const char *)patterns[i].data, patterns[i].len, name, strlen(name), 1)) {
            return true;
        }
    }
    return false;
}

enum rd_err config_get(const struct config *config, const struct resp_slice *patterns, size_t count,
                       void (*emit)(void *arg, const char *name, const char *value), void *arg) {
    size_t directive_count, stranger_count;
    const struct config_directive *directives = config_directives(&directive_count);
    const struct config_stranger *strangers = config_strangers(&stranger_count);
    struct buf value = {0};
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < directive_count && err == RD_OK; i++) {
        if (!matches(directives[i].name, patterns, count)) {
            continue;
        }
        buf_reset(&value, 4096);
        err = config_value_show(config, &directives[i], &value);
        if (err == RD_OK) {
            err = buf_append(&value, "", 1);
        }
        if (err == RD_OK) {
            emit(arg, directives[i].name, (const char *)buf_data(&value));
        }
    }
    for (size_t i = 0; i < stranger_count && err == RD_OK; i++) {
        if (strangers[i].shown != NULL && matches(strangers[i].name, patterns, count)) {
            emit(arg, strangers[i].name, strangers[i].shown);
        }
    }
    buf_free(&value);
    return err;
}

/* ---- CONFIG SET ----------------------------------------------------------------------------------- */

/* A value moved aside. Only types that own at most one pointer are mutable. */
struct saved {
    const struct config_directive *directive;
    union {
        bool yes;
        int choice;
        int64_t number;
        uint64_t bytes;
        char *text;
        struct config_output_limit limits[CLIENT_CLASSES];
    } value;
};

static size_t value_size(enum config_type type) {
    switch (type) {
    case CONFIG_BOOL:
        return sizeof(bool);
    case CONFIG_INT:
        return sizeof(int64_t);
    case CONFIG_BYTES:
        return sizeof(uint64_t);
    case CONFIG_TEXT:
        return sizeof(char *);
    case CONFIG_CHOICE:
        return sizeof(int);
    case CONFIG_OUTPUT_LIMITS:
        return sizeof(struct config_output_limit) * CLIENT_CLASSES;
    case CONFIG_WORDS:
    case CONFIG_SEEDS:
        break;
    }
    assert(!"a list that can be changed");
    return 0;
}

static void move_aside(struct config *config, const struct config_directive *directive,
                       struct saved *saved) {
    void *place = (char *)config + directive->offset;
    saved->directive = directive;
    memcpy(&saved->value, place, value_size(directive->type));
    if (directive->type == CONFIG_TEXT) {
        memset(place, 0, sizeof(char *));
    }
}

static void move_back(struct config *config, const struct saved *saved, size_t count) {
    while (count-- > 0) {
        const struct config_directive *directive = saved[count].directive;
        config_value_free(config, directive);
        memcpy((char *)config + directive->offset, &saved[count].value,
               value_size(directive->type));
    }
}

static void forget(const struct saved *saved, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (saved[i].directive->type == CONFIG_TEXT) {
            free(saved[i].value.text);
        }
    }
}

/* Looks the names up and refuses what cannot be changed, before anything is. */
static enum rd_err find_all(const struct resp_slice *names, size_t count, struct saved *saved,
                            size_t *failed, char reason[CONFIG_REASON_BYTES]) {
    for (size_t i = 0; i < count; i++) {
        *failed = i;
        const struct config_directive *directive =
            config_find((const char *)names[i].data, names[i].len);
        if (directive == NULL) {
            const struct config_stranger *stranger =
                config_find_stranger((const char *)names[i].data, names[i].len);
            snprintf(reason, CONFIG_REASON_BYTES, "%s",
                     stranger == NULL ? "unknown directive" : "can't set immutable config");
            return stranger == NULL || stranger->shown == NULL ? RD_ENOTFOUND : RD_ECONF;
        }
        if (directive->change != CONFIG_MUTABLE) {
            snprintf(reason, CONFIG_REASON_BYTES, "can't set immutable config");
            return RD_ECONF;
        }
        for (size_t j = 0; j < i; j++) {
            if (saved[j].directive == directive) {
                snprintf(reason, CONFIG_REASON_BYTES, "duplicate parameter");
                return RD_EEXIST;
            }
        }
        saved[i].directive = directive;
    }
    return RD_OK;
}

/* Cross checks, then the owner. */
static enum rd_err approve(struct config *config, const struct saved *saved, size_t count,
                           char reason[CONFIG_REASON_BYTES]) {
    const char *wrong = config_check_mutable(config);
    if (wrong != NULL) {
        snprintf(reason, CONFIG_REASON_BYTES, "%s", wrong);
        return RD_ECONF;
    }
    if (config->on_change == NULL) {
        return RD_OK;
    }
    const char **names = malloc(count * sizeof *names);
    if (names == NULL) {
        return RD_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = saved[i].directive->name;
    }
    bool agreed = config->on_change(config->on_change_arg, names, count, reason);
    free(names);
    return agreed ? RD_OK : RD_ECONF;
}

enum rd_err config_set(struct config *config, const struct resp_slice *names,
                       const struct resp_slice *values, size_t count, size_t *failed,
                       char reason[CONFIG_REASON_BYTES]) {
    size_t at = 0;
    struct saved *saved = calloc(count + 1, sizeof *saved);
    snprintf(reason, CONFIG_REASON_BYTES, "%s", rd_err_text(RD_ENOMEM));
    if (saved == NULL) {
        *failed = 0;
        return RD_ENOMEM;
    }
    enum rd_err err = find_all(names, count, saved, &at, reason);
    if (err == RD_OK) {
        size_t done = 0;
        while (done < count && err == RD_OK) {
            at = done;
            move_aside(config, saved[done].directive, &saved[done]);
            done++;
            err = config_value_set(config, saved[at].directive, &values[at], 1, reason);
        }
        if (err == RD_OK) {
            err = approve(config, saved, count, reason);
        }
        if (err == RD_OK) {
            forget(saved, count);
        } else {
            move_back(config, saved, done);
        }
    }
    if (err != RD_OK) {
        *failed = at;
    }
    free(saved);
    return err;
}
