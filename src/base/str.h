/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* str — growing strings and string vectors. */
#include "base/alloc.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

struct strbuf {
        char *data; /* NUL-terminated once anything was added; NULL when empty */
        size_t len, cap;
};
void strbuf_add(struct strbuf *b, const char *s);
void strbuf_add_len(struct strbuf *b, const void *s, size_t n);
/* For a terminal: what may drive it or reorder the line (C0, DEL, C1, bidirectional overrides and isolates), and what is no UTF-8,
 * becomes \xNN, byte by byte. */
void strbuf_add_printable(struct strbuf *b, const char *s, size_t n);
/* For who reads UTF-8 and nothing else: what is none becomes U+FFFD, byte by byte. */
void strbuf_add_utf8(struct strbuf *b, const char *s, size_t n);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strbuf_addv(struct strbuf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
char *strbuf_take(struct strbuf *b); /* never NULL: "" when empty; the buffer is left empty */
void strbuf_release(struct strbuf *b);
#define AUTO_STRBUF AUTO(strbuf_release) struct strbuf

struct strv {
        char **v; /* NULL-terminated once anything was added */
        size_t n, cap;
};
void strv_add(struct strv *s, const char *str);
void strv_add_take(struct strv *s, char *str);
void strv_addf(struct strv *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strv_copy(struct strv *s, const struct strv *from); /* appends every string */
bool strv_contains(const struct strv *s, const char *str);
void strv_release(struct strv *s);
#define AUTO_STRV AUTO(strv_release) struct strv
/* Environment-style vectors: "NAME=value"; replaces an entry of the same name. */
void strv_env_set(struct strv *env, const char *assignment);
const char *strv_env_get(const struct strv *env, const char *name);
/* Splits at every @sep; empty parts are kept. */
void strv_split(struct strv *s, const char *str, char sep);

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
static inline bool str_empty(const char *s)
{
        return !s || !*s;
}
bool str_is_hex(const char *s, size_t n); /* exactly n lower-case hexadecimal digits, then NUL */
/* Length of the UTF-8 sequence that the @n > 0 bytes at @s begin with, decoded into *ret; 0 when it is malformed: cut off,
 * overlong, a surrogate, beyond Unicode. */
size_t str_utf8(const char *s, size_t n, uint32_t *ret);
/* Length of @data without an UTF-8 sequence that its end cuts off. */
size_t str_utf8_whole(const char *data, size_t n);
