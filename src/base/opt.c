/* SPDX-License-Identifier: Apache-2.0 */
/* opt — see opt.h. */
#include "base/opt.h"

#include "base/err.h"
#include "base/parse.h"
#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define CLOSEST_WORD_MAX 64

struct type_info {
        const char *metavar; /* NULL: takes no value */
        const char *expected;
};
static const struct type_info types[] = {
    [OPT_END] = {NULL, NULL},
    [OPT_BOOL] = {NULL, "true or false"},
    [OPT_TRI] = {NULL, "true or false"},
    [OPT_STRING] = {"STRING", "text"},
    [OPT_STRV] = {"LIST", "text"},
    [OPT_CSV] = {"LIST", "words separated by commas"},
    [OPT_U32] = {"N", "a number from 0 to 4294967295"},
    [OPT_I64] = {"N", "a whole number"},
    [OPT_SIZE] = {"BYTES", "a size such as 64m"},
    [OPT_DURATION] = {"DURATION", "a duration such as 1m30s, or seconds"},
    [OPT_CALL] = {"VALUE", "text"},
};
static_assert(ARRAY_SIZE(types) == OPT_TYPE_COUNT, "every option type has its words");

/* A place in the command line: the option being read and where its value may come from. */
struct cursor {
        const struct opt_parse_opts *parse;
        void *args;
        char *const *argv;
        size_t i; /* the argument being read */
        bool help;
};

static void *section_base(const struct opt_section *s, void *args)
{
        void *field = (char *)args + s->offset;

        return s->deref ? *(void **)field : field;
}

static const struct opt *find_long(const struct opt_section *sections, const char *name, size_t len,
                                   const struct opt_section **ret_section)
{
        for (const struct opt_section *s = sections; s && s->opts; s++) {
                for (const struct opt *o = s->opts; o->name; o++) {
                        if (strlen(o->name) != len || memcmp(o->name, name, len) != 0)
                                continue;
                        *ret_section = s;
                        return o;
                }
        }
        return NULL;
}

static const struct opt *find_short(const struct opt_section *sections, char name,
                                    const struct opt_section **ret_section)
{
        for (const struct opt_section *s = sections; s && s->opts; s++) {
                for (const struct opt *o = s->opts; o->name; o++) {
                        if (o->short_name != name)
                                continue;
                        *ret_section = s;
                        return o;
                }
        }
        return NULL;
}

static bool takes_value(const struct opt *o)
{
        return types[o->type].metavar != NULL;
}

const struct opt *opt_find_long(const struct opt_section *sections, const char *name, size_t len)
{
        const struct opt_section *s;

        return find_long(sections, name, len, &s);
}

const struct opt *opt_find_short(const struct opt_section *sections, char name)
{
        const struct opt_section *s;

        return find_short(sections, name, &s);
}

const char *opt_metavar(const struct opt *o)
{
        if (!takes_value(o))
                return NULL;
        return o->metavar ? o->metavar : types[o->type].metavar;
}

static int store_bool(const struct opt *o, void *field, const char *value)
{
        bool b;
        int r = parse_bool(value, &b);

        if (r < 0)
                return r;
        if (o->type == OPT_BOOL)
                *(bool *)field = b;
        else
                *(int *)field = b ? OPT_TRUE : OPT_FALSE;
        return 0;
}

static int store_csv(struct strv *list, const char *value)
{
        AUTO_STRV parts = {0};

        strv_split(&parts, value, ',');
        for (size_t i = 0; i < parts.n; i++) {
                if (*parts.v[i])
                        strv_add(list, parts.v[i]);
        }
        return 0;
}

static int store_value(const struct opt *o, void *field, const char *value)
{
        switch (o->type) {
        case OPT_BOOL:
        case OPT_TRI:
                return store_bool(o, field, value);
        case OPT_STRING:
                free(*(char **)field);
                *(char **)field = xstrdup(value);
                return 0;
        case OPT_STRV:
                strv_add(field, value);
                return 0;
        case OPT_CSV:
                return store_csv(field, value);
        case OPT_U32:
                return parse_u32(value, field);
        case OPT_I64:
                return parse_i64(value, field);
        case OPT_SIZE:
                return parse_size(value, field);
        case OPT_DURATION:
                return parse_duration(value, field);
        case OPT_CALL:
        case OPT_END:
        case OPT_TYPE_COUNT:
                break;
        }
        return -EINVAL;
}

