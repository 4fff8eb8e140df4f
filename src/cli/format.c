/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format — the part of Go's templates that listings and inspect need, over JSON values.
 *
 * A template is parsed once into a list of nodes (text or action) and rendered once per row. An action is a function, a
 * field path and at most one literal argument; nothing here loops or recurses over input, so hostile templates cost only
 * their own length.
 */
#include "cli/output.h"

#include "base/err.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/linkhash.h>
#include <string.h>

enum function { FN_PRINT, FN_JSON, FN_INDEX, FN_UPPER, FN_LOWER, FN_LEN, FN_JOIN, FN_COUNT };
static const struct {
        const char *name;
        bool literal; /* takes a quoted argument behind the field */
} functions[FN_COUNT] = {
    [FN_PRINT] = {"", false},      [FN_JSON] = {"json", false},   [FN_INDEX] = {"index", true},
    [FN_UPPER] = {"upper", false}, [FN_LOWER] = {"lower", false}, [FN_LEN] = {"len", false},
    [FN_JOIN] = {"join", true},
};

struct node {
        char *text; /* literal text; NULL for an action */
        enum function function;
        struct strv path; /* empty: "." */
        struct strv literals;
        size_t column; /* of the action, from 1 */
};
struct format {
        struct node *nodes;
        size_t n;
};

struct format *format_free(struct format *f)
{
        if (!f)
                return NULL;
        for (size_t i = 0; i < f->n; i++) {
                free(f->nodes[i].text);
                strv_release(&f->nodes[i].path);
                strv_release(&f->nodes[i].literals);
        }
        free(f->nodes);
        free(f);
        return NULL;
}

/* ---- parsing ----------------------------------------------------------------------------------- */

static struct node *add_node(struct format *f)
{
        f->nodes = xrealloc(f->nodes, f->n + 1, sizeof(*f->nodes));
        f->nodes[f->n] = (struct node){0};
        return &f->nodes[f->n++];
}

/* Text with the two escapes that people type into shells. */
static void add_text(struct format *f, const char *s, size_t n)
{
        AUTO_STRBUF b = {0};

        for (size_t i = 0; i < n; i++) {
                char c = s[i];

                if (c == '\\' && i + 1 < n && (s[i + 1] == 't' || s[i + 1] == 'n'))
                        c = s[++i] == 't' ? '\t' : '\n';
                strbuf_add_len(&b, &c, 1);
        }
        if (b.len)
                add_node(f)->text = strbuf_take(&b);
}

static int fail(struct err **reterr, size_t column, const char *what, const char *at, size_t n)
{
        int r = err_new(reterr, ERR_USAGE, "format: column %zu: %s '%.*s'", column, what,
                        (int)MIN(n, (size_t)40), at);

        return err_hint(reterr, r,
                        "understood are {{.Field}}, {{json .Field}}, {{index .Field \"key\"}}, "
                        "upper, lower, len, join");
}

static size_t skip_space(const char *s, size_t n, size_t i)
{
        while (i < n && isspace((unsigned char)s[i]))
                i++;
        return i;
}

static bool is_name_char(char c)
{
        return isalnum((unsigned char)c) || c == '_';
}

/* ".", ".A", ".A.B": the names go to @path. Returns the position behind it, or 0 when it is not a path. */
static size_t parse_path(const char *s, size_t n, size_t i, struct strv *path)
{
        if (i >= n || s[i] != '.')
                return 0;
        while (i < n && s[i] == '.') {
                size_t start = ++i;

                while (i < n && is_name_char(s[i]))
                        i++;
                if (i == start)
                        return path->n ? 0 : i; /* "." alone; ".A." is none */
                strv_add_take(path, xstrndup(s + start, i - start));
        }
        return i;
}

/* "text" with \" and \\, `text`, or a number. Returns the position behind it, 0 when it is none. */
static size_t parse_literal(const char *s, size_t n, size_t i, struct strv *literals)
{
        AUTO_STRBUF b = {0};
        size_t start = i;
        char quote;

        if (i >= n)
                return 0;
        if (isdigit((unsigned char)s[i])) {
                while (i < n && isdigit((unsigned char)s[i]))
                        i++;
                strv_add_take(literals, xstrndup(s + start, i - start));
                return i;
        }
        quote = s[i++];
        if (quote != '"' && quote != '`')
                return 0;
        while (i < n && s[i] != quote) {
                if (quote == '"' && s[i] == '\\' && i + 1 < n)
                        i++;
                strbuf_add_len(&b, s + i, 1);
                i++;
        }
        if (i >= n)
                return 0;
        strv_add_take(literals, strbuf_take(&b));
        return i + 1;
}

static enum function find_function(const char *s, size_t n)
{
        for (size_t i = 1; i < FN_COUNT; i++) {
                if (strlen(functions[i].name) == n && memcmp(functions[i].name, s, n) == 0)
                        return (enum function)i;
        }
        return FN_COUNT;
}

