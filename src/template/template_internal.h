/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * template_internal — tokens, the tree, and the state of an execution.
 *
 * lex.c cuts the source into tokens, parse.c builds the tree from them, exec.c walks it, functions*.c are what pipelines
 * call, print.c and printf.c are Go's fmt.
 */
#include "base/str.h"
#include "template/template.h"

#include <json-c/json_object.h>
#include <stdint.h>

/* ---- tokens ---- */
enum token_type {
        TOKEN_END, /* of the source */
        TOKEN_TEXT,
        TOKEN_OPEN,     /* {{ */
        TOKEN_CLOSE,    /* }} */
        TOKEN_WORD,     /* keyword, function, true, false, nil */
        TOKEN_FIELD,    /* .Name, without the dot */
        TOKEN_VARIABLE, /* $name, with the dollar */
        TOKEN_DOT,
        TOKEN_STRING, /* with its quotes */
        TOKEN_RAW,
        TOKEN_CHAR,
        TOKEN_NUMBER,
        TOKEN_DECLARE, /* := */
        TOKEN_ASSIGN,
        TOKEN_COMMA,
        TOKEN_PIPE,
        TOKEN_LEFT, /* ( */
        TOKEN_RIGHT,
};
struct token {
        enum token_type type;
        bool spaced; /* white space before it: ".A .B" are two operands, ".A.B" is one */
        size_t pos, len;
};
struct tokens {
        struct token *v;
        size_t n, cap;
};
int template_lex(const char *source, size_t n, struct tokens *ret, struct err **reterr);
bool template_is_space(char c);

/* ---- the tree ---- */
enum node_type {
        NODE_LIST, /* children in order */
        NODE_TEXT,
        NODE_ACTION, /* child 0: pipe */
        NODE_IF, /* child 0: pipe, 1: list, 2: list of else, if any; the same for the next two */
        NODE_WITH,
        NODE_RANGE,
        NODE_TEMPLATE, /* name; child 0: pipe, if any */
        NODE_BREAK,
        NODE_CONTINUE,
        NODE_PIPE,     /* children: commands; names: variables that are declared or assigned */
        NODE_COMMAND,  /* children: operands */
        NODE_FIELD,    /* names: the chain */
        NODE_VARIABLE, /* names: the variable, then a chain */
        NODE_CHAIN,    /* child 0: pipe; names: the chain */
        NODE_DOT,
        NODE_NIL,
        NODE_LITERAL,
        NODE_FUNCTION,
};
struct function;
struct node {
        enum node_type type;
        bool assign;     /* a pipe's: "=" and not ":=" */
        size_t pos, len; /* in the source */
        struct strv names;
        char *text; /* of text, or a template's name */
        size_t text_len;
        struct json_object *literal;
        const struct function *function;
        struct node **children;
        size_t n;
};
struct node *template_node_free(struct node *node);
DEFINE_CLEANUP(struct node *, template_node_free);

struct definition {
        char *name;
        struct node *list;
};
struct template
{
        char *source;
        size_t n;
        struct node *root;
        struct definition *definitions;
        size_t n_definitions;
        struct strv fields; /* every name behind a dot */
};
int template_parse_tokens(struct template *t, const struct tokens *tokens, unsigned flags,
                          struct err **reterr);
/* "text" and 'c' with Go's escapes, `raw`, numbers. *ret: a new value, or -EINVAL. */
int template_literal(const char *s, const struct token *token, struct json_object **ret);
const struct definition *template_definition(const struct template *t, const char *name, size_t n);

/* ERR_USAGE "LINE:COLUMN: …" with the line and a caret as its hint, and @advice (may be NULL) behind the caret. */
int template_fail(const char *source, size_t pos, const char *advice, struct err **reterr,
                  const char *fmt, ...) PRINTF_LIKE(5, 6);

