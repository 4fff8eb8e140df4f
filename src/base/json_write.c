/* SPDX-License-Identifier: Apache-2.0 */
/* json_write — see json_write.h. */
#include "base/json_write.h"

#include "base/json.h"
#include "base/str.h"

#include <string.h>

static void write_string(struct strbuf *out, const char *s, size_t n)
{
        strbuf_add(out, "\"");
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char)s[i];

                if (c == '"' || c == '\\')
                        strbuf_addf(out, "\\%c", c);
                else if (c == '\n')
                        strbuf_add(out, "\\n");
                else if (c == '\t')
                        strbuf_add(out, "\\t");
                else if (c == '\r')
                        strbuf_add(out, "\\r");
                else if (c < 0x20 || c == 0x7f)
                        strbuf_addf(out, "\\u%04x", c);
                else if (c == 0xc2 && i + 1 < n && ((unsigned char)s[i + 1] & 0xe0) == 0x80)
                        strbuf_addf(out, "\\u00%02x", (unsigned char)s[++i]); /* C1 */
                else
                        strbuf_add_len(out, s + i, 1);
        }
        strbuf_add(out, "\"");
}

static void new_line(struct strbuf *out, unsigned indent, unsigned depth)
{
        if (indent)
                strbuf_addf(out, "\n%*s", (int)(indent * depth), "");
}

static void write_value(struct strbuf *out, struct json_object *v, unsigned indent, unsigned depth);

static void write_map(struct strbuf *out, struct json_object *v, unsigned indent, unsigned depth)
{
        bool first = true;

        if (json_object_object_length(v) == 0) {
                strbuf_add(out, "{}");
                return;
        }
        strbuf_add(out, "{");
        json_object_object_foreach(v, key, member)
        {
                if (!first)
                        strbuf_add(out, ",");
                first = false;
                new_line(out, indent, depth + 1);
                write_string(out, key, strlen(key));
                strbuf_add(out, indent ? ": " : ":");
                write_value(out, member, indent, depth + 1);
        }
        new_line(out, indent, depth);
        strbuf_add(out, "}");
}

static void write_list(struct strbuf *out, struct json_object *v, unsigned indent, unsigned depth)
{
        size_t n = json_object_array_length(v);

        if (n == 0) {
                strbuf_add(out, "[]");
                return;
        }
        strbuf_add(out, "[");
        for (size_t i = 0; i < n; i++) {
                if (i)
                        strbuf_add(out, ",");
                new_line(out, indent, depth + 1);
                write_value(out, json_object_array_get_idx(v, i), indent, depth + 1);
        }
        new_line(out, indent, depth);
        strbuf_add(out, "]");
}

static void write_value(struct strbuf *out, struct json_object *v, unsigned indent, unsigned depth)
{
        switch (json_object_get_type(v)) {
        case json_type_object:
                write_map(out, v, indent, depth);
                break;
        case json_type_array:
                write_list(out, v, indent, depth);
                break;
        case json_type_string:
                write_string(out, json_object_get_string(v), (size_t)json_object_get_string_len(v));
                break;
        case json_type_null:
        case json_type_boolean:
        case json_type_int:
        case json_type_double:
                strbuf_add(out, json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN));
                break;
        }
}

void json_write(struct strbuf *out, struct json_object *value, unsigned indent)
{
        write_value(out, value, indent, 0);
}

void json_write_at(struct strbuf *out, struct json_object *value, unsigned indent, unsigned depth)
{
        write_value(out, value, indent, depth);
}
