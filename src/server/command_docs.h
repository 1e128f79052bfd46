/* The table as COMMAND, COMMAND DOCS, HELP and doc/commands.md show it. */
#ifndef RD_SERVER_COMMAND_DOCS_H
#define RD_SERVER_COMMAND_DOCS_H

#include "base/buf.h"
#include "base/err.h"
#include "resp/writer.h"
#include "server/command_table.h"

/* Writes the entry of one row in COMMAND and COMMAND INFO, with its subcommands. */
void command_write_info(const struct command *row, struct resp_writer *w);

/* Writes the name of one row and its map of COMMAND DOCS. */
void command_write_docs(const struct command *row, struct resp_writer *w);

/* Writes the flags of the row's keys, as COMMAND GETKEYSANDFLAGS shows them; asserts that the row has keys. */
void command_write_key_flags(const struct command *row, struct resp_writer *w);

/* Writes the reply of a container's HELP. */
void command_write_help(const struct command *container, struct resp_writer *w);

/* True if the row belongs to the access category `name` ("read", without @, any case). */
bool command_in_category(const struct command *row, const void *name, size_t len);

/* Appends the whole `table` as a Markdown document. Error: RD_ENOMEM. */
enum rd_err command_markdown(const struct command_table *table, struct buf *out);

#endif
