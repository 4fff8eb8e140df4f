/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json-c, even when strict, takes NaN and Infinity, overlong UTF-8, raw control characters in strings, and silently pulls numbers that
 * do not fit to the next that does: a memory limit of 2^70 must be an error, not some other limit. This pass looks at
 * tokens only and leaves the grammar to json-c; so it must err on the side of passing what json-c will refuse anyway.
 */
#include "base/json_check.h"

#include "base/str.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct scan {
        const char *p, *end;
};

static bool scan_is_digit(const struct scan *s)
{
        return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool scan_take(struct scan *s, char c)
{
        if (s->p == s->end || *s->p != c)
                return false;
        s->p++;
        return true;
}

static const char *scan_string(struct scan *s)
{
        while (s->p < s->end) {
                uint32_t c;
                size_t n = str_utf8(s->p, (size_t)(s->end - s->p), &c);

                if (n == 0)
                        return "malformed UTF-8";
                s->p += n;
                if (c == '"')
                        return NULL;
                if (c < 0x20)
                        return "control character in a string";
                /* What follows the backslash is json-c's business; that it is not the closing quote, ours. */
                if (c == '\\' && s->p < s->end && (*s->p == '"' || *s->p == '\\'))
                        s->p++;
        }
        return "unterminated string";
}

static size_t scan_digits(struct scan *s, uint64_t *ret, bool *overflow)
{
        const char *start = s->p;

        for (*ret = 0; scan_is_digit(s); s->p++)
                if (__builtin_mul_overflow(*ret, 10U, ret) ||
                    __builtin_add_overflow(*ret, (uint64_t)(*s->p - '0'), ret))
                        *overflow = true;
        return (size_t)(s->p - start);
}

/* Fits a double? Decided on a copy, which is NUL-terminated; longer than this nobody means it. */
static bool scan_is_finite(const char *start, size_t n)
{
        char copy[64];

        if (n >= sizeof(copy))
                return false;
        memcpy(copy, start, n);
        copy[n] = '\0';
        return isfinite(
            strtod(copy, NULL)); /* lint-allow: strtod; the point of it is in json-c's own terms */
}

static const char *scan_number(struct scan *s)
{
        const char *start = s->p;
        bool negative = scan_take(s, '-'), overflow = false, ignored = false;
        bool zero = s->p < s->end && *s->p == '0', real = false;
        uint64_t whole, part;
        size_t n = scan_digits(s, &whole, &overflow);

        if (n == 0 || (zero && n > 1))
                return "malformed number";
        if (scan_take(s, '.')) {
                real = true;
                if (scan_digits(s, &part, &ignored) == 0)
                        return "malformed number";
        }
        if (scan_take(s, 'e') || scan_take(s, 'E')) {
                real = true;
                if (!scan_take(s, '-'))
                        (void)scan_take(s, '+');
                if (scan_digits(s, &part, &ignored) == 0)
                        return "malformed number";
        }
        if (real)
                return scan_is_finite(start, (size_t)(s->p - start)) ? NULL : "number out of range";
        if (overflow || (negative && whole > (uint64_t)INT64_MAX + 1))
                return "number out of range";
        return NULL;
}

static const char *scan_word(struct scan *s)
{
        static const char *const words[] = {"true", "false", "null"};

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
                size_t n = strlen(words[i]);

                if ((size_t)(s->end - s->p) >= n && memcmp(s->p, words[i], n) == 0) {
                        s->p += n;
                        return NULL;
                }
        }
        return "unexpected character";
}

const char *json_check(const char *data, size_t n, size_t *ret_offset)
{
        struct scan s = {.p = data, .end = data + n};
        const char *problem = NULL, *start = data;

        while (s.p < s.end && !problem) {
                start = s.p;
                if (scan_is_digit(&s) || *s.p == '-')
                        problem = scan_number(&s);
                else if (scan_take(&s, '"'))
                        problem = scan_string(&s);
                else if (*s.p != '\0' && strchr(" \t\r\n{}[]:,", *s.p))
                        s.p++;
                else
                        problem = scan_word(&s);
        }
        *ret_offset = (size_t)(start - data);
        return problem;
}
