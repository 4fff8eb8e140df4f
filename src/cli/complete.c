/* SPDX-License-Identifier: Apache-2.0 */
/* complete — see complete.h. */
#include "cli/complete.h"

#include "base/dirs.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/str.h"
#include "cli/global_args.h"
#include "cli/image_names.h"
#include "cli/verb.h"
#include "container/container.h"
#include "container/pod.h"
#include "image/store.h"
#include "security/caps.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

/* The command line up to the cursor, and where it stands. */
struct line {
        char *const *words;
        size_t last;       /* the index of the word at the cursor */
        const char *root;  /* --root */
        struct dirs *dirs; /* opened when first needed; NULL: there is no store */
        const char
            *prefix;      /* what stands before the part of the word that is completed: "--name=" */
        const char *part; /* and that part */
        FILE *f;
};

/* ---- candidates --------------------------------------------------------------------------------- */

/* What would be two lines, or drive the terminal, is no candidate: nobody could type it either. */
static bool is_plain(const char *word)
{
        for (const unsigned char *p = (const unsigned char *)word; *p; p++) {
                if (*p <= ' ' || *p == 0x7f)
                        return false;
        }
        return *word != '\0' && *word != ':';
}

static void offer(const struct line *l, const char *word, const char *meaning)
{
        if (!str_starts(word, l->part) || !is_plain(word))
                return;
        fprintf(l->f, "%s%s%s%s\n", l->prefix, word, meaning ? "\t" : "", meaning ? meaning : "");
}

static void direct(const struct line *l, const char *directive)
{
        fprintf(l->f, ":%s\n", directive);
}

static const struct dirs *store_of(struct line *l)
{
        if (!l->dirs && dirs_open_existing(l->root, &l->dirs) < 0)
                return NULL;
        return l->dirs;
}

/* Names that a word of the command line begins to repeat are of no use: "rm a a". */
static bool is_given(const struct line *l, const char *name)
{
        for (size_t i = 0; i < l->last; i++) {
                if (strcmp(l->words[i], name) == 0)
                        return true;
        }
        return false;
}

static void offer_names(const struct line *l, const struct strv *names, const char *suffix,
                        const char *meaning)
{
        for (size_t i = 0; i < names->n; i++) {
                AUTO_FREE char *word = xasprintf("%s%s", names->v[i], suffix);

                if (!is_given(l, word))
                        offer(l, word, meaning);
        }
}

static void offer_containers(struct line *l, enum container_names_of which, const char *suffix)
{
        const struct dirs *d = store_of(l);
        AUTO_STRV names = {0};

        if (d && container_names(d, which, &names) >= 0)
                offer_names(l, &names, suffix, "container");
}

static void offer_images(struct line *l)
{
        const struct dirs *d = store_of(l);
        AUTO_STRV full = {0}, names = {0};

        if (!d || store_reference_names(d, &full, NULL) < 0)
                return;
        for (size_t i = 0; i < full.n; i++)
                strv_add_take(&names, image_familiar(full.v[i]));
        offer_names(l, &names, "", "image");
}

/* Objects that are a directory each, named after them. */
static void offer_directories(struct line *l, const char *of, const char *what)
{
        const struct dirs *d = store_of(l);
        int fd = d ? openat(d->root_fd, of, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -EBADF;
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir) {
                (void)fd_close(fd < 0 ? -EBADF : fd);
                return;
        }
        for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
                if (e->d_name[0] != '.' && !is_given(l, e->d_name))
                        offer(l, e->d_name, what);
        }
        (void)closedir(dir);
}

static void offer_volumes(struct line *l)
{
        offer_directories(l, "volumes", "volume");
}

static void offer_pods(struct line *l)
{
        const struct dirs *d = store_of(l);
        struct pod **v = NULL;
        size_t n = 0;

        if (!d || pod_list(d, &v, &n, NULL) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                if (!is_given(l, v[i]->infra->name))
                        offer(l, v[i]->infra->name, "pod");
        }
        pod_list_free(v, n);
}

static void offer_signals(const struct line *l)
{
        for (int sig = 1; sig < NSIG; sig++) {
                const char *name = signal_name(sig);

                if (name)
                        offer(l, name, NULL);
        }
}

static void offer_caps(const struct line *l)
{
        offer(l, "ALL", NULL);
        for (int cap = 0; cap_name(cap); cap++)
                offer(l, cap_name(cap) + strlen("CAP_"), NULL);
}

static void offer_copy(struct line *l)
{
        offer_containers(l, CONTAINER_NAMES_ALL, ":");
        direct(l, "nospace");
        direct(l, "files");
}

