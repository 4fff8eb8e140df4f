/* SPDX-License-Identifier: Apache-2.0 */
/* lex — the source cut into tokens. Text is a token too, already trimmed where an action asks for that with {{- or -}}. */
#include "template/template_internal.h"

#include "base/err.h"

#include <ctype.h>
#include <string.h>

struct lexer {
        const char *s;
        size_t n, i;
        struct tokens *tokens;
        struct err **reterr;
};

bool template_is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_word_char(char c)
{
        return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static void add(struct lexer *l, enum token_type type, size_t start, size_t end, bool spaced)
{
        struct tokens *t = l->tokens;

        if (t->n == t->cap) {
                t->cap = MAX(t->cap * 2, (size_t)32);
                t->v = xrealloc(t->v, t->cap, sizeof(*t->v));
        }
        t->v[t->n++] =
            (struct token){.type = type, .spaced = spaced, .pos = start, .len = end - start};
}

static bool at(const struct lexer *l, size_t i, const char *what)
{
        size_t n = strlen(what);

        return l->n - MIN(i, l->n) >= n && memcmp(l->s + i, what, n) == 0;
}

/* Behind the opening quote; the position behind the closing one, 0 when there is none. A raw string may span lines. */
static size_t quoted_end(const struct lexer *l, size_t i, char quote)
{
        for (; i < l->n && (quote == '`' || l->s[i] != '\n'); i++) {
                if (l->s[i] == quote)
                        return i + 1;
                if (l->s[i] == '\\' && quote != '`')
                        i++;
        }
        return 0;
}

static int lex_quoted(struct lexer *l, bool spaced)
{
        char quote = l->s[l->i];
        size_t end = quoted_end(l, l->i + 1, quote);

        if (!end || end > l->n)
                return template_fail(l->s, l->i, NULL, l->reterr, "this %s is not ended",
                                     quote == '\'' ? "character" : "string");
        add(l,
            quote == '"'   ? TOKEN_STRING
            : quote == '`' ? TOKEN_RAW
                           : TOKEN_CHAR,
            l->i, end, spaced);
        l->i = end;
        return 0;
}

static size_t word_end(const struct lexer *l, size_t i)
{
        while (i < l->n && is_word_char(l->s[i]))
                i++;
        return i;
}

/* What a number may be made of; whether it is one, template_literal() says. */
static void lex_number(struct lexer *l, bool spaced)
{
        size_t start = l->i, i = start + (l->s[start] == '+' || l->s[start] == '-');
        bool hex = at(l, i, "0x") || at(l, i, "0X");

        for (; i < l->n; i++) {
                char c = l->s[i], before = (char)tolower(l->s[i - (i > start)]);

                if (isalnum((unsigned char)c) || c == '.' || c == '_')
                        continue;
                if ((c == '+' || c == '-') && i > start &&
                    (before == 'p' || (before == 'e' && !hex)))
                        continue;
                break;
        }
        add(l, TOKEN_NUMBER, start, i, spaced);
        l->i = i;
}

static bool starts_number(const struct lexer *l)
{
        size_t i = l->i;

        if (l->s[i] == '+' || l->s[i] == '-')
                i++;
        if (i < l->n && l->s[i] == '.')
                i++;
        return i < l->n && isdigit((unsigned char)l->s[i]);
}

/* ".", ".Name", "$", "$name", "name". */
static void lex_name(struct lexer *l, bool spaced)
{
        size_t start = l->i, end = word_end(l, start + (l->s[start] == '.' || l->s[start] == '$'));

        if (l->s[start] == '$')
                add(l, TOKEN_VARIABLE, start, end, spaced);
        else if (l->s[start] != '.')
                add(l, TOKEN_WORD, start, end, spaced);
        else if (end == start + 1)
                add(l, TOKEN_DOT, start, end, spaced);
        else
                add(l, TOKEN_FIELD, start + 1, end, spaced);
        l->i = end;
}

static int lex_sign(struct lexer *l, bool spaced)
{
        static const struct {
                char text[3];
                enum token_type type;
        } signs[] = {{":=", TOKEN_DECLARE}, {"=", TOKEN_ASSIGN}, {",", TOKEN_COMMA},
                     {"|", TOKEN_PIPE},     {"(", TOKEN_LEFT},   {")", TOKEN_RIGHT}};

        for (size_t k = 0; k < ARRAY_SIZE(signs); k++) {
                if (at(l, l->i, signs[k].text)) {
                        size_t n = strlen(signs[k].text);

                        add(l, signs[k].type, l->i, l->i + n, spaced);
                        l->i += n;
                        return 0;
                }
        }
        return template_fail(l->s, l->i, NULL, l->reterr, "unexpected '%c'", l->s[l->i]);
}

static int lex_one(struct lexer *l, bool spaced)
{
        char c = l->s[l->i];

        if (c == '"' || c == '`' || c == '\'')
                return lex_quoted(l, spaced);
        if (starts_number(l)) {
                lex_number(l, spaced);
                return 0;
        }
        if (c == '.' || c == '$' || is_word_char(c)) {
                lex_name(l, spaced);
                return 0;
        }
        return lex_sign(l, spaced);
}

/* "}}" or " -}}": how long it is, 0 when neither. */
static size_t close_at(const struct lexer *l, size_t i)
{
        if (at(l, i, "}}"))
                return 2;
        return i > 0 && template_is_space(l->s[i - 1]) && at(l, i, "-}}") ? 3 : 0;
}

static void after_close(struct lexer *l, size_t len)
{
        l->i += len;
        while (len == 3 && l->i < l->n && template_is_space(l->s[l->i]))
                l->i++;
}

/* Inside an action, up to and with its end. @open: where it begins, for the error. */
static int lex_action(struct lexer *l, size_t open)
{
        while (l->i < l->n) {
                bool spaced = false;
                size_t len;
                int r;

                while (l->i < l->n && template_is_space(l->s[l->i])) {
                        l->i++;
                        spaced = true;
                }
                len = close_at(l, l->i);
                if (len) {
                        add(l, TOKEN_CLOSE, l->i, l->i + len, spaced);
                        after_close(l, len);
                        return 0;
                }
                if (l->i == l->n)
                        break;
                r = lex_one(l, spaced);
                if (r < 0)
                        return r;
        }
        return template_fail(l->s, open, NULL, l->reterr,
                             "this action is not ended: '}}' is missing");
}

/* A comment fills its action, or is none. */
static int lex_comment(struct lexer *l, size_t open)
{
        const char *end = memmem(l->s + l->i + 2, l->n - l->i - 2, "*/", 2);
        size_t len;

        if (!end)
                return template_fail(l->s, open, NULL, l->reterr, "this comment is not ended");
        l->i = (size_t)(end - l->s) + 2;
        if (l->i < l->n && template_is_space(l->s[l->i]) && at(l, l->i + 1, "-}}"))
                l->i++;
        len = close_at(l, l->i);
        if (!len)
                return template_fail(l->s, l->i, NULL, l->reterr,
                                     "a comment ends before its '}}', with nothing between");
        after_close(l, len);
        return 0;
}

int template_lex(const char *source, size_t n, struct tokens *ret, struct err **reterr)
{
        struct lexer l = {.s = source, .n = n, .tokens = ret, .reterr = reterr};
        int r = 0;

        while (r >= 0 && l.i < n) {
                const char *found = memmem(source + l.i, n - l.i, "{{", 2);
                size_t open = found ? (size_t)(found - source) : n, end = open;
                bool trim =
                    at(&l, open, "{{-") && open + 3 < n && template_is_space(source[open + 3]);

                while (trim && end > l.i && template_is_space(source[end - 1]))
                        end--;
                if (end > l.i)
                        add(&l, TOKEN_TEXT, l.i, end, false);
                if (!found)
                        break;
                l.i = open + (trim ? 4 : 2);
                if (at(&l, l.i, "/*")) {
                        r = lex_comment(&l, open);
                        continue;
                }
                add(&l, TOKEN_OPEN, open, open + 2, false);
                r = lex_action(&l, open);
        }
        add(&l, TOKEN_END, n, n, false);
        return r;
}
