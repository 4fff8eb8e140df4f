/* SPDX-License-Identifier: Apache-2.0 */
/* kelp exec */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/foreground.h"
#include "cli/preserve.h"
#include "cli/run_args.h"
#include "cli/select.h"
#include "cli/term.h"
#include "cli/verb.h"

#include <errno.h>
#include <unistd.h>

struct exec_args {
        bool detach, interactive, tty, privileged;
        struct strv env, env_files;
        char *user, *workdir, *detach_keys;
        struct select_args select;
        struct preserve_args preserve;
};
#define F(f) offsetof(struct exec_args, f)
static const struct opt opts[] = {
    {"detach", 'd', OPT_BOOL, F(detach), NULL, "Leave the command running in the background"},
    {"detach-keys", 0, OPT_STRING, F(detach_keys), "KEYS",
     "Keys that detach (" DETACH_KEYS_DEFAULT ")"},
    {"env", 'e', OPT_STRV, F(env), "NAME[=VALUE]",
     "Environment variable; without a value the caller's"},
    {"env-file", 0, OPT_STRV, F(env_files), "FILE", "Environment variables, one per line"},
    {"interactive", 'i', OPT_BOOL, F(interactive), NULL, "Pass standard input to the command"},
    {"privileged", 0, OPT_BOOL, F(privileged), NULL,
     "All capabilities over the container's namespaces, no filter"},
    {"tty", 't', OPT_BOOL, F(tty), NULL, "Give the command a terminal"},
    {"user", 'u', OPT_STRING, F(user), "USER", "User it runs as: name or uid[:group or gid]"},
    {"workdir", 'w', OPT_STRING, F(workdir), "DIR", "Its working directory"},
    {0},
};
static const struct opt_section sections[] = {
    {opts, NULL, 0, false},
    {select_opts_one, "Choice", F(select), false},
    {preserve_opts, "Descriptors", F(preserve), false},
    {0},
};
#undef F

static int check(const struct exec_args *a, struct err **reterr)
{
        struct detach_keys keys;
        int r = a->detach_keys ? detach_keys_parse(a->detach_keys, &keys, reterr) : 0;

        if (r < 0 || a->detach || !a->tty || !a->interactive || fd_is_terminal(STDIN_FILENO))
                return r;
        r = err_new(reterr, ERR_USAGE, "options '-it': standard input is no terminal");
        return err_hint(reterr, r, "leave out -t to feed the command from a pipe or file");
}

/* Environment files first, so that what is typed wins. */
static int fill_env(const struct exec_args *a, struct strv *env, struct err **reterr)
{
        int r = 0;

        for (size_t i = 0; i < a->env_files.n && r >= 0; i++)
                r = env_add_file(env, a->env_files.v[i], true, reterr);
        for (size_t i = 0; i < a->env.n && r >= 0; i++)
                r = env_add(env, a->env.v[i], reterr);
        return r;
}

static int exec_in(struct cli *cli, const struct exec_args *a, struct container *c,
                   struct exec_options *o, struct err **reterr)
{
        struct container_io io = {.status_fd = -EBADF, .attach_fd = -EBADF};
        struct foreground_opts fg = {.forward_stdin = a->interactive,
                                     .forward_stdout = true,
                                     .forward_stderr = true,
                                     .terminal = a->tty,
                                     .detach_keys = a->detach_keys};
        int r;

        if (a->tty && !term_size(STDIN_FILENO, &o->rows, &o->cols))
                (void)term_size(STDOUT_FILENO, &o->rows, &o->cols);
        r = container_exec(cli->dirs, c, o, &io, reterr);
        if (r < 0)
                return r;
        if (!a->detach)
                return foreground_run(&fg, &io, reterr);
        foreground_leave(&io);
        return 0;
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        const struct exec_args *a = args;
        struct exec_options o = {.user = a->user,
                                 .workdir = a->workdir,
                                 .tty = a->tty,
                                 .interactive = a->interactive,
                                 .detach = a->detach,
                                 .privileged = a->privileged};
        AUTO_FREE char *name = NULL;
        AUTO_FREE int *preserved = NULL;
        size_t taken = 0;
        struct dirs *d;
        int r = check(a, reterr);

        if (r >= 0)
                r = preserve_collect(&a->preserve, &preserved, &o.n_preserve, reterr);
        o.preserve = preserved;
        if (r >= 0)
                r = cli_dirs(cli, &d, reterr);
        if (r >= 0)
                r = select_one(cli, &a->select, operands, &name, &taken, reterr);
        if (r >= 0 && operands->n <= taken)
                r = err_hint(reterr, err_new(reterr, ERR_USAGE, "no command was given"),
                             "usage: kelp exec [OPTIONS] CONTAINER COMMAND [ARG...]");
        if (r >= 0)
                r = container_find(d, name, &c, reterr);
        if (r >= 0)
                r = fill_env(a, &o.env, reterr);
        for (size_t i = taken; r >= 0 && i < operands->n; i++)
                strv_add(&o.command, operands->v[i]);
        if (r >= 0)
                r = exec_in(cli, a, c, &o, reterr);
        if (r < 0)
                r = cli_hint_misplaced(operands, "container", r, reterr);
        strv_release(&o.env);
        strv_release(&o.command);
        return r;
}

const struct verb verb_exec = {
    .names = {"exec", "container exec"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "CONTAINER COMMAND [ARG...]",
    .summary = "Run a command in a running container",
    .sections = sections,
    .args_size = sizeof(struct exec_args),
    .options_first = true,
    .min_operands = 1,
    .completes = {COMPLETE_RUNNING},
    .run = run,
};
