/* SPDX-License-Identifier: Apache-2.0 */
/* verb — see verb.h. */
#include "cli/verb.h"

#include "base/dirs.h"
#include "base/err.h"
#include "base/str.h"

#include <assert.h>
#include <string.h>

#define NAMES_MAX   256
#define HELP_COLUMN 19
#define HELP_WIDTH  80

static const struct verb *const *const groups[] = {
    [VERB_GROUP_CONTAINER] = verbs_container,
    [VERB_GROUP_IMAGE] = verbs_image,
    [VERB_GROUP_SYSTEM] = verbs_system,
};
static const char *const group_titles[] = {
    [VERB_GROUP_CONTAINER] = "Containers",
    [VERB_GROUP_IMAGE] = "Images",
    [VERB_GROUP_SYSTEM] = "System",
};
static_assert(ARRAY_SIZE(groups) == VERB_GROUP_COUNT, "every group has its verbs");
static_assert(ARRAY_SIZE(group_titles) == VERB_GROUP_COUNT, "every group has its title");

#define FOR_EACH_VERB(v)                                                                           \
        for (size_t g_ = 0; g_ < VERB_GROUP_COUNT; g_++)                                           \
                for (const struct verb *const *v = groups[g_]; *v; v++)

/* How many of the words of @argv the name takes: 0 when it does not match. */
static size_t name_matches(const char *name, char *const *argv)
{
        size_t first = strcspn(name, " ");

        if (strncmp(name, argv[0], first) != 0 || argv[0][first])
                return 0;
        if (!name[first])
                return 1;
        return argv[1] && strcmp(name + first + 1, argv[1]) == 0 ? 2 : 0;
}

const struct verb *verb_at(size_t i)
{
        FOR_EACH_VERB(v)
        {
                if (i-- == 0)
                        return *v;
        }
        return NULL;
}

bool verb_is_noun(const char *word)
{
        size_t len = strlen(word);

        FOR_EACH_VERB(v)
        {
                for (const char *const *name = (*v)->names; *name; name++) {
                        if (strncmp(*name, word, len) == 0 && (*name)[len] == ' ')
                                return true;
                }
        }
        return false;
}

/* What users of other engines will type and what this version answers; the closest word would lead them astray. */
static const struct {
        const char *name, *hint;
} absent_verbs[] = {
    {"pull", "it fetches no images: 'kelp load' and 'kelp import' add them from files"},
    {"push", "it sends no images: 'kelp save' writes them to files"},
    {"login", "it talks to no registry: images come from files, by 'kelp load'"},
    {"search", "it talks to no registry: images come from files, by 'kelp load'"},
    {"build",
     "images come from files: 'kelp load', or 'kelp import --change …' of a root file system"},
    {"stats", "'kelp inspect --format {{.State.Pid}} NAME' names a process to look at"},
    {"mount", "'kelp cp' and 'kelp export' read a container's files, 'kelp cp' writes them"},
    {"umount", "nothing of a container is mounted on the host"},
    {"unmount", "nothing of a container is mounted on the host"},
    {"network", "it has --network none (the default) and --network host"},
    {"compose", "each service is a 'kelp run' of its own"},
};

static const char *absent_verb_hint(const char *word)
{
        for (size_t i = 0; i < ARRAY_SIZE(absent_verbs); i++) {
                if (strcmp(absent_verbs[i].name, word) == 0)
                        return absent_verbs[i].hint;
        }
        return NULL;
}

/* The words behind @noun, or with NULL all names. With @first only the first form of each: further ones are aliases. */
static size_t verb_names(const char *noun, bool first, const char *ret[NAMES_MAX])
{
        size_t n = 0, len = noun ? strlen(noun) + 1 : 0;

        FOR_EACH_VERB(v)
        {
                for (const char *const *name = (*v)->names; *name && n < NAMES_MAX; name++) {
                        if (noun && (!str_starts(*name, noun) || (*name)[len - 1] != ' '))
                                continue;
                        ret[n++] = *name + len;
                        if (first)
                                break;
                }
        }
        return n;
}

