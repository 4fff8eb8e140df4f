/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kelp — the command line. One process per command; it never enters a namespace and has no point of no return.
 */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/prefault.h"
#include "base/str.h"
#include "cli/global_args.h"
#include "cli/probe.h"
#include "cli/verb.h"

#include "config.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int print_help(void)
{
        verb_print_list(stdout);
        fputc('\n', stdout);
        opt_print_help(global_arg_sections, stdout);
        fputs("\nkelp COMMAND --help explains a command.\n", stdout);
        return 0;
}

static int check_log_level(struct global_args *g, struct err **reterr)
{
        static const char *const levels[] = {"debug", "info",  "warn",  "warning",
                                             "error", "fatal", "panic", "trace"};

        if (!g->log_level)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
                if (strcmp(levels[i], g->log_level) != 0)
                        continue;
                if (i == 0 || strcmp(g->log_level, "trace") == 0)
                        g->debug = true;
                return 0;
        }
        return err_hint(
            reterr,
            err_new(reterr, ERR_USAGE, "option '--log-level': unknown level '%s'", g->log_level),
            "one of debug, info, warn, error");
}

/* Root of the host would make files in the store that no user can work with, and containers whose escape is root's. */
static int refuse_real_root(struct err **reterr)
{
        int r;

        if (geteuid() != 0 || !probe_is_initial_userns())
                return 0;
        r = err_new(
            reterr, ERR_DENIED,
            "kelp does not run as root: it needs no privilege and would lend it to containers");
        return err_hint(reterr, r,
                        "make a user and become it: adduser NAME; then 'su - NAME' or 'machinectl "
                        "shell NAME@'");
}

/* kelp help [VERB] */
static int help_verb(char *const *argv, struct err **reterr)
{
        const struct verb *v;
        size_t used;
        int r;

        if (!argv[0])
                return print_help();
        if (verb_is_noun(argv[0]) && !argv[1]) {
                verb_print_noun(argv[0], stdout);
                return 0;
        }
        r = verb_find(argv, &v, &used, reterr);
        if (r < 0)
                return r;
        verb_print_help(v, stdout);
        return 0;
}

/* A noun alone, or with --help, lists its verbs. "version" and the like are verbs, so they do not come here. */
static bool is_bare_noun(char *const *argv)
{
        if (!verb_is_noun(argv[0]))
                return false;
        return !argv[1] || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
}

/* Help and version are for everybody; what touches files is not for root. */
static bool is_harmless(const struct verb *v, char *const *argv)
{
        if (strcmp(v->names[0], "version") == 0 || strcmp(v->names[0], "completion") == 0)
                return true;
        return argv[0] && !argv[1] && strcmp(argv[0], "--help") == 0;
}

static int run_verb(struct cli *cli, char *const *argv, struct err **reterr)
{
        const struct verb *v;
        size_t used;
        int r;

        if (strcmp(argv[0], "help") == 0)
                return help_verb(argv + 1, reterr);
        if (strcmp(argv[0], COMPLETE_COMMAND) == 0)
                return complete_words(argv + 1, stdout);
        if (is_bare_noun(argv)) {
                verb_print_noun(argv[0], stdout);
                return argv[1] ? 0 : 125;
        }
        r = verb_find(argv, &v, &used, reterr);
        if (r < 0)
                return r;
        if (!is_harmless(v, argv + used)) {
                r = refuse_real_root(reterr);
                if (r < 0)
                        return r;
        }
        r = verb_run(v, cli, argv + used, reterr);
        return r < 0 ? err_wrap(reterr, r, "%s", v->names[0]) : r;
}

static int run(struct cli *cli, struct global_args *g, char **argv, struct err **reterr)
{
        AUTO_STRV rest = {0};
        bool help = false;
        struct opt_parse_opts o = {
            .sections = global_arg_sections, .options_first = true, .ret_help = &help};
        int r;

        r = opt_parse(&o, g, argv + 1, &rest, reterr);
        if (r < 0)
                return r;
        if (help)
                return print_help();
        if (g->version) {
                printf("kelp version %s\n", KELP_VERSION);
                return 0;
        }
        r = check_log_level(g, reterr);
        if (r < 0)
                return r;
        if (!rest.n) {
                print_help();
                return 125;
        }
        cli->root = g->root;
        cli->debug = g->debug;
        if (g->debug)
                log_set_debug(true);
        return run_verb(cli, rest.v, reterr);
}

/* Standard output of a listing may be a full disk: what was not written is an error, not silence. */
static int flush_stdout(int code)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return code;
        if (errno == EPIPE)
                return code ? code : 141; /* as a shell reports SIGPIPE */
        fprintf(stderr, "kelp: error: write to standard output: %s\n", strerror(errno));
        return code ? code : 125;
}

int main(int argc, char **argv)
{
        AUTO_ERR struct err *err = NULL;
        struct global_args g = {0};
        struct cli cli = {0};
        int r;

        prefault_program();
        fd_sanitize_stdio();
        /* A reader that goes away must not kill us in the middle of a container's life: writes report EPIPE instead. */
        (void)signal(SIGPIPE, SIG_IGN);
        r = argc > 0 ? run(&cli, &g, argv, &err) : 125;
        if (r < 0)
                r = cli_report(&cli, &err);
        cli.dirs = dirs_free(cli.dirs);
        opt_release(global_arg_sections, &g);
        return flush_stdout(r);
}
