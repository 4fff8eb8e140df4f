/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec — walking the tree.
 *
 * Every visit of a node counts a step, and what functions make is kept in a pool until the end and counted there: time, memory
 * and output are bounded whatever the template says. The depth bounds the stack: parsed nesting is below TEMPLATE_DEPTH_MAX, and
 * so is the chain of templates that call each other, in sum.
 */
#include "template/template_internal.h"

#include "base/err.h"
#include "base/json.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* ---- errors and limits ---- */

PRINTF_LIKE(3, 0)
static int exec_failv(struct exec *x, const char *advice, const char *fmt, va_list ap)
{
        AUTO_FREE char *words = xvasprintf(fmt, ap);

        return template_fail(x->t->source, x->at ? x->at->pos : 0, advice, x->reterr, "%s", words);
}

int exec_fail(struct exec *x, const char *fmt, ...)
{
        va_list ap;
        int r;

        va_start(ap, fmt);
        r = exec_failv(x, NULL, fmt, ap);
        va_end(ap);
        return r;
}

int exec_fail_advice(struct exec *x, const char *advice, const char *fmt, ...)
{
        va_list ap;
        int r;

        va_start(ap, fmt);
        r = exec_failv(x, advice, fmt, ap);
        va_end(ap);
        return r;
}

static size_t limit(size_t wanted, size_t otherwise)
{
        return wanted ? wanted : otherwise;
}

int exec_step(struct exec *x, const struct node *node)
{
        x->at = node;
        if (++x->steps > limit(x->opts->steps_max, TEMPLATE_STEPS_MAX))
                return exec_fail(x, "this takes too many steps");
        if (x->out->len - x->out_start > limit(x->opts->output_max, TEMPLATE_OUTPUT_MAX))
                return exec_fail(x, "the output grows too large");
        return 0;
}

int exec_keep(struct exec *x, struct json_object *o, size_t bytes, struct value *ret)
{
        if (x->n_pool == x->cap_pool) {
                x->cap_pool = MAX(x->cap_pool * 2, (size_t)16);
                x->pool = xrealloc(x->pool, x->cap_pool, sizeof(struct json_object *));
        }
        x->pool[x->n_pool++] = o;
        x->pool_bytes += bytes + 64;
        *ret = (struct value){.o = o};
        if (x->pool_bytes > limit(x->opts->output_max, TEMPLATE_OUTPUT_MAX))
                return exec_fail(x, "this needs too much memory");
        return 0;
}

int exec_keep_string(struct exec *x, const char *s, size_t n, struct value *ret)
{
        if (n > limit(x->opts->output_max, TEMPLATE_OUTPUT_MAX))
                return exec_fail(x, "this needs too much memory");
        return exec_keep(x, json_object_new_string_len(s ? s : "", (int)n), n, ret);
}

static int deeper(struct exec *x)
{
        if (x->depth >= TEMPLATE_DEPTH_MAX)
                return exec_fail(x, "templates call each other too deeply");
        x->depth++;
        return 0;
}

/* ---- variables ---- */

void exec_push(struct exec *x, const char *name, struct value v)
{
        if (x->n_variables == x->cap_variables) {
                x->cap_variables = MAX(x->cap_variables * 2, (size_t)8);
                x->variables = xrealloc(x->variables, x->cap_variables, sizeof(*x->variables));
        }
        x->variables[x->n_variables++] = (struct variable){.name = name, .value = v};
}

/* The innermost one of that name. The parser has seen to it that there is one, except where a template was defined among
 * variables that its caller does not have. */
static struct variable *find_variable(struct exec *x, const char *name)
{
        for (size_t i = x->n_variables; i-- > 0;) {
                if (strcmp(x->variables[i].name, name) == 0)
                        return &x->variables[i];
        }
        return NULL;
}

int exec_assign(struct exec *x, const char *name, struct value v)
{
        struct variable *variable = find_variable(x, name);

        if (!variable)
                return exec_fail(x, "variable '%s' is not defined", name);
        variable->value = v;
        return 0;
}

/* ---- fields ---- */

static bool is_map_name(const struct exec *x, const char *key)
{
        for (const char *const *m = x->opts->maps; m && *m; m++) {
                if (strcmp(*m, key) == 0)
                        return true;
        }
        return false;
}

bool exec_member(const struct exec *x, struct json_object *o, const char *key, struct value *ret)
{
        struct json_object *v = NULL;

        if (!json_object_object_get_ex(o, key, &v))
                return false;
        *ret = (struct value){
            .o = v, .map = json_object_is_type(v, json_type_object) && is_map_name(x, key)};
        return true;
}