static int store(const struct cursor *c, const struct opt_section *s, const struct opt *o,
                 const char *value, struct err **reterr)
{
        void *field = (char *)section_base(s, c->args) + o->offset;
        int r;

        if (o->type == OPT_CALL) {
                r = o->call(field, value, reterr);
                return r < 0 ? err_wrap(reterr, r, "option '--%s'", o->name) : 0;
        }
        r = store_value(o, field, value);
        if (r < 0)
                return err_new(reterr, ERR_USAGE, "option '--%s': invalid value '%s': expected %s",
                               o->name, value, types[o->type].expected);
        return 0;
}

/* NULL: nothing is known about such an option. */
static const char *absent_hint(const struct opt_absent *absent, const char *name, char short_name)
{
        for (const struct opt_absent *a = absent; a && a->name; a++) {
                if (name ? strcmp(a->name, name) == 0 : a->short_name == short_name)
                        return a->hint;
        }
        return NULL;
}

static int unknown_long(const struct opt_parse_opts *parse, const char *name, size_t len,
                        struct err **reterr)
{
        AUTO_FREE char *word = xstrndup(name, len);
        const char *names[256];
        const char *closest, *absent = absent_hint(parse->absent, word, 0);
        size_t n = 0;
        int r;

        for (const struct opt_section *s = parse->sections; s && s->opts; s++) {
                for (const struct opt *o = s->opts; o->name && n < ARRAY_SIZE(names); o++)
                        names[n++] = o->name;
        }
        r = err_new(reterr, ERR_USAGE, "unknown option '--%s'", word);
        if (absent)
                return err_hint(reterr, r, "%s", absent);
        closest = opt_closest(word, names, n);
        if (closest)
                return err_hint(reterr, r, "did you mean '--%s'?", closest);
        return err_hint(reterr, r, "--help lists the options");
}

static int parse_long(struct cursor *c, const char *arg, struct err **reterr)
{
        const char *name = arg + 2;
        size_t len = strcspn(name, "=");
        const char *value = name[len] == '=' ? name + len + 1 : NULL;
        const struct opt_section *s = NULL;
        const struct opt *o = find_long(c->parse->sections, name, len, &s);

        if (!o && strcmp(name, "help") == 0) {
                c->help = true;
                return 0;
        }
        if (!o)
                return unknown_long(c->parse, name, len, reterr);
        if (!value && !takes_value(o))
                value = "true";
        if (!value)
                value = c->argv[++c->i];
        if (!value)
                return err_new(reterr, ERR_USAGE, "option '--%s' needs a value: %s", o->name,
                               types[o->type].expected);
        return store(c, s, o, value, reterr);
}

static int unknown_short(const struct opt_parse_opts *parse, char name, const char *arg,
                         struct err **reterr)
{
        const char *absent = absent_hint(parse->absent, NULL, name);
        int r;

        if (arg[2])
                r = err_new(reterr, ERR_USAGE, "unknown option '-%c' in '%s'", name, arg);
        else
                r = err_new(reterr, ERR_USAGE, "unknown option '-%c'", name);
        return err_hint(reterr, r, "%s", absent ? absent : "--help lists the options");
}

/* One argument of short options: booleans cluster, the first one that takes a value takes the rest. */
static int parse_short(struct cursor *c, const char *arg, struct err **reterr)
{
        for (const char *p = arg + 1; *p; p++) {
                const struct opt_section *s = NULL;
                const struct opt *o = find_short(c->parse->sections, *p, &s);
                const char *value = NULL;
                int r = 0;

                if (!o && *p == 'h') {
                        c->help = true;
                        return 0;
                }
                if (!o)
                        return unknown_short(c->parse, *p, arg, reterr);
                if (p[1] == '=')
                        value = p + 2;
                else if (takes_value(o))
                        value = p[1] ? p + 1 : c->argv[++c->i];
                else
                        r = store(c, s, o, "true", reterr);
                if (!takes_value(o) && !value) {
                        if (r < 0)
                                return r;
                        continue;
                }
                if (!value)
                        return err_new(reterr, ERR_USAGE, "option '-%c' (--%s) needs a value: %s",
                                       *p, o->name, types[o->type].expected);
                return store(c, s, o, value, reterr);
        }
        return 0;
}

int opt_parse(const struct opt_parse_opts *o, void *args, char *const *argv, struct strv *ret_rest,
              struct err **reterr)
{
        struct cursor c = {.parse = o, .args = args, .argv = argv};
        bool ended = false;

