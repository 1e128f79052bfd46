/* Finding a command in a table and asking its row; the rows themselves are in command_rows.c. */
#include "server/command_table.h"

#include <assert.h>
#include <string.h>

#define LONGEST_NAME 32

/* Compares the lower-cased `name` with a row's name behind its first `skip` bytes, as strcmp does. */
static int compare_name(const char *lower, size_t len, const char *row_name, size_t skip) {
    const char *text = row_name + skip;
    size_t text_len = strlen(text);
    int order = memcmp(lower, text, len < text_len ? len : text_len);
    if (order != 0) {
        return order;
    }
    return len < text_len ? -1 : len > text_len;
}

/* Binary search in sorted rows whose names share their first `skip` bytes. */
static const struct command *find_in(const struct command *table, size_t count, size_t skip,
                                     const void *name, size_t len) {
    char lower[LONGEST_NAME];
    if (len == 0 || len > sizeof(lower)) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        char c = ((const char *)name)[i];
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_name(lower, len, table[middle].name, skip);
        if (order == 0) {
            return &table[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct command *command_find(const struct command_table *table, const void *name,
                                   size_t len) {
    return find_in(table->rows, table->count, 0, name, len);
}

const struct command *command_find_sub(const struct command *parent, const void *name, size_t len) {
    return find_in(parent->subcommands, parent->subcommand_count, strlen(parent->name) + 1, name,
                   len);
}

const struct command *command_find_full(const struct command_table *table, const void *name,
                                        size_t len) {
    const char *bar = memchr(name, '|', len);
    if (bar == NULL) {
        return command_find(table, name, len);
    }
    size_t parent_len = (size_t)(bar - (const char *)name);
    const struct command *parent = command_find(table, name, parent_len);
    return parent == NULL ? NULL : command_find_sub(parent, bar + 1, len - parent_len - 1);
}

const struct command *command_resolve(const struct command_table *table,
                                      const struct resp_slice *argv, size_t argc,
                                      const struct command **parent) {
    assert(argc > 0);
    const struct command *row = command_find(table, argv[0].data, argv[0].len);
    *parent = row;
    if (row == NULL || row->subcommand_count == 0 || argc == 1) {
        return row;
    }
    return command_find_sub(row, argv[1].data, argv[1].len);
}

bool command_is(const struct command_table *table, const struct command *row,
                struct resp_slice name) {
    if (row == NULL || row < table->rows || row >= table->rows + table->count ||
        row->subcommand_count > 0) {
        return false;
    }
    size_t i = 0;
    for (; i < name.len && row->name[i] != '\0'; i++) {
        uint8_t c = name.data[i];
        if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != (uint8_t)row->name[i]) {
            return false;
        }
    }
    return i == name.len && row->name[i] == '\0';
}

bool command_arity_ok(const struct command *row, size_t argc) {
    return row->arity >= 0 ? argc == (size_t)row->arity : argc >= (size_t)-row->arity;
}

size_t command_total(const struct command_table *table) {
    size_t total = table->count;
    for (size_t i = 0; i < table->count; i++) {
        total += table->rows[i].subcommand_count;
    }
    return total;
}

size_t command_ordinal(const struct command_table *table, const struct command *row) {
    if (row >= table->rows && row < table->rows + table->count) {
        return (size_t)(row - table->rows);
    }
    size_t before = table->count;
    for (size_t i = 0; i < table->count; i++) {
        const struct command *subs = table->rows[i].subcommands;
        if (subs != NULL && row >= subs && row < subs + table->rows[i].subcommand_count) {
            return before + (size_t)(row - subs);
        }
        before += table->rows[i].subcommand_count;
    }
    assert(!"a row of the table");
    return 0;
}

const struct command *command_by_ordinal(const struct command_table *table, size_t ordinal) {
    if (ordinal < table->count) {
        return &table->rows[ordinal];
    }
    ordinal -= table->count;
    size_t i = 0;
    while (i < table->count && ordinal >= table->rows[i].subcommand_count) {
        ordinal -= table->rows[i].subcommand_count;
        i++;
    }
    assert(i < table->count);
    return &table->rows[i].subcommands[ordinal];
}

struct command_keys command_keys(const struct command *row, size_t argc) {
    struct command_keys keys = {0, 0, 0};
    if (row->first_key == 0) {
        return keys;
    }
    assert(command_arity_ok(row, argc));
    int64_t last = row->last_key >= 0 ? row->last_key : (int64_t)argc + row->last_key;
    assert(last >= row->first_key && last < (int64_t)argc);
    keys.first = (size_t)row->first_key;
    keys.step = (size_t)row->key_step;
    keys.count = (size_t)(last - row->first_key) / keys.step + 1;
    return keys;
}
