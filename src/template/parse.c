/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse — tokens become the tree.
 *
 * Recursive descent; blocks and parentheses count against TEMPLATE_DEPTH_MAX. Variables are checked here: p->variables are
 * those in scope, cut back at the end of each block.
 */
#include "template/template_internal.h"

#include "base/err.h"

#include <string.h>

struct parser {
        struct template *t;
        const struct tokens *tokens;
        size_t i, depth, loops;
        unsigned flags;
        struct strv variables;
        struct err **reterr;
};

/* How a list of nodes was ended. */
enum list_end { LIST_END_SOURCE, LIST_END_END, LIST_END_ELSE };

static int parse_list(struct parser *p, struct node **ret, enum list_end *ret_end);
static int parse_pipe(struct parser *p, enum token_type end, bool range, struct node **ret);

/* ---- small things ---- */

static const struct token *peek(const struct parser *p)
{
        return &p->tokens->v[p->i];
}

static const struct token *next(struct parser *p)
{
        const struct token *t = peek(p);

        if (t->type != TOKEN_END)
                p->i++;
        return t;
}

static int fail(struct parser *p, const struct token *at, const char *what)
{
        return template_fail(p->t->source, at->pos, NULL, p->reterr, "%s", what);
}

static int unexpected(struct parser *p, const struct token *t, const char *where)
{
        if (t->type == TOKEN_END)
                return template_fail(p->t->source, t->pos, NULL, p->reterr,
                                     "the template ends in %s", where);
        return template_fail(p->t->source, t->pos, NULL, p->reterr, "unexpected '%.*s' in %s",
                             (int)MIN(t->len, (size_t)40), p->t->source + t->pos, where);
}

static bool is_word(const struct parser *p, const struct token *t, const char *word)
{
        return t->type == TOKEN_WORD && t->len == strlen(word) &&
               memcmp(p->t->source + t->pos, word, t->len) == 0;
}

static struct node *new_node(enum node_type type, const struct token *t)
{
        struct node *node = xnew(struct node);

        node->type = type;
        node->pos = t->pos;
        node->len = t->len;
        return node;
}

static void add_child_take(struct node *node, struct node *child)
{
        /* Powers of two, so that a template of many small actions does not copy the array at each. */
        if ((node->n & (node->n + 1)) == 0 || !node->children)
                node->children = xrealloc(node->children, node->n * 2 + 1, sizeof(*node->children));
        node->children[node->n++] = child;
}

static void add_name(struct parser *p, struct node *node, const struct token *t)
{
        AUTO_FREE char *name = xstrndup(p->t->source + t->pos, t->len);

        if (t->type == TOKEN_FIELD && !strv_contains(&p->t->fields, name))
                strv_add(&p->t->fields, name);
        strv_add_take(&node->names, TAKE_PTR(name));
}

static void forget_variables(struct parser *p, size_t n)
{
        while (p->variables.n > n) {
                free(p->variables.v[--p->variables.n]);
                p->variables.v[p->variables.n] = NULL;
        }
}

static int deeper(struct parser *p, const struct token *at)
{
        if (++p->depth > TEMPLATE_DEPTH_MAX)
                return fail(p, at, "too deeply nested");
        return 0;
}

/* ---- operands and pipelines ---- */

static int parse_word(struct parser *p, const struct token *t, struct node **ret)
{
        struct node *node;

        if (is_word(p, t, "true") || is_word(p, t, "false")) {
                node = new_node(NODE_LITERAL, t);
                node->literal = json_object_new_boolean(is_word(p, t, "true"));
        } else if (is_word(p, t, "nil")) {
                node = new_node(NODE_NIL, t);
        } else {
                const struct function *f = template_function(p->t->source + t->pos, t->len);

                if (!f)
                        return template_fail(p->t->source, t->pos, "fields begin with a dot: .Name",
                                             p->reterr, "function '%.*s' is not defined",
                                             (int)MIN(t->len, (size_t)40), p->t->source + t->pos);
                node = new_node(NODE_FUNCTION, t);
                node->function = f;
        }
        *ret = node;
        return 0;
}