/* Behind a noun that is right only its own verbs are meant: "container prune" is no "container rename". */
static int unknown_verb_of(const char *noun, const char *word, struct err **reterr)
{
        const char *names[NAMES_MAX];
        const char *closest = opt_closest(word, names, verb_names(noun, false, names));
        size_t n = verb_names(noun, true, names);
        AUTO_STRBUF list = {0};
        int r = err_new(reterr, ERR_USAGE, "unknown command '%s %s'", noun, word);

        if (closest)
                return err_hint(reterr, r, "did you mean 'kelp %s %s'?", noun, closest);
        for (size_t i = 0; i < n; i++)
                strbuf_addf(&list, "%s%s", i ? ", " : "", names[i]);
        return err_hint(reterr, r, "'kelp %s' has: %s", noun, list.data);
}

static int unknown_verb(char *const *argv, struct err **reterr)
{
        bool noun = verb_is_noun(argv[0]) && argv[1];
        const char *word = argv[noun], *names[NAMES_MAX], *closest;
        int r;

        if (absent_verb_hint(word)) {
                r = err_new(reterr, ERR_USAGE, "this version has no command '%s%s%s'",
                            noun ? argv[0] : "", noun ? " " : "", word);
                return err_hint(reterr, r, "%s", absent_verb_hint(word));
        }
        if (noun)
                return unknown_verb_of(argv[0], word, reterr);
        closest = opt_closest(word, names, verb_names(NULL, false, names));
        r = err_new(reterr, ERR_USAGE, "unknown command '%s'", word);
        if (closest)
                return err_hint(reterr, r, "did you mean 'kelp %s'?", closest);
        return err_hint(reterr, r, "'kelp --help' lists the commands");
}

int verb_find(char *const *argv, const struct verb **ret, size_t *ret_used, struct err **reterr)
{
        FOR_EACH_VERB(v)
        {
                for (const char *const *name = (*v)->names; *name; name++) {
                        *ret_used = name_matches(*name, argv);
                        if (!*ret_used)
                                continue;
                        *ret = *v;
                        return 0;
                }
        }
        return unknown_verb(argv, reterr);
}

static int check_operands(const struct verb *v, size_t n, struct err **reterr)
{
        int r;

        if (n < v->min_operands)
                r = err_new(reterr, ERR_USAGE, "too few arguments: %s needs at least %zu, got %zu",
                            v->names[0], v->min_operands, n);
        else if (n > v->max_operands && (v->max_operands || !v->operands))
                r = err_new(reterr, ERR_USAGE, "too many arguments: %s takes at most %zu, got %zu",
                            v->names[0], v->max_operands, n);
        else
                return 0;
        return err_hint(reterr, r, "usage: kelp %s%s%s%s", v->names[0],
                        v->sections ? " [OPTIONS]" : "", str_empty(v->operands) ? "" : " ",
                        v->operands ? v->operands : "");
}

static int parse_and_run(const struct verb *v, struct cli *cli, void *args, struct err **reterr)
{
        AUTO_STRV operands = {0};
        bool help = false;
        struct opt_parse_opts o = {.sections = v->sections,
                                   .absent = v->absent,
                                   .options_first = v->options_first,
                                   .ret_help = &help};
        int r;

        r = opt_parse(&o, args, cli->argv, &operands, reterr);
        if (r < 0)
                return r;
        if (help) {
                verb_print_help(v, stdout);
                return 0;
        }
        r = check_operands(v, operands.n, reterr);
        if (r < 0)
                return r;
        return v->run(cli, args, &operands, reterr);
}

int verb_run(const struct verb *v, struct cli *cli, char *const *argv, struct err **reterr)
{
        AUTO_FREE void *args = xcalloc(1, v->args_size ? v->args_size : 1);
        int r;

        cli->argv = argv;
        if (v->init)
                v->init(args);
        r = parse_and_run(v, cli, args, reterr);
        opt_release(v->sections, args);
        if (v->release)
                v->release(args);
        return r;
}

/* ---- help -------------------------------------------------------------------------------------- */

void verb_print_help(const struct verb *v, FILE *f)
{
        fprintf(f, "Usage: kelp %s%s%s%s\n\n%s\n", v->names[0], v->sections ? " [OPTIONS]" : "",
                str_empty(v->operands) ? "" : " ", v->operands ? v->operands : "", v->summary);
        if (v->names[1]) {
                fputs("\nAliases:", f);
                for (size_t i = 1; i < ARRAY_SIZE(v->names) && v->names[i]; i++)
                        fprintf(f, "%s kelp %s", i > 1 ? "," : "", v->names[i]);
                fputc('\n', f);
        }
        if (v->details)
                fprintf(f, "\n%s\n", v->details);
        if (v->sections) {
                fputc('\n', f);
                opt_print_help(v->sections, f);
        }
}