/* The one member whose name differs in case only. */
static const char *other_case(struct json_object *o, const char *name)
{
        const char *found = NULL;

        json_object_object_foreach(o, key, member)
        {
                (void)member;
                if (strcasecmp(key, name) != 0)
                        continue;
                if (found)
                        return NULL;
                found = key;
        }
        return found;
}

static int no_field(struct exec *x, struct value v, const char *name)
{
        AUTO_STRBUF known = {0};
        size_t n = 0;

        if (value_is(v, json_type_object)) {
                AUTO_FREE const char **keys = sorted_keys(v.o, &n);

                for (size_t i = 0; i < n && known.len < 400; i++)
                        strbuf_addf(&known, "%s.%s", i ? " " : "known here: ", keys[i]);
        }
        for (const struct template_method *m = x->opts->methods; m && m->name && v.o == x->data;
             m++)
                strbuf_addf(&known, "%s.%s", known.len ? " " : "known here: ", m->name);
        return exec_fail_advice(x, known.data, "can't evaluate field '%s' in type %s", name,
                                value_type(v));
}

/* @name of @v: what Go does for structs, maps, nil, and everything else. */
static int get_field(struct exec *x, struct value v, const char *name, struct value *ret)
{
        const char *key;

        if (v.none) {
                *ret = v;
                return 0;
        }
        if (!v.o)
                return exec_fail_advice(x, "{{with}} or {{if}} around it asks whether it is there",
                                        "nil has no field '%s'", name);
        if (!value_is(v, json_type_object))
                return no_field(x, v, name);
        if (exec_member(x, v.o, name, ret))
                return 0;
        if (v.map) {
                *ret = (struct value){.none = true};
                return 0;
        }
        key = other_case(v.o, name);
        if (!key || !exec_member(x, v.o, key, ret))
                return no_field(x, v, name);
        return 0;
}

/* ---- methods and functions ---- */

static const struct template_method *find_method(const struct exec *x, struct value v,
                                                 const char *name)
{
        for (const struct template_method *m = x->opts->methods; m && m->name; m++) {
                if (v.o && v.o == x->data && strcmp(m->name, name) == 0)
                        return m;
        }
        return NULL;
}

#define ARGS_MAX 64

/* Arguments 1… of a command, and the value of the command before it behind them. */
static int get_args(struct exec *x, struct value dot, const struct node *command,
                    const struct value *final, struct value args[ARGS_MAX], size_t *ret_n)
{
        size_t n = 0;

        if (command && command->n > ARGS_MAX)
                return exec_fail(x, "more than %d arguments", ARGS_MAX - 1);
        for (size_t i = 1; command && i < command->n; i++) {
                int r = exec_operand(x, dot, command->children[i], &args[n++]);

                if (r < 0)
                        return r;
        }
        if (final)
                args[n++] = *final;
        *ret_n = n;
        return 0;
}

static int call_method(struct exec *x, struct value dot, const struct template_method *m,
                       const struct node *command, const struct value *final, struct value *ret)
{
        struct value args[ARGS_MAX];
        const char *strings[ARGS_MAX];
        struct json_object *o = NULL;
        AUTO_ERR struct err *e = NULL;
        size_t n;
        int r = get_args(x, dot, command, final, args, &n);

        if (r < 0)
                return r;
        if (n != m->n_args)
                return exec_fail(x, "%s takes %zu arguments, not %zu", m->name, m->n_args, n);
        for (size_t i = 0; i < n; i++) {
                if (!value_is(args[i], json_type_string))
                        return exec_fail(x, "%s: expected a string, not %s", m->name,
                                         value_type(args[i]));
                strings[i] = json_object_get_string(args[i].o);
        }
        r = m->call(x->data, strings, x->opts->arg, &o, &e);
        if (r < 0)
                return err_move(x->reterr, r, &e);
        return exec_keep(x, o, 64, ret);
}

/* "and" and "or" evaluate no further than they have to; their value is the last one that they saw. */
static int short_circuit(struct exec *x, struct value dot, const struct node *command,
                         const struct value *final, bool stop_at, struct value *ret)
{
        if (command->n < 2 && !final)
                return exec_fail(x, "%s takes arguments", command->children[0]->function->name);
        for (size_t i = 1; i < command->n; i++) {
                int r = exec_operand(x, dot, command->children[i], ret);

                if (r < 0)
                        return r;
                if (value_is_true(*ret) == stop_at)
                        return 0;
        }
        if (final)
                *ret = *final;
        return 0;
}

