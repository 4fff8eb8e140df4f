/* SPDX-License-Identifier: Apache-2.0 */
/*
 * printf — Go's formatted printing, of the kinds of values that JSON has. What is wrong with a format is said in the
 * output, as Go does: %!d(string=hi), %!v(MISSING)… without the word's number, %!(EXTRA int=1).
 */
#include "template/template_internal.h"

#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#define WIDTH_MAX 10000 /* beyond it Go says BADWIDTH at a million */

struct directive {
        bool minus, plus, sharp, space, zero;
        int width, precision; /* -1: none */
        char verb;
        const char *verb_text; /* all of the character, which may be no verb and of several bytes */
        size_t verb_len;
};
struct formatter {
        struct strbuf *out;
        const struct value *args;
        size_t n, next;
        bool reordered;
};

static size_t count_chars(const char *s, size_t n)
{
        size_t chars = 0;

        for (size_t i = 0; i < n; i++)
                chars += ((unsigned char)s[i] & 0xc0) != 0x80;
        return chars;
}

/* @n bytes at @s, at least as wide as asked; zeros go behind a sign. */
static void put_padded(struct strbuf *out, const struct directive *d, const char *s, size_t n,
                       bool number)
{
        size_t chars = count_chars(s, n);
        /* A wide directive over a long list is what could fill the memory between two looks at the output's size. */
        size_t fill = d->width > 0 && (size_t)d->width > chars && out->len < TEMPLATE_OUTPUT_MAX
                          ? (size_t)d->width - chars
                          : 0;
        bool zeros = d->zero && !d->minus && fill;
        size_t sign = zeros && number && n && strchr("+- ", s[0]) ? 1 : 0;

        strbuf_add_len(out, s, sign);
        for (size_t i = 0; i < fill && !d->minus; i++)
                strbuf_add(out, zeros ? "0" : " ");
        strbuf_add_len(out, s + sign, n - sign);
        for (size_t i = 0; i < fill && d->minus; i++)
                strbuf_add(out, " ");
}

static void put_digits(struct strbuf *b, uint64_t v, unsigned base, bool upper, int least)
{
        char digits[64];
        int n = 0;

        while (v || n == 0) {
                digits[n++] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[v % base];
                v /= base;
        }
        for (int i = n; i < least; i++)
                strbuf_add(b, "0");
        while (n > 0)
                strbuf_add_len(b, &digits[--n], 1);
}

static const char *base_prefix(const struct directive *d)
{
        if (d->verb == 'O')
                return "0o";
        if (!d->sharp)
                return "";
        return d->verb == 'x'   ? "0x"
               : d->verb == 'X' ? "0X"
               : d->verb == 'o' ? "0"
               : d->verb == 'b' ? "0b"
                                : "";
}

static bool put_integer(struct strbuf *out, const struct directive *d, struct json_object *o)
{
        int64_t i = json_object_get_int64(o);
        bool negative = i < 0;
        uint64_t v = value_is_uint64(o) ? json_object_get_uint64(o)
                     : negative         ? 0 - (uint64_t)i
                                        : (uint64_t)i;
        struct directive wide = *d;
        AUTO_STRBUF b = {0};
        unsigned base;

        if (d->verb == 'c' || d->verb == 'q') {
                put_utf8(&b, negative || v > 0x10ffff ? 0xfffd : (uint32_t)v);
                if (d->verb == 'q') {
                        AUTO_STRBUF quoted = {0};

                        print_quoted(&quoted, b.data, b.len, '\'');
                        put_padded(out, d, quoted.data, quoted.len, false);
                } else {
                        put_padded(out, d, b.data, b.len, false);
                }
                return true;
        }
        if (d->verb == 'U') {
                strbuf_add(&b, "U+");
                put_digits(&b, v, 16, true, MAX(d->precision, 4));
                if (d->sharp && v <= 0x10ffff) {
                        strbuf_add(&b, " '");
                        put_utf8(&b, (uint32_t)v);
                        strbuf_add(&b, "'");
                }
                put_padded(out, d, b.data, b.len, false);
                return true;
        }
        if (!strchr("dvxXobO", d->verb))
                return false;
        base = d->verb == 'o' || d->verb == 'O'   ? 8
               : d->verb == 'b'                   ? 2
               : d->verb == 'd' || d->verb == 'v' ? 10
                                                  : 16;
        if (negative)
                strbuf_add(&b, "-");
        else if (d->plus && d->verb != 'v')
                strbuf_add(&b, "+");
        else if (d->space)
                strbuf_add(&b, " ");
        strbuf_add(&b, base_prefix(d));
        put_digits(&b, v, base, d->verb == 'X', d->precision);
        wide.zero = d->zero && d->precision < 0;
        put_padded(out, &wide, b.data, b.len, true);
        return true;
}

