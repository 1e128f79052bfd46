/* Shows the command table: the shapes are Redis 7.2's, the words come from the rows. */
#include "server/command_docs.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "server/command_notes.h"
#include "server/command_syntax.h"
#include "server/command_table.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const flag_names[COMMAND_SHOWN_FLAGS] = {
    "write", "readonly", "denyoom", "admin",    "noscript",  "loading",
    "stale", "fast",     "no_auth", "no_multi", "allow_busy"};

/* In the order of Redis's replies. */
static const char *const categories[] = {"keyspace", "read", "write", "bitmap",    "string",
                                         "admin",    "fast", "slow",  "dangerous", "connection"};
#define CATEGORIES COUNT(categories)

static bool in_category(const struct command *row, size_t category) {
    switch (category) {
    case 0:
        return (row->acl & COMMAND_ACL_KEYSPACE) != 0;
    case 1:
        return (row->flags & COMMAND_READONLY) != 0;
    case 2:
        return (row->flags & COMMAND_WRITE) != 0;
    case 3:
        return (row->acl & COMMAND_ACL_BITMAP) != 0;
    case 4:
        return (row->acl & COMMAND_ACL_STRING) != 0;
    case 5:
        return (row->flags & COMMAND_ADMIN) != 0;
    case 6:
        return (row->flags & COMMAND_FAST) != 0;
    case 7:
        return (row->flags & COMMAND_FAST) == 0;
    case 8:
        return (row->flags & COMMAND_ADMIN) != 0 || (row->acl & COMMAND_ACL_DANGEROUS) != 0;
    default:
        return (row->acl & COMMAND_ACL_CONNECTION) != 0;
    }
}

bool command_in_category(const struct command *row, const void *name, size_t len) {
    for (size_t i = 0; i < CATEGORIES; i++) {
        if (len == strlen(categories[i]) && strncasecmp(name, categories[i], len) == 0) {
            return in_category(row, i);
        }
    }
    return false;
}

/* Writes the words of `text`, separated by spaces, as a set; `simple`: as simple strings. */
static void write_words(const char *text, bool simple, struct resp_writer *w) {
    size_t count = 0;
    for (const char *at = text; at != NULL && *at != '\0';
         at = strchr(at, ' ') == NULL ? NULL : strchr(at, ' ') + 1) {
        count++;
    }
    resp_write_set(w, count);
    const char *at = text;
    for (size_t i = 0; i < count; i++) {
        char word[64];
        size_t len = strcspn(at, " ");
        assert(len < sizeof(word));
        snprintf(word, sizeof(word), "%.*s", (int)len, at);
        if (simple) {
            resp_write_simple(w, word);
        } else {
            resp_write_text(w, word);
        }
        at += len + 1;
    }
}

static void write_flags(const struct command *row, struct resp_writer *w) {
    struct resp_deferred set;
    resp_write_open(w, &set);
    for (size_t i = 0; i < COMMAND_SHOWN_FLAGS; i++) {
        if ((row->flags & (1u << i)) != 0) {
            resp_write_simple(w, flag_names[i]);
        }
    }
    resp_write_close_set(w, &set);
}

static void write_categories(const struct command *row, struct resp_writer *w) {
    struct resp_deferred set;
    resp_write_open(w, &set);
    for (size_t i = 0; i < CATEGORIES; i++) {
        if (in_category(row, i)) {
            char name[32];
            snprintf(name, sizeof(name), "@%s", categories[i]);
            resp_write_simple(w, name);
        }
    }
    resp_write_close_set(w, &set);
}

void command_write_key_flags(const struct command *row, struct resp_writer *w) {
    assert(row->key_flags != NULL);
    write_words(row->key_flags, true, w);
}

static void write_key_specs(const struct command *row, struct resp_writer *w) {
    resp_write_set(w, row->first_key != 0);
    if (row->first_key == 0) {
        return;
    }
    resp_write_map(w, 3);
    resp_write_text(w, "flags");
    command_write_key_flags(row, w);
    resp_write_text(w, "begin_search");
    resp_write_map(w, 2);
    resp_write_text(w, "type");
    resp_write_text(w, "index");
    resp_write_text(w, "spec");
    resp_write_map(w, 1);
    resp_write_text(w, "index");
    resp_write_int(w, row->first_key);
    resp_write_text(w, "find_keys");
    resp_write_map(w, 2);
    resp_write_text(w, "type");
    resp_write_text(w, "range");
    resp_write_text(w, "spec");
    resp_write_map(w, 3);
    resp_write_text(w, "lastkey");
    resp_write_int(w, row->last_key < 0 ? row->last_key : row->last_key - row->first_key);
    resp_write_text(w, "keystep");
    resp_write_int(w, row->key_step);
    resp_write_text(w, "limit");
    resp_write_int(w, 0);
}

