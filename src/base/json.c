/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json_check.h"
#include "base/str.h"

#include <errno.h>
#include <json-c/json_tokener.h>
#include <json-c/linkhash.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#define JSON_MAX_DEPTH 64

/* ---- reading ---- */

static int json_bad_text(const char *what, const char *data, size_t offset, const char *problem,
                         struct err **reterr)
{
        size_t line = 1;

        for (size_t i = 0; i < offset; i++)
                line += data[i] == '\n';
        return err_new(reterr, ERR_INVALID, "%s: line %zu: %s", what, line, problem);
}

int json_parse(const char *data, size_t n, const char *what, struct json_object **ret,
               struct err **reterr)
{
        struct json_tokener *tok;
        struct json_object *o;
        enum json_tokener_error e;
        const char *problem;
        size_t offset;

        if (n >= INT_MAX)
                return err_new(reterr, ERR_INVALID, "%s: too large", what);
        problem = json_check(data, n, &offset);
        if (problem)
                return json_bad_text(what, data, offset, problem, reterr);
        tok = json_tokener_new_ex(JSON_MAX_DEPTH);
        if (!tok)
                abort();
        json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
        o = json_tokener_parse_ex(tok, data, (int)n);
        e = json_tokener_get_error(tok);
        offset = json_tokener_get_parse_end(tok);
        /* A number at the top level ends only where the text does, which json-c is told by a NUL. */
        if (e == json_tokener_continue) {
                o = json_tokener_parse_ex(tok, "", 1);
                e = json_tokener_get_error(tok);
                offset = n;
        }
        json_tokener_free(tok);
        if (e != json_tokener_success) {
                (void)json_unref(o);
                problem =
                    e == json_tokener_continue ? "unexpected end" : json_tokener_error_desc(e);
                return json_bad_text(what, data, offset, problem, reterr);
        }
        *ret = o;
        return 0;
}

int json_read_file(int dirfd, const char *path, size_t max, struct json_object **ret,
                   struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        size_t n;
        int r;

        r = io_read_file(dirfd, path, max, &text, &n, reterr);
        if (r < 0)
                return r;
        return json_parse(text, n, path, ret, reterr);
}

int json_to_text(struct json_object *obj, const char *what, const char **ret, struct err **reterr)
{
        const char *text = json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN |
                                                                   JSON_C_TO_STRING_NOSLASHESCAPE);
        size_t n = strlen(text), offset;
        const char *problem = json_check(text, n, &offset);
        int r;

        if (n > JSON_OWN_MAX)
                return err_new(reterr, ERR_USAGE, "%s would be larger than %u bytes", what,
                               JSON_OWN_MAX);
        if (!problem) {
                *ret = text;
                return 0;
        }
        r = err_new(reterr, ERR_USAGE, "%s cannot hold what was given: %s", what, problem);
        return err_hint(
            reterr, r,
            "commands, variables, labels and paths are kept as text: give them as UTF-8");
}

/* ---- access ---- */

struct json_at json_key(const struct json_at *at, const char *key)
{
        struct json_at child = {.parent = at, .name = key};

        if (json_object_is_type(at->obj, json_type_object))
                (void)json_object_object_get_ex(at->obj, key, &child.obj);
        return child;
}

struct json_at json_elem(const struct json_at *at, size_t index)
{
        struct json_at child = {.parent = at, .index = index};

        if (json_object_is_type(at->obj, json_type_array))
                child.obj = json_object_array_get_idx(at->obj, index);
        return child;
}

/* "config.json: process.args[2]": the root is a document, the rest a path in it. Recursion is as deep as the document. */
static void json_add_path(struct strbuf *b, const struct json_at *at)
{
        if (!at->parent) {
                strbuf_add(b, at->name ? at->name : "json");
                return;
        }
        json_add_path(b, at->parent);
        if (!at->parent->parent)
                strbuf_add(b, ": ");
        else if (at->name)
                strbuf_add(b, ".");
        if (at->name)
                strbuf_add(b, at->name);
        else
                strbuf_addf(b, "[%zu]", at->index);
}

