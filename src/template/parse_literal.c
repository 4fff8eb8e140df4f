/* SPDX-License-Identifier: Apache-2.0 */
/* parse_literal — Go's strings, characters and numbers. */
#include "base/json.h"
#include "base/parse.h"
#include "template/template_internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

void put_utf8(struct strbuf *b, uint32_t c)
{
        char s[4];
        size_t n = 0;

        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                c = 0xfffd;
        if (c < 0x80) {
                s[n++] = (char)c;
        } else if (c < 0x800) {
                s[n++] = (char)(0xc0 | (c >> 6));
                s[n++] = (char)(0x80 | (c & 0x3f));
        } else if (c < 0x10000) {
                s[n++] = (char)(0xe0 | (c >> 12));
                s[n++] = (char)(0x80 | ((c >> 6) & 0x3f));
                s[n++] = (char)(0x80 | (c & 0x3f));
        } else {
                s[n++] = (char)(0xf0 | (c >> 18));
                s[n++] = (char)(0x80 | ((c >> 12) & 0x3f));
                s[n++] = (char)(0x80 | ((c >> 6) & 0x3f));
                s[n++] = (char)(0x80 | (c & 0x3f));
        }
        strbuf_add_len(b, s, n);
}

static int digit_of(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c = (char)tolower((unsigned char)c);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* @count digits of @base at s[i]. */
static int get_digits(const char *s, size_t n, size_t i, int base, size_t count, uint32_t *ret)
{
        uint32_t v = 0;

        if (i + count > n)
                return -EINVAL;
        for (size_t k = 0; k < count; k++) {
                int d = digit_of(s[i + k]);

                if (d >= base)
                        return -EINVAL;
                v = v * (uint32_t)base + (uint32_t)d;
        }
        *ret = v;
        return 0;
}

/* Behind the backslash. *i is moved behind the escape. *ret_byte: a byte, not a character. */
static int get_escape(const char *s, size_t n, size_t *i, uint32_t *ret, bool *ret_byte)
{
        static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
        const char *at;
        size_t count;
        char c;

        *ret_byte = false;
        if (*i >= n)
                return -EINVAL;
        c = s[(*i)++];
        at = c ? strchr(from, c) : NULL;
        if (at) {
                *ret = (unsigned char)to[at - from];
                return 0;
        }
        if (c >= '0' && c <= '7') {
                *ret_byte = true;
                (*i)--;
                count = 3;
        } else if (c == 'x' || c == 'u' || c == 'U') {
                *ret_byte = c == 'x';
                count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        } else {
                return -EINVAL;
        }
        if (get_digits(s, n, *i, count == 3 ? 8 : 16, count, ret) < 0)
                return -EINVAL;
        *i += count;
        if (*ret_byte ? *ret > 255 : *ret > 0x10ffff || (*ret >= 0xd800 && *ret <= 0xdfff))
                return -EINVAL;
        return 0;
}

static int get_string(const char *s, size_t n, struct json_object **ret)
{
        AUTO_STRBUF b = {0};

        for (size_t i = 0; i < n;) {
                uint32_t c;
                bool byte;

                if (s[i] != '\\') {
                        strbuf_add_len(&b, s + i++, 1);
                        continue;
                }
                i++;
                if (get_escape(s, n, &i, &c, &byte) < 0)
                        return -EINVAL;
                if (byte) {
                        char one = (char)c;

                        strbuf_add_len(&b, &one, 1);
                } else {
                        put_utf8(&b, c);
                }
        }
        *ret = json_object_new_string_len(b.data ? b.data : "", (int)b.len);
        return 0;
}

static int get_char(const char *s, size_t n, struct json_object **ret)
{
        size_t i = 1;
        uint32_t c;
        bool byte;

        if (n == 0)
                return -EINVAL;
        if (s[0] == '\\') {
                if (get_escape(s, n, &i, &c, &byte) < 0)
                        return -EINVAL;
        } else {
                i = str_utf8(s, n, &c);
        }
        if (i != n)
                return -EINVAL;
        *ret = json_object_new_int64(c);
        return 0;
}

/* Go lets an underscore stand between digits, and behind the base. */
static int strip_underscores(const char *s, size_t n, char *buf, size_t size)
{
        size_t k = 0;

        for (size_t i = 0; i < n; i++) {
                if (s[i] == '_') {
                        bool behind = i > 0 && isalnum((unsigned char)s[i - 1]);

                        if (!behind || i + 1 == n || !isalnum((unsigned char)s[i + 1]))
                                return -EINVAL;
                        continue;
                }
                if (k + 1 >= size)
                        return -EINVAL;
                buf[k++] = s[i];
        }
        buf[k] = 0;
        return 0;
}

static int get_integer(const char *s, bool negative, struct json_object **ret)
{
        int base = 10;
        uint64_t v = 0;

        if (s[0] == '0' && s[1]) {
                char c = (char)tolower((unsigned char)s[1]);

                base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
                s += c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
        }
        if (!*s)
                return -EINVAL;
        for (; *s; s++) {
                int d = digit_of(*s);

                if (d >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
                    __builtin_add_overflow(v, (uint64_t)d, &v))
                        return -EINVAL;
        }
        if (negative && v > (uint64_t)INT64_MAX + 1)
                return -EINVAL;
        if (negative)
                *ret = json_object_new_int64((int64_t)(0 - v));
        else if (v > INT64_MAX)
                *ret = json_object_new_uint64(v);
        else
                *ret = json_object_new_int64((int64_t)v);
        return 0;
}

static int get_number(const char *s, size_t n, struct json_object **ret)
{
        char buf[128], *digits = buf;
        bool negative, hex;
        double d;

        if (strip_underscores(s, n, buf, sizeof(buf)) < 0)
                return -EINVAL;
        negative = buf[0] == '-';
        digits += buf[0] == '-' || buf[0] == '+';
        hex = digits[0] == '0' && tolower((unsigned char)digits[1]) == 'x';
        if (!strpbrk(digits, hex ? ".pP" : ".eEpP"))
                return get_integer(digits, negative, ret);
        /* strtod knows words too; and Go wants an exponent behind a hexadecimal fraction. */
        if (digits[strspn(digits, hex ? "0123456789abcdefABCDEFxXpP.+-" : "0123456789eE.+-")] ||
            (hex && !strpbrk(digits, "pP")))
                return -EINVAL;
        if (parse_double(digits, &d) < 0)
                return -EINVAL;
        *ret = json_object_new_double(negative ? -d : d);
        return 0;
}

int template_literal(const char *s, const struct token *token, struct json_object **ret)
{
        size_t n = token->len;

        s += token->pos;
        if (token->type == TOKEN_NUMBER)
                return get_number(s, n, ret);
        if (token->type == TOKEN_CHAR)
                return get_char(s + 1, n - 2, ret);
        if (token->type == TOKEN_STRING)
                return get_string(s + 1, n - 2, ret);
        *ret = json_object_new_string_len(s + 1, (int)(n - 2));
        return 0;
}
