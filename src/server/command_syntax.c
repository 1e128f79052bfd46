/* The language of the table's syntax lines: a recursive parser into a small tree, and two ways to show the tree. */
#include "server/command_syntax.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

struct parser {
    struct syntax *out;
    const char *at;
};

static int new_node(struct parser *p, enum syntax_kind kind) {
    assert(p->out->count < SYNTAX_MAX_NODES);
    p->out->nodes[p->out->count] = (struct syntax_node){.kind = kind};
    return p->out->count++;
}

static void skip_spaces(struct parser *p) {
    while (*p->at == ' ') {
        p->at++;
    }
}

static bool word_char(char c) {
    return isalnum((unsigned char)c) || c == '-' || c == '_';
}

static struct syntax_slice read_word(struct parser *p) {
    struct syntax_slice word = {.text = p->at};
    while (word_char(*p->at)) {
        p->at++;
    }
    word.len = (size_t)(p->at - word.text);
    assert(word.len > 0);
    return word;
}

static bool is_token(const char *at) {
    return isupper((unsigned char)*at);
}

static void read_dots(struct parser *p, int node) {
    if (strncmp(p->at, "...", 3) == 0) {
        p->at += 3;
        p->out->nodes[node].multiple = true;
    }
}

static int parse_list(struct parser *p, int *count);

/* A list of items as one node: the item itself if it is alone, else a block that takes over the token it begins with. */
static int wrap_list(struct parser *p, int first, int count) {
    if (count == 1) {
        return first;
    }
    int block = new_node(p, SYNTAX_BLOCK);
    struct syntax_node *node = &p->out->nodes[block];
    struct syntax_node *head = &p->out->nodes[first];
    node->first_child = first;
    if (head->kind == SYNTAX_ARG && head->token.len > 0) {
        node->token = head->token;
        head->token = (struct syntax_slice){0};
    }
    return block;
}

static struct syntax_slice read_label(struct parser *p) {
    const char *start = p->at;
    const char *end = start;
    while (word_char(*end)) {
        end++;
    }
    struct syntax_slice label = {0};
    if (end > start && end[0] == ':' && end[1] == ' ') {
        label = (struct syntax_slice){.text = start, .len = (size_t)(end - start)};
        p->at = end + 2;
    }
    return label;
}

static int parse_group(struct parser *p) {
    char close = *p->at == '[' ? ']' : '>';
    bool optional = *p->at == '[';
    p->at++;
    struct syntax_slice label = read_label(p);
    int count = 0;
    int list = parse_list(p, &count);
    int node = wrap_list(p, list, count);
    if (*p->at == '|') {
        int oneof = new_node(p, SYNTAX_ONEOF);
        p->out->nodes[oneof].first_child = node;
        int last = node;
        while (*p->at == '|') {
            p->at++;
            list = parse_list(p, &count);
            int alternative = wrap_list(p, list, count);
            p->out->nodes[last].next = alternative;
            last = alternative;
        }
        node = oneof;
    }
    assert(*p->at == close);
    p->at++;
    struct syntax_node *result = &p->out->nodes[node];
    result->optional = result->optional || optional;
    if (label.len > 0) {
        result->name = label;
    }
    read_dots(p, node);
    return node;
}

static int parse_word(struct parser *p) {
    if (!is_token(p->at)) {
        int node = new_node(p, SYNTAX_ARG);
        p->out->nodes[node].name = read_word(p);
        if (*p->at == ':') {
            p->at++;
            p->out->nodes[node].type = read_word(p);
        }
        read_dots(p, node);
        return node;
    }
    struct syntax_slice token = read_word(p);
    const char *behind = p->at;
    skip_spaces(p);
    int node;
    if (behind != p->at && islower((unsigned char)*p->at)) {
        node = parse_word(p);
    } else if (behind != p->at && *p->at == '<') {
        node = parse_group(p);
    } else {
        node = new_node(p, SYNTAX_TOKEN);
    }
    p->out->nodes[node].token = token;
    return node;
}

