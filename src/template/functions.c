/* SPDX-License-Identifier: Apache-2.0 */
/* functions — the table, and those of Go's functions that work on any value. */
#include "template/template_internal.h"

#include "base/err.h"
#include "base/json.h"
#include "base/json_write.h"

#include <inttypes.h>
#include <string.h>

int value_text(struct exec *x, const char *function, struct value v, struct value *ret)
{
        AUTO_STRBUF b = {0};

        if (value_is(v, json_type_string)) {
                *ret = v;
                return 0;
        }
        if (v.none || !v.o || value_is(v, json_type_array) || value_is(v, json_type_object))
                return exec_fail(x, "%s: expected a string, not %s", function, value_type(v));
        print_json(&b, v.o);
        return exec_keep_string(x, b.data, b.len, ret);
}

int value_int(struct exec *x, const char *function, struct value v, int64_t *ret)
{
        if (!value_is(v, json_type_int) || value_is_uint64(v.o))
                return exec_fail(x, "%s: expected an int, not %s", function, value_type(v));
        *ret = json_object_get_int64(v.o);
        return 0;
}

static int function_not(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        return exec_keep(x, json_object_new_boolean(!value_is_true(args[0])), 0, ret);
}

static int function_json(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        AUTO_STRBUF b = {0};

        json_write(&b, args[0].none ? NULL : args[0].o, 0);
        return exec_keep_string(x, b.data, b.len, ret);
}

static int function_len(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        int64_t len;

        if (value_is(args[0], json_type_string))
                len = json_object_get_string_len(args[0].o);
        else if (value_is(args[0], json_type_array))
                len = (int64_t)json_object_array_length(args[0].o);
        else if (value_is(args[0], json_type_object))
                len = json_object_object_length(args[0].o);
        else
                return exec_fail(x, "len of type %s", value_type(args[0]));
        return exec_keep(x, json_object_new_int64(len), 0, ret);
}

/* Sprint and Sprintln of the arguments. */
static int function_print(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        AUTO_STRBUF b = {0};

        print_all(&b, args, n, false);
        return exec_keep_string(x, b.data, b.len, ret);
}

static int function_println(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        AUTO_STRBUF b = {0};

        print_all(&b, args, n, true);
        return exec_keep_string(x, b.data, b.len, ret);
}

static int function_call(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        return exec_fail(x, "call: there are no functions among these values, but %s",
                         value_type(args[0]));
}

/* ---- index ---- */

/* A missing key is the zero value of the map's elements: of the first one's type; of strings, when there are none. */
static int zero_element(struct exec *x, struct json_object *map, struct value *ret)
{
        json_object_object_foreach(map, key, member)
        {
                (void)key;
                if (json_object_is_type(member, json_type_string))
                        return exec_keep_string(x, "", 0, ret);
                if (json_object_is_type(member, json_type_array))
                        return exec_keep(x, json_object_new_array(), 0, ret);
                if (member) {
                        *ret = (struct value){.none = true};
                        return 0;
                }
        }
        if (json_object_object_length(map) == 0)
                return exec_keep_string(x, "", 0, ret);
        *ret = (struct value){.none = true};
        return 0;
}

static int index_object(struct exec *x, struct value v, struct value key, struct value *ret)
{
        const char *name;

        if (!value_is(key, json_type_string))
                return exec_fail(x, "index: a map's key is a string, not %s", value_type(key));
        name = json_object_get_string(key.o);
        if (exec_member(x, v.o, name, ret))
                return 0;
        if (!v.map && x->opts->maps)
                return exec_fail(x, "index: there is nothing under '%s'", name);
        return zero_element(x, v.o, ret);
}

static int index_one(struct exec *x, struct value v, struct value key, struct value *ret)
{
        int64_t i, len;
        int r;

        if (v.none || !v.o)
                return exec_fail_advice(x, "{{with}} or {{if}} around it asks whether it is there",
                                        "index of nil");
        if (value_is(v, json_type_object))
                return index_object(x, v, key, ret);
        if (!value_is(v, json_type_array) && !value_is(v, json_type_string))
                return exec_fail(x, "can't index item of type %s", value_type(v));
        r = value_int(x, "index", key, &i);
        if (r < 0)
                return r;
        len = value_is(v, json_type_array) ? (int64_t)json_object_array_length(v.o)
                                           : json_object_get_string_len(v.o);
        if (i < 0 || i >= len)
                return exec_fail(x, "index out of range: %" PRId64, i);
        if (value_is(v, json_type_string))
                return exec_keep(
                    x, json_object_new_int64((unsigned char)json_object_get_string(v.o)[i]), 0,
                    ret);
        *ret = (struct value){.o = json_object_array_get_idx(v.o, (size_t)i)};
        return 0;
}

