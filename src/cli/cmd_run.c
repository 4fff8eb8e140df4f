/* SPDX-License-Identifier: Apache-2.0 */
/* kelp run, kelp create. */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/foreground.h"
#include "cli/output.h"
#include "cli/reaper.h"
#include "cli/run_args.h"
#include "cli/run_opts.h"
#include "cli/term.h"
#include "cli/verb.h"
#include "image/store.h"
#include "spec/options.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct opt_section create_sections[] = {
    {run_container_opts, NULL, offsetof(struct run_args, options), true},
    {run_further_opts, "Further options", offsetof(struct run_args, options), true},
    {run_create_opts, "Options, continued", 0, false},
    {run_env_opts, "Environment and platform", 0, false},
    {0},
};
static const struct opt_section run_sections[] = {
    {run_container_opts, NULL, offsetof(struct run_args, options), true},
    {run_further_opts, "Further options", offsetof(struct run_args, options), true},
    {run_create_opts, "Options, continued", 0, false},
    {run_env_opts, "Environment and platform", 0, false},
    {run_only_opts, "Options of run alone", 0, false},
    {preserve_opts, "Descriptors", offsetof(struct run_args, preserve), false},
    {0},
};

#define NO_PORTS                                                                                   \
        "this version publishes no ports: with --network host those of the container are the "     \
        "host's"
#define NO_LIMITS "this version sets no limits but --ulimit, --shm-size and the size of a --tmpfs"
#define NO_FETCH  "this version fetches no images: 'kelp load' and 'kelp import' add them from files"
static const struct opt_absent run_absent[] = {
    {"publish", 'p', NO_PORTS},
    {"publish-all", 'P', NO_PORTS},
    {"memory", 'm', NO_LIMITS},
    {"memory-swap", 0, NO_LIMITS},
    {"memory-reservation", 0, NO_LIMITS},
    {"cpus", 0, NO_LIMITS},
    {"cpu-shares", 'c', NO_LIMITS},
    {"cpu-quota", 0, NO_LIMITS},
    {"cpuset-cpus", 0, NO_LIMITS},
    {"pids-limit", 0, NO_LIMITS},
    {"pull", 0, NO_FETCH},
    {0},
};

static int run_create(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        struct run_args *a = args;
        char id[65];
        int r = run_args_finish(a, operands, true, reterr);

        if (r >= 0)
                r = run_args_create(cli, a, id, reterr);
        return r < 0 ? r : output_printf(reterr, "%s\n", id);
}

static bool attaches(const struct run_args *a, const char *stream)
{
        return strv_contains(&a->options->attach, stream);
}

static bool is_passthrough(const struct run_args *a)
{
        return a->options->log_driver && strcmp(a->options->log_driver, "passthrough") == 0;
}

/* Without a start there is nothing to look at: with --rm it goes away again, else it stays for a look, as with Docker. */
static int start_failed(struct cli *cli, const struct run_args *a, struct container *c, int r)
{
        struct container_remove_opts remove = {.force = true, .volumes = true, .timeout_s = 0};

        if (a->options->rm)
                (void)container_remove(cli->dirs, c, &remove, NULL);
        return r;
}

static int run_foreground(struct cli *cli, const struct run_args *a, struct container *c,
                          struct container_io *io, struct err **reterr)
{
        struct foreground_opts fg = {
            .dirs = cli->dirs,
            .container = c,
            .sig_proxy = a->sig_proxy,
            .forward_stdin = a->options->interactive && attaches(a, "stdin"),
            .forward_stdout = attaches(a, "stdout"),
            .forward_stderr = attaches(a, "stderr"),
            .terminal = a->options->tty,
            .detach_keys = a->detach_keys,
        };
        int r;

        if (!is_passthrough(a))
                return foreground_run(&fg, io, reterr);
        /* The container has our own descriptors: nothing to copy. */
        r = container_await_exit(io, reterr);
        foreground_leave(io);
        return r;
}

/* Not while another container has it, and not when it is gone already. */
static void remove_image(struct cli *cli, const struct run_args *a)
{
        const struct store_remove_opts o = {0};
        AUTO_ERR struct err *e = NULL;
        AUTO_STRV report = {0};

        if (store_remove(cli->dirs, a->options->image, &o, &report, &e) < 0 &&
            err_kind(e) != ERR_BUSY && err_kind(e) != ERR_NOT_FOUND)
                log_warn("--rmi: %s", err_message(e));
}

/* What lives on in the background by the user's wish, and will not. */
static void warn_if_reaped(const struct run_args *a)
{
        const char *lifetime = a->options->lifetime;
        AUTO_FREE char *text = NULL;

        if (lifetime && strcmp(lifetime, "user") != 0)
                return;
        text = reaper_warning();
        if (text)
                log_warn("%s", text);
}

static int run_run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        struct run_args *a = args;
        struct container_start_opts start = {0};
        struct container_io io = {.status_fd = -EBADF, .attach_fd = -EBADF};
        char id[65];
        int r = run_args_finish(a, operands, a->detach, reterr);

        if (r >= 0 && a->detach && a->options->lifetime &&
            strcmp(a->options->lifetime, "command") == 0)
                r = err_new(reterr, ERR_USAGE,
                            "options '--detach' and '--lifetime=command' contradict each other");
        if (r >= 0)
                r = run_args_create(cli, a, id, reterr);
        if (r >= 0)
                r = container_find(cli->dirs, id, &c, reterr);
        if (r < 0)
                return r;
        start.passthrough = is_passthrough(a);
        start.attach = !a->detach && !start.passthrough;
        start.waits = !a->detach;
        start.preserve = a->preserved;
        start.n_preserve = a->n_preserved;
        if (a->options->tty && !term_size(STDIN_FILENO, &start.rows, &start.cols))
                (void)term_size(STDOUT_FILENO, &start.rows, &start.cols);
        r = foreground_start(cli->dirs, c, &start, &io, reterr);
        if (r < 0)
                return start_failed(cli, a, c, cli_hint_misplaced(operands, "image", r, reterr));
        if (!a->detach) {
                r = run_foreground(cli, a, c, &io, reterr);
                if (a->rmi)
                        remove_image(cli, a);
                return r;
        }
        foreground_leave(&io);
        warn_if_reaped(a);
        return output_printf(reterr, "%s\n", id);
}

const struct verb verb_run_container = {
    .names = {"run", "container run"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "IMAGE [COMMAND] [ARG...]",
    .summary = "Create a container and run a command in it",
    .sections = run_sections,
    .absent = run_absent,
    .args_size = sizeof(struct run_args),
    .init = run_args_init,
    .release = run_args_release,
    .options_first = true,
    .min_operands = 1,
    .completes = {COMPLETE_IMAGE},
    .run = run_run,
};

const struct verb verb_create = {
    .names = {"create", "container create"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "IMAGE [COMMAND] [ARG...]",
    .summary = "Create a container without starting it",
    .sections = create_sections,
    .absent = run_absent,
    .args_size = sizeof(struct run_args),
    .init = run_args_init,
    .release = run_args_release,
    .options_first = true,
    .min_operands = 1,
    .completes = {COMPLETE_IMAGE},
    .run = run_create,
};