void command_write_info(const struct command *row, struct resp_writer *w) {
    resp_write_array(w, 10);
    resp_write_text(w, row->name);
    resp_write_int(w, row->arity);
    write_flags(row, w);
    resp_write_int(w, row->first_key);
    resp_write_int(w, row->last_key);
    resp_write_int(w, row->key_step);
    write_categories(row, w);
    write_words(row->tips, false, w);
    write_key_specs(row, w);
    resp_write_set(w, row->subcommand_count);
    for (size_t i = 0; i < row->subcommand_count; i++) {
        command_write_info(&row->subcommands[i], w);
    }
}

void command_write_docs(const struct command *row, struct resp_writer *w) {
    struct syntax syntax;
    syntax_parse(row->syntax, &syntax);
    bool has_arguments = syntax_count(&syntax) > 0;
    resp_write_text(w, row->name);
    resp_write_map(w, 4 + (size_t)has_arguments + (row->subcommand_count > 0));
    resp_write_text(w, "summary");
    resp_write_text(w, row->summary);
    resp_write_text(w, "since");
    resp_write_text(w, row->since);
    resp_write_text(w, "group");
    resp_write_text(w, row->group);
    resp_write_text(w, "complexity");
    resp_write_text(w, row->complexity);
    if (has_arguments) {
        resp_write_text(w, "arguments");
        syntax_write(&syntax, w);
    }
    if (row->subcommand_count > 0) {
        resp_write_text(w, "subcommands");
        resp_write_map(w, row->subcommand_count);
        for (size_t i = 0; i < row->subcommand_count; i++) {
            command_write_docs(&row->subcommands[i], w);
        }
    }
}

/* Copies `name` in capitals, the bar of a subcommand becoming a space. */
static void upper_name(const char *name, char out[64]) {
    size_t i = 0;
    for (; name[i] != '\0' && i < 63; i++) {
        char c = name[i];
        out[i] = (char)(c == '|' ? ' ' : c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c);
    }
    out[i] = '\0';
}

static enum rd_err append_usage(const struct command *row, struct buf *out) {
    struct syntax syntax;
    syntax_parse(row->syntax, &syntax);
    if (syntax_count(&syntax) == 0) {
        return RD_OK;
    }
    enum rd_err err = buf_printf(out, " ");
    return err != RD_OK ? err : syntax_usage(&syntax, out);
}

void command_write_help(const struct command *container, struct resp_writer *w) {
    char name[64];
    upper_name(container->name, name);
    char line[256];
    resp_write_array(w, 1 + 2 * container->subcommand_count);
    snprintf(line, sizeof(line),
             "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
    resp_write_simple(w, line);
    for (size_t i = 0; i < container->subcommand_count; i++) {
        const struct command *row = &container->subcommands[i];
        upper_name(row->name + strlen(container->name) + 1, name);
        struct buf usage = {0};
        bool shown = append_usage(row, &usage) == RD_OK;
        snprintf(line, sizeof(line), "%s%.*s", name, shown ? (int)buf_len(&usage) : 0,
                 (const char *)buf_data(&usage));
        buf_free(&usage);
        resp_write_simple(w, line);
        snprintf(line, sizeof(line), "    %s", row->summary);
        resp_write_simple(w, line);
    }
}

/* ---- doc/commands.md -------------------------------------------------------------------------------- */

/* What a command does otherwise than in Redis; NULL: nothing worth a word. */
static const char *note_on(const struct command *row) {
    size_t count;
    const struct command_note *notes = command_notes(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(notes[i].name, row->name) == 0) {
            return notes[i].differs;
        }
    }
    return NULL;
}