/* The inside of {{…}}: [FUNCTION] PATH [LITERAL…]; join's arguments are PATH SEPARATOR. */
static int parse_action(struct format *f, const char *s, size_t n, size_t column,
                        struct err **reterr)
{
        struct node *node = add_node(f);
        size_t i = skip_space(s, n, 0), next;

        node->column = column;
        if (i < n && isalpha((unsigned char)s[i])) {
                size_t start = i;

                while (i < n && is_name_char(s[i]))
                        i++;
                node->function = find_function(s + start, i - start);
                if (node->function == FN_COUNT)
                        return fail(reterr, column, "not understood:", s + start, i - start);
                i = skip_space(s, n, i);
        }
        next = parse_path(s, n, i, &node->path);
        if (!next)
                return fail(reterr, column, "expected a field such as .Name, got", s + i, n - i);
        i = skip_space(s, n, next);
        while (functions[node->function].literal && i < n) {
                next = parse_literal(s, n, i, &node->literals);
                if (!next)
                        break;
                i = skip_space(s, n, next);
        }
        if (i < n)
                return fail(reterr, column, "not understood:", s + i, n - i);
        if (functions[node->function].literal && !node->literals.n)
                return fail(reterr, column, "a quoted argument is missing in", s, n);
        return 0;
}

/* "{{-" and "-}}" eat the white space beside them. */
static size_t trim_end(const char *s, size_t start, size_t end)
{
        while (end > start && isspace((unsigned char)s[end - 1]))
                end--;
        return end;
}

