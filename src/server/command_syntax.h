/* What may follow a command's name, written as one line of data.
 *
 *     word           an argument; its type is the part behind a colon ("parameter:pattern"), else follows from the word
 *     TOKEN          a literal word
 *     TOKEN word     an argument announced by a literal word
 *     [x]  <x>       optional; required. x may be several items (a block, with the TOKEN it begins with) or alternatives, x|y
 *     [name: x]      the same with a name, which only COMMAND DOCS shows
 *     ...            behind a word or a bracket: may be repeated
 *
 * From such a line come COMMAND DOCS's `arguments` and the usage text that people read.
 */
#ifndef RD_SERVER_COMMAND_SYNTAX_H
#define RD_SERVER_COMMAND_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "resp/writer.h"

#define SYNTAX_MAX_NODES 40

enum syntax_kind { SYNTAX_ARG, SYNTAX_TOKEN, SYNTAX_BLOCK, SYNTAX_ONEOF };

struct syntax_slice {
    const char *text;
    size_t len;
};

/* A node of the parsed line. Children are linked by `next`; 0 ends a list (node 0 is the root). */
struct syntax_node {
    enum syntax_kind kind;
    struct syntax_slice name, type, token;
    bool optional, multiple;
    int first_child, next;
};

struct syntax {
    struct syntax_node nodes[SYNTAX_MAX_NODES];
    int count;
};

/* Parses `line`, which must outlive the result; NULL is the empty line. Asserts that the line is well formed: the lines are ours. */
void syntax_parse(const char *line, struct syntax *out);

/* How many arguments the line has at its top. */
size_t syntax_count(const struct syntax *syntax);

/* Writes COMMAND DOCS's array of arguments. */
void syntax_write(const struct syntax *syntax, struct resp_writer *w);

/* Appends the usage text, such as "key value [EX seconds | PX milliseconds]". Error: RD_ENOMEM. */
enum rd_err syntax_usage(const struct syntax *syntax, struct buf *out);

#endif
