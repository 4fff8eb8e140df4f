/* SPDX-License-Identifier: Apache-2.0 */
/* functions_compare — eq ne lt le gt ge. Numbers compare as numbers, whatever their kind: JSON does not tell 1 from 1.0 apart. */
#include "template/template_internal.h"

#include "base/json.h"

#include <string.h>

enum kind { KIND_NIL, KIND_BOOL, KIND_NUMBER, KIND_STRING, KIND_OTHER };

static enum kind kind_of(struct value v)
{
        if (v.none || !v.o)
                return KIND_NIL;
        if (value_is(v, json_type_boolean))
                return KIND_BOOL;
        if (value_is(v, json_type_int) || value_is(v, json_type_double))
                return KIND_NUMBER;
        return value_is(v, json_type_string) ? KIND_STRING : KIND_OTHER;
}

static int compare_numbers(struct json_object *a, struct json_object *b)
{
        if (json_object_is_type(a, json_type_double) || json_object_is_type(b, json_type_double)) {
                double x = json_object_get_double(a), y = json_object_get_double(b);

                return x < y ? -1 : x > y;
        }
        if (value_is_uint64(a) || value_is_uint64(b)) {
                /* A negative one is below any uint64; json-c reads it as 0, so it is asked first. */
                uint64_t x = json_object_get_uint64(a), y = json_object_get_uint64(b);

                if (json_object_get_int64(a) < 0)
                        return -1;
                if (json_object_get_int64(b) < 0)
                        return 1;
                return x < y ? -1 : x > y;
        }
        return json_object_get_int64(a) < json_object_get_int64(b)
                   ? -1
                   : json_object_get_int64(a) > json_object_get_int64(b);
}

static int compare_strings(struct json_object *a, struct json_object *b)
{
        size_t n = (size_t)json_object_get_string_len(a), m = (size_t)json_object_get_string_len(b);
        int r = memcmp(json_object_get_string(a), json_object_get_string(b), MIN(n, m));

        return r ? r : n < m ? -1 : n > m;
}

static int compare(struct exec *x, struct value a, struct value b, bool order, int *ret)
{
        enum kind ka = kind_of(a), kb = kind_of(b);

        if (ka == KIND_OTHER || kb == KIND_OTHER)
                return exec_fail(x, "non-comparable type %s", value_type(ka == KIND_OTHER ? a : b));
        if (order && (ka == KIND_NIL || ka == KIND_BOOL || kb == KIND_NIL || kb == KIND_BOOL))
                return exec_fail(x, "invalid type for comparison: %s and %s", value_type(a),
                                 value_type(b));
        if (ka == KIND_NIL || kb == KIND_NIL) {
                *ret = ka != kb;
                return 0;
        }
        if (ka != kb)
                return exec_fail(x, "incompatible types for comparison: %s and %s", value_type(a),
                                 value_type(b));
        if (ka == KIND_BOOL)
                *ret = json_object_get_boolean(a.o) != json_object_get_boolean(b.o);
        else
                *ret = ka == KIND_NUMBER ? compare_numbers(a.o, b.o) : compare_strings(a.o, b.o);
        return 0;
}

static int keep_bool(struct exec *x, bool b, struct value *ret)
{
        return exec_keep(x, json_object_new_boolean(b), 0, ret);
}

/* The first equals any of the others. */
int function_eq(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        int c = 1;

        for (size_t i = 1; i < n && c != 0; i++) {
                int r = compare(x, args[0], args[i], false, &c);

                if (r < 0)
                        return r;
        }
        return keep_bool(x, c == 0, ret);
}

int function_ne(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        int c, r = compare(x, args[0], args[1], false, &c);

        return r < 0 ? r : keep_bool(x, c != 0, ret);
}

int function_lt(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        int c, r = compare(x, args[0], args[1], true, &c);

        return r < 0 ? r : keep_bool(x, c < 0, ret);
}

int function_le(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        int c, r = compare(x, args[0], args[1], true, &c);

        return r < 0 ? r : keep_bool(x, c <= 0, ret);
}

int function_gt(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        int c, r = compare(x, args[0], args[1], true, &c);

        return r < 0 ? r : keep_bool(x, c > 0, ret);
}

int function_ge(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        int c, r = compare(x, args[0], args[1], true, &c);

        return r < 0 ? r : keep_bool(x, c >= 0, ret);
}