static void offer_kind(struct line *l, enum complete_kind kind)
{
        switch (kind) {
        case COMPLETE_IMAGE:
                return offer_images(l);
        case COMPLETE_CONTAINER:
                return offer_containers(l, CONTAINER_NAMES_ALL, "");
        case COMPLETE_RUNNING:
                return offer_containers(l, CONTAINER_NAMES_RUNNING, "");
        case COMPLETE_STOPPED:
                return offer_containers(l, CONTAINER_NAMES_STOPPED, "");
        case COMPLETE_VOLUME:
                return offer_volumes(l);
        case COMPLETE_SECRET:
                return offer_directories(l, "secrets", "secret");
        case COMPLETE_POD:
                return offer_pods(l);
        case COMPLETE_OBJECT:
                offer_containers(l, CONTAINER_NAMES_ALL, "");
                offer_images(l);
                return offer_volumes(l);
        case COMPLETE_FILE:
                return direct(l, "files");
        case COMPLETE_DIRECTORY:
                return direct(l, "dirs");
        case COMPLETE_COPY:
                return offer_copy(l);
        case COMPLETE_SHELL:
                offer(l, "bash", NULL);
                offer(l, "zsh", NULL);
                return offer(l, "fish", NULL);
        case COMPLETE_UNSET:
        case COMPLETE_NONE:
        case COMPLETE_KIND_COUNT:
                break;
        }
}

/* ---- values of options -------------------------------------------------------------------------- */

/* Options named alike take alike values; a table's own .values come first. */
static const struct {
        const char *metavar, *values;
} metavars[] = {
    {"FILE", "@file"},   {"PATH", "@file"},           {"SIGNAL", "@signal"}, {"CAP", "@cap"},
    {"IMAGE", "@image"}, {"CONTAINER", "@container"}, {"VOLUME", "@volume"}, {"FORMAT", "json"},
};

static void offer_value(struct line *l, const char *value)
{
        static const struct {
                const char *word;
                enum complete_kind kind;
        } kinds[] = {
            {"@file", COMPLETE_FILE},       {"@dir", COMPLETE_DIRECTORY},
            {"@image", COMPLETE_IMAGE},     {"@container", COMPLETE_CONTAINER},
            {"@running", COMPLETE_RUNNING}, {"@volume", COMPLETE_VOLUME},
            {"@secret", COMPLETE_SECRET},   {"@pod", COMPLETE_POD},
        };
        size_t len = strlen(value);

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                if (strcmp(kinds[i].word, value) == 0)
                        return offer_kind(l, kinds[i].kind);
        }
        if (strcmp(value, "@signal") == 0)
                return offer_signals(l);
        if (strcmp(value, "@cap") == 0)
                return offer_caps(l);
        offer(l, value, NULL);
        if (str_starts(value, l->part) && strchr("=:", value[len - 1]))
                direct(l, "nospace");
}

/* "container:NAME": behind the colon stands another container. */
static bool offer_joined(struct line *l, const char *values)
{
        static const char word[] = "container:";
        AUTO_FREE char *prefix = NULL;
        struct line inner = *l;

        if (!strstr(values, word) || !str_starts(l->part, word))
                return false;
        prefix = xasprintf("%s%s", l->prefix, word);
        inner.prefix = prefix;
        inner.part += strlen(word);
        offer_containers(&inner, CONTAINER_NAMES_RUNNING, "");
        l->dirs = inner.dirs;
        return true;
}

static void offer_values(struct line *l, const struct opt *o)
{
        const char *values = o->values, *metavar = opt_metavar(o);
        AUTO_STRV words = {0};

        for (size_t i = 0; !values && metavar && i < ARRAY_SIZE(metavars); i++) {
                if (strcmp(metavars[i].metavar, metavar) == 0)
                        values = metavars[i].values;
        }
        if (!values || offer_joined(l, values))
                return;
        strv_split(&words, values, ' ');
        for (size_t i = 0; i < words.n; i++)
                offer_value(l, words.v[i]);
}

/* ---- the command line --------------------------------------------------------------------------- */

static void offer_options(const struct line *l, const struct opt_section *sections)
{
        char word[160];

        for (const struct opt_section *s = sections; s && s->opts; s++) {
                for (const struct opt *o = s->opts; o->name; o++) {
                        if (!o->help)
                                continue;
                        (void)snprintf(word, sizeof(word), "--%s", o->name);
                        offer(l, word, o->help);
                        (void)snprintf(word, sizeof(word), "-%c", o->short_name);
                        if (o->short_name && !str_starts(l->part, "--"))
                                offer(l, word, o->help);
                }
        }
        offer(l, "--help", "Show what the command does");
}

/* Of "-it" the last letter counts. NULL: the option takes its value, if any, from this very word. */
static const struct opt *option_that_waits(const struct opt_section *sections, const char *word)
{
        const struct opt *o = NULL;

        if (word[1] == '-') {
                if (strchr(word, '='))
                        return NULL;
                o = opt_find_long(sections, word + 2, strlen(word + 2));
                return o && opt_metavar(o) ? o : NULL;
        }
        for (const char *p = word + 1; *p; p++) {
                o = opt_find_short(sections, *p);
                if (!o)
                        return NULL;
                if (opt_metavar(o))
                        return p[1] ? NULL : o;
        }
        return NULL;
}