int json_fail(const struct json_at *at, struct err **reterr, const char *fmt, ...)
{
        AUTO_STRBUF path = {0};
        AUTO_FREE char *words = NULL;
        va_list ap;

        va_start(ap, fmt);
        words = xvasprintf(fmt, ap);
        va_end(ap);
        json_add_path(&path, at);
        return err_new(reterr, ERR_INVALID, "%s: %s", path.data, words);
}

static int json_want(const struct json_at *at, enum json_type type, const char *words,
                     struct err **reterr)
{
        /* json-c's null is a NULL pointer, so that this covers absent, too. */
        if (!json_object_is_type(at->obj, type))
                return json_fail(at, reterr, "%s%s", at->obj ? "expected " : "missing ", words);
        return 0;
}

int json_want_object(const struct json_at *at, struct err **reterr)
{
        return json_want(at, json_type_object, "an object", reterr);
}

int json_want_array(const struct json_at *at, size_t max_len, size_t *ret_len, struct err **reterr)
{
        int r = json_want(at, json_type_array, "an array", reterr);

        if (r < 0)
                return r;
        if (json_object_array_length(at->obj) > max_len)
                return json_fail(at, reterr, "more than %zu elements", max_len);
        if (ret_len)
                *ret_len = json_object_array_length(at->obj);
        return 0;
}

int json_value_string(const struct json_at *at, const char **ret, struct err **reterr)
{
        const char *s;
        int r;

        r = json_want(at, json_type_string, "a string", reterr);
        if (r < 0)
                return r;
        s = json_object_get_string(at->obj);
        /* "\u0000" is legal JSON, and would end the string early for everything in C. */
        if (strlen(s) != (size_t)json_object_get_string_len(at->obj))
                return json_fail(at, reterr, "NUL byte in a string");
        *ret = s;
        return 0;
}

static int json_value_bool(const struct json_at *at, bool *ret, struct err **reterr)
{
        int r = json_want(at, json_type_boolean, "true or false", reterr);

        if (r == 0)
                *ret = json_object_get_boolean(at->obj);
        return r;
}

static int json_value_i64(const struct json_at *at, int64_t *ret, struct err **reterr)
{
        int r = json_want(at, json_type_int, "an integer", reterr);

        if (r < 0)
                return r;
        /* json-c keeps what does not fit int64 as uint64, and answers with the nearest. */
        if (json_object_get_uint64(at->obj) > INT64_MAX)
                return json_fail(at, reterr, "number out of range");
        *ret = json_object_get_int64(at->obj);
        return 0;
}

static int json_value_u64(const struct json_at *at, uint64_t *ret, struct err **reterr)
{
        int r = json_want(at, json_type_int, "an integer", reterr);

        if (r < 0)
                return r;
        if (json_object_get_int64(at->obj) < 0)
                return json_fail(at, reterr, "expected a number of at least 0");
        *ret = json_object_get_uint64(at->obj);
        return 0;
}

int json_get_string(const struct json_at *at, const char *key, const char **ret,
                    struct err **reterr)
{
        struct json_at child = json_key(at, key);

        return json_value_string(&child, ret, reterr);
}

int json_opt_string(const struct json_at *at, const char *key, const char **ret,
                    struct err **reterr)
{
        struct json_at child = json_key(at, key);

        return child.obj ? json_value_string(&child, ret, reterr) : 0;
}

int json_opt_bool(const struct json_at *at, const char *key, bool *ret, struct err **reterr)
{
        struct json_at child = json_key(at, key);

        return child.obj ? json_value_bool(&child, ret, reterr) : 0;
}

int json_get_u64(const struct json_at *at, const char *key, uint64_t *ret, struct err **reterr)
{
        struct json_at child = json_key(at, key);

        return json_value_u64(&child, ret, reterr);
}

int json_opt_u64(const struct json_at *at, const char *key, uint64_t *ret, struct err **reterr)
{
        struct json_at child = json_key(at, key);

        return child.obj ? json_value_u64(&child, ret, reterr) : 0;
}

