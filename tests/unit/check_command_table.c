/* server/command_table and command_syntax: the rows keep their promises, lookups find them, documentation is complete. */
#include "server/command_table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resp/reader.h"
#include "server/command_docs.h"
#include "server/command_notes.h"
#include "server/command_rows.h"
#include "server/command_syntax.h"
#include "tests/lib/run.h"

static const char *const groups[] = {"bitmap",     "string",  "generic", "dynamo",
                                     "connection", "cluster", "server"};

static void check_row(const struct command *row, const char *after) {
    ck_assert_msg(after == NULL || strcmp(after, row->name) < 0, "%s behind %s", row->name, after);
    for (const char *at = row->name; *at != '\0'; at++) {
        ck_assert_msg(islower((unsigned char)*at) || *at == '|' || *at == '_', "%s", row->name);
    }
    ck_assert_msg(row->run != NULL || row->subcommand_count > 0, "%s does nothing", row->name);
    ck_assert_int_ne(row->arity, 0);
    ck_assert_ptr_nonnull(row->since);
    ck_assert_ptr_nonnull(row->complexity);
    ck_assert_ptr_nonnull(row->summary);
    ck_assert_msg(row->summary[strlen(row->summary) - 1] == '.', "%s: a sentence ends with a dot",
                  row->name);
    bool known = false;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        known |= strcmp(groups[i], row->group) == 0;
    }
    ck_assert_msg(known, "%s: group %s", row->name, row->group);
    ck_assert_msg((row->flags & COMMAND_WRITE) == 0 || (row->flags & COMMAND_READONLY) == 0, "%s",
                  row->name);
    ck_assert_msg((row->first_key != 0) == (row->key_flags != NULL), "%s", row->name);
    if (row->first_key != 0) {
        int least = row->arity > 0 ? row->arity : -row->arity;
        int last = row->last_key < 0 ? least + row->last_key : row->last_key;
        ck_assert_int_ge(row->first_key, 1);
        ck_assert_int_ge(row->key_step, 1);
        ck_assert_msg(last >= row->first_key && last < least, "%s: keys outside the smallest call",
                      row->name);
        ck_assert_msg((row->flags & (COMMAND_WRITE | COMMAND_READONLY)) != 0,
                      "%s: writes or reads?", row->name);
    }
}

START_TEST(rows_keep_their_promises) {
    const struct command *rows = command_rows()->rows;
    size_t count = command_rows()->count;
    for (size_t i = 0; i < count; i++) {
        check_row(&rows[i], i > 0 ? rows[i - 1].name : NULL);
        for (size_t j = 0; j < rows[i].subcommand_count; j++) {
            const struct command *sub = &rows[i].subcommands[j];
            check_row(sub, j > 0 ? sub[-1].name : NULL);
            size_t len = strlen(rows[i].name);
            ck_assert_msg(strncmp(sub->name, rows[i].name, len) == 0 && sub->name[len] == '|', "%s",
                          sub->name);
            ck_assert_ptr_nonnull(sub->run);
        }
    }
}
END_TEST

START_TEST(ordinals_name_every_row_once) {
    for (size_t i = 0; i < command_total(command_rows()); i++) {
        ck_assert_uint_eq(command_ordinal(command_rows(), command_by_ordinal(command_rows(), i)),
                          i);
    }
}
END_TEST

START_TEST(finds_every_row_in_any_case) {
    for (size_t i = 0; i < command_total(command_rows()); i++) {
        const struct command *row = command_by_ordinal(command_rows(), i);
        char name[64];
        for (size_t j = 0; j <= strlen(row->name); j++) {
            name[j] = j % 2 == 0 ? (char)toupper((unsigned char)row->name[j]) : row->name[j];
        }
        ck_assert_ptr_eq(command_find_full(command_rows(), name, strlen(name)), row);
        ck_assert_ptr_null(command_find_full(command_rows(), name, strlen(name) - 1));
    }
    const char *const unknown[] = {
        "",     "g",          "gett",
        "get|", "client|",    "|",
        "zzz",  "client|idx", "a-name-that-is-longer-than-all-names-are"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        ck_assert_ptr_null(command_find_full(command_rows(), unknown[i], strlen(unknown[i])));
    }
}
END_TEST

