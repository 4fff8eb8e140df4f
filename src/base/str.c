/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <stdio.h>
#include <string.h>

/* Room for @n more bytes and the NUL. Doubling keeps appending linear. */
static void strbuf_reserve(struct strbuf *b, size_t n)
{
        size_t need;

        if (__builtin_add_overflow(b->len, n, &need) || __builtin_add_overflow(need, 1, &need))
                abort();
        if (need <= b->cap)
                return;
        b->cap = MAX((size_t)64, b->cap * 2);
        b->cap = MAX(need, b->cap);
        b->data = xrealloc(b->data, b->cap, 1);
}

void strbuf_add(struct strbuf *b, const char *s)
{
        strbuf_add_len(b, s, strlen(s));
}

void strbuf_add_len(struct strbuf *b, const void *s, size_t n)
{
        strbuf_reserve(b, n);
        if (n > 0)
                memcpy(b->data + b->len, s, n);
        b->len += n;
        b->data[b->len] = '\0';
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        strbuf_addv(b, fmt, ap);
        va_end(ap);
}

void strbuf_addv(struct strbuf *b, const char *fmt, va_list ap)
{
        va_list again;
        int n;

        va_copy(again, ap);
        strbuf_reserve(b, 64);
        n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
        if (n < 0)
                abort();
        if ((size_t)n >= b->cap - b->len) {
                strbuf_reserve(b, (size_t)n);
                (void)vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
        }
        b->len += (size_t)n;
        va_end(again);
}

char *strbuf_take(struct strbuf *b)
{
        char *s = b->data ? b->data : xstrdup("");

        *b = (struct strbuf){0};
        return s;
}

void strbuf_release(struct strbuf *b)
{
        free(b->data);
        *b = (struct strbuf){0};
}

void strv_add(struct strv *s, const char *str)
{
        strv_add_take(s, xstrdup(str));
}

void strv_add_take(struct strv *s, char *str)
{
        if (s->n + 2 > s->cap) {
                s->cap = MAX((size_t)8, s->cap * 2);
                s->v = xrealloc(s->v, s->cap, sizeof(*s->v));
        }
        s->v[s->n++] = str;
        s->v[s->n] = NULL;
}

void strv_addf(struct strv *s, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        strv_add_take(s, xvasprintf(fmt, ap));
        va_end(ap);
}

void strv_copy(struct strv *s, const struct strv *from)
{
        for (size_t i = 0; i < from->n; i++)
                strv_add(s, from->v[i]);
}

bool strv_contains(const struct strv *s, const char *str)
{
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->v[i], str) == 0)
                        return true;
        return false;
}

void strv_release(struct strv *s)
{
        for (size_t i = 0; i < s->n; i++)
                free(s->v[i]);
        free(s->v);
        *s = (struct strv){0};
}

/* Index of the entry whose name is the @len bytes at @name; env->n when there is none. */
static size_t strv_env_find(const struct strv *env, const char *name, size_t len)
{
        size_t i;

        for (i = 0; i < env->n; i++)
                if (strncmp(env->v[i], name, len) == 0 && env->v[i][len] == '=')
                        break;
        return i;
}

void strv_env_set(struct strv *env, const char *assignment)
{
        size_t i = strv_env_find(env, assignment, strcspn(assignment, "="));

        if (i == env->n) {
                strv_add(env, assignment);
                return;
        }
        free(env->v[i]);
        env->v[i] = xstrdup(assignment);
}

const char *strv_env_get(const struct strv *env, const char *name)
{
        size_t len = strlen(name);
        size_t i = strv_env_find(env, name, len);

        return i < env->n ? env->v[i] + len + 1 : NULL;
}

void strv_split(struct strv *s, const char *str, char sep)
{
        for (;;) {
                const char *end = strchr(str, sep);

                if (!end)
                        break;
                strv_add_take(s, xstrndup(str, (size_t)(end - str)));
                str = end + 1;
        }
        strv_add(s, str);
}

bool str_starts(const char *s, const char *prefix)
{
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);

        return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_is_hex(const char *s, size_t n)
{
        size_t i;

        for (i = 0; i < n; i++)
                if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
                        return false;
        return s[n] == '\0';
}

size_t str_utf8(const char *s, size_t n, uint32_t *ret)
{
        static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
        unsigned char first = (unsigned char)s[0];
        size_t len = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        uint32_t c;

        if (len > n)
                return 0;
        if (len <= 1) {
                *ret = first;
                return len;
        }
        c = first & (0xffU >> (len + 1));
        for (size_t i = 1; i < len; i++) {
                if (((unsigned char)s[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | ((unsigned char)s[i] & 0x3f);
        }
        if (c < smallest[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
                return 0;
        *ret = c;
        return len;
}

size_t str_utf8_whole(const char *data, size_t n)
{
        const unsigned char *s = (const unsigned char *)data;

        /* A sequence has at most three bytes behind its first: look for a first byte among the last three. */
        for (size_t back = 1; back <= 3 && back <= n; back++) {
                unsigned char c = s[n - back];
                size_t want;

                if (c < 0x80)
                        return n;
                if (c < 0xc0)
                        continue;
                want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
                return want > back && back < n ? n - back : n;
        }
        return n;
}

void strbuf_add_utf8(struct strbuf *b, const char *s, size_t n)
{
        const char *end = s + n;

        while (s < end) {
                uint32_t c;
                size_t len = str_utf8(s, (size_t)(end - s), &c);

                if (len > 0)
                        strbuf_add_len(b, s, len);
                else
                        strbuf_add(b, "\xef\xbf\xbd");
                s += len > 0 ? len : 1;
        }
}

static bool str_is_unprintable(uint32_t c)
{
        return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
               (c >= 0x2066 && c <= 0x2069);
}

void strbuf_add_printable(struct strbuf *b, const char *s, size_t n)
{
        const char *end = s + n;

        while (s < end) {
                uint32_t c = 0;
                size_t len = str_utf8(s, (size_t)(end - s), &c);

                if (len > 0 && !str_is_unprintable(c)) {
                        strbuf_add_len(b, s, len);
                        s += len;
                        continue;
                }
                for (len = len ? len : 1; len > 0; len--, s++)
                        strbuf_addf(b, "\\x%02x", (unsigned char)*s);
        }
}
