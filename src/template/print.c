/* SPDX-License-Identifier: Apache-2.0 */
/* print — values as Go's %v writes them, and the questions that one asks of a value. */
#include "base/json.h"
#include "base/parse.h"
#include "template/template_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* json-c prints an integer that int64 cannot hold as uint64 only where it was made as one. */
bool value_is_uint64(struct json_object *o)
{
        return json_object_is_type(o, json_type_int) && json_object_get_int64(o) == INT64_MAX &&
               json_object_get_uint64(o) > INT64_MAX;
}

bool value_is(struct value v, enum json_type type)
{
        return !v.none && json_object_is_type(v.o, type);
}

bool value_is_true(struct value v)
{
        if (v.none || !v.o)
                return false;
        switch (json_object_get_type(v.o)) {
        case json_type_null:
                return false;
        case json_type_boolean:
                return json_object_get_boolean(v.o);
        case json_type_double:
                return json_object_get_double(v.o) != 0;
        case json_type_int:
                return json_object_get_int64(v.o) != 0;
        case json_type_object:
                return json_object_object_length(v.o) > 0;
        case json_type_array:
                return json_object_array_length(v.o) > 0;
        case json_type_string:
                return json_object_get_string_len(v.o) > 0;
        }
        return false;
}

const char *value_type(struct value v)
{
        if (v.none || !v.o)
                return "nil";
        switch (json_object_get_type(v.o)) {
        case json_type_null:
                return "nil";
        case json_type_boolean:
                return "bool";
        case json_type_double:
                return "float64";
        case json_type_int:
                return value_is_uint64(v.o) ? "uint64" : "int";
        case json_type_object:
                return v.map ? "map" : "struct";
        case json_type_array:
                return "slice";
        case json_type_string:
                return "string";
        }
        return "unknown";
}

/* ---- printing ---- */

/* Go's %e has at least two digits of exponent, like C's; %g of C changes to it at other exponents than Go's. */
static void print_shortest(struct strbuf *out, double d, char verb)
{
        char buf[64], *e;
        uint32_t digits = 0;
        int precision = 0, exponent;
        double back;

        for (; precision < 17; precision++) {
                snprintf(buf, sizeof(buf), "%.*e", precision, d);
                if (parse_double(buf, &back) >= 0 && back == d)
                        break;
        }
        e = strchr(buf, 'e');
        if (e)
                (void)parse_u32(e + 2, &digits);
        exponent = e && e[1] == '-' ? -(int)digits : (int)digits;
        if (e && (verb == 'E' || verb == 'G'))
                *e = 'E';
        if (verb == 'e' || verb == 'E') {
                strbuf_add(out, buf);
        } else if ((verb == 'g' || verb == 'G') && (exponent < -4 || exponent >= 6)) {
                strbuf_add(out, buf);
        } else {
                strbuf_addf(out, "%.*f", MAX(precision - exponent, 0), d);
        }
}

void print_float(struct strbuf *out, double d, char verb, int precision)
{
        if (isnan(d))
                strbuf_add(out, "NaN");
        else if (isinf(d))
                strbuf_add(out, d < 0 ? "-Inf" : "+Inf");
        else if (precision < 0)
                print_shortest(out, d, verb);
        else if (verb == 'f' || verb == 'F')
                strbuf_addf(out, "%.*f", precision, d);
        else if (verb == 'e')
                strbuf_addf(out, "%.*e", precision, d);
        else if (verb == 'E')
                strbuf_addf(out, "%.*E", precision, d);
        else if (verb == 'G')
                strbuf_addf(out, "%.*G", precision, d);
        else
                strbuf_addf(out, "%.*g", precision, d);
}

