/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format — json-file's and CRI's lines.
 *
 * json-file is what Docker writes, byte for byte: the members log, stream, attrs, time in this order; < > & and the two line
 * separators of JavaScript escaped; a byte that is no UTF-8 becomes \ufffd. The decoder takes any order and skips members it
 * does not know. It is our own because the text may hold NUL, which json-c's strings are awkward with, and because `logs`
 * of a large file should not allocate a tree per line.
 */
#include "base/clock.h"
#include "logs/logs_internal.h"

#include <string.h>

/* ---- UTF-8 ---- */

static void utf8_put(struct strbuf *b, uint32_t c)
{
        char s[4];

        if (c < 0x80) {
                s[0] = (char)c;
                strbuf_add_len(b, s, 1);
        } else if (c < 0x800) {
                s[0] = (char)(0xc0 | (c >> 6));
                s[1] = (char)(0x80 | (c & 0x3f));
                strbuf_add_len(b, s, 2);
        } else if (c < 0x10000) {
                s[0] = (char)(0xe0 | (c >> 12));
                s[1] = (char)(0x80 | ((c >> 6) & 0x3f));
                s[2] = (char)(0x80 | (c & 0x3f));
                strbuf_add_len(b, s, 3);
        } else {
                s[0] = (char)(0xf0 | (c >> 18));
                s[1] = (char)(0x80 | ((c >> 12) & 0x3f));
                s[2] = (char)(0x80 | ((c >> 6) & 0x3f));
                s[3] = (char)(0x80 | (c & 0x3f));
                strbuf_add_len(b, s, 4);
        }
}

/* ---- writing ---- */

#define ADD_TEXT(out, text) strbuf_add_len(out, text, sizeof(text) - 1)