/* Items up to a closing bracket, a bar or the end; returns the first and their number. */
static int parse_list(struct parser *p, int *count) {
    int first = 0, last = 0;
    *count = 0;
    for (skip_spaces(p); *p->at != '\0' && strchr("]>|", *p->at) == NULL; skip_spaces(p)) {
        int node = *p->at == '[' || *p->at == '<' ? parse_group(p) : parse_word(p);
        if (first == 0) {
            first = node;
        } else {
            p->out->nodes[last].next = node;
        }
        last = node;
        ++*count;
    }
    return first;
}

void syntax_parse(const char *line, struct syntax *out) {
    struct parser p = {.out = out, .at = line == NULL ? "" : line};
    out->count = 0;
    int root = new_node(&p, SYNTAX_BLOCK);
    int count = 0;
    int first = parse_list(&p, &count);
    out->nodes[root].first_child = first;
    assert(*p.at == '\0');
}

static size_t count_children(const struct syntax *syntax, int node) {
    size_t count = 0;
    for (int child = syntax->nodes[node].first_child; child != 0;
         child = syntax->nodes[child].next) {
        count++;
    }
    return count;
}

size_t syntax_count(const struct syntax *syntax) {
    return count_children(syntax, 0);
}

/* ---- COMMAND DOCS ----------------------------------------------------------------------------------- */

static bool slice_is(struct syntax_slice slice, const char *text) {
    return slice.len == strlen(text) && memcmp(slice.text, text, slice.len) == 0;
}

static struct syntax_slice type_of(const struct syntax_node *node) {
    static const char *const integers[] = {
        "seconds", "milliseconds", "protover", "client-id", "index", "slot", "partition", "r", "w"};
    const char *type = "string";
    switch (node->kind) {
    case SYNTAX_TOKEN:
        type = "pure-token";
        break;
    case SYNTAX_BLOCK:
        type = "block";
        break;
    case SYNTAX_ONEOF:
        type = "oneof";
        break;
    case SYNTAX_ARG:
        if (node->type.len > 0) {
            return node->type;
        }
        if (slice_is(node->name, "key") || slice_is(node->name, "pattern")) {
            return node->name;
        }
        if (node->name.len > 9 && memcmp(node->name.text, "unix-time", 9) == 0) {
            type = "unix-time";
        }
        for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
            type = slice_is(node->name, integers[i]) ? "integer" : type;
        }
    }
    return (struct syntax_slice){.text = type, .len = strlen(type)};
}

static void write_slice(struct resp_writer *w, struct syntax_slice slice) {
    resp_write_bulk(w, slice.text, slice.len);
}

static void write_lower(struct resp_writer *w, struct syntax_slice slice) {
    char lower[64];
    assert(slice.len <= sizeof(lower));
    for (size_t i = 0; i < slice.len; i++) {
        lower[i] = (char)tolower((unsigned char)slice.text[i]);
    }
    resp_write_bulk(w, lower, slice.len);
}

static void write_children(const struct syntax *syntax, int node, struct resp_writer *w);

static void write_flags(const struct syntax_node *node, struct resp_writer *w) {
    resp_write_text(w, "flags");
    resp_write_set(w, (size_t)node->optional + node->multiple);
    if (node->optional) {
        resp_write_simple(w, "optional");
    }
    if (node->multiple) {
        resp_write_simple(w, "multiple");
    }
}