        for (; argv[c.i]; c.i++) {
                const char *arg = argv[c.i];
                int r;

                if (ended || arg[0] != '-' || !arg[1]) {
                        strv_add(ret_rest, arg);
                        ended = ended || o->options_first;
                        continue;
                }
                if (strcmp(arg, "--") == 0) {
                        ended = true;
                        continue;
                }
                r = arg[1] == '-' ? parse_long(&c, arg, reterr) : parse_short(&c, arg, reterr);
                if (r < 0)
                        return r;
                if (c.help)
                        break;
        }
        if (o->ret_help)
                *o->ret_help = c.help;
        return 0;
}

void opt_release(const struct opt_section *sections, void *args)
{
        for (const struct opt_section *s = sections; s && s->opts; s++) {
                if (s->deref)
                        continue;
                for (const struct opt *o = s->opts; o->name; o++) {
                        void *field = (char *)section_base(s, args) + o->offset;

                        if (o->type == OPT_STRING) {
                                free(*(char **)field);
                                *(char **)field = NULL;
                        } else if (o->type == OPT_STRV || o->type == OPT_CSV) {
                                strv_release(field);
                        }
                }
        }
}

/* ---- help -------------------------------------------------------------------------------------- */

#define HELP_COLUMN 30 /* where the description starts */
#define HELP_WIDTH  80

/* Words of @text, wrapped between HELP_COLUMN and HELP_WIDTH; the cursor stands at @at. */
static void print_wrapped(const char *text, size_t at, FILE *f)
{
        while (*text) {
                size_t len = strcspn(text, " ");

                if (at + 1 + len > HELP_WIDTH && at > HELP_COLUMN) {
                        fprintf(f, "\n%*s", HELP_COLUMN, "");
                        at = HELP_COLUMN;
                } else if (at > HELP_COLUMN) {
                        fputc(' ', f);
                        at++;
                }
                fprintf(f, "%.*s", (int)len, text);
                at += len;
                text += len;
                text += strspn(text, " ");
        }
        fputc('\n', f);
}

static void print_option(const struct opt *o, FILE *f)
{
        const char *metavar = opt_metavar(o);
        char left[96];
        int n;

        n = snprintf(left, sizeof(left), "  %c%c%c --%s%s%s", o->short_name ? '-' : ' ',
                     o->short_name ? o->short_name : ' ', o->short_name ? ',' : ' ', o->name,
                     metavar ? " " : "", metavar ? metavar : "");
        fputs(left, f);
        if (n > HELP_COLUMN - 2)
                fprintf(f, "\n%*s", HELP_COLUMN, "");
        else
                fprintf(f, "%*s", HELP_COLUMN - n, "");
        print_wrapped(o->help, HELP_COLUMN, f);
}

void opt_print_help(const struct opt_section *sections, FILE *f)
{
        for (const struct opt_section *s = sections; s && s->opts; s++) {
                fprintf(f, "%s%s:\n", s == sections ? "" : "\n", s->title ? s->title : "Options");
                for (const struct opt *o = s->opts; o->name; o++) {
                        if (o->help)
                                print_option(o, f);
                }
        }
}

/* ---- typing errors ------------------------------------------------------------------------------ */

/* Edit distance with transpositions of neighbours (optimal string alignment); words longer than the table are "far". */
static size_t distance(const char *a, const char *b)
{
        size_t rows[3][CLOSEST_WORD_MAX + 1];
        size_t la = strlen(a), lb = strlen(b);

        if (la > CLOSEST_WORD_MAX || lb > CLOSEST_WORD_MAX)
                return SIZE_MAX;
        for (size_t j = 0; j <= lb; j++)
                rows[0][j] = j;
        for (size_t i = 1; i <= la; i++) {
                size_t *now = rows[i % 3], *before = rows[(i - 1) % 3];
                const size_t *two_before = rows[(i + 1) % 3];

                now[0] = i;
                for (size_t j = 1; j <= lb; j++) {
                        size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);

                        best = MIN(best, before[j] + 1);
                        best = MIN(best, now[j - 1] + 1);
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                best = MIN(best, two_before[j - 2] + 1);
                        now[j] = best;
                }
        }
        return rows[la % 3][lb];
}

const char *opt_closest(const char *word, const char *const *words, size_t n)
{
        size_t len = strlen(word);
        size_t best = len <= 3 ? 1 : len <= 6 ? 2 : 3; /* further away it is another word */
        const char *closest = NULL;

        for (size_t i = 0; i < n; i++) {
                size_t d = distance(word, words[i]);

                if (d > best || (closest && d == best))
                        continue;
                closest = words[i];
                best = d;
        }
        if (closest || len < 4)
                return closest;
        /* "--interact" for "--interactive" */
        for (size_t i = 0; i < n; i++) {
                if (strncmp(words[i], word, len) == 0)
                        return words[i];
        }
        return NULL;
}
