/* SPDX-License-Identifier: Apache-2.0 */
/*
 * man_page — a build-time program, linked with the tables of kelp: joins them with the prose of docs/man.
 *
 *   man_page page kelp-VERB.1.scd.in     the page of a verb (or of kelp itself, kelp.1.scd.in), for scdoc, to standard output
 *   man_page check DIRECTORY             is there prose for every verb, and none for others; are the tables complete
 *
 * Prose begins with DESCRIPTION. NAME, SYNOPSIS and OPTIONS come from the tables (for kelp itself COMMANDS as well), the options behind the first
 * section. Prose that names an option which the verb has not is an error in both uses, and so is a command line among the
 * examples that kelp would not understand: a page that is built is true.
 */
#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include "cli/global_args.h"
#include "cli/verb.h"

#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROSE_MAX (1 << 20)
#define SUFFIX    ".1.scd.in"

static const char *const sections[] = {"# DESCRIPTION", "# EXAMPLES", "# EXIT STATUS",
                                       "# SEE ALSO"};

struct page {
        const char *path;     /* of the prose */
        char *name;           /* "kelp-run" */
        const struct verb *v; /* NULL: kelp itself */
        struct strv lines;
        int complaints;
};

static void complain(struct page *p, size_t line, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void complain(struct page *p, size_t line, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        fprintf(stderr, "%s:%zu: ", p->path, line + 1);
        vfprintf(stderr, fmt, ap); /* NOLINT */
        fputc('\n', stderr);
        va_end(ap);
        p->complaints++;
}

/* "kelp-image-inspect" for "image inspect". Caller owns. */
static char *page_name(const struct verb *v)
{
        char *name = xasprintf("kelp-%s", v->names[0]);

        for (char *c = name; *c; c++) {
                if (*c == ' ')
                        *c = '-';
        }
        return name;
}

static const struct verb *verb_of_page(const char *name)
{
        const struct verb *v;

        for (size_t i = 0; (v = verb_at(i)); i++) {
                AUTO_FREE char *own = page_name(v);

                if (strcmp(own, name) == 0)
                        return v;
        }
        return NULL;
}

/* ---- checks of the prose ------------------------------------------------------------------------ */

/* The page of kelp itself speaks of all verbs. */
static bool any_verb_has_option(const char *name, size_t len)
{
        const struct verb *v;

        for (size_t i = 0; (v = verb_at(i)); i++) {
                if (opt_find_long(v->sections, name, len))
                        return true;
        }
        return false;
}

static bool verb_has_option(const struct verb *v, const char *name, size_t len)
{
        return (v && opt_find_long(v->sections, name, len)) ||
               opt_find_long(global_arg_sections, name, len) ||
               (len == 4 && memcmp(name, "help", 4) == 0);
}

/* The verb that is named last before @at: "kelp run --rm" in the page of another verb. NULL: none. */
static const struct verb *verb_named_before(const char *line, const char *at)
{
        const struct verb *found = NULL;

        for (const char *p = line; (p = strstr(p, "kelp ")) && p < at; p++) {
                AUTO_FREE char *rest = xstrdup(p + strlen("kelp "));
                char *words[3] = {NULL};
                const struct verb *v;
                char *save = NULL;
                size_t used;

                words[0] = strtok_r(rest, " *_,.;'\n", &save);
                words[1] = words[0] ? strtok_r(NULL, " *_,.;'\n", &save) : NULL;
                if (words[0] && verb_find(words, &v, &used, NULL) >= 0)
                        found = v;
        }
        return found;
}

/* Every --option in running text belongs to the page's verb, or to one that the line names before it ("kelp run --rm"). */
static void check_long_options(struct page *p, size_t number)
{
        const char *line = p->lines.v[number];

        for (const char *at = line; (at = strstr(at, "--")); at++) {
                size_t len = strspn(at + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");
                bool begins = at == line || strchr(" *'([\t", at[-1]);

                if (!begins || len == 0 || verb_has_option(p->v, at + 2, len) ||
                    verb_has_option(verb_named_before(line, at), at + 2, len))
                        continue;
                if (!p->v && any_verb_has_option(at + 2, len))
                        continue;
                complain(p, number, "there is no option '%.*s'", (int)len + 2, at);
        }
}

/* And so does every *-x*. */
static void check_short_options(struct page *p, size_t number)
{
        const char *line = p->lines.v[number];

        for (const char *at = line; (at = strstr(at, "*-")); at++) {
                size_t len = strspn(at + 2, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
                const struct verb *named = verb_named_before(line, at);

                for (size_t i = 0; i < len && at[2 + len] == '*'; i++) {
                        char c = at[2 + i];

                        if ((p->v && opt_find_short(p->v->sections, c)) || c == 'h' ||
                            (named && opt_find_short(named->sections, c)) ||
                            opt_find_short(global_arg_sections, c) || !p->v)
                                continue;
                        complain(p, number, "there is no option '-%c'", c);
                }
        }
}

/* ---- checks of the examples --------------------------------------------------------------------- */

/* The next word of a command line as a shell reads it, near enough; NULL at its end or that of the simple command. Caller owns. */
static char *next_word(const char **at)
{
        AUTO_STRBUF b = {0};
        char quote = 0;
        const char *s = *at + strspn(*at, " ");

        if (!*s || strchr("|&;<>)", *s) || str_starts(s, "$(")) {
                *at = s;
                return NULL;
        }
        for (; *s && (quote || !strchr(" |&;<>)", *s)); s++) {
                if (quote ? *s == quote : *s == '\'' || *s == '"')
                        quote = quote ? 0 : *s;
                else
                        strbuf_add_len(&b, s, 1);
        }
        *at = s;
        return strbuf_take(&b);
}

/* One option word; *ret_waits when the next word is its value. False: there is no such option. */
static bool option_word(const struct opt_section *opts, const char *word, bool *ret_waits)
{
        const struct opt *o;

        if (word[1] == '-') {
                o = opt_find_long(opts, word + 2, strcspn(word + 2, "="));
                *ret_waits = o && opt_metavar(o) && !strchr(word, '=');
                return o || strcmp(word, "--help") == 0;
        }
        for (const char *c = word + 1; *c; c++) {
                o = opt_find_short(opts, *c);
                if (!o)
                        return false;
                *ret_waits = opt_metavar(o) && !c[1];
                if (opt_metavar(o))
                        return true;
        }
        return true;
}

static void check_operand_count(struct page *p, size_t number, const struct verb *v, size_t n)
{
        if (n < v->min_operands || (n > v->max_operands && (v->max_operands || !v->operands)))
                complain(p, number, "kelp %s does not take %zu arguments", v->names[0], n);
}

/* @words: behind "kelp". */
static void check_command(struct page *p, size_t number, const struct strv *words)
{
        const struct verb *v = NULL;
        const struct opt_section *opts = global_arg_sections;
        size_t used, operands = 0;
        bool waits = false, ended = false;

        for (size_t i = 0; i < words->n; i++) {
                const char *word = words->v[i];

                if (waits) {
                        waits = false;
                } else if (!ended && word[0] == '-' && word[1]) {
                        if (strcmp(word, "--") == 0)
                                ended = true;
                        else if (!option_word(opts, word, &waits))
                                complain(p, number, "there is no option '%s'", word);
                } else if (!v && strcmp(word, "help") == 0) {
                        return;
                } else if (!v) {
                        if (verb_find(words->v + i, &v, &used, NULL) < 0)
                                return complain(p, number, "there is no command '%s'", word);
                        i += used - 1;
                        opts = v->sections;
                } else {
                        operands++;
                        ended = ended || v->options_first;
                }
        }
        if (v && !strv_contains(words, "--help"))
                check_operand_count(p, number, v, operands);
}

static void check_example(struct page *p, size_t number)
{
        const char *line = p->lines.v[number];

        for (const char *at = line; (at = strstr(at, "kelp "));) {
                bool begins = at == line || strchr(" \t(", at[-1]);
                AUTO_STRV words = {0};
                char *word;

                at += strlen("kelp ");
                if (!begins)
                        continue;
                while ((word = next_word(&at)))
                        strv_add_take(&words, word);
                if (*at == '$') /* what another command prints */
                        strv_add(&words, "$()");
                /* "2>file": the number is no argument */
                if (*at == '>' && words.n && str_ends(words.v[words.n - 1], "2"))
                        free(words.v[--words.n]), words.v[words.n] = NULL;
                check_command(p, number, &words);
        }
}

static void check_sections(struct page *p)
{
        size_t next = 0;

        for (size_t i = 0; i < p->lines.n; i++) {
                if (next < ARRAY_SIZE(sections) && strcmp(p->lines.v[i], sections[next]) == 0)
                        next++;
                else if (!next && str_starts(p->lines.v[i], "#"))
                        complain(p, i, "the prose must begin with '%s'", sections[0]);
        }
        if (next < ARRAY_SIZE(sections))
                complain(p, p->lines.n, "section '%s' is missing", sections[next]);
}

static void check_prose(struct page *p)
{
        bool example = false;
        size_t examples = 0;

        check_sections(p);
        for (size_t i = 0; i < p->lines.n; i++) {
                if (strstr(p->lines.v[i], "```")) {
                        example = !example;
                        examples += example;
                } else if (example) {
                        check_example(p, i);
                } else {
                        check_long_options(p, i);
                        check_short_options(p, i);
                }
        }
        if (example || !examples)
                complain(p, p->lines.n, "examples stand between lines of ```, and there are none");
}

/* ---- the page ----------------------------------------------------------------------------------- */

/* Text that scdoc shall not read as markup. */
static void put(const char *text)
{
        for (; *text; text++) {
                if (strchr("*_\\#<>~.", *text))
                        putchar('\\');
                putchar(*text);
        }
}

static void put_option(const struct opt *o)
{
        const char *metavar = opt_metavar(o);

        if (o->short_name)
                printf("*-%c*, ", o->short_name);
        printf("*--%s*", o->name);
        if (metavar) {
                fputs(" _", stdout);
                put(metavar);
                fputc('_', stdout);
        }
        fputs("\n\t", stdout);
        put(o->help);
        fputs(".\n\n", stdout);
}

static void put_options(const struct opt_section *opts)
{
        printf("# OPTIONS\n\n");
        for (const struct opt_section *s = opts; s && s->opts; s++) {
                for (const struct opt *o = s->opts; o->name; o++) {
                        if (o->help)
                                put_option(o);
                }
        }
        printf("*--help*\n\tShow what the command does.\n\n");
}

static void put_commands(void)
{
        const struct verb *v;

        printf("# COMMANDS\n\nEach has a page of its own: *kelp-run*(1) and so on.\n\n");
        for (size_t i = 0; (v = verb_at(i)); i++) {
                printf("*%s*\n\t", v->names[0]);
                put(v->summary);
                fputs(".\n\n", stdout);
        }
}

static void put_synopsis(const struct verb *v)
{
        for (size_t i = 0; i < ARRAY_SIZE(v->names) && v->names[i]; i++) {
                printf("%s*kelp %s*%s", i ? "++\n" : "", v->names[i],
                       v->sections ? " [_OPTIONS_]" : "");
                if (v->operands)
                        fputc(' ', stdout);
                if (v->operands)
                        put(v->operands);
        }
        fputs("\n\n", stdout);
}

static void put_head(const struct page *p)
{
        printf("%s(1) \"\" \"Kelp " KELP_VERSION "\"\n\n# NAME\n\n%s - ", p->name, p->name);
        if (!p->v) {
                printf("containers for ordinary users: no root, no daemon\n\n# SYNOPSIS\n\n"
                       "*kelp* [_OPTIONS_] _COMMAND_ [_ARGUMENT_...]\n\n");
                return;
        }
        fputc(tolower((unsigned char)p->v->summary[0]), stdout);
        put(p->v->summary + 1);
        printf("\n\n# SYNOPSIS\n\n");
        put_synopsis(p->v);
}

static void put_page(const struct page *p)
{
        size_t headings = 0;

        put_head(p);
        for (size_t i = 0; i < p->lines.n; i++) {
                const char *line = p->lines.v[i];

                if (str_starts(line, "# ") && ++headings == 2) {
                        put_options(p->v ? p->v->sections : global_arg_sections);
                        if (!p->v)
                                put_commands();
                }
                if (i + 1 < p->lines.n || *line)
                        puts(line);
        }
}

static int page_read(struct page *p, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        const char *base = strrchr(p->path, '/');
        size_t len;
        int r;

        base = base ? base + 1 : p->path;
        if (!str_ends(base, SUFFIX))
                return err_new(reterr, ERR_USAGE, "'%s' is not called NAME" SUFFIX, p->path);
        p->name = xstrndup(base, strlen(base) - strlen(SUFFIX));
        p->v = verb_of_page(p->name);
        if (!p->v && strcmp(p->name, "kelp") != 0)
                return err_new(reterr, ERR_USAGE, "%s: there is no such command", p->path);
        r = io_read_file(AT_FDCWD, p->path, PROSE_MAX, &text, &len, reterr);
        if (r >= 0)
                strv_split(&p->lines, text, '\n');
        return r;
}

static void page_release(struct page *p)
{
        free(p->name);
        strv_release(&p->lines);
}

/* The number of complaints, or < 0. */
static int do_page(const char *path, bool print, struct err **reterr)
{
        struct page p = {.path = path};
        int r = page_read(&p, reterr);

        if (r >= 0) {
                check_prose(&p);
                if (print && !p.complaints)
                        put_page(&p);
                r = p.complaints;
        }
        page_release(&p);
        return r;
}

/* ---- checks of the tables ----------------------------------------------------------------------- */

static bool has_twin(const struct opt *opts, const struct opt *alias)
{
        for (const struct opt *o = opts; o->name; o++) {
                if (o != alias && o->help && o->offset == alias->offset && o->type == alias->type)
                        return true;
        }
        return false;
}

static int check_table(const struct verb *v)
{
        int complaints = 0;

        for (const struct opt_section *s = v->sections; s && s->opts; s++) {
                for (const struct opt *o = s->opts; o->name; o++) {
                        if (str_empty(o->help) && !has_twin(s->opts, o)) {
                                fprintf(stderr, "kelp %s: option --%s has no help text\n",
                                        v->names[0], o->name);
                                complaints++;
                        }
                }
        }
        if (!str_empty(v->operands) && v->completes[0] == COMPLETE_UNSET) {
                fprintf(stderr, "kelp %s: .completes is missing: what do shells offer for '%s'?\n",
                        v->names[0], v->operands);
                complaints++;
        }
        if (str_empty(v->summary)) {
                fprintf(stderr, "kelp %s: .summary is missing\n", v->names[0]);
                complaints++;
        }
        return complaints;
}

static int check_verb(const struct verb *v, const char *dir, const char *list)
{
        AUTO_FREE char *name = page_name(v);
        AUTO_FREE char *path = xasprintf("%s/%s" SUFFIX, dir, name);
        AUTO_FREE char *quoted = xasprintf("'%s'", name);
        AUTO_ERR struct err *err = NULL;
        int complaints = check_table(v), r;

        if (access(path, R_OK) < 0) {
                fprintf(stderr,
                        "kelp %s has no manual page: write %s (DESCRIPTION, EXAMPLES, EXIT STATUS, "
                        "SEE ALSO; docs/contributing.md)\n",
                        v->names[0], path);
                return complaints + 1;
        }
        if (!strstr(list, quoted)) {
                fprintf(stderr, "%s/meson.build: %s is not in the list of pages\n", dir, quoted);
                complaints++;
        }
        r = do_page(path, false, &err);
        if (r < 0) {
                err_print(err, stderr, "man_page", false);
                return complaints + 1;
        }
        return complaints + r;
}

/* Prose of a verb that is gone, or is called otherwise now. */
static int check_strangers(const char *dir)
{
        DIR *stream = opendir(dir);
        int complaints = 0;

        for (struct dirent *e = stream ? readdir(stream) : NULL; e; e = readdir(stream)) {
                AUTO_FREE char *name = NULL;

                if (!str_ends(e->d_name, SUFFIX))
                        continue;
                name = xstrndup(e->d_name, strlen(e->d_name) - strlen(SUFFIX));
                if (verb_of_page(name) || strcmp(name, "kelp") == 0)
                        continue;
                fprintf(stderr, "%s/%s: there is no such command\n", dir, e->d_name);
                complaints++;
        }
        if (stream)
                (void)closedir(stream);
        return complaints;
}

static int check_all(const char *dir, struct err **reterr)
{
        AUTO_FREE char *build = xasprintf("%s/meson.build", dir);
        AUTO_FREE char *own = xasprintf("%s/kelp" SUFFIX, dir);
        AUTO_FREE char *list = NULL;
        const struct verb *v;
        size_t len;
        int complaints = check_strangers(dir), r;

        r = io_read_file(AT_FDCWD, build, PROSE_MAX, &list, &len, reterr);
        if (r >= 0)
                r = do_page(own, false, reterr);
        if (r < 0)
                return r;
        complaints += r;
        for (size_t i = 0; (v = verb_at(i)); i++)
                complaints += check_verb(v, dir, list);
        return complaints;
}

int main(int argc, char **argv)
{
        AUTO_ERR struct err *err = NULL;
        int r = 125;

        if (argc == 3 && strcmp(argv[1], "page") == 0)
                r = do_page(argv[2], true, &err);
        else if (argc == 3 && strcmp(argv[1], "check") == 0)
                r = check_all(argv[2], &err);
        else
                fputs("usage: man_page page FILE | check DIRECTORY\n", stderr);
        if (r < 0)
                err_print(err, stderr, "man_page", false);
        return r != 0 || fflush(stdout) != 0;
}