/* "--name=va" */
static bool offer_assigned(struct line *l, const struct opt_section *sections)
{
        const char *word = l->words[l->last], *equals = strchr(word, '=');
        AUTO_FREE char *prefix = NULL;
        const struct opt *o;

        if (!str_starts(word, "--") || !equals)
                return false;
        o = opt_find_long(sections, word + 2, (size_t)(equals - word - 2));
        prefix = xstrndup(word, (size_t)(equals + 1 - word));
        l->prefix = prefix;
        l->part = equals + 1;
        if (o)
                offer_values(l, o);
        l->prefix = "";
        return true;
}

struct walk {
        size_t operands;
        bool ended;                /* no more options */
        const struct opt *waiting; /* whose value the next word is */
};

static void walk_word(struct walk *w, const struct opt_section *sections, bool options_first,
                      const char *word)
{
        if (w->waiting) {
                w->waiting = NULL;
        } else if (w->ended || word[0] != '-' || !word[1]) {
                w->operands++;
                w->ended = w->ended || options_first;
        } else if (strcmp(word, "--") == 0) {
                w->ended = true;
        } else {
                w->waiting = option_that_waits(sections, word);
        }
}

/* Value or option; false when the word is an operand. */
static bool offer_option_word(struct line *l, const struct walk *w,
                              const struct opt_section *sections)
{
        if (w->waiting) {
                offer_values(l, w->waiting);
                return true;
        }
        if (w->ended || l->part[0] != '-')
                return false;
        if (!offer_assigned(l, sections))
                offer_options(l, sections);
        return true;
}

static enum complete_kind kind_of_operand(const struct verb *v, size_t n)
{
        if (v->max_operands ? n >= v->max_operands : !v->operands)
                return COMPLETE_NONE;
        if (n == 0)
                return v->completes[0];
        if (v->completes[1] != COMPLETE_UNSET)
                return v->completes[1];
        return v->options_first ? COMPLETE_NONE : v->completes[0];
}

static void complete_verb(struct line *l, const struct verb *v, size_t first)
{
        struct walk w = {0};

        for (size_t i = first; i < l->last; i++)
                walk_word(&w, v->sections, v->options_first, l->words[i]);
        if (!offer_option_word(l, &w, v->sections))
                offer_kind(l, kind_of_operand(v, w.operands));
}

/* The words that may stand behind @noun, or with NULL first on the line; each once, though several verbs begin with "container". */
static void offer_verbs(const struct line *l, const char *noun)
{
        AUTO_STRV seen = {0};
        const struct verb *v;
        size_t skip = noun ? strlen(noun) + 1 : 0;

        for (size_t i = 0; (v = verb_at(i)); i++) {
                for (size_t k = 0; k < ARRAY_SIZE(v->names) && v->names[k]; k++) {
                        const char *name = v->names[k], *space = strchr(name, ' ');
                        AUTO_FREE char *word = NULL;

                        if (noun && (!space || (size_t)(space - name) + 1 != skip ||
                                     strncmp(name, noun, skip - 1) != 0))
                                continue;
                        word = noun || !space ? xstrdup(name + skip)
                                              : xstrndup(name, (size_t)(space - name));
                        if (strv_contains(&seen, word))
                                continue;
                        strv_add(&seen, word);
                        offer(l, word, noun || !space ? v->summary : "Commands of this kind");
                }
        }
        if (!noun)
                offer(l, "help", "Explain a command");
}

/* @first: where the verb begins. */
static void complete_from_verb(struct line *l, size_t first)
{
        const struct verb *v;
        size_t used;

        if (first < l->last && strcmp(l->words[first], "help") == 0)
                first++;
        if (first == l->last)
                return offer_verbs(l, NULL);
        if (first + 1 == l->last && verb_is_noun(l->words[first]))
                return offer_verbs(l, l->words[first]);
        if (verb_find(l->words + first, &v, &used, NULL) >= 0)
                complete_verb(l, v, first + used);
}

static void complete_line(struct line *l)
{
        struct walk w = {0};
        size_t i;

        for (i = 0; i < l->last; i++) {
                if (w.waiting && strcmp(w.waiting->name, "root") == 0)
                        l->root = l->words[i];
                else if (str_starts(l->words[i], "--root="))
                        l->root = strchr(l->words[i], '=') + 1;
                walk_word(&w, global_arg_sections, true, l->words[i]);
                if (w.operands)
                        break;
        }
        if (i < l->last)
                return complete_from_verb(l, i);
        if (!offer_option_word(l, &w, global_arg_sections))
                complete_from_verb(l, i);
}

int complete_words(char *const *argv, FILE *f)
{
        struct line l = {.prefix = "", .f = f};

        if (argv[0] && strcmp(argv[0], "--") == 0)
                argv++;
        if (!argv[0])
                return 0;
        l.words = argv;
        while (argv[l.last + 1])
                l.last++;
        l.part = argv[l.last];
        complete_line(&l);
        l.dirs = dirs_free(l.dirs);
        return 0;
}