int json_opt_i64(const struct json_at *at, const char *key, int64_t *ret, struct err **reterr)
{
        struct json_at child = json_key(at, key);

        return child.obj ? json_value_i64(&child, ret, reterr) : 0;
}

int json_opt_u32(const struct json_at *at, const char *key, uint32_t *ret, struct err **reterr)
{
        struct json_at child = json_key(at, key);
        uint64_t v = 0;
        int r;

        if (!child.obj)
                return 0;
        r = json_value_u64(&child, &v, reterr);
        if (r < 0)
                return r;
        if (v > UINT32_MAX)
                return json_fail(&child, reterr, "number out of range");
        *ret = (uint32_t)v;
        return 0;
}

int json_opt_strv(const struct json_at *at, const char *key, struct strv *ret, struct err **reterr)
{
        struct json_at child = json_key(at, key);
        AUTO_STRV v = {0};
        size_t n;
        int r;

        if (!child.obj)
                return 0;
        r = json_want_array(&child, SIZE_MAX, &n, reterr);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                struct json_at elem = json_elem(&child, i);
                const char *s = NULL;

                r = json_value_string(&elem, &s, reterr);
                if (r < 0)
                        return r;
                strv_add(&v, s);
        }
        strv_copy(ret, &v);
        return 0;
}

int json_opt_pairs(const struct json_at *at, const char *key, struct strv *ret, struct err **reterr)
{
        struct json_at child = json_key(at, key);
        AUTO_STRV v = {0};
        int r;

        if (!child.obj)
                return 0;
        r = json_want_object(&child, reterr);
        if (r < 0)
                return r;
        json_object_object_foreach(child.obj, name, value)
        {
                struct json_at e = json_key(&child, name);
                const char *text;

                (void)value;
                r = json_value_string(&e, &text, reterr);
                if (r < 0)
                        return r;
                strv_addf(&v, "%s=%s", name, text);
        }
        strv_copy(ret, &v);
        return 0;
}

/* ---- building ---- */

static void json_add(struct json_object *o, const char *key, struct json_object *value)
{
        if (json_object_object_add(o, key, value) < 0)
                abort(); /* out of memory */
}

void json_add_string(struct json_object *o, const char *key, const char *value)
{
        json_add(o, key, value ? json_object_new_string(value) : NULL);
}

void json_add_bool(struct json_object *o, const char *key, bool value)
{
        json_add(o, key, json_object_new_boolean(value));
}

void json_add_int(struct json_object *o, const char *key, int64_t value)
{
        json_add(o, key, json_object_new_int64(value));
}

void json_add_uint(struct json_object *o, const char *key, uint64_t value)
{
        json_add(o, key, json_object_new_uint64(value));
}

struct json_object *json_from_strv(const struct strv *s)
{
        struct json_object *array = json_object_new_array_ext((int)MIN(s->n + 1, (size_t)INT_MAX));

        for (size_t i = 0; i < s->n; i++)
                if (json_object_array_add(array, json_object_new_string(s->v[i])) < 0)
                        abort(); /* out of memory */
        return array;
}

void json_add_pairs(struct json_object *o, const struct strv *pairs)
{
        for (size_t i = 0; i < pairs->n; i++) {
                size_t n = strcspn(pairs->v[i], "=");
                AUTO_FREE char *name = xstrndup(pairs->v[i], n);

                json_add_string(o, name, pairs->v[i][n] ? pairs->v[i] + n + 1 : "");
        }
}

struct json_object *json_array(struct json_object *o, const char *key)
{
        struct json_object *child = json_object_new_array();

        json_add(o, key, child);
        return child;
}

struct json_object *json_add_object(struct json_object *o, const char *key)
{
        struct json_object *child = json_object_new_object();

        json_add(o, key, child);
        return child;
}

struct json_object *json_unref(struct json_object *o)
{
        (void)json_object_put(o);
        return NULL;
}
