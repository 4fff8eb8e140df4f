/* SPDX-License-Identifier: Apache-2.0 */
/* exec_range — {{range}} over lists, over maps in the order of their keys, and up to a number. */
#include "base/json.h"
#include "template/template_internal.h"

#include <string.h>

struct loop {
        struct exec *x;
        const struct node *node;
        size_t variables, base; /* in scope: when an iteration begins; before the loop's own */
        bool ran;
};

/* With ":=" the loop's own variables, set anew; with "=" those of before. One variable is the element, two are index and element. */
static int set_variables(struct loop *l, struct value index, struct value element)
{
        const struct node *pipe = l->node->children[0];
        struct value values[2] = {index, element};
        size_t n = pipe->names.n;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct value v = values[n == 1 ? 1 : i];

                if (pipe->assign)
                        r = exec_assign(l->x, pipe->names.v[i], v);
                else
                        l->x->variables[l->base + i].value = v;
        }
        return r;
}

static int iterate(struct loop *l, struct value index, struct value element)
{
        int r = exec_step(l->x, l->node);

        l->ran = true;
        if (r >= 0)
                r = set_variables(l, index, element);
        if (r >= 0)
                r = exec_walk(l->x, element, l->node->children[1]);
        l->x->n_variables = l->variables;
        return r == WALK_CONTINUE ? WALK_ON : r;
}

static int range_list(struct loop *l, struct json_object *list)
{
        int r = WALK_ON;

        for (size_t i = 0; r == WALK_ON && i < json_object_array_length(list); i++) {
                struct value element = {.o = json_object_array_get_idx(list, i)}, index;

                r = exec_keep(l->x, json_object_new_int64((int64_t)i), 0, &index);
                if (r >= 0)
                        r = iterate(l, index, element);
        }
        return r;
}

static int range_map(struct loop *l, struct json_object *map)
{
        size_t n;
        AUTO_FREE const char **keys = sorted_keys(map, &n);
        int r = WALK_ON;

        for (size_t i = 0; r == WALK_ON && i < n; i++) {
                struct value key, element = {0};

                r = exec_keep_string(l->x, keys[i], strlen(keys[i]), &key);
                (void)exec_member(l->x, map, keys[i], &element);
                if (r >= 0)
                        r = iterate(l, key, element);
        }
        return r;
}

static int range_number(struct loop *l, int64_t end)
{
        int r = WALK_ON;

        for (int64_t i = 0; r == WALK_ON && i < end; i++) {
                struct value v;

                r = exec_keep(l->x, json_object_new_int64(i), 0, &v);
                if (r >= 0)
                        r = iterate(l, v, v);
        }
        return r;
}

int exec_range(struct exec *x, struct value dot, const struct node *node)
{
        const struct node *pipe = node->children[0];
        struct loop l = {.x = x, .node = node, .base = x->n_variables};
        struct value v = {0};
        int r = exec_commands(x, dot, pipe, &v);

        if (r < 0)
                return r;
        /* Pipes in parentheses may have declared variables, which stay below the loop's own. */
        l.base = x->n_variables;
        for (size_t i = 0; !pipe->assign && i < pipe->names.n; i++)
                exec_push(x, pipe->names.v[i], v);
        l.variables = x->n_variables;
        if (value_is(v, json_type_array))
                r = range_list(&l, v.o);
        else if (value_is(v, json_type_object))
                r = range_map(&l, v.o);
        else if (value_is(v, json_type_int))
                r = range_number(&l, json_object_get_int64(v.o));
        else if (!v.none && v.o)
                r = exec_fail(x, "range can't iterate over %s", value_type(v));
        if (r >= 0 && !l.ran)
                r = node->n > 2 ? exec_walk(x, dot, node->children[2]) : WALK_ON;
        else if (r == WALK_BREAK)
                r = WALK_ON;
        x->n_variables = l.base;
        return r;
}