static enum rd_err describe(const struct command *row, struct buf *out) {
    char name[64];
    upper_name(row->name, name);
    enum rd_err err = buf_printf(out, "- **`%s", name);
    err = err != RD_OK ? err : append_usage(row, out);
    err = err != RD_OK ? err : buf_printf(out, "`** %s *%s*\n", row->summary, row->complexity);
    const char *note = note_on(row);
    return err != RD_OK || note == NULL ? err : buf_printf(out, "  Differs: %s\n", note);
}

/* Lists the names of one absence that are not in the table; *shown: whether there are any. */
static enum rd_err describe_absence(const struct command_table *table,
                                    const struct command_absence *absence, struct buf *out,
                                    bool *shown) {
    enum rd_err err = RD_OK;
    *shown = false;
    for (const char *at = absence->names; *at != '\0' && err == RD_OK; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)len, at);
        at += len;
        if (command_find_full(table, name, len) != NULL) {
            continue;
        }
        if (!*shown) {
            err = buf_printf(out, "- **%s.** %s\n ", absence->title, absence->why);
        }
        upper_name(name, name);
        err = err != RD_OK ? err : buf_printf(out, " `%s`", name);
        *shown = true;
    }
    return err;
}

static enum rd_err describe_absences(const struct command_table *table, struct buf *out) {
    size_t count;
    const struct command_absence *absences = command_absences(&count);
    enum rd_err err =
        buf_printf(out, "\n## Redis 7.2's commands that are not here\n\n"
                        "They answer as unknown commands do: `-ERR unknown command ...`.\n\n");
    for (size_t i = 0; i < count && err == RD_OK; i++) {
        bool shown;
        err = describe_absence(table, &absences[i], out, &shown);
        if (err == RD_OK && shown) {
            err = buf_printf(out, "\n");
        }
    }
    return err;
}

static enum rd_err describe_group(const struct command_table *table, const char *group,
                                  struct buf *out) {
    const struct command *rows = table->rows;
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < table->count && err == RD_OK; i++) {
        if (strcmp(rows[i].group, group) != 0) {
            continue;
        }
        err = rows[i].run != NULL ? describe(&rows[i], out) : RD_OK;
        for (size_t j = 0; j < rows[i].subcommand_count && err == RD_OK; j++) {
            err = describe(&rows[i].subcommands[j], out);
        }
    }
    return err;
}

enum rd_err command_markdown(const struct command_table *table, struct buf *out) {
    static const struct {
        const char *name, *title, *intro;
    } groups[] = {
        {"string", "Strings", ""},
        {"bitmap", "Bitmaps", ""},
        {"generic", "Keys", ""},
        {"dynamo", "Versions, replicas and the ring",
         "A context says which values a client has seen; it is opaque, printable, and good for one "
         "key. "
         "`DYNGET` replies\n"
         "an array of the context and an array of values (RESP3: a map of `context` and `values`), "
         "values of equal "
         "bytes once.\n"
         "`DYNSIBLINGS` replies a map per sibling: `value`, `dot`, `clock`, `time` and `expires` "
         "(ms since 1970), "
         "`tombstone`.\n"
         "`DYNREPLICAS` replies a map per replica: `node`, `address`, `role`, `state`, `siblings`, "
         "`clock`, "
         "`digest`: first the\n"
         "homes, then fallbacks that keep a hint. Replicas that agree have the same digest. In "
         "RESP2 a map is an array of names and\n"
         "values.\n\n"},
        {"connection", "Connections", ""},
        {"cluster", "Cluster-aware clients", ""},
        {"server", "The server", ""},
    };
    enum rd_err err = buf_printf(out, "# Commands\n\nMade from the command table, "
                                      "src/server/command_rows.c. After a change there, run\n"
                                      "`UPDATE_DOCS=1 make check "
                                      "TESTS=tests/unit/check_command_table`.\n\n"
                                      "The yardstick is Redis 7.2: replies, arity and error texts "
                                      "are its own. Where something differs, it says so below the "
                                      "command. At the end\n"
                                      "are the commands that are not here, and why.\n");
    for (size_t i = 0; i < COUNT(groups) && err == RD_OK; i++) {
        err = buf_printf(out, "\n## %s\n\n%s", groups[i].title, groups[i].intro);
        err = err != RD_OK ? err : describe_group(table, groups[i].name, out);
    }
    return err != RD_OK ? err : describe_absences(table, out);
}
