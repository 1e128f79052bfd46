/* The sample file: the table, written out. */
#include "server/config.h"

#include <string.h>

#include "server/config_table.h"

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
        return buf_printf(out, "#\n# %s 192.0.2.1:16379\n# %s 192.0.2.2:16379\n\n", d->name,
                          d->name);
    }
    if (err == RD_OK) {
        err = buf_printf(out, "%s %s\n\n", d->name, d->initial[0] == '\0' ? "\"\"" : d->initial);
    }
    return err;
}

enum rd_err config_sample(struct buf *out) {
    size_t count;
    const struct config_directive *directives = config_directives(&count);
    enum rd_err err =
        buf_printf(out, "# Redynamo's configuration: every directive with its default value.\n"
                        "# Start with: redynamo-server redynamo.conf\n"
                        "# Sizes: 1k = 1000, 1kb = 1024, 1m, 1mb, 1g, 1gb bytes. \"include FILE\" "
                        "reads another file.\n"
                        "# redynamo.conf(5) says more.\n\n");
    for (size_t i = 0; i < count && err == RD_OK; i++) {
        err = sample_directive(out, &directives[i]);
    }
    return err;
}