/* Of a verb that has only a name of two words, how long the noun is; else 0. */
static size_t noun_len(const struct verb *v)
{
        const char *space = strchr(v->names[0], ' ');

        return space ? (size_t)(space - v->names[0]) : 0;
}

static bool same_noun(const struct verb *a, const struct verb *b)
{
        size_t n = noun_len(a);

        return n > 0 && n == noun_len(b) && memcmp(a->names[0], b->names[0], n) == 0;
}

static const struct verb *first_of_noun(const struct verb *of)
{
        FOR_EACH_VERB(v)
        {
                if (same_noun(*v, of))
                        return *v;
        }
        return NULL;
}

/* "  volume           create, exists, …", from the first verb of the noun on. */
static void print_noun_line(const struct verb *first, FILE *f)
{
        size_t n = noun_len(first), column = HELP_COLUMN;
        const char *separator = "";

        fprintf(f, "  %-*.*s", HELP_COLUMN - 2, (int)n, first->names[0]);
        FOR_EACH_VERB(v)
        {
                const char *word = (*v)->names[0] + n + 1;

                if (!same_noun(first, *v))
                        continue;
                fputs(separator, f);
                separator = ", ";
                column += strlen(word) + 2;
                if (column > HELP_WIDTH) {
                        fprintf(f, "\n%*s", HELP_COLUMN, "");
                        column = HELP_COLUMN + strlen(word) + 2;
                }
                fputs(word, f);
        }
        fputc('\n', f);
}

/* The verbs that the lists above leave out. */
static void print_nouns(FILE *f)
{
        fputs("\nCommands of two words (kelp volume create; kelp volume --help):\n", f);
        FOR_EACH_VERB(v)
        {
                if (first_of_noun(*v) == *v)
                        print_noun_line(*v, f);
        }
}

void verb_print_list(FILE *f)
{
        fputs("Usage: kelp [OPTIONS] COMMAND\n\n"
              "Containers for ordinary users: no root, no daemon.\n",
              f);
        for (size_t g = 0; g < VERB_GROUP_COUNT; g++) {
                if (!groups[g][0])
                        continue;
                fprintf(f, "\n%s:\n", group_titles[g]);
                for (const struct verb *const *v = groups[g]; *v; v++) {
                        if (!strchr((*v)->names[0], ' ')) /* "image prune" is listed by its noun */
                                fprintf(f, "  %-16s %s\n", (*v)->names[0], (*v)->summary);
                }
        }
        print_nouns(f);
}

void verb_print_noun(const char *noun, FILE *f)
{
        size_t len = strlen(noun);

        fprintf(f, "Usage: kelp %s COMMAND\n\nCommands:\n", noun);
        FOR_EACH_VERB(v)
        {
                for (const char *const *name = (*v)->names; *name; name++) {
                        if (strncmp(*name, noun, len) != 0 || (*name)[len] != ' ')
                                continue;
                        fprintf(f, "  %-16s %s\n", *name + len + 1, (*v)->summary);
                        break; /* further forms are aliases of the same */
                }
        }
        fprintf(f, "\nkelp %s COMMAND --help explains a command.\n", noun);
}

/* ---- what verbs share --------------------------------------------------------------------------- */

int cli_dirs(struct cli *cli, struct dirs **ret, struct err **reterr)
{
        int r;

        if (!cli->dirs) {
                r = dirs_open(cli->root, &cli->dirs, reterr);
                if (r < 0)
                        return r;
        }
        *ret = cli->dirs;
        return 0;
}

int cli_hint_misplaced(const struct strv *operands, const char *what, int r, struct err **reterr)
{
        if (operands->n < 2 || operands->v[1][0] != '-' || err_kind(*reterr) != ERR_EXEC_MISSING)
                return r;
        return err_hint(reterr, r, "options come before the %s; what follows it is the command",
                        what);
}

int cli_report(const struct cli *cli, struct err **err)
{
        int code = err_exit_code(*err);

        fflush(stdout); /* what went well before appears before */
        err_print(*err, stderr, "kelp", cli->debug);
        *err = err_free(*err);
        return code;
}