static int parse_variable(struct parser *p, const struct token *t, struct node **ret)
{
        AUTO(template_node_freep) struct node *node = new_node(NODE_VARIABLE, t);

        add_name(p, node, t);
        if (!strv_contains(&p->variables, node->names.v[0]))
                return template_fail(p->t->source, t->pos, NULL, p->reterr,
                                     "variable '%s' is not defined", node->names.v[0]);
        *ret = TAKE_PTR(node);
        return 0;
}

static int parse_constant(struct parser *p, const struct token *t, struct node **ret)
{
        struct json_object *o = NULL;

        if (template_literal(p->t->source, t, &o) < 0)
                return template_fail(p->t->source, t->pos, NULL, p->reterr, "'%.*s' is no %s of Go",
                                     (int)MIN(t->len, (size_t)40), p->t->source + t->pos,
                                     t->type == TOKEN_NUMBER ? "number"
                                     : t->type == TOKEN_CHAR ? "character"
                                                             : "string");
        *ret = new_node(NODE_LITERAL, t);
        (*ret)->literal = o;
        return 0;
}

static int parse_parentheses(struct parser *p, const struct token *t, struct node **ret)
{
        int r = deeper(p, t);

        if (r >= 0)
                r = parse_pipe(p, TOKEN_RIGHT, false, ret);
        p->depth--;
        return r;
}

static int parse_term(struct parser *p, struct node **ret)
{
        const struct token *t = next(p);

        if (t->type == TOKEN_WORD)
                return parse_word(p, t, ret);
        if (t->type == TOKEN_VARIABLE)
                return parse_variable(p, t, ret);
        if (t->type == TOKEN_LEFT)
                return parse_parentheses(p, t, ret);
        if (t->type == TOKEN_DOT) {
                *ret = new_node(NODE_DOT, t);
                return 0;
        }
        if (t->type == TOKEN_FIELD) {
                *ret = new_node(NODE_FIELD, t);
                add_name(p, *ret, t);
                return 0;
        }
        if (t->type == TOKEN_STRING || t->type == TOKEN_RAW || t->type == TOKEN_CHAR ||
            t->type == TOKEN_NUMBER)
                return parse_constant(p, t, ret);
        return unexpected(p, t, "an action");
}

static bool ends_operand(const struct token *t)
{
        return t->spaced || t->type == TOKEN_PIPE || t->type == TOKEN_RIGHT ||
               t->type == TOKEN_CLOSE || t->type == TOKEN_END;
}

/* A term and the fields that hang on it. */
static int parse_operand(struct parser *p, struct node **ret)
{
        AUTO(template_node_freep) struct node *node = NULL;
        int r = parse_term(p, &node);

        if (r < 0)
                return r;
        while (peek(p)->type == TOKEN_FIELD && !peek(p)->spaced) {
                if (node->type == NODE_PIPE || node->type == NODE_FUNCTION) {
                        struct node *chain = new_node(NODE_CHAIN, peek(p));

                        chain->pos = node->pos;
                        add_child_take(chain, TAKE_PTR(node));
                        node = chain;
                } else if (node->type != NODE_FIELD && node->type != NODE_VARIABLE &&
                           node->type != NODE_CHAIN) {
                        return fail(p, peek(p), "this has no fields");
                }
                add_name(p, node, next(p));
        }
        if (!ends_operand(peek(p)))
                return unexpected(p, peek(p), "an operand");
        *ret = TAKE_PTR(node);
        return 0;
}

static int parse_command(struct parser *p, enum token_type end, struct node **ret)
{
        AUTO(template_node_freep) struct node *command = new_node(NODE_COMMAND, peek(p));

        while (peek(p)->type != TOKEN_PIPE && peek(p)->type != end) {
                struct node *operand = NULL;
                int r = parse_operand(p, &operand);

                if (r < 0)
                        return r;
                add_child_take(command, operand);
        }
        if (command->n == 0)
                return fail(p, peek(p), "a value is missing here");
        *ret = TAKE_PTR(command);
        return 0;
}