static int compare_keys(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **sorted_keys(struct json_object *o, size_t *ret_n)
{
        size_t n = (size_t)json_object_object_length(o), i = 0;
        const char **keys = xcalloc(n + 1, sizeof(*keys));

        json_object_object_foreach(o, key, member)
        {
                (void)member;
                keys[i++] = key;
        }
        qsort(keys, n, sizeof(*keys), compare_keys);
        *ret_n = n;
        return keys;
}

static void print_map(struct strbuf *out, struct json_object *o)
{
        size_t n;
        AUTO_FREE const char **keys = sorted_keys(o, &n);

        strbuf_add(out, "map[");
        for (size_t i = 0; i < n; i++) {
                struct json_object *member = NULL;

                (void)json_object_object_get_ex(o, keys[i], &member);
                strbuf_addf(out, "%s%s:", i ? " " : "", keys[i]);
                print_json(out, member);
        }
        strbuf_add(out, "]");
}

/* Recursion is bounded by the depth that the JSON reader admits: functions make no deeper values. */
void print_json(struct strbuf *out, struct json_object *o)
{
        switch (json_object_get_type(o)) {
        case json_type_null:
                strbuf_add(out, "<nil>");
                break;
        case json_type_boolean:
                strbuf_add(out, json_object_get_boolean(o) ? "true" : "false");
                break;
        case json_type_int:
                if (value_is_uint64(o))
                        strbuf_addf(out, "%" PRIu64, json_object_get_uint64(o));
                else
                        strbuf_addf(out, "%" PRId64, json_object_get_int64(o));
                break;
        case json_type_double:
                print_float(out, json_object_get_double(o), 'g', -1);
                break;
        case json_type_string:
                strbuf_add_len(out, json_object_get_string(o),
                               (size_t)json_object_get_string_len(o));
                break;
        case json_type_array:
                strbuf_add(out, "[");
                for (size_t i = 0; i < json_object_array_length(o); i++) {
                        if (i)
                                strbuf_add(out, " ");
                        print_json(out, json_object_array_get_idx(o, i));
                }
                strbuf_add(out, "]");
                break;
        case json_type_object:
                print_map(out, o);
                break;
        }
}

void print_value(struct strbuf *out, struct value v)
{
        if (v.none)
                strbuf_add(out, "<no value>");
        else
                print_json(out, v.o);
}

/* print puts a space between operands when neither is a string, println always. */
void print_all(struct strbuf *out, const struct value *args, size_t n, bool line)
{
        for (size_t i = 0; i < n; i++) {
                if (i && (line || (!value_is(args[i], json_type_string) &&
                                   !value_is(args[i - 1], json_type_string))))
                        strbuf_add(out, " ");
                print_json(out, args[i].none ? NULL : args[i].o);
        }
        if (line)
                strbuf_add(out, "\n");
}

static void quote_char(struct strbuf *out, uint32_t c, char quote)
{
        static const char from[] = "\a\b\f\n\r\t\v\\", to[] = "abfnrtv\\";
        const char *at = c && c < 0x80 ? strchr(from, (int)c) : NULL;

        if (at)
                strbuf_addf(out, "\\%c", to[at - from]);
        else if (c == (unsigned char)quote)
                strbuf_addf(out, "\\%c", quote);
        else if (c < 0x20 || c == 0x7f)
                strbuf_addf(out, "\\x%02x", c);
        else if ((c >= 0x80 && c <= 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
                 (c >= 0x2028 && c <= 0x202f) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
                 (c >= 0xe000 && c <= 0xf8ff))
                strbuf_addf(out, "\\u%04x", c); /* what Go calls not printable, of what is met */
        else
                put_utf8(out, c);
}

void print_quoted(struct strbuf *out, const char *s, size_t n, char quote)
{
        strbuf_add_len(out, &quote, 1);
        for (size_t i = 0; i < n;) {
                uint32_t c;
                size_t len = str_utf8(s + i, n - i, &c);

                if (len)
                        quote_char(out, c, quote);
                else
                        strbuf_addf(out, "\\x%02x", (unsigned char)s[i]);
                i += len ? len : 1;
        }
        strbuf_add_len(out, &quote, 1);
}