static size_t words_to_argv(const char *words, struct resp_slice *argv) {
    size_t argc = 0;
    for (const char *at = words; *at != '\0'; argc++) {
        size_t len = strcspn(at, " ");
        argv[argc] = (struct resp_slice){.data = (const uint8_t *)at, .len = len};
        at += len + (at[len] == ' ');
    }
    return argc;
}

START_TEST(finds_keys) {
    static const struct {
        const char *words;
        size_t first, step, count;
    } cases[] = {
        {"get a", 1, 1, 1},
        {"set a b ex 1", 1, 1, 1},
        {"mget a b c", 1, 1, 3},
        {"mset a 1 b 2", 1, 2, 2},
        {"mset a 1 b", 1, 2, 2},
        {"del a", 1, 1, 1},
        {"ping", 0, 0, 0},
        {"dynset k v context x", 1, 1, 1},
        {"cluster keyslot a", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct resp_slice argv[8];
        size_t argc = words_to_argv(cases[i].words, argv);
        const struct command *parent = NULL;
        const struct command *row = command_resolve(command_rows(), argv, argc, &parent);
        ck_assert_ptr_nonnull(row);
        ck_assert(command_arity_ok(row, argc));
        struct command_keys keys = command_keys(row, argc);
        ck_assert_uint_eq(keys.first, cases[i].first);
        ck_assert_uint_eq(keys.step, cases[i].step);
        ck_assert_uint_eq(keys.count, cases[i].count);
    }
}
END_TEST

START_TEST(checks_arity) {
    ck_assert(command_arity_ok(command_find(command_rows(), "get", 3), 2));
    ck_assert(!command_arity_ok(command_find(command_rows(), "get", 3), 1));
    ck_assert(!command_arity_ok(command_find(command_rows(), "get", 3), 3));
    ck_assert(command_arity_ok(command_find(command_rows(), "set", 3), 3));
    ck_assert(command_arity_ok(command_find(command_rows(), "set", 3), 30));
    ck_assert(!command_arity_ok(command_find(command_rows(), "set", 3), 2));
}
END_TEST

/* ---- syntax lines ----------------------------------------------------------------------------------- */

static void check_usage(const char *line, const char *usage) {
    struct syntax syntax;
    struct buf out = {0};
    syntax_parse(line, &syntax);
    ck_assert_int_eq(syntax_usage(&syntax, &out), RD_OK);
    ck_assert_int_eq(buf_append(&out, "", 1), RD_OK);
    ck_assert_str_eq((const char *)buf_data(&out), usage);
    buf_free(&out);
}

START_TEST(usage_reads_well) {
    check_usage(NULL, "");
    check_usage("key", "key");
    check_usage("key...", "key [key ...]");
    check_usage("[section...]", "[section [section ...]]");
    check_usage("<data: key value>...", "key value [key value ...]");
    check_usage("key [CONTEXT context] [W w]", "key [CONTEXT context] [W w]");
    check_usage("[expiration: EX seconds|PX milliseconds]", "[EX seconds | PX milliseconds]");
    check_usage("[auth: AUTH username password]", "[AUTH username password]");
    check_usage("[MONOTONIC <monotonic: YES|NO>]", "[MONOTONIC <YES | NO>]");
    check_usage("<action: ON|OFF|SKIP>", "<ON | OFF | SKIP>");
    check_usage("<parameter:pattern>...", "parameter [parameter ...]");
}
END_TEST

static void check_arguments(const char *line, const char *wire) {
    struct syntax syntax;
    struct buf out = {0};
    struct resp_writer w;
    syntax_parse(line, &syntax);
    resp_writer_init(&w, &out, 3);
    syntax_write(&syntax, &w);
    ck_assert_int_eq(resp_writer_end(&w), RD_OK);
    ck_assert_int_eq(buf_append(&out, "", 1), RD_OK);
    ck_assert_str_eq((const char *)buf_data(&out), wire);
    buf_free(&out);
}

START_TEST(arguments_have_redis_shape) {
    check_arguments("key", "*1\r\n%4\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n$"
                           "12\r\ndisplay_text\r\n$3\r\nkey\r\n"
                           "$14\r\nkey_spec_index\r\n:0\r\n");
    check_arguments("[NOW]",
                    "*1\r\n%5\r\n$4\r\nname\r\n$3\r\nnow\r\n$4\r\ntype\r\n$10\r\npure-token\r\n$"
                    "12\r\ndisplay_text\r\n"
                    "$3\r\nnow\r\n$5\r\ntoken\r\n$3\r\nNOW\r\n$5\r\nflags\r\n~1\r\n+optional\r\n");
    check_arguments("[x: EX seconds|NOW]",
                    "*1\r\n%4\r\n$4\r\nname\r\n$1\r\nx\r\n$4\r\ntype\r\n$5\r\noneof\r\n$"
                    "5\r\nflags\r\n~1\r\n+optional\r\n"
                    "$9\r\narguments\r\n*2\r\n"
                    "%4\r\n$4\r\nname\r\n$7\r\nseconds\r\n$4\r\ntype\r\n$7\r\ninteger\r\n$"
                    "12\r\ndisplay_text\r\n$7\r\nseconds\r\n"
                    "$5\r\ntoken\r\n$2\r\nEX\r\n"
                    "%4\r\n$4\r\nname\r\n$3\r\nnow\r\n$4\r\ntype\r\n$10\r\npure-token\r\n$"
                    "12\r\ndisplay_text\r\n$3\r\nnow\r\n"
                    "$5\r\ntoken\r\n$3\r\nNOW\r\n");
    check_arguments("[auth: AUTH username password]",
                    "*1\r\n%5\r\n$4\r\nname\r\n$4\r\nauth\r\n$4\r\ntype\r\n$5\r\nblock\r\n$"
                    "5\r\ntoken\r\n$4\r\nAUTH\r\n"
                    "$5\r\nflags\r\n~1\r\n+optional\r\n$9\r\narguments\r\n*2\r\n"
                    "%3\r\n$4\r\nname\r\n$8\r\nusername\r\n$4\r\ntype\r\n$6\r\nstring\r\n$"
                    "12\r\ndisplay_text\r\n$8\r\nusername\r\n"
                    "%3\r\n$4\r\nname\r\n$8\r\npassword\r\n$4\r\ntype\r\n$6\r\nstring\r\n$"
                    "12\r\ndisplay_text\r\n$8\r\npassword\r\n");
}
END_TEST

/* What a reply of the table must be: ten elements, of the types clients count on. */
START_TEST(info_and_docs_are_well_formed) {
    struct resp_reader_limits limits;
    resp_reader_limits_default(&limits);
    for (size_t i = 0; i < 2 * command_total(command_rows()); i++) {
        const struct command *row = command_by_ordinal(command_rows(), i / 2);
        struct buf out = {0};
        struct resp_writer w;
        resp_writer_init(&w, &out, i % 2 == 0 ? 2 : 3);
        resp_write_array(&w, 3);
        command_write_info(row, &w);
        command_write_docs(row, &w);
        ck_assert_int_eq(resp_writer_end(&w), RD_OK);
        struct resp_reader reader;
        resp_reader_init(&reader, &limits);
        size_t consumed = 0;
        const struct resp_value *root = NULL;
        ck_assert_int_eq(resp_reader_read(&reader, buf_data(&out), buf_len(&out), &consumed, &root),
                         RD_OK);
        ck_assert_uint_eq(consumed, buf_len(&out));
        const struct resp_value *info = resp_value_child(root, 0);
        ck_assert_uint_eq(info->count, 10);
        ck_assert(resp_value_is(resp_value_child(info, 0), row->name));
        ck_assert_int_eq(resp_value_child(info, 1)->integer, row->arity);
        ck_assert_int_eq(resp_value_child(info, 3)->integer, row->first_key);
        const struct resp_value *docs = resp_value_child(root, 2);
        ck_assert(resp_value_is(resp_value_lookup(docs, "group"), row->group));
        ck_assert(resp_value_is(resp_value_lookup(docs, "since"), row->since));
        resp_reader_free(&reader);
        buf_free(&out);
    }
}
END_TEST

/* True if the name is one of those listed, with spaces around. */
static bool is_listed(const char *names, const char *name) {
    size_t len = strlen(name);
    for (const char *at = strstr(names, name); at != NULL; at = strstr(at + 1, name)) {
        if ((at == names || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' ')) {
            return true;
        }
    }
    return false;
}

/* A remark on a command that nobody knows is a misspelled one. */
START_TEST(remarks_are_on_commands) {
    size_t note_count, absence_count;
    const struct command_note *notes = command_notes(&note_count);
    const struct command_absence *absences = command_absences(&absence_count);
    for (size_t i = 0; i < note_count; i++) {
        bool known =
            command_find_full(command_rows(), notes[i].name, strlen(notes[i].name)) != NULL;
        for (size_t j = 0; j < absence_count; j++) {
            known = known || is_listed(absences[j].names, notes[i].name);
        }
        ck_assert_msg(known, "a note on %s", notes[i].name);
        ck_assert_msg(i == 0 || strcmp(notes[i - 1].name, notes[i].name) < 0, "%s is out of order",
                      notes[i].name);
    }
}
END_TEST

/* doc/commands.md is what the table says; UPDATE_DOCS=1 in the environment writes it anew. */
START_TEST(the_document_is_up_to_date) {
    struct buf wanted = {0}, found = {0};
    char path[4096];
    ck_assert_int_eq(command_markdown(command_rows(), &wanted), RD_OK);
    const char *folder = getenv("TOP_SRCDIR");
    snprintf(path, sizeof(path), "%s/doc/commands.md", folder == NULL ? "." : folder);
    if (getenv("UPDATE_DOCS") != NULL) {
        FILE *file = fopen(path, "we");
        ck_assert_ptr_nonnull(file);
        ck_assert_uint_eq(fwrite(buf_data(&wanted), 1, buf_len(&wanted), file), buf_len(&wanted));
        ck_assert_int_eq(fclose(file), 0);
    }
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "%s cannot be read", path);
    char piece[4096];
    for (size_t got; (got = fread(piece, 1, sizeof(piece), file)) > 0;) {
        ck_assert_int_eq(buf_append(&found, piece, got), RD_OK);
    }
    fclose(file);
    ck_assert_msg(buf_len(&found) == buf_len(&wanted) &&
                      memcmp(buf_data(&found), buf_data(&wanted), buf_len(&wanted)) == 0,
                  "doc/commands.md is not what the table says; UPDATE_DOCS=1 writes it anew");
    buf_free(&wanted);
    buf_free(&found);
}
END_TEST

START_TEST(categories_follow_flags) {
    ck_assert(command_in_category(command_find(command_rows(), "get", 3), "READ", 4));
    ck_assert(!command_in_category(command_find(command_rows(), "get", 3), "write", 5));
    ck_assert(command_in_category(command_find(command_rows(), "shutdown", 8), "dangerous", 9));
    ck_assert(command_in_category(command_find(command_rows(), "set", 3), "slow", 4));
    ck_assert(!command_in_category(command_find(command_rows(), "set", 3), "nonsense", 8));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("command_table");
    TCase *tcase = tcase_create("command_table");
    tcase_add_test(tcase, rows_keep_their_promises);
    tcase_add_test(tcase, ordinals_name_every_row_once);
    tcase_add_test(tcase, finds_every_row_in_any_case);
    tcase_add_test(tcase, finds_keys);
    tcase_add_test(tcase, checks_arity);
    tcase_add_test(tcase, usage_reads_well);
    tcase_add_test(tcase, arguments_have_redis_shape);
    tcase_add_test(tcase, info_and_docs_are_well_formed);
    tcase_add_test(tcase, remarks_are_on_commands);
    tcase_add_test(tcase, the_document_is_up_to_date);
    tcase_add_test(tcase, categories_follow_flags);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
