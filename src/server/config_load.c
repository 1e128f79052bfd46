/* A configuration's life: defaults, loading, what belongs together. */
#include "server/config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    buf_free(&(*config)->places);
    free(*config);
    *config = NULL;
}

/* ---- loading -------------------------------------------------------------------------------------- */

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
    return config_check_mutable(config);
}

/* Where the last of the directives was given that `wrong` names between quotes; "configuration" if none was. */
static void find_place(const struct config *config, const char *wrong,
                       char out[CONFIG_REASON_BYTES]) {
    char name[CONFIG_REASON_BYTES];
    snprintf(out, CONFIG_REASON_BYTES, "configuration");
    if (buf_len(&config->places) == 0) {
        return;
    }
    const char *line = (const char *)buf_data(&config->places);
    const char *end = line + buf_len(&config->places);
    for (const char *next; line < end; line = next) {
        const char *tab = memchr(line, '\t', (size_t)(end - line));
        if (tab == NULL) {
            return; /* a file's name with a line break in it */
        }
        next = (const char *)memchr(tab, '\n', (size_t)(end - tab)) + 1;
        snprintf(name, sizeof name, "'%.*s'", (int)(tab - line), line);
        if (strstr(wrong, name) != NULL) {
            snprintf(out, CONFIG_REASON_BYTES, "%.*s", (int)(next - 1 - (tab + 1)), tab + 1);
        }
    }
}

enum rd_err config_finish(struct config *config, char reason[CONFIG_REASON_BYTES]) {
    if (config->cluster_port == 0) {
        config->cluster_port = config->port + 10000;
    }
    const char *wrong = check_all(config);
    if (wrong != NULL) {
        char place[CONFIG_REASON_BYTES];
        find_place(config, wrong, place);
        snprintf(reason, CONFIG_REASON_BYTES, "%.250s: %.250s", place, wrong);
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
