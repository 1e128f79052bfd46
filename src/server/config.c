/* The configuration of one server: defaults, loading, what belongs together, CONFIG GET and CONFIG SET.
 *
 * CONFIG SET is all or nothing: old values are moved aside, new ones set, the owner asked, and if anyone objects the old ones
 * are moved back, which cannot fail. */
#include "server/config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "server/config_file.h"
#include "server/config_table.h"

/* ---- defaults ------------------------------------------------------------------------------------- */

/* Splits a default as it is written in the table; defaults have no quotes. */
static enum rd_err set_initial(struct config *config, const struct config_directive *directive) {
    char reason[CONFIG_REASON_BYTES];
    struct resp_slice word = {(const uint8_t *)directive->initial, strlen(directive->initial)};
    enum rd_err err = config_value_set(config, directive, &word, 1, reason);
    assert(err == RD_OK || err == RD_ENOMEM);
    return err;
}

enum rd_err config_new(struct config **out) {
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return RD_ENOMEM;
    }
    size_t count;
    const struct config_directive *directives = config_directives(&count);
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < count && err == RD_OK; i++) {
        err = set_initial(config, &directives[i]);
    }
    if (err == RD_OK) {
        config->file = strdup("");
        err = config->file == NULL ? RD_ENOMEM : RD_OK;
    }
    if (err != RD_OK) {
        config_free(&config);
        return err;
    }
    *out = config;
    return RD_OK;
}

void config_free(struct config **config) {
    if (*config == NULL) {
        return;
    }
    size_t count;
    const struct config_directive *directives = config_directives(&count);
    for (size_t i = 0; i < count; i++) {
        config_value_free(*config, &directives[i]);
    }
    free((*config)->file);
    buf_free(&(*config)->warnings);
    free(*config);
    *config = NULL;
}

/* ---- loading -------------------------------------------------------------------------------------- */

/* The checks that CONFIG SET must pass too. Returns the sentence, or NULL. */
static const char *check_mutable(const struct config *config) {
    if (config->read_quorum > config->replication_factor) {
        return "'read-quorum' must not be above 'replication-factor'";
    }
    if (config->write_quorum > config->replication_factor) {
        return "'write-quorum' must not be above 'replication-factor'";
    }
    return NULL;
}

static const char *check_all(const struct config *config) {
    uint64_t partitions = (uint64_t)config->partitions;
    if ((partitions & (partitions - 1)) != 0) {
        return "'partitions' must be a power of two";
    }
    if (config->cluster_port > 65535) {
        return "'port' above 55535 leaves no default for 'cluster-port': set it";
    }
    if (config->cluster_port == config->port) {
        return "'port' and 'cluster-port' must differ";
    }
    if (config->failure_timeout_ms <= config->gossip_interval_ms) {
        return "'failure-timeout' must be above 'gossip-interval'";
    }
    return check_mutable(config);
}

enum rd_err config_finish(struct config *config, char reason[CONFIG_REASON_BYTES]) {
    if (config->cluster_port == 0) {
        config->cluster_port = config->port + 10000;
    }
    const char *wrong = check_all(config);
    if (wrong != NULL) {
        snprintf(reason, CONFIG_REASON_BYTES, "configuration: %s", wrong);
        return RD_ECONF;
    }
    if (config->daemonize && config->pidfile[0] == '\0') {
        char *pidfile = strdup("/run/redynamo.pid");
        if (pidfile == NULL) {
            return RD_ENOMEM;
        }
        free(config->pidfile);
        config->pidfile = pidfile;
    }
    return RD_OK;
}

static enum rd_err remember_file(struct config *config, const char *file) {
    char *path = realpath(file, NULL);
    if (path == NULL) {
        path = strdup(file);
    }
    if (path == NULL) {
        return RD_ENOMEM;
    }
    free(config->file);
    config->file = path;
    return RD_OK;
}

enum rd_err config_load(struct config *config, const char *file, int argc, char *const *argv,
                        char reason[CONFIG_REASON_BYTES]) {
    enum rd_err err = RD_OK;
    snprintf(reason, CONFIG_REASON_BYTES, "%s", rd_err_text(RD_ENOMEM));
    if (file != NULL) {
        err = config_read_file(config, file, reason);
        if (err == RD_OK && strcmp(file, "-") != 0) {
            err = remember_file(config, file);
        }
    }
    if (err == RD_OK) {
        err = config_read_arguments(config, argc, argv, reason);
    }
    return err != RD_OK ? err : config_finish(config, reason);
}

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

static void move_aside(struct config *config, const struct config_directive *directive, struct saved *saved) {
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
        memcpy((char *)config + directive->offset, &saved[count].value, value_size(directive->type));
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
static enum rd_err find_all(const struct resp_slice *names, size_t count, struct saved *saved, size_t *failed,
                            char reason[CONFIG_REASON_BYTES]) {
    for (size_t i = 0; i < count; i++) {
        *failed = i;
        const struct config_directive *directive = config_find((const char *)names[i].data, names[i].len);
        if (directive == NULL) {
            const struct config_stranger *stranger = config_find_stranger((const char *)names[i].data, names[i].len);
            snprintf(reason, CONFIG_REASON_BYTES, "%s", stranger == NULL ? "unknown directive" : "can't set immutable config");
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
static enum rd_err approve(struct config *config, const struct saved *saved, size_t count, char reason[CONFIG_REASON_BYTES]) {
    const char *wrong = check_mutable(config);
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

enum rd_err config_set(struct config *config, const struct resp_slice *names, const struct resp_slice *values, size_t count,
                       size_t *failed, char reason[CONFIG_REASON_BYTES]) {
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

/* ---- the sample file ------------------------------------------------------------------------------ */

static enum rd_err sample_comment(struct buf *out, const char *text) {
    enum rd_err err = RD_OK;
    while (*text != '\0' && err == RD_OK) {
        int len = (int)strcspn(text, "\n");
        err = buf_printf(out, "# %.*s\n", len, text);
        text += len + (text[len] == '\n');
    }
    return err;
}

static enum rd_err sample_directive(struct buf *out, const struct config_directive *d) {
    enum rd_err err = RD_OK;
    if (d->section != NULL) {
        err = buf_printf(out, "################ %s ################\n\n", d->section);
    }
    if (err == RD_OK) {
        err = sample_comment(out, d->doc);
    }
    if (err == RD_OK && d->type == CONFIG_SEEDS) {
        return buf_printf(out, "#\n# %s 192.0.2.1:16379\n# %s 192.0.2.2:16379\n\n", d->name, d->name);
    }
    if (err == RD_OK) {
        err = buf_printf(out, "%s %s\n\n", d->name, d->initial[0] == '\0' ? "\"\"" : d->initial);
    }
    return err;
}

enum rd_err config_sample(struct buf *out) {
    size_t count;
    const struct config_directive *directives = config_directives(&count);
    enum rd_err err = buf_printf(out, "# Redynamo's configuration: every directive with its default value.\n"
                                      "# Start with: redynamo-server redynamo.conf\n"
                                      "# Sizes: 1k = 1000, 1kb = 1024, 1m, 1mb, 1g, 1gb bytes. \"include FILE\" reads another file.\n"
                                      "# redynamo.conf(5) says more.\n\n");
    for (size_t i = 0; i < count && err == RD_OK; i++) {
        err = sample_directive(out, &directives[i]);
    }
    return err;
}