static int function_index(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        struct value v = args[0];

        for (size_t i = 1; i < n; i++) {
                int r = index_one(x, v, args[i], &v);

                if (r < 0)
                        return r;
        }
        *ret = v;
        return 0;
}

static int function_slice(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        bool string = value_is(args[0], json_type_string);
        int64_t from = 0, to, len;
        struct json_object *part;
        int r = 0;

        if (!string && !value_is(args[0], json_type_array))
                return exec_fail(x, "can't slice item of type %s", value_type(args[0]));
        if (string && n == 4)
                return exec_fail(x, "cannot 3-index slice a string");
        len = string ? json_object_get_string_len(args[0].o)
                     : (int64_t)json_object_array_length(args[0].o);
        to = len;
        for (size_t i = 1; r >= 0 && i < n; i++) {
                int64_t at;

                r = value_int(x, "slice", args[i], &at);
                if (r >= 0 && (at < 0 || at > len))
                        return exec_fail(x, "index out of range: %" PRId64, at);
                if (r >= 0 && i == 1)
                        from = at;
                else if (r >= 0 && i == 2)
                        to = at;
                else if (r >= 0 && at < to)
                        return exec_fail(x, "invalid slice index: %" PRId64 " > %" PRId64, to, at);
        }
        if (r < 0)
                return r;
        if (from > to)
                return exec_fail(x, "invalid slice index: %" PRId64 " > %" PRId64, from, to);
        if (string)
                return exec_keep_string(x, json_object_get_string(args[0].o) + from,
                                        (size_t)(to - from), ret);
        part = json_object_new_array();
        for (int64_t i = from; i < to; i++)
                (void)json_object_array_add(
                    part, json_object_get(json_object_array_get_idx(args[0].o, (size_t)i)));
        return exec_keep(x, part, (size_t)(to - from) * sizeof(void *), ret);
}

/* ---- the table ---- */

/* exec.c evaluates these two while it evaluates their arguments; here they are only as operands without any. */
static int function_and(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        *ret = args[n - 1];
        return 0;
}

static int function_or(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        *ret = args[n - 1];
        return 0;
}

#define ANY 255
static const struct function functions[] = {
    {"and", 1, ANY, false, function_and},
    {"call", 1, ANY, false, function_call},
    {"eq", 2, ANY, false, function_eq},
    {"ge", 2, 2, false, function_ge},
    {"gt", 2, 2, false, function_gt},
    {"html", 0, ANY, false, function_html},
    {"index", 1, ANY, false, function_index},
    {"join", 2, 2, true, function_join},
    {"js", 0, ANY, false, function_js},
    {"json", 1, 1, true, function_json},
    {"le", 2, 2, false, function_le},
    {"len", 1, 1, false, function_len},
    {"lower", 1, 1, true, function_lower},
    {"lt", 2, 2, false, function_lt},
    {"ne", 2, 2, false, function_ne},
    {"not", 1, 1, false, function_not},
    {"or", 1, ANY, false, function_or},
    {"pad", 3, 3, false, function_pad},
    {"print", 0, ANY, false, function_print},
    {"printf", 1, ANY, false, function_printf},
    {"println", 0, ANY, false, function_println},
    {"slice", 1, 4, false, function_slice},
    {"split", 2, 2, true, function_split},
    {"title", 1, 1, true, function_title},
    {"truncate", 2, 2, true, function_truncate},
    {"upper", 1, 1, true, function_upper},
    {"urlquery", 0, ANY, false, function_urlquery},
};

const struct function *template_function(const char *name, size_t n)
{
        for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
                if (strlen(functions[i].name) == n && memcmp(functions[i].name, name, n) == 0)
                        return &functions[i];
        }
        return NULL;
}

bool function_is_and(const struct function *f)
{
        return f->call == function_and;
}

bool function_is_or(const struct function *f)
{
        return f->call == function_or;
}
