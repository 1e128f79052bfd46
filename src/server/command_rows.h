/* The table of Redynamo's commands. */
#ifndef RD_SERVER_COMMAND_ROWS_H
#define RD_SERVER_COMMAND_ROWS_H

#include "server/command_table.h"

/* All commands. Static. */
const struct command_table *command_rows(void);

#endif