/* ---- execution ---- */
/* Borrowed: from the data, from the tree, or from the execution's pool. */
struct value {
        struct json_object *o;
        bool none; /* Go's zero Value: a map's missing key */
        bool map;  /* an object that is no struct */
};
struct variable {
        const char *name;
        struct value value;
};
struct exec {
        const struct template *t;
        const struct template_opts *opts;
        struct strbuf *out;
        struct json_object *data;
        struct variable *variables;
        size_t n_variables, cap_variables;
        struct json_object **pool; /* values that functions made; freed at the end */
        size_t n_pool, cap_pool, pool_bytes;
        size_t steps, depth, out_start;
        const struct node *at; /* for errors */
        struct err **reterr;
};
int exec_fail(struct exec *x, const char *fmt, ...) PRINTF_LIKE(2, 3);
int exec_fail_advice(struct exec *x, const char *advice, const char *fmt, ...) PRINTF_LIKE(3, 4);
int exec_step(struct exec *x, const struct node *node); /* counts, and remembers where we are */
/* Takes @o into the pool. Fails when too much is held. @bytes: its size, about. */
int exec_keep(struct exec *x, struct json_object *o, size_t bytes, struct value *ret);
int exec_keep_string(struct exec *x, const char *s, size_t n, struct value *ret);

enum walk {
        WALK_ON,
        WALK_BREAK,
        WALK_CONTINUE
}; /* what walking a list came to, when it did not fail */
int exec_walk(struct exec *x, struct value dot, const struct node *list);
int exec_pipe(struct exec *x, struct value dot, const struct node *pipe, struct value *ret);
int exec_commands(struct exec *x, struct value dot, const struct node *pipe, struct value *ret);
int exec_operand(struct exec *x, struct value dot, const struct node *node, struct value *ret);
int exec_range(struct exec *x, struct value dot, const struct node *node);
void exec_push(struct exec *x, const char *name, struct value v);
int exec_assign(struct exec *x, const char *name, struct value v);
/* A member of an object, with the flag that its name gives it. False: there is none. */
bool exec_member(const struct exec *x, struct json_object *o, const char *key, struct value *ret);

/* ---- functions ---- */
struct function {
        char name[12];
        unsigned char min, max; /* arguments; max 255: any number */
        bool cell;              /* leaves headings alone */
        int (*call)(struct exec *x, const struct value *args, size_t n, struct value *ret);
};
const struct function *template_function(const char *name, size_t n);
bool function_is_and(
    const struct function *f); /* these two are evaluated by exec.c, which stops early */
bool function_is_or(const struct function *f);
typedef int function_call_fn(struct exec *x, const struct value *args, size_t n, struct value *ret);
function_call_fn function_eq, function_ne, function_lt, function_le, function_gt, function_ge,
    function_html, function_js, function_urlquery, function_split, function_join, function_lower,
    function_upper, function_title, function_pad, function_truncate, function_printf;

/* ---- values ---- */
bool value_is_true(struct value v);
bool value_is(struct value v, enum json_type type);
const char *value_type(struct value v);      /* "string", "map", … */
bool value_is_uint64(struct json_object *o); /* an integer beyond int64 */
/* A string argument; a number or truth value is printed into one. */
int value_text(struct exec *x, const char *function, struct value v, struct value *ret);
int value_int(struct exec *x, const char *function, struct value v, int64_t *ret);

/* ---- Go's fmt ---- */
void print_value(struct strbuf *out, struct value v);       /* %v; a missing key is "<no value>" */
void print_json(struct strbuf *out, struct json_object *o); /* %v of what stands inside something */
void print_float(struct strbuf *out, double d, char verb,
                 int precision); /* precision -1: shortest */
void print_quoted(struct strbuf *out, const char *s, size_t n, char quote); /* as %q */
void print_all(struct strbuf *out, const struct value *args, size_t n,
               bool line); /* Sprint, Sprintln */
/* The keys of an object, sorted. Caller frees the array, not the keys. */
const char **sorted_keys(struct json_object *o, size_t *ret_n);
void put_utf8(struct strbuf *b, uint32_t c);