static bool json_plain(unsigned char c)
{
        return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

/* Escapes the character at @s into @out; how many bytes of @s it was. */
static size_t json_escape_one(char *out, size_t *len, const unsigned char *s, size_t n)
{
        static const char hex[] = "0123456789abcdef";
        uint32_t c;
        size_t k = s[0] < 0x80 ? 1 : str_utf8((const char *)s, n, &c);

        if (k == 0) {
                memcpy(out, "\\ufffd", 6);
                *len = 6;
                return 1;
        }
        if (k == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] & 0xfe) == 0xa8) {
                memcpy(out, s[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
                *len = 6;
        } else if (k > 1) {
                memcpy(out, s, k);
                *len = k;
        } else if (s[0] == '"' || s[0] == '\\' || s[0] == '\n' || s[0] == '\r') {
                out[0] = '\\';
                out[1] = s[0] == '\n' ? 'n' : s[0] == '\r' ? 'r' : (char)s[0];
                *len = 2;
        } else {
                memcpy(out, "\\u00", 4);
                out[4] = hex[s[0] >> 4];
                out[5] = hex[s[0] & 15];
                *len = 6;
        }
        return k;
}

#define ONES  0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL

/* Not 0 when one of the eight bytes is @c. Bytes above 0x7f may be taken for it too: they are not plain anyway. */
static uint64_t has_byte(uint64_t eight, unsigned char c)
{
        return ((eight ^ (ONES * c)) - ONES) & HIGHS;
}

/* How many bytes are plain, eight at a time: nearly all text is, and all output of all containers comes through here. */
static size_t plain_length(const unsigned char *s, size_t n)
{
        size_t i = 0;

        for (; i + 8 <= n; i += 8) {
                uint64_t eight;

                memcpy(&eight, s + i, sizeof(eight));
                if ((eight & HIGHS) || ((eight - ONES * 0x20) & HIGHS) || has_byte(eight, '"') ||
                    has_byte(eight, '\\') || has_byte(eight, '<') || has_byte(eight, '>') ||
                    has_byte(eight, '&'))
                        break;
        }
        while (i < n && json_plain(s[i]))
                i++;
        return i;
}

static void json_escape(struct strbuf *out, const char *data, size_t n)
{
        const unsigned char *s = (const unsigned char *)data;
        size_t i = 0;

        for (;;) {
                size_t len, plain = plain_length(s + i, n - i);
                char piece[512];

                strbuf_add_len(out, data + i, plain);
                i += plain;
                /* A call per character would cost more than the escaping, where there is much to escape. */
                for (len = 0; i < n && len < sizeof(piece) - 8 && !json_plain(s[i]);) {
                        size_t more;

                        i += json_escape_one(piece + len, &more, s + i, n - i);
                        len += more;
                }
                if (len == 0)
                        return;
                strbuf_add_len(out, piece, len);
        }
}

void log_json_encode(struct strbuf *out, enum log_stream s, const char *data, size_t n,
                     bool partial, const char *time, const char *tag)
{
        /* Known lengths: there may be a million of these lines a second. */
        ADD_TEXT(out, "{\"log\":\"");
        json_escape(out, data, n);
        if (!partial)
                ADD_TEXT(out, "\\n");
        if (s == LOG_STDERR)
                ADD_TEXT(out, "\",\"stream\":\"stderr");
        else
                ADD_TEXT(out, "\",\"stream\":\"stdout");
        if (tag) {
                strbuf_add(out, "\",\"attrs\":{\"tag\":\"");
                json_escape(out, tag, strlen(tag));
                strbuf_add(out, "\"},\"time\":\"");
        } else {
                ADD_TEXT(out, "\",\"time\":\"");
        }
        strbuf_add(out, time);
        ADD_TEXT(out, "\"}\n");
}

void log_k8s_encode(struct strbuf *out, enum log_stream s, const char *data, size_t n, bool partial,
                    const char *time)
{
        strbuf_add(out, time);
        strbuf_add(out, s == LOG_STDERR ? " stderr " : " stdout ");
        strbuf_add(out, partial ? "P " : "F ");
        strbuf_add_len(out, data, n);
        strbuf_add_len(out, "\n", 1);
}

/* ---- reading ---- */

struct cursor {
        const char *p, *end;
};

static bool at_char(struct cursor *c, char want)
{
        while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\r'))
                c->p++;
        if (c->p >= c->end || *c->p != want)
                return false;
        c->p++;
        return true;
}

static bool get_hex4(struct cursor *c, uint32_t *ret)
{
        uint32_t v = 0;

        if (c->end - c->p < 4)
                return false;
        for (int i = 0; i < 4; i++) {
                char d = *c->p++;

                if (d >= '0' && d <= '9')
                        v = v << 4 | (uint32_t)(d - '0');
                else if (d >= 'a' && d <= 'f')
                        v = v << 4 | (uint32_t)(d - 'a' + 10);
                else if (d >= 'A' && d <= 'F')
                        v = v << 4 | (uint32_t)(d - 'A' + 10);
                else
                        return false;
        }
        *ret = v;
        return true;
}

/* Behind "\u". A lone surrogate becomes the replacement character, as everywhere. */
static bool get_unicode(struct cursor *c, struct strbuf *out)
{
        uint32_t v, low;

        if (!get_hex4(c, &v))
                return false;
        if (v >= 0xd800 && v <= 0xdbff) {
                struct cursor ahead = *c;

                if (ahead.end - ahead.p >= 6 && ahead.p[0] == '\\' && ahead.p[1] == 'u') {
                        ahead.p += 2;
                        if (get_hex4(&ahead, &low) && low >= 0xdc00 && low <= 0xdfff) {
                                *c = ahead;
                                utf8_put(out, 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00));
                                return true;
                        }
                }
                v = 0xfffd;
        } else if (v >= 0xdc00 && v <= 0xdfff) {
                v = 0xfffd;
        }
        utf8_put(out, v);
        return true;
}

static bool get_escape(struct cursor *c, struct strbuf *out)
{
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *at;
        char e;

        if (c->p >= c->end)
                return false;
        e = *c->p++;
        if (e == 'u')
                return get_unicode(c, out);
        at = e ? strchr(from, e) : NULL;
        if (!at)
                return false;
        strbuf_add_len(out, to + (at - from), 1);
        return true;
}

static bool get_string(struct cursor *c, struct strbuf *out)
{
        if (!at_char(c, '"'))
                return false;
        while (c->p < c->end) {
                const char *run = c->p;

                while (c->p < c->end && *c->p != '"' && *c->p != '\\')
                        c->p++;
                if (c->p > run)
                        strbuf_add_len(out, run, (size_t)(c->p - run));
                if (c->p >= c->end)
                        return false;
                if (*c->p++ == '"')
                        return true;
                if (!get_escape(c, out))
                        return false;
        }
        return false;
}

/* A value nobody asked for: strings are stepped over as strings, so that their brackets do not count. */
static bool skip_value(struct cursor *c)
{
        AUTO_STRBUF scratch = {0};
        int depth = 0;

        while (c->p < c->end) {
                char ch = *c->p;

                if (ch == '"') {
                        if (!get_string(c, &scratch))
                                return false;
                        strbuf_release(&scratch);
                        continue;
                }
                if (depth == 0 && (ch == ',' || ch == '}'))
                        return true;
                if (ch == '{' || ch == '[')
                        depth++;
                else if (ch == '}' || ch == ']')
                        depth--;
                c->p++;
        }
        return false;
}