static bool put_double(struct strbuf *out, const struct directive *d, double v)
{
        char verb = d->verb == 'v' ? 'g' : d->verb;
        int precision = d->precision;
        AUTO_STRBUF b = {0};

        if (!strchr("eEfFgG", verb))
                return false;
        if (precision < 0 && (verb == 'e' || verb == 'E' || verb == 'f' || verb == 'F'))
                precision = 6;
        if (v >= 0 && d->plus && d->verb != 'v')
                strbuf_add(&b, "+");
        else if (v >= 0 && d->space)
                strbuf_add(&b, " ");
        print_float(&b, v, verb, precision);
        put_padded(out, d, b.data, b.len, true);
        return true;
}

static void put_hex(struct strbuf *b, const struct directive *d, const char *s, size_t n)
{
        const char *prefix = d->sharp ? (d->verb == 'x' ? "0x" : "0X") : "";

        for (size_t i = 0; i < n; i++) {
                if (i == 0 || d->space)
                        strbuf_addf(b, "%s%s", i ? " " : "", i == 0 || d->space ? prefix : "");
                strbuf_addf(b, d->verb == 'x' ? "%02x" : "%02X", (unsigned char)s[i]);
        }
}

static bool put_string(struct strbuf *out, const struct directive *d, const char *s, size_t n)
{
        AUTO_STRBUF b = {0};

        if (!strchr("svqxX", d->verb))
                return false;
        if (d->precision >= 0 && (d->verb == 'x' || d->verb == 'X')) {
                n = MIN(n, (size_t)d->precision);
        } else if (d->precision >= 0) {
                size_t chars = 0, i = 0;

                for (; i < n; i++) {
                        if (((unsigned char)s[i] & 0xc0) != 0x80 && chars++ == (size_t)d->precision)
                                break;
                }
                n = i;
        }
        if (d->verb == 'x' || d->verb == 'X') {
                put_hex(&b, d, s, n);
        } else if (d->verb == 'q' && d->sharp && !memchr(s, '`', n) && !memchr(s, '\n', n)) {
                strbuf_add(&b, "`");
                strbuf_add_len(&b, s, n);
                strbuf_add(&b, "`");
        } else if (d->verb == 'q' || d->sharp) {
                print_quoted(&b, s, n, '"');
        } else {
                strbuf_add_len(&b, s, n);
        }
        put_padded(out, d, b.data ? b.data : "", b.len, false);
        return true;
}

/* "%!d(string=hi)" */
static void put_bad_verb(struct strbuf *out, const struct directive *d, struct json_object *o)
{
        strbuf_addf(out, "%%!%.*s(", (int)d->verb_len, d->verb_text);
        if (o)
                strbuf_addf(out, "%s=", value_type((struct value){.o = o, .map = true}));
        print_json(out, o);
        strbuf_add(out, ")");
}

static void put_value(struct strbuf *out, const struct directive *d, struct json_object *o);

static void put_members(struct strbuf *out, const struct directive *d, struct json_object *o)
{
        size_t n;
        AUTO_FREE const char **keys = sorted_keys(o, &n);
        struct directive key = *d;

        /* A key that the verb does not fit is printed as it is. */
        if (!strchr("svqxX", d->verb))
                key.verb = 'v';
        strbuf_add(out, "map[");
        for (size_t i = 0; i < n; i++) {
                struct json_object *member = NULL;

                (void)json_object_object_get_ex(o, keys[i], &member);
                if (i)
                        strbuf_add(out, " ");
                (void)put_string(out, &key, keys[i], strlen(keys[i]));
                strbuf_add(out, ":");
                put_value(out, d, member);
        }
        strbuf_add(out, "]");
}

static void put_elements(struct strbuf *out, const struct directive *d, struct json_object *o)
{
        strbuf_add(out, "[");
        for (size_t i = 0; i < json_object_array_length(o); i++) {
                if (i)
                        strbuf_add(out, " ");
                put_value(out, d, json_object_array_get_idx(o, i));
        }
        strbuf_add(out, "]");
}

static void put_value(struct strbuf *out, const struct directive *d, struct json_object *o)
{
        bool done = false;

        switch (json_object_get_type(o)) {
        case json_type_null:
                if (d->verb == 'v') {
                        put_padded(out, d, "<nil>", 5, false);
                        done = true;
                }
                break;
        case json_type_boolean:
                if (d->verb == 't' || d->verb == 'v') {
                        const char *word = json_object_get_boolean(o) ? "true" : "false";

                        put_padded(out, d, word, strlen(word), false);
                        done = true;
                }
                break;
        case json_type_int:
                done = put_integer(out, d, o);
                break;
        case json_type_double:
                done = put_double(out, d, json_object_get_double(o));
                break;
        case json_type_string:
                done = put_string(out, d, json_object_get_string(o),
                                  (size_t)json_object_get_string_len(o));
                break;
        case json_type_array:
                put_elements(out, d, o);
                return;
        case json_type_object:
                put_members(out, d, o);
                return;
        }
        if (!done)
                put_bad_verb(out, d, o);
}

/* ---- the format ---- */