/* @command: NULL for a function that stands as an operand, without arguments. */
static int call_function(struct exec *x, struct value dot, const struct node *node,
                         const struct node *command, const struct value *final, struct value *ret)
{
        const struct function *f = node->function;
        struct value args[ARGS_MAX + 1];
        size_t n;
        int r;

        if (command && (function_is_and(f) || function_is_or(f)))
                return short_circuit(x, dot, command, final, function_is_or(f), ret);
        r = get_args(x, dot, command, final, args, &n);
        if (r < 0)
                return r;
        x->at = node;
        if (n < f->min)
                return exec_fail(x, "%s takes %s%d argument%s, not %zu", f->name,
                                 f->max == f->min ? "" : "at least ", f->min,
                                 f->min == 1 ? "" : "s", n);
        if (f->max != 255 && n > f->max)
                return exec_fail(x, "%s takes at most %d argument%s, not %zu", f->name, f->max,
                                 f->max == 1 ? "" : "s", n);
        if (x->opts->headings && f->cell) {
                *ret = args[0];
                return 0;
        }
        return f->call(x, args, n, ret);
}

/* ---- operands ---- */

/* The chain names[from…] on @v. Its last name may be a method, which takes the command's arguments. */
static int get_chain(struct exec *x, struct value dot, const struct node *node,
                     const struct node *command, const struct value *final, struct value *inout)
{
        size_t from = node->type == NODE_VARIABLE ? 1 : 0;
        struct value v = *inout;
        bool has_args = (command && command->n > 1) || final;

        for (size_t i = from; i < node->names.n; i++) {
                const struct template_method *m = find_method(x, v, node->names.v[i]);
                bool last = i + 1 == node->names.n;
                int r;

                x->at = node;
                if (!m && last && has_args)
                        return exec_fail(x, "'%s' is no method but has arguments",
                                         node->names.v[i]);
                r = m ? call_method(x, dot, m, last ? command : NULL, last ? final : NULL, &v)
                      : get_field(x, v, node->names.v[i], &v);
                if (r < 0)
                        return r;
        }
        *inout = v;
        return 0;
}

static int get_chained(struct exec *x, struct value dot, const struct node *node,
                       const struct node *command, const struct value *final, struct value *ret)
{
        struct variable *variable;
        struct value v = dot;
        int r = 0;

        if (node->type == NODE_VARIABLE) {
                variable = find_variable(x, node->names.v[0]);
                if (!variable)
                        return exec_fail(x, "variable '%s' is not defined", node->names.v[0]);
                v = variable->value;
                if (node->names.n == 1 && ((command && command->n > 1) || final))
                        return exec_fail(x, "a variable takes no arguments");
        } else if (node->type == NODE_CHAIN) {
                r = exec_operand(x, dot, node->children[0], &v);
        }
        *ret = v;
        return r < 0 ? r : get_chain(x, dot, node, command, final, ret);
}

/* What may take arguments, as the first word of @command; or, without one, as an operand. */
static int get_operand(struct exec *x, struct value dot, const struct node *node,
                       const struct node *command, const struct value *final, struct value *ret)
{
        int r = exec_step(x, node);

        if (r < 0)
                return r;
        if (node->type == NODE_FUNCTION)
                return call_function(x, dot, node, command, final, ret);
        if (node->type == NODE_FIELD || node->type == NODE_VARIABLE || node->type == NODE_CHAIN)
                return get_chained(x, dot, node, command, final, ret);
        if ((command && command->n > 1) || final)
                return exec_fail(x, "this is no function but has arguments");
        switch (node->type) {
        case NODE_DOT:
                *ret = dot;
                return 0;
        case NODE_NIL:
                if (command)
                        return exec_fail(x, "nil is not a command");
                *ret = (struct value){0};
                return 0;
        case NODE_LITERAL:
                *ret = (struct value){.o = node->literal};
                return 0;
        case NODE_PIPE:
                return exec_pipe(x, dot, node, ret);
        case NODE_LIST:
        case NODE_TEXT:
        case NODE_ACTION:
        case NODE_IF:
        case NODE_WITH:
        case NODE_RANGE:
        case NODE_TEMPLATE:
        case NODE_BREAK:
        case NODE_CONTINUE:
        case NODE_COMMAND:
        case NODE_FIELD:
        case NODE_VARIABLE:
        case NODE_CHAIN:
        case NODE_FUNCTION:
                break;
        }
        return exec_fail(x, "this has no value");
}

int exec_operand(struct exec *x, struct value dot, const struct node *node, struct value *ret)
{
        return get_operand(x, dot, node, NULL, NULL, ret);
}