int format_parse(const char *text, struct format **ret, struct err **reterr)
{
        AUTO(format_freep) struct format *f = xnew(struct format);
        size_t n = strlen(text), i = 0;
        int r;

        while (i < n) {
                const char *open = strstr(text + i, "{{");
                const char *close;
                size_t start, end, text_end;

                if (!open) {
                        add_text(f, text + i, n - i);
                        break;
                }
                start = (size_t)(open - text) + 2;
                close = strstr(text + start, "}}");
                if (!close)
                        return fail(reterr, start - 1, "'}}' is missing behind", open,
                                    strlen(open));
                end = (size_t)(close - text);
                text_end = start - 2;
                if (text[start] == '-' && isspace((unsigned char)text[start + 1])) {
                        text_end = trim_end(text, i, text_end);
                        start++;
                }
                add_text(f, text + i, text_end - i);
                i = end + 2;
                if (end > start + 1 && text[end - 1] == '-' &&
                    isspace((unsigned char)text[end - 2])) {
                        end--;
                        i = skip_space(text, n, i);
                }
                r = parse_action(f, text + start, end - start, (size_t)(open - text) + 1, reterr);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

/* ---- rendering --------------------------------------------------------------------------------- */

static void print_value(struct strbuf *out, struct json_object *v, unsigned depth);

static int compare_keys(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* As Go prints a map: sorted, "map[k:v k:v]". */
static void print_map(struct strbuf *out, struct json_object *v, unsigned depth)
{
        size_t n = (size_t)json_object_object_length(v), i = 0;
        AUTO_FREE const char **keys = xcalloc(n + 1, sizeof(*keys));

        json_object_object_foreach(v, key, unused)
        {
                (void)unused;
                keys[i++] = key;
        }
        qsort(keys, n, sizeof(*keys), compare_keys);
        strbuf_add(out, "map[");
        for (i = 0; i < n; i++) {
                struct json_object *member = NULL;

                json_object_object_get_ex(v, keys[i], &member);
                strbuf_addf(out, "%s%s:", i ? " " : "", keys[i]);
                print_value(out, member, depth + 1);
        }
        strbuf_add(out, "]");
}

static void print_list(struct strbuf *out, struct json_object *v, unsigned depth)
{
        size_t n = json_object_array_length(v);

        strbuf_add(out, "[");
        for (size_t i = 0; i < n; i++) {
                if (i)
                        strbuf_add(out, " ");
                print_value(out, json_object_array_get_idx(v, i), depth + 1);
        }
        strbuf_add(out, "]");
}

/* Recursion is bounded by the depth that the JSON reader admits. */
static void print_value(struct strbuf *out, struct json_object *v, unsigned depth)
{
        if (!v)
                strbuf_add(out, "<nil>");
        else if (json_object_is_type(v, json_type_object))
                print_map(out, v, depth);
        else if (json_object_is_type(v, json_type_array))
                print_list(out, v, depth);
        else if (json_object_is_type(v, json_type_string))
                strbuf_add_len(out, json_object_get_string(v),
                               (size_t)json_object_get_string_len(v));
        else
                strbuf_add(out, json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN));
}

static int no_field(const struct node *node, size_t level, struct json_object *in,
                    struct err **reterr)
{
        AUTO_STRBUF b = {0};
        AUTO_STRBUF known = {0};
        int r;

        for (size_t i = 0; i <= level; i++)
                strbuf_addf(&b, ".%s", node->path.v[i]);
        r = err_new(reterr, ERR_USAGE, "format: column %zu: there is no field '%s'", node->column,
                    b.data);
        if (!json_object_is_type(in, json_type_object))
                return r;
        json_object_object_foreach(in, key, member)
        {
                (void)member;
                strbuf_addf(&known, " .%s", key);
        }
        return known.len ? err_hint(reterr, r, "known here:%s", known.data) : r;
}

static int resolve(const struct node *node, struct json_object *v, struct json_object **ret,
                   struct err **reterr)
{
        for (size_t i = 0; i < node->path.n; i++) {
                struct json_object *in = v;

                if (!json_object_is_type(in, json_type_object) ||
                    !json_object_object_get_ex(in, node->path.v[i], &v))
                        return no_field(node, i, in, reterr);
        }
        *ret = v;
        return 0;
}

/* The element of a list that the text numbers; NULL in *ret may be an element too, so that 0 or -EINVAL says it. */
static int list_element(struct json_object *list, const char *number, struct json_object **ret)
{
        uint64_t n;

        if (!json_object_is_type(list, json_type_array) || parse_u64(number, &n) < 0 ||
            n >= json_object_array_length(list))
                return -EINVAL;
        *ret = json_object_array_get_idx(list, n);
        return 0;
}

/* index of a map by key (absent: empty, as Go's zero value of a string map), of a list by number. */
static int print_index(const struct node *node, struct json_object *v, struct strbuf *out,
                       struct err **reterr)
{
        for (size_t i = 0; i < node->literals.n; i++) {
                const char *key = node->literals.v[i];

                if (json_object_is_type(v, json_type_object)) {
                        if (!json_object_object_get_ex(v, key, &v))
                                return 0;
                } else if (list_element(v, key, &v) < 0) {
                        return err_new(reterr, ERR_USAGE,
                                       "format: column %zu: index '%s': nothing there",
                                       node->column, key);
                }
        }
        print_value(out, v, 0);
        return 0;
}

static int print_join(const struct node *node, struct json_object *v, struct strbuf *out,
                      struct err **reterr)
{
        if (!json_object_is_type(v, json_type_array))
                return err_new(reterr, ERR_USAGE, "format: column %zu: join: the field is no list",
                               node->column);
        for (size_t i = 0; i < json_object_array_length(v); i++) {
                if (i)
                        strbuf_add(out, node->literals.v[0]);
                print_value(out, json_object_array_get_idx(v, i), 0);
        }
        return 0;
}

static int print_len(const struct node *node, struct json_object *v, struct strbuf *out,
                     struct err **reterr)
{
        if (json_object_is_type(v, json_type_array))
                strbuf_addf(out, "%zu", json_object_array_length(v));
        else if (json_object_is_type(v, json_type_object))
                strbuf_addf(out, "%d", json_object_object_length(v));
        else if (json_object_is_type(v, json_type_string))
                strbuf_addf(out, "%d", json_object_get_string_len(v));
        else
                return err_new(reterr, ERR_USAGE,
                               "format: column %zu: len: the field has no length", node->column);
        return 0;
}

/* The case of ASCII letters only: no locale is loaded. */
static void print_case(struct strbuf *out, struct json_object *v, int (*convert)(int))
{
        size_t start = out->len;

        print_value(out, v, 0);
        for (size_t i = start; i < out->len; i++) {
                if (isascii(out->data[i]))
                        out->data[i] = (char)convert((unsigned char)out->data[i]);
        }
}

static int render_action(const struct node *node, struct json_object *value, struct strbuf *out,
                         struct err **reterr)
{
        struct json_object *v = NULL;
        int r = resolve(node, value, &v, reterr);

        if (r < 0)
                return r;
        switch (node->function) {
        case FN_JSON:
                output_json(out, v, 0);
                return 0;
        case FN_INDEX:
                return print_index(node, v, out, reterr);
        case FN_JOIN:
                return print_join(node, v, out, reterr);
        case FN_LEN:
                return print_len(node, v, out, reterr);
        case FN_UPPER:
                print_case(out, v, toupper);
                return 0;
        case FN_LOWER:
                print_case(out, v, tolower);
                return 0;
        case FN_PRINT:
        case FN_COUNT:
                break;
        }
        print_value(out, v, 0);
        return 0;
}

int format_render(const struct format *f, struct json_object *value, struct strbuf *out,
                  struct err **reterr)
{
        for (size_t i = 0; i < f->n; i++) {
                int r;

                if (f->nodes[i].text) {
                        strbuf_add(out, f->nodes[i].text);
                        continue;
                }
                r = render_action(&f->nodes[i], value, out, reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}
