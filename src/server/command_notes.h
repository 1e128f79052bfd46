/* What doc/commands.md says beyond the command table: where a command differs from Redis 7.2 and why, and which of Redis's commands are not
 * here, and why not. Words only; nothing at run time looks at them.
 */
#ifndef RD_SERVER_COMMAND_NOTES_H
#define RD_SERVER_COMMAND_NOTES_H

#include <stddef.h>

/* One remark on a command ("get", "client|id"). */
struct command_note {
    const char *name;
    const char *differs; /* a sentence or more */
};

/* Commands of Redis that are not here for one and the same reason. */
struct command_absence {
    const char *title;
    const char *names; /* separated by spaces; subcommands as "client|kill" */
    const char *why;   /* a sentence or more */
};

/* All notes; their number goes to *count. A note may be about a command that is not in the table yet. Static. */
const struct command_note *command_notes(size_t *count);

/* All absences, the same way. A command that has come into the table meanwhile is passed over by who shows them. */
const struct command_absence *command_absences(size_t *count);

#endif