static void write_node(const struct syntax *syntax, int index, struct resp_writer *w) {
    const struct syntax_node *node = &syntax->nodes[index];
    struct syntax_slice type = type_of(node);
    bool has_children = node->kind == SYNTAX_BLOCK || node->kind == SYNTAX_ONEOF;
    bool is_key = slice_is(type, "key");
    bool has_flags = node->optional || node->multiple;
    resp_write_map(w, 2 + (size_t)!has_children + is_key + (node->token.len > 0) + has_flags +
                          has_children);
    resp_write_text(w, "name");
    if (node->name.len > 0) {
        write_slice(w, node->name);
    } else if (node->token.len > 0) {
        write_lower(w, node->token);
    } else {
        resp_write_text(w, "option");
    }
    resp_write_text(w, "type");
    write_slice(w, type);
    if (!has_children) {
        resp_write_text(w, "display_text");
        if (node->kind == SYNTAX_TOKEN) {
            write_lower(w, node->token);
        } else {
            write_slice(w, node->name);
        }
    }
    if (is_key) {
        resp_write_text(w, "key_spec_index");
        resp_write_int(w, 0);
    }
    if (node->token.len > 0) {
        resp_write_text(w, "token");
        write_slice(w, node->token);
    }
    if (has_flags) {
        write_flags(node, w);
    }
    if (has_children) {
        resp_write_text(w, "arguments");
        write_children(syntax, index, w);
    }
}

static void write_children(const struct syntax *syntax, int node, struct resp_writer *w) {
    resp_write_array(w, count_children(syntax, node));
    for (int child = syntax->nodes[node].first_child; child != 0;
         child = syntax->nodes[child].next) {
        write_node(syntax, child, w);
    }
}

void syntax_write(const struct syntax *syntax, struct resp_writer *w) {
    write_children(syntax, 0, w);
}

/* ---- for people ------------------------------------------------------------------------------------- */

static enum rd_err show_children(const struct syntax *syntax, int node, const char *between,
                                 struct buf *out);

static enum rd_err show_bare(const struct syntax *syntax, int index, struct buf *out) {
    const struct syntax_node *node = &syntax->nodes[index];
    bool has_children = node->kind == SYNTAX_BLOCK || node->kind == SYNTAX_ONEOF;
    bool angle = node->kind == SYNTAX_ONEOF && !(node->optional && node->token.len == 0);
    enum rd_err err = RD_OK;
    if (node->token.len > 0) {
        err = buf_printf(out, "%.*s%s", (int)node->token.len, node->token.text,
                         node->kind == SYNTAX_TOKEN ? "" : " ");
    }
    if (err == RD_OK && node->kind == SYNTAX_ARG) {
        err = buf_append(out, node->name.text, node->name.len);
    }
    if (err == RD_OK && has_children) {
        err = angle ? buf_printf(out, "<") : RD_OK;
        err = err != RD_OK
                  ? err
                  : show_children(syntax, index, node->kind == SYNTAX_ONEOF ? " | " : " ", out);
        err = err != RD_OK || !angle ? err : buf_printf(out, ">");
    }
    return err;
}

static enum rd_err show_node(const struct syntax *syntax, int index, struct buf *out) {
    const struct syntax_node *node = &syntax->nodes[index];
    enum rd_err err = node->optional ? buf_printf(out, "[") : RD_OK;
    err = err != RD_OK ? err : show_bare(syntax, index, out);
    if (err == RD_OK && node->multiple) {
        err = buf_printf(out, " [");
        err = err != RD_OK ? err : show_bare(syntax, index, out);
        err = err != RD_OK ? err : buf_printf(out, " ...]");
    }
    return err != RD_OK || !node->optional ? err : buf_printf(out, "]");
}

static enum rd_err show_children(const struct syntax *syntax, int node, const char *between,
                                 struct buf *out) {
    enum rd_err err = RD_OK;
    int first = syntax->nodes[node].first_child;
    for (int child = first; child != 0 && err == RD_OK; child = syntax->nodes[child].next) {
        err = child == first ? RD_OK : buf_printf(out, "%s", between);
        err = err != RD_OK ? err : show_node(syntax, child, out);
    }
    return err;
}

enum rd_err syntax_usage(const struct syntax *syntax, struct buf *out) {
    return show_children(syntax, 0, " ", out);
}