/* "$x :=", "$x =", "$i, $v :=" of range. */
static int parse_declaration(struct parser *p, bool range, struct node *pipe)
{
        const struct token *t = p->tokens->v + p->i;
        size_t n = 0;

        if (t[0].type != TOKEN_VARIABLE)
                return 0;
        if (t[1].type == TOKEN_DECLARE || t[1].type == TOKEN_ASSIGN)
                n = 1;
        else if (t[1].type == TOKEN_COMMA && t[2].type == TOKEN_VARIABLE &&
                 (t[3].type == TOKEN_DECLARE || t[3].type == TOKEN_ASSIGN))
                n = 2;
        if (n == 0)
                return t[1].type == TOKEN_COMMA ? fail(p, t + 1, "unexpected ','") : 0;
        if (n == 2 && !range)
                return fail(p, t + 2, "only range takes two variables");
        for (size_t i = 0; i < n; i++)
                add_name(p, pipe, t + 2 * i);
        pipe->assign = t[2 * n - 1].type == TOKEN_ASSIGN;
        for (size_t i = 0; i < n; i++) {
                if (pipe->assign && !strv_contains(&p->variables, pipe->names.v[i]))
                        return template_fail(p->t->source, t[2 * i].pos, NULL, p->reterr,
                                             "variable '%s' is not defined", pipe->names.v[i]);
        }
        p->i += 2 * n;
        return 0;
}

/* Up to and with @end. A value cannot take the place of a function in the later commands. */
static int parse_pipe(struct parser *p, enum token_type end, bool range, struct node **ret)
{
        AUTO(template_node_freep) struct node *pipe = new_node(NODE_PIPE, peek(p));
        int r = parse_declaration(p, range, pipe);

        while (r >= 0) {
                struct node *command = NULL;
                enum node_type first;

                r = parse_command(p, end, &command);
                if (r < 0)
                        return r;
                add_child_take(pipe, command);
                first = command->children[0]->type;
                if (pipe->n > 1 &&
                    (first == NODE_LITERAL || first == NODE_NIL || first == NODE_DOT))
                        return template_fail(p->t->source, command->pos, NULL, p->reterr,
                                             "a pipeline goes on with a function, not a value");
                if (next(p)->type == end)
                        break;
        }
        for (size_t i = 0; r >= 0 && !pipe->assign && i < pipe->names.n; i++)
                strv_add(&p->variables, pipe->names.v[i]);
        pipe->len = p->tokens->v[p->i - 1].pos - pipe->pos;
        if (r >= 0)
                *ret = TAKE_PTR(pipe);
        return r;
}

/* ---- blocks ---- */

static int expect_close(struct parser *p, const char *where)
{
        const struct token *t = next(p);

        return t->type == TOKEN_CLOSE ? 0 : unexpected(p, t, where);
}

static int parse_block(struct parser *p, enum node_type type, const struct token *t,
                       struct node **ret);

static bool is_block(const struct parser *p, const struct token *t, enum node_type *ret)
{
        static const struct {
                char word[6];
                enum node_type type;
        } blocks[] = {{"if", NODE_IF}, {"with", NODE_WITH}, {"range", NODE_RANGE}};

        for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
                if (is_word(p, t, blocks[i].word)) {
                        *ret = blocks[i].type;
                        return true;
                }
        }
        return false;
}

/* Behind "else". "else if" is an if inside the else, which the same end closes. */
static int parse_else(struct parser *p, struct node *block)
{
        const struct token *t = peek(p);
        enum list_end end = LIST_END_END;
        struct node *list = NULL;
        enum node_type type;
        int r;

        if (is_block(p, t, &type) && type == block->type && type != NODE_RANGE) {
                struct node *inner = NULL;

                p->i++;
                list = new_node(NODE_LIST, t);
                add_child_take(block, list);
                r = parse_block(p, type, t, &inner);
                if (r >= 0)
                        add_child_take(list, inner);
                return r;
        }
        r = expect_close(p, "else");
        if (r >= 0)
                r = parse_list(p, &list, &end);
        if (list)
                add_child_take(block, list);
        if (r >= 0 && end != LIST_END_END)
                return unexpected(p, peek(p), "else: 'end' is missing");
        return r;
}

