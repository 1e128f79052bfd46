/* A table of commands: rows sorted by name, and how to find one. Whoever needs it is given it (clients->commands), so that
 * nothing below the commands depends on them. */
#ifndef RD_SERVER_COMMAND_TABLE_H
#define RD_SERVER_COMMAND_TABLE_H

#include "resp/slice.h"
#include "server/command.h"

struct command_table {
    const struct command
        *rows; /* without subcommands, which their parents hold; sorted by name, as those are */
    size_t count;
};

/* The row named by `name`, in any case, or NULL. */
const struct command *command_find(const struct command_table *table, const void *name, size_t len);

/* The subcommand of `parent` named by `name` ("id", in any case), or NULL. */
const struct command *command_find_sub(const struct command *parent, const void *name, size_t len);

/* The row named "get" or "client|id", in any case, or NULL. */
const struct command *command_find_full(const struct command_table *table, const void *name,
                                        size_t len);

/* The row that the arguments call: a subcommand's if the command has some and the second argument names one.
 * `*parent`: the row of the first argument, NULL if it names none. NULL if nothing is named. */
const struct command *command_resolve(const struct command_table *table,
                                      const struct resp_slice *argv, size_t argc,
                                      const struct command **parent);

/* True if `row` (may be NULL) is what command_resolve finds for any arguments that begin with `name`: a quicker look at the
 * command that a client called last. */
bool command_is(const struct command_table *table, const struct command *row,
                struct resp_slice name);

/* True if `row` may be called with `argc` arguments, its name included. */
bool command_arity_ok(const struct command *row, size_t argc);

/* Rows and subcommands together; command_ordinal numbers them 0.. in a fixed order. */
size_t command_total(const struct command_table *table);
size_t command_ordinal(const struct command_table *table, const struct command *row);

/* The row with that number; asserts ordinal < command_total. */
const struct command *command_by_ordinal(const struct command_table *table, size_t ordinal);

/* Which arguments of a call are keys: first, first + step, ... up to and including last. count 0: none. */
struct command_keys {
    size_t first, step, count;
};

/* Where the keys of a call with `argc` arguments are; asserts command_arity_ok. */
struct command_keys command_keys(const struct command *row, size_t argc);

#endif