int exec_commands(struct exec *x, struct value dot, const struct node *pipe, struct value *ret)
{
        struct value v = {0};

        for (size_t i = 0; i < pipe->n; i++) {
                const struct node *command = pipe->children[i];
                struct value before = v;
                int r = get_operand(x, dot, command->children[0], command, i ? &before : NULL, &v);

                if (r < 0)
                        return r;
        }
        *ret = v;
        return 0;
}

int exec_pipe(struct exec *x, struct value dot, const struct node *pipe, struct value *ret)
{
        int r = exec_commands(x, dot, pipe, ret);

        for (size_t i = 0; r >= 0 && i < pipe->names.n; i++) {
                if (pipe->assign)
                        r = exec_assign(x, pipe->names.v[i], *ret);
                else
                        exec_push(x, pipe->names.v[i], *ret);
        }
        return r;
}

/* ---- lists ---- */

static int walk_action(struct exec *x, struct value dot, const struct node *node)
{
        const struct node *pipe = node->children[0];
        struct value v;
        int r = exec_pipe(x, dot, pipe, &v);

        if (r >= 0 && pipe->names.n == 0)
                print_value(x->out, v);
        return r < 0 ? r : WALK_ON;
}

static int walk_condition(struct exec *x, struct value dot, const struct node *node)
{
        size_t variables = x->n_variables;
        struct value v;
        int r = exec_pipe(x, dot, node->children[0], &v);

        if (r >= 0) {
                if (value_is_true(v))
                        r = exec_walk(x, node->type == NODE_WITH ? v : dot, node->children[1]);
                else
                        r = node->n > 2 ? exec_walk(x, dot, node->children[2]) : WALK_ON;
        }
        x->n_variables = variables;
        return r;
}

/* The called template sees its own $ only: the caller's variables lie below it, out of its names' reach. */
static int walk_template(struct exec *x, struct value dot, const struct node *node)
{
        const char *name = json_object_get_string(node->literal);
        const struct definition *d =
            template_definition(x->t, name, (size_t)json_object_get_string_len(node->literal));
        size_t variables = x->n_variables;
        struct value v = {.none = true};
        int r;

        if (!d)
                return exec_fail(x, "template '%s' is not defined", name);
        r = node->n ? exec_pipe(x, dot, node->children[0], &v) : 0;
        if (r >= 0)
                r = deeper(x);
        if (r < 0)
                return r;
        exec_push(x, "$", v);
        r = exec_walk(x, v, d->list);
        x->n_variables = variables;
        x->depth--;
        return r;
}

static int walk_node(struct exec *x, struct value dot, const struct node *node)
{
        switch (node->type) {
        case NODE_TEXT:
                strbuf_add_len(x->out, node->text, node->text_len);
                return WALK_ON;
        case NODE_ACTION:
                return walk_action(x, dot, node);
        case NODE_IF:
        case NODE_WITH:
                return walk_condition(x, dot, node);
        case NODE_RANGE:
                return exec_range(x, dot, node);
        case NODE_TEMPLATE:
                return walk_template(x, dot, node);
        case NODE_BREAK:
                return WALK_BREAK;
        case NODE_CONTINUE:
                return WALK_CONTINUE;
        case NODE_LIST:
        case NODE_PIPE:
        case NODE_COMMAND:
        case NODE_FIELD:
        case NODE_VARIABLE:
        case NODE_CHAIN:
        case NODE_DOT:
        case NODE_NIL:
        case NODE_LITERAL:
        case NODE_FUNCTION:
                break;
        }
        return exec_fail(x, "this cannot stand here");
}

int exec_walk(struct exec *x, struct value dot, const struct node *list)
{
        size_t depth = x->depth;
        int r = deeper(x);

        for (size_t i = 0; r == WALK_ON && i < list->n; i++) {
                r = exec_step(x, list->children[i]);
                if (r >= 0)
                        r = walk_node(x, dot, list->children[i]);
        }
        x->depth = depth;
        return r;
}

int template_execute(const struct template *t, struct json_object *value,
                     const struct template_opts *opts, struct strbuf *out, struct err **reterr)
{
        static const struct template_opts none = {0};
        struct exec x = {.t = t,
                         .opts = opts ? opts : &none,
                         .out = out,
                         .data = value,
                         .out_start = out->len,
                         .reterr = reterr};
        struct value dot = {.o = value};
        int r;

        exec_push(&x, "$", dot);
        r = exec_walk(&x, dot, t->root);
        if (r >= 0)
                r = exec_step(&x, t->root); /* what the last node wrote counts too */
        for (size_t i = 0; i < x.n_pool; i++)
                (void)json_object_put(x.pool[i]);
        free(x.pool);
        free(x.variables);
        return r < 0 ? r : 0;
}
