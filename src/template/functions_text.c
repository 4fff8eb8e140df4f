/* SPDX-License-Identifier: Apache-2.0 */
/* functions_text — escaping for HTML, JavaScript and URLs, and the functions on strings that Docker adds. */
#include "template/template_internal.h"

#include "base/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define PAD_MAX 10000

/* ---- escaping ---- */

/* One string is taken as it is, anything else is printed. A missing value has its usual words. */
static void escaper_text(struct strbuf *b, const struct value *args, size_t n)
{
        if (n == 1) {
                if (args[0].none || !args[0].o)
                        strbuf_add(b, "<no value>");
                else
                        print_json(b, args[0].o);
                return;
        }
        print_all(b, args, n, false);
}

int function_html(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        AUTO_STRBUF in = {0};
        AUTO_STRBUF out = {0};

        escaper_text(&in, args, n);
        for (size_t i = 0; i < in.len; i++) {
                char c = in.data[i];

                if (c == '"' || c == '\'')
                        strbuf_addf(&out, "&#%d;", c);
                else if (c == '&')
                        strbuf_add(&out, "&amp;");
                else if (c == '<')
                        strbuf_add(&out, "&lt;");
                else if (c == '>')
                        strbuf_add(&out, "&gt;");
                else if (c == 0)
                        strbuf_add(&out, "\xef\xbf\xbd");
                else
                        strbuf_add_len(&out, &c, 1);
        }
        return exec_keep_string(x, out.data, out.len, ret);
}

static void js_char(struct strbuf *out, unsigned char c)
{
        if (c == '\\' || c == '\'' || c == '"')
                strbuf_addf(out, "\\%c", c);
        else if (c < 0x20 || c == '<' || c == '>' || c == '&' || c == '=')
                strbuf_addf(out, "\\u%04X", c);
        else
                strbuf_add_len(out, &c, 1);
}

int function_js(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        AUTO_STRBUF in = {0};
        AUTO_STRBUF out = {0};

        escaper_text(&in, args, n);
        for (size_t i = 0; i < in.len;) {
                uint32_t c;
                size_t len = str_utf8(in.data + i, in.len - i, &c);

                if (len > 1 && (c <= 0xa0 || c == 0x2028 || c == 0x2029 || c == 0xfeff))
                        strbuf_addf(&out, "\\u%04X", c);
                else if (len > 1)
                        strbuf_add_len(&out, in.data + i, len);
                else if (len == 1)
                        js_char(&out, (unsigned char)in.data[i]);
                else
                        strbuf_add(&out, "\\uFFFD");
                i += len ? len : 1;
        }
        return exec_keep_string(x, out.data, out.len, ret);
}

int function_urlquery(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        AUTO_STRBUF in = {0};
        AUTO_STRBUF out = {0};

        escaper_text(&in, args, n);
        for (size_t i = 0; i < in.len; i++) {
                unsigned char c = (unsigned char)in.data[i];

                if (c == ' ')
                        strbuf_add(&out, "+");
                else if (isascii(c) && (isalnum(c) || strchr("-_.~", c)) && c)
                        strbuf_add_len(&out, &c, 1);
                else
                        strbuf_addf(&out, "%%%02X", c);
        }
        return exec_keep_string(x, out.data, out.len, ret);
}

/* ---- lists and strings ---- */

static int add_piece(struct exec *x, struct json_object *list, const char *s, size_t n)
{
        struct value piece;
        int r = exec_keep_string(x, s, n, &piece);

        if (r >= 0)
                (void)json_object_array_add(list, json_object_get(piece.o));
        return r;
}

/* An empty separator splits into characters. */
static size_t next_piece(const char *s, size_t n, const char *separator, size_t m, size_t *skip)
{
        const char *at;
        uint32_t c;

        *skip = m;
        if (m == 0)
                return n ? MAX(str_utf8(s, n, &c), (size_t)1) : 0;
        at = memmem(s, n, separator, m);
        return at ? (size_t)(at - s) : n;
}

int function_split(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        struct json_object *list = json_object_new_array();
        struct value s, separator;
        size_t left, m;
        const char *p;
        int r = exec_keep(x, list, 0, ret);

        if (r < 0 || (r = value_text(x, "split", args[0], &s)) < 0 ||
            (r = value_text(x, "split", args[1], &separator)) < 0)
                return r;
        p = json_object_get_string(s.o);
        left = (size_t)json_object_get_string_len(s.o);
        m = (size_t)json_object_get_string_len(separator.o);
        while (left || m) {
                size_t skip,
                    piece = next_piece(p, left, json_object_get_string(separator.o), m, &skip);

                r = add_piece(x, list, p, piece);
                if (r < 0 || (m && piece == left))
                        return r;
                p += piece + skip;
                left -= piece + skip;
        }
        return 0;
}

