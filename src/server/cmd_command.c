/* COMMAND and its subcommands: the table shows itself. */
#include <string.h>

#include "base/text.h"
#include "server/call.h"
#include "server/client_list.h"
#include "server/command_docs.h"
#include "server/command_table.h"
#include "server/commands.h"

enum call_progress cmd_command(struct call *call) {
    const struct command_table *table = call->clients->commands;
    struct resp_writer *w = call_reply(call);
    resp_write_array(w, table->count);
    for (size_t i = 0; i < table->count; i++) {
        command_write_info(&table->rows[i], w);
    }
    return CALL_DONE;
}

enum call_progress cmd_command_count(struct call *call) {
    const struct command_table *table = call->clients->commands;
    resp_write_int(call_reply(call), (int64_t)table->count);
    return CALL_DONE;
}

enum call_progress cmd_command_info(struct call *call) {
    if (call->argc == 2) {
        return cmd_command(call);
    }
    struct resp_writer *w = call_reply(call);
    resp_write_array(w, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++) {
        const struct command *row =
            command_find_full(call->clients->commands, call->argv[i].data, call->argv[i].len);
        if (row == NULL) {
            resp_write_null(w);
        } else {
            command_write_info(row, w);
        }
    }
    return CALL_DONE;
}

enum call_progress cmd_command_docs(struct call *call) {
    struct resp_writer *w = call_reply(call);
    struct resp_deferred map;
    resp_write_open(w, &map);
    if (call->argc == 2) {
        const struct command_table *table = call->clients->commands;
        for (size_t i = 0; i < table->count; i++) {
            command_write_docs(&table->rows[i], w);
        }
    }
    for (size_t i = 2; i < call->argc; i++) {
        const struct command *row =
            command_find_full(call->clients->commands, call->argv[i].data, call->argv[i].len);
        if (row != NULL) {
            command_write_docs(row, w);
        }
    }
    resp_write_close_map(w, &map);
    return CALL_DONE;
}

/* What COMMAND LIST FILTERBY asks for. */
struct filter {
    enum { FILTER_NONE, FILTER_MODULE, FILTER_CATEGORY, FILTER_PATTERN } kind;
    const struct resp_slice *argument;
};

static bool passes(const struct filter *filter, const struct command *row) {
    switch (filter->kind) {
    case FILTER_MODULE:
        return false; /* there are none */
    case FILTER_CATEGORY:
        return command_in_category(row, filter->argument->data, filter->argument->len);
    case FILTER_PATTERN:
        return text_glob((const char *)filter->argument->data, filter->argument->len, row->name,
                         strlen(row->name), 1) != 0;
    default:
        return true;
    }
}

enum call_progress cmd_command_list(struct call *call) {
    struct filter filter = {FILTER_NONE, NULL};
    if (call->argc == 5 && call_arg_is(call, 2, "filterby")) {
        filter.argument = &call->argv[4];
        filter.kind = call_arg_is(call, 3, "module")    ? FILTER_MODULE
                      : call_arg_is(call, 3, "aclcat")  ? FILTER_CATEGORY
                      : call_arg_is(call, 3, "pattern") ? FILTER_PATTERN
                                                        : FILTER_NONE;
    }
    if (call->argc != 2 && filter.kind == FILTER_NONE) {
        return call_error(call, "ERR syntax error");
    }
    struct resp_writer *w = call_reply(call);
    struct resp_deferred names;
    resp_write_open(w, &names);
    const struct command_table *table = call->clients->commands;
    for (size_t i = 0; i < (filter.kind == FILTER_NONE ? table->count : command_total(table));
         i++) {
        const struct command *row = command_by_ordinal(table, i);
        if (passes(&filter, row)) {
            resp_write_text(w, row->name);
        }
    }
    resp_write_close_array(w, &names);
    return CALL_DONE;
}

static enum call_progress getkeys(struct call *call, bool with_flags) {
    const struct resp_slice *argv = call->argv + 2;
    size_t argc = call->argc - 2;
    const struct command *parent = NULL;
    const struct command *row = command_resolve(call->clients->commands, argv, argc, &parent);
    if (row == NULL) {
        return call_error(call, "ERR Invalid command specified");
    }
    if (row->first_key == 0) {
        return call_error(call, "ERR The command has no key arguments");
    }
    if (!command_arity_ok(row, argc)) {
        return call_error(call, "ERR Invalid number of arguments specified for command");
    }
    struct command_keys keys = command_keys(row, argc);
    struct resp_writer *w = call_reply(call);
    resp_write_array(w, keys.count);
    for (size_t i = 0; i < keys.count; i++) {
        const struct resp_slice *key = &argv[keys.first + i * keys.step];
        if (with_flags) {
            resp_write_array(w, 2);
        }
        resp_write_bulk(w, key->data, key->len);
        if (with_flags) {
            command_write_key_flags(row, w);
        }
    }
    return CALL_DONE;
}

enum call_progress cmd_command_getkeys(struct call *call) {
    return getkeys(call, false);
}

enum call_progress cmd_command_getkeysandflags(struct call *call) {
    return getkeys(call, true);
}

static enum call_progress help(struct call *call, const char *container) {
    command_write_help(command_find(call->clients->commands, container, strlen(container)),
                       call_reply(call));
    return CALL_DONE;
}

enum call_progress cmd_command_help(struct call *call) {
    return help(call, "command");
}

enum call_progress cmd_client_help(struct call *call) {
    return help(call, "client");
}

enum call_progress cmd_cluster_help(struct call *call) {
    return help(call, "cluster");
}

enum call_progress cmd_config_help(struct call *call) {
    return help(call, "config");
}

enum call_progress cmd_object_help(struct call *call) {
    return help(call, "object");
}

enum call_progress cmd_memory_help(struct call *call) {
    return help(call, "memory");
}

enum call_progress cmd_dyncluster_help(struct call *call) {
    return help(call, "dyncluster");
}