static bool get_attrs(struct cursor *c, struct strbuf *out)
{
        if (!at_char(c, '{'))
                return skip_value(c);
        if (at_char(c, '}'))
                return true;
        do {
                if (out->len > 0)
                        strbuf_add(out, ",");
                if (!get_string(c, out) || !at_char(c, ':'))
                        return false;
                strbuf_add(out, "=");
                if (!get_string(c, out))
                        return false;
        } while (at_char(c, ','));
        return at_char(c, '}');
}

static void strbuf_reset(struct strbuf *b)
{
        b->len = 0;
        if (b->data)
                b->data[0] = 0;
}

static bool key_is(const struct strbuf *key, const char *name)
{
        return key->len == strlen(name) && memcmp(key->data, name, key->len) == 0;
}

struct json_fields {
        struct strbuf key, stream, time;
        bool have_log;
};

static bool get_member(struct cursor *c, struct json_fields *f, struct log_entry *e)
{
        strbuf_reset(&f->key);
        if (!get_string(c, &f->key) || !at_char(c, ':') || f->key.len == 0)
                return false;
        if (key_is(&f->key, "log")) {
                strbuf_reset(&e->data);
                f->have_log = get_string(c, &e->data);
                return f->have_log;
        }
        if (key_is(&f->key, "stream")) {
                strbuf_reset(&f->stream);
                return get_string(c, &f->stream);
        }
        if (key_is(&f->key, "time")) {
                strbuf_reset(&f->time);
                return get_string(c, &f->time);
        }
        if (key_is(&f->key, "attrs"))
                return get_attrs(c, &e->attrs);
        return skip_value(c);
}

bool log_json_decode(const char *line, size_t n, struct log_entry *ret)
{
        struct cursor c = {line, line + n};
        struct json_fields f = {0};
        bool ok = false;

        strbuf_reset(&ret->data);
        strbuf_reset(&ret->attrs);
        if (!at_char(&c, '{'))
                goto out;
        do {
                if (!get_member(&c, &f, ret))
                        goto out;
        } while (at_char(&c, ','));
        if (!at_char(&c, '}') || !f.have_log || f.time.len == 0 ||
            clock_parse(f.time.data, &ret->time_ns) < 0)
                goto out;
        ret->stream =
            f.stream.len > 0 && strcmp(f.stream.data, "stderr") == 0 ? LOG_STDERR : LOG_STDOUT;
        ret->partial = ret->data.len == 0 || ret->data.data[ret->data.len - 1] != '\n';
        ok = true;
out:
        strbuf_release(&f.key);
        strbuf_release(&f.stream);
        strbuf_release(&f.time);
        return ok;
}

/* The next word up to a space, copied into @buf. */
static bool k8s_word(struct cursor *c, char *buf, size_t size)
{
        const char *space = memchr(c->p, ' ', (size_t)(c->end - c->p));
        size_t n;

        if (!space)
                return false;
        n = (size_t)(space - c->p);
        if (n == 0 || n >= size || memchr(c->p, 0, n))
                return false;
        memcpy(buf, c->p, n);
        buf[n] = 0;
        c->p = space + 1;
        return true;
}

bool log_k8s_decode(const char *line, size_t n, struct log_entry *ret)
{
        struct cursor c = {line, line + n};
        char time[CLOCK_RFC3339_MAX], stream[8], tag[32];

        strbuf_reset(&ret->data);
        strbuf_reset(&ret->attrs);
        if (!k8s_word(&c, time, sizeof(time)) || !k8s_word(&c, stream, sizeof(stream)) ||
            !k8s_word(&c, tag, sizeof(tag)))
                return false;
        if (clock_parse(time, &ret->time_ns) < 0)
                return false;
        if (strcmp(stream, "stdout") == 0)
                ret->stream = LOG_STDOUT;
        else if (strcmp(stream, "stderr") == 0)
                ret->stream = LOG_STDERR;
        else
                return false;
        /* Tags are separated by colons; the first one is P or F. */
        if ((tag[0] != 'P' && tag[0] != 'F') || (tag[1] && tag[1] != ':'))
                return false;
        ret->partial = tag[0] == 'P';
        strbuf_add_len(&ret->data, c.p, (size_t)(c.end - c.p));
        if (!ret->partial)
                strbuf_add_len(&ret->data, "\n", 1);
        return true;
}