int function_join(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        AUTO_STRBUF b = {0};
        struct value separator;
        int r = value_text(x, "join", args[1], &separator);

        if (r < 0)
                return r;
        if (!args[0].none && args[0].o && !value_is(args[0], json_type_array))
                return exec_fail(x, "join: expected a list, not %s", value_type(args[0]));
        for (size_t i = 0; args[0].o && i < json_object_array_length(args[0].o); i++) {
                if (i)
                        strbuf_add_len(&b, json_object_get_string(separator.o),
                                       (size_t)json_object_get_string_len(separator.o));
                print_json(&b, json_object_array_get_idx(args[0].o, i));
                if (b.len > TEMPLATE_OUTPUT_MAX)
                        return exec_fail(x, "join: this needs too much memory");
        }
        return exec_keep_string(x, b.data, b.len, ret);
}

enum letters { LETTERS_LOWER, LETTERS_UPPER, LETTERS_TITLE };

/* The case of ASCII letters only: no locale is loaded. */
static int change_case(struct exec *x, const char *function, struct value v, enum letters letters,
                       struct value *ret)
{
        AUTO_FREE char *copy = NULL;
        struct value s;
        bool inside = false;
        size_t n;
        int r = value_text(x, function, v, &s);

        if (r < 0)
                return r;
        n = (size_t)json_object_get_string_len(s.o);
        copy = xmalloc(n + 1);
        memcpy(copy, json_object_get_string(s.o), n);
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char)copy[i];

                if (isascii(c) &&
                    (letters == LETTERS_UPPER || (letters == LETTERS_TITLE && !inside)))
                        copy[i] = (char)toupper(c);
                else if (isascii(c) && letters == LETTERS_LOWER)
                        copy[i] = (char)tolower(c);
                inside = !isascii(c) || isalnum(c) || c == '_';
                /* Go's title leaves "don't" one word no more than we do: the quote separates. */
        }
        return exec_keep_string(x, copy, n, ret);
}

int function_lower(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        return change_case(x, "lower", args[0], LETTERS_LOWER, ret);
}

int function_upper(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        return change_case(x, "upper", args[0], LETTERS_UPPER, ret);
}

int function_title(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        return change_case(x, "title", args[0], LETTERS_TITLE, ret);
}

/* pad TEXT BEFORE BEHIND; of an empty text nothing is made. */
int function_pad(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        AUTO_STRBUF b = {0};
        int64_t before, behind;
        struct value s;
        int r;

        if ((r = value_text(x, "pad", args[0], &s)) < 0 ||
            (r = value_int(x, "pad", args[1], &before)) < 0 ||
            (r = value_int(x, "pad", args[2], &behind)) < 0)
                return r;
        if (before < 0 || before > PAD_MAX || behind < 0 || behind > PAD_MAX)
                return exec_fail(x, "pad: expected 0 to %d spaces", PAD_MAX);
        if (json_object_get_string_len(s.o) == 0) {
                *ret = s;
                return 0;
        }
        strbuf_addf(&b, "%*s", (int)before, "");
        strbuf_add_len(&b, json_object_get_string(s.o), (size_t)json_object_get_string_len(s.o));
        strbuf_addf(&b, "%*s", (int)behind, "");
        return exec_keep_string(x, b.data, b.len, ret);
}

/* truncate TEXT BYTES, never inside a character. */
int function_truncate(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        struct value s;
        int64_t max;
        size_t len;
        int r;

        if ((r = value_text(x, "truncate", args[0], &s)) < 0 ||
            (r = value_int(x, "truncate", args[1], &max)) < 0)
                return r;
        if (max < 0)
                return exec_fail(x, "truncate: the length is negative: %" PRId64, max);
        len = (size_t)json_object_get_string_len(s.o);
        if (len <= (uint64_t)max) {
                *ret = s;
                return 0;
        }
        len = (size_t)max;
        while (len > 0 && ((unsigned char)json_object_get_string(s.o)[len] & 0xc0) == 0x80)
                len--;
        return exec_keep_string(x, json_object_get_string(s.o), len, ret);
}