/* Digits at *s; -1 without any, WIDTH_MAX + 1 beyond it. */
static int get_digits(const char **s, const char *end)
{
        int v = -1;

        while (*s < end && **s >= '0' && **s <= '9') {
                v = MIN(MAX(v, 0) * 10 + (**s - '0'), WIDTH_MAX + 1);
                (*s)++;
        }
        return v;
}

/* "[2]" names the argument that comes next. */
static void get_argument_number(struct formatter *f, const char **s, const char *end)
{
        const char *p = *s + 1;
        int number;

        if (*s >= end || **s != '[')
                return;
        number = get_digits(&p, end);
        if (p < end && *p == ']' && number > 0) {
                *s = p + 1;
                f->next = (size_t)number - 1;
                f->reordered = true;
        }
}

/* A number, or "*": the next argument. */
static int get_size(struct formatter *f, const char **s, const char *end, const char *what)
{
        get_argument_number(f, s, end);
        if (*s < end && **s == '*') {
                struct value v = f->next < f->n ? f->args[f->next] : (struct value){.none = true};
                int64_t i = value_is(v, json_type_int) ? json_object_get_int64(v.o) : INT64_MAX;

                (*s)++;
                f->next++;
                if (i >= -WIDTH_MAX && i <= WIDTH_MAX)
                        return (int)i;
                strbuf_addf(f->out, "%%!(BAD%s)", what);
                return -1;
        }
        return get_digits(s, end);
}

static void get_flags(struct directive *d, const char **s, const char *end)
{
        for (; *s < end; (*s)++) {
                if (**s == '-')
                        d->minus = true;
                else if (**s == '+')
                        d->plus = true;
                else if (**s == '#')
                        d->sharp = true;
                else if (**s == ' ')
                        d->space = true;
                else if (**s == '0')
                        d->zero = true;
                else
                        return;
        }
}

static void put_argument(struct formatter *f, const struct directive *d)
{
        struct json_object *o;

        if (f->next >= f->n) {
                strbuf_addf(f->out, "%%!%.*s(%s)", (int)d->verb_len, d->verb_text,
                            f->reordered ? "BADINDEX" : "MISSING");
                return;
        }
        o = f->args[f->next].none ? NULL : f->args[f->next].o;
        f->next++;
        if (d->verb == 'T')
                strbuf_add(f->out, o ? value_type((struct value){.o = o, .map = true}) : "<nil>");
        else
                put_value(f->out, d, o);
}

/* Behind "%". Returns the place behind the directive. */
static const char *put_directive(struct formatter *f, const char *s, const char *end)
{
        struct directive d = {.width = -1, .precision = -1};
        uint32_t c;

        get_flags(&d, &s, end);
        d.width = get_size(f, &s, end, "WIDTH");
        if (d.width < -1) {
                d.minus = true;
                d.width = -d.width;
        }
        if (s < end && *s == '.') {
                s++;
                d.precision = MAX(get_size(f, &s, end, "PREC"), 0);
        }
        get_argument_number(f, &s, end);
        if (s >= end) {
                strbuf_add(f->out, "%!(NOVERB)");
                return s;
        }
        d.width = MIN(d.width, WIDTH_MAX);
        d.precision = MIN(d.precision, WIDTH_MAX);
        d.verb = *s;
        d.verb_text = s;
        d.verb_len = MAX(str_utf8(s, (size_t)(end - s), &c), (size_t)1);
        s += d.verb_len;
        if (d.verb == '%')
                strbuf_add(f->out, "%");
        else
                put_argument(f, &d);
        return s;
}

static void put_extra(struct formatter *f)
{
        strbuf_add(f->out, "%!(EXTRA ");
        for (size_t i = f->next; i < f->n; i++) {
                struct json_object *o = f->args[i].none ? NULL : f->args[i].o;

                strbuf_add(f->out, i > f->next ? ", " : "");
                if (o)
                        strbuf_addf(f->out, "%s=", value_type((struct value){.o = o, .map = true}));
                print_json(f->out, o);
        }
        strbuf_add(f->out, ")");
}

int function_printf(struct exec *x, const struct value *args, size_t n, struct value *ret)
{
        AUTO_STRBUF b = {0};
        struct formatter f = {.out = &b, .args = args + 1, .n = n - 1};
        const char *s, *end;

        if (!value_is(args[0], json_type_string))
                return exec_fail(x, "printf: expected a string, not %s", value_type(args[0]));
        s = json_object_get_string(args[0].o);
        end = s + json_object_get_string_len(args[0].o);
        while (s < end) {
                const char *percent = memchr(s, '%', (size_t)(end - s));

                strbuf_add_len(&b, s, (size_t)((percent ? percent : end) - s));
                if (!percent)
                        break;
                s = put_directive(&f, percent + 1, end);
                if (b.len > TEMPLATE_OUTPUT_MAX)
                        return exec_fail(x, "printf: this needs too much memory");
        }
        if (!f.reordered && f.next < f.n)
                put_extra(&f);
        return exec_keep_string(x, b.data, b.len, ret);
}
