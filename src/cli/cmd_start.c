/* SPDX-License-Identifier: Apache-2.0 */
/* kelp start */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/each.h"
#include "cli/foreground.h"
#include "cli/select.h"
#include "cli/term.h"
#include "cli/verb.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct start_args {
        bool attach, interactive, sig_proxy;
        char *detach_keys;
        struct select_args select;
};
#define F(f) offsetof(struct start_args, f)
static const struct opt opts[] = {
    {"attach", 'a', OPT_BOOL, F(attach), NULL,
     "Attach standard output and error, and wait for the end"},
    {"interactive", 'i', OPT_BOOL, F(interactive), NULL,
     "Attach standard input too (implies --attach)"},
    {"detach-keys", 0, OPT_STRING, F(detach_keys), "KEYS",
     "Keys that detach (" DETACH_KEYS_DEFAULT ")"},
    {"sig-proxy", 0, OPT_BOOL, F(sig_proxy), NULL, "With --attach: pass signals on (true)"},
    {0},
};
static const struct opt_section sections[] = {
    {opts, NULL, 0, false},
    {select_opts_long, "Choice", F(select), false},
    {0},
};
#undef F

static void init(void *args)
{
        ((struct start_args *)args)->sig_proxy = true;
}

static int start_one(struct cli *cli, struct container *c, void *arg, struct err **reterr)
{
        struct container_start_opts start = {.passthrough = container_passes_through(c)};
        struct container_io io = {.status_fd = -EBADF, .attach_fd = -EBADF};
        int r;

        if (container_is_up(c))
                return 0; /* it is what was asked for */
        r = foreground_start(cli->dirs, c, &start, &io, reterr);
        foreground_leave(&io);
        return r;
}

static int start_attached(struct cli *cli, const struct start_args *a, const char *name,
                          struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        struct container_start_opts start = {.attach = true};
        struct container_io io = {.status_fd = -EBADF, .attach_fd = -EBADF};
        struct foreground_opts fg = {.forward_stdout = true,
                                     .forward_stderr = true,
                                     .sig_proxy = a->sig_proxy,
                                     .detach_keys = a->detach_keys};
        bool open_stdin = false;
        struct json_at root, config;
        struct dirs *d;
        int r = cli_dirs(cli, &d, reterr);

        if (r >= 0)
                r = container_find(d, name, &c, reterr);
        if (r < 0)
                return r;
        if (container_is_up(c))
                return err_hint(
                    reterr, err_new(reterr, ERR_BUSY, "container '%s' is running already", name),
                    "'kelp attach %s' attaches to it, 'kelp logs -f %s' follows its output", name,
                    name);
        root = json_root(c->config, "config.json");
        config = json_key(&root, "Config");
        r = json_opt_bool(&config, "Tty", &fg.terminal, reterr);
        if (r >= 0)
                r = json_opt_bool(&config, "OpenStdin", &open_stdin, reterr);
        if (r < 0)
                return r;
        fg.forward_stdin = a->interactive && open_stdin;
        if (fg.terminal && fg.forward_stdin && !fd_is_terminal(STDIN_FILENO))
                return err_new(reterr, ERR_USAGE,
                               "option '-i': the container has a terminal, standard input is none");
        if (fg.terminal && !term_size(STDIN_FILENO, &start.rows, &start.cols))
                (void)term_size(STDOUT_FILENO, &start.rows, &start.cols);
        fg.dirs = d;
        fg.container = c;
        r = foreground_start(d, c, &start, &io, reterr);
        return r < 0 ? r : foreground_run(&fg, &io, reterr);
}

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        AUTO(selection_release) struct selection s = {0};
        const struct start_args *a = args;
        struct detach_keys keys;
        int r;

        if (a->detach_keys) {
                r = detach_keys_parse(a->detach_keys, &keys, reterr);
                if (r < 0)
                        return r;
        }
        r = select_containers(cli, &a->select, operands, SELECT_STOPPED, &s, reterr);
        if (r < 0)
                return r;
        if (!a->attach && !a->interactive)
                return each_selected(cli, "start", &s, start_one, NULL, false, reterr);
        if (s.names.n != 1)
                return err_new(reterr, ERR_USAGE,
                               "options '-a' and '-i' take one container, got %zu", s.names.n);
        return start_attached(cli, a, s.names.v[0], reterr);
}

const struct verb verb_start = {
    .names = {"start", "container start"},
    .group = VERB_GROUP_CONTAINER,
    .operands = "[CONTAINER...]",
    .summary = "Start created or stopped containers",
    .sections = sections,
    .args_size = sizeof(struct start_args),
    .init = init,
    .completes = {COMPLETE_STOPPED},
    .run = run,
};
