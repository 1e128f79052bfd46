/* What a command is: one row of data. COMMAND, the documentation, argument checks and key positions all come
 * from these rows; only `run` is code.
 */
#ifndef RD_SERVER_COMMAND_H
#define RD_SERVER_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/value.h"

struct call;

/* What a command's function, or its handler of the node's replies, says when it returns. */
enum call_progress {
    CALL_DONE, /* the reply is written */
    CALL_WAITS /* requests are on their way; call->on_reply goes on */
};

typedef enum call_progress command_fn(struct call *call);

/* The flags that COMMAND shows, in the order of Redis's replies. */
#define COMMAND_WRITE (1u << 0)
#define COMMAND_READONLY (1u << 1)
#define COMMAND_DENYOOM (1u << 2)
#define COMMAND_ADMIN (1u << 3)
#define COMMAND_NOSCRIPT (1u << 4)
#define COMMAND_LOADING (1u << 5)
#define COMMAND_STALE (1u << 6)
#define COMMAND_FAST (1u << 7)
#define COMMAND_NO_AUTH (1u << 8)
#define COMMAND_NO_MULTI (1u << 9)
#define COMMAND_ALLOW_BUSY (1u << 10)
#define COMMAND_SHOWN_FLAGS 11u

/* Ours: runs only when every earlier command of the connection has finished, since it looks at what they did. */
#define COMMAND_BARRIER (1u << 16)

/* Ours: nothing that the connection sends behind it is looked at before it has finished. */
#define COMMAND_ALONE (1u << 17)

/* Access categories that do not follow from the flags. */
#define COMMAND_ACL_KEYSPACE (1u << 0)
#define COMMAND_ACL_STRING (1u << 1)
#define COMMAND_ACL_DANGEROUS (1u << 2)
#define COMMAND_ACL_CONNECTION (1u << 3)
#define COMMAND_ACL_BITMAP (1u << 4)

/* A row. All text is static. */
struct command {
    const char *name; /* lower case; of a subcommand "client|id" */
    command_fn *run;
    int16_t arity;     /* arguments with the name; -n: at least n */
    int16_t first_key; /* index of the first key among the arguments; 0: none */
    int16_t last_key;  /* index of the last; negative: counted from the end */
    int16_t key_step;
    uint32_t flags;
    uint32_t acl;
    const char
        *key_flags; /* as COMMAND's key specifications show them, "RO access"; NULL without keys */
    const char *group;
    const char *since; /* of Redis, or of Redynamo for its own commands */
    const char *complexity;
    const char *summary;
    const char
        *syntax;      /* of what follows the name; the language is described in command_syntax.h */
    const char *tips; /* separated by spaces; NULL: none */
    value_fn *value;  /* what it computes on one value (value.h); NULL: nothing */
    const struct command *subcommands;
    size_t subcommand_count;
};

#endif