static int parse_body(struct parser *p, struct node *block, const struct token *t)
{
        enum list_end end = LIST_END_SOURCE;
        struct node *child = NULL;
        int r = parse_pipe(p, TOKEN_CLOSE, block->type == NODE_RANGE, &child);

        if (child)
                add_child_take(block, child);
        if (r < 0)
                return r;
        p->loops += block->type == NODE_RANGE;
        child = NULL;
        r = parse_list(p, &child, &end);
        p->loops -= block->type == NODE_RANGE;
        if (child)
                add_child_take(block, child);
        if (r < 0)
                return r;
        if (end == LIST_END_SOURCE)
                return template_fail(p->t->source, t->pos, NULL, p->reterr,
                                     "'%.*s' without an 'end'", (int)t->len, p->t->source + t->pos);
        return end == LIST_END_ELSE ? parse_else(p, block) : 0;
}

static int parse_block(struct parser *p, enum node_type type, const struct token *t,
                       struct node **ret)
{
        AUTO(template_node_freep) struct node *block = new_node(type, t);
        size_t variables = p->variables.n;
        int r = deeper(p, t);

        if (r >= 0)
                r = parse_body(p, block, t);
        forget_variables(p, variables);
        p->depth--;
        if (r >= 0)
                *ret = TAKE_PTR(block);
        return r;
}

static int parse_name(struct parser *p, struct json_object **ret)
{
        const struct token *t = next(p);

        if (t->type != TOKEN_STRING && t->type != TOKEN_RAW)
                return unexpected(p, t, "a template's name, which is a quoted string");
        if (template_literal(p->t->source, t, ret) < 0)
                return fail(p, t, "this is no string of Go");
        return 0;
}

/* The list of {{define}} or {{block}}, which sees no variables but $. A later definition replaces an earlier one, unless it is empty. */
static int parse_definition(struct parser *p, const struct token *t, struct json_object *name)
{
        struct strv outer = p->variables;
        size_t loops = p->loops;
        struct node *list = NULL;
        enum list_end end = LIST_END_SOURCE;
        struct definition *d;
        int r = deeper(p, t);

        p->variables = (struct strv){0};
        p->loops = 0;
        strv_add(&p->variables, "$");
        if (r >= 0)
                r = parse_list(p, &list, &end);
        strv_release(&p->variables);
        p->variables = outer;
        p->loops = loops;
        p->depth--;
        if (r >= 0 && end != LIST_END_END)
                r = fail(p, t, "this definition has no 'end'");
        if (r < 0) {
                (void)template_node_free(list);
                return r;
        }
        d = (struct definition *)template_definition(p->t, json_object_get_string(name),
                                                     (size_t)json_object_get_string_len(name));
        if (!d) {
                p->t->definitions = xrealloc(p->t->definitions, p->t->n_definitions + 1,
                                             sizeof(*p->t->definitions));
                d = &p->t->definitions[p->t->n_definitions++];
                *d = (struct definition){.name = xstrdup(json_object_get_string(name))};
        }
        (void)template_node_free(d->list);
        d->list = list;
        return 0;
}

static int parse_define(struct parser *p, const struct token *t)
{
        struct json_object *name = NULL;
        int r = parse_name(p, &name);

        if (r >= 0)
                r = expect_close(p, "define");
        if (r >= 0)
                r = parse_definition(p, t, name);
        (void)json_object_put(name);
        return r;
}

/* {{template "name" pipeline}}, and {{block "name" pipeline}}, which defines it too. */
static int parse_call(struct parser *p, const struct token *t, bool block, struct node **ret)
{
        AUTO(template_node_freep) struct node *node = new_node(NODE_TEMPLATE, t);
        size_t variables = p->variables.n;
        int r = parse_name(p, &node->literal);

        if (r < 0)
                return r;
        if (block || peek(p)->type != TOKEN_CLOSE) {
                struct node *pipe = NULL;

                r = parse_pipe(p, TOKEN_CLOSE, false, &pipe);
                if (pipe)
                        add_child_take(node, pipe);
        } else {
                r = expect_close(p, "template");
        }
        forget_variables(p, variables);
        if (r >= 0 && block)
                r = parse_definition(p, t, node->literal);
        if (r >= 0)
                *ret = TAKE_PTR(node);
        return r;
}

static int parse_jump(struct parser *p, enum node_type type, const struct token *t,
                      struct node **ret)
{
        int r = expect_close(p, type == NODE_BREAK ? "break" : "continue");

        if (r >= 0 && p->loops == 0)
                r = fail(p, t, "this stands outside of any range");
        if (r >= 0)
                *ret = new_node(type, t);
        return r;
}

/* Behind "{{". *ret stays NULL for what leaves no node; *ret_end is set when the action ends the list. */
static int parse_action(struct parser *p, struct node **ret, enum list_end *ret_end)
{
        const struct token *t = peek(p);
        enum node_type type;
        int r;

        p->i += t->type == TOKEN_WORD;
        if (is_word(p, t, "end")) {
                *ret_end = LIST_END_END;
                return expect_close(p, "end");
        }
        if (is_word(p, t, "else")) {
                *ret_end = LIST_END_ELSE;
                return 0;
        }
        if (is_block(p, t, &type))
                return parse_block(p, type, t, ret);
        if (is_word(p, t, "define"))
                return p->depth ? unexpected(p, t, "a block") : parse_define(p, t);
        if (is_word(p, t, "template") || is_word(p, t, "block"))
                return parse_call(p, t, is_word(p, t, "block"), ret);
        if (is_word(p, t, "break"))
                return parse_jump(p, NODE_BREAK, t, ret);
        if (is_word(p, t, "continue"))
                return parse_jump(p, NODE_CONTINUE, t, ret);
        p->i -= t->type == TOKEN_WORD;
        *ret = new_node(NODE_ACTION, t);
        add_child_take(*ret, NULL);
        r = parse_pipe(p, TOKEN_CLOSE, false, &(*ret)->children[0]);
        return r;
}

static void add_text(struct parser *p, const struct token *t, struct node *list)
{
        const char *s = p->t->source + t->pos;
        struct node *node = new_node(NODE_TEXT, t);
        AUTO_STRBUF b = {0};
        size_t i = 0;

        while (i < t->len) {
                const char *slash =
                    p->flags & TEMPLATE_ESCAPES ? memchr(s + i, '\\', t->len - i) : NULL;
                size_t end = slash ? (size_t)(slash - s) : t->len;

                strbuf_add_len(&b, s + i, end - i);
                if (slash && end + 1 < t->len && (s[end + 1] == 't' || s[end + 1] == 'n')) {
                        strbuf_add(&b, s[end + 1] == 't' ? "\t" : "\n");
                        end += 2;
                } else if (slash) {
                        strbuf_add(&b, "\\");
                        end++;
                }
                i = end;
        }
        node->text_len = b.len;
        node->text = strbuf_take(&b);
        add_child_take(list, node);
}

static int parse_list(struct parser *p, struct node **ret, enum list_end *ret_end)
{
        AUTO(template_node_freep) struct node *list = new_node(NODE_LIST, peek(p));
        enum list_end end = LIST_END_SOURCE;
        int r = 0;

        while (r >= 0 && end == LIST_END_SOURCE) {
                const struct token *t = next(p);
                struct node *node = NULL;

                if (t->type == TOKEN_END)
                        break;
                if (t->type == TOKEN_TEXT) {
                        add_text(p, t, list);
                        continue;
                }
                r = parse_action(p, &node, &end);
                if (node)
                        add_child_take(list, node);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(list);
        *ret_end = end;
        return 0;
}

int template_parse_tokens(struct template *t, const struct tokens *tokens, unsigned flags,
                          struct err **reterr)
{
        struct parser p = {.t = t, .tokens = tokens, .flags = flags, .reterr = reterr};
        enum list_end end = LIST_END_SOURCE;
        int r;

        strv_add(&p.variables, "$");
        r = parse_list(&p, &t->root, &end);
        if (r >= 0 && end != LIST_END_SOURCE)
                r = fail(&p, &tokens->v[p.i - 1],
                         end == LIST_END_END ? "'end' without anything to end"
                                             : "'else' without an 'if', 'with' or 'range'");
        strv_release(&p.variables);
        return r;
}
